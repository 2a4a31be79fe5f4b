"""The statements about upload links."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, insert, or_, select, update

from wharfinger.catalog.records import UploadLink, from_millis, to_millis
from wharfinger.catalog.tables import upload_links

# Asked for by every use of a link, so it is composed once.
_FIND: Final = select(upload_links).where(upload_links.c.id == bindparam("wanted"))


def add(connection: Connection, link: UploadLink) -> None:
    """Record a new link."""
    connection.execute(
        insert(upload_links).values(
            id=link.id,
            collection=link.collection,
            owner=link.owner,
            created_at=to_millis(link.created_at),
            expires_at=to_millis(link.expires_at),
            max_files=link.max_files,
            max_bytes=link.max_bytes,
            types=None if link.types is None else json.dumps(sorted(link.types)),
            files=link.files,
            bytes=link.bytes,
        )
    )


def find(connection: Connection, link_id: str) -> UploadLink | None:
    """Return the link, expired or used-up ones too, or None when unknown or revoked."""
    row = connection.execute(_FIND, {"wanted": link_id}).one_or_none()
    return None if row is None else _record(row)


def of_collection(
    connection: Connection, collection: str, now: datetime, *, owner: str | None
) -> list[UploadLink]:
    """Return the links of a collection that still work, oldest first; `owner` None: everybody's."""
    statement = select(upload_links).where(
        upload_links.c.collection == collection,
        upload_links.c.expires_at > to_millis(now),
        or_(
            upload_links.c.max_files.is_(None),
            upload_links.c.files < upload_links.c.max_files,
        ),
        or_(
            upload_links.c.max_bytes.is_(None),
            upload_links.c.bytes < upload_links.c.max_bytes,
        ),
    )
    if owner is not None:
        statement = statement.where(upload_links.c.owner == owner)
    rows = connection.execute(statement.order_by(upload_links.c.created_at, upload_links.c.id))
    return [_record(row) for row in rows]


def count(connection: Connection, link_id: str, size: int, now: datetime) -> bool:
    """Count one file if it fits into what is left; return whether it was. One of many wins."""
    result = connection.execute(
        update(upload_links)
        .where(
            upload_links.c.id == link_id,
            upload_links.c.expires_at > to_millis(now),
            or_(
                upload_links.c.max_files.is_(None),
                upload_links.c.files < upload_links.c.max_files,
            ),
            or_(
                upload_links.c.max_bytes.is_(None),
                upload_links.c.bytes + size <= upload_links.c.max_bytes,
            ),
        )
        .values(files=upload_links.c.files + 1, bytes=upload_links.c.bytes + size)
    )
    return result.rowcount == 1


def give_back(connection: Connection, link_id: str, size: int) -> None:
    """Count one file less: a check refused it after it had been counted."""
    connection.execute(
        update(upload_links)
        .where(upload_links.c.id == link_id, upload_links.c.files > 0)
        .values(files=upload_links.c.files - 1, bytes=upload_links.c.bytes - size)
    )


def remove(connection: Connection, link_id: str) -> bool:
    """Revoke a link; return whether it was there."""
    return (
        connection.execute(delete(upload_links).where(upload_links.c.id == link_id)).rowcount == 1
    )


def forget_expired(connection: Connection, before: datetime) -> int:
    """Delete links that expired at this moment or before; return how many."""
    return connection.execute(
        delete(upload_links).where(upload_links.c.expires_at <= to_millis(before))
    ).rowcount


def _record(row: Row[Any]) -> UploadLink:
    return UploadLink(
        id=row.id,
        collection=row.collection,
        owner=row.owner,
        created_at=from_millis(row.created_at),
        expires_at=from_millis(row.expires_at),
        max_files=row.max_files,
        max_bytes=row.max_bytes,
        types=None if row.types is None else frozenset(json.loads(row.types)),
        files=row.files,
        bytes=row.bytes,
    )
