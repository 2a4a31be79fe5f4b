"""The sweep: ends what has expired and removes what nobody owns.

It can run at any time, in any process, also while files are being received: a file is
removed from the store only when its record has ended, or when it is older than an hour
and has no live record (a crash between publishing and committing leaves such a one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Final

from wharfinger.catalog import Catalog, FileState, StoredFile, UploadState
from wharfinger.catalog import claims as claim_statements
from wharfinger.catalog import files as file_statements
from wharfinger.catalog import jobs as job_statements
from wharfinger.catalog import links as link_statements
from wharfinger.catalog import replies as reply_statements
from wharfinger.catalog import uploads as upload_statements
from wharfinger.stores import Blob, Store

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Far longer than publishing and committing can take, far shorter than a disk takes to fill.
ORPHAN_AGE: Final = timedelta(hours=1)
STAGING_AGE: Final = timedelta(days=1)
# Records of ended files are kept for a week, so that listings can go on from them.
RECORD_AGE: Final = timedelta(days=7)
# How long the answer to a request with an Idempotency-Key is given again.
REPLY_AGE: Final = timedelta(days=1)
_BATCH: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepReport:
    """What one sweep did.

    `expired` files ended because of their time, and `uploads` that nobody went on with;
    `orphans` are files that had no record, `parts` what was left of uploads without one,
    `leftovers` unfinished bytes in staging; `links` and stored `replies` were too old.
    """

    expired: int
    orphans: int
    leftovers: int
    links: int
    uploads: int = 0
    parts: int = 0
    replies: int = 0

    @property
    def removed_bytes(self) -> bool:
        """Whether anything left the store."""
        return any((self.expired, self.orphans, self.leftovers, self.uploads, self.parts))


def sweep(
    catalog: Catalog, store: Store, now: datetime, note: Callable[[Connection, StoredFile], None]
) -> SweepReport:
    """End what has expired, remove what nobody owns; return what was done.

    `note` is told of each file that ends, in the transaction that ends it.
    """
    expired = 0
    while overdue := catalog.read(
        lambda connection: file_statements.overdue(connection, now, _BATCH)
    ):
        for file_id in overdue:
            expired += end_file(catalog, store, file_id, FileState.EXPIRED, now=now, note=note)
    orphans = sum(_remove_orphans(catalog, store, batch) for batch in _batches(_old(store, now)))
    uploads = _end_uploads(catalog, store, now)
    parts = sum(
        _remove_parts(catalog, store, batch)
        for batch in _batches(part for part in store.parts() if _is_old(part, now))
    )
    leftovers = store.clean_staging((now - STAGING_AGE).timestamp())
    links = catalog.write(lambda connection: link_statements.forget_expired(connection, now))
    catalog.write(lambda connection: claim_statements.forget_stale(connection, now))
    catalog.write(lambda connection: file_statements.forget_ended(connection, now - RECORD_AGE))
    replies = catalog.write(lambda connection: reply_statements.forget(connection, now - REPLY_AGE))
    return SweepReport(
        expired=expired,
        orphans=orphans,
        leftovers=leftovers,
        links=links,
        uploads=uploads,
        parts=parts,
        replies=replies,
    )


def end_file(
    catalog: Catalog,
    store: Store,
    file_id: str,
    state: FileState,
    *,
    now: datetime,
    note: Callable[[Connection, StoredFile], None],
) -> bool:
    """End a live file: its record and links first, then its bytes; return whether it was live."""

    def end(connection: Connection) -> bool:
        stored = file_statements.find(connection, file_id)
        ended = file_statements.end(connection, file_id, state, now)
        if ended and stored is not None:
            note(connection, replace(stored, state=state))
        link_statements.remove_of_file(connection, file_id)
        job_statements.forget(connection, file_id)
        return ended

    ended = catalog.write(end, revokes=True)
    store.delete(file_id)
    store.delete_part(file_id)
    return ended


def _end_uploads(catalog: Catalog, store: Store, now: datetime) -> int:
    """Forget uploads whose time is over; return how many of them were still open.

    Every batch that is received moves the end of an upload into the future, so that one that
    somebody sends is never among them; one whose bytes are in use at the very end of its
    time is left for the next sweep. Nobody can go on with an upload after its end, and who had
    begun before finds no record, and keeps nothing.
    """
    ended = 0
    while overdue := catalog.read(
        lambda connection: upload_statements.overdue(connection, now, _BATCH)
    ):
        gone = 0
        for upload in overdue:
            if store.part_is_in_use(upload.id):
                continue
            if catalog.write(
                partial(upload_statements.remove_overdue, upload_id=upload.id, now=now)
            ):
                gone += 1
                ended += upload.state is UploadState.OPEN
            store.delete_part(upload.id)
        if not gone:
            break
    return ended


def _remove_parts(catalog: Catalog, store: Store, ids: list[str]) -> int:
    living = catalog.read(
        lambda connection: (
            upload_statements.living(connection, ids) | file_statements.staged_ids(connection, ids)
        )
    )
    return sum(store.delete_part(upload_id) for upload_id in ids if upload_id not in living)


def _old(store: Store, now: datetime) -> Iterator[Blob]:
    return (blob for blob in store.blobs() if _is_old(blob, now))


def _is_old(blob: Blob, now: datetime) -> bool:
    return blob.modified_at < (now - ORPHAN_AGE).timestamp()


def _batches(blobs: Iterable[Blob]) -> Iterator[list[str]]:
    ids = (blob.id for blob in blobs)
    while batch := list(islice(ids, _BATCH)):
        yield batch


def _remove_orphans(catalog: Catalog, store: Store, ids: list[str]) -> int:
    live = catalog.read(lambda connection: file_statements.live_ids(connection, ids))
    return sum(store.delete(file_id) for file_id in ids if file_id not in live)
