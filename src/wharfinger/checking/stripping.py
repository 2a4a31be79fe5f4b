"""Metadata taken out of an image whose pixels stay as they are, byte for byte.

The parts of the file are copied or left out; nothing is decoded. What is kept is what a
reader needs to show the same picture: pixels, colours, timing. Kinds of parts are kept by
name, so that whatever is not known goes.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Mapping
from typing import BinaryIO, Final, TypeAlias

from wharfinger.inspection.images import gif, jpeg, png, riff
from wharfinger.inspection.images.reading import PIECE, Source

__all__ = ["STRIPPERS", "strip"]

_Part: TypeAlias = "tuple[int, int] | bytes"
"""A range of the file that is kept, or bytes that stand in the place of one."""

# PNG, third edition, table 5: transparency and colour, the size of a pixel; APNG's control. The
# longest that each may be: readers ignore what follows, and the same chunk a second time.
_PNG_KEPT: Final[Mapping[bytes, int]] = {
    b"IHDR": 13,
    b"PLTE": 768,
    b"IEND": 0,
    b"tRNS": 256,
    b"cHRM": 32,
    b"cICP": 4,
    b"gAMA": 4,
    b"mDCV": 24,
    b"cLLI": 8,
    b"sBIT": 4,
    b"sRGB": 1,
    b"bKGD": 6,
    b"pHYs": 9,
    b"acTL": 8,
}
# Where the header says what colours there are; a grey, a colour, or one byte for each of a palette
# may be transparent.
_PNG_COLOUR: Final = 25
_PNG_CLEAR: Final = {b"\0": 2, b"\2": 6, b"\3": 256}
# Of any length, and of the parts of pixels many.
_PNG_PROFILE: Final = b"iCCP"
_PNG_PIXELS: Final = frozenset((b"IDAT", b"fcTL", b"fdAT"))
# T.81 table B.1: frames, scans and what decoders need for them. Not DNL, whose number of lines
# no decoder here waits for, and whose segment may be of any length.
_JPEG_KEPT: Final = frozenset({*range(0xC0, 0xD0), *range(0xD0, 0xD8), jpeg.SOI, jpeg.EOI}) | {
    jpeg.SOS, 0xDB, 0xDD,
}  # fmt: skip
# RFC 9649 section 2.7: a picture, what belongs to it, and the longest that a header may be.
_WEBP_PICTURE: Final = frozenset((b"VP8 ", b"VP8L"))
_WEBP_KEPT: Final = frozenset((b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"ICCP")) | _WEBP_PICTURE
_ANIM, _ANMF = 6, 16
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
        elif segment.marker in _JPEG_KEPT:
            yield whole


def _png(source: Source) -> Iterator[_Part]:
    yield (0, len(png.SIGNATURE))
    seen: set[bytes] = set()
    for chunk in png.chunks(source):
        if chunk.kind in _PNG_PIXELS:
            yield (chunk.start, chunk.end)
            continue
        longest = _PNG_KEPT.get(chunk.kind)
        if chunk.kind == b"tRNS":
            longest = _PNG_CLEAR.get(source.at(_PNG_COLOUR, 1), 0)
        if chunk.kind in seen or (longest is None and chunk.kind != _PNG_PROFILE):
            continue
        seen.add(chunk.kind)
        if longest is None or chunk.end - 4 - chunk.data <= longest:
            yield (chunk.start, chunk.end)
        else:
            body = chunk.kind + source.at(chunk.data, longest)
            yield longest.to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")


def _gif(source: Source) -> Iterator[_Part]:
    """Keep the images, their timing and how often they are shown."""
    head = source.at(0, gif.HEADER)
    yield (0, gif.HEADER + gif.colours(head[10]))
    for block in gif.blocks(source):
        if block.kind != gif.EXTENSION:
            yield (block.start, block.end)
        elif block.label == gif.CONTROL:
            # Four bytes, in one sub-block: others behind it may hold anything.
            whole = source.at(block.start, 3)
            kept = whole[:2] + b"\4" + source.at(block.start + 3, 4) + b"\0"
            if whole[2] >= 4:  # noqa: PLR2004 - their length
                yield kept if block.end - block.start != len(kept) else (block.start, block.end)
        elif block.label == gif.APPLICATION and source.at(block.start + 3, 11) in _LOOPS:
            # The count alone: sub-blocks behind it may hold anything.
            kept = source.at(block.start, 14) + source.at(block.start + 14, 4) + b"\0"
            if kept[14:16] == b"\3\1":
                yield kept if block.end - block.start != len(kept) else (block.start, block.end)


def _webp(source: Source) -> Iterator[_Part]:
    """Keep the pixels, their timing and the colour profile; the sizes in the header follow."""
    parts = list(_webp_parts(source))
    header = b"RIFF" + (4 + sum(map(_length, parts))).to_bytes(4, "little") + b"WEBP"
    yield (0, riff.HEADER) if source.at(0, riff.HEADER) == header else header
    yield from parts


def _webp_parts(source: Source) -> Iterator[_Part]:
    drawn = False
    for chunk in riff.chunks(source):
        # Of a still picture nothing follows the pixels.
        if chunk.kind not in _WEBP_KEPT or (drawn and chunk.kind != b"ANMF"):
            continue
        drawn = drawn or chunk.kind in _WEBP_PICTURE
        if chunk.kind == b"VP8X":
            whole = source.at(chunk.start, chunk.end - chunk.start)
            flags = whole[8] & ~(_WEBP_EXIF | _WEBP_XMP)
            said = whole[:8] + bytes((flags,)) + whole[9:]
            yield (chunk.start, chunk.end) if said == whole else said
        elif chunk.kind == b"ANIM" and chunk.length > _ANIM:
            yield b"ANIM" + _ANIM.to_bytes(4, "little") + source.at(chunk.data, _ANIM)
        elif chunk.kind == b"ANMF":
            yield from _frame(source, chunk)
        else:
            yield from _padded(source, chunk)


def _frame(source: Source, chunk: riff.Chunk) -> Iterator[_Part]:
    """Keep of a frame its place and its pixels (RFC 9649 section 2.7.1.1)."""
    inner = riff.chunks_within(source, chunk.data + _ANMF, chunk.data + chunk.length)
    parts = [
        part
        for kept in inner
        if kept.kind in _WEBP_PICTURE or kept.kind == b"ALPH"
        for part in _padded(source, kept)
    ]
    length = _ANMF + sum(map(_length, parts))
    if length == chunk.length:
        yield from _padded(source, chunk)
        return
    yield b"ANMF" + length.to_bytes(4, "little") + source.at(chunk.data, _ANMF)
    yield from parts


def _padded(source: Source, chunk: riff.Chunk) -> Iterator[_Part]:
    """Keep a chunk whole; the last one of a file may lack the byte that makes it even."""
    yield (chunk.start, min(chunk.end, source.size))
    if chunk.end > source.size:
        yield b"\0"


def _length(part: _Part) -> int:
    return len(part) if isinstance(part, bytes) else part[1] - part[0]


STRIPPERS: Final[Mapping[str, Callable[[Source], Iterator[_Part]]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
}
