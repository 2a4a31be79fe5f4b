"""An exchange driven by hand: the order of calls, aborts from another thread, nothing left."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from support.services import blobs_on_disk, make_wharf, token
from wharfinger import Principal, StoredFile, Wharf
from wharfinger.protocol.headers import Headers
from wharfinger.stores.local import LocalStaging
from wharfinger.web import Answer, Exchange, FileBody, RequestHead, WebInterface

ME = Principal(id="me", scopes=frozenset({"read", "write", "share"}))
FORM = "multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="f"; filename="a.txt"\r\n\r\n'


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


def exchange(
    wharf: Wharf, method: str = "POST", path: str = "/uploads/files", *, length: int | None = None,
    **fields: str,
) -> Exchange:  # fmt: skip
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    named.setdefault("Host", "app.example")
    return WebInterface(wharf).exchange(
        RequestHead(
            method=method, path=path, headers=Headers(named.items()), length=length, principal=ME
        )
    )


def begun(wharf: Wharf, content_type: str = "application/octet-stream") -> Exchange:
    found = exchange(wharf, Content_Type=content_type)
    assert found.begin() is None
    return found


def document(answer: Answer | None) -> dict[str, object]:
    assert answer is not None
    assert isinstance(answer.body, bytes)
    found: dict[str, object] = json.loads(answer.body)
    return found


def staged(wharf: Wharf) -> list[Path]:
    folder = wharf.settings.data / "staging"
    return [
        path
        for path in (Path(entry) for entry in Path("/proc/self/fd").iterdir())
        if path.is_symlink() and str(path.readlink()).startswith(str(folder) + "/")
    ]


@pytest.mark.parametrize("kind", ["raw", "form"])
def test_an_abort_in_the_middle_leaves_nothing_and_can_be_repeated(wharf: Wharf, kind: str) -> None:
    running = begun(wharf, FORM) if kind == "form" else begun(wharf)
    assert running.write((PART if kind == "form" else b"") + b"x" * 100_000) is None
    assert staged(wharf)
    running.abort()
    running.abort()
    assert staged(wharf) == []
    assert blobs_on_disk(wharf.settings.data) == []


def test_an_abort_after_the_end_takes_nothing_back(wharf: Wharf) -> None:
    running = begun(wharf)
    assert running.write(b"content") is None
    record = document(running.finish())
    running.abort()
    with wharf.open_file(str(record["id"])) as file:
        assert file.read() == b"content"


def test_an_abort_before_anything_and_of_a_finished_answer_is_harmless(wharf: Wharf) -> None:
    exchange(wharf).abort()
    reading = exchange(wharf, "GET", "/health/live")
    answer = reading.begin()
    reading.abort()
    assert document(answer) == {"status": "live"}


def test_bytes_after_an_abort_are_refused_and_not_kept(wharf: Wharf) -> None:
    running = begun(wharf)
    running.write(b"x" * 10_000)
    running.abort()
    answer = running.write(b"y" * 10_000)
    assert answer is not None
    assert answer.status >= 400
    assert running.finish().status >= 400
    assert staged(wharf) == []
    assert wharf.list_files() == ([], None)


def test_an_abort_waits_for_the_write_that_another_thread_is_in(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing the file under a write would let it write into whatever has the number next."""
    inside, go_on = threading.Event(), threading.Event()
    events: list[str] = []
    write = LocalStaging.write
    discard = LocalStaging.discard

    def slow(self: LocalStaging, data: bytes) -> None:
        inside.set()
        assert go_on.wait(10)
        write(self, data)
        events.append("written")

    def noted(self: LocalStaging) -> None:
        events.append("discarded")
        discard(self)

    monkeypatch.setattr(LocalStaging, "write", slow)
    monkeypatch.setattr(LocalStaging, "discard", noted)
    running = begun(wharf)
    writer = threading.Thread(target=running.write, args=(b"x" * 100_000,))
    writer.start()
    assert inside.wait(10)
    aborter = threading.Thread(target=running.abort)
    aborter.start()
    aborter.join(0.05)
    assert events == []
    go_on.set()
    writer.join(10)
    aborter.join(10)
    assert events[-1] == "discarded"
    assert "discarded" not in events[: events.index("written")]
    assert staged(wharf) == []


def test_a_body_cut_short_is_told_with_its_numbers(wharf: Wharf) -> None:
    running = exchange(wharf, length=100)
    assert running.begin() is None
    running.write(b"x" * 40)
    answer = running.cut_short()
    assert answer.status == 400
    assert document(answer)["detail"] == "The body ended after 40 of 100 bytes; nothing was kept."
    assert staged(wharf) == []


def test_a_refusal_in_the_middle_gives_the_file_up_at_once(wharf: Wharf) -> None:
    running = exchange(wharf, path="/uploads/small")
    assert running.begin() is None
    assert running.write(b"x" * 100_000) is None
    answer = running.write(b"x")
    assert document(answer)["code"] == "too-large"
    assert staged(wharf) == []


def test_a_bug_in_a_handler_is_an_answer_and_leaves_nothing(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: LocalStaging) -> None:
        raise ZeroDivisionError("/secret")

    monkeypatch.setattr(LocalStaging, "sync", broken)
    running = begun(wharf)
    running.write(b"x")
    with caplog.at_level(logging.ERROR):
        found = document(running.finish())
    assert found["code"] == "internal"
    assert "/secret" not in json.dumps(found)
    assert "/secret" in caplog.text
    assert staged(wharf) == []
    assert blobs_on_disk(wharf.settings.data) == []


def test_an_answer_that_is_not_sent_lets_go_of_its_file(wharf: Wharf) -> None:
    stored = wharf.receive([b"content"], collection="files", owner="me")
    answer = exchange(wharf, "GET", f"/files/{stored.id}").begin()
    assert answer is not None
    assert isinstance(answer.body, FileBody)
    answer.close()
    assert answer.body.file.closed


def test_a_link_that_is_spent_at_the_last_moment_lets_go_of_its_file(
    wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between looking a link up and counting, another one took the last download."""
    stored = wharf.receive([b"content"], collection="files", owner="me")
    link = wharf.share(stored.id, max_downloads=1)
    found = wharf.links.redeem(link.url.rpartition("/")[2])
    monkeypatch.setattr(wharf.links, "redeem", lambda _, **_more: found)
    opened: list[BinaryIO] = []
    open_file = wharf.open_file

    def noted(file: str | StoredFile) -> BinaryIO:
        opened.append(open_file(file))
        return opened[-1]

    monkeypatch.setattr(wharf, "open_file", noted)
    first, second = (exchange(wharf, "GET", link.url).begin() for _ in range(2))
    assert first is not None
    assert first.status == 200
    first.close()
    assert document(second)["status"] == 404
    assert [file.closed for file in opened] == [True, True]


def test_a_token_in_the_head_is_enough_without_a_principal(wharf: Wharf) -> None:
    secret = token(wharf, "read")
    head = RequestHead(
        method="GET", path="/files", headers=Headers([("Authorization", f"Bearer {secret}")])
    )
    answer = WebInterface(wharf).exchange(head).begin()
    assert document(answer) == {"files": [], "next": None}
