"""`Reception`: one file on its way in.

The invariants, in their order:

1. Every byte passes inspection before it is written, and the first 8 KiB before
   anything is.
2. `finish` syncs the bytes, asks the scanner, gives them their id in the store (durably),
   and commits the record; only then it returns. A crash at any moment leaves either
   nothing or a file without a record, which the sweep removes.
3. After a failure, at any point, nothing remains; `finish_all` is all or nothing.

A reception is pushed by whoever has bytes, so a slow sender holds no thread. One thread
at a time uses it.
"""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TypeAlias

from wharfinger import scanners
from wharfinger.catalog import Catalog, FileState, StoredFile
from wharfinger.catalog import files as statements
from wharfinger.errors import Infected, Rejected, Unscannable, UsageError
from wharfinger.inspection import Facts, Inspection, extension_of_type
from wharfinger.names import judge
from wharfinger.scanners import Scanner
from wharfinger.service.collections import Collection
from wharfinger.service.usage import check_room
from wharfinger.stores import Staging, Store
from wharfinger.stores.base import Buffer

if TYPE_CHECKING:
    from sqlalchemy import Connection


Accepted: TypeAlias = Callable[["Connection", list[StoredFile]], None]
"""What is done in the transaction that records all files of a request."""


class Reception:
    """One file being received: `write` its bytes, then `finish` or `abort`.

    Made by `Wharf.begin`. As a context manager it aborts unless it was finished.
    """

    def __init__(
        self,
        store: Store,
        collection: Collection,
        *,
        name: str | None,
        type: str | None,  # noqa: A002 - the field's own word
        length: int | None,
        owner: str | None,
        room: int | None = None,
        finish_all: Callable[[Sequence[Reception]], list[StoredFile]],
        link_id: str | None = None,
        refused: Callable[[Reception, Rejected], None] | None = None,
    ) -> None:
        self.name = None if name is None else judge(name)
        self.collection = collection
        self.owner = owner
        self.link_id = link_id
        self._refused = refused
        self._store = store
        self._finish_all = finish_all
        self.accepted: Accepted | None = None
        self._inspection = Inspection(collection.policy, name=self.name, type=type, length=length)
        self._length = length
        self._room = room
        self._staging: Staging | None = None
        self._open = True

    @property
    def received(self) -> int:
        """Bytes taken in so far."""
        return self._inspection.size

    def write(self, data: Buffer) -> None:
        """Judge and keep more bytes.

        Raises:
            Rejected: they break the policy; nothing is kept and the reception is over.
            QuotaExceeded: they are more than the quota has room for; the same.
            StorageFull: there is no room; the same.
        """
        self._check_open()
        try:
            if self._room is not None:
                check_room(self._room, self.received + len(data), self.collection.name)
            for cleared in self._inspection.feed(data):
                self._stage().write(cleared)
        except BaseException as error:
            self.abort()
            self._tell(error)
            raise

    def finish(self) -> StoredFile:
        """Return the record of the file, which from now on survives a power cut.

        Raises:
            Rejected: the content as a whole breaks the policy; nothing is kept.
            LengthMismatch: it is not as long as was declared; nothing is kept.
            QuotaExceeded: others took the room meanwhile; nothing is kept.
            StorageFull: there is no room; nothing is kept.
        """
        return self._finish_all([self])[0]

    def abort(self) -> None:
        """Give the file up; nothing of it remains. Harmless when it has ended already."""
        self._open = False
        if self._staging is not None:
            self._staging.discard()
            self._staging = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.abort()

    def settle(self, scanner: Scanner | None) -> tuple[Staging, Facts]:
        """Judge the whole and make it durable in staging. For `finish_all` alone."""
        self._check_open()
        try:
            last, facts = self._inspection.finish()
            staging = self._stage()
            for cleared in last:
                staging.write(cleared)
            staging.sync()
            if scanner is not None:
                scan(scanner, staging)
        except Rejected as error:
            self._tell(error)
            raise
        return staging, facts

    def _tell(self, error: BaseException) -> None:
        if isinstance(error, Rejected) and self._refused is not None:
            self._refused(self, error)

    def _check_open(self) -> None:
        if not self._open:
            raise UsageError("This reception has ended.")

    def _stage(self) -> Staging:
        if self._staging is None:
            self._staging = self._store.stage(self._length)
        return self._staging


class Receivable(Protocol):
    """What can become a file: `settle` judges it and makes it durable in staging."""

    name: str | None
    collection: Collection
    owner: str | None

    def settle(self, scanner: Scanner | None) -> tuple[Staging, Facts]:
        """Judge the whole; on return its bytes would survive a power cut."""
        ...

    def abort(self) -> None:
        """Let go of it. Harmless when it has ended already."""
        ...


def finish_all(
    receptions: Sequence[Receivable],
    *,
    store: Store,
    catalog: Catalog,
    scanner: Scanner | None,
    now: datetime,
    also: Callable[[Connection, StoredFile], None] | None = None,
) -> list[StoredFile]:
    """Accept several files or none of them; return their records in order.

    `also` runs for each record in the transaction that holds them all.
    """
    published: list[str] = []
    try:
        settled = [(reception, *reception.settle(scanner)) for reception in receptions]
        records = [_record(reception, facts, now) for reception, _, facts in settled]
        for (_, staging, _), record in zip(settled, records, strict=True):
            published.append(record.id)
            store.publish(staging, record.id)
        places = {reception.collection.name: reception.collection for reception in receptions}
        accepted = [one.accepted for one in receptions if isinstance(one, Reception)]
        catalog.write(lambda connection: _add(connection, records, places, also, accepted))
    except BaseException:
        for file_id in published:
            # What cannot be removed now is a file without a record: the sweep finds it.
            with contextlib.suppress(OSError):
                store.delete(file_id)
        raise
    finally:
        for reception in receptions:
            reception.abort()
    return records


def _add(
    connection: Connection,
    records: list[StoredFile],
    places: Mapping[str, Collection],
    also: Callable[[Connection, StoredFile], None] | None,
    accepted: Sequence[Accepted | None],
) -> None:
    statements.add(connection, records)
    for name, place in places.items():
        owners = [record.owner for record in records if record.collection == name]
        place.quotas.check_recorded(connection, name, owners)
    if also is not None:
        for record in records:
            also(connection, record)
    for then in accepted:
        if then is not None:
            then(connection, records)


def _record(reception: Receivable, facts: Facts, now: datetime) -> StoredFile:
    expires_in = reception.collection.expires_in
    return StoredFile(
        id=secrets.token_hex(16),
        name=reception.name or f"file{extension_of_type(facts.type)}",
        size=facts.size,
        type=facts.type,
        sha256=facts.sha256,
        state=FileState.READY,
        collection=reception.collection.name,
        owner=reception.owner,
        created_at=now,
        expires_at=None if expires_in is None else now + timedelta(seconds=expires_in),
    )


def scan(scanner: Scanner, staging: Staging) -> None:
    """Ask a scanner about staged bytes. Raises Infected, Unscannable."""
    with staging.reader() as file:
        verdict = scanner.scan(file, staging.size)
    match verdict:
        case scanners.Clean():
            return
        case scanners.Infected(name=name):
            raise Infected(f"The scanner found {name!r}.")
        case scanners.Unscannable(reason=reason):
            raise Unscannable(f"The scanner could not read the file: {reason}.")
