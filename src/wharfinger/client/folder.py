"""An open folder: everything in it is named relative to it, and no symbolic link is followed.

Who has the folder open cannot be led elsewhere when somebody renames what is above it.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.errors import DestinationExists, DestinationUnsafe, LocalFileError, StorageFull

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

NO_FOLLOW: Final = os.O_NOFOLLOW | os.O_CLOEXEC
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_NO_LINKS: Final = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class Folder:
    """A folder that exists, open until it is closed.

    Args:
        path: where it is.
        synced_later: new names are durable only after `sync`, which whoever opened it calls
            for many of them at once, before anybody is told that they are there.

    Raises:
        LocalFileError: it cannot be opened.
    """

    def __init__(self, path: Path, *, synced_later: bool = False) -> None:
        self.path = path
        self._synced_later = synced_later
        try:
            self.descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError as error:
            raise LocalFileError(f"The folder {names.show(str(path))} does not exist.") from error
        except OSError as error:
            raise local_error(error, f"The folder {names.show(str(path))}") from error

    def shown(self, name: str) -> str:
        """Return the path of a name in it, for messages."""
        return names.show(str(self.path / name))

    def lstat(self, name: str) -> os.stat_result | None:
        """Return what is there of that name, None for nothing.

        Raises:
            LocalFileError: the file system.
        """
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise local_error(error, self.shown(name)) from error

    def is_link(self, name: str) -> bool:
        """Return whether a symbolic link has that name."""
        found = self.lstat(name)
        return found is not None and stat.S_ISLNK(found.st_mode)

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Return the descriptor of a file in it; raises OSError."""
        return os.open(name, NO_FOLLOW | flags, mode, dir_fd=self.descriptor)

    def open_unnamed(self) -> int:
        """Return the descriptor of a new file without a name; raises OSError."""
        flags = os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC
        return os.open(".", flags, 0o666, dir_fd=self.descriptor)

    def name_unnamed(self, descriptor: int, name: str) -> None:
        """Make an unnamed file appear; raises FileExistsError when the name is taken."""
        path = f"/proc/self/fd/{descriptor}"
        os.link(path, name, dst_dir_fd=self.descriptor, follow_symlinks=True)

    def rename(self, old: str, new: str, *, overwrite: bool) -> None:
        """Give a file another name; without `overwrite`, FileExistsError when that is taken."""
        if overwrite:
            os.replace(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)
            return
        try:
            os.link(
                old,
                new,
                src_dir_fd=self.descriptor,
                dst_dir_fd=self.descriptor,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_without_overwriting(self.descriptor, old, new)
        else:
            self.remove(old)

    def remove(self, name: str) -> None:
        """Remove a file, if it is there."""
        if self.lstat(name) is not None:
            os.unlink(name, dir_fd=self.descriptor)

    def published(self) -> None:
        """Make the names in it durable, unless somebody does that later for many at once."""
        if not self._synced_later:
            self.sync()

    def sync(self) -> None:
        """Make the names in it durable; raises OSError."""
        os.fsync(self.descriptor)

    def close(self) -> None:
        """Let go of it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Place(os.PathLike[str]):
    """A name in a folder that is open already, and stays open for as long as this is used."""

    def __init__(self, folder: Folder, name: str) -> None:
        self.folder = folder
        self.name = name

    def __fspath__(self) -> str:
        return str(self.folder.path / self.name)


def local_error(error: OSError, what: str) -> LocalFileError:
    """Return the error of ours for one of the operating system's, about `what`."""
    if isinstance(error, LocalFileError):
        return error
    if error.errno in _FULL:
        too_long = "Raise the limit for one file (ulimit -f), or choose another file system."
        return StorageFull(
            f"{what}: {error.strerror}.",
            hint=too_long if error.errno == errno.EFBIG else "Make room, or choose another folder.",
        )
    if error.errno == errno.ELOOP:
        return DestinationUnsafe(f"{what} is a symbolic link; it is not written through.")
    if isinstance(error, FileExistsError):
        return DestinationExists(f"{what}: {error.strerror}.")
    return LocalFileError(f"{what}: {error.strerror or error}.")


def is_ours_alone(found: os.stat_result) -> bool:
    """Whether this is a plain file of ours without a second name: nobody else can change it."""
    return stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1


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
