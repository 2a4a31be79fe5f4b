"""What a job in a process of its own gets and gives, and the files it sees.

A job is a function from a `Request` to an answer of plain JSON values. It runs alone in its
process; whatever it raises counts as damage of the file, and so does its end by a signal.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from wharfinger.checking import limits, pdf
from wharfinger.checking.messages import Message
from wharfinger.units import GIB

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

__all__ = ["JOBS", "FileAt", "Request", "check_pdf"]

# By name, so that a process imports what it needs and nothing else.
JOBS: Final[Mapping[str, str]] = {
    "image": "wharfinger.checking.pictures:check",
    "rewrite": "wharfinger.checking.rewriting:rewrite",
    "pdf": "wharfinger.checking.jobs:check_pdf",
    "opinion": "wharfinger.checking.second_opinion:ask",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """One file to check: its descriptor and size, what is wanted, where a new file may go."""

    descriptor: int
    size: int
    options: Mapping[str, object]
    output: int | None

    def open(self) -> BinaryIO:
        """Return the file, from its beginning."""
        return cast("BinaryIO", io.BufferedReader(FileAt(self.descriptor, self.size), 64 * 1024))

    def limit(self, key: str) -> int:
        """Return a whole number of the options."""
        value = self.options[key]
        if not isinstance(value, int):
            raise TypeError(key)
        return value

    def flag(self, key: str) -> bool:
        """Return whether something is wanted."""
        return self.options.get(key) is True


class FileAt(io.RawIOBase):
    """A file read by pread: the place in it is this object's own.

    The descriptor came from another process and shares its place with the file there, whose
    buffers must not notice that anybody else reads.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Go to a place, and return it."""
        begin = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence]
        if begin + offset < 0:
            raise ValueError("This place is before the file.")
        self._place = begin + offset
        return self._place

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Read what there is, at most as much as fits."""
        view = memoryview(buffer).cast("B")[: max(self._size - self._place, 0)]
        count = os.preadv(self._descriptor, [view], self._place) if view else 0
        self._place += count
        return count


def check_pdf(request: Request) -> Message:
    """Return what a PDF holds, for `wharfinger.checking.pdf.report`."""
    # An object costs about 1 KiB, and streams are decoded whole.
    limits.allow_memory(extra=GIB + min(request.size, GIB))
    with request.open() as file:
        return pdf.walk(file)
