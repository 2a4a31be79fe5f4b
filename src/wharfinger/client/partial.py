"""A file that is being downloaded: `NAME.part` and its sidecar, until it is whole.

The destination holds the whole verified file or is untouched. What is not whole lies
next to it as `NAME.part` with `NAME.part.json`, which records from where it came and
under which validator; both are made only when bytes were cleared. Everything happens
relative to one open folder, nothing follows a symbolic link, a lock keeps a second
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
import json
import os
import secrets
import stat
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.errors import (
    DestinationExists,
    DestinationUnsafe,
    LocalFileError,
    StorageFull,
)
from wharfinger.net import cancelling

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_FORMAT: Final = 1
_MAX_SIDECAR: Final = 64 * 1024
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})
_NO_FOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_BLOCK: Final = 512 * 1024
_SMALL: Final = 64 * 1024
_WRITE_BACK: Final = 8 * 1024 * 1024
_SUFFIX: Final = ".part"
_RECORD_SUFFIX: Final = ".part.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class Source:
    """Where the bytes of a partial file come from.

    `url` is without its query, which may be secret; `query` is the SHA-256 of that.
    `validator` is a strong entity tag, "" when the server gave none. `mode` is what the
    finished file gets.
    """

    url: str
    query: str
    validator: str
    size: int | None
    mode: int = 0o600


class Partial:
    """One destination and its partial file.

    Args:
        folder: the destination's folder, which must exist.
        name: the destination's name in it.

    Raises:
        LocalFileError: the folder cannot be opened.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.path = folder / name
        self._name = name
        # A name that is as long as names may be leaves no room for ".part.json".
        fits = len(os.fsencode(name + _RECORD_SUFFIX)) <= names.MAX_NAME_BYTES
        stem = name if fits else f".{hashlib.sha256(os.fsencode(name)).hexdigest()}"
        self._part = stem + _SUFFIX
        self._record = stem + _RECORD_SUFFIX
        self._file = -1
        self.size = self._sent_to_disk = 0
        self._mode = 0o600
        self._unnamed = False
        try:
            self._folder = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise local_error(error, f"The folder {names.show(str(folder))}") from error

    @property
    def part_path(self) -> Path:
        """Where the bytes are that came so far."""
        return self.path.parent / self._part

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
        shown = names.show(str(self.path.parent / (name or self._name)))
        if name in {self._part, self._record}:
            raise DestinationUnsafe(f"{shown} is where the download itself is kept meanwhile.")
        found = self._lstat(name or self._name)
        if found is None:
            return
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
        source = self._read_record()
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
                    raise LocalFileError(f"{names.show(str(self.part_path))} became shorter.")
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
                self._write_record(source)
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
            self._write_record(replace(self._source, validator=""), sync=True)
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
            raise LocalFileError(f"{names.show(str(self.part_path))} became shorter.")
        return count

    def gather(self, length: int) -> None:
        """Cut the file behind the bytes that were written in order, or behind `length`.

        Raises:
            LocalFileError, StorageFull: the file system.
        """
        self.size = max(self.size, length)
        try:
            os.ftruncate(self._file, self.size)
            self._write_record(self._source)
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
        path = self.path.parent / name
        try:
            os.fsync(self._file)
            if self._unnamed and overwrite:
                self._give_name(self._part)
            if self._unnamed:
                self._publish_unnamed(name)
                return path
            os.fchmod(self._file, self._mode)
            ours, there = os.fstat(self._file), self._lstat(self._part)
            if there is None or (ours.st_ino, ours.st_dev) != (there.st_ino, there.st_dev):
                raise DestinationUnsafe(f"{names.show(str(self.part_path))} was replaced.")
            if overwrite:
                self.check_destination(name, overwrite=True)
                os.replace(self._part, name, src_dir_fd=self._folder, dst_dir_fd=self._folder)
            else:
                self._publish_without_overwriting(name)
            self._remove(self._record)
            os.fsync(self._folder)
        except OSError as error:
            raise self._failed(error) from error
        return path

    def discard(self) -> None:
        """Remove the partial file and its sidecar."""
        self._unnamed, unnamed = False, self._unnamed
        if self._file >= 0 and not unnamed:
            self._remove(self._part)
            self._remove(self._record)
        self.close()

    def close(self) -> None:
        """Let go of the files; what is there stays for a later call."""
        if self._unnamed:
            with contextlib.suppress(OSError):  # what cannot be kept is fetched again
                self._keep()
        for descriptor in (self._file, self._folder):
            if descriptor >= 0:
                os.close(descriptor)
        self._file = self._folder = -1

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
        if self._lstat(self._part) is not None:
            return False
        try:
            self._file = os.open(
                ".", os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o666, dir_fd=self._folder
            )
        except OSError:
            return False  # not on this file system; a real error shows with the named file
        self._mode = stat.S_IMODE(os.fstat(self._file).st_mode)
        self._unnamed = True
        return True

    def _give_name(self, name: str) -> None:
        """Make the unnamed file appear; raises FileExistsError when the name is taken."""
        os.link(f"/proc/self/fd/{self._file}", name, dst_dir_fd=self._folder, follow_symlinks=True)
        self._unnamed = False

    def _publish_unnamed(self, name: str) -> None:
        try:
            self._give_name(name)
        except FileExistsError:
            self.check_destination(name, overwrite=False)
            raise
        os.fsync(self._folder)

    def _keep(self) -> None:
        os.fchmod(self._file, 0o600)
        self._give_name(self._part)
        self._write_record(self._source)

    def _create(self) -> None:
        if self._lstat(self._part) is None:
            self._check_record()
        try:
            self._open(os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            if self._read_record() is None and not self._is_link(self._part):
                raise DestinationExists(
                    f"{names.show(str(self.part_path))} exists and is no partial download of ours.",
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
        record = self._read_record()
        return 0o600 if record is None else record.mode

    def _open(self, flags: int) -> None:
        descriptor = os.open(self._part, os.O_RDWR | _NO_FOLLOW | flags, 0o666, dir_fd=self._folder)
        try:
            self._lock(descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        self._file = descriptor

    def _lock(self, descriptor: int) -> None:
        shown = names.show(str(self.part_path))
        if not _is_ours_alone(os.fstat(descriptor)):
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
        there = self._lstat(self._part)
        if there is None or there.st_ino != os.fstat(descriptor).st_ino:
            raise LocalFileError(f"Another download has just finished {shown}.")

    def _publish_without_overwriting(self, name: str) -> None:
        try:
            os.link(
                self._part,
                name,
                src_dir_fd=self._folder,
                dst_dir_fd=self._folder,
                follow_symlinks=False,
            )
        except FileExistsError:
            self.check_destination(name, overwrite=False)
            raise
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_without_overwriting(self._folder, self._part, name)
        else:
            self._remove(self._part)

    def _read_record(self) -> Source | None:
        try:
            # Not blocking: a FIFO of that name must not make anybody wait.
            flags = os.O_RDONLY | os.O_NONBLOCK | _NO_FOLLOW
            descriptor = os.open(self._record, flags, dir_fd=self._folder)
        except OSError:
            return None
        with os.fdopen(descriptor, "rb") as file:
            if not _is_ours_alone(os.fstat(descriptor)):
                return None
            content = file.read(_MAX_SIDECAR)
        try:
            record = json.loads(content)
            if record.pop("wharfinger") != _FORMAT:
                return None
            source = Source(**record)
        except (ValueError, TypeError, AttributeError, KeyError, RecursionError):
            return None
        values: tuple[object, ...] = (source.validator, source.mode, source.size or 0)
        if [type(value) for value in values] != [str, int, int]:
            return None
        # Read and write for some, as new files have it; nothing else comes from a file.
        return replace(source, mode=source.mode & 0o666)

    def _check_record(self) -> None:
        if self._read_record() is None and self._lstat(self._record) is not None:
            raise DestinationExists(
                f"{names.show(str(self.path.parent / self._record))} exists and is not ours.",
                hint="Remove it, or choose another destination.",
            )

    def _write_record(self, source: Source, *, sync: bool = False) -> None:
        self._check_record()
        record = {"wharfinger": _FORMAT, **asdict(source), "mode": self._mode}
        # Whole or not at all, and never into a file that somebody else has put there.
        temporary = f".wharfinger-{secrets.token_hex(8)}"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW
        descriptor = os.open(temporary, flags, 0o600, dir_fd=self._folder)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump(record, file, indent=1)
                file.write("\n")
                if sync:
                    file.flush()
                    os.fsync(descriptor)
            os.replace(temporary, self._record, src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except BaseException:
            self._remove(temporary)
            raise

    def _remove(self, name: str) -> None:
        if self._lstat(name) is not None:
            os.unlink(name, dir_fd=self._folder)

    def _is_link(self, name: str) -> bool:
        found = self._lstat(name)
        return found is not None and stat.S_ISLNK(found.st_mode)

    def _lstat(self, name: str) -> os.stat_result | None:
        try:
            return os.stat(name, dir_fd=self._folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error

    def _failed(self, error: OSError) -> LocalFileError:
        return local_error(error, names.show(str(self.part_path)))


def local_error(error: OSError, what: str) -> LocalFileError:
    """Return the error of ours for one of the operating system's, about `what`."""
    if isinstance(error, LocalFileError):
        return error
    if error.errno in _FULL:
        return StorageFull(
            f"{what}: {error.strerror}.", hint="Make room, or choose another folder."
        )
    if error.errno == errno.ELOOP:
        return DestinationUnsafe(f"{what} is a symbolic link; it is not written through.")
    if isinstance(error, FileExistsError):
        return DestinationExists(f"{what}: {error.strerror}.")
    return LocalFileError(f"{what}: {error.strerror or error}.")


def _is_ours_alone(found: os.stat_result) -> bool:
    """Whether this is a plain file of ours without a second name: nobody else can change it."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


@cache
def _has_unnamed_files() -> bool:
    # A name is given through /proc; the other way (AT_EMPTY_PATH) needs a capability.
    return hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()


def _rename_without_overwriting(folder: int, old: str, new: str) -> None:
    # For file systems without links (FAT, some network mounts): renameat2 with NOREPLACE.
    import ctypes

    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if rename is None:
        raise OSError(errno.EOPNOTSUPP, "neither links nor renameat2 work here")
    no_replace = 1
    if rename(folder, os.fsencode(old), folder, os.fsencode(new), no_replace) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
