"""The statements about jobs: the queue of checks.

A job is enqueued in the transaction that records its file, so that there is one exactly when
there is a file to check. Who takes it on leases it, for a time and under a number; what is
done with an older lease counts for nothing. A lease ends with its time, or with the process
that holds it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, delete, func, insert, literal, or_, select, update

from wharfinger.catalog.records import FileState, Job, JobKind, to_millis
from wharfinger.catalog.tables import files, jobs

_FREE: Final = jobs.c.worker.is_(None)


def enqueue(connection: Connection, file_id: str, kind: JobKind, at: datetime) -> None:
    """Have a file checked from this moment on."""
    connection.execute(insert(jobs).values(file_id=file_id, kind=kind.value, next_at=to_millis(at)))


def enqueue_all(
    connection: Connection,
    states: Iterable[FileState],
    kind: JobKind,
    at: datetime,
    *,
    collection: str | None = None,
    since: datetime | None = None,
) -> int:
    """Have every file in these states checked; return how many did not wait for that already."""
    waiting = select(jobs.c.seq).where(
        jobs.c.file_id == files.c.id, jobs.c.kind == kind.value, jobs.c.parked.is_(False)
    )
    chosen = (
        select(files.c.id, literal(kind.value), literal(to_millis(at)))
        .where(files.c.state.in_([state.value for state in states]), ~waiting.exists())
        .order_by(files.c.seq)
    )
    if collection is not None:
        chosen = chosen.where(files.c.collection == collection)
    if since is not None:
        chosen = chosen.where(files.c.created_at >= to_millis(since))
    columns = ["file_id", "kind", "next_at"]
    return connection.execute(insert(jobs).from_select(columns, chosen)).rowcount


def hurry(
    connection: Connection,
    at: datetime,
    *,
    collection: str | None = None,
    since: datetime | None = None,
) -> int:
    """Let what was given up, or waits for later, be tried from this moment on; return how many jobs."""
    chosen = select(files.c.id)
    if collection is not None:
        chosen = chosen.where(files.c.collection == collection)
    if since is not None:
        chosen = chosen.where(files.c.created_at >= to_millis(since))
    idle = jobs.c.parked.is_(True) | (_FREE & (jobs.c.next_at > to_millis(at)))
    put = update(jobs).where(idle, jobs.c.file_id.in_(chosen))
    return connection.execute(put.values(parked=False, tries=0, next_at=to_millis(at))).rowcount


def lease(
    connection: Connection,
    worker: str,
    *,
    kinds: Iterable[JobKind],
    collections: Iterable[str],
    now: datetime,
    until: datetime,
) -> Job | None:
    """Take on the job of these kinds and collections that waits longest; None when none is due."""
    next_one = (
        _due(kinds, collections, now)
        .order_by(jobs.c.next_at, jobs.c.seq)
        .limit(1)
        .scalar_subquery()
    )
    return _leased(connection, jobs.c.seq == next_one, worker, until)


def is_due(
    connection: Connection, kinds: Iterable[JobKind], collections: Iterable[str], now: datetime
) -> bool:
    """Return whether there is a job of these kinds and collections to take on."""
    return connection.execute(_due(kinds, collections, now).limit(1)).first() is not None


def lease_of(connection: Connection, file_id: str, worker: str, until: datetime) -> Job | None:
    """Take on the check of one file that nobody has taken on."""
    return _leased(
        connection, (jobs.c.file_id == file_id) & jobs.c.parked.is_(False) & _FREE, worker, until
    )


def workers(connection: Connection) -> set[str]:
    """Return the names of those that hold a lease."""
    return set(
        connection.execute(
            select(jobs.c.worker).distinct().where(jobs.c.worker.is_not(None))
        ).scalars()
    )


def release(connection: Connection, worker: str) -> int:
    """Free what a worker has taken on; return how many jobs."""
    return connection.execute(
        update(jobs).where(jobs.c.worker == worker).values(worker=None, leased_until=None)
    ).rowcount


def is_leased(connection: Connection, job: Job) -> bool:
    """Return whether the lease is still good: nobody has taken the job on since, or done it."""
    return connection.execute(select(jobs.c.seq).where(_is(job))).first() is not None


def done(connection: Connection, job: Job) -> bool:
    """Take a job out of the queue; return whether the lease was still good."""
    return connection.execute(delete(jobs).where(_is(job))).rowcount == 1


def again(
    connection: Connection, job: Job, *, tries: int, next_at: datetime, error: str, parked: bool
) -> bool:
    """Put a job back after a try that failed; return whether the lease was still good."""
    put = update(jobs).where(_is(job))
    return (
        connection.execute(
            put.values(
                tries=tries,
                next_at=to_millis(next_at),
                error=error,
                parked=parked,
                worker=None,
                leased_until=None,
            )
        ).rowcount
        == 1
    )


def forget(connection: Connection, file_id: str) -> None:
    """Take every job of a file out of the queue."""
    connection.execute(delete(jobs).where(jobs.c.file_id == file_id))


def counts(connection: Connection) -> tuple[int, int]:
    """Return how many jobs wait or are being done, and how many are parked."""
    total = select(func.count()).select_from(jobs)
    waiting = connection.execute(total.where(jobs.c.parked.is_(False))).scalar_one()
    parked = connection.execute(total.where(jobs.c.parked.is_(True))).scalar_one()
    return int(waiting), int(parked)


def _due(kinds: Iterable[JobKind], collections: Iterable[str], now: datetime) -> Any:
    known = select(files.c.id).where(files.c.collection.in_(list(collections)))
    return select(jobs.c.seq).where(
        jobs.c.kind.in_([kind.value for kind in kinds]),
        jobs.c.file_id.in_(known),
        jobs.c.parked.is_(False),
        jobs.c.next_at <= to_millis(now),
        or_(_FREE, jobs.c.leased_until <= to_millis(now)),
    )


def _leased(connection: Connection, which: Any, worker: str, until: datetime) -> Job | None:
    row = connection.execute(
        update(jobs)
        .where(which)
        .values(worker=worker, leased_until=to_millis(until), token=jobs.c.token + 1)
        .returning(*jobs.c)
    ).first()
    return None if row is None else _record(row)


def _is(job: Job) -> Any:
    return (jobs.c.seq == job.seq) & (jobs.c.token == job.token)


def _record(row: Row[Any]) -> Job:
    return Job(
        seq=row.seq,
        file_id=row.file_id,
        kind=JobKind(row.kind),
        tries=row.tries,
        token=row.token,
        error=row.error,
    )
