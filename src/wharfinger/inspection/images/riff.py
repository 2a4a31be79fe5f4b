"""WebP: a RIFF file of chunks (RFC 9649)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wharfinger.inspection.images.reading import Bounds, Broken, Source

__all__ = ["Chunk", "chunks", "chunks_within", "walk"]

HEADER: Final = 12


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: its kind, where it starts, where its data is, and where the next one starts."""

    kind: bytes
    start: int
    data: int
    length: int
    end: int


def chunks(source: Source) -> Iterator[Chunk]:
    """Yield the chunks up to the size that the header declares. Raises Broken."""
    head = source.exactly(0, HEADER, "its header")
    if head[:4] != b"RIFF" or head[8:] != b"WEBP":
        raise Broken("it does not begin with a RIFF header of WebP")
    stop = 8 + int.from_bytes(head[4:8], "little")
    if stop > source.size:
        source.ends_inside(f"its {stop} bytes")
    yield from chunks_within(source, HEADER, stop)


def chunks_within(source: Source, start: int, stop: int) -> Iterator[Chunk]:
    """Yield the chunks of a part of the file. Raises Broken."""
    offset = start
    while offset + 8 <= stop:
        head = source.at(offset, 8)
        length = int.from_bytes(head[4:], "little")
        end = offset + 8 + length + length % 2
        if offset + 8 + length > stop:
            raise Broken(f"the chunk at byte {offset} is longer than the file")
        yield Chunk(head[:4], offset, offset + 8, length, end)
        offset = end


def walk(source: Source, bounds: Bounds) -> int:
    """Return the offset behind the image. Raises Broken, TooComplex."""
    width = height = 0
    end, drawn = HEADER, False
    for chunk in chunks(source):
        end = chunk.end
        head = source.at(chunk.data, min(chunk.length, 16))
        match chunk.kind:
            case b"VP8X":
                width = int.from_bytes(head[4:7], "little") + 1
                height = int.from_bytes(head[7:10], "little") + 1
                bounds.picture(width, height)
            case b"VP8 ":
                bounds.frame(
                    int.from_bytes(head[6:8], "little") & 0x3FFF,
                    int.from_bytes(head[8:10], "little") & 0x3FFF,
                )
                drawn = True
            case b"VP8L":
                bits = int.from_bytes(head[1:5], "little")
                bounds.frame((bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
                drawn = True
            case b"ANMF":
                # Each frame is laid over the whole canvas.
                bounds.frame(width, height)
                drawn = True
            case _:
                pass
    if not drawn:
        raise Broken("there is no picture in it")
    # A last odd chunk may lack its padding byte.
    return min(end, source.size)
