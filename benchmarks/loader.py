"""A small keep-alive loader: a few connections in one process, raw sockets, no HTTP library.

It is Python and shares the machine with the server, so its requests per second are a floor for
a fast server: nginx waits for this loader, not the other way round. The CPU time that the
server spends on one request, printed beside it, does not depend on the loader.
"""

from __future__ import annotations

import re
import selectors
import socket
import time
from urllib.parse import urlsplit

from benchmarks.measure import BenchmarkError

CONNECTIONS = 8
_BUFFER = 256 * 1024
_LENGTH = re.compile(rb"(?im)^content-length:\s*(\d+)")


class _Visitor:
    """One connection: asks, counts the answer's bytes, asks again."""

    def __init__(self, address: tuple[str, int], request: bytes) -> None:
        self.socket = socket.create_connection(address, timeout=10)
        self._request = request
        self._view = memoryview(bytearray(_BUFFER))
        self._head = b""
        self._left = 0
        self.answered = 0
        self.ask()

    def ask(self) -> None:
        self.socket.sendall(self._request)

    def read(self) -> None:
        got = self.socket.recv_into(self._view)
        if not got:
            raise BenchmarkError("the server closed a keep-alive connection")
        if self._left == 0:
            got = self._begin(bytes(self._view[:got]))
        self._left -= got
        if self._left == 0 and not self._head:
            self.answered += 1
            self.ask()

    def _begin(self, data: bytes) -> int:
        """Read a head; return how many bytes of the body came with it."""
        head, end, body = (self._head + data).partition(b"\r\n\r\n")
        if not end:
            self._head = head
            return 0
        self._head = b""
        length = _LENGTH.search(head)
        if not head.startswith(b"HTTP/1.1 200 ") or length is None:
            raise BenchmarkError(f"unexpected answer: {head[:80]!r}")
        self._left = int(length[1])
        return len(body)


def load(url: str, seconds: float, *, header: str = "") -> tuple[float, int]:
    """Fetch one address over and over; return requests per second and their number.

    Args:
        url: an http address.
        seconds: how long.
        header: one more header line, without its line end.
    """
    parts = urlsplit(url)
    address = (parts.hostname or "", parts.port or 80)
    lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}", *filter(None, [header.strip()])]
    request = "\r\n".join([*lines, "", ""]).encode("ascii")
    visitors = [_Visitor(address, request) for _ in range(CONNECTIONS)]
    started = time.perf_counter()
    try:
        with selectors.DefaultSelector() as selector:
            for visitor in visitors:
                selector.register(visitor.socket, selectors.EVENT_READ, visitor)
            while time.perf_counter() - started < seconds:
                ready = selector.select(timeout=10)
                if not ready:
                    raise BenchmarkError("no answer for 10 s")
                for key, _ in ready:
                    key.data.read()
    finally:
        for visitor in visitors:
            visitor.socket.close()
    answered = sum(visitor.answered for visitor in visitors)
    return answered / (time.perf_counter() - started), answered
