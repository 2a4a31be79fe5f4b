"""PNG and APNG: chunks with their checksums up to IEND (W3C PNG, third edition, section 5)."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wharfinger.errors import TooComplex
from wharfinger.inspection.images.reading import PIECE, Bounds, Broken, Source
from wharfinger.units import MIB

__all__ = ["SIGNATURE", "Chunk", "chunks", "walk"]

SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
# No honest text or colour profile comes near; Pillow has the same limit for one chunk.
MAX_TEXT: Final = MIB
MAX_TEXTS: Final = 8 * MIB
# What a byte of deflate may become (zlib's technical details).
_MOST_RATIO: Final = 1032
_KEYWORD: Final = 80
_LANGUAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk: its kind, and where its whole and its data lie."""

    kind: bytes
    start: int
    data: int
    end: int


def chunks(source: Source) -> Iterator[Chunk]:
    """Yield the chunks up to IEND, each with a right checksum. Raises Broken."""
    if source.at(0, 8) != SIGNATURE:
        raise Broken("it does not begin with a PNG signature")
    offset = len(SIGNATURE)
    kind = b""
    while kind != b"IEND":
        head = source.exactly(offset, 8, "its chunks, without an IEND")
        length, kind = int.from_bytes(head[:4], "big"), head[4:]
        data = offset + 8
        end = data + length + 4
        if end > source.size:
            source.ends_inside(f"the chunk {_shown(kind)}")
        checksum = zlib.crc32(kind)
        place = data
        while place < data + length:
            piece = source.at(place, min(PIECE, data + length - place))
            checksum = zlib.crc32(piece, checksum)
            place += len(piece)
        if checksum.to_bytes(4, "big") != source.at(place, 4):
            raise Broken(f"the checksum of the chunk {_shown(kind)} at byte {offset} is wrong")
        yield Chunk(kind, offset, data, end)
        offset = end


def walk(source: Source, bounds: Bounds) -> int:
    """Return the offset behind IEND. Raises Broken, TooComplex."""
    texts = _Texts(source)
    end, width, height, drawn = 0, 0, 0, False
    for chunk in chunks(source):
        end = chunk.end
        if (chunk.kind == b"IHDR") != (chunk.start == len(SIGNATURE)):
            raise Broken("its header is not its first chunk, or stands there twice")
        match chunk.kind:
            case b"IHDR":
                if chunk.end - chunk.data != 13 + 4:
                    raise Broken("its header has a wrong length")
                head = source.at(chunk.data, 8)
                width, height = int.from_bytes(head[:4], "big"), int.from_bytes(head[4:], "big")
                bounds.frame(width, height)
            case b"IDAT":
                drawn = True
            case b"fcTL":
                # Each frame is laid over the canvas; the first may be the picture itself.
                bounds.frame(width, height)
            case b"zTXt" | b"iCCP":
                texts.named(chunk)
            case b"iTXt":
                texts.international(chunk)
            case _:
                pass
    if not drawn:
        raise Broken("there is no picture in it")
    return end


class _Texts:
    """Counts what compressed texts and profiles are long once they are inflated."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._total = 0

    def named(self, chunk: Chunk) -> None:
        """A zTXt or iCCP: a keyword, a zero byte, the method, the compressed data."""
        keyword, zero, _ = self._source.at(
            chunk.data, min(_KEYWORD, chunk.end - 4 - chunk.data)
        ).partition(b"\0")
        if zero:
            self._count(chunk, chunk.data + len(keyword) + 2)

    def international(self, chunk: Chunk) -> None:
        """An iTXt: keyword, compression flag and method, language, translated keyword, text."""
        length = min(chunk.end - 4 - chunk.data, _LANGUAGE)
        head = self._source.at(chunk.data, length)
        keyword, _, rest = head.partition(b"\0")
        if rest[:1] != b"\1":
            return
        language, _, rest = rest[2:].partition(b"\0")
        translated, zero, _ = rest.partition(b"\0")
        if not zero:
            # The text itself begins beyond what any reader expects: nothing honest.
            raise Broken(f"the keywords of the text at byte {chunk.start} do not end")
        self._count(chunk, chunk.data + len(keyword) + 3 + len(language) + 1 + len(translated) + 1)

    def _count(self, chunk: Chunk, start: int) -> None:
        inflater = zlib.decompressobj()
        length, stop = 0, chunk.end - 4
        while start < stop and not inflater.eof:
            piece = self._source.at(start, min(PIECE, stop - start))
            start += len(piece)
            try:
                length += len(inflater.decompress(piece, MAX_TEXT + 1))
            except zlib.error:
                # Readers ignore such a text, and so may we: the picture does not need it. What
                # it took to find that out counts, as if it were as long as can be.
                length = min(MAX_TEXT, length + _MOST_RATIO * len(piece))
                start = stop
            if length > MAX_TEXT or self._total + length > MAX_TEXTS:
                limit = MAX_TEXT if length > MAX_TEXT else MAX_TEXTS
                raise TooComplex(
                    f"Texts of the PNG image inflate to more than {limit} bytes.",
                    what="bytes",
                    limit=limit,
                )
        self._total += length


def _shown(kind: bytes) -> str:
    return repr(kind.decode("latin-1"))
