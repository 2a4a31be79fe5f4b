"""`Policy`: what may pass. One immutable value for client, service, Flask, CLI and TOML.

A policy is checked when it is made, never later. It holds no code: the judging
is done by `wharfinger.inspection`.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Self

from wharfinger.errors import ConfigError, UsageError
from wharfinger.keys import refuse_unknown
from wharfinger.units import GIB, MIB, parse_size

# "A file as large as a DVD": room for honest work, and an end for a mistake.
DEFAULT_MAX_SIZE: Final = 5 * GIB

# RFC 6838 section 4.2 restricted names, or a whole top-level type.
_MEDIA_TYPE: Final = re.compile(
    r"[a-z0-9][a-z0-9!#$&^_.+-]{0,126}/(?:\*|[a-z0-9][a-z0-9!#$&^_.+-]{0,126})", re.ASCII
)

IMAGES: Final = (
    "image/jpeg",
    "image/png",
    "image/gif",
    "image/webp",
    "image/bmp",
    "image/tiff",
)
DOCUMENTS: Final = (
    "application/pdf",
    "text/plain",
    "text/csv",
    "text/markdown",
    "application/json",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation",
    "application/vnd.oasis.opendocument.text",
    "application/vnd.oasis.opendocument.spreadsheet",
    "application/vnd.oasis.opendocument.presentation",
)
MEDIA: Final = (
    "video/mp4",
    "video/quicktime",
    "video/webm",
    "video/x-matroska",
    "audio/mpeg",
    "audio/mp4",
    "audio/ogg",
    "audio/flac",
    "audio/wav",
)
ARCHIVES: Final = (
    "application/zip",
    "application/gzip",
    "application/x-tar",
    "application/x-bzip2",
    "application/x-xz",
    "application/zstd",
    "application/x-7z-compressed",
)
# The names that `types =` takes in Python, TOML and on the command line.
PRESETS: Final[Mapping[str, tuple[str, ...] | None]] = {
    "images": IMAGES,
    "documents": DOCUMENTS,
    "media": MEDIA,
    "archives": ARCHIVES,
    "anything": None,
}
POLICY_KEYS: Final = ("types", "max_size", "min_size", "require_agreement")


@dataclass(frozen=True, init=False, slots=True)
class Policy:
    """What may pass: types and sizes. Immutable; wrong values are refused at birth.

    Args:
        types: a preset name ("images"), a media type ("image/png"), a whole family
            ("image/*"), several of these, or None for any type.
        max_size: the largest content in bytes, or text with a unit ("5 MiB").
        min_size: the smallest content in bytes, or text with a unit.
        require_agreement: whether file name, claimed type and content must agree.
            Active content in harmless clothes is refused even without it.

    Raises:
        UsageError: a value cannot be understood or the limits contradict each other.
    """

    types: frozenset[str] | None
    max_size: int
    min_size: int
    require_agreement: bool

    def __init__(
        self,
        *,
        types: str | Iterable[str] | None = None,
        max_size: int | str = DEFAULT_MAX_SIZE,
        min_size: int | str = 0,
        require_agreement: bool = True,
    ) -> None:
        put = object.__setattr__
        put(self, "types", _expand(types))
        put(self, "max_size", parse_size(max_size))
        put(self, "min_size", parse_size(min_size))
        if not isinstance(require_agreement, bool):
            # "no" from a configuration file would be true.
            raise UsageError(f"require_agreement must be true or false, not {require_agreement!r}.")
        put(self, "require_agreement", require_agreement)
        if self.min_size > self.max_size:
            raise UsageError(f"min_size {self.min_size} is larger than max_size {self.max_size}.")

    @classmethod
    def images(cls, *, max_size: int | str = 20 * MIB) -> Self:
        """Return a policy for raster images: JPEG, PNG, GIF, WebP, BMP and TIFF."""
        return cls(types="images", max_size=max_size)

    @classmethod
    def documents(cls, *, max_size: int | str = 100 * MIB) -> Self:
        """Return a policy for PDF, plain text, CSV, Markdown, JSON and office documents."""
        return cls(types="documents", max_size=max_size)

    @classmethod
    def media(cls, *, max_size: int | str = 2 * GIB) -> Self:
        """Return a policy for the usual audio and video files."""
        return cls(types="media", max_size=max_size)

    @classmethod
    def archives(cls, *, max_size: int | str = 1 * GIB) -> Self:
        """Return a policy for archives and compressed files."""
        return cls(types="archives", max_size=max_size)

    @classmethod
    def anything(cls, *, max_size: int | str = DEFAULT_MAX_SIZE) -> Self:
        """Return a policy for any type whose name and content agree."""
        return cls(types=None, max_size=max_size)

    @classmethod
    def from_mapping(cls, table: Mapping[str, object], *, where: str = "policy") -> Self:
        """Return the policy that a table of a configuration file describes.

        Raises:
            ConfigError: a key is unknown (with a suggestion) or a value is wrong.
        """
        refuse_unknown(table, POLICY_KEYS, where)
        try:
            return cls(**table)  # type: ignore[arg-type]  # values are checked by __init__
        except UsageError as error:
            raise ConfigError(f"In {where}: {error}", hint=error.hint) from error

    def permits(self, media_type: str) -> bool:
        """Return whether content of this media type may pass."""
        if self.types is None:
            return True
        return media_type in self.types or f"{media_type.partition('/')[0]}/*" in self.types

    def describe(self) -> dict[str, object]:
        """Return the policy as plain JSON values, as `GET /policy/{collection}` answers it."""
        return {
            "types": None if self.types is None else sorted(self.types),
            "max_size": self.max_size,
            "min_size": self.min_size,
            "require_agreement": self.require_agreement,
        }


def _expand(types: str | Iterable[str] | None) -> frozenset[str] | None:
    if types is None:
        return None
    if not isinstance(types, (str, Iterable)):
        raise UsageError(f"types must be text or a list of text, not {type(types).__name__}.")
    wanted = [types] if isinstance(types, str) else list(types)
    expanded: set[str] = set()
    for entry in wanted:
        if not isinstance(entry, str):
            raise UsageError(f"types must be text, not {type(entry).__name__}.")
        text = entry.strip().lower()
        if text in PRESETS:
            preset = PRESETS[text]
            if preset is None:
                return None
            expanded.update(preset)
        elif _MEDIA_TYPE.fullmatch(text):
            expanded.add(text)
        else:
            near = difflib.get_close_matches(text, PRESETS, n=1)
            raise UsageError(
                f"{entry[:80]!r} is neither a media type nor a preset.",
                hint=f"Did you mean {near[0]!r}?"
                if near
                else f"Write types like image/png or image/*, or one of {', '.join(PRESETS)}.",
            )
    if not expanded:
        raise UsageError("A policy that accepts no type accepts nothing; leave types out for any.")
    return frozenset(expanded)
