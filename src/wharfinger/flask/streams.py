"""A body that is made while it is sent: as fast as the client takes it, closed when it leaves."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import BinaryIO, Final, cast

from wharfinger.errors import LocalFileError, UsageError
from wharfinger.units import MIB

_BATCH: Final = 1 * MIB


class Stream:
    """The pieces of a generator, or of a file without positions (a pipe), for a WSGI server.

    The server asks for a piece when it has sent the one before, and calls `close` when the
    answer was sent or cannot be: the generator's `finally` runs then. A generator that
    raises ends the connection, so that no client takes what came for the whole.
    """

    def __init__(self, data: BinaryIO | Iterable[bytes]) -> None:
        self._data = data
        self._pieces = iter(
            _read_through(cast("BinaryIO", data)) if hasattr(data, "read") else data
        )

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece: object = next(self._pieces)
        if isinstance(piece, bytes):
            return piece
        if isinstance(piece, (bytearray, memoryview)):
            return bytes(piece)
        raise UsageError(
            f"The data yields {type(piece).__name__}, not bytes.",
            hint="Encode text before it is yielded: text.encode().",
        )

    def close(self) -> None:
        """Close the generator or the file."""
        for owner in (self._pieces, self._data):
            close = getattr(owner, "close", None)
            if callable(close):
                close()


def _read_through(file: BinaryIO) -> Iterator[bytes]:
    # read1 hands on what is there; read would wait until the buffer is full.
    read: Callable[[int], bytes | None] = getattr(file, "read1", file.read)
    while (piece := read(_BATCH)) != b"":
        if piece is None:
            raise LocalFileError("The file has nothing to read at the moment; it must block.")
        yield piece
