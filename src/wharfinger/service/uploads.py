"""Uploads that come in several requests: begun, gone on with, taken over, completed.

The rules, whatever protocol speaks:

1. The offset is the one in the catalog. It is committed after its bytes were synced and before
   anybody is told; how long the staged file is means nothing.
2. A newer request takes an upload over at once. In this process that is a turn under a lock.
   From another process it is a generation in the catalog: who writes does so under a lock on
   the staged file, and looks at the generation first, so that a late writer never touches
   bytes that a newer one stands behind.
3. Bytes are judged as they come, so that what is refused is refused early, and the whole is
   judged before it becomes a file: by the same inspection when one process saw every byte in
   order, else by reading what was staged.
4. The record of the file and the end of the upload are one transaction.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal, Protocol, Self

from wharfinger.catalog import Catalog, StoredFile, Upload, UploadState
from wharfinger.catalog import uploads as statements
from wharfinger.errors import (
    InconsistentLength,
    IntegrityError,
    NotFound,
    OffsetMismatch,
    Rejected,
    TooLarge,
    UploadOver,
    UploadTakenOver,
    WharfingerError,
)
from wharfinger.inspection import Facts, Inspection
from wharfinger.names import judge
from wharfinger.scanners import Scanner
from wharfinger.service.collections import Collection
from wharfinger.service.principals import Principal
from wharfinger.service.receiving import scan
from wharfinger.service.refusals import problem_of
from wharfinger.stores import Part, Store
from wharfinger.stores.base import Buffer
from wharfinger.units import MIB

if TYPE_CHECKING:
    from sqlalchemy import Connection

ProtocolName = Literal["tus", "resumable"]
# What `Upload.concat` says of an upload whose bytes are only ever a part of another one.
PARTIAL: Final = "partial"

# An upload that nobody goes on with ends after a day, any upload after a week.
IDLE: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=7)
# How long the end of an upload is remembered for a client that lost the last answer.
REMEMBERED: Final = timedelta(days=1)
# So much, or so long, may be lost when a request breaks together with its process.
_COMMIT_BYTES: Final = 8 * MIB
_COMMIT_SECONDS: Final = 0.5
# Uploads whose staged file and inspection stay at hand between their requests.
_AT_HAND: Final = 128
_AT_HAND_SECONDS: Final = 300
_READ: Final = 1 * MIB


class Finisher(Protocol):
    """Makes a whole upload a file; `also` runs in the transaction that records it."""

    def __call__(
        self, whole: WholeUpload, also: Callable[[Connection, StoredFile], None]
    ) -> StoredFile:
        """Return the record of the file."""
        ...


class Uploads:
    """The uploads of one service.

    Args:
        catalog: returns the open catalog.
        store: returns the open store.
        collection: returns a collection by its name; raises NotFound.
        finish: makes a whole upload a file.
        now: the clock.
        narrowed: returns the collection of an upload link as that narrows it; raises NotFound.
        refused: is told in the transaction that ends an upload with a refusal.
    """

    def __init__(
        self,
        *,
        catalog: Callable[[], Catalog],
        store: Callable[[], Store],
        collection: Callable[[str], Collection],
        finish: Finisher,
        now: Callable[[], datetime],
        narrowed: Callable[[str], Collection],
        refused: Callable[[Connection, Upload, WharfingerError], None],
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._collection = collection
        self._finish = finish
        self._now = now
        self._narrowed = narrowed
        self._when_refused = refused
        self._at_hand: OrderedDict[str, _AtHand] = OrderedDict()
        self._choosing = threading.Lock()

    def create(
        self,
        collection: str,
        *,
        protocol: ProtocolName,
        owner: str | None,
        length: int | None = None,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's own word
        metadata: str = "",
        concat: str | None = None,
        digest: str | None = None,
        link_id: str | None = None,
    ) -> Upload:
        """Begin an upload; on return it survives a power cut.

        What is declared is judged now: name, claimed type and length in bytes (None: unknown).
        `digest` is the SHA-256 that the whole must have, in hexadecimal. With `concat` PARTIAL
        the bytes never become a file of their own; `join` makes one of several.

        Raises:
            NotFound: there is no such collection.
            Rejected: name, type or length break the collection's policy.
            QuotaExceeded: the quota has no room for it beside what is there and promised.
            StorageFull: it cannot fit.
        """
        place = self._place(collection, link_id)
        label = None if name is None else judge(name)
        if concat == PARTIAL:
            # The policy is about the whole; of a part only its size can be too much.
            _check_size(place, length or 0)
        else:
            Inspection(place.policy, name=label, type=type, length=length)
        now = self._now()
        upload = Upload(
            id=secrets.token_hex(16),
            collection=collection,
            owner=owner,
            link_id=link_id,
            protocol=protocol,
            length=length,
            name=label,
            type=type,
            metadata=metadata,
            concat=concat,
            digest=digest,
            created_at=now,
            expires_at=now + IDLE,
        )
        # Before the part is made, so that a refusal costs nothing; the transaction looks again.
        self._catalog().read(lambda connection: self._check_quota(connection, upload))
        part = self._store().begin_part(upload.id, length)
        try:
            self._catalog().write(lambda connection: self._add(connection, upload))
        except BaseException:
            part.discard()
            raise
        self._keep_at_hand(_AtHand(upload, part, self._inspection(upload)))
        return upload

    def find(self, upload_id: str, asker: Principal | None) -> Upload:
        """Return an upload of the asker (None: whoever). Raises NotFound."""
        upload = self._catalog().read(lambda connection: statements.find(connection, upload_id))
        if upload is None or upload.expires_at <= self._now():
            raise NotFound
        if asker is not None and not (
            asker.owns(upload.owner) and asker.may_use(upload.collection)
        ):
            raise NotFound
        return upload

    def take(self, upload_id: str, asker: Principal | None = None) -> Turn:
        """Go on with an upload: any older request that writes to it fails from now on.

        Raises:
            NotFound: there is none for the asker.
            UploadOver: it is complete, or was refused.
        """
        found = self.find(upload_id, asker)
        if found.state is not UploadState.OPEN:
            raise UploadOver(f"The upload is {found.state.value}; it takes no more bytes.")
        at_hand = self._at_hand_of(found)
        with at_hand.lock:
            if not at_hand.gone and at_hand.upload.generation == found.generation:
                at_hand.turn += 1
                at_hand.take_back()
                at_hand.commit(self._catalog(), self._expiry(at_hand.upload))
                return Turn(self, at_hand)
        return self._take_over(found, at_hand)

    def state(self, upload_id: str, asker: Principal | None = None) -> Upload:
        """Return an upload with an offset that stands: no older request moves it any more.

        Raises:
            NotFound: there is none for the asker.
        """
        found = self.find(upload_id, asker)
        if found.state is not UploadState.OPEN:
            return found
        with self.take(upload_id, asker) as turn:
            return turn.upload

    def end(self, upload_id: str, asker: Principal | None = None) -> Upload:
        """Give an upload up, or forget one that is over; return what it was. Raises NotFound."""
        found = self.find(upload_id, asker)
        if found.state is UploadState.OPEN:
            with contextlib.suppress(UploadOver), self.take(upload_id, asker) as turn:
                found = turn.upload
                turn.drop_upload()
        self._catalog().write(lambda connection: statements.remove(connection, upload_id))
        self._store().delete_part(upload_id)
        return found

    def join(self, upload_id: str, parts: Sequence[Upload]) -> StoredFile:
        """Complete an upload with the bytes of whole parts, in this order; the parts are used up.

        Bytes are judged while they are copied, as those of any upload.

        Raises:
            UploadTakenOver: another upload has used up a part meanwhile.
            Rejected: the content breaks the policy; the upload is over, the parts are not.
        """
        ids = sorted({part.id for part in parts})
        remembered = self._now() + REMEMBERED

        def use_up(connection: Connection) -> None:
            if statements.join(connection, ids, upload_id, remembered) != len(ids):
                raise UploadTakenOver("Another upload has used a part of this one.")

        with self.take(upload_id) as turn:
            for part in parts:
                for piece in self._bytes_of(part):
                    turn.write(piece)
            stored = turn.complete(also=use_up)
        for part_id in ids:
            self._let_go_of(part_id)
            self._store().delete_part(part_id)
        return stored

    def tidy(self) -> None:
        """Let go of the staged files that nobody has written to for a while, or that are gone.

        Each process does so for itself: a file that was removed takes room as long as anybody
        has it open.
        """
        before = time.monotonic() - _AT_HAND_SECONDS
        with self._choosing:
            idle = [
                self._at_hand.pop(upload_id)
                for upload_id, one in list(self._at_hand.items())
                if not one.busy and one.committed_at < before
            ]
        for one in idle:
            one.let_go()

    def close(self) -> None:
        """Let go of every staged file."""
        with self._choosing:
            at_hand = list(self._at_hand.values())
            self._at_hand.clear()
        for one in at_hand:
            one.let_go()

    # --- inside -------------------------------------------------------------------------------

    def _add(self, connection: Connection, upload: Upload) -> None:
        statements.add(connection, upload)
        self._check_quota(connection, upload)

    def _check_quota(self, connection: Connection, upload: Upload) -> None:
        self._collection(upload.collection).quotas.check_upload(
            connection,
            upload.collection,
            upload.owner,
            upload_id=upload.id,
            # The parts of a concatenation have their room already; the whole takes theirs.
            length=upload.length if upload.concat in {None, PARTIAL} else 0,
        )

    def _inspection(self, upload: Upload) -> Inspection | None:
        if upload.concat == PARTIAL:
            return None
        policy = self._place(upload.collection, upload.link_id).policy
        return Inspection(policy, name=upload.name, type=upload.type, length=upload.length)

    def _place(self, collection: str, link_id: str | None) -> Collection:
        return self._collection(collection) if link_id is None else self._narrowed(link_id)

    def _expiry(self, upload: Upload) -> datetime:
        return min(self._now() + IDLE, upload.created_at + LONGEST)

    def _at_hand_of(self, upload: Upload) -> _AtHand:
        with self._choosing:
            found = self._at_hand.get(upload.id)
            if found is not None:
                self._at_hand.move_to_end(upload.id)
                return found
        # Another process's, or one from before a restart: nothing is known but the record.
        return self._keep_at_hand(
            _AtHand(replace(upload, generation=-1), self._store().open_part(upload.id), None)
        )

    def _keep_at_hand(self, at_hand: _AtHand) -> _AtHand:
        """Remember it, or return what another thread remembered meanwhile."""
        with self._choosing:
            other = self._at_hand.setdefault(at_hand.upload.id, at_hand)
            idle = []
            for upload_id, one in list(self._at_hand.items())[:-1]:
                if len(self._at_hand) <= _AT_HAND:
                    break
                if not one.busy:
                    idle.append(self._at_hand.pop(upload_id))
        if other is not at_hand:
            at_hand.let_go()
        for one in idle:
            one.let_go()
        return other

    def _forget(self, upload_id: str) -> None:
        with self._choosing:
            self._at_hand.pop(upload_id, None)

    def _let_go_of(self, upload_id: str) -> None:
        with self._choosing:
            found = self._at_hand.pop(upload_id, None)
        if found is not None:
            found.let_go()

    def _bytes_of(self, upload: Upload) -> Iterator[bytes]:
        """Yield what an upload has, and nothing that is staged beyond its offset."""
        part = self._store().open_part(upload.id)
        try:
            size = 0
            for piece in _pieces(part, 0, upload.offset):
                size += len(piece)
                yield piece
            if size < upload.offset:
                raise UploadOver("A part of this upload has just ended.")
        finally:
            part.close()

    def _take_over(self, found: Upload, at_hand: _AtHand) -> Turn:
        """Take an upload over from another process, or from what this one knew before that."""
        with at_hand.lock:
            if at_hand.gone:
                self._forget(found.id)
                return self.take(found.id)
            moved = self._catalog().write(
                lambda connection: statements.take_over(connection, found.id)
            )
            if moved is None:
                raise UploadOver("The upload has just ended.")
            with at_hand.part.locked():  # whoever was writing is done, and sees the generation next
                moved = self._catalog().read(
                    lambda connection: statements.find(connection, found.id)
                )
            if moved is None or moved.state is not UploadState.OPEN:
                raise UploadOver("The upload has just ended.")
            at_hand.reset(moved, self._inspection(moved) if moved.offset == 0 else None)
            return Turn(self, at_hand)


class _AtHand:
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
        self.length_is_news = False
        self.committed_at = time.monotonic()

    def reset(self, upload: Upload, inspection: Inspection | None) -> None:
        """Believe the catalog: what was written beyond its offset counts for nothing."""
        self.upload = upload
        self.inspection = inspection
        self.written = upload.offset
        self.tentative = False
        self.length_is_news = False
        self.turn += 1

    def take_back(self) -> None:
        """Count nothing of what was written tentatively."""
        if self.tentative:
            self.written = self.upload.offset
            self.tentative = False

    def commit(self, catalog: Catalog, expires_at: datetime) -> None:
        """Sync what was written and move the offset. Raises UploadTakenOver."""
        self.committed_at = time.monotonic()
        if self.written == self.upload.offset and not self.length_is_news:
            return
        self.part.sync()
        written = self.written
        if not catalog.write(
            lambda connection: statements.advance(connection, self.upload, written, expires_at)
        ):
            raise UploadTakenOver("A newer request goes on with this upload.")
        self.upload = replace(self.upload, offset=written, expires_at=expires_at)
        self.length_is_news = False

    def let_go(self) -> None:
        """Close the staged file, which stays where it is."""
        with self.lock:
            self.gone = True
            self.part.close()


class Turn:
    """One request's hold on an upload: it ends when a newer request takes the upload.

    `write` judges and stages bytes; `keep` makes what was written survive; `complete` makes
    the whole a file. As a context manager it lets go of the upload, and keeps what came.
    """

    def __init__(self, uploads: Uploads, at_hand: _AtHand) -> None:
        self._uploads = uploads
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
        place = self._uploads._place(upload.collection, upload.link_id)  # noqa: SLF001
        if upload.concat == PARTIAL:
            _check_size(place, length)
        else:
            Inspection(place.policy, name=upload.name, type=upload.type, length=length)
        settled = replace(upload, length=length)
        self._uploads._catalog().read(  # noqa: SLF001
            lambda connection: self._uploads._check_quota(connection, settled)  # noqa: SLF001
        )
        with self._at_hand.lock:
            self._check()
            self._at_hand.upload = settled
            self._at_hand.length_is_news = True

    def write(self, data: Buffer) -> None:
        """Judge and stage more bytes.

        Raises:
            UploadTakenOver: a newer request goes on with the upload.
            TooLarge: there are more than the length that was declared; those up to it are
                kept.
            Rejected: they break the policy; the upload is over.
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
                hand.part.write_at(view[:room], hand.written)
                hand.written += room
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
            if hand.tentative:
                hand.tentative = False
                if hand.inspection is not None:
                    for piece in _pieces(hand.part, hand.upload.offset, hand.written):
                        self._judge(hand.inspection, piece)
            self._commit()
            return hand.upload

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
            hand.upload = replace(hand.upload, length=hand.written)
            place = self._uploads._place(hand.upload.collection, hand.upload.link_id)  # noqa: SLF001
            whole = WholeUpload(hand.upload, place, hand.part, hand.inspection)
            try:
                with hand.part.locked():
                    self._check_generation()
                    stored = self._uploads._finish(  # noqa: SLF001
                        whole, partial(self._end_with, also)
                    )
            except (Rejected, IntegrityError) as error:
                self._refuse(error)
                raise
            hand.part.discard()
            self._over()
            return stored

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

    def _check_generation(self) -> None:
        hand = self._at_hand
        found = self._uploads._catalog().read(  # noqa: SLF001
            lambda connection: statements.find(connection, hand.upload.id)
        )
        if (
            found is None
            or found.generation != hand.upload.generation
            or found.state is not UploadState.OPEN
        ):
            # Another process goes on with it: nothing that is known here is worth keeping.
            self._uploads._forget(hand.upload.id)  # noqa: SLF001
            hand.let_go()
            raise UploadTakenOver("A newer request goes on with this upload.")

    def _commit(self) -> None:
        hand = self._at_hand
        hand.commit(self._uploads._catalog(), self._uploads._expiry(hand.upload))  # noqa: SLF001

    def _check_room(self, size: int) -> None:
        """Refuse what an inspection does not see, or not yet, when it becomes too large."""
        hand = self._at_hand
        if hand.inspection is not None and not hand.tentative:
            return
        try:
            place = self._uploads._place(hand.upload.collection, hand.upload.link_id)  # noqa: SLF001
            _check_size(place, size)
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

    def _refuse(self, error: WharfingerError) -> None:
        """End the upload with what is wrong with it, so that it never looks like a success."""
        hand, uploads = self._at_hand, self._uploads
        remembered = uploads._now() + REMEMBERED  # noqa: SLF001

        def refuse(connection: Connection) -> None:
            if statements.end(
                connection,
                hand.upload,
                UploadState.REFUSED,
                expires_at=remembered,
                problem=problem_of(error),
            ):
                uploads._when_refused(connection, hand.upload, error)  # noqa: SLF001

        uploads._catalog().write(refuse)  # noqa: SLF001
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
            expires_at=self._uploads._now() + REMEMBERED,  # noqa: SLF001
            file_id=stored.id,
        ):
            raise UploadTakenOver("A newer request goes on with this upload.")

    def _over(self) -> None:
        self._at_hand.gone = True
        self._uploads._forget(self._at_hand.upload.id)  # noqa: SLF001


