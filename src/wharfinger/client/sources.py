"""From what a caller passes to the content that is sent: paths, bytes, file objects."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO, Final

from wharfinger import names
from wharfinger.client.content import Content, Identity, unreadable
from wharfinger.errors import LocalFileError, UsageError

File = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What can be uploaded: a path, the bytes themselves, or a file object open for reading."""

_UNKNOWN: Final = "application/octet-stream"


def content_of(file: File, *, name: str | None = None, type: str | None = None) -> Content:  # noqa: A002
    """Return the content that a caller means.

    Args:
        file: a path, bytes or a binary file object (sent from where it stands).
        name: what it is called; the name of the file by default.
        type: its media type; by the name's extension by default.

    Raises:
        SourceMissing, LocalFileError: the file cannot be read.
        UsageError: it is nothing that can be sent.
    """
    content = _content_of(file, name=name, type=type)
    content.named = name is not None
    return content


def _content_of(file: File, *, name: str | None = None, type: str | None = None) -> Content:  # noqa: A002
    if isinstance(file, (bytes, bytearray, memoryview)):
        content = bytes(file)
        return _content(content, name or "upload", type, len(content))
    if isinstance(file, (str, os.PathLike)):
        return _from_path(Path(file), name, type)
    if not hasattr(file, "read"):
        raise UsageError(
            f"A {file.__class__.__name__} cannot be uploaded.",
            hint="Pass a path, bytes, or a file object open for reading in binary mode.",
        )
    if hasattr(file, "encoding"):
        raise UsageError("The file object gives text; open it in binary mode.")
    own_name = getattr(file, "name", None)
    if not isinstance(own_name, str) or own_name.startswith("<"):
        own_name = "upload"
    name = name or Path(own_name).name
    start, length = _extent(file)
    return _content(file, name, type, length, start=start)


def _content(
    source: Path | bytes | BinaryIO,
    name: str,
    type: str | None,  # noqa: A002
    length: int | None,
    *,
    start: int = 0,
    identity: Identity | None = None,
) -> Content:
    from wharfinger.inspection.media_types import type_of_extension

    media_type = type or type_of_extension(names.extension(name)) or _UNKNOWN
    return Content(
        source=source,
        name=name,
        type=media_type,
        length=length,
        start=start,
        typed=type is not None,
        identity=identity,
    )


def _from_path(path: Path, name: str | None, type: str | None) -> Content:  # noqa: A002
    shown = names.show(str(path))
    try:
        with path.open("rb", buffering=0) as file:
            regular = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            identity = Identity.of(file.fileno())
    except OSError as error:
        raise unreadable(error, shown) from error
    if not regular:
        raise LocalFileError(f"{shown} is not a plain file.")
    return _content(path, name or path.name, type, identity.size, identity=identity)


def _extent(file: BinaryIO) -> tuple[int, int | None]:
    """Return where a file object stands and how many bytes follow; None when it cannot be known."""
    try:
        if not file.seekable():
            return 0, None
        start = file.tell()
        end = file.seek(0, os.SEEK_END)
        file.seek(start)
    except (OSError, AttributeError):
        return 0, None
    return start, max(end - start, 0)
