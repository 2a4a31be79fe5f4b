"""Uploads that come in many small pieces: tus PATCHes a second, against the protocol's own server.

Both are driven by the same client here: raw sockets that stay open, one upload on each, the next
piece when the last was answered. `serve` keeps each piece before it answers, as after a power
cut; `@tus/server` with its file store writes it to a file and syncs nothing.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import peers
from benchmarks.measure import BenchmarkError, cpu_seconds
from benchmarks.peers import Service
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row

PIECE = 1024
AT_ONCE = (1, 16)
_LENGTH = 200 * 1000**2
_SILENCE = 30.0
_RUBRIC = "@tus/server, which syncs nothing"


def rows(plan: Plan, service: Service, folder: Path) -> Iterator[Row]:
    """Yield PATCHes per second and what one costs the server, for one upload and for several."""
    if not peers.can_run_tus():
        print("benchmarks: no node or npm, no @tus/server", file=sys.stderr)
        return
    header = service.header.read_text(encoding="ascii")
    with peers.tus(folder) as theirs:
        for uploads in AT_ONCE:
            ours = Patches(service.uploads, service.pid, header, uploads, plan.load_seconds)
            other = Patches(theirs.url, theirs.pid, "", uploads, plan.load_seconds)
            found = medians({"serve": ours, "tus": other}, plan.rounds)
            at_once = "one upload" if uploads == 1 else f"{uploads} uploads at once"
            yield Row(
                measure=f"{PIECE // 1024} KiB tus PATCHes, durable, {at_once}",
                unit="PATCHes/s",
                ours=found["serve"],
                against=_RUBRIC,
                theirs=found["tus"],
            )
            yield Row(
                measure="server CPU",
                unit="us/PATCH",
                ours=ours.cpu_each,
                against=_RUBRIC,
                theirs=other.cpu_each,
                lower_is_better=True,
            )


class Patches:
    """Sends pieces to several new uploads for some seconds; adds up what they cost the server.

    Args:
        url: where uploads are created.
        pid: the server's process.
        header: one more line for each head.
        uploads: how many at once.
        seconds: for how long.
    """

    def __init__(self, url: str, pid: int, header: str, uploads: int, seconds: float) -> None:
        self._url, self._pid, self._header = url, pid, header.strip()
        self._uploads, self._seconds = uploads, seconds
        self._cpu = 0.0
        self._count = 0

    @property
    def cpu_each(self) -> float:
        """The microseconds of CPU time that one PATCH took."""
        return self._cpu / self._count * 1e6

    def __call__(self) -> float:
        senders = [Sender(self._url, self._header) for _ in range(self._uploads)]
        before, began = cpu_seconds(self._pid), time.perf_counter()
        count = _drive(senders, began + self._seconds)
        took = time.perf_counter() - began
        self._cpu += cpu_seconds(self._pid) - before
        self._count += count
        return count / took


def _drive(senders: list[Sender], until: float) -> int:
    """Have each send its next piece when the last was answered; return how many were."""
    count = 0
    with selectors.DefaultSelector() as waiting:
        for one in senders:
            waiting.register(one.sock, selectors.EVENT_READ, one)
            one.send()
        while waiting.get_map():
            if not (ready := waiting.select(_SILENCE)):
                raise BenchmarkError(f"no answer to a PATCH for {_SILENCE:.0f} s")
            for key, _ in ready:
                sender: Sender = key.data
                sender.take_answer()
                count += 1
                if time.perf_counter() < until:
                    sender.send()
                else:
                    waiting.unregister(sender.sock)
                    sender.sock.close()
    return count


class Sender:
    """One connection and the upload that it sends, piece by piece."""

    def __init__(self, url: str, header: str) -> None:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or 80
        common = f"Host: {host}:{port}\r\nTus-Resumable: 1.0.0\r\n"
        common += f"{header}\r\n" if header else ""
        self.sock = socket.create_connection((host, port), _SILENCE)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.sendall(
            f"POST {parts.path} HTTP/1.1\r\n{common}Upload-Length: {_LENGTH}\r\n"
            "Content-Length: 0\r\n\r\n".encode()
        )
        answer = self._answer(b"HTTP/1.1 201")
        place = next(
            line.partition(b":")[2].strip()
            for line in answer.split(b"\r\n")
            if line.lower().startswith(b"location:")
        )
        path = urlsplit(place.decode()).path
        self._head = (
            f"PATCH {path} HTTP/1.1\r\n{common}Content-Length: {PIECE}\r\n"
            "Content-Type: application/offset+octet-stream\r\nUpload-Offset: "
        ).encode()
        self._tail = b"\r\n\r\n" + b"\1" * PIECE
        self._offset = 0

    def send(self) -> None:
        """Send the next piece."""
        self.sock.sendall(self._head + str(self._offset).encode() + self._tail)

    def take_answer(self) -> None:
        """Read the answer to it."""
        self._answer(b"HTTP/1.1 204")
        self._offset += PIECE

    def _answer(self, expected: bytes) -> bytes:
        found = b""
        while not found.endswith(b"\r\n\r\n"):
            data = self.sock.recv(65536)
            if not data:
                break
            found += data
        if not found.startswith(expected):
            raise BenchmarkError(f"a tus server answered {found[:200]!r}")
        return found
