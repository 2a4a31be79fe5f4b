"""Animations written frame by frame: GIF, APNG and WebP, at the memory of two frames.

Pillow's own writers hold all frames at once. Here it encodes one still picture at a time,
and the container around them is ours. A frame is cut to what changed since the one before.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from PIL import Image, ImageChops

from wharfinger.inspection.images import gif, png, riff
from wharfinger.inspection.images.reading import Source

__all__ = ["Frame", "write_apng", "write_gif", "write_webp"]

_HALF: Final = 127
_LEAVE, _CLEAR = 1, 2
_TRANSPARENT_INDEX: Final = 255
_MOST_DELAY: Final = 0xFFFF


@dataclass(frozen=True, slots=True)
class Frame:
    """One full frame in RGBA, shown for `duration` milliseconds."""

    image: Image.Image
    duration: float


def write_gif(
    output: BinaryIO, size: tuple[int, int], frames: Iterable[Frame], loop: int | None
) -> int:
    """Write an animated GIF (GIF89a); return its frames.

    `loop`: how often it is shown, 0 for ever, None for once.
    """
    output.write(b"GIF89a" + struct.pack("<HHBBB", *size, 0x70, 0, 0))
    if loop is not None:
        output.write(b"\x21\xff\x0bNETSCAPE2.0\x03\x01" + struct.pack("<HB", loop & 0xFFFF, 0))
    count = 0
    for drawn in _drawn(frames):
        count += 1
        still, see_through = _with_palette(drawn.image, spare=drawn.clear)
        encoded = io.BytesIO()
        still.save(encoded, "GIF", interlace=False)
        data = encoded.getvalue()
        source = Source(io.BytesIO(data), len(data))
        found = {block.label or block.kind: block for block in gif.blocks(source)}
        block = found[gif.IMAGE]
        # The colours of the still picture become those of the frame.
        bits = data[10] & 7
        colours = data[gif.HEADER : gif.HEADER + gif.colours(data[10])]
        flags = (_CLEAR if drawn.clear else _LEAVE) << 2 | drawn.clear
        delay = min(round(drawn.duration / 10), _MOST_DELAY)
        # Pillow leaves out colours that nothing uses, and counts the others anew.
        index = data[found[gif.CONTROL].start + 6] if see_through else _TRANSPARENT_INDEX
        output.write(b"\x21\xf9\x04" + struct.pack("<BHBB", flags, delay, index, 0))
        place = struct.pack("<HHHHB", *drawn.place, *drawn.image.size, 0x80 | bits)
        output.write(b"\x2c" + place + colours + data[block.start + 10 : block.end])
    output.write(b"\x3b")
    return count


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What is drawn of a frame, where, and whether its place is cleared before the next one."""

    image: Image.Image
    duration: float
    place: tuple[int, int]
    clear: bool


def _drawn(frames: Iterable[Frame]) -> Iterator[_Drawn]:
    """Yield what is drawn of each frame.

    A frame lies over what stands there. Where one has holes, the one before it is cleared,
    and both are drawn whole; else only what changed is.
    """
    before: Image.Image | None = None
    waiting = iter(frames)
    frame = next(waiting, None)
    while frame is not None:
        following = next(waiting, None)
        image = frame.image
        clear = _has_holes(image) or (following is not None and _has_holes(following.image))
        box = (0, 0, *image.size)
        if before is not None and not clear:
            box = _changed(before, image)
        yield _Drawn(image.crop(box), frame.duration, box[:2], clear)
        before = None if clear else image
        frame = following


def _has_holes(image: Image.Image) -> bool:
    """Return whether a pixel is more transparent than not: GIF knows no other."""
    return cast("tuple[int, int]", image.getchannel("A").getextrema())[0] <= _HALF


def _with_palette(image: Image.Image, *, spare: bool) -> tuple[Image.Image, bool]:
    """Return the image with at most 256 colours, and whether one of them is "transparent".

    With `spare` the last one is left for that: readers clear a frame's place to the colour
    that it calls transparent, even if it has none.
    """
    holes = _has_holes(image)
    plain = _few_colours(image.convert("RGB"), _TRANSPARENT_INDEX if spare else 256)
    if holes:
        mask = image.getchannel("A").point([255] * (_HALF + 1) + [0] * (255 - _HALF))
        colours = (plain.getpalette() or [])[: _TRANSPARENT_INDEX * 3]
        plain.putpalette(colours + [0] * (256 * 3 - len(colours)))
        plain.paste(_TRANSPARENT_INDEX, mask=mask)
        plain.info = {"transparency": _TRANSPARENT_INDEX}
    return plain, holes


