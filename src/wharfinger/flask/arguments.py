"""The arguments of `send_file` as values for headers, and data of every kind as bytes to send."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import BinaryIO, Final, TypeGuard, cast

from wharfinger.errors import UsageError
from wharfinger.inspection import type_of_extension
from wharfinger.names import extension
from wharfinger.units import MIB

_BATCH: Final = 1 * MIB


def cache_control(max_age: int | None, default: str) -> str:
    """Return Cache-Control: the default, or how many seconds the asker's own cache may keep it."""
    return default if max_age is None else f"private, max-age={max_age}"


def entity_tag(wish: bool | str, own: str | None) -> str | None:  # noqa: FBT001 - as send_file has it
    """Return the quoted entity-tag: the wished one, the own one (True) or none. Raises UsageError."""
    if isinstance(wish, str):
        if '"' in wish or not wish.isascii() or not wish.isprintable():
            raise UsageError("An etag is printable ASCII without quotes.")
        return f'"{wish}"'
    return own if wish else None


def moment(value: datetime | float | None) -> datetime | None:
    """Return a moment given as datetime (a naive one is UTC) or epoch seconds, aware."""
    if value is None:
        return None
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC)


def type_by_name(name: str) -> str:
    """Return the media type that a file name promises."""
    return type_of_extension(extension(name)) or "application/octet-stream"


def is_text(data: object) -> bool:
    """Return whether this is text, or a file that was opened as text."""
    return isinstance(data, (str, io.TextIOBase))


def is_seekable(data: BinaryIO | Iterable[bytes]) -> TypeGuard[BinaryIO]:
    """Return whether this is a file with positions."""
    seekable = getattr(data, "seekable", None)
    return hasattr(data, "read") and seekable is not None and bool(seekable())


def pieces(data: BinaryIO | Iterable[bytes]) -> Iterable[bytes]:
    """Return a generator as it is, and a file without positions (a pipe) in pieces."""
    return _read_through(cast("BinaryIO", data)) if hasattr(data, "read") else data


def _read_through(file: BinaryIO) -> Iterator[bytes]:
    # read1 hands on what is there; read would wait until the buffer is full.
    read: Callable[[int], bytes] = getattr(file, "read1", file.read)
    try:
        yield from iter(lambda: read(_BATCH), b"")
    finally:
        file.close()


@contextlib.contextmanager
def closed_on_error(file: BinaryIO) -> Iterator[None]:
    """Close the file when the block fails."""
    try:
        yield
    except BaseException:
        file.close()
        raise
