"""`Stream`: bytes that come in pieces, read in the portions that a format is made of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from wharfinger.inspection.archives.place import Damaged

__all__ = ["PIECE", "Stream", "pieces_of"]

PIECE: Final = 64 * 1024


def pieces_of(file: BinaryIO, size: int) -> Iterator[bytes]:
    """Yield a file from its beginning; nobody else may move it in between."""
    file.seek(0)
    left = size
    while left > 0 and (piece := file.read(min(left, PIECE))):
        left -= len(piece)
        yield piece


class Stream:
    """Pieces of bytes with a place in them. `offset` counts what was taken."""

    __slots__ = ("_at", "_buffer", "_pieces", "offset")

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._buffer = b""
        self._at = 0
        self.offset = 0

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes without taking them; fewer at the end."""
        if len(self._buffer) - self._at < size:
            gathered = [self._buffer[self._at :]]
            have = len(gathered[0])
            while have < size and (piece := next(self._pieces, None)) is not None:
                gathered.append(piece)
                have += len(piece)
            self._buffer = b"".join(gathered)
            self._at = 0
        return self._buffer[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes; fewer at the end."""
        taken = self.peek(size)
        self._at += len(taken)
        self.offset += len(taken)
        return taken

    def exactly(self, size: int) -> bytes:
        """Return the next `size` bytes.

        Raises:
            Damaged: the stream ends before.
        """
        taken = self.take(size)
        if len(taken) < size:
            raise Damaged("It is cut short.")
        return taken

    def some(self, most: int = PIECE) -> bytes:
        """Return what is at hand of the next `most` bytes; b"" at the end alone."""
        self.peek(1)
        return self.take(min(most, len(self._buffer) - self._at))

    def give_back(self, unused: bytes) -> None:
        """Take back the end of what was taken."""
        self._buffer = unused + self._buffer[self._at :]
        self._at = 0
        self.offset -= len(unused)

    def portion(self, size: int) -> Iterator[bytes]:
        """Yield the next `size` bytes.

        Raises:
            Damaged: the stream ends before.
        """
        left = size
        while left > 0:
            piece = self.some(min(left, PIECE))
            if not piece:
                raise Damaged("It is cut short.")
            left -= len(piece)
            yield piece

    def rest(self) -> Iterator[bytes]:
        """Yield all that is left."""
        while piece := self.some():
            yield piece
