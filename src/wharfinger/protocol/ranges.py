"""Byte ranges (RFC 9110 section 14): parsing, resolving, joining.

What cannot be understood is ignored, as the RFC wants it: an unknown unit, a broken
set, several Range lines, a field longer than 8 KiB. Work is linear in the field (but for
one sort) and numbers of any length are harmless (CVE-2025-62727).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["MAX_FIELD_LENGTH", "ByteRange", "Span", "join", "parse_range", "resolve"]

# Long enough for any player or downloader, and what servers commonly take as one line.
MAX_FIELD_LENGTH: Final = 8192

_SPEC: Final = re.compile(r"[ \t]*(?:([0-9]+)-([0-9]*)|-([0-9]+))?[ \t]*")
# Beyond every file: longer numbers are read as this one instead of being computed.
_BEYOND: Final = 10**19
_MAX_DIGITS: Final = 19
# A gap that is smaller costs less than the head of another part (RFC 9110 section 15.3.7.2).
_GAP: Final = 80


@dataclass(frozen=True, kw_only=True, slots=True)
class Span:
    """Consecutive bytes of a representation: `length` of them from offset `start`."""

    start: int
    length: int


class ByteRange(NamedTuple):
    """One asked range. `first` None means the last `last` bytes; `last` None means to the end."""

    first: int | None
    last: int | None


def parse_range(value: str) -> tuple[ByteRange, ...] | None:
    """Return the ranges that a Range field asks for, or None when it is to be ignored."""
    if len(value) > MAX_FIELD_LENGTH:
        return None
    unit, equals, specs = value.strip(" \t").partition("=")
    if not equals or unit.lower() != "bytes":
        return None
    ranges: list[ByteRange] = []
    for spec in dict.fromkeys(specs.split(",")):  # the same range twice is the same bytes
        match = _SPEC.fullmatch(spec)
        if match is None:
            return None
        first, last, suffix = match.groups()
        if suffix is not None:
            ranges.append(ByteRange(first=None, last=_number(suffix)))
        elif first is not None:
            asked = ByteRange(first=_number(first), last=_number(last) if last else None)
            if asked.first is not None and asked.last is not None and asked.last < asked.first:
                return None
            ranges.append(asked)
    return tuple(ranges) or None


def resolve(ranges: Iterable[ByteRange], length: int) -> tuple[Span, ...]:
    """Return the satisfiable ones of the asked ranges within `length` bytes, in their order."""
    spans: list[Span] = []
    for asked in ranges:
        if asked.first is None:
            start = max(0, length - (asked.last or 0))
            end = length
        else:
            start = asked.first
            end = length if asked.last is None else min(length, asked.last + 1)
        if start < end:
            spans.append(Span(start=start, length=end - start))
    return tuple(spans)


def join(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the same bytes with no byte twice: what overlaps, touches or nearly touches is one span.

    The order is that in which the first of the joined ones came (RFC 9110 section 15.3.7.2).
    """
    joined: list[tuple[int, int, int]] = []  # when it was asked for first, start, end
    for start, asked, end in sorted(
        (span.start, asked, span.start + span.length) for asked, span in enumerate(spans)
    ):
        if joined and start < joined[-1][2] + _GAP:
            first, begins, ends = joined[-1]
            joined[-1] = (min(first, asked), begins, max(ends, end))
        else:
            joined.append((asked, start, end))
    return tuple(Span(start=start, length=end - start) for _, start, end in sorted(joined))


def _number(digits: str) -> int:
    if len(digits) <= _MAX_DIGITS:
        return int(digits)
    significant = digits.lstrip("0")
    if len(significant) > _MAX_DIGITS:
        return _BEYOND
    return int(significant or "0")
