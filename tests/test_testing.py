"""`check_store` finds the mistakes that people make in stores of their own."""

# ruff: noqa: ARG002 - a store that is broken on purpose ignores what it is told
from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from wharfinger.errors import NotFound, Unavailable
from wharfinger.scanners import Clean, Infected
from wharfinger.stores import Blob, LocalStore, MemoryStore, Staging, Store
from wharfinger.stores.base import Buffer
from wharfinger.stores.memory import MemoryStaging
from wharfinger.testing import DownScanner, WordScanner, check_store

# --- stores with one mistake each ---------------------------------------------------------


class Replacing(MemoryStore):
    """Publishing under a taken id replaces the file."""

    def publish(self, staging: Staging, file_id: str) -> None:
        self.delete(file_id)
        super().publish(staging, file_id)


class ReplacingThenRefusing(MemoryStore):
    """It says no, and has replaced the file already."""

    def publish(self, staging: Staging, file_id: str) -> None:
        taken = self.delete(file_id)
        super().publish(staging, file_id)
        if taken:
            raise FileExistsError(file_id)


class Early(MemoryStore):
    """What is staged can be read by the id it will have (here: by any)."""

    def open(self, file_id: str) -> BinaryIO:
        try:
            return super().open(file_id)
        except NotFound:
            return io.BytesIO()


class ForgetfulStaging(MemoryStaging):
    """Counts bytes and loses every write but the first."""

    def __init__(self) -> None:
        super().__init__(None)
        self.counted = 0

    @property
    def size(self) -> int:
        return self.counted

    def write(self, data: Buffer) -> None:
        if not self.counted:
            super().write(data)
        self.counted += len(data)


class Forgetful(MemoryStore):
    def stage(self, length: int | None = None) -> MemoryStaging:
        return ForgetfulStaging()


class Miscounting(MemoryStore):
    """The size of a staging is that of its last write."""

    class Staging(MemoryStaging):
        last = 0

        @property
        def size(self) -> int:
            return self.last

        def write(self, data: Buffer) -> None:
            super().write(data)
            self.last = len(data)

    def stage(self, length: int | None = None) -> MemoryStaging:
        return self.Staging(None)


class Padding(MemoryStore):
    """Reserved room becomes content."""

    class Staging(MemoryStaging):
        reserved = 0

        def content(self) -> bytes:
            return super().content().ljust(self.reserved, b"\0")

    def stage(self, length: int | None = None) -> MemoryStaging:
        staging = self.Staging(None)
        staging.reserved = length or 0
        return staging


class NoEmptyFiles(MemoryStore):
    """An empty file is taken for none."""

    def open(self, file_id: str) -> BinaryIO:
        file = super().open(file_id)
        if not file.read(1):
            raise NotFound
        file.seek(0)
        return file


class Undeletable(MemoryStore):
    """Deleting is reported and not done."""

    def delete(self, file_id: str) -> bool:
        return file_id in self._files


class SilentlyDeleting(MemoryStore):
    """Deleting never tells whether there was something."""

    def delete(self, file_id: str) -> bool:
        super().delete(file_id)
        return True


class Unlisted(MemoryStore):
    """Lists nothing: a sweep would never find an orphan."""

    def blobs(self) -> Iterator[Blob]:
        yield from ()


class Timeless(MemoryStore):
    """Every file looks as old as time: a sweep would take what is being published."""

    def blobs(self) -> Iterator[Blob]:
        return (Blob(blob.id, 0.0) for blob in super().blobs())


class PartsUnlisted(MemoryStore):
    """Lists no parts: a sweep would never find what is left of an upload."""

    def parts(self) -> Iterator[Blob]:
        yield from ()


class PartsFree(MemoryStore):
    """A part never seems to be in use: a sweep would take it from its user."""

    def part_is_in_use(self, upload_id: str) -> bool:
        return False


class PartsStay(MemoryStore):
    """Giving up what was received of an upload gives nothing up."""

    def delete_part(self, upload_id: str) -> bool:
        return False


class Full(MemoryStore):
    """It always says that there is no room, and takes everything."""

    def stage(self, length: int | None = None) -> MemoryStaging:
        return MemoryStaging(None)

    def free_space(self) -> int | None:
        return 0


class WrongError(MemoryStore):
    """An absent file is a KeyError of its own."""

    def open(self, file_id: str) -> BinaryIO:
        return io.BytesIO(self._files[file_id][0])


