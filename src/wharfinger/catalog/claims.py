"""The statements about claims: one row for each counted download of a limited link."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, case, delete, insert, literal, or_, select, update

from wharfinger.catalog.records import ClaimState, to_millis
from wharfinger.catalog.tables import claims


def add(
    connection: Connection,
    claim_id: str,
    link_id: str,
    *,
    now: datetime,
    expires_at: datetime,
    allotted: int,
) -> None:
    """Record a new open claim whose first request will send `allotted` bytes."""
    connection.execute(
        insert(claims).values(
            id=claim_id,
            link_id=link_id,
            state=ClaimState.OPEN.value,
            created_at=to_millis(now),
            expires_at=to_millis(expires_at),
            requests=1,
            allotted=allotted,
            delivered=0,
            ended=False,
        )
    )


def live(connection: Connection, claim_id: str, link_id: str, now: datetime) -> ClaimState | None:
    """Return the state of a claim of this link that may go on, or None."""
    state = connection.execute(
        select(claims.c.state).where(
            claims.c.id == claim_id,
            claims.c.link_id == link_id,
            claims.c.state != ClaimState.SPENT.value,
            claims.c.expires_at > to_millis(now),
        )
    ).scalar_one_or_none()
    return None if state is None else ClaimState(state)


def go_on(connection: Connection, claim_id: str, *, allotted: int, most: int) -> bool:
    """Open a claim for one more request that sends `allotted` bytes.

    Return False when it would have been given more than `most` bytes in all.
    """
    result = connection.execute(
        update(claims)
        .where(
            claims.c.id == claim_id,
            claims.c.state != ClaimState.SPENT.value,
            claims.c.allotted <= most - allotted,
        )
        .values(
            state=ClaimState.OPEN.value,
            requests=claims.c.requests + 1,
            allotted=claims.c.allotted + allotted,
        )
    )
    return result.rowcount == 1


def delivered(
    connection: Connection, claim_id: str, *, allotted: int, sent: int, ended: bool, size: int
) -> None:
    """Record that a request is over which sent `sent` of its `allotted` bytes.

    `ended` tells whether the file's last byte was among them. A claim is spent once that
    was so and as many bytes as the file has were delivered.
    """
    over = or_(literal(ended), claims.c.ended) & (claims.c.delivered + sent >= size)
    connection.execute(
        update(claims)
        .where(claims.c.id == claim_id)
        .values(
            allotted=claims.c.allotted - (allotted - sent),
            delivered=claims.c.delivered + sent,
            ended=or_(literal(ended), claims.c.ended),
            state=case((over, ClaimState.SPENT.value), else_=claims.c.state),
        )
    )


def lay_back(connection: Connection, claim_id: str) -> bool:
    """Mark a claim as given back, if its one and only request broke; return whether it was."""
    result = connection.execute(
        update(claims)
        .where(
            claims.c.id == claim_id,
            claims.c.state == ClaimState.OPEN.value,
            claims.c.requests == 1,
        )
        .values(state=ClaimState.BACK.value)
    )
    return result.rowcount == 1


def reopen(connection: Connection, claim_id: str) -> None:
    """Take back `lay_back`."""
    connection.execute(
        update(claims).where(claims.c.id == claim_id).values(state=ClaimState.OPEN.value)
    )


def forget_stale(connection: Connection, before: datetime) -> int:
    """Delete claims whose time was over at this moment or before; return how many."""
    return connection.execute(
        delete(claims).where(claims.c.expires_at <= to_millis(before))
    ).rowcount
