"""The key ring that signs links: sign with the newest key, accept every listed one.

A file with one key a line (64 hexadecimal digits), newest first, readable by its
owner alone. `rotate` puts a new key on top; to revoke every link that an old key
signed, take its line out. Every process notices a change at the next use of a key.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

from wharfinger.errors import DataFolderError, UsageError

_KEY: Final = re.compile(r"[0-9a-f]{64,128}")
# Each key of the ring costs every check of a link; this many outlast years of rotations.
MAX_KEYS: Final = 16


class KeyRing:
    """The keys in a file. Safe to use from any thread.

    Raises:
        DataFolderError: the file cannot be read or written, is empty or damaged; so does
            every later look at the keys.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        keys = load_or_make(path)
        self._read = (self._version(), keys)

    def __repr__(self) -> str:
        return f"KeyRing({self._path.name!r}, {len(self._read[1])} keys)"

    def current(self) -> tuple[bytes, ...]:
        """Return the keys, newest first, as the file has them now. Raises DataFolderError."""
        version, keys = self._read
        found = self._version()
        if found != version:
            # In this order: a change in between is seen the next time.
            keys = _load(self._path)
            self._read = (found, keys)
        return keys

    def _version(self) -> tuple[int, int, int]:
        try:
            found = self._path.stat()
        except OSError as error:
            # Never made anew here: a lost file would quietly become a ring that knows no link.
            raise _unusable(self._path, error) from error
        return found.st_mtime_ns, found.st_ino, found.st_size


def load_or_make(path: Path) -> tuple[bytes, ...]:
    """Return the keys in the file, newest first; make the file with one key when missing.

    Raises:
        DataFolderError: the file cannot be read or written, is empty or damaged.
    """
    try:
        if not path.exists():
            _make(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return _load(path)


def rotate(path: Path, *, keep: int | None = None) -> int:
    """Put a new key on top of the ring and return how many keys it has now.

    The file is replaced as a whole, durably. Call it under a lock when other processes may
    rotate, too.

    Args:
        path: the file; it is made when missing.
        keep: how many of the keys there were stay good; None for as many as there is room
            for. 0 ends every link made so far.

    Raises:
        UsageError: `keep` is out of bounds.
        DataFolderError: as `load_or_make`.
    """
    if keep is not None and not 0 <= keep < MAX_KEYS:
        raise UsageError(f"keep must be 0 to {MAX_KEYS - 1}, not {keep}.")
    old = load_or_make(path)[: MAX_KEYS - 1 if keep is None else keep]
    keys = (secrets.token_bytes(32), *old)
    try:
        fresh = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        write_private(fresh, "".join(f"{key.hex()}\n" for key in keys))
        fresh.replace(path)
        _sync_folder(path)
    except OSError as error:
        raise _unusable(path, error) from error
    return len(keys)


def write_private(path: Path, text: str) -> None:
    """Make a file that only its owner can read, durably and all or nothing; never replaces one."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    fd = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        try:
            os.write(fd, text.encode("ascii"))
            os.fsync(fd)
        finally:
            os.close(fd)
        os.link(temporary, path)
    finally:
        temporary.unlink()
    _sync_folder(path)


def _load(path: Path) -> tuple[bytes, ...]:
    try:
        lines = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise _unusable(path, error) from error
    if not lines or not all(_KEY.fullmatch(line) for line in lines):
        raise DataFolderError(
            f"The key file {path.name!r} is damaged.",
            hint="Restore it, or delete it to make a new key: every link made so far ends then.",
        )
    return tuple(bytes.fromhex(line) for line in lines)


def _make(path: Path) -> None:
    try:
        write_private(path, f"{secrets.token_hex(32)}\n")
    except FileExistsError:
        return  # another process was first: its key is the key


def _sync_folder(path: Path) -> None:
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _unusable(path: Path, error: Exception) -> DataFolderError:
    return DataFolderError(f"The key file {path.name!r} cannot be used: {error}.")
