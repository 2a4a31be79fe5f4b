"""What is uploaded: files that can be read again from their beginning, and bodies made of them.

A body is a recipe and never a consumed file: a retry or a redirect makes its bytes
anew. Memory is one block, whatever the size, and files on disk need none: they are
named to the wire, which sends them as it can. A file that is changed between being
judged and being sent, or becomes longer or shorter meanwhile, is an error before its
last bytes go out.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from wharfinger import names
from wharfinger.errors import LocalFileError, SourceMissing, UsageError
from wharfinger.net import cancelling
from wharfinger.net.spans import FileSpan
from wharfinger.protocol.form_body import FormFile, FramedForm, frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from wharfinger.client.progress import Meter
    from wharfinger.inspection import Inspection
    from wharfinger.net.spans import Piece
    from wharfinger.policy import Policy

File = str | os.PathLike[str] | bytes | bytearray | memoryview | BinaryIO
"""What can be uploaded: a path, the bytes themselves, or a file object open for reading."""

_BLOCK: Final = 256 * 1024
_UNKNOWN: Final = "application/octet-stream"


class Counter(Protocol):
    """What is told how many bytes moved: a meter, for example."""

    @property
    def add(self) -> Callable[[int], None]:
        """Count bytes that moved."""
        ...


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes | None: ...


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one state of a file from another: device, inode, size, time of change."""

    device: int
    inode: int
    size: int
    modified: int

    @classmethod
    def of(cls, descriptor: int) -> Identity:
        """Return the identity of an open file."""
        found = os.fstat(descriptor)
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@dataclass(kw_only=True)
class Content:
    """One file to be sent: its name, type and length, and its bytes as often as they are asked for.

    `sha256` is its digest once somebody has read it for that. `identity` is that of a file
    named by its path.
    """

    source: Path | bytes | BinaryIO
    name: str
    type: str
    length: int | None
    start: int = 0
    named: bool = False
    typed: bool = False
    identity: Identity | None = None
    inspection: Inspection | None = None
    sha256: str | None = None
    _used: bool = field(default=False, repr=False)

    @property
    def replayable(self) -> bool:
        """Whether the bytes can be read (or read again) from their beginning."""
        return self.length is not None or not self._used

    def judge(self, policy: Policy, meter: Meter) -> None:
        """Judge the content under a policy; what comes from a pipe is judged while it is sent.

        Raises:
            Rejected: it broke the policy.
        """
        from wharfinger.inspection import Inspection

        inspection = Inspection(policy, name=self.name, type=self.type, length=self.length)
        if self.length is None:
            self.inspection = inspection
            return
        meter.enter("checking", total=self.length)
        for block in self.blocks():
            inspection.feed(block)
            meter.add(len(block))
        self.sha256 = inspection.finish()[1].sha256

    def blocks(self, start: int = 0, length: int | None = None) -> Iterator[bytes | memoryview]:
        """Yield the bytes, exactly `length` of them from `start` where their number is known.

        Raises:
            LocalFileError: the file cannot be read, or was changed.
            Rejected: the policy, for what is judged while it is sent.
        """
        if self.inspection is None:
            yield from self._raw(start, length)
            return
        inspection, self.inspection = self.inspection, None
        for block in self._raw(start, length):
            yield from _plain(inspection.feed(block))
        yield from _plain(inspection.finish()[0])

    def pieces(self, meter: Counter, start: int = 0, length: int | None = None) -> Iterator[Piece]:
        """Yield what is to be sent: as `blocks`, but files on disk as spans of themselves."""
        file = self._on_disk()
        if file is None or self.length is None:
            yield from _metered(self.blocks(start, length), meter)
            return
        count = self.length - start if length is None else length
        with file if isinstance(self.source, Path) else _left_open(file) as opened:
            self._check(opened)
            if count:
                yield FileSpan(
                    descriptor=opened.fileno(),
                    start=self.start + start,
                    length=count,
                    check=lambda: self._check(opened),
                    failed=lambda error: _unreadable(error, names.show(self.name)),
                    sent=meter.add,
                )

    def _on_disk(self) -> io.FileIO | io.BufferedReader | None:
        """Return the content as an open file of the operating system, if it is one."""
        if isinstance(self.source, Path):
            return self._open(self.source)
        # Other classes may give away a descriptor whose bytes are not theirs: gzip does.
        file = self.source
        if not isinstance(file, (io.FileIO, io.BufferedReader)) or self.length is None:
            return None
        exact = type(file) in {io.FileIO, io.BufferedReader}
        return file if exact and stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None

    def _open(self, path: Path) -> io.FileIO:
        try:
            return io.FileIO(path)
        except OSError as error:
            raise _unreadable(error, names.show(self.name)) from error

    def _check(self, file: io.FileIO | io.BufferedReader) -> None:
        """Refuse a file that is not what it was when its length was announced."""
        now = Identity.of(file.fileno())
        shown = names.show(self.name)
        if (expected := self.start + (self.length or 0)) != now.size:
            word = "shorter" if now.size < expected else "longer"
            difference = abs(now.size - expected)
            raise LocalFileError(
                f"{shown} became {difference} bytes {word} while it was read.", hint=_QUIET
            )
        if self.identity is not None and self.identity != now:
            raise LocalFileError(f"{shown} was changed while it was read.", hint=_QUIET)

    def _raw(self, start: int, length: int | None) -> Iterator[bytes | memoryview]:
        shown = names.show(self.name)
        count = length
        if count is None and self.length is not None:
            count = self.length - start
        try:
            if isinstance(self.source, bytes):
                yield memoryview(self.source)[start : start + (count or 0)]
            elif isinstance(self.source, Path):
                with self._open(self.source) as file:
                    self._check(file)
                    file.seek(start)
                    yield from self._read(file, count)
                    self._check(file)
            else:
                if self.length is not None:
                    self.source.seek(self.start + start)
                elif self._used:
                    raise LocalFileError(f"{shown} comes from a stream and was sent already.")
                self._used = True
                yield from self._read(self.source, count)
        except OSError as error:
            raise _unreadable(error, shown) from error

    def _read(self, file: _Readable, left: int | None) -> Iterator[bytes | memoryview]:
        while left is None or left > 0:
            cancelling.check()
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
                hint=_QUIET,
            )


