"""Files that wait for their checks: who waits how long, and what becomes of them."""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import BinaryIO

import pytest

from support.services import Clock, blobs_on_disk, make_wharf
from support.waiting import soon
from wharfinger import Collection, Policy, Wharf
from wharfinger.errors import (
    Infected,
    NotFound,
    NotReady,
    TooLarge,
    Unavailable,
    Unscannable,
    UploadOver,
    UsageError,
)
from wharfinger.scanners import Clean, Verdict
from wharfinger.scanners import Infected as Found
from wharfinger.scanners import Unscannable as Unread
from wharfinger.service import FileState
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.testing import DownScanner, WordScanner

AT_ONCE = CheckingSettings(wait=0)
ELSEWHERE = CheckingSettings(workers=0, wait=0)
OWNER = "user:1"


class Patient:
    """A scanner that answers when it may."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.may = threading.Event()
        self.asked = 0

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        self.asked += 1
        assert self.may.wait(20)
        assert len(file.read()) == size
        return self.verdict


class Says:
    """A scanner that says one thing."""

    def __init__(self, verdict: Verdict | Exception) -> None:
        self.verdict = verdict

    def scan(self, file: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        if isinstance(self.verdict, Exception):
            raise self.verdict
        return self.verdict


def state_of(wharf: Wharf, file_id: str) -> FileState:
    return wharf.info(file_id).state


def settled(wharf: Wharf, file_id: str, state: FileState) -> Callable[[], bool]:
    return lambda: state_of(wharf, file_id) is state


def told(wharf: Wharf) -> list[str]:
    return [event.type for event in wharf.events.since()]


def tus(wharf: Wharf, content: bytes) -> str:
    """Send a whole upload and complete it; return its id."""
    upload = wharf.uploads.create("files", protocol="tus", owner=OWNER, length=len(content))
    with wharf.uploads.take(upload.id) as turn:
        turn.write(content)
        turn.complete()
    return upload.id


def test_a_check_that_takes_long_leaves_the_file_unread_until_it_has_passed(tmp_path: Path) -> None:
    scanner = Patient(Clean())
    with make_wharf(tmp_path, scanner=scanner, checking=AT_ONCE) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        assert stored.state is FileState.CHECKING
        for reading in (wharf.open_file, wharf.share):
            with pytest.raises(NotReady):
                reading(stored.id)
        (kept,) = blobs_on_disk(tmp_path)
        assert kept.parent.name == "staging"
        scanner.may.set()
        assert soon(settled(wharf, stored.id, FileState.READY))
        with wharf.open_file(stored.id) as file:
            assert file.read() == b"content"
        assert soon(lambda: [path.name for path in blobs_on_disk(tmp_path)] == [stored.id])
        assert told(wharf) == ["file.received", "file.ready"]
        assert wharf.checking.counts() == (0, 0)


def test_what_is_found_later_withdraws_the_file_and_its_upload(tmp_path: Path) -> None:
    scanner = Patient(Found("Bad"))
    with make_wharf(tmp_path, scanner=scanner, checking=AT_ONCE) as wharf:
        upload_id = tus(wharf, b"content")
        file_id = wharf.uploads.find(upload_id, None).file_id
        assert file_id is not None
        scanner.may.set()
        assert soon(settled(wharf, file_id, FileState.REFUSED))
        problem = wharf.info(file_id).problem
        assert problem is not None
        assert (problem["code"], problem["detail"]) == ("infected", "The scanner found 'Bad'.")
        assert wharf.uploads.find(upload_id, None).state == "refused"
        with pytest.raises(UploadOver):
            wharf.uploads.take(upload_id)
        with pytest.raises(Infected, match="The scanner found 'Bad'"):
            wharf.open_file(file_id)
        assert soon(lambda: blobs_on_disk(tmp_path) == [])
        assert told(wharf) == ["file.received", "file.refused"]


def test_a_refused_file_gives_its_room_back_once(tmp_path: Path) -> None:
    scanner = Patient(Found("Bad"))
    with make_wharf(tmp_path, scanner=scanner, checking=AT_ONCE) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt", owner=OWNER)
        scanner.may.set()
        assert soon(settled(wharf, stored.id, FileState.REFUSED))
        assert usage(tmp_path) == {("collection", "files", 0, 0), ("owner", "files/user:1", 0, 0)}
        wharf.remove(stored.id)
        assert usage(tmp_path) == {("collection", "files", 0, 0), ("owner", "files/user:1", 0, 0)}


def usage(folder: Path) -> set[tuple[str, str, int, int]]:
    with closing(sqlite3.connect(folder / "catalog.sqlite3")) as database:
        return set(database.execute("SELECT kind, name, files, bytes FROM usage"))


def test_while_the_scanner_is_away_files_are_held_and_asked_about_again(tmp_path: Path) -> None:
    with make_wharf(tmp_path, scanner=DownScanner()) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        assert stored.state is FileState.HELD
        assert told(wharf) == ["file.received", "file.held"]
    clock = Clock()
    with make_wharf(tmp_path, scanner=DownScanner(), clock=at(stored.created_at, clock)) as wharf:
        clock.forward(60)
        assert wharf.checking.run() == 1
        assert state_of(wharf, stored.id) is FileState.HELD
    with make_wharf(tmp_path, scanner=WordScanner(b"evil"), clock=clock) as wharf:
        clock.forward(600)
        assert wharf.checking.run() == 1
        assert state_of(wharf, stored.id) is FileState.READY
        assert told(wharf) == ["file.received", "file.held", "file.ready"]


def at(moment: object, clock: Clock) -> Clock:
    assert isinstance(moment, type(clock.time))
    clock.time = moment
    return clock


def test_while_the_scanner_is_away_files_can_be_refused_instead(tmp_path: Path) -> None:
    scan = ScanSettings(when_down="refuse")
    with make_wharf(tmp_path, scanner=DownScanner(), scan=scan) as wharf:
        with pytest.raises(Unavailable):
            wharf.receive([b"content"], collection="files", name="a.txt")
        assert blobs_on_disk(tmp_path) == []


def test_what_cannot_be_scanned_is_refused_or_held_as_is_said(tmp_path: Path) -> None:
    scanner = Says(Unread("encrypted"))
    with make_wharf(tmp_path / "a", scanner=scanner) as wharf:
        with pytest.raises(Unscannable, match="encrypted"):
            wharf.receive([b"content"], collection="files", name="a.txt")
        assert blobs_on_disk(tmp_path / "a") == []
    hold = ScanSettings(when_unscannable="hold")
    with make_wharf(tmp_path / "b", scanner=scanner, scan=hold) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        assert stored.state is FileState.HELD
        assert wharf.checking.counts() == (0, 0)  # a person decides, nobody asks again


def test_a_held_file_is_released_for_a_reason_that_is_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hold = ScanSettings(when_unscannable="hold")
    with make_wharf(tmp_path, scanner=Says(Unread("encrypted")), scan=hold) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        with pytest.raises(UsageError):
            wharf.release(stored.id, reason=" ", by="ann")
        with caplog.at_level(logging.WARNING, logger="wharfinger"):
            released = wharf.release(stored.id, reason="ours, by phone", by="ann")
        assert f"file {stored.id} was released by ann: ours, by phone" in caplog.text
        assert released.state is FileState.READY
        with wharf.open_file(stored.id) as file:
            assert file.read() == b"content"
        event = wharf.events.since()[2]
        assert event.type == "file.released"
        assert event.problem == {"code": "released", "detail": "ours, by phone", "by": "ann"}
        with pytest.raises(NotReady):
            wharf.release(stored.id, reason="again", by="ann")
        assert [path.name for path in blobs_on_disk(tmp_path)] == [stored.id]


def test_a_held_file_can_be_removed_and_expires(tmp_path: Path) -> None:
    clock = Clock()
    hold = ScanSettings(when_unscannable="hold")
    with make_wharf(tmp_path, scanner=Says(Unread("x")), scan=hold, clock=clock) as wharf:
        removed = wharf.receive([b"one"], collection="files", name="a.txt")
        wharf.receive([b"two"], collection="brief", name="b.txt")
        wharf.remove(removed.id)
        with pytest.raises(NotFound):
            wharf.release(removed.id, reason="late", by="ann")
        clock.forward(61)
        assert wharf.sweep().expired == 1
        assert blobs_on_disk(tmp_path) == []


def test_a_sweep_leaves_what_waits_for_its_check(tmp_path: Path) -> None:
    clock = Clock()
    with make_wharf(tmp_path, scanner=DownScanner(), clock=clock) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
    for path in blobs_on_disk(tmp_path):
        os.utime(path, (0, 0))
    with make_wharf(tmp_path, scanner=Says(Clean()), clock=clock) as wharf:
        clock.forward(timedelta(days=2).total_seconds())
        assert wharf.sweep().parts == 0
        wharf.checking.run()
        assert state_of(wharf, stored.id) is FileState.READY


def test_a_check_that_always_fails_is_given_up_and_told(tmp_path: Path) -> None:
    clock = Clock()
    scanner = Says(Clean())
    with make_wharf(tmp_path, scanner=scanner, checking=ELSEWHERE, clock=clock) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        assert stored.state is FileState.CHECKING
        scanner.verdict = RuntimeError("broken")
        for _ in range(5):
            assert wharf.checking.run() == 1
            clock.forward(400)
        assert wharf.checking.run() == 0
        assert state_of(wharf, stored.id) is FileState.FAILED
        assert wharf.checking.counts() == (0, 1)
        assert told(wharf)[-1] == "file.failed"
        scanner.verdict = Clean()
        assert wharf.checking.rescan() == 1
        assert wharf.checking.run() == 1
        assert state_of(wharf, stored.id) is FileState.READY
        assert wharf.checking.counts() == (0, 0)


def test_workers_elsewhere_do_what_this_process_does_not(tmp_path: Path) -> None:
    scanner = WordScanner(b"evil")
    with make_wharf(tmp_path, scanner=scanner, checking=ELSEWHERE) as wharf:
        good = wharf.receive([b"good"], collection="files", name="a.txt")
        evil = wharf.receive([b"evil"], collection="files", name="b.txt")
        assert (good.state, evil.state) == (FileState.CHECKING, FileState.CHECKING)
        with make_wharf(tmp_path, scanner=scanner) as worker:
            assert worker.checking.run() == 2
        assert state_of(wharf, good.id) is FileState.READY
        assert state_of(wharf, evil.id) is FileState.REFUSED


def test_who_waits_for_a_worker_elsewhere_gets_its_verdict(tmp_path: Path) -> None:
    scanner = WordScanner(b"evil")
    waiting = CheckingSettings(workers=0, wait=10)
    stop = threading.Event()
    with (
        make_wharf(tmp_path, scanner=scanner, checking=waiting) as wharf,
        make_wharf(tmp_path, scanner=scanner) as worker,
    ):
        thread = threading.Thread(target=lambda: working(worker, stop))
        thread.start()
        try:
            good = wharf.receive([b"good"], collection="files", name="a.txt")
            assert good.state is FileState.READY
            with pytest.raises(Infected):
                wharf.receive([b"evil"], collection="files", name="b.txt")
        finally:
            stop.set()
            thread.join()


def working(worker: Wharf, stop: threading.Event) -> None:
    while not stop.wait(0.05):
        worker.checking.run()


def test_each_job_is_done_once_however_many_work(tmp_path: Path) -> None:
    counted = Counting()
    with make_wharf(tmp_path, scanner=counted, checking=ELSEWHERE) as wharf:
        files = [wharf.receive([b"x"], collection="files", name="a.txt") for _ in range(20)]
        threads = [threading.Thread(target=wharf.checking.run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counted.asked == 20
        assert {state_of(wharf, stored.id) for stored in files} == {FileState.READY}


class Counting:
    """A scanner that counts how often it is asked."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.asked = 0

    def scan(self, file: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        with self._lock:
            self.asked += 1
        return Clean()


def test_new_signatures_withdraw_a_ready_file_and_its_links_at_once(tmp_path: Path) -> None:
    with make_wharf(tmp_path, scanner=Says(Clean())) as wharf:
        stored = wharf.receive([b"evil"], collection="files", name="a.txt")
        other = wharf.receive([b"good"], collection="files", name="b.txt")
        link = wharf.share(stored.id)
    with make_wharf(tmp_path, scanner=WordScanner(b"evil")) as wharf:
        before = wharf.epoch
        assert wharf.checking.rescan() == 2
        assert wharf.checking.run() == 2
        assert wharf.epoch != before  # whoever remembers the file asks again
        assert state_of(wharf, stored.id) is FileState.REFUSED
        assert state_of(wharf, other.id) is FileState.READY
        with pytest.raises(NotFound):
            wharf.links.redeem(link.url.rpartition("/")[2])
        assert [path.name for path in blobs_on_disk(tmp_path)] == [other.id]


def test_a_ready_file_stays_while_the_scanner_is_away(tmp_path: Path) -> None:
    clock = Clock()
    with make_wharf(tmp_path, scanner=Says(Clean()), clock=clock) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
    with make_wharf(tmp_path, scanner=DownScanner(), clock=clock) as wharf:
        wharf.checking.rescan()
        wharf.checking.run()
        assert state_of(wharf, stored.id) is FileState.READY
        assert wharf.checking.counts() == (1, 0)  # and is asked about again


def test_nothing_can_be_scanned_again_without_a_scanner(tmp_path: Path) -> None:
    with make_wharf(tmp_path) as wharf, pytest.raises(UsageError, match="no scanner"):
        wharf.checking.rescan()


def test_of_several_files_each_has_its_own_verdict_later(tmp_path: Path) -> None:
    scanner = WordScanner(b"evil")
    with make_wharf(tmp_path, scanner=scanner, checking=ELSEWHERE) as wharf:
        receptions = []
        for name, content in (("a.txt", b"good"), ("b.txt", b"evil")):
            reception = wharf.begin("files", name=name)
            reception.write(content)
            receptions.append(reception)
        good, evil = wharf.finish_all(receptions)
        wharf.checking.run()
        assert state_of(wharf, good.id) is FileState.READY
        assert state_of(wharf, evil.id) is FileState.REFUSED


def test_of_several_files_one_that_is_refused_in_time_refuses_all(tmp_path: Path) -> None:
    with make_wharf(tmp_path, scanner=WordScanner(b"evil")) as wharf:
        receptions = []
        for name, content in (("a.txt", b"good"), ("b.txt", b"evil")):
            reception = wharf.begin("files", name=name)
            reception.write(content)
            receptions.append(reception)
        with pytest.raises(Infected):
            wharf.finish_all(receptions)
        assert wharf.list_files() == ([], None)
        assert blobs_on_disk(tmp_path) == []


def test_a_worker_leaves_files_of_collections_that_it_does_not_know(tmp_path: Path) -> None:
    mine = Collection(name="mine", policy=Policy.anything())
    scanner = WordScanner(b"evil")
    with make_wharf(tmp_path, scanner=scanner, checking=ELSEWHERE, collections=(mine,)) as wharf:
        stored = wharf.receive([b"good"], collection="mine", name="a.txt")
        with make_wharf(tmp_path, scanner=scanner, collections=()) as worker:
            assert worker.checking.run() == 0
        assert state_of(wharf, stored.id) is FileState.CHECKING
        assert wharf.checking.run() == 1
        assert state_of(wharf, stored.id) is FileState.READY


def test_what_is_too_large_to_be_scanned_is_refused_at_its_head(tmp_path: Path) -> None:
    scan = ScanSettings(clamd="unix:///nowhere/clamd.ctl", max_size=1000)
    with make_wharf(tmp_path / "a", scan=scan) as wharf:
        assert wharf.collection("files").policy.max_size == 1000
        with pytest.raises(TooLarge):
            wharf.begin("files", name="a.bin", length=1001)
    hold = replace(scan, when_unscannable="hold")
    with make_wharf(tmp_path / "b", scan=hold) as wharf:
        wharf.begin("files", name="a.bin", length=1001).abort()


def test_the_log_says_when_the_scanner_goes_away_and_when_it_is_back(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scanner = Says(Clean())
    with (
        make_wharf(tmp_path, scanner=scanner) as wharf,
        caplog.at_level(logging.WARNING, logger="wharfinger"),
    ):
        for verdict in (Unavailable("No answer."), Unavailable("No answer."), Clean(), Clean()):
            scanner.verdict = verdict
            wharf.receive([b"content"], collection="files", name="a.txt")
    assert caplog.messages == [
        "the scanner is away, and what comes is held: No answer.",
        "the scanner answers again",
    ]
