"""The keyword arguments of `send_file` as one value, checked when made.

What a view gets wrong is said at the call, before a file is opened, and not by a header
that no server will send.
"""

from __future__ import annotations

import mimetypes
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from wharfinger.errors import RequestError, UsageError
from wharfinger.inspection import type_of_extension
from wharfinger.names import extension
from wharfinger.protocol.content_type import parse_content_type

_UNKNOWN = "application/octet-stream"


@dataclass(frozen=True, kw_only=True, slots=True)
class Wishes:
    """What the view wants a delivery to say. Raises UsageError for what cannot be said."""

    mimetype: str | None
    download_name: str | None
    as_attachment: bool
    conditional: bool
    max_age: int | None
    etag: bool | str
    last_modified: datetime | float | None

    def __post_init__(self) -> None:
        _check_type(self.mimetype)
        _check_name(self.download_name)
        _check_age(self.max_age)
        _check_tag(self.etag)
        _moment(self.last_modified)

    @property
    def disposition(self) -> Literal["attachment", "inline"]:
        """Whether it is for saving or for showing."""
        return "attachment" if self.as_attachment else "inline"

    def media_type(self, name: str | None) -> str:
        """Return the wished type, or the one that the name promises."""
        return self.mimetype or type_by_name(self.download_name or name or "")

    def cache_control(self, default: str) -> str:
        """Return the default, or how many seconds the asker's own cache may keep it."""
        return default if self.max_age is None else f"private, max-age={self.max_age}"

    def entity_tag(self, own: str | None) -> str | None:
        """Return the quoted entity-tag: the wished one, the own one (True) or none."""
        if isinstance(self.etag, str):
            return f'"{self.etag}"'
        return own if self.etag else None

    def modified(self, own: datetime | None) -> datetime | None:
        """Return the wished moment of the last change, or the own one."""
        return _moment(self.last_modified) or own


def type_by_name(name: str) -> str:
    """Return the media type that a file name promises.

    A compressed file is what it is (application/gzip): Content-Encoding would make a
    browser unpack it while saving.
    """
    known = type_of_extension(extension(name))
    if known is not None:
        return known
    guessed, encoding = mimetypes.guess_type(name)
    return guessed if guessed is not None and encoding is None else _UNKNOWN


def _check_type(mimetype: object) -> None:
    if mimetype is None:
        return
    try:
        if isinstance(mimetype, str) and mimetype.isascii():
            parse_content_type(mimetype)
            return
    except RequestError:
        pass
    raise UsageError(
        f"mimetype={mimetype!r} is not a media type.", hint="Write it as image/png or text/csv."
    )


def _check_name(name: object) -> None:
    if name is not None and not isinstance(name, str):
        raise UsageError(f"download_name is text, not {type(name).__name__}.")


def _check_age(max_age: object) -> None:
    if max_age is None:
        return
    if isinstance(max_age, bool) or not isinstance(max_age, int) or max_age < 0:
        raise UsageError(
            f"max_age={max_age!r} is not a number of whole seconds.",
            hint="0 or more, as int; a function is called by the view: max_age=f(name).",
        )


def _check_tag(etag: object) -> None:
    if isinstance(etag, bool):
        return
    # RFC 9110 section 8.8.3: visible characters without the quote.
    if not isinstance(etag, str) or any(not "!" <= c <= "~" or c == '"' for c in etag):
        raise UsageError(
            f"etag={etag!r} is not an entity-tag.",
            hint="True, False, or printable ASCII without spaces and quotes: etag='v7'.",
        )


def _moment(value: datetime | float | None) -> datetime | None:
    """Return a moment given as datetime (a naive one is UTC) or epoch seconds, aware."""
    if value is None:
        return None
    try:
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        if not isinstance(value, bool):
            return datetime.fromtimestamp(value, UTC)
    except (TypeError, ValueError, OverflowError, OSError):
        pass
    raise UsageError(
        f"last_modified={value!r} is not a moment.", hint="Give a datetime or epoch seconds."
    )
