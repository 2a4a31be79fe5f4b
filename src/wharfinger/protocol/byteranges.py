"""`multipart/byteranges`: several spans of one representation in one body (RFC 9110 section 14.6).

The file's bytes are not looked at, so the boundary has to be one that nobody can have
put there: random, and new for each answer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

    from wharfinger.protocol.ranges import Span

__all__ = ["Piece", "byteranges", "content_range", "length_of"]

Piece: TypeAlias = "bytes | Span"
"""Some of a body: these bytes, or those of the representation."""

_LINE_END: Final = "\r\n"


def content_range(span: Span, length: int) -> str:
    """Return the value of Content-Range for a span of a representation of `length` bytes."""
    return f"bytes {span.start}-{span.start + span.length - 1}/{length}"


def byteranges(
    spans: Sequence[Span], length: int, *, boundary: str, media_type: str | None
) -> tuple[Piece, ...]:
    """Return the body that sends the spans, each under its own head.

    Args:
        spans: at least one, in the order of sending.
        length: that of the whole representation, in bytes.
        boundary: a text that occurs nowhere in it.
        media_type: the Content-Type that a 200 would have; the parts repeat it.
    """
    typed = () if media_type is None else (f"Content-Type: {media_type}",)
    pieces: list[Piece] = []
    for number, span in enumerate(spans):
        lines = (
            *(("",) if number else ()),  # the line end before a boundary belongs to it
            f"--{boundary}",
            *typed,
            f"Content-Range: {content_range(span, length)}",
            _LINE_END,
        )
        pieces += (_LINE_END.join(lines).encode("latin-1"), span)
    pieces.append(f"{_LINE_END}--{boundary}--{_LINE_END}".encode("latin-1"))
    return tuple(pieces)


def length_of(pieces: Sequence[Piece]) -> int:
    """Return how many bytes a body has."""
    return sum(len(piece) if isinstance(piece, bytes) else piece.length for piece in pieces)
