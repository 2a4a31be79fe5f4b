"""`Facts`: what inspection found of one file."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Self

__all__ = ["Details", "Facts"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Details:
    """What a look at the whole content found beyond size, type and digest.

    `width` and `height` are in pixels, of an image's first frame as it is shown; `frames`
    counts those of an animation, or the pages of a TIFF; `members` are those of an archive
    and of the archives in it, folders apart; `unpacked` is what they hold, in bytes;
    `pages` are those of a document. None: it has no such thing, or nobody looked.
    `findings` are words of `wharfinger.policy.FINDINGS`, sorted.
    """

    width: int | None = None
    height: int | None = None
    frames: int | None = None
    members: int | None = None
    unpacked: int | None = None
    pages: int | None = None
    findings: tuple[str, ...] = ()

    def describe(self) -> dict[str, object]:
        """Return what was found as plain JSON values, without what there is not."""
        told: dict[str, object] = {
            key: value
            for key in ("width", "height", "frames", "members", "unpacked", "pages")
            if (value := getattr(self, key)) is not None
        }
        if self.findings:
            told["findings"] = list(self.findings)
        return told


@dataclass(frozen=True, kw_only=True, slots=True)
class Facts:
    """What inspection found.

    `size` is in bytes; `type` is the media type as detected, made precise by an extension
    that agrees ("text/csv" for the text in a .csv); `sha256` is in hexadecimal. `details`
    are what a look at the whole content found; empty after the bytes alone went by.
    """

    size: int
    type: str
    sha256: str
    details: Details = Details()

    def with_content(self, media_type: str, details: Details) -> Self:
        """Return the facts after a look at the whole content."""
        return replace(self, type=media_type, details=details)
