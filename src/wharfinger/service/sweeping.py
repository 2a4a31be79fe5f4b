"""The sweep: ends what has expired and removes what nobody owns.

It can run at any time, in any process, also while files are being received: a file is
removed from the store only when its record has ended, or when it is older than an hour
and has no live record (a crash between publishing and committing leaves such a one).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Final

from wharfinger.catalog import Catalog, FileState, StoredFile
from wharfinger.catalog import claims as claim_statements
from wharfinger.catalog import files as file_statements
from wharfinger.catalog import links as link_statements
from wharfinger.stores import Blob, Store

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Far longer than publishing and committing can take, far shorter than a disk takes to fill.
ORPHAN_AGE: Final = timedelta(hours=1)
STAGING_AGE: Final = timedelta(days=1)
# Records of ended files are kept for a week, so that listings can go on from them.
RECORD_AGE: Final = timedelta(days=7)
_BATCH: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepReport:
    """What one sweep did: how many files expired, orphans, leftovers in staging and old links went."""

    expired: int
    orphans: int
    leftovers: int
    links: int


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
    leftovers = store.clean_staging((now - STAGING_AGE).timestamp())
    links = catalog.write(lambda connection: link_statements.forget_expired(connection, now))
    catalog.write(lambda connection: claim_statements.forget_stale(connection, now))
    catalog.write(lambda connection: file_statements.forget_ended(connection, now - RECORD_AGE))
    return SweepReport(expired=expired, orphans=orphans, leftovers=leftovers, links=links)


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
        return ended

    ended = catalog.write(end, revokes=True)
    store.delete(file_id)
    return ended


def _old(store: Store, now: datetime) -> Iterator[Blob]:
    before = (now - ORPHAN_AGE).timestamp()
    return (blob for blob in store.blobs() if blob.modified_at < before)


def _batches(blobs: Iterable[Blob]) -> Iterator[list[str]]:
    ids = (blob.id for blob in blobs)
    while batch := list(islice(ids, _BATCH)):
        yield batch


def _remove_orphans(catalog: Catalog, store: Store, ids: list[str]) -> int:
    live = catalog.read(lambda connection: file_statements.live_ids(connection, ids))
    return sum(store.delete(file_id) for file_id in ids if file_id not in live)
