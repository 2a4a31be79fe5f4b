"""`Answer`: what a shell sends, as a value."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import BinaryIO, TypeAlias, cast

from wharfinger.errors import DataFolderError
from wharfinger.protocol.byteranges import Piece, length_of
from wharfinger.protocol.delivery import Representation
from wharfinger.protocol.ranges import Span
from wharfinger.service.pacing import Pace

HeaderPairs: TypeAlias = tuple[tuple[str, str], ...]

# ASVS 3.4.4, 14.3.2: answers of the interface itself are data, never cached, never sniffed.
_JSON_HEADERS: HeaderPairs = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclass(slots=True)
class Watch:
    """How far the sending of a body has come; `over` is told once, when it is over.

    `sent` bytes were begun to be sent; `complete` tells whether all were handed to the
    connection. `over` may be called from an event loop: it returns at once.
    """

    over: Callable[[Watch], None]
    sent: int = 0
    complete: bool = False
    told: bool = False

    def end(self) -> None:
        """Tell it, unless it was told."""
        if not self.told:
            self.told = True
            self.over(self)


@dataclass(frozen=True, slots=True)
class FileBody:
    """Pieces of an open file, and bytes between them where it goes out in several parts.

    Whoever sends it calls `close`, also when sending fails, and `finished` before that when
    all of it was handed to the connection; who does not use `blocks` calls `sending` before
    every part. A body with a `watch` counts, one with a `pace` keeps to it (whoever sends it
    waits as `pace.wait_for` says before each `portion`): nobody else sends it, and it is not
    sent from memory or by a server's own wrapper.
    """

    file: BinaryIO
    pieces: tuple[Piece, ...]
    watch: Watch | None = None
    pace: Pace | None = None

    @property
    def length(self) -> int:
        """How many bytes it sends."""
        return length_of(self.pieces)

    @property
    def is_ours(self) -> bool:
        """Whether nobody else may send it."""
        return self.watch is not None or self.pace is not None

    def portion(self, size: int) -> int:
        """Return how much to send at once, at most `size`."""
        return size if self.pace is None else min(size, self.pace.piece)

    def blocks(self, size: int) -> Iterator[bytes]:
        """Yield all its bytes in order, at most `size` at a time; the pace is the caller's to keep.

        Raises:
            DataFolderError: the file became shorter since it was opened.
        """
        size = self.portion(size)
        for piece in self.pieces:
            if isinstance(piece, bytes):
                self.sending(len(piece))
                yield piece
            else:
                for block in self._blocks_of(piece, size):
                    self.sending(len(block))
                    yield block

    def read(self) -> bytes:
        """Return all its bytes; for small files. Raises as `blocks` does."""
        return b"".join(self.blocks(self.length))

    def sending(self, size: int) -> None:
        """Note that so many more bytes are about to be sent."""
        if self.watch is not None:
            self.watch.sent += size

    def finished(self) -> None:
        """Note that all of it was handed to the connection."""
        if self.watch is not None:
            self.watch.complete = True

    def close(self) -> None:
        """Close the file."""
        self.file.close()
        if self.watch is not None:
            self.watch.end()

    def _blocks_of(self, span: Span, size: int) -> Iterator[bytes]:
        position, end = span.start, span.start + span.length
        while position < end:
            self.file.seek(position)
            block = self.file.read(min(size, end - position))
            if not block:
                raise DataFolderError("A stored file became shorter while it was read.")
            position += len(block)
            yield block


@dataclass(frozen=True, slots=True)
class Again:
    """Says that whoever asks the same again, until a moment, may get the same representation."""

    what: Representation
    until: datetime | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """A whole response: `headers` is complete (with Content-Length), `body` fits it.

    For HEAD the body is empty and Content-Length tells what GET would send. `again` tells
    whether it may be remembered.
    """

    status: int
    headers: HeaderPairs
    body: bytes | FileBody = b""
    again: Again | None = None

    def close(self) -> None:
        """Let go of the body without sending it."""
        if isinstance(self.body, FileBody):
            self.body.close()


def paced(answer: Answer, pace: Pace | None) -> Answer:
    """Return an answer whose body keeps to a pace; then it is not remembered either."""
    body = answer.body
    if pace is None or not body:
        return answer
    if not isinstance(body, FileBody):
        pieces = (Span(start=0, length=len(body)),)
        body = FileBody(cast("BinaryIO", io.BytesIO(body)), pieces)
    return replace(answer, body=replace(body, pace=pace), again=None)


def json_answer(
    status: int, document: object, *, method: str = "POST", headers: HeaderPairs = ()
) -> Answer:
    """Return an answer with a JSON document; for HEAD without its bytes."""
    body = json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
    return Answer(
        status=status,
        headers=(*_JSON_HEADERS, ("Content-Length", str(len(body))), *headers),
        body=b"" if method == "HEAD" else body,
    )


def empty_answer(status: int, headers: HeaderPairs = ()) -> Answer:
    """Return an answer without a body (204 has no Content-Length: RFC 9110 section 8.6)."""
    return Answer(status=status, headers=(("Cache-Control", "no-store"), *headers))
