"""Small pieces of an upload that survive a power cut in its record, and not yet in its part."""

from __future__ import annotations

import os
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from support.services import Clock, make_wharf
from wharfinger import Wharf
from wharfinger.catalog import Catalog, Upload, UploadState
from wharfinger.catalog import uploads as statements
from wharfinger.errors import UploadTakenOver
from wharfinger.protocol.tus_server import PARTIAL
from wharfinger.service import at_hand

PIECE = b"0123456789abcdef" * 64  # 1 KiB


def create(wharf: Wharf, length: int | None = None, concat: str | None = None) -> Upload:
    return wharf.uploads.create(
        "files", protocol="tus", owner="user:1", length=length, concat=concat
    )


def put(wharf: Wharf, upload: Upload, data: bytes) -> Upload:
    with wharf.uploads.take(upload.id) as turn:
        turn.write(data)
        return turn.keep()


def part_of(data: Path, upload: Upload) -> Path:
    return data / "staging" / f"{upload.id}.upload"


def tail_of(wharf: Wharf, upload: Upload) -> tuple[int, bytes] | None:
    return wharf._open().catalog.read(lambda connection: statements.tail(connection, upload.id))


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was synced by `fdatasync`, in order."""
    names: list[str] = []
    real = os.fdatasync

    def fdatasync(fd: int) -> None:
        names.append(Path(f"/proc/self/fd/{fd}").readlink().name)
        real(fd)

    monkeypatch.setattr(os, "fdatasync", fdatasync)
    return names


def test_a_small_piece_is_kept_without_a_sync_of_its_own(tmp_path: Path, synced: list[str]) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        upload = create(wharf)
        assert put(wharf, upload, PIECE).offset == 1024
        assert put(wharf, upload, b"more").offset == 1028
        assert tail_of(wharf, upload) == (1028, PIECE + b"more")
        assert synced == []


def test_a_full_tail_is_synced_and_begins_anew(tmp_path: Path, synced: list[str]) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        upload = create(wharf)
        for number in range(16):
            put(wharf, upload, PIECE)
            assert tail_of(wharf, upload) == (1024 * (number + 1), PIECE * (number + 1))
        assert put(wharf, upload, PIECE).offset == 17 * 1024
        assert synced == [f"{upload.id}.upload"]
        assert tail_of(wharf, upload) is None
        put(wharf, upload, b"18")
        assert tail_of(wharf, upload) == (17 * 1024 + 2, b"18")
        assert len(synced) == 1


def test_a_large_piece_is_synced_with_the_tail_before_it(tmp_path: Path, synced: list[str]) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        upload = create(wharf)
        put(wharf, upload, PIECE)
        put(wharf, upload, PIECE * 17)
        assert synced == [f"{upload.id}.upload"]
        assert tail_of(wharf, upload) is None


@pytest.mark.parametrize("left", [0, 20 * 1024, 20 * 1024 + 500], ids=["all", "the tail", "a bit"])
def test_what_a_power_cut_took_from_the_part_is_put_back(tmp_path: Path, left: int) -> None:
    """The part had 20 KiB synced, and 1,500 bytes that were only in memory and in the record."""
    data = tmp_path / "data"
    with make_wharf(data) as wharf:
        upload = create(wharf, 20 * 1024 + 1504)
        put(wharf, upload, PIECE * 20)
        put(wharf, upload, b"t" * 1500)
    if left == 0:  # what was never there before is zeros after a crash on some file systems
        with part_of(data, upload).open("r+b") as part:
            part.seek(20 * 1024)
            part.write(bytes(1500))
    else:
        os.truncate(part_of(data, upload), left)
    with make_wharf(data) as wharf:
        with wharf.uploads.take(upload.id) as turn:
            assert turn.offset == 20 * 1024 + 1500
            turn.write(b"end.")
            stored = turn.complete()
        with wharf.open_file(stored.id) as file:
            assert file.read() == PIECE * 20 + b"t" * 1500 + b"end."


def test_parts_of_a_concatenation_are_put_back_too(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with make_wharf(data) as wharf:
        parts = [create(wharf, 4, PARTIAL), create(wharf, 4, PARTIAL)]
        put(wharf, parts[0], b"one,")
        put(wharf, parts[1], b"two.")
    for part in parts:
        os.truncate(part_of(data, part), 0)
    with make_wharf(data) as wharf:
        whole = [wharf.uploads.find(part.id, None) for part in parts]
        final = create(wharf, 8, f"final;{parts[0].id} {parts[1].id}")
        stored = wharf.uploads.join(final.id, whole)
        with wharf.open_file(stored.id) as file:
            assert file.read() == b"one,two."


def test_the_part_is_synced_before_it_becomes_a_file_and_the_record_forgets_the_tail(
    tmp_path: Path, synced: list[str]
) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        upload = create(wharf, 4)
        with wharf.uploads.take(upload.id) as turn:
            turn.write(b"text")
            turn.keep()
            assert synced == []
            turn.complete()
        assert synced == [f"{upload.id}.upload"]
        assert tail_of(wharf, upload) is None
        assert wharf.uploads.find(upload.id, None).state is UploadState.COMPLETE


def test_who_takes_over_syncs_once_and_goes_on_with_a_new_tail(
    tmp_path: Path, synced: list[str]
) -> None:
    data = tmp_path / "data"
    with make_wharf(data) as one, make_wharf(data) as other:
        upload = create(one)
        put(one, upload, b"one")
        put(other, upload, b"two")
        assert synced == [f"{upload.id}.upload"]
        put(other, upload, b"three")
        assert len(synced) == 1
        assert tail_of(one, upload) == (11, b"three")
        assert part_of(data, upload).read_bytes() == b"onetwothree"


def test_bytes_that_a_checksum_took_back_are_not_in_the_tail(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        upload = create(wharf)
        put(wharf, upload, b"good")
        with wharf.uploads.take(upload.id) as turn:
            turn.tentatively()
            turn.write(b"bad")
            turn.forget()
        assert put(wharf, upload, b"!").offset == 5
        assert tail_of(wharf, upload) == (5, b"good!")


def test_a_newer_request_waits_for_a_commit_under_way_and_goes_on_behind_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = Catalog.submit
    release = threading.Event()

    def slow(catalog: Catalog, function: Any, *, revokes: bool = False) -> Future[Any]:
        def later(connection: Any) -> Any:
            assert release.wait(10)
            return function(connection)

        return real(catalog, later, revokes=revokes)

    with make_wharf(tmp_path / "data") as wharf:
        upload = create(wharf)
        turn = wharf.uploads.take(upload.id)
        turn.write(b"first")
        monkeypatch.setattr(Catalog, "submit", slow)
        commit = turn.keep_soon()
        monkeypatch.undo()
        assert not commit.done.done()
        with pytest.raises(UploadTakenOver):
            turn.write(b"too late")
        offsets: list[int] = []
        newer = threading.Thread(target=lambda: offsets.append(put(wharf, upload, b"+").offset))
        newer.start()
        release.set()
        newer.join(10)
        assert offsets == [6]
        assert commit.result().offset == 5
        assert tail_of(wharf, upload) == (6, b"first+")


def test_a_commit_that_another_process_overtook_is_told_to_who_waits_for_it(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with make_wharf(data) as one, make_wharf(data) as other:
        upload = create(one)
        turn = one.uploads.take(upload.id)
        turn.write(b"late")
        assert put(other, upload, b"newer").offset == 5
        with pytest.raises(UploadTakenOver):
            turn.keep_soon().result()
        assert one.uploads.find(upload.id, None).offset == 5


def test_the_end_of_an_upload_moves_in_steps_of_a_minute(tmp_path: Path) -> None:
    clock = Clock()
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        upload = create(wharf)
        clock.forward(59)
        assert put(wharf, upload, b"1").expires_at == upload.expires_at
        clock.forward(1)
        moved = put(wharf, upload, b"2").expires_at
        assert (moved - upload.expires_at).total_seconds() == 60
        assert wharf.uploads.find(upload.id, None).expires_at == moved
        assert at_hand.LONGEST_TAIL == 16 * 1024
