"""Conditional requests: the order of RFC 9110 section 13.2.2, exactly.

They are judged only for a representation that would be sent otherwise: a missing
or forbidden one stays missing or forbidden. A date that is no date, or came twice,
is ignored; a list of entity-tags that breaks the grammar matches nothing.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from wharfinger.errors import PreconditionFailed
from wharfinger.protocol.dates import parse_http_date

if TYPE_CHECKING:
    from wharfinger.protocol.headers import Headers

__all__ = ["evaluate", "if_range_holds", "strong_match", "weak_match"]

# RFC 9110 section 8.8.3; obs-text (0x80-0xFF) is part of etagc.
_ENTITY_TAG: Final = re.compile(r'(?:W/)?"[\x21\x23-\x7e\x80-\U0010ffff]*"')
_SEPARATOR: Final = re.compile(r"[ \t]*(?:,[ \t]*)+")

# RFC 9110 section 8.8.2.2: a modification date is a strong validator when it lies
# at least one second before the moment of the answer.
_STRONG_AFTER: Final = timedelta(seconds=1)


def strong_match(first: str, second: str) -> bool:
    """Return whether two entity-tags are the same and neither is weak (RFC 9110 section 8.8.3.2)."""
    return first == second and not first.startswith("W/")


def weak_match(first: str, second: str) -> bool:
    """Return whether two entity-tags are the same but for weakness (RFC 9110 section 8.8.3.2)."""
    return first.removeprefix("W/") == second.removeprefix("W/")


def evaluate(
    method: str,
    headers: Headers,
    *,
    etag: str | None,
    last_modified: datetime | None,
    now: datetime,
) -> Literal["proceed", "not-modified"]:
    """Judge the conditional fields of a request for a representation that exists.

    Args:
        method: the request method.
        headers: the request's fields.
        etag: the entity-tag of the representation as it is sent, quotes included.
        last_modified: when the representation changed last.
        now: the present moment, to read two-digit years.

    Raises:
        PreconditionFailed: If-Match or If-Unmodified-Since does not hold, or If-None-Match
            does not hold for a method other than GET and HEAD.
    """
    reading = method in {"GET", "HEAD"}
    modified = (
        None if last_modified is None else last_modified.astimezone(UTC).replace(microsecond=0)
    )

    if_match = headers.get("If-Match")
    if if_match is not None:
        if not _any_matches(if_match, etag, strong=True):
            raise PreconditionFailed("The file is not in the version that If-Match names.")
    else:
        since = _date(headers, "If-Unmodified-Since", now)
        if since is not None and modified is not None and modified > since:
            raise PreconditionFailed("The file changed after the date in If-Unmodified-Since.")

    if_none_match = headers.get("If-None-Match")
    if if_none_match is not None:
        if _any_matches(if_none_match, etag, strong=False):
            if reading:
                return "not-modified"
            raise PreconditionFailed("The file is in a version that If-None-Match excludes.")
    elif reading:
        since = _date(headers, "If-Modified-Since", now)
        if since is not None and modified is not None and modified <= since:
            return "not-modified"
    return "proceed"


def if_range_holds(
    headers: Headers, *, etag: str | None, last_modified: datetime | None, now: datetime
) -> bool:
    """Return whether Range may be applied: If-Range is absent, or names exactly this version.

    Only strong validators count (RFC 9110 section 13.1.5): a strong entity-tag, or a date
    that equals a Last-Modified at least one second old.
    """
    value = headers.get("If-Range")  # several lines join to what is neither a tag nor a date
    if value is None:
        return True
    value = value.strip(" \t")
    if _ENTITY_TAG.fullmatch(value):
        return etag is not None and strong_match(value, etag)
    date = parse_http_date(value, now=now)
    if date is None or last_modified is None:
        return False
    modified = last_modified.astimezone(UTC).replace(microsecond=0)
    return date == modified and now - modified >= _STRONG_AFTER


def _date(headers: Headers, name: str, now: datetime) -> datetime | None:
    value = headers.get(name)
    return None if value is None else parse_http_date(value.strip(" \t"), now=now)


def _any_matches(value: str, etag: str | None, *, strong: bool) -> bool:
    value = value.strip(" \t")
    if value == "*":
        return True
    if etag is None:
        return False
    compare = strong_match if strong else weak_match
    return any(compare(tag, etag) for tag in _entity_tags(value))


def _entity_tags(value: str) -> list[str]:
    """Read a list of entity-tags; empty elements are skipped (RFC 9110 section 5.6.1.2)."""
    tags: list[str] = []
    position = 0
    leading = _SEPARATOR.match(value)
    if leading is not None:
        position = leading.end()
    while position < len(value):
        tag = _ENTITY_TAG.match(value, position)
        if tag is None:
            return []
        tags.append(tag[0])
        position = tag.end()
        separator = _SEPARATOR.match(value, position)
        if separator is not None:
            position = separator.end()
        elif position < len(value):
            return []
    return tags
