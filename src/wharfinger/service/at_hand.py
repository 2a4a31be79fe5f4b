"""`AtHand`: what one process knows of an upload between its requests, and how that is kept.

The offset of an upload stands in the catalog, and its bytes survive a power cut before it does.
There are two ways for that:

* the part is synced, and then the offset moves (two syncs, one after the other);
* a few bytes go into the record itself, as its `tail`, in the transaction that moves the offset:
  one sync, which the catalog shares among all uploads that wait for theirs.

The part has the tail's bytes, too, so that every process of this machine reads them there; only
a power cut can take them from it. Who opens a part puts the tail back into it first (`restored`).
A tail is short: when it is full, the part is synced and the tail begins anew.

Who waits for a commit needs no thread for it (`commit_soon`): what came of it is taken up by
whoever has the upload's lock next.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from wharfinger.catalog import Catalog, Upload
from wharfinger.catalog import uploads as statements
from wharfinger.errors import Unavailable, UploadTakenOver
from wharfinger.inspection import Inspection
from wharfinger.stores import Part
from wharfinger.stores.base import BUSY, LOCK_SECONDS, Buffer
from wharfinger.units import KIB

# A longer tail would cost more to write again and again than a sync now and then does.
LONGEST_TAIL: Final = 16 * KIB
# The end of an upload moves in steps: each costs the catalog an index, too.
_STEP: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit under way: the record as it is when `done` is True."""

    done: Future[bool]
    upload: Upload
    tail: bytes

    def result(self) -> Upload:
        """Return the record once it is committed. Raises UploadTakenOver."""
        if not self.done.result():
            raise UploadTakenOver("A newer request goes on with this upload.")
        return self.upload


class AtHand:
    """What this process knows of an upload: the record, the staged file, how far it was written."""

    def __init__(self, upload: Upload, part: Part, inspection: Inspection | None) -> None:
        self.lock = threading.RLock()
        self.part = part
        self.turn = 0
        self.gone = False
        self.busy = 0
        self.upload = upload
        self.inspection = inspection
        self.written = upload.offset
        self.tentative = False
        self.committed_at = time.monotonic()
        self.seen: int | None = None
        """The catalog's `upload_epoch` of before the record was looked at; None: never."""
        self._tail: bytes | None = b"" if upload.offset == 0 else None  # None: to be synced
        self._fresh: bytearray | None = bytearray()  # behind the offset; None: too many
        self._under_way: Commit | None = None

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock, which whoever completes the upload may have for as long as checks take.

        Raises:
            Unavailable: it was not to be had in two seconds.
        """
        if not self.lock.acquire(timeout=LOCK_SECONDS):
            raise Unavailable(BUSY)
        try:
            yield
        finally:
            self.lock.release()

    def reset(self, upload: Upload, inspection: Inspection | None) -> None:
        """Believe the catalog: what was written beyond its offset counts for nothing."""
        self.upload = upload
        self.inspection = inspection
        self.written = upload.offset
        self.tentative = False
        self.turn += 1
        self._tail = None
        self._fresh = bytearray()
        self._under_way = None

    def take_back(self) -> None:
        """Count nothing of what was written tentatively."""
        if self.tentative:
            self.written = self.upload.offset
            self.tentative = False
            self._fresh = bytearray()

    def stage(self, data: Buffer) -> None:
        """Write more bytes behind those that are there. Raises StorageFull."""
        self.part.write_at(data, self.written)
        self.written += len(data)
        if self._fresh is not None:
            if len(self._fresh) + len(data) <= LONGEST_TAIL:
                self._fresh += data
            else:
                self._fresh = None

    def commit(self, catalog: Catalog, expires_at: datetime) -> None:
        """Have what was written survive a power cut, and move the offset. Raises UploadTakenOver."""
        self.commit_soon(catalog, expires_at)
        self.settle()

    def commit_soon(self, catalog: Catalog, expires_at: datetime) -> None:
        """Begin to do so; `settle` takes up what came of it."""
        self.settle()
        self.committed_at = time.monotonic()
        if self.written == self.upload.offset:
            return
        tail, fresh = self._tail, self._fresh
        if tail is not None and fresh is not None and len(tail) + len(fresh) <= LONGEST_TAIL:
            tail += fresh
        else:
            self._sync()
            tail = b""
        written = self.written
        if expires_at - self.upload.expires_at < _STEP:
            expires_at = self.upload.expires_at
        before = self.upload
        done = catalog.submit(
            lambda connection: statements.advance(connection, before, written, tail, expires_at)
        )
        moved = replace(before, offset=written, expires_at=expires_at)
        self._under_way = Commit(done, moved, tail)

    @property
    def under_way(self) -> Commit | None:
        """The commit that has not been taken up."""
        return self._under_way

    def settle(self) -> None:
        """Wait for a commit under way and take it up. Raises what became of it."""
        commit, self._under_way = self._under_way, None
        if commit is not None:
            self.upload = commit.result()
            self._tail, self._fresh = commit.tail, bytearray()

    def sync(self) -> None:
        """Have the part itself survive a power cut, with all that was committed."""
        if self._tail != b"":
            self._sync()

    def _sync(self) -> None:
        try:
            self.part.sync()
        except BaseException:
            # The pages may be lost and count as clean: a second sync would succeed over them
            # (fsync(2)). They come again, and whoever wrote them is done. What the record has
            # of them is put back by who opens the part next.
            if self._tail == b"":
                self.reset(self.upload, None)
            else:
                self.let_go()
            raise

    def let_go(self) -> None:
        """Close the staged file, which stays where it is."""
        with self.lock:
            self.gone = True
            self.part.close()


def restored(catalog: Catalog, part: Part, upload_id: str) -> Part:
    """Return a part with the last bytes in it that are only in the catalog after a power cut.

    Bytes before an offset never change, so that this harms nobody who has the part open, too. A
    part that lost more than these stays as short as it is.
    """
    found = catalog.read(lambda connection: statements.tail(connection, upload_id))
    if found is not None:
        offset, tail = found
        if part.size >= offset - len(tail):
            part.write_at(tail, offset - len(tail))
    return part
