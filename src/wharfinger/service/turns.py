"""`Turn`: one request's hold on an upload, and what its process knows of the upload meanwhile."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, NoReturn, Self

from wharfinger.catalog import Catalog, StoredFile, Upload, UploadState
from wharfinger.catalog import uploads as statements
from wharfinger.errors import (
    InconsistentLength,
    IntegrityError,
    OffsetMismatch,
    Rejected,
    TooLarge,
    UploadTakenOver,
    WharfingerError,
)
from wharfinger.inspection import Inspection
from wharfinger.protocol.tus_server import PARTIAL
from wharfinger.service.at_hand import AtHand, Commit
from wharfinger.service.collections import Collection
from wharfinger.service.refusals import problem_of
from wharfinger.service.whole_upload import Finisher, WholeUpload, pieces_of
from wharfinger.stores.base import Buffer
from wharfinger.units import MIB

if TYPE_CHECKING:
    from sqlalchemy import Connection

# How long the end of an upload is remembered for a client that lost the last answer.
REMEMBERED: Final = timedelta(days=1)
# So much, or so long, may be lost when a request breaks together with its process.
_COMMIT_BYTES: Final = 8 * MIB
_COMMIT_SECONDS: Final = 0.5
_DONE: Final[Future[bool]] = Future()
_DONE.set_result(True)


@dataclass(frozen=True, kw_only=True, slots=True)
class House:
    """What a turn needs of the service.

    Args:
        catalog: returns the open catalog.
        place: returns the collection of an upload, as its link narrows it; raises NotFound.
        expiry: returns when an upload ends that moves on now.
        finish: makes a whole upload a file.
        now: the clock.
        forget: is told that an upload is over.
        check_quota: raises QuotaExceeded when an upload has no room.
        check_growth: the same for one that has begun, of so many bytes.
        refused: is told in the transaction that ends an upload with a refusal.
        verdict: waits a while for the checks of a file; raises Rejected when they refused it.
    """

    catalog: Callable[[], Catalog]
    place: Callable[[str, str | None], Collection]
    expiry: Callable[[Upload], datetime]
    finish: Finisher
    now: Callable[[], datetime]
    forget: Callable[[str], None]
    check_quota: Callable[[Connection, Upload], None]
    check_growth: Callable[[Connection, Upload, int], None]
    refused: Callable[[Connection, Upload, WharfingerError], None]
    verdict: Callable[[StoredFile], StoredFile]


class Turn:
    """One request's hold on an upload: it ends when a newer request takes the upload.

    `write` judges and stages bytes; `keep` makes what was written survive; `complete` makes
    the whole a file. As a context manager it lets go of the upload, and keeps what came.
    """

    def __init__(self, house: House, at_hand: AtHand) -> None:
        self._house = house
        self._at_hand = at_hand
        self._turn = at_hand.turn
        at_hand.busy += 1
        self._open = True

    @property
    def upload(self) -> Upload:
        """The record, its offset that of the bytes that survive."""
        return self._at_hand.upload

    @property
    def offset(self) -> int:
        """Where the next byte goes."""
        return self._at_hand.written

    def at(self, offset: int) -> Self:
        """Return itself if the upload stands at this offset. Raises OffsetMismatch."""
        if offset != self.offset:
            raise OffsetMismatch(
                f"The upload stands at {self.offset} bytes; these begin at {offset}.",
                expected=self.offset,
                provided=offset,
            )
        return self

    def tentatively(self) -> None:
        """Keep nothing of what is written from now on before `keep`: a checksum decides."""
        with self._at_hand.lock:
            self._check()
            self._commit()
            self._at_hand.tentative = True

    def settle_length(self, length: int) -> None:
        """Say how long the whole is, once that is known.

        Raises:
            InconsistentLength: another was said before, or more bytes are there already.
            Rejected: the policy has another limit, or the quota no room.
        """
        upload = self._at_hand.upload
        if upload.length is not None and upload.length != length:
            raise InconsistentLength(
                f"The upload is {upload.length} bytes long; now it is called {length}.",
                lengths=(upload.length, length),
            )
        if length < self.offset:
            raise InconsistentLength(
                f"The upload has {self.offset} bytes already; a length of {length} comes too late.",
                lengths=(self.offset, length),
            )
        if upload.length is not None:
            return
        place = self._house.place(upload.collection, upload.link_id)
        if upload.concat == PARTIAL:
            check_size(place, length)
        else:
            Inspection(place.policy, name=upload.name, type=upload.type, length=length)
        settled = replace(upload, length=length)

        def settle(connection: Connection) -> bool:
            self._house.check_quota(connection, settled)
            return statements.settle(connection, settled)

        with self._at_hand.lock:
            self._check()
            if not self._house.catalog().write(settle):
                self._taken_over()
            self._at_hand.upload = replace(self._at_hand.upload, length=length)

    def write(self, data: Buffer) -> None:
        """Judge and stage more bytes.

        Raises:
            UploadTakenOver: a newer request goes on with the upload.
            TooLarge: there are more than the length that was declared; those up to it are
                kept.
            Rejected: they break the policy; the upload is over.
            QuotaExceeded: the whole has no length yet, and these bytes no room; the upload waits.
            StorageFull: there is no room.
        """
        hand = self._at_hand
        with hand.lock:
            self._check()
            with memoryview(data) as view, hand.part.locked():
                self._check_generation()
                length = hand.upload.length
                if length is None:
                    self._check_room(hand.written + len(view))
                room = len(view) if length is None else min(len(view), length - hand.written)
                hand.stage(view[:room])
                if hand.inspection is not None and not hand.tentative:
                    self._judge(hand.inspection, bytes(view[:room]))
                too_long = room < len(view)
            if too_long:
                raise TooLarge(f"The upload is {length} bytes long; more came.", limit=length or 0)
            if not hand.tentative and (
                hand.written - hand.upload.offset >= _COMMIT_BYTES
                or time.monotonic() - hand.committed_at >= _COMMIT_SECONDS
            ):
                self._commit()

    def keep(self) -> Upload:
        """Return the record once everything that was written survives a power cut.

        Raises:
            UploadTakenOver: a newer request goes on with the upload.
            Rejected: what was tentative breaks the policy; the upload is over.
        """
        hand = self._at_hand
        with hand.lock:
            self._check()
            self._judge_tentative()
            self._commit()
            return hand.upload

    def keep_soon(self) -> Commit:
        """Begin to do what `keep` does and let go; what is returned has its result."""
        hand = self._at_hand
        with hand.lock:
            self._check()
            self._judge_tentative()
            hand.commit_soon(self._house.catalog(), self._house.expiry(hand.upload))
            commit = hand.under_way or Commit(_DONE, hand.upload, b"")
            hand.busy -= 1
            self._open = False
            return commit

    def forget(self) -> None:
        """Take back what was written tentatively: the upload stands where it stood."""
        hand = self._at_hand
        with hand.lock:
            self._check()
            hand.take_back()

    def complete(self, *, also: Callable[[Connection], None] | None = None) -> StoredFile:
        """Make the whole a file and return its record.

        `also` runs in the transaction that records it.

        Raises:
            UploadTakenOver: a newer request goes on with the upload.
            Rejected: the content breaks the policy; the upload is over, and says so.
            IntegrityError: it does not have the digest that was declared; the same.
        """
        hand = self._at_hand
        with hand.lock:
            self._check()
            self._commit()
            hand.sync()
            hand.upload = replace(hand.upload, length=hand.written)
            place = self._house.place(hand.upload.collection, hand.upload.link_id)
            # An inspection finishes once: if this fails, the next completion reads what is staged.
            inspection, hand.inspection = hand.inspection, None
            whole = WholeUpload(hand.upload, place, hand.part, inspection)
            with hand.part.locked():
                self._check_generation()
                try:
                    stored = self._house.finish(whole, partial(self._end_with, also))
                except (Rejected, IntegrityError) as error:
                    self._refuse(error, locked=True)
                    raise
            hand.part.discard()
            self._over()
        return self._house.verdict(stored)

    def refuse(self, error: WharfingerError) -> None:
        """End the upload for good: whoever asks from now on is told this error."""
        with self._at_hand.lock:
            self._check()
            self._refuse(error)

    def drop_upload(self) -> None:
        """Give the upload up: nothing of its bytes remains."""
        with self._at_hand.lock:
            self._check()
            self._at_hand.part.discard()
            self._over()

    def close(self) -> None:
        """Let go; what came is kept, unless a newer request goes on or it was tentative."""
        if not self._open:
            return
        self._open = False
        hand = self._at_hand
        with hand.lock:
            hand.busy -= 1
            if hand.gone or hand.turn != self._turn:
                return
            hand.take_back()
            with contextlib.suppress(UploadTakenOver):
                self._commit()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # --- inside -------------------------------------------------------------------------------

    def _check(self) -> None:
        if self._at_hand.gone or self._at_hand.turn != self._turn or not self._open:
            raise UploadTakenOver("A newer request goes on with this upload.")

    def _judge_tentative(self) -> None:
        hand = self._at_hand
        if hand.tentative:
            hand.tentative = False
            if hand.inspection is not None:
                for piece in pieces_of(hand.part, hand.upload.offset, hand.written):
                    self._judge(hand.inspection, piece)

    def _check_generation(self) -> None:
        hand, catalog = self._at_hand, self._house.catalog()
        epoch = catalog.upload_epoch
        if hand.seen == epoch:  # nobody has taken any upload over since
            return
        found = catalog.read(lambda connection: statements.find(connection, hand.upload.id))
        if (
            found is None
            or found.generation != hand.upload.generation
            or found.state is not UploadState.OPEN
        ):
            self._taken_over()
        hand.seen = epoch

    def _taken_over(self) -> NoReturn:
        """Another process goes on with it: nothing that is known here is worth keeping."""
        self._house.forget(self._at_hand.upload.id)
        self._at_hand.let_go()
        raise UploadTakenOver("A newer request goes on with this upload.")

    def _commit(self) -> None:
        hand = self._at_hand
        hand.commit(self._house.catalog(), self._house.expiry(hand.upload))

    def _check_room(self, size: int) -> None:
        """Refuse more than the quota has room for, and what an inspection does not see, or not yet."""
        hand = self._at_hand
        self._house.catalog().read(
            lambda connection: self._house.check_growth(connection, hand.upload, size)
        )
        if hand.inspection is not None and not hand.tentative:
            return
        try:
            place = self._house.place(hand.upload.collection, hand.upload.link_id)
            check_size(place, size)
        except TooLarge as error:
            if not hand.tentative:
                self._refuse(error)
            raise

    def _judge(self, inspection: Inspection, data: bytes) -> None:
        try:
            for _ in inspection.feed(data):
                pass  # staged already; here it is only judged
        except Rejected as error:
            self._refuse(error)
            raise

    def _refuse(self, error: WharfingerError, *, locked: bool = False) -> None:
        """End the upload with what is wrong with it, so that it never looks like a success."""
        hand, house = self._at_hand, self._house
        remembered = house.now() + REMEMBERED

        def refuse(connection: Connection) -> bool:
            ended = statements.end(
                connection,
                hand.upload,
                UploadState.REFUSED,
                expires_at=remembered,
                problem=problem_of(error),
                locked=locked,
            )
            if ended:
                house.refused(connection, hand.upload, error)
            return ended

        if not house.catalog().write(refuse):
            self._taken_over()  # what is staged is no longer ours to remove
        hand.part.discard()
        self._over()

    def _end_with(
        self,
        also: Callable[[Connection], None] | None,
        connection: Connection,
        stored: StoredFile,
    ) -> None:
        if also is not None:
            also(connection)
        if not statements.end(
            connection,
            self._at_hand.upload,
            UploadState.COMPLETE,
            expires_at=self._house.now() + REMEMBERED,
            file_id=stored.id,
            locked=True,
        ):
            raise UploadTakenOver("A newer request goes on with this upload.")

    def _over(self) -> None:
        self._at_hand.gone = True
        self._house.forget(self._at_hand.upload.id)


def check_size(place: Collection, size: int) -> None:
    """Refuse more bytes than a place takes of one file. Raises TooLarge."""
    limit = place.policy.max_size
    if size > limit:
        raise TooLarge(
            f"{size} bytes; {place.name} takes files of at most {limit}.", limit=limit, size=size
        )
