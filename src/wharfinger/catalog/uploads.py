"""The statements about uploads that can be resumed."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select, update

from wharfinger.catalog.database import uploads_moved
from wharfinger.catalog.records import (
    Upload,
    UploadLink,
    UploadState,
    from_millis,
    to_millis,
)
from wharfinger.catalog.tables import uploads

# Asked for by every request of an upload, so it is composed once.
_RECORD: Final = [column for column in uploads.c if column is not uploads.c.tail]
_FIND: Final = select(*_RECORD).where(uploads.c.id == bindparam("wanted"))
_ADVANCE: Final = (
    update(uploads)
    .where(
        uploads.c.id == bindparam("wanted"),
        uploads.c.state == UploadState.OPEN.value,
        uploads.c.generation == bindparam("turn"),
    )
    .values(offset=bindparam("reached"), tail=bindparam("last_bytes"))
)
_ADVANCE_AND_END: Final = _ADVANCE.values(expires_at=bindparam("ends"))
_TAIL: Final = select(uploads.c.offset, uploads.c.tail).where(uploads.c.id == bindparam("wanted"))


def add(connection: Connection, upload: Upload) -> None:
    """Record a new upload."""
    connection.execute(
        insert(uploads),
        {
            "id": upload.id,
            "collection": upload.collection,
            "owner": upload.owner,
            "link_id": upload.link_id,
            "protocol": upload.protocol,
            "state": upload.state.value,
            "length": upload.length,
            "offset": upload.offset,
            "generation": upload.generation,
            "name": upload.name,
            "type": upload.type,
            "metadata": upload.metadata,
            "concat": upload.concat,
            "digest": upload.digest,
            "created_at": to_millis(upload.created_at),
            "expires_at": to_millis(upload.expires_at),
            "file_id": upload.file_id,
            "problem": upload.problem,
        },
    )


def find(connection: Connection, upload_id: str) -> Upload | None:
    """Return an upload whatever its state, or None."""
    row = connection.execute(_FIND, {"wanted": upload_id}).one_or_none()
    return None if row is None else _record(row)


def take_over(connection: Connection, upload_id: str) -> Upload | None:
    """Move the generation on and return the upload, or None when it is not open."""
    found = connection.execute(
        update(uploads)
        .where(uploads.c.id == upload_id, uploads.c.state == UploadState.OPEN.value)
        .values(generation=uploads.c.generation + 1)
    )
    uploads_moved(connection)
    return find(connection, upload_id) if found.rowcount == 1 else None


def advance(
    connection: Connection,
    upload: Upload,
    offset: int,
    tail: bytes,
    expires_at: datetime,
) -> bool:
    """Move the offset of an open upload; False for a past generation.

    The bytes before it were synced, but for the last ones, which are its `tail`.
    """
    reached = {
        "wanted": upload.id,
        "turn": upload.generation,
        "reached": offset,
        "last_bytes": tail or None,
    }
    if expires_at == upload.expires_at:
        return connection.execute(_ADVANCE, reached).rowcount == 1
    moved = {**reached, "ends": to_millis(expires_at)}
    return connection.execute(_ADVANCE_AND_END, moved).rowcount == 1


def tail(connection: Connection, upload_id: str) -> tuple[int, bytes] | None:
    """Return the offset of an upload and the bytes before it that its part may not have."""
    row = connection.execute(_TAIL, {"wanted": upload_id}).one_or_none()
    return None if row is None or not row.tail else (row.offset, row.tail)


def settle(connection: Connection, upload: Upload) -> bool:
    """Note how long an open upload is; False for a past generation."""
    return connection.execute(_open(upload).values(length=upload.length)).rowcount == 1


def end(
    connection: Connection,
    upload: Upload,
    state: UploadState,
    *,
    expires_at: datetime,
    file_id: str | None = None,
    problem: str | None = None,
    locked: bool = False,
) -> bool:
    """End an open upload; False when another request did, or took it over.

    With its bytes `locked` nobody else can have gone on with it: who takes it over now waits
    for the lock, and finds it ended.
    """
    found = connection.execute(
        _open(upload, locked=locked).values(
            state=state.value,
            file_id=file_id,
            problem=problem,
            expires_at=to_millis(expires_at),
            offset=upload.offset,
            tail=None,
            length=upload.length,
        )
    )
    return found.rowcount == 1


def join(connection: Connection, ids: list[str], into: str, expires_at: datetime) -> int:
    """End open uploads as parts of another one; return how many were open."""
    uploads_moved(connection)
    return connection.execute(
        update(uploads)
        .where(uploads.c.id.in_(ids), uploads.c.state == UploadState.OPEN.value)
        .values(
            state=UploadState.JOINED.value,
            file_id=into,
            tail=None,
            expires_at=to_millis(expires_at),
            generation=uploads.c.generation + 1,
        )
    ).rowcount


def refuse_of_file(connection: Connection, file_id: str, problem: str) -> None:
    """Let the upload that became a file answer from now on that it was refused."""
    connection.execute(
        update(uploads)
        .where(uploads.c.file_id == file_id, uploads.c.state == UploadState.COMPLETE.value)
        .values(state=UploadState.REFUSED.value, problem=problem)
    )


def remove(connection: Connection, upload_id: str) -> bool:
    """Forget an upload; return whether it was there."""
    uploads_moved(connection)
    return connection.execute(delete(uploads).where(uploads.c.id == upload_id)).rowcount == 1


def remove_overdue(connection: Connection, upload_id: str, now: datetime) -> bool:
    """Forget an upload if its time is (still) over; return whether it was."""
    uploads_moved(connection)
    found = connection.execute(
        delete(uploads).where(uploads.c.id == upload_id, uploads.c.expires_at <= to_millis(now))
    )
    return found.rowcount == 1


def overdue(connection: Connection, now: datetime, limit: int) -> list[Upload]:
    """Return uploads whose time is over."""
    rows = connection.execute(
        select(*_RECORD).where(uploads.c.expires_at <= to_millis(now)).limit(limit)
    )
    return [_record(row) for row in rows]


def living(connection: Connection, ids: list[str]) -> set[str]:
    """Return which of these ids belong to open uploads."""
    return set(
        connection.execute(
            select(uploads.c.id).where(
                uploads.c.id.in_(ids), uploads.c.state == UploadState.OPEN.value
            )
        ).scalars()
    )


def count_open(
    connection: Connection, *, owner: str | None = None, collection: str | None = None
) -> int:
    """Return how many uploads are open of an owner, or in a collection."""
    statement = select(func.count()).where(uploads.c.state == UploadState.OPEN.value)
    if owner is not None:
        statement = statement.where(uploads.c.owner == owner)
    if collection is not None:
        statement = statement.where(uploads.c.collection == collection)
    return int(connection.execute(statement).scalar_one())


def open_of_link(connection: Connection, link: UploadLink, *, besides: str) -> list[Upload]:
    """Return the open uploads of an upload link but one, the one that stands still longest first."""
    rows = connection.execute(
        select(*_RECORD)
        .where(
            uploads.c.collection == link.collection,  # which has an index
            uploads.c.state == UploadState.OPEN.value,
            uploads.c.link_id == link.id,
            uploads.c.id != besides,
        )
        .order_by(uploads.c.expires_at, uploads.c.id)
    )
    return [_record(row) for row in rows]


def _open(upload: Upload, *, locked: bool = False) -> Any:
    found = update(uploads).where(
        uploads.c.id == upload.id, uploads.c.state == UploadState.OPEN.value
    )
    return found if locked else found.where(uploads.c.generation == upload.generation)


def _record(row: Row[Any]) -> Upload:
    return Upload(
        id=row.id,
        collection=row.collection,
        owner=row.owner,
        link_id=row.link_id,
        protocol=row.protocol,
        state=UploadState(row.state),
        length=row.length,
        offset=row.offset,
        generation=row.generation,
        name=row.name,
        type=row.type,
        metadata=row.metadata,
        concat=row.concat,
        digest=row.digest,
        created_at=from_millis(row.created_at),
        expires_at=from_millis(row.expires_at),
        file_id=row.file_id,
        problem=row.problem,
    )
