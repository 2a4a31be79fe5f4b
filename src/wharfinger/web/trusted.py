"""Files of the application's own: opened inside a trusted folder and nowhere else.

The name is walked component by component with O_NOFOLLOW, so that neither `..` nor a
symbolic link, planted as the file or as a folder on the way, leads out (CVE-2024-23334,
CVE-2026-54094 in comparable servers).
"""

from __future__ import annotations

import io
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from wharfinger.errors import NotFound

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Not blocking: opening a FIFO must not wait for a writer.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, kw_only=True, slots=True)
class OpenedFile:
    """A plain file of the application, open for reading; the receiver closes it."""

    file: BinaryIO
    name: str
    size: int
    modified_at: datetime
    etag: str


def open_inside(folder: Path, name: str) -> OpenedFile:
    """Return the plain file `name` (with forward slashes) below the trusted `folder`.

    The entity-tag is weak, because modification times can lie (RFC 9110 section 8.8.1).

    Raises:
        NotFound: there is none, or the name would lead out: one answer for all.
    """
    components = name.split("/")
    if any(part in ("", ".", "..") or "\\" in part or "\0" in part for part in components):
        raise NotFound
    try:
        at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for part in components[:-1]:
                deeper = os.open(part, _FOLDER, dir_fd=at)
                os.close(at)
                at = deeper
            fd = os.open(components[-1], _FILE, dir_fd=at)
        finally:
            os.close(at)
    except (OSError, UnicodeEncodeError) as error:
        raise NotFound from error
    status = os.fstat(fd)
    if not stat.S_ISREG(status.st_mode):
        os.close(fd)
        raise NotFound
    return OpenedFile(
        file=io.FileIO(fd, "rb"),
        name=components[-1],
        size=status.st_size,
        modified_at=datetime.fromtimestamp(int(status.st_mtime), UTC),
        etag=f'W/"{status.st_mtime_ns:x}-{status.st_size:x}"',
    )
