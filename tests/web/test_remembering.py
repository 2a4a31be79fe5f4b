"""What is remembered of files that were handed out: who gets it, and how it is forgotten."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from support.services import COLLECTIONS, Clock, make_wharf, token
from wharfinger import Collection, Policy, Principal, StoredFile, Wharf
from wharfinger.protocol.headers import Headers
from wharfinger.stores import MemoryStore
from wharfinger.web import Answer, FileBody, RequestHead, WebInterface, remembering

TEXT = b"what was handed out lately\n" * 100


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


class Asking:
    """A service, one file of it, and a token that may read it."""

    def __init__(self, wharf: Wharf, collection: str = "files", content: bytes = TEXT) -> None:
        self.wharf = wharf
        self.interface = WebInterface(wharf)
        self.secret = token(wharf, "read", "write")
        owner = wharf.tokens.authenticate(self.secret)
        assert owner is not None
        self.stored: StoredFile = wharf.receive([content], collection=collection, owner=owner.id)

    def head(
        self, method: str = "GET", fields: Mapping[str, str] | None = None, **more: Any
    ) -> RequestHead:
        named = {"Host": "x", "Authorization": f"Bearer {self.secret}", **(fields or {})}
        lines = [(name, value) for name, value in named.items() if value]
        return RequestHead(
            method=method,
            **{"path": f"/files/{self.stored.id}", "headers": Headers(lines), **more},
        )

    def at_once(self, head: RequestHead | None = None) -> Answer | None:
        return self.interface.exchange(head or self.head()).at_once()

    def ask(self, head: RequestHead | None = None) -> Answer:
        answer = self.interface.exchange(head or self.head()).begin()
        assert answer is not None
        return remembering.with_bytes(answer)


def test_the_second_request_is_answered_at_once_and_alike(wharf: Wharf) -> None:
    asking = Asking(wharf)
    assert asking.at_once() is None
    first, second = asking.ask(), asking.at_once()
    assert second is not None
    assert (second.status, second.headers, second.body) == (200, first.headers, TEXT)


ALIKE: dict[str, tuple[str, dict[str, str]]] = {
    "HEAD": ("HEAD", {}),
    "a range": ("GET", {"Range": "bytes=5-9"}),
    "the last bytes": ("GET", {"Range": "bytes=-3"}),
    "a range past the end": ("GET", {"Range": "bytes=99999-"}),
    "If-None-Match of any": ("GET", {"If-None-Match": "*"}),
    "If-Match of another": ("GET", {"If-Match": '"other"'}),
    "If-Modified-Since of later": ("GET", {"If-Modified-Since": "Mon, 02 Mar 2026 00:00:00 GMT"}),
    "an Accept of anything": ("GET", {"Accept": "text/html"}),
}


@pytest.mark.parametrize("name", ALIKE)
def test_whatever_is_asked_of_a_remembered_file_is_answered_as_the_first_time(
    wharf: Wharf, name: str
) -> None:
    asking = Asking(wharf)
    head = asking.head(*ALIKE[name])
    fresh = asking.ask(head)
    asking.ask()
    at_once = asking.at_once(head)
    assert at_once is not None
    at_once = remembering.with_bytes(at_once)
    assert (at_once.status, at_once.body) == (fresh.status, fresh.body)
    assert at_once.headers == fresh.headers


def test_no_look_at_catalog_or_store_is_needed(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(wharf)
    asking.ask()

    def asked(*_: object) -> None:
        raise AssertionError("the catalog or the store was asked")

    monkeypatch.setattr("wharfinger.catalog.Catalog.read", asked)
    monkeypatch.setattr("wharfinger.stores.LocalStore.open", asked)
    answer = asking.at_once()
    assert answer is not None
    assert answer.body == TEXT


NOBODY_ELSE: dict[str, dict[str, str]] = {
    "no token": {"Authorization": ""},
    "a wrong token": {"Authorization": "Bearer whf_wrong"},
    "the right token in other words": {"Authorization": "bearer  "},
}


@pytest.mark.parametrize("name", NOBODY_ELSE)
def test_nobody_else_gets_what_is_remembered(wharf: Wharf, name: str) -> None:
    asking = Asking(wharf)
    asking.ask()
    head = asking.head(fields=NOBODY_ELSE[name])
    assert asking.at_once(head) is None
    assert asking.ask(head).status == 401


def test_another_token_is_judged_by_itself(wharf: Wharf) -> None:
    asking = Asking(wharf)
    asking.ask()
    head = asking.head(fields={"Authorization": f"Bearer {token(wharf, 'read')}"})
    assert asking.at_once(head) is None
    assert asking.ask(head).status == 404


def test_a_public_file_is_remembered_for_everybody_without_a_token(wharf: Wharf) -> None:
    asking = Asking(wharf, "public")
    head = asking.head(fields={"Authorization": ""})
    asking.ask(head)
    answer = asking.at_once(head)
    assert answer is not None
    assert ("Cache-Control", "public, max-age=31536000, immutable") in answer.headers


def test_a_revoked_token_gets_nothing_from_then_on(wharf: Wharf) -> None:
    asking = Asking(wharf)
    asking.ask()
    wharf.tokens.revoke(wharf.tokens.list()[0].id)
    assert asking.at_once() is None
    assert asking.ask().status == 401


def test_a_removed_file_is_gone_from_then_on(wharf: Wharf) -> None:
    asking = Asking(wharf)
    asking.ask()
    wharf.remove(asking.stored.id)
    assert asking.at_once() is None
    assert asking.ask().status == 404


def test_what_another_opened_service_over_the_folder_revokes_counts_here(
    wharf: Wharf, tmp_path: Path
) -> None:
    asking = Asking(wharf)
    asking.ask()
    with make_wharf(tmp_path / "data") as other:
        asking.ask()
        assert asking.at_once() is not None
        other.remove(asking.stored.id)
        assert asking.at_once() is None


def test_a_file_that_expires_is_not_handed_out_a_moment_later(wharf: Wharf, clock: Clock) -> None:
    asking = Asking(wharf, "brief")
    asking.ask()
    clock.forward(59)
    assert asking.at_once() is not None
    clock.forward(1)
    assert asking.at_once() is None
    assert asking.ask().status == 404


def test_a_token_that_expires_counts_to_its_last_second(wharf: Wharf, clock: Clock) -> None:
    asking = Asking(wharf)
    owner = wharf.tokens.authenticate(asking.secret)
    assert owner is not None
    _, short = wharf.tokens.create("short", ["read"], expires_in=10, principal=owner.id)
    head = asking.head(fields={"Authorization": f"Bearer {short}"})
    asking.ask(head)
    clock.forward(9)
    assert asking.at_once(head) is not None
    clock.forward(1)
    assert asking.at_once(head) is None
    assert asking.ask(head).status == 401


def test_the_max_age_of_a_public_file_that_ends_counts_down(tmp_path: Path, clock: Clock) -> None:
    ending = Collection(
        name="ending", policy=Policy.anything(), visibility="public", expires_in=100
    )
    with make_wharf(tmp_path / "data", clock=clock, collections=(*COLLECTIONS, ending)) as wharf:
        asking = Asking(wharf, "ending")
        head = asking.head(fields={"Authorization": ""})
        assert ("Cache-Control", "public, max-age=100, immutable") in asking.ask(head).headers
        clock.forward(40)
        assert asking.at_once(head) is None
        assert ("Cache-Control", "public, max-age=60, immutable") in asking.ask(head).headers


def test_a_public_file_is_not_remembered_past_its_end(tmp_path: Path, clock: Clock) -> None:
    ending = Collection(name="ending", policy=Policy.anything(), visibility="public", expires_in=10)
    with make_wharf(tmp_path / "data", clock=clock, collections=(*COLLECTIONS, ending)) as wharf:
        asking = Asking(wharf, "ending")
        head = asking.head(fields={"Authorization": ""})
        clock.forward(9.5)
        asking.ask(head)
        assert asking.at_once(head) is not None
        clock.forward(0.5)
        assert asking.at_once(head) is None
        assert asking.ask(head).status == 401


def test_who_never_asks_for_what_is_remembered_keeps_no_file_open(wharf: Wharf) -> None:
    asking = Asking(wharf)
    asking.interface = WebInterface(wharf, remembers=False)
    asking.ask().close()
    before = len(list(Path("/proc/self/fd").iterdir()))
    asking.ask().close()
    assert asking.at_once() is None
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_few_files_are_kept_open_where_there_are_few_descriptors(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _what: (16, 16))
    asking = Asking(wharf)
    for number in range(5):
        # An address of its own for each: the token is asked as "Bearer  x", "Bearer   x" and so on.
        line = f"Bearer {' ' * number}{asking.secret}"
        asking.ask(asking.head(fields={"Authorization": line})).close()
    assert len(asking.interface.memory._entries) == 2


def test_nothing_is_believed_for_longer_than_a_minute(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(wharf)
    asking.ask()
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + 61)
    assert asking.at_once() is None


def test_a_revocation_while_a_request_is_being_judged_keeps_it_from_being_remembered(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(wharf)
    opened = wharf.open_file

    def open_and_revoke(stored: StoredFile) -> object:
        wharf.tokens.revoke(wharf.tokens.list()[0].id)
        return opened(stored)

    monkeypatch.setattr(wharf, "open_file", open_and_revoke)
    assert asking.ask().status == 200  # it was judged before
    assert asking.at_once() is None


NOT_REMEMBERED: dict[str, dict[str, Any]] = {
    "a query": {"query": "a=b"},
    "a body": {"length": 3},
    "the application's own sign-in": {
        "principal": Principal(id="user:7", scopes=frozenset({"read"}))
    },
}


@pytest.mark.parametrize("name", NOT_REMEMBERED)
def test_what_could_mean_something_else_is_not_remembered(wharf: Wharf, name: str) -> None:
    asking = Asking(wharf)
    head = asking.head(**NOT_REMEMBERED[name])
    asking.ask(head)
    assert asking.at_once(head) is None
    assert asking.at_once() is None


def test_a_larger_file_is_not_remembered(wharf: Wharf) -> None:
    asking = Asking(wharf, content=bytes(remembering.SMALL + 1))
    answer = asking.interface.exchange(asking.head()).begin()
    assert answer is not None
    assert isinstance(answer.body, FileBody)
    answer.close()
    assert asking.at_once() is None


def test_a_store_without_files_on_disk_is_asked_every_time(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", store=MemoryStore()) as wharf:
        asking = Asking(wharf)
        assert asking.ask().body == TEXT
        assert asking.at_once() is None


def test_where_a_read_cannot_be_kept_from_waiting_nothing_is_read(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(wharf)
    asking.ask()
    monkeypatch.setattr(remembering, "_AT_ONCE", None)
    assert asking.at_once() is None


def test_what_is_not_in_memory_is_left_to_a_thread(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    asking = Asking(wharf)
    asking.ask()

    def would_wait(*_: object) -> int:
        raise BlockingIOError

    monkeypatch.setattr(os, "preadv", would_wait)
    assert asking.at_once() is None


def test_the_number_of_open_files_is_bounded_and_they_are_closed(tmp_path: Path) -> None:
    def remembered() -> int:
        gc.collect()
        return len(list(Path("/proc/self/fd").iterdir())) - before

    with make_wharf(tmp_path / "data") as wharf:
        asking = Asking(wharf)
        memory = remembering.Memory(wharf, most=3)
        asking.interface.memory = memory
        owner = asking.stored.owner
        files = [wharf.receive([TEXT], collection="files", owner=owner) for _ in range(8)]
        asking.ask(asking.head(path="/files/absent"))
        gc.collect()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for file in files:
            asking.ask(asking.head(path=f"/files/{file.id}"))
        assert remembered() == 3
        assert asking.at_once(asking.head(path=f"/files/{files[-1].id}")) is not None
        assert asking.at_once(asking.head(path=f"/files/{files[0].id}")) is None
        memory.forget()
        assert remembered() == 0
