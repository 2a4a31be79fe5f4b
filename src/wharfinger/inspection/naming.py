"""The name that a file of this type should have: for policies that rename to the type."""

from __future__ import annotations

from wharfinger import names
from wharfinger.inspection.media_types import (
    ANY_TEXT,
    extension_of_type,
    kind_of_type,
    kinds_of_extension,
)

__all__ = ["named_by_type"]


def named_by_type(name: str, media_type: str) -> str:
    """Return a name whose extension is one of the media type's.

    An extension that the type has already stays as it is written ("photo.JPEG"); one of another
    type is replaced ("photo.png" that is JPEG becomes "photo.jpg"); to a name without one, or
    with one that nobody knows ("report.2024"), the usual one is added. A type without an
    extension changes nothing. The name is at most 255 bytes of UTF-8 long.
    """
    usual = extension_of_type(media_type)
    extension = names.extension(name)
    kinds = kinds_of_extension(extension)
    kind = kind_of_type(media_type)
    if not usual or kind is None or kind in kinds:
        return name
    if kind.type == "text/plain" and any(ANY_TEXT in known.accepts for known in kinds):
        # The bytes of a style sheet are plain text: its name says more, and nothing else.
        return name
    stem = name[: -len(extension)] if kinds else names.plain_end(name)
    room = names.MAX_NAME_BYTES - len(usual)
    return stem.encode("utf-8")[:room].decode("utf-8", "ignore") + usual
