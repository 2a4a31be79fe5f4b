"""Files as descriptors: what can be handed to another process, and what has to be copied."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import os
import stat
import tempfile
from collections.abc import Iterator
from typing import BinaryIO, Final

from wharfinger.errors import StorageFull
from wharfinger.units import MIB

__all__ = ["copy", "descriptor_of", "scratch"]

_PIECE: Final = MIB


@contextlib.contextmanager
def descriptor_of(file: BinaryIO, size: int, *, most: int | None = None) -> Iterator[int]:
    """Yield a descriptor of the same bytes; a copy's where the file is none of the system.

    With `most` no more than so many bytes are copied. The file's own place does not matter, and is not changed where it is a file of the system.
    """
    raw = getattr(file, "file", file)
    raw = getattr(raw, "raw", raw)
    if isinstance(raw, io.FileIO):
        status = os.fstat(raw.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size == size:
            yield raw.fileno()
            return
    with scratch() as held:
        file.seek(0)
        left = size if most is None else min(size, most)
        with _full_disk_told():
            while left and (piece := file.read(min(_PIECE, left))):
                held.write(piece)
                left -= len(piece)
            held.flush()
        yield held.fileno()


@contextlib.contextmanager
def scratch() -> Iterator[BinaryIO]:
    """Yield an empty file without a name, gone with the block. Raises StorageFull."""
    with _full_disk_told():
        held = tempfile.TemporaryFile()  # noqa: SIM115 - closed below
    with held:
        yield held


def copy(descriptor: int, length: int, output: BinaryIO) -> str:
    """Copy so many bytes from the beginning of a file; return their sha256. Raises StorageFull."""
    digest, place = hashlib.sha256(), 0
    with _full_disk_told():
        while place < length and (
            piece := os.pread(descriptor, min(_PIECE, length - place), place)
        ):
            digest.update(piece)
            output.write(piece)
            place += len(piece)
        output.flush()
    return digest.hexdigest()


@contextlib.contextmanager
def _full_disk_told() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in {errno.ENOSPC, errno.EDQUOT}:
            raise
        raise StorageFull("There is no room for a copy of the file.") from error
