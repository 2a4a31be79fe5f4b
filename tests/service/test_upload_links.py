"""Upload links: what they permit, how exactly, and that nothing but the link opens them."""

from __future__ import annotations

import string
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.content import PNG
from support.services import Clock, blobs_on_disk, make_wharf
from wharfinger import Collection, Policy, Wharf
from wharfinger.errors import (
    NotFound,
    QuotaExceeded,
    Rejected,
    TooLarge,
    TypeNotAllowed,
    UsageError,
)
from wharfinger.service import UploadLink
from wharfinger.service.upload_links import LinkReceiver, common_types

COLLECTIONS = (
    Collection(name="images", policy=Policy.images(max_size=1000)),
    Collection(name="long", policy=Policy(min_size=10)),
)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock, collections=COLLECTIONS) as wharf:
        yield wharf


def last(link: UploadLink) -> str:
    return link.url.rpartition("/")[2]


def send(wharf: Wharf, link: UploadLink, content: bytes = b"text", name: str = "a.txt") -> str:
    found = wharf.upload_links.redeem(last(link))
    with LinkReceiver(wharf, found).begin("", name=name) as reception:
        reception.write(content)
        return reception.finish().id


def test_what_comes_by_a_link_belongs_to_its_owner(wharf: Wharf) -> None:
    link = wharf.request("files", owner="user:7", max_files=2, max_bytes=100)
    stored = wharf.info(send(wharf, link))
    assert (stored.owner, stored.collection, stored.name) == ("user:7", "files", "a.txt")
    found = wharf.upload_links.find(link.id)
    assert (found.files, found.bytes, found.files_left, found.bytes_left) == (1, 4, 1, 96)
    assert wharf.events.since(0)[-1].link == {"id": link.id}


@pytest.mark.parametrize(
    "wishes",
    [{"max_files": 2}, {"max_bytes": 8}, {"max_files": 2, "max_bytes": 8}],
    ids=["files", "bytes", "both"],
)
def test_a_link_that_is_used_up_is_dead(wharf: Wharf, wishes: dict[str, int]) -> None:
    link = wharf.request("files", **wishes)  # type: ignore[arg-type]
    send(wharf, link)
    send(wharf, link)
    with pytest.raises(NotFound):
        wharf.upload_links.redeem(last(link))
    assert wharf.upload_links.of_collection("files") == []


def test_more_bytes_than_are_left_are_refused_at_the_limit(wharf: Wharf, tmp_path: Path) -> None:
    link = wharf.request("files", max_bytes=10)
    with pytest.raises(TooLarge) as refusal:
        send(wharf, link, b"x" * 11)
    assert refusal.value.limit == 10
    found = wharf.upload_links.redeem(last(link))
    with pytest.raises(TooLarge):
        LinkReceiver(wharf, found).begin("", length=11)
    assert found.bytes == 0
    assert blobs_on_disk(tmp_path / "data") == []


def test_files_of_one_form_share_what_is_left(wharf: Wharf, tmp_path: Path) -> None:
    receiver = LinkReceiver(wharf, wharf.request("files", max_bytes=10))
    first = receiver.begin("", name="a.txt")
    first.write(b"123456")
    second = receiver.begin("", name="b.txt")
    with pytest.raises(TooLarge) as refusal:
        second.write(b"12345")
    assert refusal.value.limit == 4
    first.abort()
    assert blobs_on_disk(tmp_path / "data") == []


@pytest.mark.parametrize("sender", range(3))
def test_of_fifty_senders_at_once_as_many_pass_as_may(wharf: Wharf, sender: int) -> None:
    link = wharf.request("files", **({"max_files": 7}, {"max_bytes": 28}, {"max_files": 7, "max_bytes": 99})[sender])  # type: ignore[arg-type]  # fmt: skip
    outcomes: list[str] = []
    start = threading.Barrier(50)

    def one() -> None:
        found = wharf.upload_links.redeem(last(link))
        reception = LinkReceiver(wharf, found).begin("", name="a.txt")
        reception.write(b"text")
        start.wait(20)
        try:
            reception.finish()
            outcomes.append("kept")
        except (NotFound, TooLarge):
            outcomes.append("refused")

    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["kept"] * 7 + ["refused"] * 43
    files, _ = wharf.list_files(limit=100)
    found = wharf.upload_links.find(link.id)
    assert (len(files), found.files, found.bytes) == (7, 7, 28)


