"""Where downloaded bytes go: a file that appears when it is whole, or a stream such as stdout."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from wharfinger import names
from wharfinger.client.folder import Folder, Place, local_error
from wharfinger.client.heads import Held
from wharfinger.client.partial import Partial
from wharfinger.client.sidecar import Source
from wharfinger.errors import LocalFileError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from wharfinger.client.heads import Offer
    from wharfinger.net.urls import Url

_WRONG_DESTINATION: Final = (
    "dest must be a path, a folder, or a file object open for writing in binary mode."
)

Destination = str | os.PathLike[str] | BinaryIO | None


class Sink(Protocol):
    """Takes the cleared bytes of one download, over several attempts."""

    started: bool
    scatters: bool
    """Whether bytes can be written in any order."""

    @property
    def restartable(self) -> bool:
        """Whether another attempt may follow."""
        ...

    def held(self) -> Held | None:
        """What is there to go on from."""

    def blocks(self, start: int, end: int) -> Iterator[memoryview]:
        """Yield bytes that are held, from `start` up to but without `end`."""
        ...

    def go_on(self, length: int) -> None:
        """Keep the first `length` of the bytes that are held; the next write goes behind them."""

    def begin(self, offer: Offer) -> None:
        """Make ready for the whole content."""

    def write(self, blocks: Iterable[bytes | memoryview]) -> None:
        """Append cleared bytes."""

    def scatter(self) -> None:
        """From now on bytes are also written at other places: there may be holes."""

    def write_at(self, block: memoryview, offset: int) -> None:
        """Write bytes at a place; from any thread."""

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Fill the beginning of a buffer with bytes from a place, and return how many."""
        ...

    def gather(self, length: int) -> None:
        """Keep the bytes in order, or the first `length` where those are more."""

    def check(self, name: str) -> None:
        """Refuse a final name that cannot be used, before anything is written."""

    def publish(self, name: str) -> Path | None:
        """Make the whole content appear and return where."""

    def discard(self) -> None:
        """Remove what was written."""

    def resume_hint(self) -> str | None:
        """How to go on after an interruption; None when there is nothing to go on from."""

    def close(self) -> None:
        """Let go of files."""


