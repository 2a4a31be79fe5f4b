"""Room is reserved for bytes that come, not for what is only announced; a failed sync is the end."""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
from collections.abc import Callable
from pathlib import Path

import pytest

from support.services import blobs_on_disk, make_wharf
from wharfinger.errors import StorageFull
from wharfinger.stores import LocalStore, local

MIB = 1024 * 1024


def blocks(fd: int) -> int:
    return os.fstat(fd).st_blocks * 512


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def reserves(folder: Path) -> bool:
    """Return whether this file system can reserve room at all."""
    fd = os.open(folder / "probe", os.O_CREAT | os.O_RDWR)
    try:
        return local._fallocate(fd, local._KEEP_SIZE, 0, MIB) == 0 and blocks(fd) >= MIB
    finally:
        os.close(fd)


@pytest.fixture
def reserving(tmp_path: Path) -> None:
    if not reserves(tmp_path):
        pytest.skip("this file system cannot reserve room")


@pytest.mark.usefixtures("reserving")
def test_an_announcement_alone_takes_no_room(store: LocalStore) -> None:
    staging = store.stage(64 * MIB)
    assert blocks(staging.fileno()) == 0
    part = store.begin_part("a" * 32, 64 * MIB)
    assert blocks(part.fileno()) == 0
    part.write_at(b"x", 0)
    assert blocks(part.fileno()) < MIB
    staging.discard()
    part.discard()


@pytest.mark.usefixtures("reserving")
def test_as_much_again_as_came_is_reserved_and_the_size_stays_true(store: LocalStore) -> None:
    staging = store.stage(64 * MIB)
    staging.write(bytes(10 * MIB))
    staging.write(b"x")
    assert 20 * MIB <= blocks(staging.fileno()) < 21 * MIB
    assert os.fstat(staging.fileno()).st_size == staging.size == 10 * MIB + 1
    staging.sync()
    assert blocks(staging.fileno()) < 11 * MIB  # given back: this is all there is
    file_id = secrets.token_hex(16)
    store.publish(staging, file_id)
    with store.open(file_id) as file:
        assert file.read() == bytes(10 * MIB) + b"x"


@pytest.mark.usefixtures("reserving")
def test_a_part_reserves_as_much_again_as_came_and_never_beyond_its_length(
    store: LocalStore,
) -> None:
    part = store.begin_part("a" * 32, 12 * MIB)
    for offset in range(0, 8 * MIB, MIB):
        part.write_at(bytes(MIB), offset)
    assert 12 * MIB <= blocks(part.fileno()) < 13 * MIB
    part.sync()
    assert blocks(part.fileno()) >= 12 * MIB
    part.cut(8 * MIB)
    assert blocks(part.fileno()) < 9 * MIB
    part.discard()


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_room_that_cannot_be_reserved_is_a_full_store(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(local, "_fallocate", failing(number))
    staging = store.stage(16 * MIB)
    staging.write(bytes(2 * MIB))
    with pytest.raises(StorageFull):
        staging.write(b"x")
    staging.discard()


@pytest.mark.parametrize("number", [errno.EOPNOTSUPP, errno.ENOSYS])
def test_where_nothing_can_be_reserved_bytes_are_written_all_the_same(
    store: LocalStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    monkeypatch.setattr(local, "_fallocate", failing(number))
    staging = store.stage(16 * MIB)
    staging.write(bytes(2 * MIB))
    staging.write(b"x")
    staging.sync()
    assert staging.size == 2 * MIB + 1
    staging.discard()


def failing(number: int) -> Callable[..., int]:
    def fallocate(*_: int) -> int:
        ctypes.set_errno(number)
        return -1

    return fallocate


def test_a_failed_sync_fails_the_upload_and_is_not_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def fdatasync(fd: int) -> None:
        calls.append(fd)
        raise OSError(errno.EIO, "a disk that lies")

    with make_wharf(tmp_path / "data") as wharf:
        wharf.receive([b"before"], collection="files")
        monkeypatch.setattr(os, "fdatasync", fdatasync)
        with pytest.raises(OSError, match="a disk that lies"):
            wharf.receive([b"content"], collection="files")
        assert len(calls) == 1
        upload = wharf.uploads.create("files", protocol="tus", owner="user:1")
        turn = wharf.uploads.take(upload.id)
        turn.write(b"content" * 4000)
        with pytest.raises(OSError, match="a disk that lies"):
            turn.keep()
        assert wharf.uploads.find(upload.id, None).offset == 0  # and nobody is told otherwise
        monkeypatch.undo()
        wharf.uploads.end(upload.id)
        wharf.receive([b"after"], collection="files")
        assert len(wharf.list_files()[0]) == len(blobs_on_disk(tmp_path / "data")) == 2