_QUIET: Final = "Upload it again when nothing writes to it."


@contextlib.contextmanager
def _left_open(file: io.FileIO | io.BufferedReader) -> Iterator[io.FileIO | io.BufferedReader]:
    yield file


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
        raise _unreadable(error, shown) from error
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


def _unreadable(error: OSError, shown: str) -> LocalFileError:
    if isinstance(error, FileNotFoundError) and not isinstance(error, LocalFileError):
        return SourceMissing(f"{shown} does not exist.")
    from wharfinger.client.partial import local_error

    return local_error(error, shown)


# --- bodies -------------------------------------------------------------------------------


@dataclass(kw_only=True)
class RawBody:
    """One file, or a stretch of it, as the whole body.

    `begun` tells whether any of it may have been sent.
    """

    content: Content
    meter: Meter
    start: int = 0
    span: int | None = None
    begun: bool = False

    @property
    def length(self) -> int | None:
        """Bytes of the body; None when only its end will tell."""
        if self.span is not None or self.content.length is None:
            return self.span
        return self.content.length - self.start

    @property
    def replayable(self) -> bool:
        """Whether it can be sent (or sent again)."""
        return self.content.replayable

    def pieces(self) -> Iterator[Piece]:
        """Yield the bytes."""
        self.begun = True
        self.meter.enter("sending", done=self.start, total=self.content.length)
        yield from self.content.pieces(self.meter, self.start, self.span)
        self.meter.enter("waiting", done=self.meter.done, total=self.content.length)

    def sha256(self) -> str:
        """Return the SHA-256 of the body, in hexadecimal; a policy's reading may have found it."""
        if self.content.sha256 is None:
            self.content.sha256 = _digest(self.content.blocks(), self.length, self.meter)
        return self.content.sha256


@dataclass(kw_only=True)
class FormBody:
    """Files and fields as multipart/form-data (RFC 7578). `begun` as above."""

    contents: Sequence[Content]
    framed: FramedForm
    meter: Meter
    begun: bool = False

    @classmethod
    def of(
        cls, contents: Sequence[Content], fields: Mapping[str, str], field: str, meter: Meter
    ) -> FormBody:
        """Return the form that sends these files in one field each of the same name."""
        files = [FormFile(field, item.name, item.type, item.length) for item in contents]
        # 128 random bits: no file contains it by accident or on purpose.
        boundary = f"wharfinger-{os.urandom(16).hex()}"
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
        """Whether it can be sent (or sent again)."""
        return all(content.replayable for content in self.contents)

    def pieces(self) -> Iterator[Piece]:
        """Yield the bytes of the form."""
        self.begun = True
        self.meter.enter("sending", total=self.length)
        contents = iter(self.contents)
        for piece in self.framed.pieces:
            if isinstance(piece, bytes):
                self.meter.add(len(piece))
                yield piece
            else:
                yield from next(contents).pieces(self.meter)
        self.meter.enter("waiting", done=self.meter.done, total=self.meter.done)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole form, in hexadecimal."""
        return _digest(self._blocks(), self.length, self.meter)

    def _blocks(self) -> Iterator[bytes | memoryview]:
        contents = iter(self.contents)
        for piece in self.framed.pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from next(contents).blocks()


def _digest(blocks: Iterator[bytes | memoryview], length: int | None, meter: Meter) -> str:
    hasher = hashlib.sha256()
    meter.enter("checking", total=length)
    for block in blocks:
        hasher.update(block)
        meter.add(len(block))
    return hasher.hexdigest()


def _metered(blocks: Iterator[bytes | memoryview], meter: Counter) -> Iterator[bytes | memoryview]:
    for block in blocks:
        yield block
        meter.add(len(block))
