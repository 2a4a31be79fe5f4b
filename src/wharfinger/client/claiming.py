"""Taking a partial file for one download: opened, found to be ours alone, and locked."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING

from wharfinger.client.folder import is_ours_alone
from wharfinger.errors import DestinationUnsafe, LocalFileError

if TYPE_CHECKING:
    from wharfinger.client.folder import Folder


def claim(folder: Folder, name: str, flags: int) -> int:
    """Return the descriptor of a file that no other download writes while it is open.

    Args:
        folder: where it is.
        name: its name there.
        flags: as for `os.open`, besides reading and writing.

    Raises:
        DestinationUnsafe: somebody else could change it.
        LocalFileError: another download has it.
        OSError: it cannot be opened.
    """
    descriptor = folder.open(name, os.O_RDWR | flags, 0o666)
    try:
        _lock(descriptor, folder, name)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _lock(descriptor: int, folder: Folder, name: str) -> None:
    shown = folder.shown(name)
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
    there = folder.lstat(name)
    if there is None or there.st_ino != os.fstat(descriptor).st_ino:
        raise LocalFileError(f"Another download has just finished {shown}.")
