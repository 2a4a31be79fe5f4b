"""The records of the catalog as frozen values, one class a table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
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
    `details` are what a look at its content found (`Details.describe`); `problem` says with
    "code" and "detail" why it is held, was refused or could not be checked.
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
    details: Mapping[str, object] = field(default_factory=dict)
    problem: Mapping[str, object] | None = None


class JobKind(StrEnum):
    """What a job is for.

    `CHECK` is the check that a file waits for, `SCAN` the same where a scanner is to be asked,
    too, and `RESCAN` another scan of a file that is ready. Who has no scanner takes on none of
    the latter two: a configuration that was forgotten makes no file clean.
    """

    CHECK = "check"
    SCAN = "scan"
    RESCAN = "rescan"


@dataclass(frozen=True, kw_only=True, slots=True)
class Job:
    """A check that somebody has taken on; `token` is the number of that lease."""

    seq: int
    file_id: str
    kind: JobKind
    tries: int
    token: int
    error: str | None = None


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


class UploadState(StrEnum):
    """Where an upload is: open for bytes, or over, with a file or with a problem.

    `JOINED` is a part of a concatenation whose bytes became part of another upload; its
    `file_id` is the id of that upload.
    """

    OPEN = "open"
    COMPLETE = "complete"
    REFUSED = "refused"
    JOINED = "joined"


@dataclass(frozen=True, kw_only=True, slots=True)
class Upload:
    """A file that is being received over several requests.

    `offset` is the number of bytes that would survive a power cut, `length` the number
    that there will be (None: not known yet), `generation` moves when another process takes
    it over. `name` and `type` are what was claimed, `metadata` what the client sent
    beside (as it was sent), `concat` its part in a tus concatenation, `digest` the SHA-256
    that the whole must have (hexadecimal; None: any). When it is over it has a `file_id` or a
    `problem` (JSON), and `expires_at` says how long it is remembered.
    """

    id: str
    collection: str
    owner: str | None
    protocol: str
    created_at: datetime
    expires_at: datetime
    state: UploadState = UploadState.OPEN
    length: int | None = None
    offset: int = 0
    generation: int = 0
    link_id: str | None = None
    name: str | None = None
    type: str | None = None
    metadata: str = ""
    concat: str | None = None
    digest: str | None = None
    file_id: str | None = None
    problem: str | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class UploadLink:
    """A signed, expiring, revocable permission to send files into one collection.

    `url` is what to hand out; `id` is what revokes it. `max_files`, `max_bytes` (of all
    files together) and `types` are None where the collection's own policy is the only
    limit; `files` and `bytes` count what came by it so far. What comes belongs to `owner`.
    """

    id: str
    collection: str
    owner: str | None
    created_at: datetime
    expires_at: datetime
    max_files: int | None = None
    max_bytes: int | None = None
    types: frozenset[str] | None = None
    files: int = 0
    bytes: int = 0
    url: str = ""

    @property
    def files_left(self) -> int | None:
        """How many more files may come; None for any number."""
        return None if self.max_files is None else max(self.max_files - self.files, 0)

    @property
    def bytes_left(self) -> int | None:
        """How many more bytes may come; None for any number."""
        return None if self.max_bytes is None else max(self.max_bytes - self.bytes, 0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Event:
    """Something that happened to a file.

    `seq` grows with every event; `id` is random and the same at every delivery; `type` is
    one of `EVENT_TYPES`. `file` is the file's record as it was then, `link` says by which
    link it happened, `problem` why a file was refused.
    """

    seq: int
    id: str
    type: str
    at: datetime
    file: Mapping[str, object]
    link: Mapping[str, object] | None = None
    problem: Mapping[str, object] | None = None
    tries: int = 0


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
