"""`Reception`: one file on its way in.

The invariants, in their order:

1. Every byte passes inspection before it is written, and the first 8 KiB before
   anything is.
2. `finish` syncs the bytes, has the whole judged, gives them their id in the store
   (durably), and commits the record; only then it returns. A crash at any moment leaves
   either nothing or a file without a record, which the sweep removes. Where the judgement
   takes too long the bytes stay in staging, and are recorded as being checked.
3. After a failure, at any point, nothing remains; `finish_all` is all or nothing.

A reception is pushed by whoever has bytes, so a slow sender holds no thread. One thread
at a time uses it.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Final, Protocol, Self, TypeAlias

from wharfinger.catalog import Catalog, FileState, Job, StoredFile
from wharfinger.catalog import files as statements
from wharfinger.errors import Rejected, UsageError
from wharfinger.inspection import Inspection, extension_of_type
from wharfinger.names import judge
from wharfinger.service.checking import Checking
from wharfinger.service.collections import Collection
from wharfinger.service.judging import Held, Judgement, Passed, Staged, Unjudged
from wharfinger.service.refusals import problem_of
from wharfinger.service.usage import check_room
from wharfinger.stores import Staging, Store
from wharfinger.stores.base import Buffer

if TYPE_CHECKING:
    from sqlalchemy import Connection


_STATES: Final = {
    Passed: FileState.READY,
    Held: FileState.HELD,
    Unjudged: FileState.CHECKING,
}
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
        self._claimed = type
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
            self.tell(error)
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

    def settle(self) -> tuple[Staging, Staged]:
        """Judge the stream to its end and make it durable in staging. For `finish_all` alone."""
        self._check_open()
        try:
            last, facts = self._inspection.finish()
        except Rejected as error:
            self.tell(error)
            raise
        staging = self._stage()
        for cleared in last:
            staging.write(cleared)
        staging.sync()
        return staging, Staged(
            open=staging.reader,
            facts=facts,
            policy=self.collection.policy,
            name=self.name,
            type=self._claimed,
            link=self.link_id,
            only=None if self.link_id is None else self.collection.policy.types,
        )

    def tell(self, error: BaseException) -> None:
        """Tell whoever wants to know that the file was refused."""
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
    """What can become a file: `settle` makes it durable in staging, for its judgement."""

    name: str | None
    collection: Collection
    owner: str | None

    def settle(self) -> tuple[Staging, Staged]:
        """Judge the stream to its end; on return its bytes would survive a power cut."""
        ...

    def tell(self, error: BaseException) -> None:
        """Tell whoever wants to know that the file was refused."""
        ...

    def abort(self) -> None:
        """Let go of it. Harmless when it has ended already."""
        ...


def finish_all(
    receptions: Sequence[Receivable],
    *,
    store: Store,
    catalog: Catalog,
    checking: Checking,
    now: datetime,
    also: Callable[[Connection, StoredFile], None] | None = None,
) -> list[StoredFile]:
    """Accept several files or none of them; return their records in order.

    What cannot be judged in time is recorded as being checked, what nobody can judge as held.
    `also` runs for each record in the transaction that holds them all.
    """
    placed: list[str] = []
    judged: list[Judgement] = []
    try:
        settled = [reception.settle() for reception in receptions]
        judged = _judged(checking, receptions, [staged for _, staged in settled])
        records = [
            _record(reception, staged, one, now)
            for reception, (_, staged), one in zip(receptions, settled, judged, strict=True)
        ]
        for (staging, _), one, record in zip(settled, judged, records, strict=True):
            kept = staging if isinstance(one, Unjudged) else one.rewritten or staging
            placed.append(record.id)
            if record.state is FileState.READY:
                store.publish(kept, record.id)
            else:
                store.keep(kept, record.id)
        places = {reception.collection.name: reception.collection for reception in receptions}
        accepted = [one.accepted for one in receptions if isinstance(one, Reception)]

        def add(connection: Connection) -> list[Job | None]:
            _add(connection, records, places, also, accepted)
            return [
                checking.enqueue(connection, record, staged, one)
                for record, (_, staged), one in zip(records, settled, judged, strict=True)
            ]

        jobs = catalog.write(add)
    except BaseException:
        for file_id in placed:
            # What cannot be removed now is a file without a record: the sweep finds it.
            with contextlib.suppress(OSError):
                store.delete(file_id)
                store.delete_part(file_id)
        for one in judged:
            one.discard()
        raise
    finally:
        for reception in receptions:
            reception.abort()
    for record, job, one in zip(records, jobs, judged, strict=True):
        checking.go_on(record, job, one)
    return records


def _judged(
    checking: Checking, receptions: Sequence[Receivable], staged: Sequence[Staged]
) -> list[Judgement]:
    judgements = checking.judge_all(staged)
    for reception, one in zip(receptions, judgements, strict=True):
        if isinstance(one, Rejected):
            reception.tell(one)
            for other in judgements:
                if not isinstance(other, Rejected):
                    other.discard()
            raise one
    return [one for one in judgements if not isinstance(one, Rejected)]


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


def _record(
    reception: Receivable, staged: Staged, judgement: Judgement, now: datetime
) -> StoredFile:
    expires_in = reception.collection.expires_in
    facts, name = staged.facts, reception.name
    if not isinstance(judgement, Unjudged):
        facts, name = judgement.facts, judgement.name
    problem = judgement.problem if isinstance(judgement, Held) else None
    return StoredFile(
        id=secrets.token_hex(16),
        name=name or f"file{extension_of_type(facts.type)}",
        size=facts.size,
        type=facts.type,
        sha256=facts.sha256,
        state=_STATES[type(judgement)],
        collection=reception.collection.name,
        owner=reception.owner,
        created_at=now,
        expires_at=None if expires_in is None else now + timedelta(seconds=expires_in),
        details=facts.details.describe(),
        problem=None if problem is None else json.loads(problem_of(problem)),
    )
