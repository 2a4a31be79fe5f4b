"""Uploads that come in several requests: begun, gone on with, taken over, completed.

The rules, whatever protocol speaks:

1. The offset is the one in the catalog. It is committed before anybody is told, after its bytes
   were synced or together with them (see `at_hand`); how long the staged file is means nothing.
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
import logging
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, Protocol

from wharfinger.catalog import Catalog, StoredFile, Upload, UploadState
from wharfinger.catalog import uploads as statements
from wharfinger.errors import (
    NotFound,
    UploadOver,
    UploadTakenOver,
    WharfingerError,
)
from wharfinger.inspection import Inspection
from wharfinger.names import judge
from wharfinger.protocol.tus_server import PARTIAL
from wharfinger.service.at_hand import AtHand, restored
from wharfinger.service.collections import Collection
from wharfinger.service.principals import Principal
from wharfinger.service.turns import REMEMBERED, House, Turn, check_size
from wharfinger.service.whole_upload import Finisher, pieces_of
from wharfinger.stores import Part, Store
from wharfinger.stores.base import LOCK_SECONDS
from wharfinger.units import MIB

if TYPE_CHECKING:
    from sqlalchemy import Connection

log = logging.getLogger("wharfinger")

ProtocolName = Literal["tus", "resumable"]

# An upload that nobody goes on with ends after a day, any upload after a week.
IDLE: Final = timedelta(days=1)
LONGEST: Final = timedelta(days=7)
# Uploads whose staged file and inspection stay at hand between their requests.
_AT_HAND: Final = 128
_AT_HAND_SECONDS: Final = 300
_READ: Final = 1 * MIB
_LOOK_AGAIN: Final = 0.02


class Reserve(Protocol):
    """Gives an upload of a link its place: `UploadLinks.reserve`."""

    def __call__(
        self,
        connection: Connection,
        upload: Upload,
        *,
        length: int,
        idle: timedelta,
        in_use: Callable[[str], bool],
    ) -> list[str]:
        """Return the ids of those that lost theirs."""
        ...


class CheckLink(Protocol):
    """Looks whether an upload of a link may come to a length: `UploadLinks.check_growth`."""

    def __call__(self, connection: Connection, upload: Upload, *, length: int) -> None:
        """Raise QuotaExceeded when it may not."""
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
        link_owner: returns whose the files are that come by an upload link; raises NotFound.
        reserve: gives an upload of a link its place, in the transaction that records it, and
            returns which others lose theirs.
        check_link: raises QuotaExceeded when an upload of a link may not come to this length.
        refused: is told in the transaction that ends an upload with a refusal.
        verdict: waits a while for the checks of a file; raises Rejected when they refused it.
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
        link_owner: Callable[[str], str | None],
        reserve: Reserve,
        check_link: CheckLink,
        refused: Callable[[Connection, Upload, WharfingerError], None],
        verdict: Callable[[StoredFile], StoredFile],
    ) -> None:
        self._catalog = catalog
        self._store = store
        self._collection = collection
        self._now = now
        self._narrowed = narrowed
        self._link_owner = link_owner
        self._reserve = reserve
        self._check_link = check_link
        self._at_hand: OrderedDict[str, AtHand] = OrderedDict()
        self._choosing = threading.Lock()
        self._house = House(
            catalog=catalog,
            place=self._place,
            expiry=self._expiry,
            finish=finish,
            now=now,
            forget=self._forget,
            check_quota=self._check_length,
            check_growth=self._check_growth,
            refused=refused,
            verdict=verdict,
        )

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
        parts: Sequence[Upload] = (),
    ) -> Upload:
        """Begin an upload; on return it survives a power cut.

        What is declared is judged now: name, claimed type and length in bytes (None: unknown).
        `digest` is the SHA-256 that the whole must have, in hexadecimal. With `concat` PARTIAL
        the bytes never become a file of their own; `join` makes one of several, which are the
        `parts` of what is begun here: they have their room already, each once.

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
            check_size(place, length or 0)
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
        # The parts of a concatenation have their room already; the whole takes theirs, and one
        # that comes twice in it takes more.
        held = sum({part.id: part.offset for part in parts}.values())
        # Before the part is made, so that a refusal costs nothing; the transaction looks again.
        self._catalog().read(lambda connection: self._check_quota(connection, upload, held=held))
        if link_id is not None:  # what comes by it will be its owner's
            self._check_room_behind(upload, link_id)
        part, epoch = self._store().begin_part(upload.id, length), self._catalog().upload_epoch
        try:
            left_behind = self._catalog().write(
                lambda connection: self._add(connection, upload, held=held)
            )
        except BaseException:
            part.discard()
            raise
        for other in left_behind:
            self._let_go_of(other)
            self._store().delete_part(other)
        at_hand = AtHand(upload, part, self._inspection(upload))
        at_hand.seen = epoch
        self._keep_at_hand(at_hand)
        return upload

    def find(self, upload_id: str, asker: Principal | None) -> Upload:
        """Return an upload of the asker (None: whoever). Raises NotFound."""
        upload = self._known(upload_id)
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
            Unavailable: it is being checked; ask again in a moment.
        """
        epoch = self._catalog().upload_epoch
        found = self.find(upload_id, asker)
        if found.state is not UploadState.OPEN:
            raise UploadOver(f"The upload is {found.state.value}; it takes no more bytes.")
        try:
            at_hand = self._at_hand_of(found)
        except NotFound:  # another process is about to end it, or has forgotten it
            self._wait_for_end(upload_id, asker)
            raise UploadOver("The upload has just ended.") from None
        with at_hand.held():
            if not at_hand.gone and at_hand.upload.generation == found.generation:
                at_hand.seen = epoch
                at_hand.turn += 1
                at_hand.settle()
                at_hand.take_back()
                at_hand.commit(self._catalog(), self._expiry(at_hand.upload))
                return Turn(self._house, at_hand)
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

    def _add(self, connection: Connection, upload: Upload, *, held: int) -> list[str]:
        statements.add(connection, upload)
        self._check_quota(connection, upload, held=held)
        if upload.link_id is None:
            return []
        return self._reserve(
            connection,
            upload,
            length=(upload.length or 0) - held,
            idle=IDLE,
            in_use=self._store().part_is_in_use,
        )

    def _check_quota(self, connection: Connection, upload: Upload, *, held: int = 0) -> None:
        self._collection(upload.collection).quotas.check_upload(
            connection,
            upload.collection,
            upload.owner,
            upload_id=upload.id,
            length=None if upload.length is None else upload.length - held,
        )

    def _check_length(self, connection: Connection, upload: Upload) -> None:
        self._check_quota(connection, upload)
        if upload.link_id is not None:
            self._check_link(connection, upload, length=upload.length or 0)

    def _check_room_behind(self, upload: Upload, link_id: str) -> None:
        owner, quotas = self._link_owner(link_id), self._collection(upload.collection).quotas
        self._catalog().read(
            lambda connection: quotas.room(
                connection, upload.collection, owner, length=upload.length
            )
        )

    def _check_growth(self, connection: Connection, upload: Upload, size: int) -> None:
        self._collection(upload.collection).quotas.check_upload(
            connection,
            upload.collection,
            upload.owner,
            upload_id=upload.id,
            length=size,
            begun=True,
        )
        if upload.link_id is not None:
            self._check_link(connection, upload, length=size)

    def _inspection(self, upload: Upload) -> Inspection | None:
        if upload.concat == PARTIAL:
            return None
        policy = self._place(upload.collection, upload.link_id).policy
        return Inspection(policy, name=upload.name, type=upload.type, length=upload.length)

    def _place(self, collection: str, link_id: str | None) -> Collection:
        return self._collection(collection) if link_id is None else self._narrowed(link_id)

    def _expiry(self, upload: Upload) -> datetime:
        return min(self._now() + IDLE, upload.created_at + LONGEST)

    def _known(self, upload_id: str) -> Upload | None:
        """Return the record of an upload: as it is at hand if no other process can have moved it."""
        catalog = self._catalog()
        with self._choosing:
            at_hand = self._at_hand.get(upload_id)
        if at_hand is not None and at_hand.seen == catalog.upload_epoch and not at_hand.gone:
            return at_hand.upload
        return catalog.read(lambda connection: statements.find(connection, upload_id))

    def _at_hand_of(self, upload: Upload) -> AtHand:
        with self._choosing:
            found = self._at_hand.get(upload.id)
            if found is not None:
                self._at_hand.move_to_end(upload.id)
                return found
        # Another process's, or one from before a restart: nothing is known but the record.
        return self._keep_at_hand(
            AtHand(replace(upload, generation=-1), self._opened(upload), None)
        )

    def _opened(self, upload: Upload) -> Part:
        """Return the staged file of an upload. Raises NotFound, UploadOver: its bytes are lost."""
        part = restored(self._catalog(), self._store().open_part(upload.id), upload.id)
        if part.size < upload.offset:
            # What was acknowledged is not there: there is no offset that is true, and going on
            # would make a file with a hole.
            part.discard()
            log.error("upload %s has lost bytes that were synced; it ends", upload.id)
            self._catalog().write(lambda connection: statements.remove(connection, upload.id))
            raise UploadOver("What came of this upload was lost.", hint="Begin anew.")
        return part

    def _wait_for_end(self, upload_id: str, asker: Principal | None) -> None:
        """Return when an upload whose bytes have left staging is over; they go before its record.

        Raises:
            NotFound: it is not over after a while: its bytes are lost.
        """
        until = time.monotonic() + LOCK_SECONDS
        while self.find(upload_id, asker).state is UploadState.OPEN:
            if time.monotonic() > until:
                raise NotFound
            time.sleep(_LOOK_AGAIN)

    def _keep_at_hand(self, at_hand: AtHand) -> AtHand:
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
        part = self._opened(upload)
        try:
            size = 0
            for piece in pieces_of(part, 0, upload.offset):
                size += len(piece)
                yield piece
            if size < upload.offset:
                raise UploadOver("A part of this upload has just ended.")
        finally:
            part.close()

    def _take_over(self, found: Upload, at_hand: AtHand) -> Turn:
        """Take an upload over from another process, or from what this one knew before that."""
        with at_hand.held():
            if at_hand.gone:
                self._forget(found.id)
                return self.take(found.id)
            mine = self._catalog().write(
                lambda connection: statements.take_over(connection, found.id)
            )
            if mine is None:
                self._let_go_of(found.id)
                raise UploadOver("The upload has just ended.")
            with at_hand.part.locked():  # whoever was writing is done, and sees the generation next
                epoch = self._catalog().upload_epoch
                moved = self._catalog().read(
                    lambda connection: statements.find(connection, found.id)
                )
            if moved is None or moved.state is not UploadState.OPEN:
                self._let_go_of(found.id)  # its bytes take room as long as they are open
                raise UploadOver("The upload has just ended.")
            if moved.generation != mine.generation:
                raise UploadTakenOver("A newer request goes on with this upload.")
            at_hand.seen = epoch
            at_hand.reset(moved, self._inspection(moved) if moved.offset == 0 else None)
            return Turn(self._house, at_hand)
