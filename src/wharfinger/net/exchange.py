"""One exchange over a wire: a request goes out, its final answer is found.

Interim answers (RFC 9110 section 15.2: 100, 103 and 104) are never taken for the answer, a
refusal is heard while the body is still being sent, and it is looked for when the peer
closes early.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from wharfinger.errors import BadResponse, Interrupted, TransferTimeout
from wharfinger.net import http1
from wharfinger.net.bodies import BodyReader, reader
from wharfinger.net.sending import send_file
from wharfinger.net.spans import FileSpan
from wharfinger.net.wire import PeerClosed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from wharfinger.net.http1 import Head
    from wharfinger.net.patience import Clock, Patience
    from wharfinger.net.spans import Piece
    from wharfinger.net.wire import Wire

_MAX_INTERIM: Final = 20  # more is a peer that plays for time
# Progress of an upload is told once in a while, and a large one is long under way.
_MAX_PROGRESS: Final = 10_000
_PROGRESS: Final = 104
_WORDS: Final = frozenset({100, _PROGRESS})  # what says that the body is wanted
_TLS_ALERT: Final = b"\x15\x03"  # RFC 8446 section 5.1: type alert, version 3.x
_SWITCHING_PROTOCOLS: Final = 101
_FIRST_ERROR: Final = 400


class Waiting(Protocol):
    """Makes the patience for each phase of an exchange when that phase begins."""

    def sending(self) -> Patience:
        """How long the peer may take to take the request in."""
        ...

    def head(self) -> Patience:
        """How long the head of the answer may take."""
        ...

    def body(self) -> Patience:
        """How long the body may take."""
        ...

    def refusal(self) -> Patience:
        """How long the body of an error may take."""
        ...


@dataclass(kw_only=True, slots=True)
class Exchange:
    """One request and its answer.

    `interims` counts the answers that came before the final one, each of which
    `on_interim` is called with; `ignores_expect` tells that the peer was asked for a word before the body and
    said none.
    """

    wire: Wire
    waiting: Waiting
    clock: Clock
    early: Head | None = None
    interims: int = 0
    ignores_expect: bool = False
    on_interim: Callable[[Head], None] | None = None
    progress: int = 0

    def run(
        self,
        method: str,
        request: bytes,
        body: Iterable[Piece] | None,
        *,
        chunked: bool,
        expect: float,
    ) -> tuple[Head, BodyReader, bool]:
        """Send the request; return the head of its answer, its body, and whether all was sent.

        Raises:
            Interrupted: the peer closed without an answer.
            BadResponse: the answer is not sound HTTP.
            TransferTimeout: the peer took too long.
        """
        broken: Exception | None = None
        whole = False
        try:
            self.wire.send(request, self.waiting.sending(), heard=None)
            if expect:
                self._wait_for_word(expect)
            if self.early is None:
                whole = body is None or self._send(body, chunked=chunked)
        except PeerClosed as error:  # and no other: a callback may raise an OSError of its own
            broken = error
        try:
            answer = self.early or self._final()
        except (Interrupted, TransferTimeout) as error:
            if broken is None:
                raise
            raise Interrupted(
                "The server closed the connection while the request was being sent.", received=0
            ) from error
        refused = answer.status >= _FIRST_ERROR
        patience = self.waiting.refusal() if refused else self.waiting.body()
        return answer, reader(http1.framing(method, answer), self.wire, patience), whole

    def _send(self, body: Iterable[Piece], *, chunked: bool) -> bool:
        patience = self.waiting.sending()
        return all(
            send_file(self.wire, piece, patience, heard=self._heard)
            if isinstance(piece, FileSpan)
            else self.wire.send(piece, patience, heard=self._heard)
            for piece in _framed(body, chunked=chunked)
        )

    def _heard(self) -> bool:
        patience = self.waiting.head()
        while self.early is None:
            self._take(read_head(self.wire, patience))
            if not self.wire.holds:
                break
        return self.early is not None

    def _wait_for_word(self, seconds: float) -> None:
        """Wait for "100 Continue", or for the final answer if that comes instead."""
        patience = self.waiting.head()
        until = self.clock() + seconds
        while self.early is None:
            left = min(until - self.clock(), patience.wait())
            if left <= 0 or not self.wire.answer_waits(left):
                self.ignores_expect = True
                return
            head = read_head(self.wire, patience)
            self._take(head)
            if head.status in _WORDS:
                return

    def _final(self) -> Head:
        patience = self.waiting.head()
        while self.early is None:
            self._take(read_head(self.wire, patience))
        return self.early

    def _take(self, head: Head) -> None:
        if not _interim(head):
            self.early = head
            return
        if head.status == _PROGRESS and self.progress < _MAX_PROGRESS:
            self.progress += 1
        else:
            self.interims = _one_more(self.interims)
        if self.on_interim is not None:
            self.on_interim(head)


def read_head(wire: Wire, patience: Patience) -> Head:
    """Return the next head, be it interim or final.

    Raises:
        Interrupted: the peer closed before its end.
        BadResponse: it is none, or too long.
        TransferTimeout: the peer took too long.
    """
    try:
        return http1.parse_head(wire.head(http1.MAX_HEAD, patience))
    except Interrupted:
        if wire.holds:
            begun = bytearray(len(_TLS_ALERT))
            wire.readinto(memoryview(begun), patience)
            if begun == _TLS_ALERT:
                raise BadResponse(
                    "That port speaks TLS, and was asked over plain http.",
                    hint="Write the address with https://.",
                ) from None
        raise


def read_final(wire: Wire, patience: Patience, *, interims: int = 0) -> Head:
    """Return the next head that is no interim answer; `interims` were read already.

    Raises:
        BadResponse: too many interim answers, or unsound HTTP.
    """
    while _interim(head := read_head(wire, patience)):
        interims = _one_more(interims)
    return head


def _one_more(interims: int) -> int:
    if interims == _MAX_INTERIM:
        raise BadResponse(f"More than {_MAX_INTERIM} interim answers came, and no final one.")
    return interims + 1


def _interim(head: Head) -> bool:
    if head.status == _SWITCHING_PROTOCOLS:
        raise BadResponse("The server switched to a protocol that nobody asked for.")
    return head.interim


def _framed(body: Iterable[Piece], *, chunked: bool) -> Iterator[Piece]:
    for piece in body:
        if not chunked:
            yield piece
        elif piece:  # an empty chunk would end the body (RFC 9112 section 7.1)
            yield b"%x\r\n" % len(piece)
            yield piece
            yield b"\r\n"
    if chunked:
        yield b"0\r\n\r\n"
