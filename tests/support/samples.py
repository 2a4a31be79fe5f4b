"""Small honest files and their look-alikes, made by the tests themselves."""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

from PIL import Image


@cache
def image(kind: str) -> bytes:
    """Return a real 8 x 8 picture: "JPEG", "PNG", "GIF", "WEBP"..."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (200, 30, 90)).save(file, kind)
    return file.getvalue()


def png_of(size: int) -> bytes:
    """Return a valid PNG of exactly `size` bytes, padded by one private chunk."""
    whole = image("PNG")
    head, tail = whole[:-12], whole[-12:]
    padding = size - len(whole) - 12
    assert padding >= 0
    data = b"\0" * padding
    chunk = b"prVt" + data
    return head + struct.pack(">I", padding) + chunk + struct.pack(">I", zlib.crc32(chunk)) + tail


HTML = b"<!DOCTYPE html><html><script>alert(1)</script></html>"
SCRIPT = b"#!/bin/sh\necho gotcha\n"
PDF = (
    b"%PDF-1.4\n1 0 obj\n<</Type/Catalog/Pages 2 0 R>>\nendobj\n"
    b"2 0 obj\n<</Type/Pages/Kids[3 0 R]/Count 1>>\nendobj\n"
    b"3 0 obj\n<</Type/Page/Parent 2 0 R/MediaBox[0 0 9 9]>>\nendobj\n"
    b"trailer\n<</Root 1 0 R/Size 4>>\n%%EOF\n"
)
TEXT = "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich.\n".encode()
