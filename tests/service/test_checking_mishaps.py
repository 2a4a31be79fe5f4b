"""Checks that go wrong: nothing of them stays behind, and none of them makes a file clean."""

from __future__ import annotations

import io
import logging
import os
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest
from PIL import Image

from support.documents import docx
from support.services import Clock, blobs_on_disk, make_wharf
from support.waiting import soon
from wharfinger import Collection, Policy, Wharf
from wharfinger.errors import ConfigError, Infected, TypeNotAllowed, Unavailable
from wharfinger.scanners import Clean, Verdict
from wharfinger.scanners import Infected as Found
from wharfinger.service import FileState, StoredFile
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.service.threads import Threads
from wharfinger.stores import LocalStore, Staging
from wharfinger.testing import DownScanner, WordScanner

ANEW = (Collection(name="anew", policy=Policy(types="images", reencode=True)),)
AT_ONCE = CheckingSettings(wait=0)
ELSEWHERE = CheckingSettings(workers=0, wait=0)


class OneByOne:
    """A scanner that says one thing of each file, in the order in which they are scanned."""

    def __init__(self, *verdicts: Verdict | Exception | None) -> None:
        self.verdicts = list(verdicts)

    def scan(self, file: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        verdict = self.verdicts.pop(0)
        if isinstance(verdict, Exception):
            raise verdict
        return verdict  # type: ignore[return-value]  # what a careless scanner does


class Stuck:
    """A scanner that says nothing until it may."""

    def __init__(self) -> None:
        self.may = threading.Event()
        self.asked = 0

    def scan(self, file: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        self.asked += 1
        self.may.wait(20)
        return Clean()


def photo() -> bytes:
    made = io.BytesIO()
    Image.linear_gradient("L").save(made, "JPEG", comment=b"told")
    return made.getvalue()


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - numbers, not paths


def two_photos(wharf: Wharf) -> list[StoredFile]:
    receptions = [wharf.begin("anew", name="a.jpg") for _ in range(2)]
    for reception in receptions:
        reception.write(photo())
    return wharf.finish_all(receptions)


@pytest.mark.parametrize(
    ("second", "error"),
    [
        pytest.param(Found("Bad"), Infected, id="infected"),
        pytest.param(Unavailable("It is away."), Unavailable, id="nobody to ask"),
        pytest.param(OSError("It broke."), OSError, id="broken"),
    ],
)
def test_of_a_request_that_fails_no_image_written_anew_stays_open(
    tmp_path: Path, second: Verdict | Exception, error: type[Exception]
) -> None:
    one_at_a_time = CheckingSettings(workers=1)
    refusing = ScanSettings(when_down="refuse")
    scanner = OneByOne(Clean(), second, Clean(), second)
    with make_wharf(
        tmp_path, collections=ANEW, scanner=scanner, checking=one_at_a_time, scan=refusing
    ) as wharf:
        with pytest.raises(error):
            two_photos(wharf)
        before = open_files()
        with pytest.raises(error):
            two_photos(wharf)
        assert open_files() == before
        assert blobs_on_disk(tmp_path) == []


def test_what_is_written_anew_after_its_request_has_failed_is_let_go_of(tmp_path: Path) -> None:
    scanner = Stuck()

    def fail(*_: object) -> None:
        raise Unavailable("The catalog is busy.")

    with make_wharf(tmp_path, collections=ANEW, scanner=scanner, checking=AT_ONCE) as wharf:
        wharf.list_files()
        before = open_files()
        reception = wharf.begin("anew", name="a.jpg")
        reception.write(photo())
        reception.accepted = fail
        with pytest.raises(Unavailable):
            reception.finish()
        assert soon(lambda: scanner.asked == 1)
        scanner.may.set()
        store = wharf._open().store
        assert isinstance(store, LocalStore)
        assert soon(lambda: store._open_count._open == 0)
        assert soon(lambda: open_files() <= before + 10)  # the decoder's process has its pipes
        assert blobs_on_disk(tmp_path) == []


def test_a_scanner_that_says_nothing_at_all_makes_no_file_clean(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scanner = OneByOne(Clean(), None, None)
    with make_wharf(tmp_path, scanner=scanner) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        with pytest.raises(AssertionError):
            wharf.receive([b"content"], collection="files", name="a.txt")
        wharf.checking.rescan()
        with caplog.at_level(logging.ERROR, logger="wharfinger"):
            wharf.checking.run()
        assert f"the check of file {stored.id} failed" in caplog.text
        assert wharf.checking.counts() == (1, 0)  # it is scanned again


def test_many_that_wait_have_only_so_many_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.service.checking._MOST_UNDER_WAY", 3)
    monkeypatch.setattr("wharfinger.service.crew.LOOK_SECONDS", 0.05)
    scanner = Stuck()
    with make_wharf(
        tmp_path, scanner=scanner, checking=CheckingSettings(workers=2, wait=0)
    ) as wharf:
        wharf.list_files()
        files = [wharf.receive([b"content"], collection="files", name="a.txt") for _ in range(12)]
        opened = [
            link
            for link in (Path("/proc/self/fd") / number for number in os.listdir("/proc/self/fd"))  # noqa: PTH208
            if link.is_symlink() and "staging" in str(link.readlink())
        ]
        assert len(opened) <= 3 + 2
        assert {stored.state for stored in files} == {FileState.CHECKING}
        assert scanner.asked <= 2
        scanner.may.set()
        assert soon(lambda: all(wharf.info(stored.id).state is FileState.READY for stored in files))
        assert scanner.asked == 12


def test_where_many_requests_wait_the_others_wait_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.service.crew._MOST_PATIENT", 1)
    monkeypatch.setattr("wharfinger.service.crew._MOMENT", 0.01)
    scanner = Stuck()
    with make_wharf(tmp_path, scanner=scanner, checking=CheckingSettings(wait=30)) as wharf:

        def receive() -> StoredFile:
            return wharf.receive([b"x"], collection="files", name="a.txt")

        patient = threading.Thread(target=receive)
        patient.start()
        assert soon(lambda: scanner.asked == 1)
        assert receive().state is FileState.CHECKING
        scanner.may.set()
        patient.join()


def test_the_end_of_a_service_does_not_wait_for_a_check_that_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.service.checking._STOP_SECONDS", 0.1)
    scanner = Stuck()
    wharf = make_wharf(tmp_path, scanner=scanner, checking=AT_ONCE)
    stored = wharf.receive([b"content"], collection="files", name="a.txt")
    assert soon(lambda: scanner.asked == 1)
    began = time.monotonic()
    wharf.close()
    assert time.monotonic() - began < 10  # the scanner hangs for 20 seconds
    with make_wharf(tmp_path, scanner=OneByOne(Clean()), checking=ELSEWHERE) as other:
        assert other.checking.run() == 1  # the lease ended with the service
        assert other.info(stored.id).state is FileState.READY
    scanner.may.set()


def test_threads_that_have_ended_begin_nothing(tmp_path: Path) -> None:
    threads = Threads(1, "test")
    begun, may = threading.Event(), threading.Event()

    def wait() -> bool:
        begun.set()
        return may.wait(20)

    first = threads.submit(wait)
    begun.wait(20)
    second = threads.submit(tmp_path.touch)
    assert not threads.close(0.01)
    may.set()
    assert first.result(20)
    assert second.cancelled()
    with pytest.raises(RuntimeError, match="ended"):
        threads.submit(tmp_path.touch)
    assert threads.close(20)


class Halting(LocalStore):
    """A store that stops before it publishes, for the first who asks."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.asked, self.may = threading.Event(), threading.Event()

    def publish(self, staging: Staging, file_id: str) -> None:
        if not self.asked.is_set():
            self.asked.set()
            assert self.may.wait(20)
        super().publish(staging, file_id)


def published_meanwhile(tmp_path: Path, other: Callable[[Wharf, str, Clock], None]) -> StoredFile:
    """Return the record of a held photo that one check was publishing while something happened."""
    clock, scanner = Clock(), OneByOne(Unavailable("It is away."), *3 * [Clean()])
    store = Halting(tmp_path / "store")
    with make_wharf(
        tmp_path, clock=clock, store=store, collections=ANEW, scanner=scanner, checking=ELSEWHERE
    ) as wharf:
        stored = wharf.receive([photo()], collection="anew", name="a.jpg")
        wharf.checking.run()
        assert wharf.info(stored.id).state is FileState.HELD
        clock.forward(60)
        first = threading.Thread(target=wharf.checking.run)
        first.start()
        assert store.asked.wait(20)
        try:
            other(wharf, stored.id, clock)
        finally:
            store.may.set()
            first.join()
        clock.forward(1000)
        wharf.checking.run()
        found = wharf.info(stored.id)
        assert found.state is FileState.READY
        with wharf.open_file(stored.id) as file:
            assert len(file.read()) == found.size
        return found


def test_who_releases_a_file_never_replaces_what_a_check_publishes(tmp_path: Path) -> None:
    def release(wharf: Wharf, file_id: str, _: Clock) -> None:
        with pytest.raises(Unavailable):
            wharf.release(file_id, reason="I looked.", by="me")

    assert published_meanwhile(tmp_path, release).size != len(photo())


def test_who_does_a_job_again_never_replaces_what_another_one_publishes(tmp_path: Path) -> None:
    def again(wharf: Wharf, file_id: str, clock: Clock) -> None:
        clock.forward(700)  # the lease has ended, and whoever had it goes on all the same
        assert wharf.checking.run() == 1
        assert wharf.info(file_id).state is FileState.HELD

    published_meanwhile(tmp_path, again)


def test_an_outage_gives_no_file_up(tmp_path: Path) -> None:
    clock = Clock()
    refusing = ScanSettings(when_down="refuse")
    with make_wharf(
        tmp_path, clock=clock, scanner=DownScanner(), scan=refusing, checking=ELSEWHERE
    ) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        for _ in range(10):
            assert wharf.checking.run() == 1
            clock.forward(400)
        assert wharf.info(stored.id).state is FileState.CHECKING
        assert wharf.checking.counts() == (1, 0)


def test_a_file_that_is_removed_while_it_is_checked_is_no_failure(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scanner = Stuck()
    with make_wharf(tmp_path, scanner=scanner, checking=AT_ONCE) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        assert soon(lambda: scanner.asked == 1)
        wharf.remove(stored.id)
        with caplog.at_level(logging.INFO, logger="wharfinger"):
            scanner.may.set()
            assert soon(lambda: f"file {stored.id} was settled by somebody else" in caplog.text)
        assert "failed" not in caplog.text
        assert blobs_on_disk(tmp_path) == []


def test_the_bytes_of_a_refused_file_go_with_the_next_sweep_after_a_crash(tmp_path: Path) -> None:
    class Keeping(LocalStore):
        def delete(self, file_id: str) -> bool:
            raise OSError(file_id)

    store = Keeping(tmp_path)
    scanner = OneByOne(Clean(), Found("Bad"))
    with make_wharf(tmp_path, store=store, scanner=scanner) as wharf:
        stored = wharf.receive([b"content"], collection="files", name="a.txt")
        wharf.checking.rescan()
        wharf.checking.run()
        assert wharf.info(stored.id).state is FileState.REFUSED
    (blob,) = blobs_on_disk(tmp_path)
    os.utime(blob, (0, 0))
    with make_wharf(tmp_path, store=LocalStore(tmp_path)) as wharf:
        assert wharf.sweep().orphans == 1
        assert blobs_on_disk(tmp_path) == []


def disguised() -> bytes:
    """Return a Word document whose first bytes are those of any archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("first.bin", bytes(range(256)) * 64)
        with zipfile.ZipFile(io.BytesIO(docx())) as document:
            for member in document.infolist():
                archive.writestr(member.filename, document.read(member))
    return made.getvalue()


WHENEVER = pytest.mark.parametrize(
    "checking",
    [pytest.param(CheckingSettings(), id="at once"), pytest.param(ELSEWHERE, id="by a worker")],
)


@WHENEVER
def test_what_an_upload_link_does_not_permit_is_refused_whenever_it_is_checked(
    tmp_path: Path, checking: CheckingSettings
) -> None:
    with make_wharf(tmp_path, checking=checking) as wharf:
        link = wharf.request("public", types=["application/zip"])
        reception = wharf.begin("public", name="a.zip", link=link)
        reception.write(disguised())
        if checking.workers:
            with pytest.raises(TypeNotAllowed):
                reception.finish()
        else:
            stored = reception.finish()
            wharf.checking.run()
            problem = wharf.info(stored.id).problem
            assert problem is not None
            assert problem["code"] == "type-not-allowed"


@WHENEVER
def test_a_file_without_a_name_gets_that_of_its_type_whenever_it_is_checked(
    tmp_path: Path, checking: CheckingSettings
) -> None:
    with make_wharf(tmp_path, checking=checking) as wharf:
        stored = wharf.receive([disguised()], collection="files")
        wharf.checking.run()
        found = wharf.info(stored.id)
        assert (found.state, found.name) == (FileState.READY, "file.docx")


def test_without_a_scanner_nothing_is_done_that_a_scanner_is_to_be_asked_about(
    tmp_path: Path,
) -> None:
    clock, words = Clock(), WordScanner(b"evil")
    with make_wharf(tmp_path, clock=clock, scanner=OneByOne(Clean())) as wharf:
        ready = wharf.receive([b"evil"], collection="files", name="a.txt")
        wharf.checking.rescan()
    with make_wharf(tmp_path, clock=clock, scanner=words, checking=ELSEWHERE) as wharf:
        fresh = wharf.receive([b"evil"], collection="files", name="a.txt")
    with make_wharf(tmp_path, clock=clock, checking=ELSEWHERE) as wharf:
        assert wharf.checking.run() == 0
        assert wharf.checking.counts() == (2, 0)
        assert wharf.info(fresh.id).state is FileState.CHECKING
    with make_wharf(tmp_path, clock=clock, scanner=words, checking=ELSEWHERE) as wharf:
        assert wharf.checking.run() == 2
        assert wharf.info(ready.id).state is FileState.REFUSED
        assert wharf.info(fresh.id).state is FileState.REFUSED


def test_no_request_waits_any_more_when_the_service_is_about_to_end(tmp_path: Path) -> None:
    scanner = Stuck()
    with make_wharf(tmp_path, scanner=scanner, checking=CheckingSettings(wait=60)) as wharf:
        found: list[StoredFile] = []
        waiting = threading.Thread(
            target=lambda: found.append(wharf.receive([b"x"], collection="files", name="a.txt"))
        )
        waiting.start()
        assert soon(lambda: scanner.asked == 1)
        wharf.checking.hurry()
        waiting.join(10)
        assert [stored.state for stored in found] == [FileState.CHECKING]
        scanner.may.set()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        pytest.param({"timeout": 0}, "[scan] timeout is at least a second.", id="no time"),
        pytest.param(
            {"max_size": 0},
            "[scan] max_size is at least a byte; without it nothing is scanned.",
            id="no size",
        ),
        pytest.param(
            {"when_down": "allow"},
            '[scan] when_down is "hold" or "refuse", not \'allow\'.',
            id="when_down",
        ),
    ],
)
def test_settings_by_which_nothing_would_be_scanned_are_refused(
    wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        ScanSettings.from_mapping(wrong)
    assert caught.value.detail == message


def test_a_file_that_is_refused_later_takes_no_place_of_its_upload_link(tmp_path: Path) -> None:
    scanner = WordScanner(b"evil")
    with make_wharf(tmp_path, scanner=scanner, checking=ELSEWHERE) as wharf:
        link = wharf.request("public", max_files=2, max_bytes=20)
        for content in (b"good", b"evil"):
            reception = wharf.begin("public", name="a.txt", link=link)
            reception.write(content)
            reception.finish()
        counted = wharf.upload_links.find(link.id)
        assert (counted.files_left, counted.bytes_left) == (0, 12)
        wharf.checking.run()
        counted = wharf.upload_links.find(link.id)
        assert (counted.files_left, counted.bytes_left) == (1, 16)


def test_a_file_that_is_withdrawn_was_counted_by_its_upload_link(tmp_path: Path) -> None:
    scanner = OneByOne(Clean(), Found("Bad"))
    with make_wharf(tmp_path, scanner=scanner, checking=ELSEWHERE) as wharf:
        link = wharf.request("public", max_files=2)
        reception = wharf.begin("public", name="a.txt", link=link)
        reception.write(b"content")
        stored = reception.finish()
        wharf.checking.run()
        assert wharf.info(stored.id).state is FileState.READY
        wharf.checking.rescan()
        wharf.checking.run()
        assert wharf.info(stored.id).state is FileState.REFUSED
        assert wharf.upload_links.find(link.id).files_left == 1
