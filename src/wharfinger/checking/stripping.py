"""Metadata taken out of an image whose pixels stay as they are, byte for byte.

The parts of the file are copied or left out; nothing is decoded. What is kept is what a
reader needs to show the same picture: pixels, colours, timing. Kinds of parts are kept by
name, so that whatever is not known goes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final, TypeAlias

from wharfinger.inspection.images import gif, jpeg, png, riff
from wharfinger.inspection.images.reading import PIECE, Source

__all__ = ["STRIPPERS", "strip"]

_Part: TypeAlias = "tuple[int, int] | bytes"
"""A range of the file that is kept, or bytes that stand in the place of one."""

# PNG, third edition, table 5: transparency and colour; APNG's chunks; the size of a pixel.
_PNG_KEPT: Final = frozenset(
    b"IHDR PLTE IDAT IEND tRNS cHRM cICP gAMA iCCP mDCV cLLI sBIT sRGB bKGD pHYs "
    b"acTL fcTL fdAT".split()
)
_WEBP_KEPT: Final = frozenset((b"VP8X", b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF", b"ICCP"))
_WEBP_EXIF, _WEBP_XMP = 0x08, 0x04
_LOOPS: Final = (b"NETSCAPE2.0", b"ANIMEXTS1.0")
_ICC: Final = b"ICC_PROFILE\0"
# The header of JFIF without its thumbnail: name, version, units, densities.
_JFIF: Final = 14


def strip(file: BinaryIO, size: int, media_type: str, output: BinaryIO) -> bool:
    """Write the image without metadata; return False, having written nothing, if it has none."""
    source = Source(file, size)
    parts = list(_joined(STRIPPERS[media_type](source)))
    if parts == [(0, size)]:
        return False
    for part in parts:
        if isinstance(part, bytes):
            output.write(part)
            continue
        start, end = part
        while start < end:
            piece = source.exactly(start, min(PIECE, end - start), "the image")
            output.write(piece)
            start += len(piece)
    return True


def _joined(parts: Iterator[_Part]) -> Iterator[_Part]:
    """Join ranges that touch: a PNG has thousands of chunks."""
    held: tuple[int, int] | None = None
    for part in parts:
        if held is None or isinstance(part, bytes) or part[0] != held[1]:
            if held is not None:
                yield held
            held = None
        if isinstance(part, bytes):
            yield part
        else:
            held = part if held is None else (held[0], part[1])
    if held is not None:
        yield held


def _jpeg(source: Source) -> Iterator[_Part]:
    """Keep the segments of the picture, of Adobe's colours and of the colour profile."""
    for segment in jpeg.segments(source):
        whole = (segment.start, segment.end)
        if segment.marker == jpeg.APP0:
            if segment.head.startswith(b"JFIF\0"):
                # SOI, a marker and a length stand before; thumbnail of 0 x 0.
                header = segment.head[: _JFIF - 2] + b"\0\0"
                kept = b"\xff\xe0\x00\x10" + header
                length = segment.end - segment.start
                yield whole if length == len(kept) and segment.head == header else kept
        elif jpeg.APP1 <= segment.marker <= jpeg.APP15:
            is_profile = segment.marker == jpeg.APP2 and segment.head.startswith(_ICC)
            if is_profile:
                yield whole
            elif segment.marker == jpeg.APP14 and segment.head.startswith(b"Adobe"):
                # Tells YCCK from CMYK (Adobe technical note 5116): 12 bytes, and no more of it.
                kept = b"\xff\xee\x00\x0e" + segment.head[:12]
                yield whole if segment.end - segment.start == len(kept) else kept
        elif segment.marker != jpeg.COM:
            yield whole


def _png(source: Source) -> Iterator[_Part]:
    yield (0, len(png.SIGNATURE))
    for chunk in png.chunks(source):
        if chunk.kind in _PNG_KEPT:
            yield (chunk.start, chunk.end)


def _gif(source: Source) -> Iterator[_Part]:
    """Keep the images, their timing and how often they are shown."""
    head = source.at(0, gif.HEADER)
    yield (0, gif.HEADER + gif.colours(head[10]))
    for block in gif.blocks(source):
        if block.kind != gif.EXTENSION or block.label == gif.CONTROL:
            yield (block.start, block.end)
        elif block.label == gif.APPLICATION and source.at(block.start + 3, 11) in _LOOPS:
            # The count alone: sub-blocks behind it may hold anything.
            kept = source.at(block.start, 14) + source.at(block.start + 14, 4) + b"\0"
            if kept[14:16] == b"\3\1":
                yield kept if block.end - block.start != len(kept) else (block.start, block.end)


def _webp(source: Source) -> Iterator[_Part]:
    """Keep the pixels, their timing and the colour profile; the sizes in the header follow."""
    kept = [chunk for chunk in riff.chunks(source) if chunk.kind in _WEBP_KEPT]
    length = 4 + sum(8 + chunk.length + chunk.length % 2 for chunk in kept)
    header = b"RIFF" + length.to_bytes(4, "little") + b"WEBP"
    yield (0, riff.HEADER) if source.at(0, riff.HEADER) == header else header
    for chunk in kept:
        if chunk.kind == b"VP8X":
            whole = source.at(chunk.start, chunk.end - chunk.start)
            flags = whole[8] & ~(_WEBP_EXIF | _WEBP_XMP)
            said = whole[:8] + bytes((flags,)) + whole[9:]
            yield (chunk.start, chunk.end) if said == whole else said
        elif chunk.end > source.size:
            yield (chunk.start, source.size)
            yield b"\0"
        else:
            yield (chunk.start, chunk.end)


STRIPPERS: Final[Mapping[str, Callable[[Source], Iterator[_Part]]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
}
