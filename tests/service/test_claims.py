"""Claims on limited links, by themselves: who gets one, what may go on, what is given back."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Clock, make_wharf
from wharfinger import StoredFile, Wharf
from wharfinger.errors import NotFound
from wharfinger.service import Link
from wharfinger.service.claims import Claim

SIZE = 10
HOUR = 3600


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


@pytest.fixture
def stored(wharf: Wharf) -> StoredFile:
    return wharf.receive([b"0123456789"], collection="files", name="a.txt")


def take(wharf: Wharf, link: Link, allotted: int = SIZE) -> Claim:
    return wharf.links.claims.take(link, size=SIZE, allotted=allotted)


def go_on(wharf: Wharf, link: Link, claim: Claim, allotted: int = SIZE) -> Claim:
    return wharf.links.claims.go_on(link, claim.id, size=SIZE, allotted=allotted)


def whole(wharf: Wharf, claim: Claim, *, last: bool = True) -> None:
    """All of a request was sent; `last` tells whether the file's last byte was."""
    wharf.links.claims.over(claim, sent=claim.allotted, complete=True, ended=last)
    settle(wharf)


def broken(wharf: Wharf, claim: Claim, sent: int) -> None:
    wharf.links.claims.over(claim, sent=sent, complete=False, ended=False)
    settle(wharf)


def settle(wharf: Wharf) -> None:
    """Writes are done in order: when the sweep's are, so are those before it."""
    wharf.sweep()


def downloads(wharf: Wharf, link: Link) -> int:
    return wharf.links.find(link.id).downloads


def token(link: Link) -> str:
    return link.url.rpartition("/")[2]


def refuses(wharf: Wharf, link: Link, claim: Claim) -> None:
    with pytest.raises(NotFound):
        go_on(wharf, link, claim)


@pytest.mark.parametrize("left", [1, 7, 50])
def test_of_fifty_at_once_exactly_those_get_one_who_may(
    wharf: Wharf, stored: StoredFile, left: int
) -> None:
    link = wharf.share(stored.id, max_downloads=left)
    won: list[str] = []
    start = threading.Barrier(50)

    def claim() -> None:
        start.wait()
        with contextlib.suppress(NotFound):
            won.append(take(wharf, link).id)

    threads = [threading.Thread(target=claim) for _ in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(won)) == len(won) == left
    assert downloads(wharf, link) == left


def test_two_processes_count_as_one(
    wharf: Wharf, stored: StoredFile, tmp_path: Path, clock: Clock
) -> None:
    link = wharf.share(stored.id, max_downloads=5)
    won: list[str] = []
    start = threading.Barrier(20)
    with make_wharf(tmp_path / "data", clock=clock) as other:

        def claim(service: Wharf) -> None:
            start.wait()
            with contextlib.suppress(NotFound):
                won.append(take(service, link).id)

        threads = [
            threading.Thread(target=claim, args=((wharf, other)[number % 2],))
            for number in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(set(won)) == len(won) == 5


def test_a_claim_goes_on_until_the_whole_was_delivered(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link, 3)
    whole(wharf, claim, last=False)
    for start in (3, 6):
        whole(wharf, go_on(wharf, link, claim, 3), last=False)
        assert wharf.links.redeem(token(link), named=[claim.id]).claim == claim.id, start
    whole(wharf, go_on(wharf, link, claim, 1))
    refuses(wharf, link, claim)
    with pytest.raises(NotFound):
        wharf.links.redeem(token(link), named=[claim.id])
    assert downloads(wharf, link) == 1


def test_the_last_byte_first_does_not_end_a_claim(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link, 4)
    whole(wharf, claim)
    whole(wharf, go_on(wharf, link, claim, 6), last=False)
    refuses(wharf, link, claim)


def test_parts_that_run_at_once_all_end(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    first = take(wharf, link, 5)
    second = go_on(wharf, link, first, 5)
    whole(wharf, second)
    broken(wharf, first, 2)  # not given back: the other one is there
    assert downloads(wharf, link) == 1
    whole(wharf, go_on(wharf, link, first, 3), last=False)
    refuses(wharf, link, first)


def test_ranges_that_spare_the_last_byte_are_no_way_around_the_count(
    wharf: Wharf, stored: StoredFile
) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link, 9)
    whole(wharf, claim, last=False)
    for _ in range(2):
        whole(wharf, go_on(wharf, link, claim, 9), last=False)
    with pytest.raises(NotFound):  # three times the file, all in all
        go_on(wharf, link, claim, 9)
    whole(wharf, go_on(wharf, link, claim, 3))
    refuses(wharf, link, claim)


def test_many_at_once_get_no_more_under_one_claim_than_one_after_the_other(
    wharf: Wharf, stored: StoredFile
) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link, 9)
    for _ in range(2):
        go_on(wharf, link, claim, 9)
    with pytest.raises(NotFound):
        go_on(wharf, link, claim, 9)


