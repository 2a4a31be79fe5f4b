"""AVIF decoded by libvips, where Pillow refuses. Runs in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, cast

from PIL import Image

from wharfinger.checking.jobs import Request
from wharfinger.checking.messages import Message
from wharfinger.checking.pictures import Frames

if TYPE_CHECKING:
    import pyvips

__all__ = ["check", "still"]


def check(request: Request, frames: Frames) -> Message:
    """Return width, height and frames of an AVIF image; whatever raises is damage."""
    width = height = 0
    for image in _pages(request, frames):
        # Sums up every pixel, a strip at a time.
        image.avg()
        width, height = width or image.width, height or image.height
    return {"width": width, "height": height, "frames": frames.count}


def still(request: Request) -> Image.Image:
    """Return the first picture of an AVIF image in RGB or RGBA."""
    image = next(_pages(request, Frames.of(request))).colourspace("srgb").cast("uchar")
    mode = "RGBA" if image.hasalpha() else "RGB"
    return Image.frombytes(mode, (image.width, image.height), image.write_to_memory())


def _pages(request: Request, frames: Frames) -> Iterator[pyvips.Image]:
    import pyvips

    pyvips.cache_set_max(0)
    with request.open() as file:
        content = file.read()
    number, count = 0, 1
    while number < count:
        # The loader by its name: libvips itself would look at the first brand alone.
        image = pyvips.Image.heifload_buffer(
            content, page=number, access="sequential", fail_on="truncated"
        )
        if "n-pages" in image.get_fields():
            count = cast("int", image.get("n-pages"))
        frames.next((image.width, image.height))
        yield image
        number += 1
