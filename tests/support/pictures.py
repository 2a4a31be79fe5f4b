"""Pictures with anything inside or behind them, made part by part."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

from PIL import Image

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def picture(
    kind: str, size: tuple[int, int] = (8, 8), mode: str = "RGB", **options: object
) -> bytes:
    """Return a picture with a gradient in it, as Pillow writes it."""
    file = io.BytesIO()
    gradient(size, mode).save(file, kind, **options)
    return file.getvalue()


def gradient(size: tuple[int, int] = (8, 8), mode: str = "RGB") -> Image.Image:
    width, height = size
    image = Image.new("RGB", size)
    image.putdata(
        [(x * 255 // width, y * 255 // height, 90) for y in range(height) for x in range(width)]
    )
    return image.convert(mode)


def noise(kind: str, size: tuple[int, int], mode: str = "RGB", **options: object) -> bytes:
    """Return a picture that packs badly."""
    file = io.BytesIO()
    Image.effect_noise(size, 90).convert(mode).save(file, kind, **options)
    return file.getvalue()


def animation(kind: str, frames: Sequence[Image.Image], **options: object) -> bytes:
    file = io.BytesIO()
    # Copies: Pillow leaves settings of one format in an image that it has written.
    first, *rest = (frame.copy() for frame in frames)
    first.save(file, kind, save_all=True, append_images=rest, **options)
    return file.getvalue()


# --- PNG ----------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes = b"") -> bytes:
    """Return a PNG chunk with its checksum."""
    body = kind + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def header(width: int, height: int, *, depth: int = 8, colour: int = 0) -> bytes:
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))


def png(*extra: bytes, width: int = 1, height: int = 1) -> bytes:
    """Return a grey PNG with more chunks before its pixels."""
    rows = zlib.compress((b"\0" + b"\x80" * width) * height)
    return b"".join(
        (SIGNATURE, header(width, height), *extra, chunk(b"IDAT", rows), chunk(b"IEND"))
    )


def flat_png(side: int) -> bytes:
    """Return a square of black pixels, one bit each, packed hard."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + (side + 7) // 8)) for _ in range(side))
    pixels = chunk(b"IDAT", rows + packer.flush())
    return SIGNATURE + header(side, side, depth=1) + pixels + chunk(b"IEND")


# --- JPEG ---------------------------------------------------------------------------------


def segment(marker: int, data: bytes) -> bytes:
    """Return a JPEG segment."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(data) + 2) + data


def jpeg(*extra: bytes, size: tuple[int, int] = (8, 8), **options: object) -> bytes:
    """Return a JPEG with more segments behind its first bytes."""
    whole = picture("JPEG", size, "RGB", **options)
    return whole[:2] + b"".join(extra) + whole[2:]


def exif(orientation: int = 1, *, more: bytes = b"") -> bytes:
    """Return an EXIF block with an orientation, and a description that holds `more`."""
    tags = Image.Exif()
    tags[0x0112] = orientation
    if more:
        tags[0x010E] = more.decode("latin-1")
    return tags.tobytes()


# --- GIF ----------------------------------------------------------------------------------


def gif(*blocks: bytes, size: tuple[int, int] = (1, 1)) -> bytes:
    """Return a GIF of two colours with these blocks and a trailer."""
    head = b"GIF89a" + struct.pack("<HHBBB", *size, 0x80, 0, 0)
    return head + b"\0\0\0\xff\xff\xff" + b"".join(blocks) + b"\x3b"


def gif_frame(place: tuple[int, int, int, int] = (0, 0, 1, 1)) -> bytes:
    """Return an image block: clear, one pixel of colour 0, end (codes of 3 bits)."""
    return b"\x2c" + struct.pack("<HHHHB", *place, 0) + b"\x02\x02\x44\x01\0"


def gif_extension(label: int, *data: bytes) -> bytes:
    return bytes((0x21, label)) + b"".join(bytes((len(d),)) + d for d in data) + b"\0"


# --- WebP, BMP, ICO, TIFF, boxes ----------------------------------------------------------


def webp_chunk(kind: bytes, data: bytes) -> bytes:
    return kind + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)


def webp(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def tiff(*pages: tuple[int, int], following: int | None = None) -> bytes:
    """Return the directories of a TIFF without pixels; the last one points to `following`."""
    data = struct.pack("<2sHI", b"II", 42, 8)
    for number, (width, height) in enumerate(pages):
        last = number == len(pages) - 1
        behind = len(data) + 2 + 2 * 12 + 4
        data += struct.pack(
            "<HHHIIHHIII", 2, 256, 4, 1, width, 257, 4, 1, height,
            (following or 0) if last else behind,
        )  # fmt: skip
    return data


def box(kind: bytes, data: bytes = b"", *, length: int | None = None) -> bytes:
    return struct.pack(">I", 8 + len(data) if length is None else length) + kind + data
