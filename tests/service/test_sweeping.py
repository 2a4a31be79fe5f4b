"""The sweep: ends overdue uploads, removes what nobody owns, and never touches a live one."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Clock, blobs_on_disk, make_wharf
from wharfinger import Wharf
from wharfinger.catalog import replies
from wharfinger.catalog.replies import Reply
from wharfinger.errors import NotFound, UploadTakenOver
from wharfinger.stores import LocalStore

DAY = 86_400


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


def begin(wharf: Wharf, length: int | None = None) -> str:
    return wharf.uploads.create("files", protocol="tus", owner="user:1", length=length).id


def part(wharf: Wharf, upload_id: str) -> Path:
    return wharf.settings.data / "staging" / f"{upload_id}.upload"


def test_an_upload_that_nobody_goes_on_with_ends_after_a_day(wharf: Wharf, clock: Clock) -> None:
    upload_id = begin(wharf, 10)
    with wharf.uploads.take(upload_id) as turn:
        turn.write(b"123")
    clock.forward(DAY - 1)
    assert wharf.sweep().uploads == 0
    assert part(wharf, upload_id).exists()
    clock.forward(1)
    report = wharf.sweep()
    assert (report.uploads, report.parts, report.removed_bytes) == (1, 0, True)
    assert blobs_on_disk(wharf.settings.data) == []
    with pytest.raises(NotFound):
        wharf.uploads.take(upload_id)
    assert wharf.sweep().removed_bytes is False


def test_an_upload_that_moves_does_not_end_before_a_week(wharf: Wharf, clock: Clock) -> None:
    upload_id = begin(wharf)
    for _ in range(7):
        clock.forward(DAY - 1)
        assert wharf.sweep().uploads == 0
        with wharf.uploads.take(upload_id) as turn:
            turn.write(b"more")
    clock.forward(8)
    assert wharf.sweep().uploads == 1


def test_a_part_in_use_at_the_very_end_of_its_time_is_left_to_its_user(
    wharf: Wharf, clock: Clock, tmp_path: Path
) -> None:
    upload_id = begin(wharf, 3)
    clock.forward(DAY)
    inside, leave = threading.Event(), threading.Event()

    def hold() -> None:
        held = LocalStore(tmp_path / "data").open_part(upload_id)  # as another process would
        with held.locked():
            inside.set()
            leave.wait(10)
        held.close()

    thread = threading.Thread(target=hold)
    thread.start()
    assert inside.wait(10)
    assert wharf.sweep().uploads == 0
    assert part(wharf, upload_id).exists()
    leave.set()
    thread.join()
    assert wharf.sweep().uploads == 1


def test_who_had_begun_to_write_before_the_end_keeps_nothing_after_it(
    wharf: Wharf, clock: Clock
) -> None:
    upload_id = begin(wharf, 10)
    turn = wharf.uploads.take(upload_id)
    clock.forward(DAY)
    with make_wharf(wharf.settings.data, clock=clock) as janitor:
        assert janitor.sweep().uploads == 1
    with pytest.raises(UploadTakenOver):
        turn.write(b"late")
    turn.close()
    assert blobs_on_disk(wharf.settings.data) == []


def test_a_process_lets_go_of_staged_files_it_has_not_used_for_a_while(
    wharf: Wharf, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = begin(wharf, 3)
    monkeypatch.setattr("wharfinger.service.uploads._AT_HAND_SECONDS", -1)
    assert is_held_open(upload_id)
    wharf.uploads.tidy()
    assert not is_held_open(upload_id)
    with wharf.uploads.take(upload_id) as turn:  # and goes on all the same
        turn.write(b"abc")
        assert turn.complete().size == 3


def is_held_open(upload_id: str) -> bool:
    fds = [fd for fd in Path("/proc/self/fd").iterdir() if os.path.lexists(fd)]
    return any(upload_id in str(fd.readlink()) for fd in fds)


def test_a_part_without_a_record_goes_after_an_hour(wharf: Wharf, clock: Clock) -> None:
    kept, lost = begin(wharf), "0" * 32
    for upload_id, age in ((kept, 7200), (lost, 3599)):
        path = part(wharf, upload_id)
        path.touch()
        at = clock.time.timestamp() - age
        os.utime(path, (at, at))
    assert wharf.sweep().parts == 0
    at = clock.time.timestamp() - 3601
    os.utime(part(wharf, lost), (at, at))
    assert wharf.sweep().parts == 1
    assert part(wharf, kept).exists()


def test_many_overdue_uploads_are_all_ended(
    wharf: Wharf, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.service.sweeping._BATCH", 3)
    for _ in range(10):
        begin(wharf)
    clock.forward(DAY)
    assert wharf.sweep().uploads == 10


def test_the_record_of_a_finished_upload_is_forgotten_and_its_file_stays(
    wharf: Wharf, clock: Clock
) -> None:
    upload_id = begin(wharf, 3)
    with wharf.uploads.take(upload_id) as turn:
        turn.write(b"abc")
        stored = turn.complete()
    clock.forward(2 * DAY)
    report = wharf.sweep()
    assert (report.uploads, report.removed_bytes) == (0, False)  # it was no open one
    with wharf.open_file(stored.id) as file:
        assert file.read() == b"abc"


def test_several_sweeps_at_once_end_each_upload_once(wharf: Wharf, clock: Clock) -> None:
    for _ in range(20):
        begin(wharf)
    clock.forward(DAY)
    reports = []
    with make_wharf(wharf.settings.data, clock=clock) as other:
        threads = [
            threading.Thread(target=lambda one=one: reports.append(one.sweep()))
            for one in (wharf, other, wharf, other)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sum(report.uploads for report in reports) == 20


def test_stored_answers_are_forgotten_after_a_day(wharf: Wharf, clock: Clock) -> None:
    catalog = wharf._open().catalog
    reply = Reply(key="k", request="r", runner="1")
    catalog.write(lambda connection: replies.claim(connection, reply, clock.time))
    clock.forward(DAY)
    assert wharf.sweep().replies == 0
    clock.forward(1)
    assert wharf.sweep().replies == 1
