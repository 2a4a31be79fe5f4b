"""The streams of an OLE compound file, read in pieces ([MS-CFB] 2.3 to 2.5).

Chains may turn in circles and share sectors, so that a small file could be read for ever: all
reading of one file together is bounded by a multiple of its size, and ends there.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from typing import BinaryIO, Final

from wharfinger.inspection.ole import Entry, read_directory

__all__ = ["Streams"]

_STREAM: Final = 2
_ROOT: Final = 5
# Shorter streams lie in sectors of 64 bytes, within a stream of the root's (2.4).
_CUTOFF: Final = 4096
_SMALL: Final = 64
# Tables of the small sectors: of 64 MiB of them, which no document has.
_MOST_SECTORS: Final = 131_072
# Every sector is read once for itself, and once for a search.
_ROUNDS: Final = 4


class Streams:
    """The storages and streams of one file; `names` are those of all of them."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        entries, self._table = read_directory(file, size)
        self._entries = tuple(entry for entry in entries if entry.kind)
        self.names = tuple(entry.name for entry in self._entries)
        self._left = _ROUNDS * (size // self._table.sector + 1)

    def named(self, *names: str) -> Iterator[Entry]:
        """Yield the streams of these names, in whatever storage they are."""
        for entry in self._entries:
            if entry.kind == _STREAM and entry.name in names:
                yield entry

    def pieces(self, entry: Entry) -> Iterator[bytes]:
        """Yield what a stream holds; less than its length when the file is damaged."""
        left = entry.length
        small = left < _CUTOFF
        for sector in self._small(entry.start) if small else self._large(entry.start):
            if left <= 0:
                return
            yield sector[:left]
            left -= len(sector)

    def _large(self, number: int) -> Iterator[bytes]:
        for _, sector in self._chain(number):
            yield sector

    def _small(self, number: int) -> Iterator[bytes]:
        in_sector = self._table.sector // _SMALL
        # A small stream has at most 64 of them.
        for _ in range(_CUTOFF // _SMALL):
            row, column = divmod(number, in_sector)
            if row >= len(self._small_stream) or 4 * number + 4 > len(self._small_table):
                return
            sector = self._table.read(self._small_stream[row])
            yield sector[column * _SMALL : (column + 1) * _SMALL]
            number = int.from_bytes(self._small_table[4 * number : 4 * number + 4], "little")

    def _chain(self, number: int) -> Iterator[tuple[int, bytes]]:
        while self._left > 0 and (sector := self._table.read(number)):
            self._left -= 1
            yield number, sector
            number = self._table.following(number)

    @cached_property
    def _small_stream(self) -> tuple[int, ...]:
        """The sectors that hold the small ones."""
        root = next((entry for entry in self._entries if entry.kind == _ROOT), None)
        if root is None:
            return ()
        return tuple(at for at, _ in islice(self._chain(root.start), _MOST_SECTORS))

    @cached_property
    def _small_table(self) -> bytes:
        first = int.from_bytes(self._table.header[60:64], "little")
        return b"".join(islice(self._large(first), _MOST_SECTORS // 16))
