"""A file that is being downloaded: `NAME.part` and its sidecar, until it is whole.

The destination holds the whole verified file or is untouched. What is not whole lies
next to it as `NAME.part` with `NAME.part.json`, which records from where it came and
under which validator; both are made only when bytes were cleared. A lock keeps a second
download off, and publishing is a link that cannot overwrite, or a rename where
overwriting was asked for. Then the folder is synced.

Small content has no name at all until it is whole (`O_TMPFILE`, where there is such a
thing), or until it is left to be resumed: for a thousand small files the partial files and
sidecars would cost more than the rest of the work.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.client.folder import is_ours_alone, local_error
from wharfinger.client.sidecar import Sidecar
from wharfinger.errors import DestinationExists, DestinationUnsafe, LocalFileError
from wharfinger.net import cancelling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wharfinger.client.folder import Folder
    from wharfinger.client.sidecar import Source

_BLOCK: Final = 512 * 1024
_SMALL: Final = 64 * 1024
_WRITE_BACK: Final = 8 * 1024 * 1024
_SUFFIX: Final = ".part"
_RECORD_SUFFIX: Final = ".part.json"


def beside(name: str) -> tuple[str, str]:
    """Return the names of the partial file and of the sidecar of a destination."""
    # A name that is as long as names may be leaves no room for ".part.json".
    fits = len(os.fsencode(name + _RECORD_SUFFIX)) <= names.MAX_NAME_BYTES
    stem = name if fits else f".{hashlib.sha256(os.fsencode(name)).hexdigest()}"
    return stem + _SUFFIX, stem + _RECORD_SUFFIX


class Partial:
    """One destination and its partial file.

    Args:
        folder: the destination's folder; whoever opened it closes it.
        name: the destination's name in it.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._part, record = beside(name)
        self._sidecar = Sidecar(folder, record)
        self._file = -1
        self.size = self._sent_to_disk = 0
        self._mode = 0o600
        self._unnamed = False

    @property
    def part_path(self) -> Path:
        """Where the bytes are that came so far."""
        return self._folder.path / self._part

    @property
    def exists(self) -> bool:
        """Whether a partial file is open."""
        return self._file >= 0

    def check_destination(self, name: str | None = None, *, overwrite: bool) -> None:
        """Refuse a destination that would be overwritten unasked, or that is no plain file.

        Args:
            name: the name in the folder; the one it was made with by default.
            overwrite: whether a plain file there may be replaced.

        Raises:
            DestinationExists, DestinationUnsafe: as described.
        """
        if name in {self._part, self._sidecar.name}:
            shown = self._folder.shown(name or self._name)
            raise DestinationUnsafe(f"{shown} is where the download itself is kept meanwhile.")
        found = self._folder.lstat(name or self._name)
        if found is None:
            return
        shown = self._folder.shown(name or self._name)
        if stat.S_ISLNK(found.st_mode):
            raise DestinationUnsafe(f"{shown} is a symbolic link; it is not written through.")
        if not stat.S_ISREG(found.st_mode):
            raise DestinationUnsafe(f"{shown} is not a plain file.")
        if not overwrite:
            raise DestinationExists(f"{shown} exists already.")

    # --- resuming --------------------------------------------------------------------------

    def reopen(self) -> Source | None:
        """Open and lock what an earlier download left; None when there is nothing of use.

        Raises:
            DestinationUnsafe: the partial file is a symbolic link.
            LocalFileError: another download is writing it.
        """
        source = self._sidecar.read()
        if source is None:
            return None
        try:
            self._open(0)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error
        self.size = os.fstat(self._file).st_size
        self._mode = source.mode
        self._source = source
        return source

    def blocks(self, length: int) -> Iterator[memoryview]:
        """Yield the first `length` bytes of the partial file; it is cut to that length."""
        buffer = memoryview(bytearray(_BLOCK))
        offset = 0
        try:
            os.ftruncate(self._file, length)
            while offset < length:
                cancelling.check()
                count = os.preadv(self._file, [buffer], offset)
                if count == 0:
                    raise LocalFileError(f"{self._folder.shown(self._part)} became shorter.")
                offset += count
                yield buffer[:count]
            os.lseek(self._file, length, os.SEEK_SET)
        except OSError as error:
            raise self._failed(error) from error
        self.size = self._sent_to_disk = length

    # --- writing ---------------------------------------------------------------------------

    def begin(self, source: Source) -> None:
        """Make an empty partial file with its sidecar, or empty the one that is open.

        A size that the disk has no room for is refused at once. Nothing is reserved: a
        server could fill the disk by promising much.

        Raises:
            DestinationExists: a file of that name is there, and is not one of ours.
            DestinationUnsafe: it is a symbolic link.
            LocalFileError, StorageFull: the file system.
        """
        try:
            if self._file >= 0:
                os.ftruncate(self._file, 0)
                os.lseek(self._file, 0, os.SEEK_SET)
            elif not self._create_unnamed(source.size):
                self._create()
            self.size = self._sent_to_disk = 0
            self._source = source
            if not self._unnamed:
                self._check_room(source.size or 0)
                self._record(source)
        except OSError as error:
            raise self._failed(error) from error

    def write(self, blocks: Iterable[bytes | memoryview]) -> None:
        """Append blocks.

        Raises:
            StorageFull: the disk is full, or a limit on file sizes was hit.
            LocalFileError: the file system.
        """
        try:
            for block in blocks:
                view = memoryview(block)
                while view:
                    count = os.write(self._file, view)
                    self.size += count
                    view = view[count:]
            self._write_back()
        except OSError as error:
            raise self._failed(error) from error

    # --- in any order ----------------------------------------------------------------------

    def scatter(self) -> None:
        """Note that there may be holes: until `gather`, nobody resumes this file.

        Raises:
            LocalFileError, StorageFull: the file system.
        """
        try:
            # Synced: after a power cut a file with holes must not look like a beginning.
            self._record(replace(self._source, validator=""), sync=True)
        except OSError as error:
            raise self._failed(error) from error

    def write_at(self, block: memoryview, offset: int) -> None:
        """Write a block at a place; from any thread.

        Raises:
            LocalFileError, StorageFull: the file system.
        """
        try:
            while block:
                count = os.pwrite(self._file, block, offset)
                block, offset = block[count:], offset + count
        except OSError as error:
            raise self._failed(error) from error

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Fill the beginning of a buffer from a place, and return how many bytes.

        Raises:
            LocalFileError: the file system, or there is nothing.
        """
        try:
            count = os.preadv(self._file, [buffer], offset)
        except OSError as error:
            raise self._failed(error) from error
        if count == 0:
            raise LocalFileError(f"{self._folder.shown(self._part)} became shorter.")
        return count

    def gather(self, length: int) -> None:
        """Cut the file behind the bytes that were written in order, or behind `length`.

        Raises:
            LocalFileError, StorageFull: the file system.
        """
        self.size = max(self.size, length)
        try:
            os.ftruncate(self._file, self.size)
            os.lseek(self._file, self.size, os.SEEK_SET)
            self._record(self._source)
        except OSError as error:
            raise self._failed(error) from error

    # --- the end ---------------------------------------------------------------------------

    def publish(self, name: str, *, overwrite: bool) -> Path:
        """Give the whole file its name in the folder, durably, and return its path.

        Raises:
            DestinationExists: a file of that name has appeared meanwhile.
            DestinationUnsafe: a symbolic link has appeared meanwhile.
            LocalFileError, StorageFull: the file system.
        """
        try:
            os.fsync(self._file)
            if self._unnamed and overwrite:
                self._give_name()
            if self._unnamed:
                self._appear(name)
            else:
                self._move(name, overwrite=overwrite)
                self._sidecar.remove()
            self._folder.published()
        except OSError as error:
            raise self._failed(error) from error
        return self._folder.path / name

    def discard(self) -> None:
        """Remove the partial file and its sidecar."""
        self._unnamed, unnamed = False, self._unnamed
        if self._file >= 0 and not unnamed:
            self._folder.remove(self._part)
            self._sidecar.remove()
        self.close()

    def close(self) -> None:
        """Let go of the files; what is there stays for a later call."""
        if self._unnamed:
            with contextlib.suppress(OSError):  # what cannot be kept is fetched again
                self._keep()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    # --- details ---------------------------------------------------------------------------

    def _check_room(self, size: int) -> None:
        disk = os.fstatvfs(self._file)
        free = disk.f_bavail * disk.f_frsize
        if disk.f_blocks and size > free:  # some network file systems tell nothing
            raise OSError(errno.ENOSPC, f"{size} bytes are to come and {free} are free")

    def _write_back(self) -> None:
        # The disk begins while the rest is on its way, so that the sync at the end finds
        # little to do: 0.01 s for a GiB, not 0.3 s. On Linux this advice starts writing and
        # drops only what is clean, which nothing is that was written just now.
        fresh = self.size - self._sent_to_disk
        if fresh >= _WRITE_BACK and hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, self._sent_to_disk, fresh, os.POSIX_FADV_DONTNEED)
            self._sent_to_disk = self.size

    def _create_unnamed(self, size: int | None) -> bool:
        if size is None or size > _SMALL or not _has_unnamed_files():
            return False
        if self._folder.lstat(self._part) is not None:
            return False
        try:
            self._file = self._folder.open_unnamed()
        except OSError:
            return False  # not on this file system; a real error shows with the named file
        self._unnamed = True
        return True

    def _keep(self) -> None:
        self._give_name()
        self._record(self._source)

    def _give_name(self) -> None:
        """Make an unnamed file a partial one like others; raises OSError."""
        self._mode = stat.S_IMODE(os.fstat(self._file).st_mode)
        os.fchmod(self._file, 0o600)
        self._folder.name_unnamed(self._file, self._part)
        self._unnamed = False

    def _appear(self, name: str) -> None:
        try:
            self._folder.name_unnamed(self._file, name)
        except FileExistsError:
            self.check_destination(name, overwrite=False)
            raise
        self._unnamed = False

    def _move(self, name: str, *, overwrite: bool) -> None:
        os.fchmod(self._file, self._mode)
        ours, there = os.fstat(self._file), self._folder.lstat(self._part)
        if there is None or (ours.st_ino, ours.st_dev) != (there.st_ino, there.st_dev):
            raise DestinationUnsafe(f"{self._folder.shown(self._part)} was replaced.")
        if overwrite:
            self.check_destination(name, overwrite=True)
        try:
            self._folder.rename(self._part, name, overwrite=overwrite)
        except FileExistsError:
            self.check_destination(name, overwrite=False)
            raise

    def _create(self) -> None:
        if self._folder.lstat(self._part) is None:
            self._sidecar.check()
        try:
            self._open(os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            if self._sidecar.read() is None and not self._folder.is_link(self._part):
                raise DestinationExists(
                    f"{self._folder.shown(self._part)} exists and is no partial download of ours.",
                    hint="Remove it, or choose another destination.",
                ) from None
            self._open(0)
            os.ftruncate(self._file, 0)
            os.fchmod(self._file, 0o600)
            self._mode = self._read_mode()
        else:
            # The empty file has the mode that the folder and the umask give to new files;
            # nobody else reads it before it is whole. It is never executable.
            self._mode = stat.S_IMODE(os.fstat(self._file).st_mode) & 0o666
            os.fchmod(self._file, 0o600)

    def _read_mode(self) -> int:
        record = self._sidecar.read()
        return 0o600 if record is None else record.mode

    def _open(self, flags: int) -> None:
        descriptor = self._folder.open(self._part, os.O_RDWR | flags, 0o666)
        try:
            self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._file = descriptor

    def _lock(self, descriptor: int) -> None:
        shown = self._folder.shown(self._part)
        if not is_ours_alone(os.fstat(descriptor)):
            raise DestinationUnsafe(
                f"{shown} is not a plain file of yours alone.",
                hint="Somebody else could change it afterwards: remove it, or choose another folder.",
            )
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LocalFileError(
                f"Another download is writing {shown}.",
                hint="Wait for it, or choose another destination.",
            ) from None
        # It may have been published by the one who held the lock a moment ago.
        there = self._folder.lstat(self._part)
        if there is None or there.st_ino != os.fstat(descriptor).st_ino:
            raise LocalFileError(f"Another download has just finished {shown}.")

    def _record(self, source: Source, *, sync: bool = False) -> None:
        self._sidecar.write(replace(source, mode=self._mode), sync=sync)

    def _failed(self, error: OSError) -> LocalFileError:
        return local_error(error, self._folder.shown(self._part))


@cache
def _has_unnamed_files() -> bool:
    # A name is given through /proc; the other way (AT_EMPTY_PATH) needs a capability.
    return hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()
