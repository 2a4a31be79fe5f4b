"""`Answer`: what a shell sends, as a value."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, TypeAlias

from wharfinger.errors import DataFolderError
from wharfinger.protocol.delivery import Representation, Span

HeaderPairs: TypeAlias = tuple[tuple[str, str], ...]

# ASVS 3.4.4, 14.3.2: answers of the interface itself are data, never cached, never sniffed.
_JSON_HEADERS: HeaderPairs = (
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
)


@dataclass(frozen=True, slots=True)
class FileBody:
    """Pieces of an open file. Whoever sends it calls `close`, also when sending fails."""

    file: BinaryIO
    spans: tuple[Span, ...]

    def read(self) -> bytes:
        """Return all its bytes; for small files.

        Raises:
            DataFolderError: the file became shorter since it was opened.
        """
        pieces = []
        for span in self.spans:
            self.file.seek(span.start)
            piece = self.file.read(span.length)
            if len(piece) != span.length:
                raise DataFolderError("A stored file became shorter while it was read.")
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        """Close the file."""
        self.file.close()


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
