"""Where an image ends by its own structure, and what lies behind.

The head of a file says that an image begins, not that it is one: behind its end, programs of
other kinds find a file of theirs. The end is read from the structure alone; whether the pixels
can be decoded is for `wharfinger.checking`. Sizes that a header announces are judged here,
before anything makes room for them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import BinaryIO, Final, TypeAlias

from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.images import bitmaps, boxes, gif, jpeg, png, riff, tiff
from wharfinger.inspection.images.reading import PIECE, Bounds, Broken, Source
from wharfinger.inspection.media_types import describe_type
from wharfinger.units import KIB

__all__ = ["look"]

_Walk: TypeAlias = Callable[[Source, Bounds], int | None]

_WALKS: Final[Mapping[str, _Walk]] = {
    "image/jpeg": jpeg.walk,
    "image/png": png.walk,
    "image/gif": gif.walk,
    "image/webp": riff.walk,
    "image/bmp": bitmaps.walk_bmp,
    "image/vnd.microsoft.icon": bitmaps.walk_ico,
    "image/tiff": tiff.walk,
    "image/avif": boxes.walk,
    "image/heic": boxes.walk,
    "image/heif": boxes.walk,
}
# What cameras, scanners and transfers fill up with: zeros and ones to a block's length, line
# ends and end-of-file characters of text mode. Nothing of it can be another file.
_PADDING: Final = b"\0\xff\r\n \x1a"
_MOST_PADDING: Final = 64 * KIB


def look(file: BinaryIO, size: int, media_type: str, findings: Findings) -> Details | None:
    """Report an image that ends too early, or bytes behind its end.

    Raises:
        ContentDamaged, HiddenContent: the policy refuses what was found.
        TooComplex: more pixels or frames than the policy allows, as the headers say; or
            compressed texts that inflate to more than any honest one.
    """
    walk = _WALKS.get(media_type)
    if walk is None:
        return None
    source = Source(file, size)
    label = describe_type(media_type)
    try:
        end = walk(source, Bounds(findings.policy))
    except Broken as error:
        findings.report("damaged", f"The {label} is damaged: {error}.")
        return None
    if end is not None and not _is_padding(source, end):
        findings.report(
            "trailing-data",
            f"{size - end} bytes follow the end of the {label} at byte {end}.",
        )
    return None


def _is_padding(source: Source, end: int) -> bool:
    if source.size - end > _MOST_PADDING:
        return False
    return not source.at(end, PIECE).strip(_PADDING)
