"""The statements about download links."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import (
    Connection,
    Row,
    bindparam,
    delete,
    exists,
    insert,
    or_,
    select,
    update,
)

from wharfinger.catalog.records import ClaimState, Link, from_millis, to_millis
from wharfinger.catalog.tables import claims, links

# Asked for by every use of a link, so it is composed once.
_FIND: Final = select(links).where(links.c.id == bindparam("wanted"))


def add(connection: Connection, link: Link, password: str | None = None) -> None:
    """Record a new link; `password` is what its password hashes to."""
    connection.execute(
        insert(links).values(
            id=link.id,
            file_id=link.file_id,
            owner=link.owner,
            created_at=to_millis(link.created_at),
            expires_at=to_millis(link.expires_at),
            max_downloads=link.max_downloads,
            downloads=link.downloads,
            download_name=link.download_name,
            disposition=link.disposition,
            sha256=link.sha256,
            password=password,
        )
    )


def find(connection: Connection, link_id: str) -> Link | None:
    """Return the link, expired or spent ones too, or None when unknown or revoked."""
    row = connection.execute(_FIND, {"wanted": link_id}).one_or_none()
    return None if row is None else _record(row)


def of_file(connection: Connection, file_id: str, now: datetime) -> list[Link]:
    """Return the links of a file that still work, oldest first.

    A link that is used up works as long as one of its claims does.
    """
    claimed = exists().where(
        claims.c.link_id == links.c.id,
        claims.c.state == ClaimState.OPEN.value,
        claims.c.expires_at > to_millis(now),
    )
    rows = connection.execute(
        select(links)
        .where(
            links.c.file_id == file_id,
            links.c.expires_at > to_millis(now),
            or_(
                links.c.max_downloads.is_(None), links.c.downloads < links.c.max_downloads, claimed
            ),
        )
        .order_by(links.c.created_at, links.c.id)
    )
    return [_record(row) for row in rows]


def count(connection: Connection, link_id: str, now: datetime) -> bool:
    """Count one download if one is left; return whether it was. One of many callers at once wins."""
    result = connection.execute(
        update(links)
        .where(
            links.c.id == link_id,
            links.c.expires_at > to_millis(now),
            (links.c.max_downloads.is_(None)) | (links.c.downloads < links.c.max_downloads),
        )
        .values(downloads=links.c.downloads + 1)
    )
    return result.rowcount == 1


def give_back(connection: Connection, link_id: str, most: int) -> bool:
    """Take back the counting of one download; return False once that was done `most` times."""
    result = connection.execute(
        update(links)
        .where(links.c.id == link_id, links.c.given_back < most, links.c.downloads > 0)
        .values(downloads=links.c.downloads - 1, given_back=links.c.given_back + 1)
    )
    return result.rowcount == 1


def password(connection: Connection, link_id: str) -> str | None:
    """Return what the password of a link hashes to, or None when it has none or is unknown."""
    return connection.execute(
        select(links.c.password).where(links.c.id == link_id)
    ).scalar_one_or_none()


def count_try(
    connection: Connection, link_id: str, now: datetime, *, most: int, span: timedelta
) -> datetime | None:
    """Count a try of the password; return None, or when there may be tries again.

    At most `most` in the `span` that the first of them began.
    """
    moment, millis = to_millis(now), span // timedelta(milliseconds=1)
    row = connection.execute(
        select(links.c.tries, links.c.tries_since).where(links.c.id == link_id)
    ).one_or_none()
    if row is None:
        return None
    tries, since = row
    if not since <= moment < since + millis:
        tries, since = 0, moment
    if tries >= most:
        return from_millis(since + millis)
    connection.execute(
        update(links).where(links.c.id == link_id).values(tries=tries + 1, tries_since=since)
    )
    return None


def forget_try(connection: Connection, link_id: str) -> None:
    """Take back the counting of a try that was right."""
    connection.execute(
        update(links)
        .where(links.c.id == link_id, links.c.tries > 0)
        .values(tries=links.c.tries - 1)
    )


def remove(connection: Connection, link_id: str) -> bool:
    """Revoke a link; return whether it was there."""
    return connection.execute(delete(links).where(links.c.id == link_id)).rowcount == 1


def remove_of_file(connection: Connection, file_id: str) -> int:
    """Revoke all links of a file; return how many."""
    return connection.execute(delete(links).where(links.c.file_id == file_id)).rowcount


def forget_expired(connection: Connection, before: datetime) -> int:
    """Delete links that expired at this moment or before; return how many."""
    return connection.execute(delete(links).where(links.c.expires_at <= to_millis(before))).rowcount


def _record(row: Row[Any]) -> Link:
    return Link(
        id=row.id,
        file_id=row.file_id,
        owner=row.owner,
        created_at=from_millis(row.created_at),
        expires_at=from_millis(row.expires_at),
        max_downloads=row.max_downloads,
        downloads=row.downloads,
        download_name=row.download_name,
        disposition=row.disposition,
        sha256=row.sha256,
        has_password=row.password is not None,
    )
