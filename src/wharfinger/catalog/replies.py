"""The statements about stored answers: what a request with an Idempotency-Key came to."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import delete, insert, select, update

from wharfinger.catalog.records import to_millis
from wharfinger.catalog.tables import replies

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A stored answer, or a place for one: `status` is None while the first request runs.

    `key` says whose request it is and `request` what was asked, both as digests: of the head
    alone while it runs, then of head and content. `runner` is who runs it: the name by which
    others can tell whether that process still lives. `files` are the ids of those that the answer
    is about.
    """

    key: str
    request: str
    runner: str = ""
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    files: tuple[str, ...] = ()


def find(connection: Connection, key: str) -> Reply | None:
    """Return what is kept under a key, or None."""
    row = connection.execute(select(replies).where(replies.c.key == key)).one_or_none()
    if row is None:
        return None
    if row.status is None:
        return Reply(key=row.key, request=row.request, runner=row.headers or "")
    headers = tuple((name, value) for name, value in json.loads(row.headers))
    return Reply(
        key=row.key,
        request=row.request,
        status=row.status,
        headers=headers,
        body=row.body,
        files=tuple(json.loads(row.files or "[]")),
    )


def claim(connection: Connection, reply: Reply, now: datetime) -> None:
    """Take a key that is free, or whose runner is gone."""
    connection.execute(delete(replies).where(replies.c.key == reply.key))
    connection.execute(
        insert(replies),
        {
            "key": reply.key,
            "request": reply.request,
            "status": None,
            "headers": reply.runner,
            "created_at": to_millis(now),
        },
    )


def keep(connection: Connection, reply: Reply, now: datetime) -> bool:
    """Store the answer under a key that this runner has claimed; return whether it had."""
    found = connection.execute(
        update(replies)
        .where(
            replies.c.key == reply.key,
            replies.c.status.is_(None),
            replies.c.headers == reply.runner,
        )
        .values(
            request=reply.request,
            status=reply.status,
            headers=json.dumps(reply.headers),
            body=reply.body,
            files=json.dumps(reply.files),
            created_at=to_millis(now),
        )
    )
    return found.rowcount == 1


def release(connection: Connection, reply: Reply) -> None:
    """Give back a key that this runner has claimed, unless an answer is stored."""
    connection.execute(
        delete(replies).where(
            replies.c.key == reply.key,
            replies.c.status.is_(None),
            replies.c.headers == reply.runner,
        )
    )


def forget(connection: Connection, before: datetime, *, key: str | None = None) -> int:
    """Delete what was stored before this moment (under one key, if given); return how many."""
    statement = delete(replies).where(replies.c.created_at < to_millis(before))
    if key is not None:
        statement = statement.where(replies.c.key == key)
    return connection.execute(statement).rowcount
