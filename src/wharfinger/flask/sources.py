"""Data that a view holds, as something with a length to send parts of; the rest is a stream.

The length is announced before the first byte goes out. A file that ends before it makes
sending fail, so that the connection ends and nobody takes half a file for the whole.
"""

from __future__ import annotations

import codecs
import contextlib
import hashlib
import io
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO, Final, TypeAlias, TypeGuard, cast

from wharfinger.errors import LocalFileError, UsageError
from wharfinger.flask.trusted import file_etag, modified_at
from wharfinger.service import StoredFile

_TEXT: Final = (str, io.TextIOBase, codecs.StreamReader)
_NO_WITH: Final = "Open it without `with`: deliver_data closes it when it was sent."
_BUFFERS: Final = (io.BufferedReader, io.BufferedRandom)


Data: TypeAlias = bytes | bytearray | memoryview | BinaryIO | Iterable[bytes]
"""What `deliver_data` sends."""


class Source:
    """A file of a known length; reading past an end that came too early raises LocalFileError.

    Only a plain file of the operating system shows its descriptor, and with it the way for
    the kernel to send it: a `GzipFile` has one too, of the compressed file below it.
    """

    def __init__(self, file: BinaryIO, length: int) -> None:
        self._file = file
        self._length = length
        self._at = 0
        self._plain = descriptor(file) is not None

    def fileno(self) -> int:
        """Return the descriptor of a plain file. Raises UnsupportedOperation for others."""
        if not self._plain:
            raise io.UnsupportedOperation("fileno")
        # Asked for each time: the number of a closed file may be another file's by now.
        return self._open().fileno()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position. A server with sendfile ends with this, where it came to stand."""
        file = self._open()
        if self._plain and os.fstat(file.fileno()).st_size < self._length:
            raise self._shorter()
        file.seek(offset, whence)
        self._at = file.tell()  # what seek returns is not to be relied on in every class
        return self._at

    def read(self, size: int = -1) -> bytes:
        """Return at most `size` bytes."""
        piece = self._open().read(size)
        if not piece and size != 0 and self._at < self._length:
            raise self._shorter()
        self._at += len(piece)
        return piece

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _open(self) -> BinaryIO:
        if getattr(self._file, "closed", False):
            raise UsageError("The file was closed before it was sent.", hint=_NO_WITH)
        return self._file

    def _shorter(self) -> LocalFileError:
        return LocalFileError("The file became shorter while it was sent.")


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """Data with a length, and what tells its versions apart; the receiver closes the file."""

    file: BinaryIO | None
    length: int
    etag: str | None = None
    modified_at: datetime | None = None


# What can only be read once, to an end that nobody knows.
UNKNOWN: Final = Held(file=None, length=0)


def guarded(file: BinaryIO, length: int) -> BinaryIO:
    """Return the file so that sending fails where it ends early."""
    return cast("BinaryIO", Source(file, length))


def hold(data: Data, *, tagged: bool, now: datetime) -> Held | None:
    """Return data with a length, or None when it can only be read once, to an unknown end.

    Args:
        data: what `check_data` let pass.
        tagged: whether an entity-tag is wanted; that of bytes is their SHA-256.
        now: the present moment, aware.
    """
    if isinstance(data, (bytes, bytearray, memoryview)):
        data = io.BytesIO(data)
    if not _is_file(data) or not _is_seekable(data):
        return None
    fd = descriptor(data)
    etag, modified = None, None
    data.seek(0, os.SEEK_END)  # what is still in a buffer is written by it
    length = data.tell()
    if type(data) is io.BytesIO:
        if tagged:
            with data.getbuffer() as content:
                etag = f'"{hashlib.sha256(content).hexdigest()}"'
    elif fd is not None:
        status = os.fstat(fd)
        etag, modified = file_etag(status, now), modified_at(status)
    return Held(file=guarded(data, length), length=length, etag=etag, modified_at=modified)


@contextlib.contextmanager
def closed_on_error(data: object) -> Iterator[None]:
    """Close the data, if it can be closed, when the block fails."""
    try:
        yield
    except BaseException:
        close = getattr(data, "close", None)
        if callable(close):
            close()
        raise


def check_data(data: object) -> None:
    """Raise UsageError for what cannot be sent as bytes."""
    if isinstance(data, _TEXT) or (
        hasattr(data, "read") and getattr(data, "encoding", None) is not None
    ):
        raise UsageError("The data is text.", hint="Encode it, or open the file in mode 'rb'.")
    if isinstance(data, StoredFile):
        raise UsageError("This is the record of a stored file.", hint="Call files.deliver(stored).")
    if isinstance(data, os.PathLike):
        raise UsageError("This is a path.", hint="Call files.deliver_path(folder, name).")
    if hasattr(data, "__aiter__") or hasattr(data, "__anext__"):
        raise UsageError(
            "An asynchronous generator cannot be sent by a WSGI server.",
            hint="Write it with `def`; or use the ASGI application.",
        )
    if hasattr(data, "read"):
        if getattr(data, "closed", False):
            raise UsageError("The file is closed.", hint=_NO_WITH)
        readable = getattr(data, "readable", None)
        if callable(readable) and not readable():
            raise UsageError("The file is not open for reading.", hint="Open it in mode 'rb'.")
    elif not hasattr(data, "__iter__") or isinstance(data, (Mapping, set, frozenset)):
        raise UsageError(
            f"{type(data).__name__} is not data.",
            hint="Give bytes, a binary file object, or a generator of bytes.",
        )


def descriptor(file: BinaryIO) -> int | None:
    """Return the descriptor of a plain file that is read as it lies on the disk, or None."""
    raw = _raw(file)
    if raw is None or not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        return None
    return raw.fileno()


def _raw(file: object) -> io.FileIO | None:
    """Return the file of the operating system that this is, if it is nothing more.

    The exact classes: one made from them may read something else than the file's bytes.
    """
    below: object = file
    if isinstance(file, (io.BufferedReader, io.BufferedRandom)) and type(file) in _BUFFERS:
        below = file.raw
    return below if isinstance(below, io.FileIO) and type(below) is io.FileIO else None


def _is_file(data: BinaryIO | Iterable[bytes]) -> TypeGuard[BinaryIO]:
    return hasattr(data, "read")


def _is_seekable(file: BinaryIO) -> bool:
    if _raw(file) is not None:  # positions of a device or a terminal mean nothing
        return descriptor(file) is not None
    seekable = getattr(file, "seekable", None)
    return callable(seekable) and bool(seekable())
