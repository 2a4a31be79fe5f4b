"""Idempotency-Key: an upload that is sent again is stored once, in every shell."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.served import serve
from support.services import blobs_on_disk, token
from support.shells import Browser, form
from wharfinger import Client, Principal, Wharf
from wharfinger.service.replies import Claimed

KEY = {"Idempotency-Key": '"8e03978e-40d5-43dd-bc93-6894a57f9324"'}
TEXT = {"Content-Type": "text/plain", "Content-Disposition": 'attachment; filename="a.txt"'}


def two_forms() -> list[tuple[bytes, dict[str, str]]]:
    """Return one form twice, as a client sends it that draws a boundary for each try."""
    body, headers = form(
        ("f", "a.txt", b"one", None), ("g", "b.txt", b"two", None), ("x", None, b"1", None)
    )
    other = b"----b-boundary-nobody-sends"
    return [
        (body, headers),
        (
            body.replace(b"----a-boundary-nobody-sends", other),
            {"Content-Type": f"multipart/form-data; boundary={other.decode()}"},
        ),
    ]


def stored(wharf: Wharf) -> int:
    return len(wharf.list_files()[0])


def test_a_raw_upload_sent_again_gets_the_first_answer(browser: Browser, wharf: Wharf) -> None:
    first = browser.ask("POST", "/uploads/files", b"content", {**TEXT, **KEY})
    again = browser.ask("POST", "/uploads/files", b"content", {**TEXT, **KEY})
    assert (first.status, again.status) == (201, 201)
    assert again.body == first.body
    assert again.headers["location"] == first.headers["location"]
    assert again.headers["cache-control"] == "no-store"
    assert stored(wharf) == 1
    assert len(blobs_on_disk(wharf.settings.data)) == 1


def test_a_form_sent_again_gets_the_first_answer(browser: Browser, wharf: Wharf) -> None:
    answers = [
        browser.ask("POST", "/uploads/files", body, {**headers, **KEY})
        for body, headers in two_forms()
    ]
    assert [answer.status for answer in answers] == [201, 201]
    assert answers[0].body == answers[1].body
    assert answers[0].json()["fields"] == {"x": "1"}
    assert stored(wharf) == 2


def test_a_bare_key_is_the_same_as_one_in_quotes(browser: Browser, wharf: Wharf) -> None:
    for key in ("abc", '"abc"'):
        browser.ask("POST", "/uploads/files", b"content", {"Idempotency-Key": key})
    assert stored(wharf) == 1


def test_without_a_key_or_with_another_one_it_is_another_upload(
    browser: Browser, wharf: Wharf
) -> None:
    for headers in ({}, {}, KEY, {"Idempotency-Key": "other"}):
        assert browser.ask("POST", "/uploads/files", b"content", headers).status == 201
    assert stored(wharf) == 4


OTHERS: dict[str, tuple[str, bytes, dict[str, str]]] = {
    "another address": ("/uploads/public", b"content", TEXT),
    "another length": ("/uploads/files", b"longer content", TEXT),
    "another name": (
        "/uploads/files", b"content", {**TEXT, "Content-Disposition": 'attachment; filename="b.txt"'},
    ),
    "another type": (
        "/uploads/files", b"content", {**TEXT, "Content-Type": "application/octet-stream"},
    ),
    "other bytes": ("/uploads/files", b"CONTENT", TEXT),
    "another digest": ("/uploads/files", b"content", {**TEXT, "Repr-Digest": "sha-256=:AAAA:"}),
}  # fmt: skip


@pytest.mark.parametrize("other", OTHERS.values(), ids=list(OTHERS))
def test_a_key_used_for_another_request_is_422(
    browser: Browser, wharf: Wharf, other: tuple[str, bytes, dict[str, str]]
) -> None:
    assert browser.ask("POST", "/uploads/files", b"content", {**TEXT, **KEY}).status == 201
    path, body, headers = other
    answer = browser.ask("POST", path, body, {**headers, **KEY})
    assert (answer.status, answer.code) == (422, "idempotency-key-reused")
    assert stored(wharf) == 1


FORMS = {
    "other bytes": (("f", "a.txt", b"two", None), ("x", None, b"1", None)),
    "another name": (("f", "b.txt", b"one", None), ("x", None, b"1", None)),
    "another field": (("f", "a.txt", b"one", None), ("x", None, b"2", None)),
    "another name of a field": (("f", "a.txt", b"one", None), ("y", None, b"1", None)),
}


@pytest.mark.parametrize("other", FORMS.values(), ids=FORMS)
def test_a_key_used_for_another_form_of_the_same_length_is_422(
    browser: Browser, wharf: Wharf, other: tuple[tuple[str, str | None, bytes, str | None], ...]
) -> None:
    first, fields = form(("f", "a.txt", b"one", None), ("x", None, b"1", None))
    assert browser.ask("POST", "/uploads/files", first, {**fields, **KEY}).status == 201
    body, fields = form(*other)
    assert len(body) == len(first)
    answer = browser.ask("POST", "/uploads/files", body, {**fields, **KEY})
    assert (answer.status, answer.code) == (422, "idempotency-key-reused")
    assert stored(wharf) == 1


@pytest.mark.parametrize("key", ["", '""', "a b", "a,b", '"a', "x" * 256, '"\\a"', "ä"])
def test_a_malformed_key_is_400(browser: Browser, wharf: Wharf, key: str) -> None:
    headers = {"Idempotency-Key": key.encode().decode("latin-1")}
    answer = browser.ask("POST", "/uploads/files", b"content", headers)
    assert (answer.status, answer.code) == (400, "bad-request")
    assert stored(wharf) == 0


def test_another_principal_has_keys_of_its_own(browser: Browser, wharf: Wharf) -> None:
    first = browser.ask("POST", "/uploads/files", b"content", KEY)
    other = browser.ask("POST", "/uploads/files", b"content", KEY, token=token(wharf, "write"))
    assert (first.status, other.status) == (201, 201)
    assert first.json()["id"] != other.json()["id"]


def test_after_a_refusal_the_key_is_free(browser: Browser, wharf: Wharf) -> None:
    refused = browser.ask("POST", "/uploads/small", b"x" * 100_001, KEY)
    assert refused.status == 413
    malformed = browser.ask(
        "POST", "/uploads/small", b"x", {**KEY, "Content-Type": "multipart/form-data; boundary=b"}
    )
    assert malformed.status == 400
    assert browser.ask("POST", "/uploads/small", b"good", KEY).status == 201
    assert stored(wharf) == 1


def test_while_the_first_one_runs_it_is_409_and_when_it_breaks_the_key_is_free(
    browser: Browser, wharf: Wharf
) -> None:
    head = (
        b"POST /uploads/files HTTP/1.1\r\nHost: a\r\nContent-Length: 7\r\n"
        b"Authorization: Bearer " + str(browser.token).encode() + b"\r\nIdempotency-Key: k\r\n\r\n"
    )
    with socket.create_connection((browser.host, browser.port), 20) as sock:
        sock.sendall(head + b"con")
        until = time.monotonic() + 10
        while not claimed(wharf) and time.monotonic() < until:
            time.sleep(0.02)
        answer = browser.ask("POST", "/uploads/files", b"1234567", {"Idempotency-Key": "k"})
        assert (answer.status, answer.code) == (409, "request-in-progress")
    until = time.monotonic() + 10
    while answer.status == 409 and time.monotonic() < until:
        answer = browser.ask("POST", "/uploads/files", b"1234567", {"Idempotency-Key": "k"})
    assert answer.status == 201
    assert stored(wharf) == 1


def claimed(wharf: Wharf) -> int:
    """Return how many requests with a key are running."""
    count = "SELECT count(*) FROM replies WHERE status IS NULL"
    return wharf._open().catalog.read(
        lambda connection: int(connection.exec_driver_sql(count).scalar_one())
    )


def test_of_many_at_once_with_one_key_one_is_stored(browser: Browser, wharf: Wharf) -> None:
    statuses: list[int] = []

    def send() -> None:
        statuses.append(browser.ask("POST", "/uploads/files", b"content", KEY).status)

    threads = [threading.Thread(target=send) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert set(statuses) <= {201, 409}
    assert 201 in statuses
    assert stored(wharf) == 1


def test_a_stored_answer_is_given_for_a_day(tmp_path: Path) -> None:
    """By the clock of the service, without a shell."""
    from support.services import Clock, make_wharf

    clock = Clock()
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        owner = Principal(id="user:1", scopes=frozenset({"write"})).id
        claimed = wharf.replies.claim(owner, "k", "r")
        assert isinstance(claimed, Claimed)
        wharf._open().catalog.write(
            lambda connection: claimed.keep(connection, 201, (), b"{}", content="c")
        )
        claimed.done()
        clock.forward(86_399)
        assert wharf.replies.claim(owner, "k", "r").status == 201  # type: ignore[union-attr]
        clock.forward(1)
        wharf.replies.claim(owner, "k", "another request").release()  # type: ignore[union-attr]


# --- with our client, through a network that breaks ----------------------------------------------


class Cutting:
    """Passes connections on; the first `times` answers are swallowed and the connection cut."""

    def __init__(self, port: int, times: int = 1) -> None:
        self._port, self._left = port, times
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self.connections = 0
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(5)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._left, cut = self._left - 1, self._left > 0
            threading.Thread(target=self._pass, args=(sock, cut), daemon=True).start()

    def _pass(self, sock: socket.socket, cut: bool) -> None:
        with sock, socket.create_connection(("127.0.0.1", self._port), 20) as origin:
            threading.Thread(target=_pump, args=(sock, origin), daemon=True).start()
            while data := origin.recv(65536):
                if cut and b"HTTP/1.1 100" not in data:  # the answer is there: nobody hears it
                    break
                sock.sendall(data)
            for one in (sock, origin):  # closing alone would wait for the thread that reads them
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)


@contextlib.contextmanager
def cut_off(url: str) -> Iterator[Cutting]:
    cutting = Cutting(urlsplit(url).port or 0)
    try:
        yield cutting
    finally:
        cutting.close()


@pytest.mark.parametrize("protocol", ["multipart", "raw"])
@pytest.mark.parametrize("size", [5, 3_000_000], ids=["small", "large"])
def test_our_client_loses_the_answer_and_stores_once(
    browser: Browser, wharf: Wharf, protocol: str, size: int
) -> None:
    with cut_off(browser.url) as cutting, Client(
        allow_private=True, retries=2, timeout=20, sleep=lambda _: None,
        headers={"Authorization": f"Bearer {browser.token}"},
    ) as client:  # fmt: skip
        reply = client.upload(
            b"\0" * size, f"http://127.0.0.1:{cutting.port}/uploads/files", name="a.bin",
            protocol=protocol, idempotency_key="one-upload",
        )  # fmt: skip
    assert reply.status == 201
    assert cutting.connections == 2
    assert stored(wharf) == 1


# --- and a service that dies ---------------------------------------------------------------------

DIES_BEFORE = """
import os, wharfinger.web.replaying as r
from pathlib import Path
def die(self):
    Path("died").touch(); os._exit(9)
if not Path("died").exists(): r._Once.finish = die
"""
DIES_AFTER = """
import os, wharfinger.web.replaying as r
from pathlib import Path
finish = r._Once.finish
def die(self):
    finish(self); Path("died").touch(); os._exit(9)
if not Path("died").exists(): r._Once.finish = die
"""


@pytest.mark.parametrize("moment", [DIES_BEFORE, DIES_AFTER], ids=["before", "after the commit"])
def test_a_crash_leaves_the_key_usable_and_one_file(tmp_path: Path, moment: str) -> None:
    data = tmp_path / "data"
    with serve(data, before=moment) as served, contextlib.suppress(OSError):
        served.browser.ask("POST", "/uploads/files", b"content", KEY)
    assert (tmp_path / "died").exists()
    with serve(data, before=moment) as served:
        answer = served.browser.ask("POST", "/uploads/files", b"content", KEY)
        assert answer.status == 201
        assert len(served.browser.ask("GET", "/files").json()["files"]) == 1
        assert served.browser.ask("GET", f"/files/{answer.json()['id']}").body == b"content"