def test_a_broken_download_is_given_back_three_times(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    for _ in range(3):
        claim = take(wharf, link)
        assert downloads(wharf, link) == 1
        broken(wharf, claim, 9)
        assert downloads(wharf, link) == 0
    last = take(wharf, link)
    broken(wharf, last, 9)
    assert downloads(wharf, link) == 1
    with pytest.raises(NotFound):
        take(wharf, link)
    # Counted, but not lost: who knows the claim may go on.
    whole(wharf, go_on(wharf, link, last, 1))
    refuses(wharf, link, last)


def test_going_on_with_what_was_given_back_counts_again(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link)
    broken(wharf, claim, 5)
    assert downloads(wharf, link) == 0
    again = go_on(wharf, link, claim, 5)
    assert downloads(wharf, link) == 1
    broken(wharf, again, 2)
    assert downloads(wharf, link) == 1  # it had a second request: it may go on, and stays counted
    whole(wharf, go_on(wharf, link, claim, 3))
    refuses(wharf, link, claim)


def test_who_comes_back_too_late_finds_another_in_the_place(
    wharf: Wharf, stored: StoredFile
) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link)
    broken(wharf, claim, 5)
    other = take(wharf, link)
    refuses(wharf, link, claim)
    with pytest.raises(NotFound):
        wharf.links.redeem(token(link), named=[claim.id])
    whole(wharf, other)
    assert downloads(wharf, link) == 1


def test_a_claim_belongs_to_its_link(wharf: Wharf, stored: StoredFile) -> None:
    link, other = (wharf.share(stored.id, max_downloads=1) for _ in range(2))
    claim = take(wharf, link)
    refuses(wharf, other, claim)
    take(wharf, other)
    with pytest.raises(NotFound):
        wharf.links.redeem(token(other), named=[claim.id])


def test_a_claim_is_stale_after_a_day(wharf: Wharf, stored: StoredFile, clock: Clock) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link, 3)
    whole(wharf, claim, last=False)
    clock.forward(24 * HOUR - 1)
    claim = go_on(wharf, link, claim, 1)
    clock.forward(1)
    refuses(wharf, link, claim)
    assert wharf.links.of_file(stored.id) == []
    settle(wharf)
    refuses(wharf, link, claim)
    assert downloads(wharf, link) == 1


def test_a_claim_ends_with_its_link(wharf: Wharf, stored: StoredFile, clock: Clock) -> None:
    link = wharf.share(stored.id, max_downloads=1, expires_in=60)
    claim = take(wharf, link, 3)
    clock.forward(60)
    refuses(wharf, link, claim)


def test_a_revoked_link_ends_a_series_of_ranges_at_once(wharf: Wharf, stored: StoredFile) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link, 3)
    assert [one.id for one in wharf.links.of_file(stored.id)] == [link.id]
    wharf.links.revoke(link.id)
    refuses(wharf, link, claim)
    with pytest.raises(NotFound):
        wharf.links.redeem(token(link), named=[claim.id])
    whole(wharf, claim)  # the end of what was running is no error


def test_a_used_up_link_is_listed_while_somebody_may_go_on(
    wharf: Wharf, stored: StoredFile
) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    claim = take(wharf, link)
    assert [one.id for one in wharf.links.of_file(stored.id)] == [link.id]
    whole(wharf, claim)
    assert wharf.links.of_file(stored.id) == []


def test_an_empty_file_is_a_download(wharf: Wharf) -> None:
    empty = wharf.receive([b""], collection="files", name="empty.txt")
    link = wharf.share(empty.id, max_downloads=1)
    claim = wharf.links.claims.take(link, size=0, allotted=0)
    whole(wharf, claim)
    refuses(wharf, link, claim)


KILLED = """
import os, signal, sys
from wharfinger import Wharf
wharf = Wharf.open(sys.argv[1])
link = wharf.links.find(sys.argv[2])
claim = wharf.links.claims.take(link, size=10, allotted=10)
print(claim.id, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_kill_9_while_sending_loses_no_count(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    with Wharf.open(folder) as wharf:
        stored = wharf.receive([b"0123456789"], collection="files", name="a.txt")
        link = wharf.share(stored.id, max_downloads=2)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(folder), link.id],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr
    with Wharf.open(folder) as wharf:
        assert downloads(wharf, link) == 1
        take(wharf, link)
        with pytest.raises(NotFound):
            take(wharf, link)
        # And whoever knows the claim may still go on with it.
        claim = Claim(id=killed.stdout.strip(), link_id=link.id, size=SIZE, allotted=SIZE)
        whole(wharf, go_on(wharf, link, claim))
        refuses(wharf, link, claim)
