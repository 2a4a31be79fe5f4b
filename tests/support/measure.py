"""What a server's process costs, read from /proc: memory, bytes read, open files."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import os
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from urllib.parse import urlsplit

MIB = 1024 * 1024
_BLOCK = os.urandom(MIB)


class Process:
    """A process, seen from outside."""

    def __init__(self, pid: int) -> None:
        self._proc = Path("/proc") / str(pid)

    def _status(self, field: str) -> int:
        for line in (self._proc / "status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1]) * 1024
        raise AssertionError(field)

    @contextlib.contextmanager
    def memory_growth_below(self, limit: int) -> Iterator[None]:
        """Assert that the peak of resident memory inside the block stays near what it was."""
        (self._proc / "clear_refs").write_text("5")  # the high-water mark starts anew
        before = self._status("VmRSS")
        yield
        grown = self._status("VmHWM") - before
        assert grown < limit, f"grew by {grown / MIB:.1f} MiB"

    def bytes_read(self) -> int:
        """Return the bytes it has read so far by read, pread and sendfile."""
        line = (self._proc / "io").read_text().splitlines()[0]
        assert line.startswith("rchar: ")
        return int(line.split()[1])

    def open_below(self, folder: Path) -> list[str]:
        """Return the open files that lie (or lay) in a folder, data of the catalog aside."""
        found = []
        for entry in (self._proc / "fd").iterdir():
            with contextlib.suppress(OSError):
                target = str(entry.readlink())
                if target.startswith(str(folder)) and "catalog" not in target:
                    found.append(target)
        return found


def eventually(condition: Callable[[], object], seconds: float = 10) -> bool:
    """Return whether the condition came true in time."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())


def noise(mebibytes: int) -> Iterator[bytes]:
    for _ in range(mebibytes):
        yield _BLOCK


def noise_digest(mebibytes: int) -> str:
    digest = hashlib.sha256()
    for piece in noise(mebibytes):
        digest.update(piece)
    return digest.hexdigest()


@contextlib.contextmanager
def connection(url: str) -> Iterator[http.client.HTTPConnection]:
    parts = urlsplit(url)
    made = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=60)
    try:
        yield made
    finally:
        made.close()


def send_noise(
    url: str, path: str, mebibytes: int, headers: Mapping[str, str] | None = None
) -> tuple[int, bytes]:
    """Send noise as a raw body with its length; return status and body of the answer."""
    sent = {**(headers or {}), "Content-Length": str(mebibytes * MIB),
            "Content-Type": "application/octet-stream"}  # fmt: skip
    with connection(url) as talk:
        talk.request("POST", path, body=noise(mebibytes), headers=sent)
        answer = talk.getresponse()
        return answer.status, answer.read()


def fetch_digest(url: str, path: str, headers: Mapping[str, str] | None = None) -> tuple[int, str]:
    """Fetch a body at flat memory; return its length and sha256."""
    digest, size = hashlib.sha256(), 0
    with connection(url) as talk:
        talk.request("GET", path, headers=dict(headers or {}))
        answer = talk.getresponse()
        while piece := answer.read(MIB):
            digest.update(piece)
            size += len(piece)
    return size, digest.hexdigest()
