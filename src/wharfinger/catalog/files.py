"""The statements about files."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, select, update

from wharfinger.catalog import usage
from wharfinger.catalog.records import (
    FileState,
    StoredFile,
    from_millis,
    maybe_from_millis,
    maybe_millis,
    to_millis,
)
from wharfinger.catalog.tables import files

# States of a file whose bytes are (to be) gone.
ENDED: Final = (FileState.EXPIRED, FileState.REMOVED)

# States of a file whose bytes rest in staging, where nobody reads them.
STAGED: Final = (FileState.CHECKING, FileState.HELD, FileState.FAILED)

# Asked for by every delivery, so it is composed once.
_FIND: Final = select(files).where(files.c.id == bindparam("wanted"))


def add(connection: Connection, stored: Iterable[StoredFile]) -> None:
    """Record new files, and count them."""
    stored = list(stored)
    for file in stored:
        _count(connection, file, 1)
    connection.execute(
        insert(files),
        [
            {
                "id": file.id,
                "name": file.name,
                "size": file.size,
                "type": file.type,
                "sha256": file.sha256,
                "state": file.state.value,
                "collection": file.collection,
                "owner": file.owner,
                "created_at": to_millis(file.created_at),
                "expires_at": maybe_millis(file.expires_at),
                "problem": _json(file.problem),
                "details": _json(file.details),
            }
            for file in stored
        ],
    )


def find(connection: Connection, file_id: str) -> StoredFile | None:
    """Return the file's record whatever its state, or None."""
    row = connection.execute(_FIND, {"wanted": file_id}).one_or_none()
    return None if row is None else _record(row)


def declare(connection: Connection, file_id: str, declared: Mapping[str, object]) -> None:
    """Keep what was said of a file when it came."""
    connection.execute(
        update(files).where(files.c.id == file_id).values(declared=json.dumps(declared))
    )


def declared(connection: Connection, file_id: str) -> dict[str, Any]:
    """Return what was said of a file when it came; nothing if nothing is kept."""
    kept = connection.execute(
        select(files.c.declared).where(files.c.id == file_id)
    ).scalar_one_or_none()
    return json.loads(kept) if kept else {}


def page(
    connection: Connection,
    *,
    owner: str | None,
    collections: Sequence[str] | None,
    after: str | None,
    limit: int,
    now: datetime,
) -> list[StoredFile]:
    """Return up to `limit` live files, newest first, that come after the file `after`.

    `owner` None means everybody's, `collections` None all of them.
    """
    visible = []
    if owner is not None:
        visible.append(files.c.owner == owner)
    if collections is not None:
        visible.append(files.c.collection.in_(collections))
    statement = select(files).where(
        files.c.state.not_in([state.value for state in ENDED]),
        (files.c.expires_at.is_(None)) | (files.c.expires_at > to_millis(now)),
        *visible,
    )
    if after is not None:
        # Somebody else's file is no place to go on from: nobody learns that it exists.
        anchor = select(files.c.seq).where(files.c.id == after, *visible).scalar_subquery()
        statement = statement.where(files.c.seq < anchor)
    rows = connection.execute(statement.order_by(files.c.seq.desc()).limit(limit))
    return [_record(row) for row in rows]


def end(connection: Connection, file_id: str, state: FileState, now: datetime) -> bool:
    """Mark a live file as expired or removed; return whether it was live."""
    stored = find(connection, file_id)
    if stored is None or stored.state in ENDED:
        return False
    connection.execute(
        update(files)
        .where(files.c.id == file_id)
        .values(state=state.value, ended_at=to_millis(now))
    )
    if stored.state is not FileState.REFUSED:  # its room was given back when it was refused
        _count(connection, stored, -1)
    return True


def settle(connection: Connection, stored: StoredFile, before: FileState) -> bool:
    """Record what checks made of a file, if it still stands where it stood; return whether it did.

    Its name, size, type and digest may be others: what is kept can be written anew.
    """
    found = find(connection, stored.id)
    if found is None or found.state is not before:
        return False
    connection.execute(
        update(files)
        .where(files.c.id == stored.id)
        .values(
            name=stored.name,
            size=stored.size,
            type=stored.type,
            sha256=stored.sha256,
            state=stored.state.value,
            problem=_json(stored.problem),
            details=_json(stored.details),
        )
    )
    if stored.size != found.size:
        _count(connection, found, -1)
        _count(connection, stored, 1)
    return True


def refuse(
    connection: Connection, file_id: str, problem: Mapping[str, object], now: datetime
) -> StoredFile | None:
    """Mark a live file as refused, and give its room back; return its record, or None.

    The record is kept for a while, so that who sent the file can read why.
    """
    stored = find(connection, file_id)
    if stored is None or stored.state in (*ENDED, FileState.REFUSED):
        return None
    connection.execute(
        update(files)
        .where(files.c.id == file_id)
        .values(state=FileState.REFUSED.value, problem=json.dumps(problem), ended_at=to_millis(now))
    )
    _count(connection, stored, -1)
    return find(connection, file_id)


def staged_ids(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of these ids belong to files whose bytes rest in staging."""
    return set(
        connection.execute(
            select(files.c.id).where(
                files.c.id.in_(ids), files.c.state.in_([state.value for state in STAGED])
            )
        ).scalars()
    )


def overdue(connection: Connection, now: datetime, limit: int) -> list[str]:
    """Return the ids of live files whose time has come."""
    return list(
        connection.execute(
            select(files.c.id)
            .where(
                files.c.expires_at <= to_millis(now),
                files.c.state.not_in([state.value for state in ENDED]),
            )
            .limit(limit)
        ).scalars()
    )


def live_ids(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of these ids belong to live files that have, or may have, their bytes."""
    gone = [state.value for state in (*ENDED, FileState.REFUSED)]
    return set(
        connection.execute(
            select(files.c.id).where(files.c.id.in_(ids), files.c.state.not_in(gone))
        ).scalars()
    )


def forget_ended(connection: Connection, before: datetime) -> int:
    """Delete the records of files that ended before this moment; return how many."""
    result = connection.execute(delete(files).where(files.c.ended_at < to_millis(before)))
    return result.rowcount


def _record(row: Row[Any]) -> StoredFile:
    return StoredFile(
        id=row.id,
        name=row.name,
        size=row.size,
        type=row.type,
        sha256=row.sha256,
        state=FileState(row.state),
        collection=row.collection,
        owner=row.owner,
        created_at=from_millis(row.created_at),
        expires_at=maybe_from_millis(row.expires_at),
        details=json.loads(row.details) if row.details else {},
        problem=json.loads(row.problem) if row.problem else None,
    )


def _count(connection: Connection, stored: StoredFile, sign: int) -> None:
    usage.count(
        connection,
        collection=stored.collection,
        owner=stored.owner,
        files=sign,
        bytes=sign * stored.size,
    )


def _json(document: Mapping[str, object] | None) -> str | None:
    return json.dumps(document) if document else None
