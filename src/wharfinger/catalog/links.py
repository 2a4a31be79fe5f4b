"""The statements about download links."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from wharfinger.catalog.records import Link, from_millis, to_millis
from wharfinger.catalog.tables import links


def add(connection: Connection, link: Link) -> None:
    """Record a new link."""
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
        )
    )


def find(connection: Connection, link_id: str) -> Link | None:
    """Return the link, expired or spent ones too, or None when unknown or revoked."""
    row = connection.execute(select(links).where(links.c.id == link_id)).one_or_none()
    return None if row is None else _record(row)


def of_file(connection: Connection, file_id: str, now: datetime) -> list[Link]:
    """Return the links of a file that still work, oldest first."""
    rows = connection.execute(
        select(links)
        .where(
            links.c.file_id == file_id,
            links.c.expires_at > to_millis(now),
            (links.c.max_downloads.is_(None)) | (links.c.downloads < links.c.max_downloads),
        )
        .order_by(links.c.created_at, links.c.id)
    )
    return [_record(row) for row in rows]


def claim(connection: Connection, link_id: str, now: datetime) -> bool:
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
    )
