"""Files of the application's own: opened inside a trusted folder and nowhere else.

The name may come from a stranger. It is a chain of plain components: no `..`, no empty
one, no backslash, nothing hidden (`.env`, `.git/config`). Nothing outside the folder is
reached, through no link either (CVE-2024-23334, CVE-2026-54094 in comparable servers), and
nothing but a plain file is opened for sending.
"""

from __future__ import annotations

import errno
import io
import logging
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import BinaryIO, Final

from wharfinger.errors import NotFound, Unavailable, UsageError
from wharfinger.flask.beneath import open_beneath

log = logging.getLogger("wharfinger")

# What a name can be at fault for. Everything else (no descriptors left, a failing disk) is
# no absence, and no cache or crawler may be told that the file is gone.
_ABSENT: Final = frozenset(
    {
        errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EXDEV, errno.EINVAL,
        errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ENXIO, errno.ENODEV,
        errno.EWOULDBLOCK,
    }
)  # fmt: skip
# Coarser than any clock of a file system that we know of (FAT: 2 s).
_SETTLED_AFTER: Final = timedelta(seconds=2)


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedFile:
    """A plain file of the application, open for reading; the receiver closes it."""

    file: BinaryIO
    name: str
    size: int
    modified_at: datetime
    etag: str


def open_inside(folder: Path, name: str | os.PathLike[str], *, now: datetime) -> OpenedFile:
    """Return the plain file `name` (with forward slashes) below the trusted `folder`.

    Raises:
        NotFound: there is none, or the name would lead out: one answer for all.
        Unavailable: the machine cannot open files now.
        UsageError: the name is no text.
    """
    path: object = os.fspath(name) if hasattr(name, "__fspath__") else name
    if not isinstance(path, str):
        raise UsageError(f"The name of a file is text, not {type(path).__name__}.")
    components = path.split("/")
    if any(not _is_plain(part) for part in components):
        raise NotFound
    try:
        fd = _open(folder, path)
    except UnicodeEncodeError as error:
        raise NotFound from error
    except OSError as error:
        if error.errno in _ABSENT:
            raise NotFound from error
        raise Unavailable("Files cannot be opened at the moment.") from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise NotFound
    return OpenedFile(
        file=io.FileIO(fd, "rb"),
        name=components[-1],
        size=status.st_size,
        modified_at=modified_at(status),
        etag=file_etag(status, now),
    )


def modified_at(status: os.stat_result) -> datetime:
    """Return when the content of a file changed last, in whole seconds."""
    return datetime.fromtimestamp(int(status.st_mtime), UTC)


def file_etag(status: os.stat_result, now: datetime) -> str:
    """Return the entity-tag of a file: strong once its last change has settled, weak before.

    A strong tag promises that equal tags mean equal bytes; parts of a file are joined by it
    (RFC 9110 section 8.8.1). A modification time alone cannot promise that: programs set it,
    and two writes may fall within one tick of the clock. The time of change (ctime) cannot
    be set, so once it lies two seconds back, whatever happens to the file next shows in it;
    and a file put in this one's place has another inode or another time of change.
    """
    opaque = f'"{status.st_ino:x}-{status.st_size:x}-{status.st_mtime_ns:x}-{status.st_ctime_ns:x}"'
    changed = datetime.fromtimestamp(status.st_ctime, UTC)
    return opaque if now - changed >= _SETTLED_AFTER else f"W/{opaque}"


def _is_plain(part: str) -> bool:
    return part != "" and not part.startswith(".") and "\\" not in part and "\0" not in part


def _open(folder: Path, path: str) -> int:
    try:
        root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        # No visitor can cause this; whoever wrote the view wants to know.
        log.warning("deliver_path: the folder %s cannot be opened: %s", folder, error.strerror)
        raise
    try:
        return open_beneath(root, path)
    finally:
        os.close(root)
