"""One download over several connections: ranges of one representation, put together in order.

The first connection asks for the whole and goes on as if it were alone. When its first
bytes were judged, and the server showed a length, a strong validator and that it takes
ranges, helpers fetch the later segments under that validator, each into its place of the
partial file. The first connection rests where the first segment ends; the others are read
back from the file, hashed and judged in order, so that the digest is of the whole. What one
connection can do never fails because more were asked for: a helper that is refused is not
sent again, and the first connection, which stays open, reads on to the end by itself.

As long as the partial file has holes its sidecar names no validator: what a crash leaves
is begun anew. What an error or an interruption leaves is cut to its first unbroken bytes
and can be resumed.
"""

from __future__ import annotations

import copy
import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

from wharfinger.client import heads
from wharfinger.errors import (
    BadResponse,
    Interrupted,
    LocalFileError,
    ResponseError,
    WharfingerError,
)
from wharfinger.net.cancelling import Cancelled, Canceller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

    from wharfinger.client.request import Request
    from wharfinger.client.retrying import Retrying
    from wharfinger.client.sinks import Sink
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Transport

MAX_CONNECTIONS: Final = 16
MIN_SEGMENT: Final = 1024 * 1024
"""A connection for less than this takes longer to open than it saves."""

_BUFFER: Final = 256 * 1024
_LOOK_EVERY: Final = 0.1


class GoOnAlone(Exception):
    """A segment could not be fetched: go on from what is there, over one connection."""

    def __init__(self, kept: int = 0) -> None:
        super().__init__()
        self.kept = kept


@dataclass(kw_only=True)
class Segment:
    """The bytes from `start` up to but without `end`; those before `position` are there."""

    start: int
    end: int
    position: int
    error: BaseException | None = None


@dataclass(kw_only=True)
class Helpers:
    """The further connections of one attempt. Does nothing until `start`.

    Args:
        connections: how many there may be, the first one included.
        request: makes the request for a range.
        retrying: makes the counter of a segment's attempts.
    """

    connections: int
    transport: Transport
    watch: Stopwatch
    sink: Sink
    request: Callable[[heads.Held], Request]
    retrying: Callable[[], Retrying]
    segments: list[Segment] = field(default_factory=list)
    boundary: int | None = None
    _threads: list[threading.Thread] = field(default_factory=list)
    _moved: threading.Condition = field(init=False)
    _canceller: Canceller = field(init=False)
    _release: Callable[[], None] | None = None
    _reached: int = 0

    def may_start(self, offer: heads.Offer, received: int) -> bool:
        """Return whether the rest is worth it, and the server can do it."""
        if self.connections < 2 or not (self.sink.started and self.sink.scatters):  # noqa: PLR2004
            return False
        if offer.size is None or not offer.validator or not offer.takes_ranges:
            return False
        return offer.size - received >= 2 * MIN_SEGMENT

    def start(self, offer: heads.Offer, received: int) -> None:
        """Split what is left; the caller's connection goes on to `boundary`."""
        self._moved, self._canceller = threading.Condition(), Canceller()
        size = offer.size or 0
        count = min(self.connections, (size - received) // MIN_SEGMENT)
        edges = [received + (size - received) * n // count for n in range(count + 1)]
        self.connections = 1  # whatever becomes of it, it is not tried twice
        self.boundary = edges[1]
        self.sink.scatter()
        parent = self.watch.canceller
        if parent is not None:
            self._release = parent.when_cancelled(self._canceller.cancel)
        for start, end in itertools.pairwise(edges[1:]):
            segment = Segment(start=start, end=end, position=start)
            self.segments.append(segment)
            thread = threading.Thread(target=self._fetch, args=(segment, offer), daemon=True)
            self._threads.append(thread)
            thread.start()

    @property
    def received(self) -> int:
        """Bytes that the helpers have fetched."""
        return sum(segment.position - segment.start for segment in self.segments)

    def failed(self) -> bool:
        """Return whether a segment could not be fetched.

        Raises:
            LocalFileError: it could not be written.
        """
        errors = [segment.error for segment in self.segments if segment.error is not None]
        for error in errors:
            known = isinstance(error, (WharfingerError, Cancelled, heads.StartOver))
            if isinstance(error, LocalFileError) or not known:
                raise error
        return bool(errors)

    def dismiss(self, kept: int) -> None:
        """Stop them; only the first `kept` bytes of the file stay."""
        self._stop()
        if self.boundary is not None:
            self.boundary = None
            self.segments.clear()
            self.sink.gather(kept)

    def blocks(self, tell: Callable[[], None]) -> Iterator[memoryview]:
        """Yield the bytes behind the boundary in order, as they come; `tell` is called now and then.

        Raises:
            GoOnAlone: they will not all come.
            LocalFileError: the file system.
        """
        buffer = memoryview(bytearray(_BUFFER))
        for segment in self.segments:
            self._reached = segment.start
            while self._reached < segment.end:
                ready = self._wait(segment, tell) - self._reached
                count = self.sink.read_at(buffer[: min(ready, _BUFFER)], self._reached)
                self._reached += count
                yield buffer[:count]
        self.boundary = None  # nothing is missing

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.dismiss(self._reached)

    def _wait(self, segment: Segment, tell: Callable[[], None]) -> int:
        while True:
            tell()
            if self.watch.canceller is not None:
                self.watch.canceller.check()
            if segment.position > self._reached:
                return segment.position
            if self.failed():
                raise GoOnAlone(self._reached)
            with self._moved:
                if segment.position == self._reached and segment.error is None:
                    self._moved.wait(_LOOK_EVERY)

    def _stop(self) -> None:
        if self.boundary is None and not self._threads:
            return  # nothing was started
        self._canceller.cancel()
        for thread in self._threads:
            thread.join()
        self._threads.clear()
        if self._release is not None:
            self._release()
            self._release = None

    def _fetch(self, segment: Segment, offer: heads.Offer) -> None:
        watch = copy.copy(self.watch)
        watch.canceller = self._canceller
        retrying = self.retrying()
        with self._canceller.in_charge():
            try:
                while segment.position < segment.end:
                    try:
                        self._receive(segment, offer, watch)
                    except ResponseError:
                        raise  # it wants no more connections: the first one goes on alone
                    except WharfingerError as error:
                        if not retrying.again(error, watch.left()):
                            raise
            except BaseException as error:  # noqa: BLE001 - whoever waits for the segment gets it
                segment.error = error
        with self._moved:
            self._moved.notify_all()

    def _receive(self, segment: Segment, offer: heads.Offer, watch: Stopwatch) -> None:
        held = heads.Held(
            offset=segment.position,
            validator=offer.validator,
            size=offer.size,
            last=segment.end - 1,
        )
        buffer = memoryview(bytearray(_BUFFER))
        with self.transport.send(self.request(held), watch) as answer:
            if heads.judge(answer, held).offset != held.offset:
                raise heads.StartOver  # the whole again: it does not take ranges after all
            while count := answer.body.readinto(buffer):
                if count > segment.end - segment.position:
                    # What follows belongs to another segment, which may have been judged and
                    # hashed already: not a byte of this may be written there.
                    raise BadResponse(
                        f"The server sent more than the bytes {held.offset} to {held.last} "
                        "that were asked for."
                    )
                self.sink.write_at(buffer[:count], segment.position)
                with self._moved:
                    segment.position += count
                    self._moved.notify_all()
        if segment.position < segment.end:
            # In chunks, a part can end anywhere.
            raise Interrupted(
                f"A part ended {segment.end - segment.position} bytes early.",
                received=segment.position - held.offset,
                expected=segment.end - held.offset,
            )
