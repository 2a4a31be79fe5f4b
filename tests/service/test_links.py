from __future__ import annotations

import string
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Clock, make_wharf
from wharfinger import StoredFile, Wharf
from wharfinger.errors import NameRejected, NotFound, UsageError
from wharfinger.service import Link
from wharfinger.service.claims import Claim


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


@pytest.fixture
def stored(wharf: Wharf) -> StoredFile:
    return wharf.receive([b"text"], collection="files", name="a.txt")


SIZE = 4  # of what is stored above


def take(wharf: Wharf, link: Link, allotted: int = SIZE) -> Claim:
    return wharf.links.claims.take(link, size=SIZE, allotted=allotted)


def go_on(wharf: Wharf, link: Link, claim: Claim, allotted: int = SIZE) -> Claim:
    return wharf.links.claims.go_on(link, claim.id, size=SIZE, allotted=allotted)


def over(wharf: Wharf, claim: Claim, *, sent: int, ended: bool | None = None) -> None:
    """Tell how a request ended; unless told otherwise it was for the last bytes of the file."""
    complete = sent == claim.allotted
    wharf.links.claims.over(
        claim, sent=sent, complete=complete, ended=complete if ended is None else ended
    )
    wharf.sweep()  # writes are done in order: what was noted above is there when this returns


def last(url: str) -> str:
    return url.rpartition("/")[2]


def test_a_link_leads_to_its_file(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=2, download_name="b.txt", owner="user:7")
    found, file, claim = wharf.links.redeem(last(link.url))
    assert file == stored
    assert (found, claim) == (link, None)
    assert (link.max_downloads, link.download_name, link.owner) == (2, "b.txt", "user:7")


def test_a_link_ends_on_the_second(wharf: Wharf, stored: StoredFile, clock: Clock) -> None:
    link = wharf.share(stored.id, expires_in=60)
    clock.forward(59)
    wharf.links.redeem(last(link.url))
    clock.forward(1)
    with pytest.raises(NotFound):
        wharf.links.redeem(last(link.url))
    with pytest.raises(NotFound):
        take(wharf, link)


def test_every_single_character_change_is_refused(wharf: Wharf, stored: StoredFile) -> None:
    token = last(wharf.share(stored.id).url)
    tried = 0
    for position in range(len(token)):
        for character in string.ascii_letters + string.digits + "-_.=":
            if character != token[position]:
                with pytest.raises(NotFound):
                    wharf.links.redeem(token[:position] + character + token[position + 1 :])
                tried += 1
    for other in (token[:-1], token + "A", token + "=", "", ".", token.upper(), token[:32]):
        with pytest.raises(NotFound):
            wharf.links.redeem(other)
    assert tried == len(token) * 65


def test_of_fifty_at_once_only_as_many_claim_as_are_left(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=3)
    won: list[bool] = []
    start = threading.Barrier(50)

    def claim() -> None:
        start.wait()
        try:
            take(wharf, link)
        except NotFound:
            won.append(False)
        else:
            won.append(True)

    threads = [threading.Thread(target=claim) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (won.count(True), won.count(False)) == (3, 47)
    with pytest.raises(NotFound):
        wharf.links.redeem(last(link.url))


def test_a_revoked_link_is_worthless_at_once(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id)
    wharf.links.revoke(link.id)
    for refused in (
        lambda: wharf.links.redeem(last(link.url)),
        lambda: take(wharf, link),
        lambda: wharf.links.revoke(link.id),
        lambda: wharf.links.find(link.id),
    ):
        with pytest.raises(NotFound):
            refused()


def test_only_links_that_still_work_are_listed(
    wharf: Wharf, stored: StoredFile, clock: Clock
) -> None:
    lasting = wharf.share(stored.id)
    brief = wharf.share(stored.id, expires_in=10)
    spent = wharf.share(stored.id, max_downloads=1)
    assert {link.id for link in wharf.links.of_file(stored.id)} == {lasting.id, brief.id, spent.id}
    over(wharf, take(wharf, spent), sent=SIZE)
    clock.forward(10)
    assert [link.id for link in wharf.links.of_file(stored.id)] == [lasting.id]
    assert wharf.sweep().links == 1


WRONG = {
    "no time": ({"expires_in": 0}, UsageError),
    "more than a year": ({"expires_in": 367 * 86400}, UsageError),
    "no downloads": ({"max_downloads": 0}, UsageError),
    "too many downloads": ({"max_downloads": 1_000_001}, UsageError),
    "a strange disposition": ({"disposition": "form-data"}, UsageError),
    "a hostile name": ({"download_name": "../x"}, NameRejected),
}


@pytest.mark.parametrize(("wish", "expected"), WRONG.values(), ids=list(WRONG))
def test_a_wrong_wish_is_refused(
    wharf: Wharf, stored: StoredFile, wish: dict[str, object], expected: type[Exception]
) -> None:
    with pytest.raises(expected):
        wharf.share(stored.id, **wish)  # type: ignore[arg-type]
    assert wharf.links.of_file(stored.id) == []


def test_a_missing_file_cannot_be_shared(wharf: Wharf) -> None:
    with pytest.raises(NotFound):
        wharf.share("0" * 32)


def test_a_new_key_signs_and_the_old_one_is_still_accepted(tmp_path: Path) -> None:
    with make_wharf(tmp_path) as wharf:
        stored = wharf.receive([b"text"], collection="files", name="a.txt")
        old = last(wharf.share(stored.id).url)
    keys = tmp_path / "keys"
    first = keys.read_text()
    keys.write_text("ab" * 32 + "\n" + first)
    with make_wharf(tmp_path) as wharf:
        new = last(wharf.share(stored.id).url)
        wharf.links.redeem(old)
        wharf.links.redeem(new)
    keys.write_text("ab" * 32 + "\n")
    with make_wharf(tmp_path) as wharf:
        wharf.links.redeem(new)
        with pytest.raises(NotFound):
            wharf.links.redeem(old)


def test_the_public_address_is_part_of_the_url(tmp_path: Path) -> None:
    with make_wharf(tmp_path, public_url="https://files.example.org/x/") as wharf:
        stored = wharf.receive([b"text"], collection="files", name="a.txt")
        assert wharf.share(stored.id).url.startswith("https://files.example.org/x/d/")
