"""Sizes and durations as people write them: "5 MiB", "30 d".

In the Python interface sizes are bytes and durations are seconds; text with a
unit is for the places where a person types. A bare number without a unit means
bytes (or seconds).
"""

from __future__ import annotations

import re
from typing import Final

from wharfinger.errors import UsageError

KIB: Final = 1024
MIB: Final = 1024**2
GIB: Final = 1024**3

_SIZE_UNITS: Final = {
    "": 1,
    "b": 1,
    "kib": KIB,
    "mib": MIB,
    "gib": GIB,
    "tib": 1024**4,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "tb": 1000**4,
    # People who write a bare letter mean the binary unit, as `ls -h` and `dd` do.
    "k": KIB,
    "m": MIB,
    "g": GIB,
    "t": 1024**4,
}
_DURATION_UNITS: Final = {
    "": 1,
    "s": 1,
    "m": 60,
    "min": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
}
_NUMBER_AND_UNIT: Final = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,6})?) ?([A-Za-z]*)", re.ASCII)


def parse_size(value: int | str) -> int:
    """Return a size in bytes from an `int` or from text such as "5 MiB" or "2 GB".

    Raises:
        UsageError: the value is negative, or its text is not a number and a known unit.
    """
    return _parse(value, _SIZE_UNITS, "size", "5 MiB, 300 kB or a number of bytes")


def parse_duration(value: int | str) -> int:
    """Return a duration in seconds from an `int` or from text such as "30 d" or "15 min".

    Raises:
        UsageError: the value is negative, or its text is not a number and a known unit.
    """
    return _parse(value, _DURATION_UNITS, "duration", "90 s, 15 min, 12 h, 30 d or 2 w")


def _parse(value: int | str, units: dict[str, int], what: str, example: str) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise UsageError(f"A {what} must be a number or text, not {type(value).__name__}.")
    if isinstance(value, int):
        if value < 0:
            raise UsageError(f"A {what} cannot be negative: {value}.")
        return value
    match = _NUMBER_AND_UNIT.fullmatch(value.strip())
    factor = units.get(match[2].lower()) if match else None
    if match is None or factor is None:
        raise UsageError(f"{value[:40]!r} is not a {what}.", hint=f"Write it like {example}.")
    return int(float(match[1]) * factor) if "." in match[1] else int(match[1]) * factor


def show_size(size: int) -> str:
    """Return a size for people: "5.0 MiB", "812 bytes"."""
    if size < KIB:
        return "1 byte" if size == 1 else f"{size} bytes"
    value = float(size)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= KIB
        # Compared as it will be shown: one byte short of a MiB is "1.0 MiB".
        if round(value, 1) < KIB:
            return f"{value:.1f} {unit}"
    return f"{value:.0f} TiB"


def show_exactly(size: int) -> str:
    """Return a size for people who need every byte: "5.0 MiB (5242880 bytes)", "812 bytes"."""
    shown = show_size(size)
    return shown if size < KIB else f"{shown} ({size} bytes)"
