"""`Policy`: what may pass. One immutable value for client, service, Flask, CLI and TOML.

A policy is checked when it is made, never later. It holds no code: the judging
is done by `wharfinger.inspection`.
"""

from __future__ import annotations

import copy
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
# Types that run what is in them although people take their family for harmless: "image/*"
# does not mean them, they have to be named.
ONLY_BY_NAME: Final = frozenset({"image/svg+xml", "image/svg"})
# What a look at the whole content may find in it. `refuse` takes these words.
FINDINGS: Final[Mapping[str, str]] = {
    "damaged": "cannot be decoded or parsed to its end",
    "trailing-data": "bytes after the end of the content: a second file may hide there",
    "unsafe-members": "members of an archive that lead outside its folder, are devices, or share "
    "their bytes",
    "links": "members of an archive that are links",
    "doubled-members": "members of an archive that have one name, perhaps in other letters",
    "encrypted": "cannot be looked into without a password",
    "macros": "programs inside an office document",
    "scripts": "scripts or event handlers inside a PDF, or inside an SVG or other XML document that "
    "`types` names",
    "launch": "a PDF that starts programs or opens other files",
    "external-references": "XML that declares entities or fetches from elsewhere, or an office "
    "document that opens another from the network",
    "disputed": "libmagic takes the content for something else, where it is asked",
    "external-links": "an office document that fetches from elsewhere",
    "embedded-objects": "objects of other programs inside an office document",
    "embedded-files": "files attached to a PDF",
    "formulas": "cells of a CSV table that spreadsheets would compute",
}
# Honest files have the rest now and then: it stands in the facts, and is no reason to refuse.
_REFUSED: Final = frozenset(FINDINGS) - {
    "external-links",
    "embedded-objects",
    "embedded-files",
    "formulas",
}
# Where any type is taken, a damaged or encrypted file may be just what somebody wants to keep.
_REFUSED_OF_ANYTHING: Final = frozenset({"unsafe-members"})
POLICY_KEYS: Final = (
    "types",
    "max_size",
    "min_size",
    "require_agreement",
    "check_content",
    "second_opinion",
    "refuse",
    "max_pixels",
    "max_total_pixels",
    "max_frames",
    "max_members",
    "max_unpacked",
    "max_ratio",
    "max_depth",
    "strip_metadata",
    "reencode",
    "rename_to_type",
)


