"""For people who write a `Store` or a `Scanner`: the contract as a check, and fakes.

    from wharfinger.testing import check_store

    def test_my_store_keeps_the_contract(tmp_path):
        check_store(lambda: MyStore(tmp_path))

It needs no test framework: a broken promise is an AssertionError that says which.
"""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from wharfinger.errors import NotFound, Unavailable
from wharfinger.scanners import Clean, Infected, Verdict
from wharfinger.stores import Staging, Store
from wharfinger.units import MIB

__all__ = ["DownScanner", "WordScanner", "check_store"]


def check_store(make: Callable[[], Store]) -> None:
    """Check that a store keeps what the `Store` interface promises.

    Args:
        make: returns the store; called twice, the second time to look at what the first
            kept: open the same place, or return the same object if it lives in memory.

    Raises:
        AssertionError: a promise is broken; the text says which.
    """
    store = make()
    _check_publishing(store)
    _check_discarding(store)
    _check_deleting(store)
    _check_listing(store, make)
    _check_parts(store, make)


class WordScanner:
    """A scanner that finds one word of your choice."""

    def __init__(self, word: bytes) -> None:
        self.word = word

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        """Return Infected("word") if the file has the word in it."""
        content = file.read(size)
        return Infected("word") if self.word in content else Clean()


class DownScanner:
    """A scanner that is away."""

    def scan(self, file: BinaryIO, size: int) -> Verdict:  # noqa: ARG002 - it reads nothing
        """Raise Unavailable."""
        raise Unavailable("The scanner does not answer.")


def _staged(store: Store, content: bytes, length: int | None = None) -> Staging:
    staging = store.stage(length)
    staging.write(content)
    staging.sync()
    return staging


def _published(store: Store, content: bytes) -> str:
    file_id = secrets.token_hex(16)
    store.publish(_staged(store, content), file_id)
    return file_id


def _read(store: Store, file_id: str) -> bytes:
    with _promised("a published file can be opened"), store.open(file_id) as file:
        return file.read()


def _is_absent(store: Store, file_id: str) -> bool:
    with _promised("an absent file raises NotFound"):
        try:
            store.open(file_id).close()
        except NotFound:
            return True
    return False


def _promise(kept: bool, what: str) -> None:  # noqa: FBT001 - reads as a sentence
    if not kept:
        raise AssertionError(f"The store breaks a promise: {what}.")


