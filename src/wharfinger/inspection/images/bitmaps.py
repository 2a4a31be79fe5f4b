"""BMP and ICO: headers that say where the pixels lie.

BMP: Windows SDK, BITMAPFILEHEADER and the headers that follow it. Its file size field is wrong
in many honest files and is not believed; the end of the pixels and of the profile is reckoned.
"""

from __future__ import annotations

from typing import Final

from wharfinger.inspection.images.reading import Bounds, Broken, Source

__all__ = ["walk_bmp", "walk_ico"]

_OS2: Final = 12
_V5: Final = 124
_UNCOMPRESSED: Final = frozenset({0, 3, 6})
_ENTRY: Final = 16


def walk_bmp(source: Source, bounds: Bounds) -> int | None:
    """Return the offset behind the pixels; None when only decoding tells. Raises as all walks."""
    head = source.exactly(0, 18, "its header")
    if head[:2] != b"BM":
        raise Broken("it does not begin with a BMP signature")
    pixels = int.from_bytes(head[10:14], "little")
    length = int.from_bytes(head[14:18], "little")
    if length < _OS2:
        raise Broken(f"its header has {length} bytes")
    info = source.exactly(14, min(length, _V5), "its header")
    if length == _OS2:
        width, height = int.from_bytes(info[4:6], "little"), int.from_bytes(info[6:8], "little")
        depth, compression, declared = int.from_bytes(info[10:12], "little"), 0, 0
    else:
        width = abs(int.from_bytes(info[4:8], "little", signed=True))
        # A negative height: rows from the top.
        height = abs(int.from_bytes(info[8:12], "little", signed=True))
        depth = int.from_bytes(info[14:16], "little")
        compression = int.from_bytes(info[16:20], "little")
        declared = int.from_bytes(info[20:24], "little")
    bounds.frame(width, height)
    rows = (width * depth + 31) // 32 * 4 * height
    if compression in _UNCOMPRESSED:
        end = pixels + rows
    elif declared:
        end = pixels + declared
    else:
        return None
    if length == _V5 and info[56:60] in {b"DEBM", b"KNIL"}:
        # PROFILE_EMBEDDED, PROFILE_LINKED: its place, reckoned from the second header, and its length.
        profile = int.from_bytes(info[112:116], "little") + int.from_bytes(info[116:120], "little")
        end = max(end, 14 + profile)
    if pixels >= source.size:
        source.ends_inside("its header")
    return min(end, source.size)


def walk_ico(source: Source, bounds: Bounds) -> int:
    """Return the offset behind the last of the icon's pictures. Raises as all walks."""
    head = source.exactly(0, 6, "its directory")
    if head[:3] != b"\0\0\1" and head[:3] != b"\0\0\2":
        raise Broken("it does not begin with a directory of icons")
    count = int.from_bytes(head[4:6], "little")
    if not count:
        raise Broken("there is no picture in it")
    bounds.frames(count)
    ends = [6 + count * _ENTRY]
    for number in range(count):
        entry = source.exactly(6 + number * _ENTRY, _ENTRY, "its directory")
        end = int.from_bytes(entry[8:12], "little") + int.from_bytes(entry[12:16], "little")
        if end > source.size:
            source.ends_inside(f"picture {number + 1} of {count}")
        ends.append(end)
    return max(ends)
