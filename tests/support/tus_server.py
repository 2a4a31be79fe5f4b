"""`@tus/server` with its file store: the reference implementation, installed once and run by node.

It is installed by npm into a cache folder of its own ($XDG_CACHE_HOME, or ~/.cache), never into
the repository.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

from support.processes import running
from support.require import program, require

PACKAGES = ("@tus/server@2", "@tus/file-store@2")
# `maxSize` keeps a confused test from filling the disk.
SCRIPT = """
import { Server } from '@tus/server'
import { FileStore } from '@tus/file-store'
const [folder, port] = process.argv.slice(2)
new Server({
  path: '/files',
  maxSize: 256 * 1024 * 1024,
  relativeLocation: port % 2 === 0,
  datastore: new FileStore({ directory: folder, expirationPeriodInMilliseconds: 3600000 }),
}).listen({ host: '127.0.0.1', port: Number(port) })
"""


def installed() -> Path:
    """Return the folder with the server; install it when it is not there."""
    npm = program("npm")
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    folder = Path(cache) / "wharfinger-tests" / "tus-server-2"
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "installed").exists():
            done = subprocess.run(
                [npm, "install", "--no-save", "--no-audit", "--no-fund", "--prefix", folder,
                 *PACKAGES],
                cwd=folder, capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            require(
                done.returncode == 0, f"npm could not install @tus/server: {done.stderr[-300:]}"
            )
            (folder / "installed").touch()
        (folder / "serve.mjs").write_text(SCRIPT, encoding="utf-8")
    return folder


@contextlib.contextmanager
def tus_server(folder: Path, port: int) -> Iterator[str]:
    """Run the server over a folder until the block ends; yield its endpoint."""
    node = program("node")
    home = installed()
    files = folder / "tus"
    files.mkdir(exist_ok=True)
    command: list[str | Path] = [node, home / "serve.mjs", files, str(port)]
    with running(command, port, folder / "tus.log"):
        yield f"http://127.0.0.1:{port}/files"