def test_the_types_of_a_link_narrow_those_of_the_collection(wharf: Wharf) -> None:
    link = wharf.request("files", types=["image/*"])
    with pytest.raises(TypeNotAllowed):
        send(wharf, link)
    assert wharf.info(send(wharf, link, PNG, "a.png")).type == "image/png"


def test_a_link_never_permits_what_its_collection_does_not(wharf: Wharf) -> None:
    link = wharf.request("images", types=["image/*"], max_bytes=10_000)
    place = wharf.upload_links.place(link)
    assert place.policy.types == frozenset(
        {"image/jpeg", "image/png", "image/gif", "image/webp", "image/bmp", "image/tiff"}
    )
    assert place.policy.max_size == 1000
    with pytest.raises(Rejected):
        send(wharf, link, b"text")


COMMON = {
    "any and any": (None, None, None),
    "any and some": (None, {"image/png"}, {"image/png"}),
    "some and any": ({"image/png"}, None, {"image/png"}),
    "a family and one of it": ({"image/*"}, {"image/png", "text/plain"}, {"image/png"}),
    "one and its family": ({"image/png", "text/plain"}, {"image/*"}, {"image/png"}),
    "a family twice": ({"image/*"}, {"image/*"}, {"image/*"}),
    "a family beside one of it": ({"image/*"}, {"image/*", "image/png"}, {"image/*", "image/png"}),
    "nothing": ({"image/png"}, {"text/*"}, set()),
    "no family by its beginning": ({"image/*"}, {"imagex/png"}, set()),
}


@pytest.mark.parametrize(("first", "second", "common"), COMMON.values(), ids=COMMON)
def test_what_two_policies_have_in_common(
    first: set[str] | None, second: set[str] | None, common: set[str] | None
) -> None:
    def frozen(types: set[str] | None) -> frozenset[str] | None:
        return None if types is None else frozenset(types)

    assert common_types(frozen(first), frozen(second)) == frozen(common)


def test_a_link_ends_with_its_time_even_for_who_is_sending(wharf: Wharf, clock: Clock) -> None:
    link = wharf.request("files", expires_in=60)
    reception = LinkReceiver(wharf, link).begin("", name="a.txt")
    reception.write(b"text")
    clock.forward(60)
    with pytest.raises(NotFound):
        reception.finish()
    with pytest.raises(NotFound):
        wharf.upload_links.redeem(last(link))
    assert wharf.list_files()[0] == []
    wharf.sweep()
    with pytest.raises(NotFound):
        wharf.upload_links.find(link.id)


def test_a_revoked_link_takes_nothing_any_more_and_what_came_stays(wharf: Wharf) -> None:
    link = wharf.request("files")
    kept = send(wharf, link)
    reception = LinkReceiver(wharf, link).begin("", name="a.txt")
    reception.write(b"text")
    wharf.upload_links.revoke(link.id)
    with pytest.raises(NotFound):
        reception.finish()
    with pytest.raises(NotFound):
        wharf.upload_links.redeem(last(link))
    with pytest.raises(NotFound):
        wharf.upload_links.revoke(link.id)
    assert wharf.info(kept).name == "a.txt"


def test_every_change_of_one_character_is_refused(wharf: Wharf) -> None:
    token = last(wharf.request("files"))
    other = last(wharf.request("files"))
    wharf.upload_links.redeem(token)
    alphabet = string.ascii_letters + string.digits + "-_.=~ %/é\n"
    for place, right in enumerate(token):
        for wrong in alphabet:
            if wrong != right:
                with pytest.raises(NotFound):
                    wharf.upload_links.redeem(token[:place] + wrong + token[place + 1 :])
    mixed = token.partition(".")[0] + "." + other.partition(".")[2]
    for wrong in ("", ".", token[:-1], token + "A", token + "=", token.upper(), mixed):
        with pytest.raises(NotFound):
            wharf.upload_links.redeem(wrong)


