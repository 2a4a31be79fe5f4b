"""What the service takes of memory: idle, and for one transfer each way."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import MIB, memory, timed
from benchmarks.peers import Service, find
from benchmarks.rounds import Plan
from benchmarks.table import Row

IDLE_BOUND = 96  # MiB
GROWTH_BOUND = 32  # MiB a transfer


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
