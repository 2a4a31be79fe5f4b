"""The Flask extension against Flask's own `send_file`, in one process of gunicorn with threads."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from benchmarks import peers
from benchmarks.measure import GB, MIB, BenchmarkError, cpu_seconds, timed
from benchmarks.peers import Server, find
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row
from wharfinger import Wharf

AGAINST = "send_file, same gunicorn"
LAST = 1 * MIB
IN_A_ROW = 3


def rows(plan: Plan, folder: Path, large: Path) -> Iterator[Row]:
    """Yield whole files and a late range, delivered from a folder and from the service."""
    data = folder / "data"
    folder.mkdir()
    with Wharf.open(data) as wharf, large.open("rb") as file:
        stored = wharf.receive(file, collection="files", name=large.name).id
    target = f"benchmarks.flask_app:make({str(data)!r}, {str(large)!r})"
    with peers.gunicorn(folder, target) as host:
        ways = {
            "deliver_path": f"{host.url}/deliver_path",
            "deliver": f"{host.url}/deliver/{stored}",
            "send_file": f"{host.url}/send_file",
        }
        for url in ways.values():  # a service opens its catalog with the first request
            timed([find("curl"), "-fsS", "-o", "/dev/null", "-r", "0-0", url])
        yield from _whole(plan, host, ways)
        yield from _late(plan, ways)


def _whole(plan: Plan, host: Server, ways: dict[str, str]) -> Iterator[Row]:
    costs = {name: _Whole(host, url, plan.size) for name, url in ways.items()}
    speed = medians(costs, plan.rounds)
    for name in ("deliver_path", "deliver"):
        yield Row(
            measure=f"Flask {name}: {plan.size // MIB} MiB",
            unit="GB/s",
            ours=speed[name],
            against=AGAINST,
            theirs=speed["send_file"],
        )
        yield Row(
            measure="server CPU",
            unit="s/GB",
            ours=costs[name].cpu_per_gigabyte,
            against=AGAINST,
            theirs=costs["send_file"].cpu_per_gigabyte,
            lower_is_better=True,
        )


def _late(plan: Plan, ways: dict[str, str]) -> Iterator[Row]:
    rates = medians({name: _late_ranges(plan, url) for name, url in ways.items()}, plan.rounds)
    for name in ("deliver_path", "deliver"):
        yield Row(
            measure=f"Flask {name}: the last MiB of {plan.size // MIB}",
            unit="replies/s",
            ours=rates[name],
            against=AGAINST,
            theirs=rates["send_file"],
        )


class _Whole:
    """Some downloads one after the other; the server's CPU time is added up over the rounds."""

    def __init__(self, host: Server, url: str, size: int) -> None:
        self._pid = host.pid
        self._url = url
        self._size = size
        self._cpu = 0.0
        self._sent = 0

    def __call__(self) -> float:
        before = cpu_seconds(self._pid)
        started = time.perf_counter()
        for _ in range(IN_A_ROW):
            _fetch(self._url, self._size)
        seconds = time.perf_counter() - started
        self._cpu += cpu_seconds(self._pid) - before
        self._sent += IN_A_ROW * self._size
        return IN_A_ROW * self._size / GB / seconds

    @property
    def cpu_per_gigabyte(self) -> float:
        return self._cpu / (self._sent / GB)


def _fetch(url: str, size: int) -> None:
    """Fetch a file and drop it uncopied (MSG_TRUNC), so that what is measured is the server."""
    parts = urlsplit(url)
    ask = f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n\r\n"
    view = memoryview(bytearray(MIB))
    received = 0
    with socket.create_connection((parts.hostname or "", parts.port or 80), timeout=60) as sock:
        sock.sendall(ask.encode("ascii"))
        while got := sock.recv_into(view, MIB, socket.MSG_TRUNC):
            received += got
    if received < size:
        raise BenchmarkError(f"{url} sent {received} bytes of {size}")


def _late_ranges(plan: Plan, url: str) -> Callable[[], float]:
    """Return what asks for the last MiB over one connection, for some seconds: replies a second."""

    def measure() -> float:
        parts = urlsplit(url)
        talk = http.client.HTTPConnection(parts.netloc, timeout=60)
        replies = 0
        started = time.perf_counter()
        try:
            while time.perf_counter() - started < plan.load_seconds:
                talk.request("GET", parts.path, headers={"Range": f"bytes=-{LAST}"})
                answer = talk.getresponse()
                if answer.status != 206 or len(answer.read()) != LAST:
                    raise BenchmarkError(f"{url} answered {answer.status} to a range")
                replies += 1
        finally:
            talk.close()
        return replies / (time.perf_counter() - started)

    return measure
