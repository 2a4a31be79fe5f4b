"""An image written anew: without its metadata, or as our own encoders write its pixels.

The type stays what it is. Nothing is carried over but pixels, timing and, where only metadata
goes, the colour profile; with `reencode` its colours become those of sRGB. Runs in a process
of its own, after the image was decoded once.
"""

from __future__ import annotations

import contextlib
import errno
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import BinaryIO, Final, cast

from PIL import Image, TiffImagePlugin

from wharfinger.checking import limits, stripping, vips
from wharfinger.checking.animations import Frame, write_apng, write_gif, write_webp
from wharfinger.checking.jobs import Request
from wharfinger.checking.messages import Message
from wharfinger.checking.pictures import Frames, each_frame, opened, orientation, pillow_reads
from wharfinger.checking.pixels import in_srgb, profile_of, upright, with_alpha
from wharfinger.inspection.images.reading import Source
from wharfinger.inspection.images.riff import chunks
from wharfinger.units import GIB

__all__ = ["rewrite"]

_BEST, _LEAST, _USUAL = 95, 60, 90
# AV1 and HEVC look the same at lower numbers.
_MODERN: Final = 75
# Of AV1's 0 to 10; at lower ones, as with HEVC's other presets, the largest pictures take minutes.
_FAST: Final = 8
_COPIES: Final = 4
# The sum of the luminance table that stands for quality 50 (T.81 annex K.1; IJG's scaling).
_HALF: Final = 3688


@dataclass(slots=True)
class _Job:
    """One image, open at its first frame, and where it goes."""

    request: Request
    image: Image.Image
    output: BinaryIO
    anew: bool

    def pixels(self, frame: Image.Image) -> Image.Image:
        """Return what is written of a frame."""
        shown = upright(frame)
        return in_srgb(shown) if self.anew else shown

    def frames(self) -> Iterator[Image.Image]:
        """Yield each frame's pixels."""
        counted = Frames.of(self.request)
        for frame in each_frame(self.image):
            counted.next(frame.size)
            yield self.pixels(frame)

    def timed(self) -> Iterator[Frame]:
        """Yield each frame with the time it is shown for."""
        counted = Frames.of(self.request)
        # A PNG may have a picture beside its animation, for readers that know none.
        beside = bool(self.image.info.get("default_image"))
        for number, frame in enumerate(each_frame(self.image)):
            counted.next(frame.size)
            if beside and number == 0:
                continue
            shown = with_alpha(self.pixels(frame))
            duration = frame.info.get("duration", 0)
            yield Frame(shown, duration if isinstance(duration, (int, float)) else 0)

    def loop(self) -> int | None:
        """Return how often an animation is shown; None where nothing says it."""
        loop = self.image.info.get("loop")
        return loop if isinstance(loop, int) and loop >= 0 else None

    @property
    def animated(self) -> bool:
        """Whether there is more than one frame."""
        return bool(getattr(self.image, "is_animated", False))


def rewrite(request: Request) -> Message:
    """Write the image anew; the answer says whether anything had to go.

    "written": False where there was no metadata to take out; "length" and "frames":
    of what was written; "too_long", "full": it would be longer than allowed, or the disk is full.
    """
    media_type = cast("str", request.options["type"])
    descriptor = cast("int", request.output)
    limits.allow_output(request.limit("max_length"))
    with (
        request.open() as file,
        open(descriptor, "r+b", closefd=False) as output,
        _readable(request, file, media_type) as image,
    ):
        job = _Job(request, image, cast("BinaryIO", output), request.flag("reencode"))
        try:
            written = _strip(job, media_type) if not job.anew else None
            if written is None:
                limits.allow_memory(image.width * image.height, extra=min(request.size, GIB))
                frames = _ENCODERS[media_type](job)
                output.flush()
                return {"written": True, "length": output.seek(0, 2), "frames": frames}
            output.flush()
            return {"written": written, "length": output.seek(0, 2)}
        except OSError as error:
            if error.errno == errno.EFBIG:
                return {"too_long": True}
            if error.errno in {errno.ENOSPC, errno.EDQUOT}:
                return {"full": True}
            raise


@contextlib.contextmanager
def _readable(request: Request, file: BinaryIO, media_type: str) -> Iterator[Image.Image]:
    """Open the image; by libvips where that is the one that can read it."""
    if media_type == "image/avif" and not pillow_reads(request):
        yield vips.still(request)
        return
    with opened(file, media_type, request.limit("max_pixels")) as image:
        yield image


def _strip(job: _Job, media_type: str) -> bool | None:
    """Take metadata out without touching pixels; None: they must be turned, or it is not known."""
    if media_type not in stripping.STRIPPERS or orientation(job.image) != 1:
        return None
    request = job.request
    with request.open() as file:
        return stripping.strip(file, request.size, media_type, job.output)