def _few_colours(image: Image.Image, most: int) -> Image.Image:
    """Return the image with a palette: the very colours where there are few, else the nearest."""
    colours = image.getcolors(most)
    if colours is None:
        return image.quantize(most)
    # Sorted, so that the old order, in which anything may be written, is lost.
    found = sorted(cast("tuple[int, int, int]", colour) for _, colour in colours)
    palette = Image.new("P", (1, 1))
    flat = [part for colour in found for part in colour]
    palette.putpalette(flat + list(found[0]) * (256 - len(found)))
    return image.quantize(palette=palette, dither=Image.Dither.NONE)


def write_apng(output: BinaryIO, frames: Iterable[Frame], count: int, loop: int) -> int:
    """Write an animated PNG of `count` frames (W3C PNG, third edition, section 4.9)."""
    sequence = 0
    for number, (image, duration, (left, top)) in enumerate(_cut(frames, even=False)):
        encoded = io.BytesIO()
        image.save(encoded, "PNG")
        data = encoded.getvalue()
        chunks = list(png.chunks(Source(io.BytesIO(data), len(data))))
        if number == 0:
            output.write(data[: chunks[0].end])
            output.write(_chunk(b"acTL", struct.pack(">II", count, loop)))
        delay = min(round(duration), _MOST_DELAY)
        # Lies in its place and replaces what was there.
        control = struct.pack(">IIIIIHHBB", sequence, *image.size, left, top, delay, 1000, 0, 0)
        output.write(_chunk(b"fcTL", control))
        sequence += 1
        for chunk in chunks:
            if chunk.kind != b"IDAT":
                continue
            if number == 0:
                output.write(data[chunk.start : chunk.end])
                continue
            piece = struct.pack(">I", sequence) + data[chunk.data : chunk.end - 4]
            output.write(_chunk(b"fdAT", piece))
            sequence += 1
    output.write(_chunk(b"IEND", b""))
    return count


def _chunk(kind: bytes, data: bytes) -> bytes:
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def write_webp(
    output: BinaryIO,
    size: tuple[int, int],
    frames: Iterable[Frame],
    loop: int,
    *,
    quality: int,
    lossless: bool,
) -> int:
    """Write an animated WebP (RFC 9649 section 2.7); return its frames."""
    count = 0
    output.write(b"RIFF\0\0\0\0WEBP")
    # An animation, perhaps with transparency.
    _riff(output, b"VP8X", b"\x12\0\0\0" + _three(size[0] - 1) + _three(size[1] - 1))
    _riff(output, b"ANIM", struct.pack("<IH", 0, loop & 0xFFFF))
    for image, duration, (left, top) in _cut(frames, even=True):
        count += 1
        encoded = io.BytesIO()
        image.save(encoded, "WEBP", quality=quality, lossless=lossless)
        data = encoded.getvalue()
        place = b"".join(map(_three, (left // 2, top // 2, image.width - 1, image.height - 1)))
        # Replaces what was there: no blending.
        content = io.BytesIO()
        content.write(place + _three(min(round(duration), 0xFFFFFF)) + b"\x02")
        for chunk in riff.chunks(Source(io.BytesIO(data), len(data))):
            if chunk.kind in {b"ALPH", b"VP8 ", b"VP8L"}:
                _riff(content, chunk.kind, data[chunk.data : chunk.data + chunk.length])
        _riff(output, b"ANMF", content.getvalue())
    length = output.tell()
    output.seek(4)
    output.write(struct.pack("<I", length - 8))
    output.seek(length)
    return count


def _riff(output: BinaryIO, kind: bytes, data: bytes) -> None:
    output.write(kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2))


def _three(number: int) -> bytes:
    return number.to_bytes(3, "little")


def _cut(
    frames: Iterable[Frame], *, even: bool
) -> Iterator[tuple[Image.Image, float, tuple[int, int]]]:
    """Yield what changed in each frame, and where; at even places where the format asks so."""
    before: Image.Image | None = None
    for frame in frames:
        image = frame.image
        left, top, right, bottom = (0, 0, *image.size)
        if before is not None:
            left, top, right, bottom = _changed(before, image)
            if even:
                left, top = left // 2 * 2, top // 2 * 2
        yield image.crop((left, top, right, bottom)), frame.duration, (left, top)
        before = image


def _changed(before: Image.Image, image: Image.Image) -> tuple[int, int, int, int]:
    """Return the box in which two frames differ; one pixel where they do not."""
    box = ImageChops.difference(before, image).getbbox(alpha_only=False)
    return box or (0, 0, 1, 1)
