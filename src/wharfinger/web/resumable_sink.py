"""The body of one request of a resumable upload on its way to where the upload stands."""

from __future__ import annotations

import hashlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from wharfinger.errors import InconsistentLength, IntegrityError
from wharfinger.protocol import resumable
from wharfinger.service import StoredFile
from wharfinger.units import MIB
from wharfinger.web.asking import Interim

if TYPE_CHECKING:
    from wharfinger.catalog import Upload
    from wharfinger.service.turns import Turn
    from wharfinger.stores.base import Buffer
    from wharfinger.web.answers import HeaderPairs

# How often a client hears how far it came. Clients bear only so many interim answers.
_TOLD_BYTES: Final = 32 * MIB
_TOLD_SECONDS: Final = 10.0
_NAMES: Final = {"sha-256": "sha256", "sha-512": "sha512"}


class Appending:
    """Takes a body in; `finish` returns the file if it was the last one and the whole was accepted.

    Args:
        turn: the request's hold on the upload, at the right offset.
        last: whether the whole is complete with this body.
        digests: what its content must have; with any, nothing of it counts before all came.
        still_open: asked before the whole becomes a file: raises what is in its way now.
        version: the version of the draft in which the client can be told something meanwhile.
        gone: called at the end of a creation whose address nobody was told: neither by the
            answer nor meanwhile.
        clock: a monotonic clock, in seconds.
    """

    def __init__(
        self,
        turn: Turn,
        *,
        last: bool,
        digests: Mapping[str, bytes],
        still_open: Callable[[], object],
        version: int | None,
        gone: Callable[[], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._turn = turn
        self._last = last
        self._digests = digests
        self._hashers = {name: hashlib.new(_NAMES[name]) for name in digests}
        self._still_open = still_open
        self._version = version
        self._gone = gone
        self._clock = clock
        self._told = turn.offset
        self._told_at = clock()
        self._interims: deque[Interim] = deque()
        if digests:
            turn.tentatively()

    @property
    def upload(self) -> Upload:
        """The record, its offset that of the bytes that survive."""
        return self._turn.upload

    def say(self, *headers: tuple[str, str]) -> None:
        """Tell the client something before the answer, if it understands that."""
        if self._version is not None:
            version: HeaderPairs = (("Upload-Draft-Interop-Version", str(self._version)),)
            self._interims.append(Interim(resumable.INTERIM, (*version, *headers)))

    def interims(self) -> Sequence[Interim]:
        """Return what there is to be said meanwhile, once; who takes it says it."""
        found = []
        while self._interims:
            found.append(self._interims.popleft())
        if any(name == "Location" for one in found for name, _ in one.headers):
            self._gone = None
        return found

    def write(self, data: Buffer) -> None:
        """Judge and stage more bytes. Raises what `Turn.write` does, and InconsistentLength."""
        turn, length = self._turn, self._turn.upload.length
        end = turn.offset + len(data)
        if length is not None and end > length:
            # There is no telling which bytes were meant: nothing of it may become a file.
            error = InconsistentLength(
                f"The upload is {length} bytes long, and bytes up to {end} came.",
                lengths=(length, end),
            )
            turn.refuse(error)
            raise error
        for hasher in self._hashers.values():
            hasher.update(data)
        turn.write(data)
        self._tell()

    def finish(self) -> StoredFile | None:
        """Make what came count, and the whole a file if that is what was asked for.

        Raises:
            IntegrityError: the content is not what its digest says; nothing of it was kept.
            InconsistentLength: the whole ends before its announced length; what came is kept.
            Rejected: the whole breaks the policy; the upload is over.
        """
        turn = self._turn
        for name, hasher in self._hashers.items():
            if hasher.digest() != self._digests[name]:
                turn.forget()
                raise IntegrityError(
                    f"The content of this request does not have the {name} that its "
                    "Content-Digest says; nothing of it was kept."
                )
        upload = turn.keep()
        if not self._last:
            self._gone = None
            return None
        if upload.length is not None and upload.offset != upload.length:
            raise InconsistentLength(
                f"The upload is {upload.length} bytes long and was called complete at "
                f"{upload.offset}.",
                lengths=(upload.offset, upload.length),
            )
        self._still_open()
        stored = turn.complete()
        self._gone = None
        return stored

    def abort(self) -> None:
        """Let go of the upload; what came is kept if anybody can go on with it.

        With a digest it is not, unless all of it came.
        """
        self._turn.close()
        if self._gone is not None:
            gone, self._gone = self._gone, None
            gone()

    def _tell(self) -> None:
        if self._version is None:
            return
        offset, now = self._turn.upload.offset, self._clock()
        moved = offset - self._told
        if moved >= _TOLD_BYTES or (moved and now - self._told_at >= _TOLD_SECONDS):
            self._told, self._told_at = offset, now
            self.say(("Upload-Offset", str(offset)))
