"""Reading the body of an answer to its exact end (RFC 9112 sections 6 and 7).

A body is complete or it is an error: `Interrupted` when the peer closes early,
`BadResponse` when it sends more than it said (the length may be what is wrong: RFC 9112
section 6.3) or breaks the chunked grammar. Bytes that follow a whole body belong to no
answer; the connection that they came on is not used again.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Final

from wharfinger.errors import BadResponse, Interrupted

if TYPE_CHECKING:
    from wharfinger.net.http1 import Framing
    from wharfinger.net.patience import Patience
    from wharfinger.net.wire import Wire

# RFC 9112 section 7.1; extensions are read over. `int(text, 16)` would take "-5" and "0x5".
_CHUNK_SIZE: Final = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;[^\x00-\x08\x0a-\x1f\x7f]*)?\r?\n")
_MAX_CHUNK_LINE: Final = 4096
_MAX_TRAILER: Final = 100


class BodyReader(ABC):
    """Reads one body. `length` is what the head said (None: it did not say).

    `patience` may be renewed by whoever did not read for a while.
    """

    length: int | None = None

    def __init__(self, wire: Wire, patience: Patience) -> None:
        self._wire = wire
        self.patience = patience
        self.received = 0
        self.complete = False

    def readinto(self, view: memoryview) -> int:
        """Fill the beginning of `view` by at most one receive; 0 at the end of a whole body.

        Raises:
            Interrupted: the peer closed before the end.
            BadResponse: the framing is broken, or more came than was said.
            TransferTimeout: silence, too slow, or out of time.
        """
        if self.complete:
            return 0
        try:
            count = self._next(view)
        except Interrupted as error:
            raise self._cut_short(str(error)) from error
        self.received += count
        return count

    @property
    @abstractmethod
    def exact(self) -> bool:
        """Whether the end of the body is certain, and not just the end of the connection."""

    @abstractmethod
    def _next(self, view: memoryview) -> int: ...

    def _cut_short(self, what: str) -> Interrupted:
        of = "" if self.length is None else f" of {self.length}"
        return Interrupted(
            f"{what} {self.received}{of} bytes came.", received=self.received, expected=self.length
        )


class SizedBody(BodyReader):
    """A body of exactly `length` bytes."""

    def __init__(self, wire: Wire, patience: Patience, length: int) -> None:
        super().__init__(wire, patience)
        self.length = self._length = length
        self.complete = length == 0

    @property
    def exact(self) -> bool:
        """Always: the length was announced."""
        return True

    def _next(self, view: memoryview) -> int:
        count = self._wire.readinto(view[: self._length - self.received], self.patience)
        if count == 0:
            raise Interrupted("The server closed the connection early.", received=self.received)
        if self.received + count == self._length:
            if self._wire.has_more():
                raise _too_much(self._length)
            self.complete = True
        return count


class EmptyBody(SizedBody):
    """A body that was announced as empty; whoever reads it is told when it is not."""

    def __init__(self, wire: Wire, patience: Patience) -> None:
        super().__init__(wire, patience, 0)

    def readinto(self, view: memoryview) -> int:  # noqa: ARG002 - nothing is put into it
        """Return 0.

        Raises:
            BadResponse: there are bytes.
        """
        if self._wire.has_more():
            raise _too_much(0)
        return 0


class ChunkedBody(BodyReader):
    """A body in chunks, each with its size, ended by an empty one."""

    def __init__(self, wire: Wire, patience: Patience) -> None:
        super().__init__(wire, patience)
        self._left = 0
        self._first = True

    @property
    def exact(self) -> bool:
        """Always: the last chunk says so."""
        return True

    def _next(self, view: memoryview) -> int:
        if self._left == 0 and not self._begin_chunk():
            self.complete = True
            return 0
        count = self._wire.readinto(view[: self._left], self.patience)
        if count == 0:
            raise Interrupted("The server closed the connection early.", received=self.received)
        self._left -= count
        return count

    def _begin_chunk(self) -> bool:
        if not self._first and self._wire.line(_MAX_CHUNK_LINE, self.patience).strip(b"\r\n"):
            raise BadResponse("A chunk of the answer is longer than it said.")
        self._first = False
        line = self._wire.line(_MAX_CHUNK_LINE, self.patience)
        match = _CHUNK_SIZE.fullmatch(line)
        if match is None:
            raise BadResponse("A chunk of the answer has no sound size.")
        self._left = int(match[1], 16)
        if self._left:
            return True
        for _ in range(_MAX_TRAILER):
            if not self._wire.line(_MAX_CHUNK_LINE, self.patience).strip(b"\r\n"):
                return False
        raise BadResponse(f"The answer has more than {_MAX_TRAILER} trailers.")


class UnsizedBody(BodyReader):
    """A body that ends when the peer closes: nobody can tell whether it was all."""

    @property
    def exact(self) -> bool:
        """Never: a broken connection looks the same."""
        return False

    def _next(self, view: memoryview) -> int:
        count = self._wire.readinto(view, self.patience)
        self.complete = count == 0
        return count


def _too_much(length: int) -> BadResponse:
    return BadResponse(f"More bytes came than the {length} that were announced.")


def reader(framing: Framing, wire: Wire, patience: Patience) -> BodyReader:
    """Return the reader for a body that is framed like this."""
    if framing.chunked:
        return ChunkedBody(wire, patience)
    if framing.length == 0 and not framing.bodiless:
        return EmptyBody(wire, patience)
    if framing.length is not None:
        return SizedBody(wire, patience, framing.length)
    return UnsizedBody(wire, patience)
