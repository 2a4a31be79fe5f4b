"""`Noting`: which events belong to what happens, in the transaction in which it happens."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wharfinger.catalog import Catalog, FileState, Link, StoredFile, Upload
from wharfinger.errors import Rejected, WharfingerError
from wharfinger.service.events import (
    EXPIRED,
    HELD,
    LINK_SPENT,
    READY,
    RECEIVED,
    REMOVED,
    Events,
)
from wharfinger.service.receiving import Reception
from wharfinger.service.upload_links import UploadLinks

if TYPE_CHECKING:
    from sqlalchemy import Connection


@dataclass(frozen=True, slots=True)
class Noting:
    """Notes what happens in one service."""

    events: Events
    upload_links: UploadLinks
    catalog: Callable[[], Catalog]

    def received(self, connection: Connection, stored: StoredFile, link_id: str | None) -> None:
        """Note that a file came in, and what became of it at once; count it for its link."""
        link = None
        if link_id is not None:
            self.upload_links.count(connection, link_id, stored)
            link = {"id": link_id}
        more = {FileState.READY: (READY,), FileState.HELD: (HELD,)}.get(stored.state, ())
        self.events.note(connection, stored, RECEIVED, *more, link=link, problem=stored.problem)

    def refused(self, reception: Reception, error: Rejected) -> None:
        """Note that what was being received was refused."""
        self.catalog().write(
            lambda connection: self.events.note_refusal(
                connection,
                error,
                identity=secrets.token_hex(16),
                collection=reception.collection.name,
                owner=reception.owner,
                name=reception.name,
                size=reception.received,
                link=None if reception.link_id is None else {"id": reception.link_id},
            )
        )

    def refused_upload(
        self, connection: Connection, upload: Upload, error: WharfingerError
    ) -> None:
        """Note that a resumable upload was refused."""
        self.events.note_refusal(
            connection,
            error,
            identity=upload.id,
            collection=upload.collection,
            owner=upload.owner,
            name=upload.name,
            size=upload.offset,
            link=None if upload.link_id is None else {"id": upload.link_id},
        )

    def ended(self, connection: Connection, stored: StoredFile) -> None:
        """Note that a file expired or was removed."""
        expired = stored.state is FileState.EXPIRED
        self.events.note(connection, stored, EXPIRED if expired else REMOVED)

    def spent(self, connection: Connection, link: Link, stored: StoredFile) -> None:
        """Note that the last download of a link was taken."""
        told = {"id": link.id, "max_downloads": link.max_downloads, "downloads": link.downloads}
        self.events.note(connection, stored, LINK_SPENT, link=told)
