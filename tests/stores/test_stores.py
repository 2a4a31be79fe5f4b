from __future__ import annotations

import contextlib
import errno
import os
import re
import resource
import secrets
import stat
from pathlib import Path

import pytest

from wharfinger.errors import DataFolderError, NotFound, StorageFull, Unavailable
from wharfinger.stores import LocalStore, MemoryStore
from wharfinger.testing import check_store

ID = "0123456789abcdef0123456789abcdef"


def put(store: LocalStore, content: bytes, file_id: str = ID) -> None:
    staging = store.stage()
    staging.write(content)
    staging.sync()
    store.publish(staging, file_id)


def test_the_local_store_keeps_the_contract(tmp_path: Path) -> None:
    check_store(lambda: LocalStore(tmp_path))


def test_the_memory_store_keeps_the_contract() -> None:
    store = MemoryStore()
    check_store(lambda: store)


def test_a_store_without_unnamed_files_keeps_the_contract(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_tmpfile(monkeypatch)
    check_store(lambda: LocalStore(tmp_path))
    assert list((tmp_path / "staging").iterdir()) == []


def without_tmpfile(monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open

    def fake(path: object, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            raise OSError(errno.EOPNOTSUPP, "Operation not supported")
        return real(path, flags, mode, dir_fd=dir_fd)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", fake)


def test_paths_are_made_of_hexadecimal_ids_and_nobody_else_may_read_them(tmp_path: Path) -> None:
    put(LocalStore(tmp_path), b"content")
    path = tmp_path / "files" / "012" / ID
    assert path.read_bytes() == b"content"
    assert re.fullmatch(r"[0-9a-f/]+", str(path.relative_to(tmp_path / "files")))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (path.parent, tmp_path / "files", tmp_path / "staging"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_an_unnamed_staging_file_is_gone_when_its_process_is(tmp_path: Path) -> None:
    staging = LocalStore(tmp_path).stage()
    staging.write(b"x" * 1000)
    assert list((tmp_path / "staging").iterdir()) == []
    staging.discard()


def test_a_full_disk_is_storage_full_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    staging = store.stage()

    def full(fd: int, data: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(StorageFull) as caught:
            staging.write(b"x")
    staging.discard()
    assert caught.value.http_status == 507
    put(store, b"the store goes on")


def test_room_that_is_not_there_is_refused_before_the_first_byte(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    free = store.free_space()
    assert free is not None
    with pytest.raises(StorageFull, match="do not fit"):
        store.stage(free + 1)


def test_who_only_announces_a_length_takes_no_room_from_others(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    staging = store.stage(100 * 1024 * 1024)
    staging.write(b"x")
    assert os.fstat(staging.fileno()).st_blocks * 512 < 1024 * 1024
    staging.discard()


def test_only_plain_files_of_the_store_are_opened_and_listed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    put(store, b"content")
    shard = tmp_path / "files" / "012"
    secret = tmp_path / "secret"
    secret.write_text("not yours")
    (shard / ("012" + "a" * 29)).symlink_to(secret)
    os.mkfifo(shard / ("012" + "b" * 29))
    (shard / ("012" + "c" * 29)).mkdir()
    (shard / ".nfs0001").write_text("stray")
    (tmp_path / "files" / "stray").write_text("stray")
    for letter in "abc":
        with pytest.raises(NotFound):
            store.open("012" + letter * 29)
    assert ID in {blob.id for blob in store.blobs()}
    assert all(re.fullmatch("[0-9a-f]{32}", blob.id) for blob in store.blobs())


def test_more_open_uploads_than_the_process_has_descriptors_for_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _kind: (256, 256))
    store = LocalStore(tmp_path)
    stagings = [store.stage() for _ in range(64)]
    with pytest.raises(Unavailable):
        store.stage()
    stagings.pop().discard()
    stagings.append(store.stage())
    for staging in stagings:
        staging.discard()


def test_without_a_descriptor_left_a_file_is_unavailable_and_not_a_fault(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    staging = store.stage()
    staging.sync()
    store.publish(staging, ID)
    taken = []
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, hard))
    try:
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        with pytest.raises(Unavailable, match="Too many files are open"):
            store.open(ID)
    finally:
        for descriptor in taken:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    store.open(ID).close()


def test_a_failed_sync_fails_the_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = LocalStore(tmp_path).stage()
    staging.write(b"x")

    def broken(fd: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", broken)
        with pytest.raises(OSError, match="Input/output"):
            staging.sync()
    staging.discard()


def test_the_order_is_data_synced_then_published_then_folders_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = LocalStore(tmp_path)
    calls: list[str] = []
    for name in ("fdatasync", "link", "fsync"):
        real = getattr(os, name)

        def spy(*args: object, _real: object = real, _name: str = name, **more: object) -> object:
            calls.append(_name)
            return _real(*args, **more)  # type: ignore[operator]

        monkeypatch.setattr(os, name, spy)
    put(store, b"content")
    # The first fsync is of the new shard's parent, the last one of the shard.
    assert calls == ["fdatasync", "fsync", "link", "fsync"]
    calls.clear()
    put(store, b"content", ID[:3] + "f" * 29)
    assert calls == ["fdatasync", "link", "fsync"]


def test_a_file_in_the_place_of_the_folder_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("in the way")
    with pytest.raises(DataFolderError) as caught:
        LocalStore(tmp_path / "data")
    assert caught.value.exit_code == 10


def test_the_memory_store_can_be_full() -> None:
    store = MemoryStore(capacity=10)
    with pytest.raises(StorageFull):
        store.stage(11)
    staging = store.stage()
    with pytest.raises(StorageFull):
        staging.write(b"x" * 11)


def test_leftovers_in_staging_are_removed_by_age(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    old, new = (tmp_path / "staging" / name for name in ("old.part", "new.part"))
    old.write_bytes(b"x")
    new.write_bytes(b"x")
    os.utime(old, (1000, 1000))
    assert store.clean_staging(2000) == 1
    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["new.part"]


def test_a_store_publishes_only_what_it_staged(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        LocalStore(tmp_path).publish(MemoryStore().stage(), ID)
    with pytest.raises(TypeError):
        MemoryStore().publish(LocalStore(tmp_path).stage(), ID)


def test_folders_are_made_and_synced_for_sixteen_neighbours_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, synced = LocalStore(tmp_path), []
    real = os.fsync

    def fsync(fd: int) -> None:
        synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        real(fd)

    monkeypatch.setattr(os, "fsync", fsync)
    for shard in ("ab0", "abf", "ab0", "ac0"):
        staging = store.stage()
        staging.write(b"content")
        staging.sync()
        store.publish(staging, shard + secrets.token_hex(15)[:29])
    assert synced == ["files", "ab0", "abf", "ab0", "files", "ac0"]
    assert len(list((tmp_path / "files").iterdir())) == 32
