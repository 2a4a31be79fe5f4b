"""GIF: blocks up to the trailer (GIF89a specification, appendix A)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wharfinger.inspection.images.reading import Bounds, Broken, Source

__all__ = ["Block", "blocks", "colours", "walk"]

IMAGE, EXTENSION, TRAILER = 0x2C, 0x21, 0x3B
CONTROL, COMMENT, TEXT, APPLICATION = 0xF9, 0xFE, 0x01, 0xFF
HEADER: Final = 13
_WHAT: Final = "its blocks, without a trailer"


@dataclass(frozen=True, slots=True)
class Block:
    """One block: an image, an extension (`label` says of which kind), or the trailer."""

    kind: int
    label: int
    start: int
    end: int


def colours(flags: int) -> int:
    """Return the length in bytes of the colour table that these flags announce."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def blocks(source: Source) -> Iterator[Block]:
    """Yield the blocks behind the header and its colours, up to the trailer. Raises Broken."""
    head = source.exactly(0, HEADER, "its header")
    if head[:6] not in {b"GIF87a", b"GIF89a"}:
        raise Broken("it does not begin with a GIF signature")
    offset = HEADER + colours(head[10])
    while True:
        kind = source.exactly(offset, 1, _WHAT)[0]
        start, label = offset, 0
        if kind == TRAILER:
            yield Block(kind, label, start, offset + 1)
            return
        if kind == EXTENSION:
            label = source.exactly(offset + 1, 1, _WHAT)[0]
            offset = _after_data(source, offset + 2)
        elif kind == IMAGE:
            flags = source.exactly(offset + 9, 1, _WHAT)[0]
            # One byte of code size stands before the data.
            offset = _after_data(source, offset + 10 + colours(flags) + 1)
        else:
            raise Broken(f"there is no block at byte {offset}")
        yield Block(kind, label, start, offset)


def walk(source: Source, bounds: Bounds) -> int:
    """Return the offset behind the trailer. Raises Broken, TooComplex."""
    head = source.exactly(0, HEADER, "its header")
    width, height = _pair(head, 6)
    bounds.picture(width, height)
    end, drawn = 0, False
    for block in blocks(source):
        end = block.end
        if block.kind == IMAGE:
            place = source.at(block.start + 1, 8)
            left, top = _pair(place, 0)
            across, down = _pair(place, 4)
            # Each frame is shown on the whole canvas, and decoders enlarge it where one overhangs.
            bounds.frame(max(width, left + across), max(height, top + down))
            drawn = True
    if not drawn:
        raise Broken("there is no picture in it")
    return end


def _pair(data: bytes, offset: int) -> tuple[int, int]:
    first = int.from_bytes(data[offset : offset + 2], "little")
    return first, int.from_bytes(data[offset + 2 : offset + 4], "little")


def _after_data(source: Source, offset: int) -> int:
    """Return the offset behind a row of sub-blocks and the empty one that ends it."""
    while length := source.exactly(offset, 1, _WHAT)[0]:
        offset += length + 1
    return offset + 1
