"""An image decoded to its last pixel, every frame of it. Runs in a process of its own.

Only the decoder of the type that was detected is let near the file. A limit of the policy is
judged on each frame's header before its pixels are made; memory is allowed for one frame.
"""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from PIL import Image, ImageFile

from wharfinger.checking import limits
from wharfinger.checking.decoders import DECODERS
from wharfinger.checking.jobs import Request
from wharfinger.checking.messages import Message
from wharfinger.units import GIB

__all__ = ["Exceeded", "Frames", "check", "each_frame", "opened", "orientation", "pillow_reads"]

_ORIENTATION: Final = 0x0112
_ORIENTATIONS: Final = range(1, 9)
_TURNED: Final = frozenset({5, 6, 7, 8})
# Their readers make room for the picture when it is opened; its size was judged before.
_GREEDY: Final = frozenset({"image/webp", "image/avif", "image/heic", "image/heif"})
# Said by Pillow where it shows something else than the file holds.
_DAMAGE: Final = "Invalid APNG"
_MOST_HELD: Final = GIB


class Exceeded(Exception):
    """A limit of the policy, as `TooComplex` takes it."""

    def __init__(self, what: str, limit: int, sentence: str) -> None:
        super().__init__(sentence)
        self.what = what
        self.limit = limit


@dataclass(slots=True)
class Frames:
    """Counts frames and their pixels against the limits of a policy."""

    max_pixels: int
    max_total_pixels: int
    max_frames: int
    length: int
    count: int = 0
    total: int = 0

    @classmethod
    def of(cls, request: Request) -> Frames:
        """Return what counts for one request."""
        return cls(
            request.limit("max_pixels"),
            request.limit("max_total_pixels"),
            request.limit("max_frames"),
            request.size,
        )

    def next(self, size: tuple[int, int]) -> None:
        """Take in one more frame, and allow the memory for it. Raises Exceeded."""
        width, height = size
        self.count += 1
        if self.count > self.max_frames:
            raise Exceeded(
                "frames", self.max_frames, f"The image has more than {self.max_frames} frames."
            )
        if width * height > self.max_pixels:
            raise Exceeded(
                "pixels",
                self.max_pixels,
                f"The image has {width} x {height} pixels; at most {self.max_pixels} are accepted.",
            )
        self.total += width * height
        if self.total > self.max_total_pixels:
            raise Exceeded(
                "pixels",
                self.max_total_pixels,
                f"The frames of the image have more than {self.max_total_pixels} pixels together.",
            )
        # Some decoders hold the whole file.
        limits.allow_memory(width * height, extra=min(self.length, _MOST_HELD))


def check(request: Request) -> Message:
    """Return width, height and frames of an image, or what is wrong with it."""
    frames = Frames.of(request)
    media_type = cast("str", request.options["type"])
    try:
        return _checked(request, media_type, frames)
    except Exceeded as error:
        return {"exceeded": [error.what, error.limit, str(error)]}


def _checked(request: Request, media_type: str, frames: Frames) -> Message:
    if media_type == "image/avif":
        return _avif(request, frames)
    with request.open() as file:
        return _decoded(file, media_type, frames)


def _avif(request: Request, frames: Frames) -> Message:
    """Pillow first: it knows sequences. Where it refuses, libvips is the judge."""
    if pillow_reads(request):
        with request.open() as file:
            return _decoded(file, "image/avif", frames)
    from wharfinger.checking import vips

    return vips.check(request, frames)


def pillow_reads(request: Request) -> bool:
    """Return whether Pillow takes an AVIF image at all; some that others show it does not."""
    with (
        request.open() as file,
        contextlib.suppress(OSError, SyntaxError, ValueError),
        opened(file, "image/avif", request.limit("max_pixels")) as image,
    ):
        return image.width > 0
    return False


def _decoded(file: BinaryIO, media_type: str, frames: Frames) -> Message:
    with opened(file, media_type, frames.max_pixels) as image:
        width = height = 0
        for frame in each_frame(image):
            frames.next(frame.size)
            frame.load()
            if frames.count == 1:
                # Asked now: some readers turn the image themselves, and say so.
                width, height = frame.size
                if orientation(frame) in _TURNED:
                    width, height = height, width
        pages = 1 if image.format in {"JPEG", "MPO", "ICO", "CUR"} else frames.count
        return {"width": width, "height": height, "frames": pages}


@contextlib.contextmanager
def opened(file: BinaryIO, media_type: str, max_pixels: int) -> Iterator[Image.Image]:
    """Open an image with the decoder of its type, strictly."""
    if media_type in {"image/heic", "image/heif"}:
        import pillow_heif  # pyright: ignore[reportMissingTypeStubs]

        pillow_heif.register_heif_opener()
        pillow_heif.options.DECODE_THREADS = 1
    if media_type in _GREEDY:
        limits.allow_memory(max_pixels, extra=_MOST_HELD)
    ImageFile.LOAD_TRUNCATED_IMAGES = False
    # The frames are counted one by one here; this is for what Pillow decodes on its way there.
    Image.MAX_IMAGE_PIXELS = max_pixels
    with warnings.catch_warnings():
        # Cameras write metadata that is not quite right: no reason to refuse a picture.
        warnings.simplefilter("ignore")
        warnings.filterwarnings("error", message=_DAMAGE)
        try:
            with Image.open(file, formats=DECODERS[media_type].formats) as image:
                yield image
        except Image.DecompressionBombError:
            raise Exceeded(
                "pixels", max_pixels, f"The image has more than {max_pixels} pixels."
            ) from None


def each_frame(image: Image.Image) -> Iterator[Image.Image]:
    """Yield an image at each of its frames; their pixels are not decoded yet."""
    icons = getattr(image, "ico", None)
    if icons is not None:
        for number in range(len(icons.entry)):
            yield icons.frame(number)
        return
    number = 0
    while True:
        try:
            image.seek(number)
        except EOFError:
            return
        yield image
        number += 1


def orientation(image: Image.Image) -> int:
    """Return how a camera was held, 1 to 8 (Exif 2.32, tag 0x0112); 1 where nobody can tell."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # noqa: BLE001 - metadata that cannot be read says nothing
        return 1
    return value if isinstance(value, int) and value in _ORIENTATIONS else 1