def test_a_link_of_one_kind_is_none_of_the_other(wharf: Wharf) -> None:
    upload = last(wharf.request("files"))
    stored = wharf.receive([b"text"], collection="files")
    download = wharf.share(stored.id).url.rpartition("/")[2]
    with pytest.raises(NotFound):
        wharf.links.redeem(upload)
    with pytest.raises(NotFound):
        wharf.upload_links.redeem(download)


def test_a_link_outlives_a_new_key_and_ends_with_the_key_that_signed_it(wharf: Wharf) -> None:
    link = wharf.request("files")
    wharf.rotate_keys()
    assert wharf.upload_links.redeem(last(link)).id == link.id
    wharf.rotate_keys(keep=0)
    with pytest.raises(NotFound):
        wharf.upload_links.redeem(last(link))


def test_a_link_into_a_collection_that_is_gone_is_dead(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        link = wharf.request("small")
    with (
        make_wharf(tmp_path / "data", collections=()) as wharf,
        pytest.raises(NotFound),
    ):
        wharf.upload_links.redeem(last(link))


# --- uploads of several requests ----------------------------------------------------------------


def begin(wharf: Wharf, link: UploadLink, length: int | None = 4, **more: Any) -> str:
    who = f"link:{link.id}"
    return wharf.uploads.create(
        link.collection, protocol="tus", owner=who, length=length, link_id=link.id, **more
    ).id


def test_an_upload_of_several_requests_keeps_to_its_link(wharf: Wharf) -> None:
    link = wharf.request("files", owner="user:7", max_files=1, max_bytes=4)
    with pytest.raises(TooLarge):
        begin(wharf, link, 5)
    with wharf.uploads.take(begin(wharf, link)) as turn:
        turn.write(b"text")
        stored = turn.complete()
    assert (stored.owner, stored.size) == ("user:7", 4)
    with pytest.raises(NotFound):
        begin(wharf, link)


def test_a_whole_file_comes_before_an_upload_that_is_open(wharf: Wharf) -> None:
    link = wharf.request("files", max_files=1)
    with wharf.uploads.take(begin(wharf, link)) as turn:
        turn.write(b"text")
        first = send(wharf, link)
        with pytest.raises(NotFound):
            turn.complete()
    assert [file.id for file in wharf.list_files()[0]] == [first]


@pytest.mark.parametrize("wishes", [{"max_files": 5}, {"max_bytes": 22}], ids=["files", "bytes"])
def test_of_fifty_uploads_begun_at_once_as_many_open_as_the_link_has_room_for(
    wharf: Wharf, tmp_path: Path, wishes: dict[str, int]
) -> None:
    link = wharf.request("files", **wishes)  # type: ignore[arg-type]
    outcomes: list[str] = []
    start = threading.Barrier(50)

    def one() -> None:
        start.wait(20)
        try:
            begin(wharf, link)
            outcomes.append("open")
        except QuotaExceeded:
            outcomes.append("refused")

    threads = [threading.Thread(target=one) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["open"] * 5 + ["refused"] * 45
    assert len(blobs_on_disk(tmp_path / "data")) == 5


def test_two_services_on_one_catalog_count_the_open_uploads_of_a_link_together(
    wharf: Wharf, tmp_path: Path, clock: Clock
) -> None:
    link = wharf.request("files", max_files=1)
    with make_wharf(tmp_path / "data", clock=clock, collections=COLLECTIONS) as other:
        begin(other, link)
        with pytest.raises(QuotaExceeded) as refusal:
            begin(wharf, link)
    assert (refusal.value.what, refusal.value.limit, refusal.value.used) == ("uploads", 1, 1)


@pytest.mark.parametrize("way", ["given up", "expired", "refused"])
def test_an_upload_that_ends_gives_its_place_back(wharf: Wharf, clock: Clock, way: str) -> None:
    link = wharf.request("images", max_files=1, max_bytes=100)
    first = begin(wharf, link)
    with pytest.raises(QuotaExceeded):
        begin(wharf, link)
    if way == "given up":
        wharf.uploads.end(first)
    elif way == "expired":
        clock.forward(24 * 3600 + 1)
        wharf.sweep()
    else:
        with wharf.uploads.take(first) as turn:
            turn.write(b"text")
            with pytest.raises(Rejected):
                turn.complete()
    begin(wharf, link, 100)


def test_an_upload_that_stands_still_gives_its_place_to_a_new_one(
    wharf: Wharf, clock: Clock, tmp_path: Path
) -> None:
    link = wharf.request("files", max_files=2)
    left, moving = begin(wharf, link), begin(wharf, link)
    clock.forward(599)
    with wharf.uploads.take(moving) as turn:
        turn.write(b"te")
    with pytest.raises(QuotaExceeded):
        begin(wharf, link)
    clock.forward(1)
    begin(wharf, link)
    with pytest.raises(NotFound):
        wharf.uploads.find(left, None)
    assert wharf.uploads.find(moving, None).offset == 2
    assert len(blobs_on_disk(tmp_path / "data")) == 2
    with pytest.raises(QuotaExceeded):
        begin(wharf, link)


def test_an_upload_whose_bytes_are_in_use_keeps_its_place(wharf: Wharf, clock: Clock) -> None:
    link = wharf.request("files", max_files=1)
    with wharf.uploads.take(begin(wharf, link)) as turn:
        turn.write(b"text")
        clock.forward(3600)
        part = wharf._open().store.open_part(turn.upload.id)
        with part.locked(), pytest.raises(QuotaExceeded):
            begin(wharf, link)
        part.close()
        turn.complete()


def test_a_length_that_is_told_later_has_to_fit_beside_the_others_of_the_link(
    wharf: Wharf,
) -> None:
    link = wharf.request("files", max_bytes=10)
    unknown = begin(wharf, link, None)
    begin(wharf, link, 6)
    with wharf.uploads.take(unknown) as turn:
        with pytest.raises(QuotaExceeded):
            turn.settle_length(5)
        turn.write(b"1234")
        with pytest.raises(QuotaExceeded):
            turn.write(b"5")
        turn.settle_length(4)
        turn.complete()


def test_parts_of_files_have_together_the_room_of_the_files(wharf: Wharf) -> None:
    link = wharf.request("images", max_files=1)  # of 1000 bytes at most
    parts = []
    for length in (600, 400):
        with wharf.uploads.take(begin(wharf, link, length, concat="partial")) as turn:
            turn.write(bytes(length))
            parts.append(turn.keep())
    with pytest.raises(QuotaExceeded):
        begin(wharf, link, 1, concat="partial")
    begin(wharf, link, 1000, concat="final;a b", parts=parts)
    with pytest.raises(QuotaExceeded):
        begin(wharf, link, 1000, concat="final;a b", parts=parts)


WRONG = {
    "no time": {"expires_in": 0},
    "more than a year": {"expires_in": 367 * 86400},
    "no file": {"max_files": 0},
    "half a file": {"max_files": 1.5},
    "yes": {"max_files": True},
    "a negative size": {"max_bytes": -1},
    "no type": {"types": []},
    "a type that is none": {"types": ["pictures"]},
    "types that the collection refuses": {"types": ["text/plain"]},
}


@pytest.mark.parametrize("wishes", WRONG.values(), ids=WRONG)
def test_limits_that_make_no_sense_are_errors(wharf: Wharf, wishes: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        wharf.request("images", **wishes)  # type: ignore[arg-type]


def test_less_room_than_the_smallest_file_needs_is_an_error(wharf: Wharf) -> None:
    with pytest.raises(UsageError):
        wharf.request("long", max_bytes=9)
    link = wharf.request("long", max_bytes=19)
    send(wharf, link, b"ten bytes.")
    with pytest.raises(NotFound):  # nine are left, and no file is so short
        wharf.upload_links.redeem(last(link))


def test_there_is_no_link_into_a_collection_that_is_not_there(wharf: Wharf) -> None:
    with pytest.raises(NotFound):
        wharf.request("nowhere")


def test_links_are_listed_oldest_first_and_by_owner(wharf: Wharf, clock: Clock) -> None:
    mine = wharf.request("files", owner="user:7")
    clock.forward(1)
    theirs = wharf.request("files", owner="user:8")
    wharf.request("images", owner="user:7")
    links = wharf.upload_links
    assert [link.id for link in links.of_collection("files")] == [mine.id, theirs.id]
    assert links.of_collection("files", owner="user:7") == [mine]
