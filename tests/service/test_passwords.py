"""Passwords of links: kept as hashes, and guessed at slowly."""

from __future__ import annotations

import sqlite3
import threading
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Clock, make_wharf
from wharfinger import StoredFile, Wharf
from wharfinger.errors import NotFound, PasswordRequired, TooManyRequests, UsageError
from wharfinger.service import Link, passwords
from wharfinger.service.passwords import fits, hash_password

RIGHT = "correct horse"


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


@pytest.fixture
def link(wharf: Wharf, stored: StoredFile) -> Link:
    return wharf.share(stored.id, password=RIGHT)


@pytest.fixture
def hashes(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Replace the slow comparison; return what it was asked."""
    asked: list[str] = []

    def quick(_kept: str, password: str) -> bool:
        asked.append(password)
        return password == RIGHT

    monkeypatch.setattr(passwords, "fits", quick)
    return asked


def test_a_hash_knows_its_password_and_says_nothing_of_it() -> None:
    kept, other = hash_password(RIGHT), hash_password(RIGHT)
    assert kept != other
    assert kept.startswith("scrypt$14$8$5$")
    assert RIGHT not in kept
    assert fits(kept, RIGHT)
    assert not fits(kept, "correct horsf")
    assert not fits(kept, "")


def test_a_hash_of_other_parameters_is_still_read() -> None:
    # RFC 7914 section 12, second vector: scrypt("password", "NaCl", N=1024, r=8, p=16), its
    # first 32 bytes.
    vector = "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"
    kept = f"scrypt$10$8$16$TmFDbA==${b64encode(bytes.fromhex(vector)).decode()}"
    assert fits(kept, "password")


def test_two_spellings_of_one_character_are_one_password() -> None:
    assert fits(hash_password("Schlu\u0308ssel"), "Schl\u00fcssel")


@pytest.mark.parametrize(
    "wrong", ["", "x" * 7, "x" * 257, "with\0zero", "with\nline", "x" * 8 + "\ud800"]
)
def test_what_cannot_be_a_password_is_refused(wharf: Wharf, stored: StoredFile, wrong: str) -> None:
    with pytest.raises(UsageError) as raised:
        wharf.share(stored.id, password=wrong)
    assert not wrong or wrong not in str(raised.value)
    assert wharf.links.of_file(stored.id) == []


def test_the_password_is_asked_for_and_only_the_right_one_passes(wharf: Wharf, link: Link) -> None:
    assert link.has_password
    check = wharf.links.passwords.check
    with pytest.raises(PasswordRequired) as raised:
        check(link, None)
    assert not raised.value.invalid
    for wrong in ("", "correct horsf", RIGHT + " ", "x" * 100_000, "\ud800"):
        with pytest.raises(PasswordRequired) as raised:
            check(link, wrong)
        assert raised.value.invalid
    check(link, RIGHT)


def test_a_link_without_a_password_asks_for_none(
    wharf: Wharf, stored: StoredFile, hashes: list[str]
) -> None:
    open_link = wharf.share(stored.id)
    assert not open_link.has_password
    wharf.links.passwords.check(open_link, None)
    wharf.links.passwords.check(open_link, "anything")
    assert hashes == []


def test_only_the_hash_is_in_the_data_folder(wharf: Wharf, link: Link, tmp_path: Path) -> None:
    wharf.links.passwords.check(link, RIGHT)
    wharf.close()
    for path in (tmp_path / "data").rglob("*"):
        assert not path.is_file() or RIGHT.encode() not in path.read_bytes(), path
    assert RIGHT not in repr(link)
    database = sqlite3.connect(tmp_path / "data" / "catalog.sqlite3")
    (kept,) = database.execute("SELECT password FROM links").fetchone()
    database.close()
    assert fits(kept, RIGHT)


def test_the_right_password_is_hashed_once_for_a_series_of_requests(
    wharf: Wharf, link: Link, hashes: list[str]
) -> None:
    for _ in range(50):
        wharf.links.passwords.check(link, RIGHT)
    assert hashes == [RIGHT]


def test_ten_wrong_tries_a_minute_and_not_one_more(
    wharf: Wharf, link: Link, hashes: list[str], clock: Clock
) -> None:
    check = wharf.links.passwords.check
    for number in range(10):
        with pytest.raises(PasswordRequired):
            check(link, f"guess {number}")
        clock.forward(1)
    with pytest.raises(TooManyRequests) as raised:
        check(link, RIGHT)
    assert raised.value.retry_after == 50
    assert len(hashes) == 10
    clock.forward(50)
    check(link, RIGHT)
    # What was right once is not shut out by somebody else's guesses.
    for number in range(10):
        with pytest.raises(PasswordRequired):
            check(link, f"guess {number}")
    with pytest.raises(TooManyRequests):
        check(link, "one more")
    check(link, RIGHT)


def test_the_limit_of_one_link_is_not_that_of_another(
    wharf: Wharf, stored: StoredFile, link: Link, hashes: list[str]
) -> None:
    other = wharf.share(stored.id, password=RIGHT)
    for number in range(10):
        with pytest.raises(PasswordRequired):
            wharf.links.passwords.check(link, f"guess {number}")
    wharf.links.passwords.check(other, RIGHT)
    with pytest.raises(TooManyRequests):
        wharf.links.passwords.check(link, RIGHT)


def test_many_guesses_at_once_and_from_several_processes_share_one_limit(
    wharf: Wharf, link: Link, tmp_path: Path, clock: Clock, hashes: list[str]
) -> None:
    ends: list[type[Exception]] = []
    start = threading.Barrier(40)

    with make_wharf(tmp_path / "data", clock=clock) as second:

        def guess(service: Wharf, number: int) -> None:
            start.wait()
            try:
                service.links.passwords.check(link, f"guess {number}")
            except (PasswordRequired, TooManyRequests) as error:
                ends.append(type(error))

        threads = [
            threading.Thread(target=guess, args=((wharf, second)[number % 2], number))
            for number in range(40)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(ends) == 40
    assert len(hashes) <= 10


def test_only_so_many_are_computed_at_once_and_the_rest_is_told_to_wait(
    wharf: Wharf, link: Link, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "TRIES", 1000)
    running, most = 0, 0
    changing = threading.Lock()
    full, go = threading.Semaphore(0), threading.Event()

    def slow(_kept: str, _password: str) -> bool:
        nonlocal running, most
        with changing:
            running += 1
            most = max(most, running)
        full.release()
        go.wait(20)
        with changing:
            running -= 1
        return False

    monkeypatch.setattr(passwords, "fits", slow)
    ends: list[Exception] = []

    def guess(number: int) -> None:
        try:
            wharf.links.passwords.check(link, f"guess {number}")
        except (PasswordRequired, TooManyRequests) as error:
            ends.append(error)
            if len(ends) == 8:
                go.set()

    threads = [threading.Thread(target=guess, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    assert all(full.acquire(timeout=20) for _ in range(2))
    for thread in threads:
        thread.join()
    busy = [error for error in ends if isinstance(error, TooManyRequests)]
    assert (most, len(ends), len(busy)) == (2, 12, 8)
    assert {error.retry_after for error in busy} == {1}


def test_a_revoked_link_asks_for_nothing_any_more(wharf: Wharf, link: Link) -> None:
    wharf.links.revoke(link.id)
    with pytest.raises(NotFound):
        wharf.links.passwords.check(link, RIGHT)
