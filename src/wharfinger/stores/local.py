"""Files on a local disk, kept so that an acknowledged one survives a power cut.

The order is: write to a staging file on the same file system, `fdatasync`, give it
its name by a hard link (which cannot replace anything), `fsync` the folder. Staging
files have no name at all where the file system knows `O_TMPFILE`, so that a crash
leaves nothing to clean.

    ROOT/files/abc/abc3…   published files; the first three digits of the id shard them
    ROOT/staging/          unnamed or .part files on their way in, and .upload files of uploads
                           that come in several requests

Folders are 0700 and files 0600: nothing here is served by anybody but the service,
and nothing is ever executed (ASVS 5.3.1). Paths are made from our own ids alone. Where a web
server in front sends the published files, their group may read them: 0750 and 0640.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import io
import os
import re
import resource
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final

from wharfinger.errors import DataFolderError, NotFound, StorageFull, Unavailable
from wharfinger.stores.base import BUSY, LOCK_SECONDS, Blob, Buffer, Staging
from wharfinger.units import MIB

_ID: Final = re.compile(r"[0-9a-f]{32}")
_UPLOAD: Final = ".upload"
_LOOK_AGAIN: Final = 0.005  # seconds
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
# A file system without unnamed files says so in one of these ways (open(2)).
_NO_TMPFILE: Final = frozenset({errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT, errno.EINVAL})
# A declared length must fit and leave this much for the catalog and its log.
_MARGIN: Final = 1 * MIB
# Room is reserved for as much again as has come, never for an announcement alone: who sends a few
# bytes of a long file takes no room from others. That a length cannot fit is said at its head.
_RESERVED_FROM: Final = 4 * MIB
# linux/falloc.h: the size of the file stays what was written.
_KEEP_SIZE: Final = 1
# So much is gathered before the disk is told to begin with it.
_WRITE_BACK: Final = 8 * MIB
_BEGIN: Final = 2  # SYNC_FILE_RANGE_WRITE, sync_file_range(2)
# A file system that cannot reserve says so in one of these ways (fallocate(2)).
_NO_RESERVING: Final = frozenset({errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.ENODEV})
_NO_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})


class LocalStore:
    """A store in a folder of the local file system.

    Args:
        root: the folder; it and its parents are made when missing.
        group_reads: the group of the process may read what is published, by its path; what
            is there already keeps its modes.

    Raises:
        DataFolderError: the folder cannot be made or is not a folder.
    """

    def __init__(self, root: Path, *, group_reads: bool = False) -> None:
        self.root = root
        self._group_reads = group_reads
        self._files = root / "files"
        self._staging = root / "staging"
        self._open_count = _OpenCount()
        self._durable_shards: set[str] = set()
        self._shards_lock = threading.Lock()
        try:
            for folder in (self._files, self._staging):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if group_reads:
                _open_to_group(root, self._files)
            _sync_folder(root)
        except OSError as error:
            raise DataFolderError(
                f"The store's folder {str(root)!r} cannot be used: {error.strerror}."
            ) from error

    def __repr__(self) -> str:
        return f"LocalStore({str(self.root)!r})"

    def stage(self, length: int | None = None) -> LocalStaging:
        free = self.free_space()
        if length is not None and free is not None and length + _MARGIN > free:
            raise StorageFull(f"{length} bytes do not fit into the {free} that are left.")
        with _full_disk_is_storage_full(), self._open_count:
            return LocalStaging(self._staging, self._open_count, length)

    def begin_part(self, upload_id: str, length: int | None = None) -> LocalPart:
        free = self.free_space()
        if length is not None and free is not None and length + _MARGIN > free:
            raise StorageFull(f"{length} bytes do not fit into the {free} that are left.")
        path = self._part(upload_id)
        with _full_disk_is_storage_full(), self._open_count:
            part = LocalPart(path, self._open_count, os.O_CREAT | os.O_EXCL, length)
        # An offset that is told to the client later names a file that a power cut leaves there.
        _sync_folder(self._staging)
        return part

    def open_part(self, upload_id: str) -> LocalPart:
        with self._open_count:
            try:
                return LocalPart(self._part(upload_id), self._open_count)
            except FileNotFoundError as error:
                raise NotFound from error

    def delete_part(self, upload_id: str) -> bool:
        try:
            self._part(upload_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def part_is_in_use(self, upload_id: str) -> bool:
        try:
            fd = os.open(self._part(upload_id), os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
        return False

    def parts(self) -> Iterator[Blob]:
        for entry in os.scandir(self._staging):
            if entry.name.endswith(_UPLOAD) and _ID.fullmatch(entry.name.removesuffix(_UPLOAD)):
                with contextlib.suppress(FileNotFoundError):  # it has just ended
                    yield Blob(
                        entry.name.removesuffix(_UPLOAD), entry.stat(follow_symlinks=False).st_mtime
                    )

    def keep(self, staging: Staging, file_id: str) -> None:
        if not isinstance(staging, LocalStaging):
            raise TypeError("this store keeps only what it staged")
        os.utime(staging.fileno())  # a sweep takes what is old and has no record yet
        with _full_disk_is_storage_full():
            folder_fd = os.open(self._staging, os.O_RDONLY | os.O_DIRECTORY)
            try:
                staging.link(self._part(file_id).name, folder_fd)
                os.fsync(folder_fd)
            finally:
                os.close(folder_fd)

    def publish(self, staging: Staging, file_id: str) -> None:
        if not isinstance(staging, LocalStaging):
            raise TypeError("this store publishes only what it staged")
        folder = self._shard(_checked(file_id))
        if self._group_reads:  # whatever the process's umask is
            os.fchmod(staging.fileno(), 0o640)
        # A slow upload's bytes are old, and a sweep takes what is old and has no record yet.
        os.utime(staging.fileno())
        with _full_disk_is_storage_full():
            self._make_shard(folder)
            folder_fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                staging.link(file_id, folder_fd)
                os.fsync(folder_fd)
            finally:
                os.close(folder_fd)

    def open(self, file_id: str) -> BinaryIO:
        # Only a plain file of ours: not what a symbolic link leads to, nor a FIFO to wait at.
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            fd = os.open(self._shard(_checked(file_id)) / file_id, flags)
        except OSError as error:
            if error.errno in {errno.ENOENT, errno.ELOOP, errno.ENXIO}:
                raise NotFound from error
            if error.errno in _NO_DESCRIPTORS:
                raise Unavailable("Too many files are open; try again in a moment.") from error
            raise
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise NotFound
        return io.FileIO(fd, "rb")

    def delete(self, file_id: str) -> bool:
        try:
            (self._shard(_checked(file_id)) / file_id).unlink()
        except FileNotFoundError:
            return False
        return True

    def blobs(self) -> Iterator[Blob]:
        for shard in os.scandir(self._files):
            if not shard.is_dir(follow_symlinks=False):
                continue  # not ours
            for entry in os.scandir(shard.path):
                if _ID.fullmatch(entry.name):
                    with contextlib.suppress(FileNotFoundError):  # removed since it was listed
                        yield Blob(entry.name, entry.stat(follow_symlinks=False).st_mtime)

    def clean_staging(self, older_than: float) -> int:
        removed = 0
        for entry in os.scandir(self._staging):
            if entry.name.endswith(_UPLOAD):
                continue  # ends with its record
            with contextlib.suppress(FileNotFoundError):  # its upload has just ended
                if entry.stat().st_mtime < older_than:
                    Path(entry.path).unlink()
                    removed += 1
        return removed

    def free_space(self) -> int | None:
        stats = os.statvfs(self.root)
        return stats.f_bavail * stats.f_frsize

    def check(self) -> None:
        with _full_disk_is_storage_full():
            staging = LocalStaging(self._staging)
            try:
                staging.write(b"wharfinger")
                staging.sync()
            finally:
                staging.discard()

    def _part(self, upload_id: str) -> Path:
        return self._staging / f"{_checked(upload_id)}{_UPLOAD}"

    def _shard(self, file_id: str) -> Path:
        return self._files / file_id[:3]

    def _make_shard(self, folder: Path) -> None:
        # A folder that another thread or process has just made may not be durable yet, so each
        # process syncs the parent before it relies on one. That waits for the disk: it is done
        # for the neighbours, too, which will be wanted soon.
        if folder.name in self._durable_shards:
            return
        with self._shards_lock:
            if folder.name in self._durable_shards:
                return
            names = [f"{folder.name[:2]}{digit:x}" for digit in range(16)]
            for name in names:
                shard = self._files / name
                shard.mkdir(mode=0o700, exist_ok=True)
                if self._group_reads:
                    shard.chmod(0o750)
            _sync_folder(self._files)
            self._durable_shards.update(names)


class LocalStaging:
    """One file on its way in: unnamed where possible, else named and removed by `discard`."""

    def __init__(
        self, folder: Path, count: _OpenCount | None = None, length: int | None = None
    ) -> None:
        self._named: Path | None = None
        self._size = 0
        self._count = count
        self._length = length or 0
        self._reserved = 0
        self._on_its_way = 0
        try:
            self._fd = os.open(folder, os.O_TMPFILE | os.O_RDWR, 0o600)
        except OSError as error:
            if error.errno not in _NO_TMPFILE:
                raise
            path = folder / f"{secrets.token_hex(16)}.part"
            self._fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_NOFOLLOW, 0o600)
            self._named = path

    @property
    def size(self) -> int:
        return self._size

    def fileno(self) -> int:
        return self._fd

    def write(self, data: Buffer) -> None:
        with _full_disk_is_storage_full(), memoryview(data) as view:
            self._reserve(min(self._length, 2 * self._size))
            written = os.write(self._fd, view)
            while written < len(view):
                written += os.write(self._fd, view[written:])
        self._size += written
        if self._size - self._on_its_way >= _WRITE_BACK:
            # The disk begins while more comes, so that the sync at the end waits for little.
            # It is a hint: whether the bytes are there is for the sync to say.
            _sync_file_range(self._fd, self._on_its_way, self._size - self._on_its_way, _BEGIN)
            self._on_its_way = self._size

    def sync(self) -> None:
        # After a failed sync the pages may count as clean although they are lost: the
        # error ends this upload and sync is not tried again (fsync(2), "fsyncgate").
        with _full_disk_is_storage_full():
            if self._reserved > self._size:
                os.ftruncate(self._fd, self._size)  # gives back what was reserved behind it
                self._reserved = 0
            os.fdatasync(self._fd)

    def _reserve(self, size: int) -> None:
        """Have room for so many bytes, so that a full disk is found early. Raises OSError."""
        if size <= self._reserved or size < _RESERVED_FROM:
            return
        self._reserved = size
        if _fallocate(self._fd, _KEEP_SIZE, 0, size):
            number = ctypes.get_errno()
            if number not in _NO_RESERVING:
                raise OSError(number, os.strerror(number))

    def reader(self) -> BinaryIO:
        return open(f"/proc/self/fd/{self._fd}", "rb")  # noqa: PTH123 - the caller closes it

    def link(self, name: str, folder_fd: int) -> None:
        """Give the file its final name in a folder; raises FileExistsError when it is taken."""
        if self._named is None:
            # With a folder descriptor CPython calls linkat(2), which alone can follow the
            # magic link of an unnamed file.
            os.link(
                f"/proc/self/fd/{self._fd}", name, src_dir_fd=folder_fd, dst_dir_fd=folder_fd,
                follow_symlinks=True,
            )  # fmt: skip
        else:
            os.link(self._named, name, dst_dir_fd=folder_fd)
        self.discard()

    def discard(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
            if self._count is not None:
                self._count.released()
        if self._named is not None:
            self._named.unlink(missing_ok=True)
            self._named = None


class LocalPart(LocalStaging):
    """The bytes of an upload that comes in several requests, in a file with its id."""

    def __init__(
        self, path: Path, count: _OpenCount, more_flags: int = 0, length: int | None = None
    ) -> None:
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | more_flags
        self._fd = os.open(path, flags, 0o600)
        self._path = path
        self._named = path
        self._size = os.fstat(self._fd).st_size
        self._count = count
        self._length = length or 0
        self._reserved = 0

    def write_at(self, data: Buffer, offset: int) -> None:
        with _full_disk_is_storage_full(), memoryview(data) as view:
            self._reserve(min(self._length, 2 * offset))
            written = 0
            while written < len(view):
                written += os.pwrite(self._fd, view[written:], offset + written)
        self._size = max(self._size, offset + written)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        # Belongs to this opening of the file: it keeps out other threads' and processes' alike.
        until = time.monotonic() + LOCK_SECONDS
        while not self._lock():
            if time.monotonic() > until:
                raise Unavailable(BUSY)
            time.sleep(_LOOK_AGAIN)
        try:
            yield
        finally:
            if self._fd >= 0:  # closing it has unlocked it, too
                fcntl.flock(self._fd, fcntl.LOCK_UN)

    def sync(self) -> None:
        with _full_disk_is_storage_full():
            os.fdatasync(self._fd)  # what is reserved stays so: more is to come

    def _lock(self) -> bool:
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def cut(self, size: int) -> None:
        self._reserved = 0
        os.ftruncate(self._fd, size)
        self._size = size

    def link(self, name: str, folder_fd: int) -> None:
        """Give the bytes a final name, too: the upload keeps its own until its end is recorded."""
        os.link(self._path, name, dst_dir_fd=folder_fd)

    def close(self) -> None:
        self._named = None
        self.discard()


class _OpenCount:
    """How many staging files are open: at most a quarter of the descriptors of the process.

    Entering counts one more, or refuses it; leaving with an error takes it back.
    """

    def __init__(self) -> None:
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most = max(64, soft // 4) if soft != resource.RLIM_INFINITY else 65_536
        self._open = 0
        self._lock = threading.Lock()

    def released(self) -> None:
        with self._lock:
            self._open -= 1

    def __enter__(self) -> None:
        with self._lock:
            if self._open >= self._most:
                raise Unavailable(f"{self._most} files are being received; try again later.")
            self._open += 1

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if error is not None:
            self.released()


_libc: Final = ctypes.CDLL(None, use_errno=True)
_fallocate: Final = _libc.fallocate64 if hasattr(_libc, "fallocate64") else _libc.fallocate
_fallocate.argtypes = (ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64)
_sync_file_range: Final = _libc.sync_file_range
_sync_file_range.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)


def _checked(file_id: str) -> str:
    if _ID.fullmatch(file_id) is None:
        raise NotFound
    return file_id


def _open_to_group(root: Path, files: Path) -> None:
    """Let the group reach the published files by their names, and nothing beside them."""
    for folder, more in ((root, 0o010), (files, 0o050)):
        mode = stat.S_IMODE(folder.stat().st_mode)
        if mode & more != more:
            folder.chmod(mode | more)


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def _full_disk_is_storage_full() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(
                "There is no room left for this file; nothing of it was kept."
            ) from error
        raise
