"""The key ring that signs links: sign with the newest key, accept every listed one.

A file with one key a line (64 hexadecimal digits), newest first, readable by its
owner alone. To rotate, put a new line on top; to revoke every link that an old key
signed, take its line out.
"""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Final

from wharfinger.errors import DataFolderError

_KEY: Final = re.compile(r"[0-9a-f]{64,128}")


def load_or_make(path: Path) -> tuple[bytes, ...]:
    """Return the keys in the file, newest first; make the file with one key when missing.

    Raises:
        DataFolderError: the file cannot be read or written, is empty or damaged.
    """
    try:
        if not path.exists():
            _make(path)
        lines = path.read_text("ascii").split()
    except (OSError, UnicodeDecodeError) as error:
        raise DataFolderError(f"The key file {path.name!r} cannot be used: {error}.") from error
    if not lines or not all(_KEY.fullmatch(line) for line in lines):
        raise DataFolderError(
            f"The key file {path.name!r} is damaged.",
            hint="Restore it, or delete it to make a new key: every link made so far ends then.",
        )
    return tuple(bytes.fromhex(line) for line in lines)


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
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _make(path: Path) -> None:
    try:
        write_private(path, f"{secrets.token_hex(32)}\n")
    except FileExistsError:
        return  # another process was first: its key is the key