def _jpeg(job: _Job) -> int:
    image = job.image
    quality = _quality_of(image)
    progressive = "progressive" in image.info
    # One sample of colour for each pixel, or (4:2:0) for four of them.
    layers = getattr(image, "layer", [])
    full = bool(layers) and layers[0][1:3] == (1, 1)
    shown = job.pixels(image)
    if shown.mode not in {"L", "RGB", "CMYK"} or (job.anew and shown.mode == "CMYK"):
        shown = shown.convert("RGB")
    shown.save(
        job.output,
        "JPEG",
        quality=quality,
        subsampling=0 if full else 2,
        progressive=progressive,
        icc_profile=profile_of(shown) or None,
    )
    return 1


def _quality_of(image: Image.Image) -> int:
    """Return about the quality that the file was saved with, so that it neither grows nor loses."""
    tables: dict[int, list[int]] = getattr(image, "quantization", {})
    table = tables.get(0)
    if not table:
        return _USUAL
    scale = 100 * sum(table) / _HALF
    quality = (200 - scale) / 2 if scale <= 100 else 5000 / scale  # noqa: PLR2004 - IJG's formula
    return min(max(round(quality) + 2, _LEAST), _BEST)


def _png(job: _Job) -> int:
    image = job.image
    if job.animated:
        count = cast("int", getattr(image, "n_frames", 1)) - bool(image.info.get("default_image"))
        return write_apng(job.output, job.timed(), count, job.loop() or 0)
    shown = job.pixels(image)
    shown.save(job.output, "PNG", icc_profile=profile_of(shown) or None)
    return 1


def _gif(job: _Job) -> int:
    return write_gif(job.output, job.image.size, job.timed(), job.loop())


def _webp(job: _Job) -> int:
    with job.request.open() as file:
        source = Source(file, job.request.size)
        kinds = {chunk.kind for chunk in chunks(source)}
        lossless = b"VP8L" in kinds
    if job.animated:
        lossless = lossless or _is_lossless(job)
        return write_webp(
            job.output,
            job.image.size,
            job.timed(),
            job.loop() or 0,
            quality=_USUAL,
            lossless=lossless,
        )
    shown = job.pixels(job.image)
    shown.save(job.output, "WEBP", quality=_USUAL, lossless=lossless, icc_profile=profile_of(shown))
    return 1


def _is_lossless(job: _Job) -> bool:
    """Return whether the first frame of an animation is."""
    with job.request.open() as file:
        source = Source(file, job.request.size)
        frame = next(chunk for chunk in chunks(source) if chunk.kind == b"ANMF")
        return source.at(frame.data + 16, 4) == b"VP8L"


def _bmp(job: _Job) -> int:
    shown = job.pixels(job.image)
    if shown.mode not in {"1", "L", "RGB", "RGBA"}:
        shown = shown.convert("RGB")
    shown.save(job.output, "BMP")
    return 1


def _tiff(job: _Job) -> int:
    """Each page without its tags; packed without loss, or as JPEG where it was JPEG."""
    packing = job.image.info.get("compression")
    count = 0
    with TiffImagePlugin.AppendingTiffWriter(job.output) as writer:
        for shown in job.frames():
            count += 1
            as_jpeg = packing in {"jpeg", "tiff_jpeg"} and shown.mode in {"L", "RGB"}
            options: dict[str, object] = {"compression": "tiff_adobe_deflate"}
            if as_jpeg:
                options = {"compression": "jpeg", "quality": _USUAL}
            elif shown.mode == "1":
                options = {"compression": "group4"}
            profile = profile_of(shown)
            if profile:
                options["icc_profile"] = profile
            shown.info = {}
            shown.save(writer, "TIFF", **options)
            writer.newFrame()
    return count


def _icon(job: _Job) -> int:
    shown = sorted(map(with_alpha, job.frames()), key=lambda image: image.width, reverse=True)
    shown[0].save(job.output, "ICO", sizes=[image.size for image in shown], append_images=shown[1:])
    return 1


def _sequence(job: _Job, name: str) -> int:
    frames = list(job.frames())
    first = frames[0]
    # Encoders of films: they hold many copies of a picture.
    limits.allow_memory(_COPIES * sum(frame.width * frame.height for frame in frames))
    options: dict[str, object] = {"quality": _MODERN}
    if name == "AVIF":
        options["speed"] = _FAST
    else:
        options["enc_params"] = {"preset": "ultrafast"}
    if profile := profile_of(first):
        options["icc_profile"] = profile
    if len(frames) > 1:
        options |= {"save_all": True, "append_images": frames[1:]}
        duration = job.image.info.get("duration")
        if duration and name == "AVIF":
            options["duration"] = duration
    first.save(job.output, name, **options)
    return len(frames)


_ENCODERS: Final[Mapping[str, Callable[[_Job], int]]] = {
    "image/jpeg": _jpeg,
    "image/png": _png,
    "image/gif": _gif,
    "image/webp": _webp,
    "image/bmp": _bmp,
    "image/tiff": _tiff,
    "image/vnd.microsoft.icon": _icon,
    "image/avif": lambda job: _sequence(job, "AVIF"),
    "image/heic": lambda job: _sequence(job, "HEIF"),
    "image/heif": lambda job: _sequence(job, "HEIF"),
}
