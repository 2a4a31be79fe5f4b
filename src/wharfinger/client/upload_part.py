"""One upload that can be gone on with, as a value: what of it the server has, and what is sent of it next."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wharfinger.errors import BadResponse

if TYPE_CHECKING:
    from wharfinger.client.content import Content
    from wharfinger.client.reply import Reply
    from wharfinger.client.retrying import Retrying
    from wharfinger.client.upload_state import Part
    from wharfinger.net.spans import Piece

_MAX_IDLE: Final = 5


@dataclass(kw_only=True)
class Upload:
    """One upload on the server: what of it is there, and whether that is known for sure.

    `base` is its offset where this content begins (not 0 within a stream), `told` whether
    the server knows the whole length. `moved` is what the meter was told of it.
    """

    content: Content
    part: Part
    fields: tuple[tuple[str, str], ...]
    retrying: Retrying
    base: int = 0
    told: bool = True
    total: int | None = None
    offset: int = 0
    known: bool = False
    moved: int = 0
    anew: int = 0
    conflict: int = -1
    ambiguous: bool = False
    last: Reply | None = None

    @property
    def complete(self) -> bool:
        """Whether the server has all of this content."""
        return self.known and self.offset == self.part.length


@dataclass(kw_only=True)
class Window:
    """A stretch of a content as the body of one request."""

    content: Content
    start: int
    length: int
    count: Callable[[int], None]
    begun: bool = False
    replayable: bool = True

    def pieces(self) -> Iterator[Piece]:
        """Yield the bytes of the stretch."""
        self.begun = True
        return self.content.pieces(_Counter(self.count), self.start, self.length)


@dataclass(frozen=True, slots=True)
class _Counter:
    """The part of a meter that a body needs."""

    add: Callable[[int], None]


class Keeping:
    """Whether an upload gets anywhere: a server that never keeps what it was sent is given up.

    Failures of the network are counted elsewhere; this counts answers that moved nothing.
    """

    def __init__(self) -> None:
        self._anew = 0
        self._best = -1
        self._idle = 0

    def see(self, upload: Upload) -> None:
        """Take note of an answer. Raises BadResponse when too many have moved nothing."""
        if upload.anew != self._anew:
            self._anew, self._best, self._idle = upload.anew, -1, 0
        if upload.known and upload.offset > self._best:
            self._best, self._idle = upload.offset, 0
            return
        self._idle += 1
        if self._idle > _MAX_IDLE:
            raise BadResponse(
                f"The server answered {self._idle} times and keeps nothing beyond byte "
                f"{max(self._best, 0)}.",
                hint="Tell who runs the server, or send the file as a form or raw.",
            )
