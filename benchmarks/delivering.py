"""Handing out: the service against nginx, and against what Python applications use instead."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.loader import CONNECTIONS, load
from benchmarks.measure import GB, LIMIT, MIB, BenchmarkError, cpu_seconds
from benchmarks.peers import Server, Service, find
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row

STREAMS = 8
RANGES = 1000


def large_file(plan: Plan, peer: Server, service: Service, large: Path) -> Iterator[Row]:
    """Yield GB/s and server CPU seconds per GB: a large file, whole and its middle half, eight times at once."""
    url = service.add(large)
    header = ("-H", f"@{service.header}")
    with peers.starlette("uvicorn", large) as uvicorn, peers.starlette("granian", large) as granian:
        for part, ranged, size in (
            ("", (), plan.size),
            (", the middle half", ("-r", f"{plan.size // 4}-{plan.size * 3 // 4 - 1}"), plan.size // 2),
        ):  # fmt: skip
            costs = {
                "serve": _Streams(service.pid, size, (*header, *ranged, url)),
                "nginx": _Streams(peer.pid, size, (*ranged, f"{peer.url}/{large.name}")),
                "Starlette on uvicorn": _Streams(uvicorn.pid, size, (*ranged, uvicorn.url)),
                "Starlette on granian": _Streams(granian.pid, size, (*ranged, granian.url)),
            }
            speed = medians(costs, plan.rounds)
            for name, cost in costs.items():
                if name != "serve":
                    yield Row(
                        measure=f"deliver {STREAMS} x {plan.size // MIB} MiB at once{part}",
                        unit="GB/s",
                        ours=speed["serve"],
                        against=name,
                        theirs=speed[name],
                    )
                    yield _cpu_row(costs["serve"], cost, name)
    service.clear()


def small_files(plan: Plan, peer: Server, folder: Path, small: Path) -> Iterator[Row]:
    """Yield 64 KiB files per second over many connections, from one process and from two."""
    for workers in (1, 2):
        with peers.service(folder / f"workers{workers}", workers=workers) as service:
            url = service.add(small)
            header = service.header.read_text(encoding="ascii")
            ours = _Load(service.pid, url, plan.load_seconds, header)
            theirs = _Load(peer.pid, f"{peer.url}/{small.name}", plan.load_seconds, "")
            rates = medians({"serve": ours, "nginx": theirs}, plan.rounds)
        processes = "one process" if workers == 1 else f"{workers} processes"
        kib = small.stat().st_size // 1024
        yield Row(
            measure=f"{kib} KiB files, {CONNECTIONS} connections, {processes}",
            unit="files/s",
            ours=rates["serve"],
            against="nginx",
            theirs=rates["nginx"],
        )
        yield Row(
            measure="server CPU",
            unit="us/file",
            ours=ours.cpu / ours.answered * 1e6,
            against="nginx",
            theirs=theirs.cpu / theirs.answered * 1e6,
            lower_is_better=True,
        )


def many_ranges(plan: Plan, service: Service, small: Path) -> Iterator[Row]:
    """Yield the server's CPU time for one request that asks for a thousand overlapping ranges."""
    url = service.add(small)
    asked = ",".join(f"{number}-{number + 900}" for number in range(RANGES))[: 8 * 1024 - 40]
    asked = asked.rpartition(",")[0]
    command = [find("curl"), "-fsS", "-o", "/dev/null", "-H", f"@{service.header}"]
    command += ["-H", f"Range: bytes={asked}", url]
    count = 20 * plan.rounds
    before = cpu_seconds(service.pid)
    for _ in range(count):
        subprocess.run(command, check=True, timeout=LIMIT)
    yield Row(
        measure=f"{asked.count(',') + 1} overlapping ranges in 8 KB: server CPU",
        unit="ms",
        ours=(cpu_seconds(service.pid) - before) / count * 1000,
        against="our bound",
        theirs=10.0,
        lower_is_better=True,
    )
    service.clear()


class _Streams:
    """Several downloads at once; the server's CPU time is added up over the rounds."""

    def __init__(self, pid: int, size: int, arguments: Sequence[str]) -> None:
        self._pid, self._size = pid, size * STREAMS
        self._command = [find("curl"), "-fsS", "-o", "/dev/null", *arguments]
        self.cpu = 0.0
        self.gigabytes = 0.0

    def __call__(self) -> float:
        before = cpu_seconds(self._pid)
        started = time.perf_counter()
        running = [subprocess.Popen(self._command) for _ in range(STREAMS)]
        try:
            codes = [one.wait(LIMIT) for one in running]
        finally:
            for one in running:
                one.kill()
        seconds = time.perf_counter() - started
        if any(codes):
            raise BenchmarkError(f"{self._command[-1]}: curl ended with {codes}")
        self.cpu += cpu_seconds(self._pid) - before
        self.gigabytes += self._size / GB
        return self._size / GB / seconds


class _Load:
    """A repeated load; the server's CPU time and the answers are added up over the rounds."""

    def __init__(self, pid: int, url: str, seconds: float, header: str) -> None:
        self._pid = pid
        self._load: Callable[[], tuple[float, int]] = lambda: load(url, seconds, header=header)
        self.cpu = 0.0
        self.answered = 0

    def __call__(self) -> float:
        before = cpu_seconds(self._pid)
        rate, answered = self._load()
        self.cpu += cpu_seconds(self._pid) - before
        self.answered += answered
        return rate


def _cpu_row(ours: _Streams, theirs: _Streams, name: str) -> Row:
    return Row(
        measure="server CPU",
        unit="s/GB",
        ours=ours.cpu / ours.gigabytes,
        against=name,
        theirs=theirs.cpu / theirs.gigabytes,
        lower_is_better=True,
    )
