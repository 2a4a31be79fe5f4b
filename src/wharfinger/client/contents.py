"""The bytes of a file that is being downloaded: appended, or put at their places and gathered.

They reach the disk while others are still on their way, so that the sync at the end finds
little to do.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from wharfinger.client.folder import local_error
from wharfinger.errors import LocalFileError
from wharfinger.net import cancelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_BLOCK: Final = 512 * 1024
_WRITE_BACK: Final = 8 * 1024 * 1024


class Contents:
    """An open file; `size` counts the bytes at its beginning without a hole.

    Every error of the file system is raised as `LocalFileError` or `StorageFull`.

    Args:
        descriptor: open for reading and writing.
        shown: returns its path, for messages.
    """

    def __init__(self, descriptor: int, shown: Callable[[], str]) -> None:
        self.descriptor = descriptor
        self.size = 0
        self._shown = shown
        self._sent_to_disk = 0

    def cut(self, length: int) -> None:
        """Keep the first `length` bytes; the next ones are appended there."""
        try:
            os.ftruncate(self.descriptor, length)
            os.lseek(self.descriptor, length, os.SEEK_SET)
        except OSError as error:
            raise self.failed(error) from error
        self.size = self._sent_to_disk = length

    def check_room(self, size: int) -> None:
        """Refuse a size that the disk has no room for.

        Raises:
            StorageFull: it has not.
        """
        try:
            disk = os.fstatvfs(self.descriptor)
        except OSError as error:
            raise self.failed(error) from error
        free = disk.f_bavail * disk.f_frsize
        if disk.f_blocks and size > free:  # some network file systems tell nothing
            raise self.failed(
                OSError(errno.ENOSPC, f"{size} bytes are to come and {free} are free")
            )

    def append(self, blocks: Iterable[bytes | memoryview]) -> None:
        """Append blocks."""
        try:
            for block in blocks:
                view = memoryview(block)
                while view:
                    count = os.write(self.descriptor, view)
                    self.size += count
                    view = view[count:]
            self._write_back()
        except OSError as error:
            raise self.failed(error) from error

    def write_at(self, block: memoryview, offset: int) -> None:
        """Write a block at a place; from any thread."""
        try:
            while block:
                count = os.pwrite(self.descriptor, block, offset)
                block, offset = block[count:], offset + count
        except OSError as error:
            raise self.failed(error) from error

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Fill the beginning of a buffer from a place, and return how many bytes."""
        try:
            count = os.preadv(self.descriptor, [buffer], offset)
        except OSError as error:
            raise self.failed(error) from error
        if count == 0:
            raise LocalFileError(f"{self._shown()} became shorter.")
        return count

    def blocks(self, start: int, end: int) -> Iterator[memoryview]:
        """Yield the bytes from `start` up to but without `end`."""
        buffer = memoryview(bytearray(_BLOCK))
        while start < end:
            cancelling.check()
            count = self.read_at(buffer[: end - start], start)
            start += count
            yield buffer[:count]

    def sync(self) -> None:
        """Make them durable."""
        try:
            os.fsync(self.descriptor)
        except OSError as error:
            raise self.failed(error) from error

    def close(self) -> None:
        """Let go of the file."""
        os.close(self.descriptor)

    def failed(self, error: OSError) -> LocalFileError:
        """Return the error of ours for one of the operating system's."""
        return local_error(error, self._shown())

    def _write_back(self) -> None:
        # The disk begins while the rest is on its way: the sync at the end takes 0.01 s for a
        # GiB then, and not 0.3 s. On Linux this advice starts writing and drops only what is
        # clean, which nothing is that was written just now.
        fresh = self.size - self._sent_to_disk
        if fresh >= _WRITE_BACK and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self.descriptor, self._sent_to_disk, fresh, os.POSIX_FADV_DONTNEED)
            self._sent_to_disk = self.size
