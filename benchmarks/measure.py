"""What a process costs: wall time, CPU seconds and peak memory, read from /proc.

Peak memory is VmHWM, sampled while the process runs: it only grows, so the last sample is the
peak up to a few milliseconds before the end. (`ru_maxrss` of a child starts at the size of the
parent that forked it, so it is not used.)
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MIB = 1024**2
GB = 1000**3
_TICKS = os.sysconf("SC_CLK_TCK")
_SAMPLE_EVERY = 0.005
# No single step of a benchmark may hang the run.
LIMIT = 300.0


class BenchmarkError(Exception):
    """A measured command failed; a figure would be a lie."""


@dataclass(frozen=True, slots=True)
class Run:
    """One finished command."""

    seconds: float
    stdout: str


def timed(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> Run:
    """Run a command to its end and return its wall time; raise when it fails."""
    started = time.perf_counter()
    done = subprocess.run(
        command, env=env, stdin=subprocess.DEVNULL, capture_output=True, timeout=LIMIT, check=False
    )
    seconds = time.perf_counter() - started
    if done.returncode != 0:
        raise BenchmarkError(
            f"{' '.join(command[:3])} ... ended with {done.returncode}: "
            f"{done.stderr.decode('utf-8', 'replace').strip()[-400:]}"
        )
    return Run(seconds, done.stdout.decode("utf-8", "replace"))


def peak_memory(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> int:
    """Run a command to its end and return its peak memory in bytes."""
    process = subprocess.Popen(
        command,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    peak = 0
    deadline = time.monotonic() + LIMIT
    try:
        while process.poll() is None:
            peak = max(peak, memory(process.pid, "VmHWM"))
            if time.monotonic() > deadline:
                raise BenchmarkError(f"{command[0]} took longer than {LIMIT:.0f} s")
            time.sleep(_SAMPLE_EVERY)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
    if process.returncode != 0:
        raise BenchmarkError(f"{command[0]} ended with {process.returncode}")
    return peak


def memory(pid: int, field: str) -> int:
    """Return VmRSS or VmHWM of a process in bytes; 0 once it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    for line in status.splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process and its living descendants have used."""
    return sum(_own_cpu(one) for one in family(pid))


def family(pid: int) -> list[int]:
    """Return a process and its living descendants (nginx works in children)."""
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = tasks.read_text(encoding="ascii").split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        for child in children:
            found.extend(family(int(child)))
    return found


def _own_cpu(pid: int) -> float:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    # proc(5): the command in parentheses may hold anything; utime and stime are fields 14 and 15.
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS
