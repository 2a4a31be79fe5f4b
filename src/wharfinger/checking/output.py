"""Where an image is written anew: a file of bounded length that encoders cannot go around.

Pillow writes to a file's descriptor where there is one, and does not notice when only a part
was written: at a limit, or on a full disk, half an image would count as written.
"""

from __future__ import annotations

import errno
import io
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

__all__ = ["Output"]


class Output(io.BufferedIOBase):
    """A file that is written, read and sought like others, and has no descriptor to show.

    Raises:
        OSError: with EFBIG when it would become longer than `most` bytes.
    """

    def __init__(self, descriptor: int, most: int) -> None:
        super().__init__()
        self._file = open(descriptor, "r+b", closefd=False)  # noqa: SIM115 - closed below
        self._most = most

    def writable(self) -> bool:
        """Return True."""
        return True

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: ReadableBuffer, /) -> int:
        """Write all of it."""
        if self._file.tell() + memoryview(data).nbytes > self._most:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        return self._file.write(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, as files do."""
        return self._file.read(-1 if size is None else size)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, and return it."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the place."""
        return self._file.tell()

    def flush(self) -> None:
        """Hand everything to the system."""
        self._file.flush()

    def close(self) -> None:
        """Close it; the descriptor stays open."""
        super().close()
        self._file.close()
