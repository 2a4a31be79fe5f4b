"""Behind nginx, with the files handed over to it: the service judges, nginx sends; against nginx alone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks import peers
from benchmarks.loader import CONNECTIONS, load
from benchmarks.measure import GB, LIMIT, MIB, BenchmarkError, cpu_seconds
from benchmarks.peers import Server, find
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row

STREAMS = 8


def rows(plan: Plan, peer: Server, folder: Path, large: Path, small: Path) -> Iterator[Row]:
    """Yield a large file, eight at once, and small ones over many connections, in GB/s and files/s.

    CPU time is that of nginx and of the service behind it together.
    """
    folder.mkdir()
    for workers in (1, 2):
        processes = "one process" if workers == 1 else f"{workers} processes"
        with (
            peers.service(folder / f"workers{workers}", workers=workers, offload=True) as service,
            peers.nginx_in_front(folder / f"nginx{workers}", service) as front,
        ):
            pids = (front.pid, service.pid)
            if workers == 1:
                url = service.add(large).replace(service.url, front.url)
                ours = _Work(pids, _streams(plan.size, "-H", f"@{service.header}", url))
                theirs = _Work((peer.pid,), _streams(plan.size, f"{peer.url}/{large.name}"))
                yield from _compared(
                    f"behind nginx: {STREAMS} x {plan.size // MIB} MiB at once",
                    ("GB/s", "s/GB", 1.0),
                    ours,
                    theirs,
                    plan.rounds,
                )
                service.clear()
            url = service.add(small).replace(service.url, front.url)
            header = service.header.read_text(encoding="ascii")
            ours = _Work(pids, _loaded(url, plan.load_seconds, header))
            theirs = _Work((peer.pid,), _loaded(f"{peer.url}/{small.name}", plan.load_seconds, ""))
            yield from _compared(
                f"behind nginx: {small.stat().st_size // 1024} KiB files, "
                f"{CONNECTIONS} connections, {processes}",
                ("files/s", "us/file", 1e6),
                ours,
                theirs,
                plan.rounds,
            )


class _Work:
    """A repeated piece of work; CPU time of some processes and units done are added up."""

    def __init__(self, pids: Sequence[int], work: Callable[[], tuple[float, float]]) -> None:
        self._pids, self._work = pids, work
        self._cpu = 0.0
        self._done = 0.0

    def __call__(self) -> float:
        before = self._spent()
        rate, done = self._work()
        self._cpu += self._spent() - before
        self._done += done
        return rate

    @property
    def cpu(self) -> float:
        """CPU seconds for one unit."""
        return self._cpu / self._done

    def _spent(self) -> float:
        return sum(cpu_seconds(pid) for pid in self._pids)


def _compared(
    measure: str, units: tuple[str, str, float], ours: _Work, theirs: _Work, rounds: int
) -> Iterator[Row]:
    unit, cpu_unit, factor = units
    speed = medians({"ours": ours, "nginx": theirs}, rounds)
    yield Row(
        measure=measure,
        unit=unit,
        ours=speed["ours"],
        against="nginx alone",
        theirs=speed["nginx"],
    )
    yield Row(
        measure="CPU of nginx and serve",
        unit=cpu_unit,
        ours=ours.cpu * factor,
        against="nginx alone",
        theirs=theirs.cpu * factor,
        lower_is_better=True,
    )


def _streams(size: int, *arguments: str) -> Callable[[], tuple[float, float]]:
    command = [find("curl"), "-fsS", "-o", "/dev/null", *arguments]

    def work() -> tuple[float, float]:
        started = time.perf_counter()
        running = [subprocess.Popen(command) for _ in range(STREAMS)]
        try:
            codes = [one.wait(LIMIT) for one in running]
        finally:
            for one in running:
                one.kill()
        seconds = time.perf_counter() - started
        if any(codes):
            raise BenchmarkError(f"{command[-1]}: curl ended with {codes}")
        done = STREAMS * size / GB
        return done / seconds, done

    return work


def _loaded(url: str, seconds: float, header: str) -> Callable[[], tuple[float, float]]:
    return lambda: load(url, seconds, header=header)