class WholeUpload:
    """A whole upload on its way to become a file, as `finish_all` takes receptions."""

    def __init__(
        self, upload: Upload, collection: Collection, part: Part, inspection: Inspection | None
    ) -> None:
        self.upload = upload
        self.collection = collection
        self.name = upload.name
        self.owner = upload.owner
        self._part = part
        self._inspection = inspection

    def settle(self, scanner: Scanner | None) -> tuple[Part, Facts]:
        """Judge the whole, which is synced already."""
        part, upload = self._part, self.upload
        part.cut(upload.offset)
        inspection = self._inspection
        if inspection is None or inspection.size != upload.offset:
            inspection = Inspection(
                self.collection.policy, name=upload.name, type=upload.type, length=upload.offset
            )
            for piece in _pieces(part):
                inspection.feed(piece)
        _, facts = inspection.finish()
        if upload.digest is not None and facts.sha256 != upload.digest:
            raise IntegrityError(
                f"The content has the SHA-256 {facts.sha256}, not {upload.digest} as was declared."
            )
        if scanner is not None:
            scan(scanner, part)
        return part, facts

    def abort(self) -> None:
        """Do nothing: what was staged stays, so that the completion can be asked for again."""


def _check_size(place: Collection, size: int) -> None:
    limit = place.policy.max_size
    if size > limit:
        raise TooLarge(
            f"{size} bytes; {place.name} takes files of at most {limit}.", limit=limit, size=size
        )


def _pieces(part: Part, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    with part.reader() as file:
        file.seek(start)
        left = end - start if end is not None else None
        while piece := file.read(_READ if left is None else min(left, _READ)):
            if left is not None:
                left -= len(piece)
            yield piece
