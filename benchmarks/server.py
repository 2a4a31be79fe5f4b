"""The service against nginx: one large file, many small ones, and its memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.loader import load
from benchmarks.measure import GB, MIB, cpu_seconds, memory, timed
from benchmarks.peers import Server, Service, find
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row

IDLE_BOUND = 96  # MiB
GROWTH_BOUND = 32  # MiB a transfer


def large_file(plan: Plan, peer: Server, service: Service, large: Path) -> Iterator[Row]:
    """Yield GB/s and server CPU seconds per GB for one large file, read by curl."""
    url = service.add(large)
    ours = _Cost(service.pid, plan.size, _curl(url, "-H", f"@{service.header}"))
    theirs = _Cost(peer.pid, plan.size, _curl(f"{peer.url}/{large.name}"))
    speed = medians({"serve": ours, "nginx": theirs}, plan.rounds)
    yield Row(
        measure=f"deliver one file of {plan.size // MIB} MiB",
        unit="GB/s",
        ours=speed["serve"],
        against="nginx",
        theirs=speed["nginx"],
    )
    yield Row(
        measure="server CPU",
        unit="s/GB",
        ours=ours.cpu / ours.gigabytes,
        against="nginx",
        theirs=theirs.cpu / theirs.gigabytes,
        lower_is_better=True,
    )
    service.clear()


def small_files(plan: Plan, peer: Server, service: Service, small: Path) -> Iterator[Row]:
    """Yield 64 KiB files per second over keep-alive, and server CPU per request."""
    url = service.add(small)
    header = service.header.read_text(encoding="ascii")
    ours = _Load(service.pid, url, plan.load_seconds, header)
    theirs = _Load(peer.pid, f"{peer.url}/{small.name}", plan.load_seconds, "")
    rates = medians({"serve": ours, "nginx": theirs}, plan.rounds)
    yield Row(
        measure=f"deliver files of {small.stat().st_size // 1024} KiB",
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
    service.clear()


def own_memory(plan: Plan, service: Service, large: Path) -> Iterator[Row]:
    """Yield the resident memory of a fresh server and what one transfer each way adds."""
    _settle()
    idle = memory(service.pid, "VmRSS")
    yield _bound("serve idle: memory", idle, IDLE_BOUND)
    url = service.add(large)
    after_upload = memory(service.pid, "VmHWM")
    yield _bound(f"growth for {plan.size // MIB} MiB up (peak)", after_upload - idle, GROWTH_BOUND)
    _settle()
    before = memory(service.pid, "VmRSS")
    timed(_curl(url, "-H", f"@{service.header}"))
    yield _bound(
        f"growth for {plan.size // MIB} MiB down",
        max(0, memory(service.pid, "VmRSS") - before),
        GROWTH_BOUND,
    )
    service.clear()


class _Cost:
    """A repeated transfer; the server's CPU time is added up over the rounds."""

    def __init__(self, pid: int, size: int, command: Sequence[str]) -> None:
        self._pid, self._size, self._command = pid, size, command
        self.cpu = 0.0
        self.gigabytes = 0.0

    def __call__(self) -> float:
        before = cpu_seconds(self._pid)
        seconds = timed(self._command).seconds
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


def _curl(url: str, *arguments: str) -> list[str]:
    return [find("curl"), "-fsS", "-o", "/dev/null", *arguments, url]


def _settle() -> None:
    time.sleep(0.5)


def _bound(measure: str, value: int, bound: int) -> Row:
    return Row(
        measure=measure,
        unit="MiB",
        ours=value / MIB,
        against="our bound",
        theirs=bound,
        lower_is_better=True,
    )
