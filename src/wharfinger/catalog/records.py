"""The records of the catalog as frozen values, one class a table."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum


class FileState(StrEnum):
    """Where a file is in its life. Only `READY` is ever delivered."""

    CHECKING = "checking"
    READY = "ready"
    REFUSED = "refused"
    HELD = "held"
    FAILED = "failed"
    EXPIRED = "expired"
    REMOVED = "removed"


@dataclass(frozen=True, kw_only=True, slots=True)
class StoredFile:
    """What was accepted.

    `name` is a label for people, `size` is in bytes, `type` is the media type that the
    content proved, `sha256` is in hexadecimal, `owner` the id of the principal that
    sent it (None: the application itself), `expires_at` None for "kept until removed".
    """

    id: str
    name: str
    size: int
    type: str
    sha256: str
    state: FileState
    collection: str
    owner: str | None
    created_at: datetime
    expires_at: datetime | None


class ClaimState(StrEnum):
    """Where one counted download is: `BACK` was given back, `SPENT` is over for good."""

    OPEN = "open"
    BACK = "back"
    SPENT = "spent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """A signed, expiring, revocable permission to download one file.

    `url` is what to hand out; `id` is what revokes it. `max_downloads` None means any
    number until `expires_at`; `downloads` counts those that have begun. It is for the
    version of the file whose content has this `sha256`, and for no other. `has_password`
    tells whether it asks for one.
    """

    id: str
    file_id: str
    owner: str | None
    created_at: datetime
    expires_at: datetime
    max_downloads: int | None
    downloads: int
    download_name: str | None
    disposition: str
    sha256: str = ""
    has_password: bool = False
    url: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Token:
    """A bearer token as the catalog knows it: never the secret, only its digest.

    `principal` is the id that files sent with the token belong to. `collections` None
    means all of them.
    """

    id: str
    name: str
    principal: str
    scopes: frozenset[str]
    collections: frozenset[str] | None
    created_at: datetime
    expires_at: datetime | None


def to_millis(moment: datetime) -> int:
    """Return a moment as the database keeps it."""
    return round(moment.timestamp() * 1000)


def from_millis(millis: int) -> datetime:
    """Return the moment that the database kept."""
    return datetime.fromtimestamp(millis / 1000, UTC)


def maybe_millis(moment: datetime | None) -> int | None:
    """Return `to_millis`, or None for None."""
    return None if moment is None else to_millis(moment)


def maybe_from_millis(millis: int | None) -> datetime | None:
    """Return `from_millis`, or None for None."""
    return None if millis is None else from_millis(millis)
