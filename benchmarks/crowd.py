"""Many clients at once: a thousand slow ones beside a fast one, and ten thousand that do nothing."""

from __future__ import annotations

import contextlib
import http.client
import selectors
import socket
import statistics
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from benchmarks import peers
from benchmarks.measure import MIB, BenchmarkError, memory
from benchmarks.peers import Service
from benchmarks.rounds import Plan
from benchmarks.table import Row

SLOW = 1000
IDLE = 9_900  # a process may have 20,000 descriptors, and serve takes half of them for connections
_MEDIAN_BOUND, _WORST_BOUND = 5.0, 100.0  # ms
_GROWTH_BOUND = 64  # MiB
_RECEIVE_BUFFER = 16 * 1024
_FAST_REQUESTS = 500


def slow_clients(plan: Plan, service: Service, large: Path, small: Path) -> Iterator[Row]:
    """Yield how long a fast client waits for small files while many slow ones take a large one."""
    slow, fast = service.add(large), service.add(small)
    before = memory(service.pid, "VmRSS")
    with _Slow(service, slow) as crowd:
        crowd.wait_until_all_receive()
        waits = [_ask(service, fast) * 1000 for _ in range(_FAST_REQUESTS * plan.rounds)]
        grown = memory(service.pid, "VmHWM") - before
    for what, value, bound in (
        ("median", statistics.median(waits), _MEDIAN_BOUND),
        ("worst", max(waits), _WORST_BOUND),
    ):
        yield Row(
            measure=f"64 KiB beside {SLOW} slow clients, {what} of {len(waits)}",
            unit="ms",
            ours=value,
            against="our bound",
            theirs=bound,
            lower_is_better=True,
        )
    yield Row(
        measure=f"growth with {SLOW} slow clients",
        unit="MiB",
        ours=max(0, grown) / MIB,
        against="our bound",
        theirs=_GROWTH_BOUND,
        lower_is_better=True,
    )
    service.clear()


def idle_connections(folder: Path, small: Path) -> Iterator[Row]:
    """Yield what an idle connection costs a fresh server, and how it answers beside so many."""
    with peers.service(folder / "idle") as service:
        yield from _idle(service, small)


def _idle(service: Service, small: Path) -> Iterator[Row]:
    url = service.add(small)
    _ask(service, url)
    address = _address(service)
    before = memory(service.pid, "VmRSS")
    with contextlib.ExitStack() as stack:
        for _ in range(IDLE):
            sock = stack.enter_context(socket.create_connection(address, timeout=20))
            sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: bench\r\n\r\n")
            if not sock.recv(4096).startswith(b"HTTP/1.1 200"):
                raise BenchmarkError("a connection was not served")
        grown = memory(service.pid, "VmRSS") - before
        waits = [_ask(service, url) * 1000 for _ in range(_FAST_REQUESTS)]
    yield Row(
        measure=f"memory of one of {IDLE:,} idle connections",
        unit="KiB",
        ours=grown / IDLE / 1024,
        against="our bound",
        theirs=16.0,
        lower_is_better=True,
    )
    yield Row(
        measure=f"64 KiB beside {IDLE:,} idle connections, median",
        unit="ms",
        ours=statistics.median(waits),
        against="our bound",
        theirs=_MEDIAN_BOUND,
        lower_is_better=True,
    )


class _Slow:
    """Clients that take a few KiB a second each, all of them driven by one thread."""

    def __init__(self, service: Service, url: str) -> None:
        self._address = _address(service)
        header = service.header.read_text("ascii").strip()
        self._request = f"GET {urlsplit(url).path} HTTP/1.1\r\nHost: b\r\n{header}\r\n\r\n".encode()
        self._selector = selectors.DefaultSelector()
        self._sockets: list[socket.socket] = []
        self._receiving: set[int] = set()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._take)

    def __enter__(self) -> Self:
        for _ in range(SLOW):
            sock = socket.socket()
            self._sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER)
            sock.settimeout(20)
            sock.connect(self._address)
            sock.sendall(self._request)
            sock.setblocking(False)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for sock in self._sockets:
            sock.close()

    def wait_until_all_receive(self) -> None:
        """Return when every one of them has got something."""
        until = time.monotonic() + 60
        while len(self._receiving) < SLOW:
            if time.monotonic() > until:
                raise BenchmarkError(f"only {len(self._receiving)} of {SLOW} clients are served")
            time.sleep(0.05)

    def _take(self) -> None:
        """Let each take up to 4 KiB once a second, a tenth of them at a time."""
        turn = 0
        while not self._over.wait(0.1):
            for sock in self._sockets[turn::10]:
                with contextlib.suppress(BlockingIOError):
                    if sock.recv(4096):
                        self._receiving.add(sock.fileno())
            turn = (turn + 1) % 10


def _ask(service: Service, url: str) -> float:
    """Fetch a file over a new connection; return the seconds it took."""
    started = time.perf_counter()
    connection = http.client.HTTPConnection(*_address(service), timeout=30)
    try:
        name, _, value = service.header.read_text("ascii").strip().partition(": ")
        connection.request("GET", urlsplit(url).path, headers={name: value})
        answer = connection.getresponse()
        if answer.status != 200 or not answer.read():
            raise BenchmarkError(f"the fast client got {answer.status}")
    finally:
        connection.close()
    return time.perf_counter() - started


def _address(service: Service) -> tuple[str, int]:
    parts = urlsplit(service.url)
    return parts.hostname or "", parts.port or 80