@contextlib.contextmanager
def _promised(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise AssertionError(f"The store breaks a promise: {what} ({error!r}).") from error


def _check_publishing(store: Store) -> None:
    content = secrets.token_bytes(3 * MIB + 7)
    file_id = secrets.token_hex(16)
    staging = store.stage(len(content))
    for start in range(0, len(content), 1_000_000):
        staging.write(memoryview(content)[start : start + 1_000_000])
    _promise(staging.size == len(content), "size counts what was written")
    with staging.reader() as file:
        _promise(file.read() == content, "a reader sees what was staged")
    _promise(_is_absent(store, file_id), "staged bytes have no id yet")
    staging.sync()
    store.publish(staging, file_id)
    with _promised("discarding is harmless, twice and after publishing"):
        staging.discard()
    _promise(_read(store, file_id) == content, "a published file has exactly the staged bytes")
    with store.open(file_id) as file:
        file.seek(1_000_000)
        _promise(file.read(10) == content[1_000_000:1_000_010], "a file can be read from any place")
    other = _staged(store, b"other")
    try:
        store.publish(other, file_id)
    except OSError:
        other.discard()
    else:
        raise AssertionError("The store breaks a promise: publishing never replaces a file.")
    _promise(_read(store, file_id) == content, "a refused publish leaves the file as it was")
    empty = _published(store, b"")
    _promise(_read(store, empty) == b"", "an empty file is a file")
    short = secrets.token_hex(16)
    store.publish(_staged(store, b"short", length=2 * MIB), short)
    _promise(_read(store, short) == b"short", "reserved room is not content")


def _check_discarding(store: Store) -> None:
    before = {blob.id for blob in store.blobs()}
    staging = _staged(store, b"x" * 100)
    staging.discard()
    with _promised("discarding is harmless, twice and after publishing"):
        staging.discard()
    _promise({blob.id for blob in store.blobs()} == before, "a discarded staging leaves no file")
    store.clean_staging(time.time() + 60)
    _promise(store.clean_staging(time.time() + 60) == 0, "a cleaned staging area is clean")


def _check_deleting(store: Store) -> None:
    file_id = _published(store, b"to go")
    with store.open(file_id) as reader:
        _promise(store.delete(file_id), "delete tells that the file was there")
        _promise(reader.read() == b"to go", "who opened it before reads on")
    _promise(not store.delete(file_id), "delete tells that the file was not there")
    _promise(_is_absent(store, file_id), "a deleted file is absent")
    for hostile in ("../../etc/passwd", "", "/etc/passwd", "a" * 31, "A" * 32, "\0" * 32):
        _promise(_is_absent(store, hostile), f"{hostile!r} is no id")


def _check_parts(store: Store, make: Callable[[], Store]) -> None:
    upload_id = secrets.token_hex(16)
    part = store.begin_part(upload_id, 8)
    part.write_at(b"01234567", 0)
    part.write_at(b"9", 3)
    part.sync()
    _promise(_is_absent(store, upload_id), "a part is no file")
    _promise(upload_id in {blob.id for blob in store.parts()}, "parts are listed")
    _promise(not store.part_is_in_use(upload_id), "a part that nobody locked is not in use")
    with part.locked():
        _promise(make().part_is_in_use(upload_id), "a locked part is in use, seen from anywhere")
    _promise(not store.part_is_in_use(upload_id), "a lock ends")
    part.close()
    again = make().open_part(upload_id)
    again.cut(6)
    with again.reader() as file:
        _promise(file.read() == b"012945", "a part has what was written, up to its cut")
    file_id = secrets.token_hex(16)
    store.publish(again, file_id)
    again.discard()
    _promise(_read(store, file_id) == b"012945", "a part can be published")
    _promise(upload_id not in {blob.id for blob in store.parts()}, "a discarded part is gone")
    _promise(not store.delete_part(upload_id), "delete_part tells that there was nothing")
    try:
        store.open_part(upload_id)
    except NotFound:
        pass
    else:
        raise AssertionError("The store breaks a promise: an absent part raises NotFound.")
    store.begin_part(upload_id).close()
    _promise(store.delete_part(upload_id), "delete_part tells that there was something")
    _check_keeping(store, make)


def _check_keeping(store: Store, make: Callable[[], Store]) -> None:
    """Staged bytes whose checks take long outlive their process, unread by anybody."""
    file_id = secrets.token_hex(16)
    staging = _staged(store, b"to be checked")
    store.keep(staging, file_id)
    staging.discard()
    _promise(_is_absent(store, file_id), "what is kept for checks is no file")
    part = make().open_part(file_id)
    with part.reader() as file:
        _promise(file.read() == b"to be checked", "what is kept for checks can be read by them")
    store.publish(part, file_id)
    part.discard()
    _promise(_read(store, file_id) == b"to be checked", "what is kept can be published")
    _promise(not store.delete_part(file_id), "what was published is kept no more")


def _check_listing(store: Store, make: Callable[[], Store]) -> None:
    ids = {_published(store, bytes([number])) for number in range(5)}
    now = time.time()
    listed = {blob.id: blob.modified_at for blob in store.blobs()}
    _promise(ids <= listed.keys(), "every published file is listed")
    _promise(all(abs(now - listed[key]) < 3600 for key in ids), "it is known when they came")  # noqa: PLR2004
    again = {blob.id for blob in make().blobs()}
    _promise(listed.keys() <= again, "it has the same files when opened again")
    room = store.free_space()
    _promise(room is None or room > 0, "free_space is a number of bytes or None")
    store.check()
