"""What is uploaded: files that can be read again from their beginning, and bodies made of them.

A body is a recipe and never a consumed file: a retry or a redirect makes its bytes
anew. Memory is one block, whatever the size. A file that becomes shorter while it is
sent is an error, one that grows is sent as long as it was.
"""

from __future__ import annotations

import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from wharfinger import names
from wharfinger.client.partial import local_error
from wharfinger.errors import LocalFileError, SourceMissing, UsageError
from wharfinger.inspection import Inspection, type_of_extension
from wharfinger.protocol.form_body import FormFile, FramedForm, frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wharfinger.client.progress import Meter
    from wharfinger.policy import Policy

File = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What can be uploaded: a path, the bytes themselves, or a file object open for reading."""

_BLOCK: Final = 256 * 1024
_UNKNOWN: Final = "application/octet-stream"


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


@dataclass(kw_only=True)
class Content:
    """One file to be sent: its name, type and length, and its bytes as often as they are asked for."""

    source: Path | bytes | BinaryIO
    name: str
    type: str
    length: int | None
    start: int = 0
    inspection: Inspection | None = None
    _used: bool = field(default=False, repr=False)

    @property
    def replayable(self) -> bool:
        """Whether the bytes can be read again."""
        return self.length is not None

    def judge(self, policy: Policy, meter: Meter) -> None:
        """Judge the content under a policy; what comes from a pipe is judged while it is sent.

        Raises:
            Rejected: it broke the policy.
        """
        inspection = Inspection(policy, name=self.name, type=self.type, length=self.length)
        if not self.replayable:
            self.inspection = inspection
            return
        meter.enter("checking", total=self.length)
        for block in self.blocks():
            inspection.feed(block)
            meter.add(len(block))
        inspection.finish()

    def blocks(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes, exactly `length` of them where that is known.

        Raises:
            LocalFileError: the file cannot be read, or became shorter.
            Rejected: the policy, for what is judged while it is sent.
        """
        if self.inspection is None:
            yield from self._raw()
            return
        inspection, self.inspection = self.inspection, None
        for block in self._raw():
            yield from _plain(inspection.feed(block))
        yield from _plain(inspection.finish()[0])

    def _raw(self) -> Iterator[bytes | memoryview]:
        shown = names.show(self.name)
        try:
            if isinstance(self.source, bytes):
                yield memoryview(self.source)
            elif isinstance(self.source, Path):
                with self.source.open("rb", buffering=0) as file:
                    yield from self._read(file)
            else:
                if self.replayable:
                    self.source.seek(self.start)
                elif self._used:
                    raise LocalFileError(f"{shown} comes from a stream and was sent already.")
                self._used = True
                yield from self._read(self.source)
        except OSError as error:
            raise _unreadable(error, shown) from error

    def _read(self, file: _Readable) -> Iterator[bytes | memoryview]:
        left = self.length
        while left is None or left > 0:
            block = file.read(_BLOCK if left is None else min(_BLOCK, left))
            if not block:
                break
            if not isinstance(block, bytes):
                raise UsageError("The file object gives text; open it in binary mode.")
            left = None if left is None else left - len(block)
            yield block
        if left:
            raise LocalFileError(
                f"{names.show(self.name)} became {left} bytes shorter while it was read.",
                hint="Upload it again when nothing writes to it.",
            )


def _plain(blocks: Sequence[bytes | bytearray | memoryview]) -> Iterator[bytes | memoryview]:
    for block in blocks:
        yield memoryview(block)


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
) -> Content:
    media_type = type or type_of_extension(names.extension(name)) or _UNKNOWN
    return Content(source=source, name=name, type=media_type, length=length, start=start)


def _from_path(path: Path, name: str | None, type: str | None) -> Content:  # noqa: A002
    shown = names.show(str(path))
    try:
        with path.open("rb", buffering=0) as file:
            found = os.fstat(file.fileno())
    except OSError as error:
        raise _unreadable(error, shown) from error
    if not stat.S_ISREG(found.st_mode):
        raise LocalFileError(f"{shown} is not a plain file.")
    return _content(path, name or path.name, type, found.st_size)


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


def _unreadable(error: OSError, shown: str) -> LocalFileError:
    if isinstance(error, FileNotFoundError) and not isinstance(error, LocalFileError):
        return SourceMissing(f"{shown} does not exist.")
    return local_error(error, shown)


# --- bodies -------------------------------------------------------------------------------


@dataclass(kw_only=True)
class RawBody:
    """One file as the whole body."""

    content: Content
    meter: Meter

    @property
    def length(self) -> int | None:
        """Bytes of the body; None when only its end will tell."""
        return self.content.length

    @property
    def replayable(self) -> bool:
        """Whether it can be sent again."""
        return self.content.replayable

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes."""
        self.meter.enter("sending", total=self.length)
        yield from _metered(self.content.blocks(), self.meter)
        self.meter.enter("waiting", done=self.meter.done, total=self.meter.done)


@dataclass(kw_only=True)
class FormBody:
    """Files and fields as multipart/form-data (RFC 7578)."""

    contents: Sequence[Content]
    framed: FramedForm
    meter: Meter

    @classmethod
    def of(
        cls, contents: Sequence[Content], fields: Mapping[str, str], field: str, meter: Meter
    ) -> FormBody:
        """Return the form that sends these files in one field each of the same name."""
        files = [FormFile(field, item.name, item.type, item.length) for item in contents]
        # 128 random bits: no file contains it by accident or on purpose.
        boundary = f"wharfinger-{secrets.token_hex(16)}"
        return cls(
            contents=contents,
            framed=frame(tuple(fields.items()), files, boundary=boundary),
            meter=meter,
        )

    @property
    def length(self) -> int | None:
        """Bytes of the body; None when only its end will tell."""
        return self.framed.length

    @property
    def replayable(self) -> bool:
        """Whether it can be sent again."""
        return all(content.replayable for content in self.contents)

    def pieces(self) -> Iterator[bytes | memoryview]:
        """Yield the bytes of the form."""
        self.meter.enter("sending", total=self.length)
        contents = iter(self.contents)
        for piece in self.framed.pieces:
            if isinstance(piece, bytes):
                self.meter.add(len(piece))
                yield piece
            else:
                yield from _metered(next(contents).blocks(), self.meter)
        self.meter.enter("waiting", done=self.meter.done, total=self.meter.done)


def _metered(blocks: Iterator[bytes | memoryview], meter: Meter) -> Iterator[bytes | memoryview]:
    for block in blocks:
        yield block
        meter.add(len(block))
