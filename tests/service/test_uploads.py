"""Uploads over several requests: what survives, who goes on, what they become."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support import samples
from support.command import environment
from support.services import Clock, make_wharf
from wharfinger import Principal, Wharf
from wharfinger.catalog import Upload, UploadState
from wharfinger.errors import (
    InconsistentLength,
    IntegrityError,
    NotFound,
    OffsetMismatch,
    Rejected,
    StorageFull,
    TooLarge,
    TypeNotAllowed,
    UploadOver,
    UploadTakenOver,
)
from wharfinger.service import uploads as module
from wharfinger.service.refusals import error_of
from wharfinger.stores import LocalStore, MemoryStore, Staging

MIB = 1024 * 1024
OWNER = Principal(id="user:1", scopes=frozenset({"write"}))
OTHER = Principal(id="user:2", scopes=frozenset({"write"}))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture(params=["local", "memory"])
def wharf(request: pytest.FixtureRequest, tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    data = tmp_path / "data"
    store = MemoryStore() if request.param == "memory" else LocalStore(data)
    with make_wharf(data, clock=clock, store=store) as wharf:
        yield wharf


@pytest.fixture
def on_disk(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


def create(wharf: Wharf, length: int | None = None, **more: Any) -> Upload:
    return wharf.uploads.create("files", protocol="tus", owner=OWNER.id, length=length, **more)


def put(wharf: Wharf, upload: Upload, data: bytes) -> Upload:
    with wharf.uploads.take(upload.id, OWNER) as turn:
        turn.write(data)
    return wharf.uploads.find(upload.id, OWNER)


def content(wharf: Wharf, file_id: str) -> bytes:
    with wharf.open_file(file_id) as file:
        return file.read()


def test_bytes_of_several_requests_become_one_file(wharf: Wharf) -> None:
    whole = samples.TEXT * 50
    upload = create(wharf, len(whole), name="notes.txt", type="text/plain")
    for start in range(0, len(whole), 700):
        assert put(wharf, upload, whole[start : start + 700]).offset == min(start + 700, len(whole))
    with wharf.uploads.take(upload.id, OWNER) as turn:
        stored = turn.complete()
    assert (stored.name, stored.size, stored.owner) == ("notes.txt", len(whole), OWNER.id)
    assert stored.sha256 == hashlib.sha256(whole).hexdigest()
    assert content(wharf, stored.id) == whole
    ended = wharf.uploads.find(upload.id, OWNER)
    assert (ended.state, ended.file_id, ended.offset) == (
        UploadState.COMPLETE, stored.id, len(whole),
    )  # fmt: skip


def test_an_empty_upload_is_a_file_too(wharf: Wharf) -> None:
    upload = create(wharf, 0)
    with wharf.uploads.take(upload.id) as turn:
        assert turn.complete().size == 0


def test_an_upload_is_nobody_elses(wharf: Wharf) -> None:
    upload = create(wharf, 10)
    for call in (wharf.uploads.find, wharf.uploads.take, wharf.uploads.state, wharf.uploads.end):
        with pytest.raises(NotFound):
            call(upload.id, OTHER)
        with pytest.raises(NotFound):
            call("0" * 32, OWNER)
    assert wharf.uploads.find(upload.id, OWNER) == upload


def test_what_is_declared_is_judged_before_anything_is_kept(wharf: Wharf) -> None:
    def begin(collection: str, **said: object) -> None:
        wharf.uploads.create(collection, protocol="tus", owner=None, **said)  # type: ignore[arg-type]

    with pytest.raises(NotFound):
        begin("nowhere")
    with pytest.raises(TooLarge):
        begin("small", length=100_001)
    with pytest.raises(TypeNotAllowed):
        begin("images", name="program.exe")
    with pytest.raises(Rejected):
        begin("images", name="text.txt", type="text/plain")


def test_bytes_that_break_the_policy_end_the_upload_at_once(on_disk: Wharf, tmp_path: Path) -> None:
    upload = on_disk.uploads.create("images", protocol="tus", owner=OWNER.id, length=5 * MIB)
    with on_disk.uploads.take(upload.id, OWNER) as turn, pytest.raises(Rejected):
        turn.write(b"MZ" + bytes(20_000))
    ended = on_disk.uploads.find(upload.id, OWNER)
    assert ended.state is UploadState.REFUSED
    assert ended.problem is not None
    assert json.loads(ended.problem)["code"] == "type-not-allowed"
    assert list((tmp_path / "data" / "staging").iterdir()) == []
    with pytest.raises(UploadOver, match="refused"):
        on_disk.uploads.take(upload.id, OWNER)


def test_content_that_breaks_the_policy_as_a_whole_is_refused_at_its_end(wharf: Wharf) -> None:
    upload = wharf.uploads.create(
        "images", protocol="tus", owner=OWNER.id, name="me.png", type="image/png"
    )
    with wharf.uploads.take(upload.id, OWNER) as turn:
        turn.write(b"\x89PNG")
        with pytest.raises(Rejected):
            turn.complete()
    assert wharf.uploads.find(upload.id, OWNER).state is UploadState.REFUSED


def test_a_digest_that_was_declared_must_be_that_of_the_whole(wharf: Wharf) -> None:
    right = create(wharf, 4, digest=hashlib.sha256(b"text").hexdigest())
    put(wharf, right, b"te")
    with wharf.uploads.take(right.id) as turn:
        turn.write(b"xt")
        assert turn.complete().size == 4
    wrong = create(wharf, 4, digest="0" * 64)
    with wharf.uploads.take(wrong.id) as turn:
        turn.write(b"text")
        with pytest.raises(IntegrityError):
            turn.complete()
    assert wharf.uploads.find(wrong.id, OWNER).state is UploadState.REFUSED


def test_an_offset_that_is_not_where_it_stands_is_refused_with_both(wharf: Wharf) -> None:
    upload = create(wharf, 10)
    put(wharf, upload, b"abcd")
    with wharf.uploads.take(upload.id) as turn:
        assert turn.at(4) is turn
        with pytest.raises(OffsetMismatch) as refused:
            turn.at(3)
    assert (refused.value.expected, refused.value.provided) == (4, 3)


def test_more_than_the_declared_length_is_refused_and_the_rest_kept(wharf: Wharf) -> None:
    upload = create(wharf, 6)
    with wharf.uploads.take(upload.id) as turn:
        with pytest.raises(TooLarge):
            turn.write(b"abcdefgh")
        assert turn.keep().offset == 6
        stored = turn.complete()
    assert content(wharf, stored.id) == b"abcdef"


def test_a_length_can_be_told_later_but_not_twice(wharf: Wharf) -> None:
    upload = create(wharf)
    with wharf.uploads.take(upload.id) as turn:
        turn.write(b"abcd")
        turn.settle_length(6)
        turn.settle_length(6)
        for wrong in (5, 7):
            with pytest.raises(InconsistentLength):
                turn.settle_length(wrong)
        turn.write(b"ef")
    with wharf.uploads.take(upload.id) as turn:
        assert turn.upload.length == 6
    short = create(wharf)
    put(wharf, short, b"abcd")
    with wharf.uploads.take(short.id) as turn, pytest.raises(InconsistentLength):
        turn.settle_length(3)


def test_a_newer_request_takes_over_and_keeps_what_the_older_one_wrote(wharf: Wharf) -> None:
    upload = create(wharf, 100)
    older = wharf.uploads.take(upload.id)
    older.write(b"from the older one")
    newer = wharf.uploads.take(upload.id)
    assert newer.offset == 18
    for call in (lambda: older.write(b"too late"), older.keep, older.complete, older.drop_upload):
        with pytest.raises(UploadTakenOver):
            call()
    older.close()
    newer.write(b", from the newer one")
    newer.close()
    assert wharf.uploads.state(upload.id).offset == 38


def test_asking_where_an_upload_stands_makes_that_true(wharf: Wharf) -> None:
    upload = create(wharf, 100)
    older = wharf.uploads.take(upload.id)
    older.write(b"12345")
    assert wharf.uploads.state(upload.id, OWNER).offset == 5
    with pytest.raises(UploadTakenOver):
        older.write(b"6")


def test_another_service_over_the_same_folder_takes_over(on_disk: Wharf, tmp_path: Path) -> None:
    whole = os.urandom(3 * MIB)
    upload = create(on_disk, len(whole))
    older = on_disk.uploads.take(upload.id)
    older.write(whole[:MIB])
    older.keep()
    older.write(b"x" * 1000)  # never committed
    with make_wharf(tmp_path / "data", clock=Clock()) as other:
        newer = other.uploads.take(upload.id)
        assert newer.offset == MIB
        with pytest.raises(UploadTakenOver):
            older.write(b"y" * 1000)
        newer.write(whole[MIB:])
        stored = newer.complete()
        assert content(other, stored.id) == whole
    older.close()
    assert on_disk.uploads.find(upload.id, OWNER).file_id == stored.id


def staged(folder: Path) -> Path:
    (path,) = (folder / "data" / "staging").iterdir()
    return path


def test_an_upload_whose_synced_bytes_are_lost_ends_and_never_becomes_a_file_with_a_hole(
    on_disk: Wharf, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    upload = create(on_disk, 30_000)
    put(on_disk, upload, b"x" * 20_000)
    os.truncate(staged(tmp_path), 19_999)
    with make_wharf(tmp_path / "data", clock=Clock()) as other:
        with caplog.at_level("ERROR"), pytest.raises(UploadOver):
            other.uploads.take(upload.id)
        assert "has lost bytes" in caplog.text
        for ask in (other.uploads.take, other.uploads.state):
            with pytest.raises(NotFound):
                ask(upload.id)
    with pytest.raises(NotFound):
        on_disk.uploads.take(upload.id)
    assert list((tmp_path / "data" / "staging").iterdir()) == []


def test_an_upload_whose_staged_file_is_gone_is_gone(on_disk: Wharf, tmp_path: Path) -> None:
    upload = create(on_disk, 100)
    put(on_disk, upload, b"x" * 60)
    staged(tmp_path).unlink()
    with make_wharf(tmp_path / "data", clock=Clock()) as other, pytest.raises(NotFound):
        other.uploads.state(upload.id)


def test_who_asks_while_another_process_completes_an_upload_hears_of_the_file(
    on_disk: Wharf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its bytes are published first, and its record is committed then."""
    upload = create(on_disk, 4)
    published = threading.Event()
    with make_wharf(tmp_path / "data", clock=Clock()) as other:
        publish = LocalStore.publish

        def slowly(store: LocalStore, staging: Staging, file_id: str) -> None:
            publish(store, staging, file_id)
            published.set()
            time.sleep(0.3)

        monkeypatch.setattr(LocalStore, "publish", slowly)

        def complete() -> None:
            with other.uploads.take(upload.id) as turn:
                turn.write(b"text")
                turn.complete()

        on_disk.uploads.close()  # it knows nothing of the upload, as after a restart
        thread = threading.Thread(target=complete)
        thread.start()
        assert published.wait(10)
        with pytest.raises(UploadOver):
            on_disk.uploads.state(upload.id)
        assert on_disk.uploads.state(upload.id).state is UploadState.COMPLETE
        thread.join()


