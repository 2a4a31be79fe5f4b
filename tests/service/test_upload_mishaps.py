"""What goes wrong in the middle of an upload costs nobody what was acknowledged."""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

import pytest

from support import samples
from support.services import make_wharf
from wharfinger import Collection, Policy, StoredFile
from wharfinger.catalog import FileState, UploadState
from wharfinger.errors import (
    InconsistentLength,
    QuotaExceeded,
    Rejected,
    Unavailable,
    UploadOver,
    UploadTakenOver,
)
from wharfinger.scanners import Clean, Infected, Unscannable, Verdict
from wharfinger.service import at_hand
from wharfinger.service.usage import Quotas
from wharfinger.stores import LocalStore
from wharfinger.stores.local import LocalPart

OWNER = "user:1"


class FailsOnce:
    """A scanner that breaks when it is asked first."""

    def __init__(self) -> None:
        self.asked = 0

    def scan(self, stream: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        self.asked += 1
        if self.asked == 1:
            raise OSError("The scanner broke.")
        return Clean()


def test_a_completion_that_failed_in_passing_can_be_asked_for_again(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", scanner=FailsOnce()) as wharf:
        upload = wharf.uploads.create(
            "files", protocol="tus", owner=OWNER, length=len(samples.TEXT)
        )
        with wharf.uploads.take(upload.id) as turn:
            turn.write(samples.TEXT)
            with pytest.raises(OSError, match="broke"):
                turn.complete()
        with wharf.uploads.take(upload.id) as turn:
            assert turn.complete().state is FileState.READY


class Slow:
    """A scanner that says when it is asked, and answers when it may."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict
        self.asked, self.may = threading.Event(), threading.Event()

    def scan(self, stream: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        self.asked.set()
        assert self.may.wait(20)
        return self.verdict


@pytest.mark.parametrize(
    ("verdict", "state"),
    [(Clean(), UploadState.COMPLETE), (Infected("Test"), UploadState.REFUSED)],
)
def test_who_asks_another_process_meanwhile_does_not_undo_a_completion(
    tmp_path: Path, verdict: Verdict, state: UploadState
) -> None:
    """Else an upload whose checks take long never ends, as long as somebody asks."""
    data, scanner = tmp_path / "data", Slow(verdict)
    with make_wharf(data, scanner=scanner) as one, make_wharf(data) as other:
        upload = one.uploads.create("files", protocol="tus", owner=OWNER, length=4)

        def complete() -> None:
            with contextlib.suppress(Rejected), one.uploads.take(upload.id) as turn:
                turn.write(b"text")
                turn.complete()

        def ask() -> None:
            with pytest.raises(UploadOver):
                other.uploads.take(upload.id)

        with ThreadPoolExecutor(2) as pool:
            completing = pool.submit(complete)
            assert scanner.asked.wait(20)
            asking = pool.submit(ask)
            until = time.monotonic() + 20
            while other.uploads.find(upload.id, None).generation == upload.generation:
                assert time.monotonic() < until
                time.sleep(0.01)
            scanner.may.set()
            completing.result(20)
            asking.result(20)
        ended = other.uploads.find(upload.id, None)
        assert ended.state is state
        assert len(other.list_files()[0]) == (state is UploadState.COMPLETE)


@pytest.mark.parametrize("before", [6, 20_000], ids=["kept in the record", "synced"])
def test_bytes_whose_sync_failed_do_not_count_when_a_later_sync_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int
) -> None:
    kept = b"k" * before
    with make_wharf(tmp_path / "data") as wharf:
        upload = wharf.uploads.create("files", protocol="tus", owner=OWNER, length=before + 6)
        with wharf.uploads.take(upload.id) as turn:
            turn.write(kept)
        turn = wharf.uploads.take(upload.id)
        monkeypatch.setattr(at_hand, "LONGEST_TAIL", 3)  # so that more than that is synced
        turn.write(b"lost")

        def broken(_: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patch:
            patch.setattr(os, "fdatasync", broken)
            with pytest.raises(OSError, match="Input/output"):
                turn.keep()
        with pytest.raises(UploadTakenOver):  # whoever goes on asks where it stands
            turn.write(b"more")
        turn.close()
        with wharf.uploads.take(upload.id) as turn:
            assert turn.offset == wharf.uploads.find(upload.id, None).offset == before
            turn.write(b"again.")
            stored = turn.complete()
        with wharf.open_file(stored.id) as file:
            assert file.read() == kept + b"again."


def test_who_was_taken_over_removes_nothing_by_a_refusal(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as one, make_wharf(tmp_path / "data") as other:
        upload = one.uploads.create("files", protocol="resumable", owner=OWNER, length=8)
        old = one.uploads.take(upload.id)
        old.write(b"old ")
        new = other.uploads.take(upload.id)
        new.write(b"new ")
        assert new.keep().offset == 4
        with pytest.raises(UploadTakenOver):
            old.refuse(InconsistentLength("too long", lengths=(8, 9)))
        old.close()
        assert other.uploads.find(upload.id, None).state is UploadState.OPEN
        new.write(b"file")
        stored = new.complete()
        with other.open_file(stored.id) as file:
            assert file.read() == b"new file"


def test_an_upload_of_unknown_length_stops_where_the_quota_ends(tmp_path: Path) -> None:
    quotas = Quotas.from_mapping({"max_bytes": 1000})
    box = Collection(name="box", policy=Policy.anything(), quotas=quotas)
    with make_wharf(tmp_path / "data", collections=[box]) as wharf:
        first, second = (wharf.uploads.create("box", protocol="tus", owner=OWNER) for _ in range(2))
        with wharf.uploads.take(first.id) as turn:
            turn.write(bytes(600))
        with wharf.uploads.take(second.id) as turn:
            turn.write(bytes(400))
            with pytest.raises(QuotaExceeded):
                turn.write(b"0")
        wharf.uploads.end(first.id)
        with wharf.uploads.take(second.id) as turn:  # it waited
            assert turn.offset == 400
            turn.write(bytes(600))


def test_an_upload_by_a_link_has_the_room_of_the_links_owner(tmp_path: Path) -> None:
    quotas = Quotas.from_mapping({"max_bytes_per_owner": 1000})
    box = Collection(name="box", policy=Policy.anything(), quotas=quotas)
    with make_wharf(tmp_path / "data", collections=[box]) as wharf:
        wharf.receive([bytes(600)], collection="box", owner=OWNER)
        link = wharf.request("box", owner=OWNER)
        with pytest.raises(QuotaExceeded):
            wharf.uploads.create(
                "box", protocol="tus", owner=f"link:{link.id}", link_id=link.id, length=401
            )
        assert list((tmp_path / "data" / "staging").iterdir()) == []


def test_an_upload_that_another_process_has_just_ended_is_over_and_not_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = tmp_path / "data"
    with make_wharf(data) as one, make_wharf(data) as other:
        upload = one.uploads.create("files", protocol="tus", owner=OWNER, length=4)
        real = LocalStore.open_part

        def late(store: LocalStore, upload_id: str) -> LocalPart:
            with one.uploads.take(upload.id) as turn:
                turn.write(b"text")
                turn.complete()
            return real(store, upload_id)

        monkeypatch.setattr(LocalStore, "open_part", late)
        with pytest.raises(UploadOver):
            other.uploads.take(upload.id)


def test_of_two_processes_that_take_over_at_once_one_alone_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else both write at one offset, and what one was told is kept the other overwrites."""
    data = tmp_path / "data"
    with make_wharf(data) as one, make_wharf(data) as two, make_wharf(data) as three:
        upload = one.uploads.create("files", protocol="tus", owner=OWNER, length=8)
        real, turns = LocalPart.locked, []

        def meanwhile(part: LocalPart) -> contextlib.AbstractContextManager[None]:
            monkeypatch.setattr(LocalPart, "locked", real)
            turns.append(three.uploads.take(upload.id))
            return real(part)

        monkeypatch.setattr(LocalPart, "locked", meanwhile)
        with pytest.raises(UploadTakenOver):
            two.uploads.take(upload.id)
        with turns[0] as turn:
            turn.write(b"text")
            assert turn.keep().offset == 4


def test_what_is_published_late_is_young(tmp_path: Path) -> None:
    """Else a sweep between publishing and recording takes it for an orphan."""
    store = LocalStore(tmp_path)
    staging = store.stage()
    staging.write(b"slow")
    os.utime(staging.fileno(), (1, 1))
    staging.sync()
    store.publish(staging, "0" * 32)
    (blob,) = store.blobs()
    assert blob.modified_at > 1


@pytest.mark.parametrize("same_process", [True, False])
def test_nobody_waits_longer_than_two_seconds_for_a_check(
    tmp_path: Path, *, same_process: bool
) -> None:
    checking, done = threading.Event(), threading.Event()

    class Slow:
        def scan(self, file: BinaryIO, size: int) -> Verdict:
            checking.set()
            assert done.wait(20)
            return Clean() if len(file.read()) == size else Unscannable("too short")

    with (
        make_wharf(tmp_path / "data", scanner=Slow()) as wharf,
        make_wharf(tmp_path / "data") as other,
    ):
        upload = wharf.uploads.create("files", protocol="tus", owner=None, length=4)
        turn = wharf.uploads.take(upload.id)
        turn.write(b"text")
        finished: list[StoredFile] = []
        thread = threading.Thread(target=lambda: finished.append(turn.complete()))
        thread.start()
        assert checking.wait(10)
        began = time.monotonic()
        with pytest.raises(Unavailable, match="being checked"):
            (wharf if same_process else other).uploads.take(upload.id)
        assert 1.5 < time.monotonic() - began < 6
        done.set()
        thread.join(20)
        assert wharf.uploads.find(upload.id, None).file_id == finished[0].id
