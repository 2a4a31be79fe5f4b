"""How much of what it unpacked an xz stream needs to keep, read from its first block's header.

Source: the .xz file format 1.2.1, sections 2.1.1 (stream header), 3.1 (block header), 1.2
(numbers of several bytes) and 5.3.1 (the dictionary of LZMA2).
"""

from __future__ import annotations

from typing import Final

from wharfinger.units import MIB

__all__ = ["LARGEST_WINDOW", "XZ_HEADERS", "xz_window"]

XZ_HEADERS: Final = 12 + 1024
"""The longest that the headers of a stream and its first block can be, in bytes."""

LARGEST_WINDOW: Final = 64 * MIB
"""What the largest preset of xz asks for. A stream that says more needs special tools."""

_STREAM_HEADER: Final = 12
_LZMA2: Final = 0x21


def xz_window(headers: bytes) -> int:
    """Return the window in bytes, 64 MiB at most: the decoder refuses to take more then.

    What cannot be understood is left to the decoder to complain of.
    """
    try:
        return _window(headers[_STREAM_HEADER:])
    except IndexError:
        return LARGEST_WINDOW


def _window(block: bytes) -> int:
    if not block[0]:
        return 0  # the index follows at once: there are no blocks
    flags = block[1]
    at = 2
    for present in (0x40, 0x80):
        if flags & present:
            _, at = _number(block, at)
    for _ in range((flags & 3) + 1):
        kind, at = _number(block, at)
        length, at = _number(block, at)
        if kind == _LZMA2:
            return _dictionary(block[at] & 0x3F)
        at += length
    return LARGEST_WINDOW


def _dictionary(bits: int) -> int:
    return min((2 | bits & 1) << (bits // 2 + 11), LARGEST_WINDOW)


def _number(data: bytes, at: int) -> tuple[int, int]:
    """Return a number of up to nine bytes, seven bits in each, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:  # noqa: PLR2004 - the highest bit says that more follow
            return value, at