def test_two_services_can_go_on_in_turns(on_disk: Wharf, tmp_path: Path) -> None:
    whole = os.urandom(40_000)
    upload = create(on_disk, len(whole))
    with make_wharf(tmp_path / "data", clock=Clock()) as other:
        for number, start in enumerate(range(0, len(whole), 1000)):
            put((on_disk, other)[number % 2], upload, whole[start : start + 1000])
        with other.uploads.take(upload.id) as turn:
            stored = turn.complete()
    assert stored.sha256 == hashlib.sha256(whole).hexdigest()


def test_many_threads_that_take_each_other_over_never_mix_bytes(on_disk: Wharf) -> None:
    """Each writes the byte that belongs where it stands: whoever wins, the whole is right."""
    size = 20_000
    whole = bytes(number % 251 for number in range(size))
    upload = create(on_disk, size)
    errors: list[BaseException] = []

    def send() -> None:
        try:
            while True:
                try:
                    with on_disk.uploads.take(upload.id) as turn:
                        while turn.offset < size:
                            turn.write(whole[turn.offset : turn.offset + 97])
                        return
                except UploadTakenOver:
                    continue
        except BaseException as error:  # noqa: BLE001 - shown below
            errors.append(error)

    threads = [threading.Thread(target=send) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
    with on_disk.uploads.take(upload.id) as turn:
        assert turn.complete().sha256 == hashlib.sha256(whole).hexdigest()


def test_what_is_tentative_counts_only_when_it_is_kept(wharf: Wharf) -> None:
    upload = create(wharf, 8)
    with wharf.uploads.take(upload.id) as turn:
        turn.tentatively()
        turn.write(b"wrong")
        turn.forget()
        assert turn.offset == 0
    with wharf.uploads.take(upload.id) as turn:
        turn.tentatively()
        turn.write(b"cut off")
    with wharf.uploads.take(upload.id) as turn:
        assert turn.offset == 0
        turn.tentatively()
        turn.write(b"good")
        assert turn.keep().offset == 4
        turn.write(b"ness")
        stored = turn.complete()
    assert content(wharf, stored.id) == b"goodness"


def test_an_upload_that_is_given_up_leaves_nothing(on_disk: Wharf, tmp_path: Path) -> None:
    upload = create(on_disk, 100)
    older = on_disk.uploads.take(upload.id)
    older.write(b"abc")
    assert on_disk.uploads.end(upload.id, OWNER).id == upload.id
    with pytest.raises(UploadTakenOver):
        older.write(b"d")
    with pytest.raises(NotFound):
        on_disk.uploads.find(upload.id, OWNER)
    assert list((tmp_path / "data" / "staging").iterdir()) == []


def test_an_upload_that_nobody_goes_on_with_is_gone_after_a_day(wharf: Wharf, clock: Clock) -> None:
    upload = create(wharf, 100)
    clock.forward(86_000)
    put(wharf, upload, b"abc")
    clock.forward(86_000)
    assert wharf.uploads.find(upload.id, OWNER).offset == 3
    clock.forward(1000)
    with pytest.raises(NotFound):
        wharf.uploads.find(upload.id, OWNER)


def test_no_upload_lives_longer_than_a_week(wharf: Wharf, clock: Clock) -> None:
    upload = create(wharf, 100)
    for _ in range(7):
        clock.forward(86_000)
        put(wharf, upload, b"x")
    clock.forward(7 * 86_400 - 7 * 86_000)
    with pytest.raises(NotFound):
        wharf.uploads.find(upload.id, OWNER)


def test_more_uploads_than_are_kept_at_hand_go_on(
    on_disk: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AT_HAND", 3)
    uploads = [create(on_disk, 6) for _ in range(9)]
    for piece in (b"ab", b"cd", b"ef"):
        for upload in uploads:
            put(on_disk, upload, piece)
    for upload in uploads:
        with on_disk.uploads.take(upload.id) as turn:
            assert content(on_disk, turn.complete().id) == b"abcdef"


def test_a_disk_without_room_is_said_and_nothing_is_begun(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", store=MemoryStore(capacity=1000)) as wharf:
        with pytest.raises(StorageFull):
            create(wharf, 2000)
        upload = create(wharf)
        with wharf.uploads.take(upload.id) as turn:
            turn.write(bytes(900))
            with pytest.raises(StorageFull):
                turn.write(bytes(200))
        assert wharf.uploads.state(upload.id).offset == 900


KILLED = """
import os, sys
from wharfinger import Wharf
wharf = Wharf.open(sys.argv[1])
turn = wharf.uploads.take(sys.argv[2])
turn.write(b"a" * 100_000)
turn.keep()
turn.write(b"b" * 10_000)
os.kill(os.getpid(), 9)
"""


def test_what_was_kept_survives_a_kill_and_what_was_not_is_sent_again(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        upload = create(wharf, 120_000)
        done = subprocess.run(
            [sys.executable, "-c", KILLED, str(tmp_path / "data"), upload.id],
            env=environment(), check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == -9
        with wharf.uploads.take(upload.id) as turn:
            assert turn.offset == 100_000
            turn.write(b"c" * 20_000)
            stored = turn.complete()
        assert content(wharf, stored.id) == b"a" * 100_000 + b"c" * 20_000


def test_a_newer_request_takes_nothing_over_that_is_tentative(wharf: Wharf) -> None:
    upload = create(wharf, 8)
    older = wharf.uploads.take(upload.id)
    older.write(b"kept")
    older.tentatively()
    older.write(b"not!")
    newer = wharf.uploads.take(upload.id)
    assert (newer.offset, newer.upload.offset) == (4, 4)
    with pytest.raises(UploadTakenOver):
        older.keep()
    newer.write(b"ness")
    assert content(wharf, newer.complete().id) == b"keptness"


def test_tentative_bytes_are_judged_when_they_count(wharf: Wharf) -> None:
    upload = wharf.uploads.create("images", protocol="tus", owner=OWNER.id, length=MIB)
    program = b"MZ" + bytes(20_000)
    with wharf.uploads.take(upload.id) as turn:
        turn.tentatively()
        turn.write(program)
        turn.forget()
    assert wharf.uploads.find(upload.id, OWNER).state is UploadState.OPEN
    with wharf.uploads.take(upload.id) as turn:
        turn.tentatively()
        turn.write(program)
        with pytest.raises(TypeNotAllowed):
            turn.keep()
    assert wharf.uploads.find(upload.id, OWNER).state is UploadState.REFUSED


def test_a_length_that_came_without_bytes_is_kept(on_disk: Wharf, tmp_path: Path) -> None:
    upload = create(on_disk)
    with on_disk.uploads.take(upload.id) as turn:
        turn.settle_length(6)
    with make_wharf(tmp_path / "data", clock=Clock()) as other:
        assert other.uploads.find(upload.id, OWNER).length == 6


def test_an_unknown_length_has_a_limit_after_a_restart_too(on_disk: Wharf, tmp_path: Path) -> None:
    upload = on_disk.uploads.create("small", protocol="tus", owner=OWNER.id)
    put(on_disk, upload, bytes(60_000))
    with (
        make_wharf(tmp_path / "data", clock=Clock()) as other,
        other.uploads.take(upload.id) as turn,
        pytest.raises(TooLarge),
    ):
        turn.write(bytes(60_000))
    ended = on_disk.uploads.find(upload.id, OWNER)
    assert ended.state is UploadState.REFUSED
    again = error_of(ended)
    assert isinstance(again, TooLarge)
    assert (again.limit, again.size) == (100_000, 120_000)


def test_parts_are_used_up_by_one_whole_alone(wharf: Wharf) -> None:
    parts = []
    for piece in (b"one ", b"two"):
        part = create(wharf, len(piece), concat="partial")
        parts.append(put(wharf, part, piece))
    first, second = (create(wharf, 7, concat="final;a b") for _ in range(2))
    stored = wharf.uploads.join(first.id, parts)
    assert content(wharf, stored.id) == b"one two"
    with pytest.raises((NotFound, UploadTakenOver)):
        wharf.uploads.join(second.id, parts)
    assert [wharf.uploads.find(part.id, OWNER).state for part in parts] == [UploadState.JOINED] * 2
    assert len(wharf.list_files()[0]) == 1
