"""Quotas: exact whoever comes at once, looked at before the bytes, given back by removal."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.services import Clock, blobs_on_disk, make_wharf
from wharfinger import Collection, Policy, Wharf
from wharfinger.catalog import UploadState
from wharfinger.catalog import usage as statements
from wharfinger.catalog.usage import Usage
from wharfinger.errors import ConfigError, QuotaExceeded, Rejected, UsageError, WharfingerError
from wharfinger.service.usage import Quota, Quotas


def place(name: str = "box", expires_in: int | None = None, **keys: object) -> Collection:
    quotas = Quotas.from_mapping(keys)
    return Collection(name=name, policy=Policy.anything(), quotas=quotas, expires_in=expires_in)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def opened(tmp_path: Path, clock: Clock) -> Iterator[Callable[..., Wharf]]:
    made: list[Wharf] = []

    def opened(*collections: Collection) -> Wharf:
        made.append(make_wharf(tmp_path / "data", clock=clock, collections=collections))
        return made[-1]

    yield opened
    for wharf in made:
        wharf.close()


def send(wharf: Wharf, content: bytes, owner: str | None = "user:1", name: str = "box") -> str:
    return wharf.receive([content], collection=name, owner=owner).id


def usage(wharf: Wharf, owner: str | None = None, name: str = "box") -> Usage:
    return wharf._open().catalog.read(
        lambda connection: statements.of_files(connection, name, owner)
    )


def at_once(number: int, do: Callable[[int], object]) -> list[BaseException]:
    """Do something in many threads that begin together; return what went wrong."""
    errors: list[BaseException] = []
    ready = threading.Barrier(number)

    def one(index: int) -> None:
        ready.wait()
        try:
            do(index)
        except WharfingerError as error:
            errors.append(error)

    threads = [threading.Thread(target=one, args=(index,)) for index in range(number)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return errors


@pytest.mark.parametrize(
    ("keys", "passes", "what"),
    [
        ({"max_files": 7}, 7, "files"),
        ({"max_bytes": 1050}, 10, "bytes"),
        ({"max_files_per_owner": 12}, 12, "files"),
        ({"max_bytes_per_owner": "1 KiB"}, 10, "bytes"),
    ],
    ids=["files", "bytes", "files of one owner", "bytes of one owner"],
)
def test_of_fifty_at_once_exactly_as_many_pass_as_fit(
    opened: Callable[..., Wharf], tmp_path: Path, keys: dict[str, Any], passes: int, what: str
) -> None:
    wharf = opened(place(**keys))
    errors = at_once(50, lambda _: send(wharf, b"x" * 100))
    assert len(errors) == 50 - passes
    assert all(isinstance(error, QuotaExceeded) and error.what == what for error in errors)
    assert usage(wharf) == usage(wharf, "user:1") == Usage(files=passes, bytes=passes * 100)
    assert len(wharf.list_files()[0]) == passes
    assert len(blobs_on_disk(tmp_path / "data")) == passes


def test_two_services_on_one_catalog_count_together(opened: Callable[..., Wharf]) -> None:
    both = [opened(place(max_files=9)), opened(place(max_files=9))]
    errors = at_once(30, lambda index: send(both[index % 2], b"x"))
    assert [type(error) for error in errors] == [QuotaExceeded] * 21
    assert usage(both[0]).files == 9


def test_each_owner_has_a_quota_of_its_own_and_the_application_none(
    opened: Callable[..., Wharf],
) -> None:
    wharf = opened(place(max_files_per_owner=1))
    send(wharf, b"a")
    with pytest.raises(QuotaExceeded, match="one owner in 'box' is 1 files; there are 1"):
        send(wharf, b"b")
    send(wharf, b"c", owner="user:2")
    send(wharf, b"d", owner=None)
    send(wharf, b"e", owner=None)


def test_the_quota_of_a_collection_counts_everybody(opened: Callable[..., Wharf]) -> None:
    wharf = opened(place(max_bytes=10), place("other", max_bytes=10))
    send(wharf, b"12345")
    send(wharf, b"12345", owner="user:2")
    with pytest.raises(QuotaExceeded, match="'box' has room for 0 bytes more"):
        send(wharf, b"1", owner=None)
    send(wharf, b"1", name="other")
    send(wharf, b"")  # an empty file takes none


def test_removal_and_expiry_give_the_room_back(opened: Callable[..., Wharf], clock: Clock) -> None:
    wharf = opened(place(max_bytes_per_owner=5, expires_in=60))
    wharf.remove(send(wharf, b"12345"))
    send(wharf, b"54321")
    clock.forward(61)
    with pytest.raises(QuotaExceeded):
        send(wharf, b"1")
    wharf.sweep()
    assert usage(wharf, "user:1") == usage(wharf) == Usage()
    send(wharf, b"11111")


def test_removing_twice_gives_back_once(opened: Callable[..., Wharf]) -> None:
    wharf = opened(place())
    kept, gone = send(wharf, b"12345"), send(wharf, b"123")
    errors = at_once(8, lambda _: wharf.remove(gone))
    assert len(errors) == 7
    assert usage(wharf) == Usage(files=1, bytes=5)
    wharf.info(kept)


def test_a_declared_length_is_refused_before_a_byte(opened: Callable[..., Wharf]) -> None:
    wharf = opened(place(max_bytes=1000))
    with pytest.raises(QuotaExceeded) as caught:
        wharf.begin("box", length=1001)
    assert (caught.value.what, caught.value.limit, caught.value.used) == ("bytes", 1000, 1001)
    assert (caught.value.http_status, caught.value.retryable) == (413, False)


def test_bytes_of_unknown_length_stop_where_the_room_ends(
    opened: Callable[..., Wharf], tmp_path: Path
) -> None:
    wharf = opened(place(max_bytes=1000))
    send(wharf, bytes(600))
    reception = wharf.begin("box")
    reception.write(bytes(400))
    with pytest.raises(QuotaExceeded, match="room for 400 bytes more"):
        reception.write(b"\0")
    assert len(blobs_on_disk(tmp_path / "data")) == 1


def test_of_several_files_in_one_request_all_pass_or_none(
    opened: Callable[..., Wharf], tmp_path: Path
) -> None:
    wharf = opened(place(max_files=2))
    receptions = [wharf.begin("box") for _ in range(3)]
    for reception in receptions:
        reception.write(b"x")
    with pytest.raises(QuotaExceeded):
        wharf.finish_all(receptions)
    assert usage(wharf) == Usage()
    assert blobs_on_disk(tmp_path / "data") == []


# --- open uploads --------------------------------------------------------------------------------


def begin(wharf: Wharf, length: int | None, owner: str = "user:1") -> str:
    return wharf.uploads.create("box", protocol="tus", owner=owner, length=length).id


def test_of_fifty_uploads_begun_at_once_exactly_as_many_open_as_may(
    opened: Callable[..., Wharf], tmp_path: Path
) -> None:
    wharf = opened(place(max_uploads_per_owner=5))
    errors = at_once(50, lambda _: begin(wharf, None))
    assert [type(error) for error in errors] == [QuotaExceeded] * 45
    assert len(blobs_on_disk(tmp_path / "data")) == 5  # and the parts of the others are gone
    begin(wharf, None, owner="user:2")


def test_uploads_together_promise_no_more_than_there_is(opened: Callable[..., Wharf]) -> None:
    wharf = opened(place(max_bytes=1000))
    send(wharf, bytes(300))
    begin(wharf, 400)
    with pytest.raises(QuotaExceeded):
        begin(wharf, 301)
    last = begin(wharf, 300)
    wharf.uploads.end(last)
    begin(wharf, 300)


def test_a_length_that_is_told_later_is_looked_at_then(opened: Callable[..., Wharf]) -> None:
    wharf = opened(place(max_bytes=1000))
    with wharf.uploads.take(begin(wharf, None)) as turn:
        turn.write(bytes(100))
        with pytest.raises(QuotaExceeded):
            turn.settle_length(1001)
        turn.settle_length(1000)


def test_of_fifty_lengths_told_at_once_as_many_are_taken_as_fit(
    opened: Callable[..., Wharf],
) -> None:
    wharf = opened(place(max_bytes=1000, max_uploads_per_owner=50))
    turns = [wharf.uploads.take(begin(wharf, None)) for _ in range(50)]
    errors = at_once(50, lambda number: turns[number].settle_length(200))
    assert [type(error) for error in errors] == [QuotaExceeded] * 45
    for turn in turns:
        turn.close()


def test_an_upload_whose_room_was_taken_meanwhile_is_refused_for_good(
    opened: Callable[..., Wharf],
) -> None:
    wharf = opened(place(max_bytes=1000))
    upload_id = begin(wharf, 600)
    send(wharf, bytes(500))  # complete files come first
    with wharf.uploads.take(upload_id) as turn:
        turn.write(bytes(600))
        with pytest.raises(QuotaExceeded):
            turn.complete()
    found = wharf.uploads.find(upload_id, None)
    assert found.state is UploadState.REFUSED
    assert "quota-exceeded" in (found.problem or "")
    assert usage(wharf) == Usage(files=1, bytes=500)


def test_a_whole_that_is_put_together_takes_the_room_of_its_parts(
    opened: Callable[..., Wharf],
) -> None:
    wharf = opened(place(max_bytes=1000))
    parts = []
    for _ in range(2):
        made = wharf.uploads.create(
            "box", protocol="tus", owner="user:1", length=500, concat="partial"
        )
        with wharf.uploads.take(made.id) as turn:
            turn.write(bytes(500))
            parts.append(turn.keep())
    whole = wharf.uploads.create(
        "box", protocol="tus", owner="user:1", length=1000, concat="final;/a /b", parts=parts
    )
    wharf.uploads.join(whole.id, parts)
    assert usage(wharf) == Usage(files=1, bytes=1000)
    with pytest.raises(QuotaExceeded):
        begin(wharf, 1)


def test_a_part_that_comes_twice_in_a_whole_takes_room_twice(
    opened: Callable[..., Wharf], tmp_path: Path
) -> None:
    wharf = opened(place(max_bytes=1000))
    made = wharf.uploads.create("box", protocol="tus", owner="user:1", length=400, concat="partial")
    with wharf.uploads.take(made.id) as turn:
        turn.write(bytes(400))
        part = turn.keep()

    def whole(times: int) -> str:
        return wharf.uploads.create(
            "box",
            protocol="tus",
            owner="user:1",
            length=400 * times,
            concat=f"final;{' /a' * times}",
            parts=[part] * times,
        ).id

    with pytest.raises(QuotaExceeded) as refusal:
        whole(3)
    assert (refusal.value.limit, refusal.value.used) == (1000, 1200)
    assert len(blobs_on_disk(tmp_path / "data")) == 1
    wharf.uploads.join(whole(2), [part, part])
    assert usage(wharf) == Usage(files=1, bytes=800)


def test_a_finished_upload_is_open_no_more(opened: Callable[..., Wharf]) -> None:
    wharf = opened(place(max_uploads=1))
    with wharf.uploads.take(begin(wharf, 3)) as turn:
        turn.write(b"abc")
        turn.complete()
    begin(wharf, 3)


# --- settings ------------------------------------------------------------------------------------


def test_uploads_are_limited_and_files_are_not_by_default() -> None:
    assert Quotas().describe() == {"max_uploads": 10_000, "max_uploads_per_owner": 1_000}


def test_a_table_sets_them() -> None:
    found = Collection.from_mapping(
        "a", {"max_files": 5, "max_bytes": "2 KiB", "max_uploads": 0, "max_bytes_per_owner": 7}
    )
    assert found.quotas.describe() == {
        "max_files": 5, "max_bytes": 2048, "max_uploads": 0,
        "max_bytes_per_owner": 7, "max_uploads_per_owner": 1_000,
    }  # fmt: skip


@pytest.mark.parametrize("value", [-1, True, 1.5, "many"])
def test_a_wrong_number_is_an_error_of_the_configuration(value: object) -> None:
    with pytest.raises(ConfigError, match="max_files must be a whole number"):
        Collection.from_mapping("a", {"max_files": value})


def test_a_negative_quota_is_no_quota() -> None:
    with pytest.raises(UsageError):
        Quota(files=-1)


def test_it_is_a_rejection_so_that_nothing_looks_like_a_success() -> None:
    assert issubclass(QuotaExceeded, Rejected)
