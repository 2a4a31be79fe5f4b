"""tus-js-client, as browsers and Uppy have it, installed once by npm and run by node."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.require import program, require

PACKAGE = "tus-js-client@4"
# Each line on stdout is an object; `stop_at` ends the process in the middle, as a kill would.
SCRIPT = """
import { createReadStream, readFileSync } from 'node:fs'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'
const told = (line) => process.stdout.write(JSON.stringify(line) + '\\n')
const { file, store, stop_at, abort_at, ...options } = JSON.parse(process.argv[2])
const urlStorage = store ? new tus.FileUrlStorage(store) : undefined
// A length is deferred where nobody knows it: of a stream that is no file.
// In the modes for the IETF's drafts it marks the last chunk of a buffer, as in browsers, but not
// that of a file that node reads (4.3.1: FileSource compares the chunk with the whole).
const ofIetf = (options.protocol ?? '').startsWith('ietf')
const input = options.uploadLengthDeferred
  ? createReadStream(file).pipe(new PassThrough())
  : ofIetf ? readFileSync(file) : createReadStream(file)
const upload = new tus.Upload(input, {
  retryDelays: [50, 100, 200, 400, 800, 1600, 1600, 1600],
  ...(urlStorage ? { urlStorage } : {}),
  fingerprint: async () => 'one',
  ...options,
  onProgress: (sent, total) => {
    if (stop_at && sent >= stop_at) { told({ stopped: sent }); process.exit(9) }
  },
  onChunkComplete: async (size, accepted, total) => {
    told({ accepted })
    if (abort_at && accepted >= abort_at) { await upload.abort(true); told({ aborted: upload.url }) }
  },
  onShouldRetry: (error) => {
    const status = error.originalResponse ? error.originalResponse.getStatus() : 0
    told({ retry: status })
    return status < 400 || status >= 500 || status === 409 || status === 423
  },
  onError: (error) => {
    told({
      error: error.originalResponse ? error.originalResponse.getStatus() : 0,
      body: error.originalResponse ? error.originalResponse.getBody() : String(error),
    })
    process.exit(1)
  },
  onSuccess: ({ lastResponse }) => told({
    url: upload.url,
    location: lastResponse.getHeader('content-location'),
    state: lastResponse.getHeader('file-state'),
  }),
})
for (const previous of urlStorage ? await upload.findPreviousUploads() : []) {
  told({ resumed: previous.uploadUrl ?? previous.parallelUploadUrls })
  upload.resumeFromPreviousUpload(previous)
}
upload.start()
"""


def installed() -> Path:
    """Return the folder with the client; install it when it is not there."""
    npm = program("npm")
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(cache) / "wharfinger-tests" / "tus-js-client-4"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            done = subprocess.run(
                [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder,
                 PACKAGE],
                cwd=folder, capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            require(
                done.returncode == 0, f"npm could not install tus-js-client: {done.stderr[-300:]}"
            )
            (folder / "installed").touch()
        (folder / "upload.mjs").write_text(SCRIPT, encoding="utf-8")
    return folder


@contextlib.contextmanager
def uploading(
    file: Path, endpoint: str, token: str, **options: object
) -> Iterator[subprocess.Popen[str]]:
    """Run an upload as a process of its own; its lines are on its stdout."""
    node = program("node")
    wishes = {
        "endpoint": endpoint,
        "headers": {"Authorization": f"Bearer {token}"},
        "file": str(file),
        **options,
    }
    process = subprocess.Popen(
        [node, installed() / "upload.mjs", json.dumps(wishes)],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def upload(file: Path, endpoint: str, token: str, **options: object) -> list[dict[str, object]]:
    """Upload a file and return the lines that were told."""
    with uploading(file, endpoint, token, **options) as process:
        out, _ = process.communicate(timeout=120)
    return [json.loads(line) for line in out.splitlines()]