class Unseekable(MemoryStore):
    """Files can only be read from their beginning."""

    class File(io.BytesIO):
        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

    def open(self, file_id: str) -> BinaryIO:
        return self.File(super().open(file_id).read())


class DiscardOnce(MemoryStore):
    """Giving up twice is an error."""

    class Staging(MemoryStaging):
        given_up = False

        def discard(self) -> None:
            if self.given_up:
                raise RuntimeError("discarded twice")
            self.given_up = True

    def stage(self, length: int | None = None) -> MemoryStaging:
        return self.Staging(None)


class PublishingOnDiscard(MemoryStore):
    """What was given up is published after all."""

    def stage(self, length: int | None = None) -> MemoryStaging:
        store = self

        class Staging(MemoryStaging):
            def discard(self) -> None:
                if self.size == 100:
                    store._files["d" * 32] = (self.content(), 0)
                super().discard()

        return Staging(None)


BROKEN: dict[type[Store], str] = {
    Replacing: "publishing never replaces a file",
    ReplacingThenRefusing: "a refused publish leaves the file as it was",
    Early: "staged bytes have no id yet",
    Forgetful: "a reader sees what was staged",
    Miscounting: "size counts what was written",
    Padding: "reserved room is not content",
    Undeletable: "delete tells that the file was not there",
    SilentlyDeleting: "delete tells that the file was not there",
    Unlisted: "every published file is listed",
    Timeless: "it is known when they came",
    PartsUnlisted: "parts are listed",
    PartsFree: "a locked part is in use, seen from anywhere",
    PartsStay: "delete_part tells that there was something",
    Full: "free_space is a number of bytes or None",
    Unseekable: "a file can be read from any place",
    PublishingOnDiscard: "a discarded staging leaves no file",
    NoEmptyFiles: "a published file can be opened",
    WrongError: "an absent file raises NotFound",
    DiscardOnce: "discarding is harmless, twice and after publishing",
}


@pytest.mark.parametrize(
    ("broken", "promise"), BROKEN.items(), ids=[kind.__name__ for kind in BROKEN]
)
def test_a_broken_store_is_found_and_the_promise_is_named(
    broken: Callable[[], Store], promise: str
) -> None:
    store = broken()
    with pytest.raises(AssertionError, match=f"breaks a promise: {promise}"):
        check_store(lambda: store)


# --- stores on a disk with one mistake each -----------------------------------------------


class PathsFromOutside(LocalStore):
    """An id is joined to a path as it comes."""

    def open(self, file_id: str) -> BinaryIO:
        path = self.root / "files" / file_id[:3] / file_id
        if not path.is_file():
            raise NotFound
        return path.open("rb", buffering=0)


class NeverClean(LocalStore):
    """There is always one more leftover in its staging."""

    def clean_staging(self, older_than: float) -> int:
        return 1


def test_a_store_whose_staging_never_gets_clean_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="a cleaned staging area is clean"):
        check_store(lambda: NeverClean(tmp_path))


def test_an_id_that_is_a_path_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="is no id"):
        check_store(lambda: PathsFromOutside(tmp_path))


def test_a_store_that_loses_files_when_it_is_opened_again_is_found(tmp_path: Path) -> None:
    opened: list[Store] = []

    def make() -> Store:
        if opened:  # one file is missing
            next(path for path in (tmp_path / "files").rglob("*") if path.is_file()).unlink()
        opened.append(LocalStore(tmp_path))
        return opened[-1]

    with pytest.raises(AssertionError, match="the same files when opened again"):
        check_store(make)


# --- honest ones --------------------------------------------------------------------------


def test_the_stores_of_the_house_keep_every_promise(tmp_path: Path) -> None:
    check_store(lambda: LocalStore(tmp_path))
    memory = MemoryStore()
    check_store(lambda: memory)


def test_a_store_that_is_empty_when_it_is_opened_again_is_found() -> None:
    with pytest.raises(AssertionError, match="the same files when opened again"):
        check_store(MemoryStore)


def test_the_fakes_of_scanners_say_what_they_are_for() -> None:
    scanner = WordScanner(b"gotcha")
    assert scanner.scan(io.BytesIO(b"all well"), 8) == Clean()
    assert scanner.scan(io.BytesIO(b"a gotcha here"), 13) == Infected("word")
    with pytest.raises(Unavailable):
        DownScanner().scan(io.BytesIO(b"x"), 1)
