"""Where the bodies of tus requests go."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from wharfinger.catalog import Upload, UploadState
from wharfinger.errors import ChecksumMismatch, NotFound, TooLarge
from wharfinger.protocol.tus_server import PARTIAL, Checksum
from wharfinger.service import StoredFile
from wharfinger.service.at_hand import Commit
from wharfinger.service.turns import Turn
from wharfinger.web.doors import Door

if TYPE_CHECKING:
    from wharfinger.stores.base import Buffer


@dataclass(frozen=True, slots=True)
class Arrived:
    """How far an upload has come, and the file that it became if it is whole."""

    upload: Upload
    stored: StoredFile | None


class Keeping:
    """What came is about to survive a power cut."""

    def __init__(self, commit: Commit) -> None:
        self._commit = commit
        self.done = commit.done

    def result(self) -> Arrived:
        """Return what `Chunk.finish` does. Raises what became of it."""
        return Arrived(self._commit.result(), None)


class Chunk:
    """The bytes of one request; those that complete the upload make it a file.

    Args:
        turn: the request's hold on the upload.
        door: asked again before the upload becomes a file.
        checksum: what the bytes must come to, or none of them counts.
        gone: called when the request ended without an answer about the upload.
    """

    def __init__(
        self,
        turn: Turn,
        door: Door,
        checksum: Checksum | None,
        *,
        gone: Callable[[], object] | None = None,
    ) -> None:
        self._turn = turn
        self._door = door
        self._checksum = checksum
        self._digest = None if checksum is None else hashlib.new(checksum.algorithm)
        self._gone = gone
        if checksum is not None:
            turn.tentatively()

    def write(self, data: Buffer) -> None:
        if self._digest is not None:
            self._digest.update(data)
        self._turn.write(data)

    def finish(self) -> Arrived:
        turn = self._turn
        self._verify()
        upload = turn.keep()
        stored = None
        if upload.concat != PARTIAL and upload.offset == upload.length:
            self._door.still_open()
            stored = turn.complete()
            upload = replace(turn.upload, state=UploadState.COMPLETE, file_id=stored.id)
        self._gone = None
        return Arrived(upload, stored)

    def finish_soon(self) -> Keeping | None:
        """Begin to do what `finish` does, where that is no more than to keep what came."""
        turn = self._turn
        if self._gone is not None or turn.offset == turn.upload.length:
            return None
        self._verify()
        return Keeping(turn.keep_soon())

    def abort(self) -> None:
        self._turn.close()
        if self._gone is not None:
            gone, self._gone = self._gone, None
            with contextlib.suppress(NotFound):
                gone()

    def _verify(self) -> None:
        checksum, digest = self._checksum, self._digest
        if checksum is None or digest is None or digest.digest() == checksum.digest:
            return
        self._turn.forget()
        raise ChecksumMismatch(
            f"The bytes of this request have another {checksum.algorithm.upper()} than the one "
            "that was sent with them."
        )


class Nothing:
    """No byte more: the upload is over, and only its end is asked for again."""

    def __init__(self, arrived: Arrived) -> None:
        self._arrived = arrived

    def write(self, data: Buffer) -> None:
        length = self._arrived.upload.offset
        raise TooLarge(
            f"The upload is {length} bytes long and complete; {len(data)} more came.", limit=length
        )

    def finish(self) -> Arrived:
        return self._arrived

    def abort(self) -> None:
        """Do nothing: nothing was taken."""
