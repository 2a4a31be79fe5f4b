"""TIFF and BigTIFF: the chain of directories (TIFF 6.0 section 2; BigTIFF design, 2007).

Its parts lie anywhere, so that it has no end: nothing is said about bytes that nothing
points to. What can be said: each page's size, and that the chain ends.
"""

from __future__ import annotations

from typing import Final, Literal

from wharfinger.inspection.images.reading import Bounds, Broken, Source

__all__ = ["walk"]

_WIDTH, _LENGTH = 256, 257
# Sizes of SHORT, LONG and LONG8, the only ones that say a size.
_SIZES: Final = {3: 2, 4: 4, 16: 8}
# Entries are sorted by tag: the size stands among the first.
_LOOKED_AT: Final = 32


def walk(source: Source, bounds: Bounds) -> None:
    """Judge every page. Raises Broken: the chain leads outside or in a circle; TooComplex."""
    head = source.exactly(0, 8, "its header")
    order: Literal["little", "big"] = "little" if head[:2] == b"II" else "big"
    if int.from_bytes(head[2:4], order) == 43:  # noqa: PLR2004 - BigTIFF
        counted, entry, pointer = 8, 20, 8
        offset = int.from_bytes(source.exactly(8, 8, "its header"), order)
    else:
        counted, entry, pointer = 2, 12, 4
        offset = int.from_bytes(head[4:8], order)
    seen: set[int] = set()
    while offset:
        if offset in seen:
            raise Broken(f"its directories lead back to byte {offset}")
        seen.add(offset)
        what = f"directory {len(seen)}"
        count = int.from_bytes(source.exactly(offset, counted, what), order)
        first = offset + counted
        after = first + count * entry
        if after > source.size:
            source.ends_inside(what)
        sizes = {_WIDTH: 0, _LENGTH: 0}
        for number in range(min(count, _LOOKED_AT)):
            row = source.at(first + number * entry, entry)
            tag = int.from_bytes(row[:2], order)
            if tag in sizes:
                size = _SIZES.get(int.from_bytes(row[2:4], order), 0)
                value = 4 + pointer
                sizes[tag] = int.from_bytes(row[value : value + size], order)
        bounds.frame(sizes[_WIDTH], sizes[_LENGTH])
        # Some writers leave out the last pointer at the very end of the file.
        offset = int.from_bytes(source.at(after, pointer), order)
    if not seen:
        raise Broken("there is no picture in it")