class FileSink:
    """A file in a folder, by way of `NAME.part`."""

    scatters = True

    def __init__(
        self, folder: Folder | Path, name: str, url: Url, *, resume: bool, overwrite: bool
    ) -> None:
        self.name = name
        self.started = False
        self._url = url
        self._resume = resume
        self._overwrite = overwrite
        opened = folder if isinstance(folder, Folder) else Folder(folder)
        self._own_folder = None if opened is folder else opened
        self._partial = Partial(opened, name)
        self._source: Source | None = None
        self._looked = False

    @property
    def restartable(self) -> bool:
        """Always: a partial file can be resumed or emptied."""
        return True

    def held(self) -> Held | None:
        """Return what an earlier call or attempt left, if it can be resumed."""
        if self._resume and not self._looked and not self.started:
            self._looked = True
            source = self._partial.reopen()
            if source is not None and self._from_here(source):
                self._source = source
        source, have = self._source, self._partial.size
        if not self._resume or source is None or not source.validator or have == 0:
            return None
        # A part that is whole already still needs one byte from the server, which proves
        # that the content has not changed since.
        offset = have if source.size is None or have < source.size else source.size - 1
        return Held(offset=offset, validator=source.validator, size=source.size)

    def blocks(self, start: int, end: int) -> Iterator[memoryview]:
        """Yield bytes that are held."""
        return self._partial.opened.blocks(start, end)

    def go_on(self, length: int) -> None:
        """Cut the partial file behind the bytes that the rest follows."""
        self._partial.opened.cut(length)
        self.started = True

    def begin(self, offer: Offer) -> None:
        """Make an empty partial file."""
        self._source = Source(
            url=_without_query(self._url),
            query=_query_digest(self._url),
            validator=offer.validator,
            size=offer.size,
        )
        self._partial.begin(self._source)
        self.started = True

    def write(self, blocks: Iterable[bytes | memoryview]) -> None:
        """Append to the partial file."""
        self._partial.append(blocks)

    def scatter(self) -> None:
        """Note that the partial file may have holes."""
        self._partial.scatter()

    def write_at(self, block: memoryview, offset: int) -> None:
        """Write into the partial file."""
        self._partial.opened.write_at(block, offset)

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Read from the partial file."""
        return self._partial.opened.read_at(buffer, offset)

    def gather(self, length: int) -> None:
        """Cut the partial file before its first hole."""
        self._partial.gather(length)

    def check(self, name: str) -> None:
        """Refuse a name that would be overwritten unasked."""
        self._partial.check_destination(name, overwrite=self._overwrite)

    def publish(self, name: str) -> Path:
        """Give the whole file its name."""
        return self._partial.publish(name, overwrite=self._overwrite)

    def discard(self) -> None:
        """Remove the partial file."""
        self._partial.discard()

    def resume_hint(self) -> str | None:
        """Say how to go on."""
        if not self._partial.exists or not self._resume:
            return None
        part = names.show(str(self._partial.part_path))
        if self._source is None or not self._source.validator:
            return (
                f"{part} was kept, but the server gives no strong validator: "
                "the same call begins anew."
            )
        return f"Make the same call again: it resumes from {part} ({self._partial.size} bytes)."

    def close(self) -> None:
        """Let go of the partial file, and remove it if nothing may be left."""
        if not self._resume:
            self._partial.discard()
        self._partial.close()
        if self._own_folder is not None:
            self._own_folder.close()

    def _from_here(self, source: Source) -> bool:
        return source.url == _without_query(self._url) and source.query == _query_digest(self._url)


class StreamSink:
    """A file object of the caller: gets the bytes as they are cleared and cannot take any back."""

    scatters = False

    def __init__(self, stream: BinaryIO) -> None:
        self.started = False
        self._stream = stream

    @property
    def restartable(self) -> bool:
        """Until the first bytes went out: they cannot be taken back."""
        return not self.started

    def held(self) -> None:
        """Return nothing: a stream cannot be read back."""
        return

    def blocks(self, start: int, end: int) -> Iterator[memoryview]:
        """Never called: nothing is held."""
        raise AssertionError(start, end)  # nothing is held, so nothing is asked back

    def go_on(self, length: int) -> None:
        """Never called: nothing is held."""
        raise AssertionError(length)

    def begin(self, offer: Offer) -> None:  # noqa: ARG002 - a stream is given no length
        """Take the first bytes."""
        self.started = True

    def write(self, blocks: Iterable[bytes | memoryview]) -> None:
        """Pass bytes on."""
        for block in blocks:
            view = memoryview(block)
            while view:
                try:
                    count = self._stream.write(view)
                except BrokenPipeError:
                    raise
                except OSError as error:
                    raise local_error(error, "The output stream") from error
                view = view[count or len(view) :]  # some file objects return nothing

    def scatter(self) -> None:
        """Never called: bytes go out in order."""

    def write_at(self, block: memoryview, offset: int) -> None:
        """Never called: bytes go out in order."""
        raise AssertionError(offset, len(block))

    def read_at(self, buffer: memoryview, offset: int) -> int:
        """Never called: nothing can be read back."""
        raise AssertionError(offset, len(buffer))

    def gather(self, length: int) -> None:
        """Never called: bytes went out in order."""

    def check(self, name: str) -> None:
        """Any name will do: none is used."""

    def publish(self, name: str) -> None:  # noqa: ARG002 - a stream has no name
        """Flush; a stream has no name."""
        self._stream.flush()

    def discard(self) -> None:
        """Nothing can be taken back."""

    def resume_hint(self) -> str | None:
        """Return nothing: there is no going on."""
        return None

    def close(self) -> None:
        """The stream belongs to the caller."""


def open_sink(
    dest: Destination, url: Url, *, resume: bool, overwrite: bool, remote_name: bool
) -> FileSink | StreamSink:
    """Return the sink for a destination: a path, a folder, a binary file object or None.

    With `remote_name` the final name is not known yet, and is checked when it is.

    Raises:
        UsageError: the destination is none of these.
        DestinationExists, DestinationUnsafe, LocalFileError: it cannot be written.
    """
    if dest is not None and not isinstance(dest, (str, os.PathLike)):
        if not hasattr(dest, "write") or hasattr(dest, "encoding"):
            raise UsageError(_WRONG_DESTINATION)
        return StreamSink(dest)
    folder: Folder | Path
    if isinstance(dest, Place):
        folder, name = dest.folder, dest.name
    else:
        folder, name = _folder_and_name(dest, url)
    if remote_name and dest is not None and not _is_folder(Path(dest)):
        raise UsageError("With the server's name the destination must be a folder.")
    sink = FileSink(folder, name, url, resume=resume, overwrite=overwrite)
    try:
        if not remote_name:
            sink.check(name)
    except BaseException:
        sink.close()
        raise
    return sink


def _folder_and_name(dest: str | os.PathLike[str] | None, url: Url) -> tuple[Path, str]:
    from_url = names.clean(url.last_segment)
    if dest is None:
        return Path(), from_url
    text = os.fspath(dest)
    if not text or "\0" in text:
        raise UsageError(_WRONG_DESTINATION)
    path = Path(text)
    if _is_folder(path):
        return path, from_url
    if text.endswith("/") or path.name in {"", ".."}:
        raise LocalFileError(f"The folder {names.show(text)} does not exist.")
    return path.parent, path.name


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError as error:  # a name that is too long, for one
        raise local_error(error, names.show(str(path), limit=80)) from error


def _without_query(url: Url) -> str:
    return f"{url.scheme}://{url.authority}{url.path}"


def _query_digest(url: Url) -> str:
    query = url.target.partition("?")[2]
    return hashlib.sha256(query.encode("ascii")).hexdigest() if query else ""
