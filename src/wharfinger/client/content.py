"""One file to be uploaded: read as often as it is asked for, at the memory of one block.

A file on disk needs not even that: it is named to the wire, which sends it as it can. A file
that is changed between being judged and being sent, or becomes longer or shorter meanwhile,
is an error before its last bytes go out.
"""

from __future__ import annotations

import contextlib
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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from wharfinger.client.progress import Meter
    from wharfinger.inspection import Inspection
    from wharfinger.net.spans import Piece
    from wharfinger.policy import Policy

_BLOCK: Final = 256 * 1024
_PIECE: Final = 1024 * 1024  # of what is in memory already
_QUIET: Final = "Upload it again when nothing writes to it."


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
        from wharfinger.client.looking import judged

        meter.enter("checking", total=self.length)
        facts = judged(self, inspection, policy, name=self.name, type=self.type, count=meter.add)
        self.sha256 = facts.sha256

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
                    failed=lambda error: unreadable(error, names.show(self.name)),
                    sent=meter.add,
                )

    def _on_disk(self) -> io.FileIO | io.BufferedReader | None:
        """Return the content as an open file of the operating system, if it is one."""
        if isinstance(self.source, Path):
            return self.opened(self.source)
        # Other classes may give away a descriptor whose bytes are not theirs: gzip does.
        file = self.source
        if not isinstance(file, (io.FileIO, io.BufferedReader)) or self.length is None:
            return None
        exact = type(file) in {io.FileIO, io.BufferedReader}
        return file if exact and stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None

    def opened(self, path: Path) -> io.FileIO:
        """Return a file of this content, open for reading. Raises LocalFileError."""
        try:
            return io.FileIO(path)
        except OSError as error:
            raise unreadable(error, names.show(self.name)) from error

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
                view = memoryview(self.source)[start : start + (count or 0)]
                for at in range(0, len(view), _PIECE):
                    cancelling.check()
                    yield view[at : at + _PIECE]
            elif isinstance(self.source, Path):
                with self.opened(self.source) as file:
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
            raise unreadable(error, shown) from error

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


@contextlib.contextmanager
def _left_open(file: io.FileIO | io.BufferedReader) -> Iterator[io.FileIO | io.BufferedReader]:
    yield file


def _plain(blocks: Sequence[bytes | bytearray | memoryview]) -> Iterator[bytes | memoryview]:
    for block in blocks:
        yield memoryview(block)


def unreadable(error: OSError, shown: str) -> LocalFileError:
    """Return the error for a file that cannot be read."""
    if isinstance(error, FileNotFoundError) and not isinstance(error, LocalFileError):
        return SourceMissing(f"{shown} does not exist.")
    from wharfinger.client.folder import local_error

    return local_error(error, shown)


def _metered(blocks: Iterator[bytes | memoryview], meter: Counter) -> Iterator[bytes | memoryview]:
    for block in blocks:
        yield block
        meter.add(len(block))
