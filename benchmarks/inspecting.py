"""What a file is, told from memory: ours beside libmagic, over the corpus of the tests; and what
inspecting a stream costs beside its SHA-256 alone.

CPU time of the one thread, so that a busy machine does not count. libmagic is called through its
C interface, without a wrapper that would slow it down.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from benchmarks.measure import GB, MIB
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row
from wharfinger import Policy
from wharfinger.inspection import HEAD_SIZE, Inspection, detect
from wharfinger.inspection.whole import detect_whole

_MIME_TYPE = 0x10
_MEAN_BOUND = 60.0
_WORST_BOUND = 600.0


def rows(plan: Plan) -> Iterator[Row]:
    """Yield the rows of detection, where a corpus and libmagic are there, and of the stream."""
    contents = _corpus()
    if contents:
        yield from _detection(contents, plan.rounds)
    yield _stream(plan)


def _corpus() -> list[bytes]:
    tests = str(Path(__file__).parent.parent / "tests")
    if tests not in sys.path:
        sys.path.append(tests)
    from support.corpus import gathered

    return [sample.read() for sample in gathered() or ()]


def _detection(contents: Sequence[bytes], rounds: int) -> Iterator[Row]:
    competitors: dict[str, Callable[[bytes], object]] = {
        "head": lambda data: detect(data[:HEAD_SIZE], complete=len(data) <= HEAD_SIZE),
        "whole": lambda data: detect_whole(io.BytesIO(data), len(data)),
    }
    libmagic = _libmagic()
    if libmagic is not None:
        competitors["libmagic"] = libmagic
    costs: dict[str, list[float]] = {}

    def measure(name: str) -> float:
        costs[name] = sorted(_microseconds(competitors[name], contents))
        return sum(costs[name]) / len(contents)

    found = medians({name: lambda name=name: measure(name) for name in competitors}, rounds)  # type: ignore[misc]
    worst = {name: values[len(values) * 99 // 100] for name, values in costs.items()}
    what = f"type of {len(contents)} files"
    for name in ("head", "whole"):
        measured = f"{what}, by the {name}"
        yield _row(f"{measured}: CPU, mean", found[name], "our bound", _MEAN_BOUND)
        yield _row("99th percentile", worst[name], "our bound", _WORST_BOUND)
        if libmagic is not None:
            yield _row(f"{measured}: CPU, mean", found[name], "libmagic", found["libmagic"])


def _row(measure: str, ours: float, against: str, theirs: float) -> Row:
    return Row(
        measure=measure, unit="us", ours=ours, against=against, theirs=theirs, lower_is_better=True
    )


def _microseconds(judge: Callable[[bytes], object], contents: Sequence[bytes]) -> list[float]:
    costs = []
    for data in contents:
        started = time.thread_time_ns()
        judge(data)
        costs.append((time.thread_time_ns() - started) / 1000)
    return costs


def _libmagic() -> Callable[[bytes], object] | None:
    """Return libmagic(3)'s magic_buffer with its own database, or None where it is missing."""
    name = ctypes.util.find_library("magic")
    if name is None:
        return None
    library = ctypes.CDLL(name)
    library.magic_open.restype = ctypes.c_void_p
    library.magic_load.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
    library.magic_buffer.restype = ctypes.c_char_p
    library.magic_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_size_t]
    cookie = library.magic_open(_MIME_TYPE)
    if library.magic_load(cookie, None):
        return None
    return lambda data: library.magic_buffer(cookie, data, len(data))


# --- the stream ---------------------------------------------------------------------------


def _stream(plan: Plan) -> Row:
    piece = os.urandom(MIB)
    count = plan.size // MIB

    def ours() -> float:
        inspection = Inspection(Policy(max_size=2 * plan.size))
        started = time.thread_time()
        for _ in range(count):
            inspection.feed(piece)
        inspection.finish()
        return plan.size / GB / (time.thread_time() - started)

    def alone() -> float:
        digest = hashlib.sha256()
        started = time.thread_time()
        for _ in range(count):
            digest.update(piece)
        digest.hexdigest()
        return plan.size / GB / (time.thread_time() - started)

    found = medians({"ours": ours, "alone": alone}, plan.rounds)
    return Row(
        measure="inspect a stream, SHA-256 included",
        unit="GB/s of CPU",
        ours=found["ours"],
        against="SHA-256 alone",
        theirs=found["alone"],
    )
