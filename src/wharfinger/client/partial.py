"""Where a file is kept that is being downloaded: `NAME.part` and its sidecar, until it is whole.

The destination holds the whole verified file or is untouched. What is not whole lies
next to it as `NAME.part` with `NAME.part.json`, which records from where it came and
under which validator; both are made only when bytes were cleared. A lock keeps a second
download off, and publishing is a link that cannot overwrite, or a rename where
overwriting was asked for. Then the folder is synced.

Small content has no name at all until it is whole (`O_TMPFILE`, where there is such a
thing), or until it is left to be resumed: for a thousand small files the partial files and
sidecars would cost more than the rest of the work.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.client.claiming import claim
from wharfinger.client.contents import Contents
from wharfinger.client.folder import local_error
from wharfinger.client.sidecar import Sidecar
from wharfinger.errors import DestinationExists, DestinationUnsafe, LocalFileError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wharfinger.client.folder import Folder
    from wharfinger.client.sidecar import Source

_SMALL: Final = 64 * 1024
# What a power cut can cost; each sync of so much is in the sidecar. A Ctrl-C costs nothing.
_SYNCED_EVERY: Final = 1024 * 1024 * 1024
_SUFFIX: Final = ".part"
_RECORD_SUFFIX: Final = ".part.json"


def beside(name: str) -> tuple[str, str]:
    """Return the names of the partial file and of the sidecar of a destination."""
    # A name that is as long as names may be leaves no room for ".part.json".
    fits = len(os.fsencode(name + _RECORD_SUFFIX)) <= names.MAX_NAME_BYTES
    stem = name if fits else f".{hashlib.sha256(os.fsencode(name)).hexdigest()}"
    return stem + _SUFFIX, stem + _RECORD_SUFFIX


class Partial:
    """One destination and its partial file.

    Args:
        folder: the destination's folder; whoever opened it closes it.
        name: the destination's name in it.
    """

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder = folder
        self._name = name
        self._part, record = beside(name)
        self._sidecar = Sidecar(folder, record)
        self._contents: Contents | None = None
        self._mode = 0o600
        self._unnamed = False
        self._source: Source | None = None
        self._scattered = False

    @property
    def part_path(self) -> Path:
        """Where the bytes are that came so far."""
        return self._folder.path / self._part

    @property
    def exists(self) -> bool:
        """Whether a partial file is open."""
        return self._contents is not None

    @property
    def opened(self) -> Contents:
        """The partial file itself.

        Raises:
            LocalFileError: it is not open.
        """
        if self._contents is None:
            raise LocalFileError(f"{self._folder.shown(self._part)} is closed.")
        return self._contents

    @property
    def size(self) -> int:
        """How many bytes there are to go on from."""
        return 0 if self._contents is None else self._contents.size

    def check_destination(self, name: str | None = None, *, overwrite: bool) -> None:
        """Refuse a destination that would be overwritten unasked, or that is no plain file.

        Args:
            name: the name in the folder; the one it was made with by default.
            overwrite: whether a plain file there may be replaced.

        Raises:
            DestinationExists, DestinationUnsafe: as described.
        """
        if name in {self._part, self._sidecar.name}:
            shown = self._folder.shown(name or self._name)
            raise DestinationUnsafe(f"{shown} is where the download itself is kept meanwhile.")
        found = self._folder.lstat(name or self._name)
        if found is None:
            return
        shown = self._folder.shown(name or self._name)
        if stat.S_ISLNK(found.st_mode):
            raise DestinationUnsafe(f"{shown} is a symbolic link; it is not written through.")
        if not stat.S_ISREG(found.st_mode):
            raise DestinationUnsafe(f"{shown} is not a plain file.")
        if not overwrite:
            raise DestinationExists(f"{shown} exists already.")

    # --- resuming --------------------------------------------------------------------------

    def reopen(self) -> Source | None:
        """Open and lock what an earlier download left; None when there is nothing of use.

        Raises:
            DestinationUnsafe: the partial file is a symbolic link.
            LocalFileError: another download is writing it.
        """
        source = self._sidecar.read()
        if source is None:
            return None
        try:
            opened = self._open(0)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._failed(error) from error
        opened.size = source.believed(os.fstat(opened.descriptor).st_size)
        self._mode = source.mode
        self._source = source
        return source

    # --- writing ---------------------------------------------------------------------------

    def begin(self, source: Source) -> None:
        """Make an empty partial file with its sidecar, or empty the one that is open.

        A size that the disk has no room for is refused at once. Nothing is reserved: a
        server could fill the disk by promising much.

        Raises:
            DestinationExists: a file of that name is there, and is not one of ours.
            DestinationUnsafe: it is a symbolic link.
            LocalFileError, StorageFull: the file system.
        """
        try:
            if self._contents is not None:
                self._empty(self._contents)
            elif not self._create_unnamed(source.size):
                self._create()
            self._source = source
            if not self._unnamed:
                self.opened.check_room(source.size or 0)
                self._record(source)
        except OSError as error:
            raise self._failed(error) from error

    def append(self, blocks: Iterable[bytes | memoryview]) -> None:
        """Append to the bytes that are there; now and then they are made durable.

        Raises:
            LocalFileError, StorageFull: the file system.
        """
        opened, source = self.opened, self._source
        opened.append(blocks)
        if source is None or self._scattered or opened.size - source.synced <= _SYNCED_EVERY:
            return
        try:
            self._vouch()
        except OSError as error:
            raise self._failed(error) from error

    # --- in any order ----------------------------------------------------------------------

    def scatter(self) -> None:
        """Note that there may be holes: until `gather`, nobody resumes this file.

        Raises:
            LocalFileError, StorageFull: the file system.
        """
        try:
            # Synced: after a power cut a file with holes must not look like a beginning.
            self._scattered = True
            self._record(replace(self._known, validator=""), sync=True)
            self._folder.sync()
        except OSError as error:
            raise self._failed(error) from error

    def gather(self, length: int) -> None:
        """Cut the file behind the bytes that were written in order, or behind `length`.

        Raises:
            LocalFileError, StorageFull: the file system.
        """
        try:
            self.opened.cut(max(self.size, length))
            self._scattered = False
            self._record(self._known)
        except OSError as error:
            raise self._failed(error) from error

    # --- the end ---------------------------------------------------------------------------

    def publish(self, name: str, *, overwrite: bool) -> Path:
        """Give the whole file its name in the folder, durably, and return its path.

        Raises:
            DestinationExists: a file of that name has appeared meanwhile.
            DestinationUnsafe: a symbolic link has appeared meanwhile.
            LocalFileError, StorageFull: the file system.
        """
        try:
            self.opened.sync()
            if self._unnamed and overwrite:
                self._give_name()
            if self._unnamed:
                self._appear(name)
            else:
                self._move(name, overwrite=overwrite)
                self._sidecar.remove()
            self._folder.published()
        except OSError as error:
            raise self._failed(error) from error
        self._source = None
        return self._folder.path / name

    def discard(self) -> None:
        """Remove the partial file and its sidecar."""
        self._unnamed, unnamed = False, self._unnamed
        self._source = None
        if self._contents is not None and not unnamed:
            self._folder.remove(self._part)
            self._sidecar.remove()
        self.close()

    def close(self) -> None:
        """Let go of the files; what is there stays for a later call, durably."""
        if self._contents is not None and self._source is not None:
            with contextlib.suppress(OSError):  # what cannot be kept is fetched again
                self._keep(self._source)
        if self._contents is not None:
            self._contents.close()
            self._contents = None

    # --- details ---------------------------------------------------------------------------

    def _taken(self, descriptor: int) -> Contents:
        self._contents = Contents(descriptor, lambda: self._folder.shown(self._part))
        return self._contents

    def _create_unnamed(self, size: int | None) -> bool:
        if size is None or size > _SMALL or not _has_unnamed_files():
            return False
        if self._folder.lstat(self._part) is not None:
            return False
        try:
            self._taken(self._folder.open_unnamed())
        except OSError:
            return False  # not on this file system; a real error shows with the named file
        self._unnamed = True
        return True

    @property
    def _known(self) -> Source:
        if self._source is None:
            raise LocalFileError(f"{self._folder.shown(self._part)} was not begun.")
        return self._source

    def _keep(self, source: Source) -> None:
        if self._unnamed:
            self._give_name()
        elif self._scattered or not source.validator or source.synced == self.size:
            return  # nobody goes on from it, or the record says it already
        self._vouch()

    def _vouch(self) -> None:
        """Note that the bytes are on the disk, once they are; raises OSError."""
        self.opened.sync()
        self._source = replace(self._known, synced=self.size)
        self._record(self._source, sync=True)

    def _give_name(self) -> None:
        """Make an unnamed file a partial one like others; raises OSError."""
        descriptor = self.opened.descriptor
        self._mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        os.fchmod(descriptor, 0o600)
        self._folder.name_unnamed(descriptor, self._part)
        self._unnamed = False

    def _appear(self, name: str) -> None:
        try:
            self._folder.name_unnamed(self.opened.descriptor, name)
        except FileExistsError:
            self.check_destination(name, overwrite=False)
            raise
        self._unnamed = False

    def _move(self, name: str, *, overwrite: bool) -> None:
        descriptor = self.opened.descriptor
        os.fchmod(descriptor, self._mode)
        ours, there = os.fstat(descriptor), self._folder.lstat(self._part)
        if there is None or (ours.st_ino, ours.st_dev) != (there.st_ino, there.st_dev):
            raise DestinationUnsafe(f"{self._folder.shown(self._part)} was replaced.")
        if overwrite:
            self.check_destination(name, overwrite=True)
        try:
            self._folder.rename(self._part, name, overwrite=overwrite)
        except FileExistsError:
            self.check_destination(name, overwrite=False)
            raise

    def _create(self) -> None:
        if self._folder.lstat(self._part) is None:
            self._sidecar.check()
        try:
            opened = self._open(os.O_CREAT | os.O_EXCL)
        except FileExistsError:
            if self._sidecar.read() is None and not self._folder.is_link(self._part):
                raise DestinationExists(
                    f"{self._folder.shown(self._part)} exists and is no partial download of ours.",
                    hint="Remove it, or choose another destination.",
                ) from None
            opened = self._open(0)
            self._mode = self._read_mode()
            self._empty(opened)
            os.fchmod(opened.descriptor, 0o600)
        else:
            # The empty file has the mode that the folder and the umask give to new files;
            # nobody else reads it before it is whole. It is never executable.
            self._mode = stat.S_IMODE(os.fstat(opened.descriptor).st_mode) & 0o666
            os.fchmod(opened.descriptor, 0o600)

    def _empty(self, contents: Contents) -> None:
        # After a power cut the old record must not vouch for bytes of the new content.
        record = None if self._unnamed else self._sidecar.read()
        if record is not None and record.synced:
            self._sidecar.write(replace(record, validator="", synced=0), sync=True)
            self._folder.sync()
        contents.cut(0)

    def _read_mode(self) -> int:
        record = self._sidecar.read()
        return 0o600 if record is None else record.mode

    def _open(self, flags: int) -> Contents:
        return self._taken(claim(self._folder, self._part, flags))

    def _record(self, source: Source, *, sync: bool = False) -> None:
        self._sidecar.write(replace(source, mode=self._mode), sync=sync)

    def _failed(self, error: OSError) -> LocalFileError:
        return local_error(error, self._folder.shown(self._part))


@cache
def _has_unnamed_files() -> bool:
    # A name is given through /proc; the other way (AT_EMPTY_PATH) needs a capability.
    return hasattr(os, "O_TMPFILE") and Path("/proc/self/fd").is_dir()
