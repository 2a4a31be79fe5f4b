"""The one table that a run prints: ours beside theirs, as text and as Markdown."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wharfinger import __version__

HEAD = ("measure", "wharfinger", "against", "value", "ratio", "better")


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One comparison: medians of ours and of a peer (or of ours and a bound)."""

    measure: str
    unit: str
    ours: float
    against: str
    theirs: float
    lower_is_better: bool = False

    def cells(self) -> tuple[str, ...]:
        """Return the row as text, one entry a column."""
        ratio = f"{self.ours / self.theirs:.2f}" if self.theirs else "-"
        return (
            self.measure,
            f"{_number(self.ours)} {self.unit}",
            self.against,
            f"{_number(self.theirs)} {self.unit}",
            ratio,
            "lower" if self.lower_is_better else "higher",
        )


def as_text(rows: Sequence[Row]) -> str:
    """Return the table for a terminal."""
    lines = [HEAD, *(row.cells() for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    text = [
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    ]
    text.insert(1, "-" * (sum(widths) + 2 * (len(HEAD) - 1)))
    return "\n".join(text)


def as_markdown(rows: Sequence[Row]) -> str:
    """Return the table for docs/benchmarks.md."""
    lines = [HEAD, tuple("---" for _ in HEAD), *(row.cells() for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(versions: Sequence[str]) -> list[str]:
    """Return what the figures came from: processor, cores, memory, kernel, versions."""
    info = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    model = re.search(r"(?m)^model name\s*:\s*(.+)$", info)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1024**3
    processor = model[1] if model else platform.machine()
    programs = [f"wharfinger {__version__}", f"Python {platform.python_version()}", *versions]
    return [
        f"processor: {processor}, {os.cpu_count()} cores, {memory:.0f} GiB memory",
        f"system: {platform.system()} {platform.release()}",
        f"versions: {', '.join(programs)}",
    ]


def _number(value: float) -> str:
    if value >= 100:
        return f"{value:.0f}"
    return f"{value:.1f}" if value >= 10 else f"{value:.2f}"
