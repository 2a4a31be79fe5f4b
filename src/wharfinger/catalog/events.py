"""The statements about events: the outbox.

An event is written in the transaction in which it happens, so that there is one exactly when
it happened. Whoever delivers it marks it as done afterwards: what is not marked is delivered
again. The events of one subject (a file) are delivered in order: `due` gives only the
earliest that waits. One that failed `MOST_TRIES` times is parked: nothing waits for it any more.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from wharfinger.catalog.records import Event, from_millis, maybe_millis, to_millis
from wharfinger.catalog.tables import events

# With the waits between them this is about three days, as Standard Webhooks recommends.
MOST_TRIES: Final = 11

_ADD: Final = insert(events)
_WAITS: Final = events.c.done_at.is_(None) & (events.c.tries < MOST_TRIES)
_PARKED: Final = events.c.done_at.is_(None) & (events.c.tries >= MOST_TRIES)


def add(
    connection: Connection,
    types: Mapping[str, str],
    *,
    subject: str,
    at: datetime,
    payload: Mapping[str, object],
    done_at: datetime | None,
) -> None:
    """Record events of one subject at one moment; `done_at` where nobody has to be sent them.

    Args:
        connection: the transaction.
        types: the type of each by its id, in order.
        subject: the id of the file.
        at: when it happened.
        payload: what is told of it.
        done_at: the same moment, or None.
    """
    common: dict[str, object] = {
        "subject": subject,
        "at": to_millis(at),
        "payload": json.dumps(payload, ensure_ascii=False, separators=(",", ":")),
        "tries": 0,
        "next_at": 0,
        "done_at": maybe_millis(done_at),
    }
    connection.execute(_ADD, [{"id": one, "kind": kind, **common} for one, kind in types.items()])


def numbers(connection: Connection, ids: Iterable[str]) -> dict[str, int]:
    """Return the numbers of events by their ids."""
    rows = connection.execute(select(events.c.id, events.c.seq).where(events.c.id.in_(list(ids))))
    return {row.id: row.seq for row in rows}


def since(connection: Connection, seq: int, limit: int) -> list[Event]:
    """Return the events after this number, in order."""
    rows = connection.execute(
        select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    )
    return [_record(row) for row in rows]


def due(connection: Connection, now: datetime, limit: int) -> list[Event]:
    """Return events to deliver now, oldest first: of each subject at most the earliest."""
    earlier = events.alias()
    blocked = (
        select(earlier.c.seq)
        .where(
            earlier.c.subject == events.c.subject,
            earlier.c.seq < events.c.seq,
            earlier.c.done_at.is_(None),
            earlier.c.tries < MOST_TRIES,
        )
        .exists()
    )
    rows = connection.execute(
        select(events)
        .where(_WAITS, events.c.next_at <= to_millis(now), ~blocked)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [_record(row) for row in rows]


def delivered(connection: Connection, seq: int, now: datetime) -> None:
    """Mark an event as done."""
    connection.execute(update(events).where(events.c.seq == seq).values(done_at=to_millis(now)))


def failed(connection: Connection, seq: int, tries: int, next_at: datetime) -> None:
    """Note that an event was tried `tries` times and when it is tried again."""
    connection.execute(
        update(events).where(events.c.seq == seq).values(tries=tries, next_at=to_millis(next_at))
    )


def undelivered(
    connection: Connection, *, parked: bool, after: int, limit: int
) -> list[tuple[Event, datetime | None]]:
    """Return events that nobody took, in order, with the time of the next try (parked: None)."""
    statement = select(events).where(_PARKED if parked else events.c.done_at.is_(None))
    rows = connection.execute(
        statement.where(events.c.seq > after).order_by(events.c.seq).limit(limit)
    )
    return [
        (_record(row), None if row.tries >= MOST_TRIES else from_millis(row.next_at or row.at))
        for row in rows
    ]


def unpark(connection: Connection, ids: Collection[str] | None = None) -> int:
    """Let parked events (None: all of them) be tried anew; return how many."""
    statement = update(events).where(_PARKED).values(tries=0, next_at=0)
    if ids is not None:
        statement = statement.where(events.c.id.in_(ids))
    return connection.execute(statement).rowcount


def counts(connection: Connection) -> tuple[int, int]:
    """Return how many events wait and how many are parked."""
    waiting = connection.execute(select(func.count()).select_from(events).where(_WAITS))
    parked = connection.execute(select(func.count()).select_from(events).where(_PARKED))
    return int(waiting.scalar_one()), int(parked.scalar_one())


def forget(connection: Connection, *, done_before: datetime, parked_before: datetime) -> int:
    """Delete events done, and parked events that happened, before these moments; return how many."""
    done = delete(events).where(events.c.done_at < to_millis(done_before))
    parked = delete(events).where(_PARKED, events.c.at < to_millis(parked_before))
    return connection.execute(done).rowcount + connection.execute(parked).rowcount


def _record(row: Row[Any]) -> Event:
    payload = json.loads(row.payload)
    return Event(
        seq=row.seq,
        id=row.id,
        type=row.kind,
        at=from_millis(row.at),
        file=payload["file"],
        link=payload.get("link"),
        problem=payload.get("problem"),
        tries=row.tries,
    )