@dataclass(frozen=True, init=False, slots=True)
class Policy:
    """What may pass: types, sizes, content. Immutable; wrong values are refused at birth.

    Args:
        types: a preset name ("images"), a media type ("image/png"), a whole family
            ("image/*", which does not mean SVG), several of these, or None for any type.
        max_size: the largest content in bytes, or text with a unit ("5 MiB").
        min_size: the smallest content in bytes, or text with a unit.
        require_agreement: whether file name, claimed type and content must agree.
            Active content in harmless clothes is refused even without it.
        check_content: whether the whole content is looked into: images are decoded, the
            members of archives and documents read. What is found stands in the facts.
        second_opinion: whether libmagic is asked as well what the content is; the extra
            `[magic]`. Where it says something else, the finding is `disputed`.
        refuse: which findings refuse a file, words of `FINDINGS`; None for the usual ones:
            all that honest files do not have, or where any type is taken only members of
            archives that lead outside.
        max_pixels: width times height of one frame of an image.
        max_total_pixels: the same of all frames together.
        max_frames: frames of an animation, or pages of a TIFF.
        max_members: members of an archive or document.
        max_unpacked: what an archive holds once it is unpacked, in bytes or with a unit.
        max_ratio: how many times larger than packed that may be, beyond 16 MiB.
        max_depth: archives inside archives that are looked into; deeper ones are refused.
        strip_metadata: whether images are kept without what cameras and programs write
            into them (place, device, comments), turned upright first.
        reencode: whether images are kept as our own encoder writes them, so that nothing
            which is not picture remains.
        rename_to_type: whether the kept name gets the usual extension of the content's type.

    The limits hold whatever `refuse` says: beyond them nothing can be judged.

    Raises:
        UsageError: a value cannot be understood or the limits contradict each other.
    """

    types: frozenset[str] | None
    max_size: int
    min_size: int
    require_agreement: bool
    check_content: bool
    second_opinion: bool
    refuse: frozenset[str]
    max_pixels: int
    max_total_pixels: int
    max_frames: int
    max_members: int
    max_unpacked: int
    max_ratio: int
    max_depth: int
    strip_metadata: bool
    reencode: bool
    rename_to_type: bool

    def __init__(
        self,
        *,
        types: str | Iterable[str] | None = None,
        max_size: int | str = DEFAULT_MAX_SIZE,
        min_size: int | str = 0,
        require_agreement: bool = True,
        check_content: bool = True,
        second_opinion: bool = False,
        refuse: Iterable[str] | None = None,
        max_pixels: int = 50_000_000,
        max_total_pixels: int = 500_000_000,
        max_frames: int = 1000,
        max_members: int = 10_000,
        max_unpacked: int | str = 4 * GIB,
        max_ratio: int = 200,
        max_depth: int = 3,
        strip_metadata: bool = False,
        reencode: bool = False,
        rename_to_type: bool = False,
    ) -> None:
        put = object.__setattr__
        put(self, "types", _expand(types))
        put(self, "max_size", parse_size(max_size))
        put(self, "min_size", parse_size(min_size))
        put(self, "max_unpacked", parse_size(max_unpacked))
        put(self, "refuse", _findings(refuse, anything=self.types is None))
        truths: tuple[tuple[str, object], ...] = (
            ("require_agreement", require_agreement),
            ("check_content", check_content),
            ("second_opinion", second_opinion),
            ("strip_metadata", strip_metadata),
            ("reencode", reencode),
            ("rename_to_type", rename_to_type),
        )
        for key, truth in truths:
            if not isinstance(truth, bool):
                # "no" from a configuration file would be true.
                raise UsageError(f"{key} must be true or false, not {truth!r}.")
            put(self, key, truth)
        counts: tuple[tuple[str, object], ...] = (
            ("max_pixels", max_pixels),
            ("max_total_pixels", max_total_pixels),
            ("max_frames", max_frames),
            ("max_members", max_members),
            ("max_ratio", max_ratio),
            ("max_depth", max_depth),
        )
        for key, count in counts:
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise UsageError(f"{key} must be a whole number of at least 1, not {count!r}.")
            put(self, key, count)
        if not check_content and (strip_metadata or reencode):
            raise UsageError(
                "strip_metadata and reencode need check_content.",
                hint="An image that is not decoded cannot be written anew.",
            )
        if not check_content and second_opinion:
            raise UsageError(
                "second_opinion needs check_content.",
                hint="Where the content is not looked into, nobody is asked about it.",
            )
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
        """Return whether content of this media type may pass; "image/*" does not permit SVG."""
        if self.types is None or media_type in self.types:
            return True
        family = f"{media_type.partition('/')[0]}/*"
        return family in self.types and media_type not in ONLY_BY_NAME

    def narrowed(self, *, types: Iterable[str] | None, max_size: int) -> Self:
        """Return the same rules for these types alone, and at most so many bytes."""
        narrower = copy.copy(self)
        object.__setattr__(narrower, "types", None if types is None else frozenset(types))
        object.__setattr__(narrower, "max_size", max_size)
        return narrower

    def at_most(self, max_size: int) -> Self:
        """Return the same rules for at most so many bytes."""
        return self.narrowed(types=self.types, max_size=min(max_size, self.max_size))

    def describe(self) -> dict[str, object]:
        """Return the policy as plain JSON values, as `GET /policy/{collection}` answers it."""
        return {
            "types": None if self.types is None else sorted(self.types),
            "max_size": self.max_size,
            "min_size": self.min_size,
            "require_agreement": self.require_agreement,
            "check_content": self.check_content,
            "second_opinion": self.second_opinion,
            "refuse": sorted(self.refuse),
            "max_pixels": self.max_pixels,
            "max_total_pixels": self.max_total_pixels,
            "max_frames": self.max_frames,
            "max_members": self.max_members,
            "max_unpacked": self.max_unpacked,
            "max_ratio": self.max_ratio,
            "max_depth": self.max_depth,
            "strip_metadata": self.strip_metadata,
            "reencode": self.reencode,
            "rename_to_type": self.rename_to_type,
        }


def _findings(words: Iterable[str] | None, *, anything: bool) -> frozenset[str]:
    if words is None:
        return _REFUSED_OF_ANYTHING if anything else _REFUSED
    if isinstance(words, str) or not isinstance(words, Iterable):
        raise UsageError(f"refuse must be a list of findings, not {words!r}.")
    wanted = list(words)
    for word in wanted:
        if word not in FINDINGS:
            near = difflib.get_close_matches(str(word), FINDINGS, n=1)
            raise UsageError(
                f"{str(word)[:80]!r} is not a finding.",
                hint=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(FINDINGS)}.",
            )
    return frozenset(wanted)


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
