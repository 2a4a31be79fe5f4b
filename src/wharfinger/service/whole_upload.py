"""`WholeUpload`: an upload with all its bytes, on its way to become a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final, Protocol

from wharfinger.catalog import StoredFile, Upload
from wharfinger.errors import IntegrityError
from wharfinger.inspection import Inspection
from wharfinger.service.collections import Collection
from wharfinger.service.judging import Staged
from wharfinger.stores import Part
from wharfinger.units import MIB

if TYPE_CHECKING:
    from sqlalchemy import Connection

_READ: Final = 1 * MIB


class Finisher(Protocol):
    """Makes a whole upload a file; `also` runs in the transaction that records it."""

    def __call__(
        self, whole: WholeUpload, also: Callable[[Connection, StoredFile], None]
    ) -> StoredFile:
        """Return the record of the file."""
        ...


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

    def settle(self) -> tuple[Part, Staged]:
        """Judge the stream to its end; it is synced already."""
        part, upload = self._part, self.upload
        part.cut(upload.offset)
        inspection = self._inspection
        if inspection is None or inspection.size != upload.offset:
            inspection = Inspection(
                self.collection.policy, name=upload.name, type=upload.type, length=upload.offset
            )
            for piece in pieces_of(part):
                inspection.feed(piece)
        _, facts = inspection.finish()
        if upload.digest is not None and facts.sha256 != upload.digest:
            raise IntegrityError(
                f"The content has the SHA-256 {facts.sha256}, not {upload.digest} as was declared."
            )
        return part, Staged(
            open=part.reader,
            facts=facts,
            policy=self.collection.policy,
            name=upload.name,
            type=upload.type,
            link=upload.link_id,
            only=None if upload.link_id is None else self.collection.policy.types,
        )

    def tell(self, error: BaseException) -> None:
        """Do nothing: whoever completes an upload records why it was refused."""

    def abort(self) -> None:
        """Do nothing: what was staged stays, so that the completion can be asked for again."""


def pieces_of(part: Part, start: int = 0, end: int | None = None) -> Iterator[bytes]:
    """Yield what was staged, from one offset to another."""
    with part.reader() as file:
        file.seek(start)
        left = end - start if end is not None else None
        while piece := file.read(_READ if left is None else min(left, _READ)):
            if left is not None:
                left -= len(piece)
            yield piece
