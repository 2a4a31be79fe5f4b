"""Quotas: how many files, bytes and open uploads a collection, or one owner in it, may take.

* They are exact: the transaction that records a file counts it and looks, so that of any
  number at once, in any number of processes, as many pass as there is room for.
* What a head declares is looked at before a byte is asked for, and counted bytes of unknown
  length stop where the room ends.
* An open upload counts with its declared length (else with what came) when another one is
  begun, so that many together promise no more than there is. It keeps no room from files
  that are complete: whoever completes first has it, and the other is refused in the end.
* A file counts until it is removed, or until the sweep after its time is over.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final

from wharfinger.catalog import usage as statements
from wharfinger.catalog.usage import Usage
from wharfinger.errors import QuotaExceeded, UsageError
from wharfinger.units import parse_size, show_size

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Open uploads cost a file and a record each. No client that works has as many at once.
MOST_UPLOADS: Final = 10_000
MOST_UPLOADS_PER_OWNER: Final = 1_000
_WORDS: Final = ("files", "bytes", "uploads")
_PER_OWNER: Final = "_per_owner"
KEYS: Final = tuple(f"max_{word}{of}" for of in ("", _PER_OWNER) for word in _WORDS)
"""The keys of a collection's table that are about quotas."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Quota:
    """How much may be there at once; None for no limit.

    Args:
        files: live files.
        bytes: bytes of live files together.
        uploads: open uploads (those that come in several requests).

    Raises:
        UsageError: a value is negative.
    """

    files: int | None = None
    bytes: int | None = None
    uploads: int | None = None

    def __post_init__(self) -> None:
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, int) or value < 0
            ):
                raise UsageError(f"max_{one.name} must be a whole number, 0 or more.")

    @property
    def is_given(self) -> bool:
        """Whether it limits files or their bytes."""
        return self.files is not None or self.bytes is not None

    def check_files(self, used: Usage, who: str) -> None:
        """Raise QuotaExceeded when more files or bytes are there than may be."""
        if self.files is not None and used.files > self.files:
            raise _exceeded("files", self.files, used.files - 1, who)
        if self.bytes is not None and used.bytes > self.bytes:
            raise _exceeded("bytes", self.bytes, used.bytes, who, with_this=True)

    def check_uploads(self, used: Usage, who: str) -> None:
        """Raise QuotaExceeded when more uploads are open than may be."""
        if self.uploads is not None and used.uploads > self.uploads:
            raise _exceeded("uploads", self.uploads, used.uploads - 1, who)


@dataclass(frozen=True, kw_only=True, slots=True)
class Quotas:
    """The quota of a collection as a whole, and that of each owner in it."""

    whole: Quota = field(default_factory=lambda: Quota(uploads=MOST_UPLOADS))
    per_owner: Quota = field(default_factory=lambda: Quota(uploads=MOST_UPLOADS_PER_OWNER))

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> Quotas:
        """Return the quotas that these keys (`KEYS`) describe. Raises UsageError."""
        standard = cls()
        return cls(
            whole=_quota(table, "", standard.whole),
            per_owner=_quota(table, _PER_OWNER, standard.per_owner),
        )

    def describe(self) -> dict[str, int]:
        """Return the limits there are, by their keys."""
        found = {}
        for of, quota in (("", self.whole), (_PER_OWNER, self.per_owner)):
            for word in _WORDS:
                if (limit := getattr(quota, word)) is not None:
                    found[f"max_{word}{of}"] = limit
        return found

    def room(
        self, connection: Connection, collection: str, owner: str | None, *, length: int | None
    ) -> int | None:
        """Return how many bytes one more file may have, None for any number.

        Raises:
            QuotaExceeded: there is no room for one more file, or not for this length.
        """
        rooms = []
        for quota, of, who in self._each(collection, owner):
            if quota.is_given:
                used = statements.of_files(connection, collection, of)
                quota.check_files(_with(used, length or 0), who)
                if quota.bytes is not None:
                    rooms.append(quota.bytes - used.bytes)
        return min(rooms, default=None)

    def check_recorded(
        self, connection: Connection, collection: str, owners: Iterable[str | None]
    ) -> None:
        """Look after files were recorded, in the same transaction. Raises QuotaExceeded."""
        for owner in set(owners):
            for quota, of, who in self._each(collection, owner):
                if quota.is_given:
                    quota.check_files(statements.of_files(connection, collection, of), who)

    def check_upload(
        self,
        connection: Connection,
        collection: str,
        owner: str | None,
        *,
        upload_id: str,
        length: int | None,
        begun: bool = False,
    ) -> None:
        """Look whether an upload fits beside files and other open uploads.

        One that has `begun` is looked at as often as bytes come, and only if they are limited.

        Raises:
            QuotaExceeded: it does not.
        """
        for quota, of, who in self._each(collection, owner):
            if begun and not quota.is_given:
                continue
            used = statements.with_uploads(connection, collection, of, besides=upload_id)
            quota.check_uploads(Usage(uploads=used.uploads + 1), who)
            promised = Usage(files=used.files, bytes=used.bytes + used.upload_bytes)
            quota.check_files(_with(promised, length or 0), who)

    def _each(self, collection: str, owner: str | None) -> list[tuple[Quota, str | None, str]]:
        each: list[tuple[Quota, str | None, str]] = [(self.whole, None, f"of {collection!r}")]
        if owner is not None:
            each.append((self.per_owner, owner, f"of one owner in {collection!r}"))
        return each


def check_room(room: int, size: int, collection: str) -> None:
    """Raise QuotaExceeded when bytes of unknown length came to where the room ended."""
    if size > room:
        raise QuotaExceeded(
            f"The quota of {collection!r} has room for {show_size(room)} more; this file is longer.",
            what="bytes",
            limit=room,
            used=size,
        )


def _with(used: Usage, length: int) -> Usage:
    return Usage(files=used.files + 1, bytes=used.bytes + length)


def _exceeded(
    what: str, limit: int, used: int, who: str, *, with_this: bool = False
) -> QuotaExceeded:
    if what == "bytes":
        text = f"The quota {who} is {limit} bytes"
    else:
        text = f"The quota {who} is {limit} {'open uploads' if what == 'uploads' else 'files'}"
    text += f"; with this there would be {used}." if with_this else f"; there are {used}."
    return QuotaExceeded(text, what=what, limit=limit, used=used)


def _quota(table: Mapping[str, object], of: str, standard: Quota) -> Quota:
    uploads = table.get(f"max_uploads{of}", standard.uploads)
    size = table.get(f"max_bytes{of}")
    return Quota(
        files=table.get(f"max_files{of}"),  # type: ignore[arg-type]  # checked there
        bytes=None if size is None else parse_size(size),  # type: ignore[arg-type]
        uploads=uploads,  # type: ignore[arg-type]
    )
