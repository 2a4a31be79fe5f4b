"""`deliver`: stored files, as send_file's arguments wish and a careful server sends them."""

from __future__ import annotations

import gc
import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue

from flask_ext.conftest import Ask
from support import samples
from wharfinger import StoredFile, Wharf
from wharfinger.errors import UsageError
from wharfinger.flask import Wharfinger
from wharfinger.service import WharfSettings

DIGITS = b"0123456789"
SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
}
Delivering = Callable[..., Callable[[], ResponseReturnValue]]


@pytest.fixture
def digits(wharf: Wharf) -> StoredFile:
    return wharf.receive([DIGITS], collection="files", name="digits.txt")


@pytest.fixture
def delivering(files: Wharfinger, digits: StoredFile) -> Delivering:
    def with_wishes(**wishes: Any) -> Callable[[], ResponseReturnValue]:
        return lambda: files.deliver(digits.id, **wishes)

    return with_wishes


def test_a_stored_file_is_sent_whole_and_kept_harmless(ask: Ask, delivering: Delivering) -> None:
    answer = ask(delivering())
    assert (answer.status, answer.body) == (200, DIGITS)
    assert answer.headers.items() >= SAFE_HEADERS.items()
    digest = hashlib.sha256(DIGITS).hexdigest()
    assert answer.headers["etag"] == f'"{digest}"'
    assert answer.headers["cache-control"] == "private, no-store"
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="digits.txt"'
    assert answer.headers["content-length"] == "10"
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["repr-digest"].startswith("sha-256=:")


def test_a_record_is_as_good_as_its_id(ask: Ask, files: Wharfinger, digits: StoredFile) -> None:
    assert ask(lambda: files.deliver(digits)).body == DIGITS


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-1", 206, b"9"),
    ],
)
def test_a_range_is_sent(
    ask: Ask, delivering: Delivering, asked: str, status: int, body: bytes
) -> None:
    answer = ask(delivering(), headers={"Range": asked})
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers["content-length"] == str(len(body))


def test_several_ranges_are_sent_in_one_answer(ask: Ask, files: Wharfinger, wharf: Wharf) -> None:
    stored = wharf.receive([b"a" * 50_000 + b"b" * 50_000], collection="files", name="ab.txt")
    answer = ask(lambda: files.deliver(stored), headers={"Range": "bytes=0-1,99998-"})
    assert answer.status == 206
    kind, _, boundary = answer.headers["content-type"].partition("; boundary=")
    assert kind == "multipart/byteranges"
    _, first, second, after = answer.body.split(b"--" + boundary.encode())
    assert b"Content-Type: text/plain; charset=utf-8\r\n" in first
    assert first.endswith(b"Content-Range: bytes 0-1/100000\r\n\r\naa\r\n")
    assert second.endswith(b"Content-Range: bytes 99998-99999/100000\r\n\r\nbb\r\n")
    assert after.startswith(b"--")
    assert answer.headers["content-length"] == str(len(answer.body))


def test_a_range_outside_is_416(ask: Ask, delivering: Delivering) -> None:
    answer = ask(delivering(), headers={"Range": "bytes=10-"})
    assert (answer.status, answer.code) == (416, "range-not-satisfiable")
    assert answer.headers["content-range"] == "bytes */10"


def test_what_the_client_has_is_not_sent_again(ask: Ask, delivering: Delivering) -> None:
    etag = ask(delivering()).headers["etag"]
    unchanged = ask(delivering(), headers={"If-None-Match": f'"x", {etag}'})
    assert (unchanged.status, unchanged.body) == (304, b"")
    assert unchanged.headers["etag"] == etag
    assert ask(delivering(), headers={"If-Match": '"x"'}).status == 412


def test_head_tells_what_get_would_send(ask: Ask, delivering: Delivering) -> None:
    got, head = ask(delivering()), ask(delivering(), "HEAD")
    assert (head.status, head.body) == (200, b"")
    assert {k: v for k, v in head.headers.items() if k != "date"} == {
        k: v for k, v in got.headers.items() if k != "date"
    }


def test_a_post_view_may_answer_with_a_file_and_sends_it_whole(
    ask: Ask, delivering: Delivering
) -> None:
    headers = {"Range": "bytes=0-1", "If-None-Match": "*"}
    answer = ask(delivering(), "POST", b"", headers)
    assert (answer.status, answer.body) == (200, DIGITS)


def test_a_name_with_umlauts_is_given_both_ways(ask: Ask, delivering: Delivering) -> None:
    disposition = ask(delivering(download_name="Übersicht 2026.txt")).headers["content-disposition"]
    assert "filename*=UTF-8''%C3%9Cbersicht%202026.txt" in disposition
    assert disposition.isascii()


def test_a_name_cannot_add_a_header(ask: Ask, delivering: Delivering) -> None:
    answer = ask(delivering(download_name='a"\r\nSet-Cookie: x=1.txt'))
    assert "set-cookie" not in answer.headers
    assert answer.headers["content-disposition"].startswith("attachment; filename=")


@pytest.mark.parametrize(
    ("mimetype", "kind"),
    [
        (None, "inline"),
        ("image/png", "inline"),
        ("text/html", "attachment"),
        ("Text/HTML; charset=utf-8", "attachment"),
        ("image/svg+xml", "attachment"),
        ("application/xhtml+xml", "attachment"),
        ("application/xml", "attachment"),
        ("application/pdf", "attachment"),
        ("application/javascript", "attachment"),
    ],
)
def test_only_harmless_types_are_shown(
    ask: Ask, delivering: Delivering, mimetype: str | None, kind: str
) -> None:
    answer = ask(delivering(mimetype=mimetype, as_attachment=False))
    assert answer.headers["content-disposition"] == f'{kind}; filename="digits.txt"'


def test_a_chosen_type_is_announced(ask: Ask, delivering: Delivering) -> None:
    assert ask(delivering(mimetype="text/csv")).headers["content-type"] == "text/csv; charset=utf-8"
    odd = "application/vnd.example+json"
    assert ask(delivering(mimetype=odd)).headers["content-type"] == odd


def test_max_age_is_for_the_askers_own_cache(ask: Ask, delivering: Delivering) -> None:
    assert ask(delivering(max_age=60)).headers["cache-control"] == "private, max-age=60"
    assert ask(delivering(max_age=0)).headers["cache-control"] == "private, max-age=0"


def test_the_etag_can_be_left_out_or_chosen(ask: Ask, delivering: Delivering) -> None:
    assert "etag" not in ask(delivering(etag=False)).headers
    assert ask(delivering(etag="v7")).headers["etag"] == '"v7"'
    assert ask(delivering(etag="v7"), headers={"If-None-Match": '"v7"'}).status == 304


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2024, 2, 29, 12, 0, 0, 999, tzinfo=UTC),
        datetime(2024, 2, 29, 14, 0, 0, tzinfo=timezone(timedelta(hours=2))),
        datetime(2024, 2, 29, 12, 0, 0),  # noqa: DTZ001 - send_file takes a naive one as UTC
        1709208000,
        1709208000.75,
    ],
    ids=["utc", "another zone", "naive", "epoch", "epoch with a fraction"],
)
def test_last_modified_can_be_chosen(
    ask: Ask, delivering: Delivering, moment: datetime | float
) -> None:
    answer = ask(delivering(last_modified=moment))
    assert answer.headers["last-modified"] == "Thu, 29 Feb 2024 12:00:00 GMT"
    since = {"If-Modified-Since": "Thu, 29 Feb 2024 12:00:00 GMT"}
    assert ask(delivering(last_modified=moment, etag=False), headers=since).status == 304


@pytest.mark.parametrize(
    ("wishes", "error"),
    [
        ({"etag": 'a"b'}, UsageError),
        ({"etag": "größe"}, UsageError),
        ({"mimetype": "text/plain\r\nX-Injected: 1"}, ValueError),
        ({"last_modified": 1e30}, (OverflowError, ValueError)),
    ],
    ids=["quote in the etag", "umlaut in the etag", "line break in the type", "far future"],
)
def test_a_wish_that_cannot_be_sent_is_an_error_and_leaves_no_file_open(
    ask: Ask, delivering: Delivering, wishes: dict[str, Any], error: type[Exception]
) -> None:
    raised: list[Exception] = []

    def view() -> ResponseReturnValue:
        try:
            return delivering(**wishes)()
        except error as refusal:
            raised.append(refusal.with_traceback(None))
            return "refused"

    assert ask(view).body == b"refused"
    assert len(raised) == 1
    gc.collect()  # a file left open is a ResourceWarning here, and that an error


def test_what_is_not_there_is_404_as_a_problem(ask: Ask, files: Wharfinger, wharf: Wharf) -> None:
    stored = wharf.receive([samples.TEXT], collection="files")
    wharf.remove(stored.id)
    for file_id in (stored.id, "0" * 32, "../catalog.sqlite3", ""):
        answer = ask(lambda file_id=file_id: files.deliver(file_id))  # type: ignore[misc]
        assert (answer.status, answer.code) == (404, "not-found")
    gone = ask(lambda: files.deliver(stored))
    assert (gone.status, gone.code) == (404, "not-found")


def test_a_web_server_in_front_that_offers_it_sends_the_file(
    app: Flask, ask: Ask, tmp_path: Path
) -> None:
    with Wharf(WharfSettings(data=tmp_path / "offloaded", offload="nginx")) as wharf:
        files = Wharfinger(app, wharf=wharf)
        stored = wharf.receive([DIGITS], collection="files", name="digits.txt")

        def view() -> ResponseReturnValue:
            return files.deliver(stored, download_name="Ziffern.txt")

        offer = {"X-Sendfile-Type": "X-Accel-Redirect"}
        handed = ask(view, headers=offer)
        assert (handed.status, handed.body) == (200, b"")
        assert handed.headers["x-accel-redirect"].startswith("/wharfinger-files/")
        assert handed.headers["content-disposition"] == 'attachment; filename="Ziffern.txt"'
        assert ask(view).body == DIGITS  # whoever comes past it gets the bytes
        known = {**offer, "If-None-Match": handed.headers["etag"]}
        assert ask(view, headers=known).status == 304
        whole = ask(lambda: files.deliver(stored, conditional=False), headers=offer)
        assert (whole.status, whole.body) == (200, DIGITS)
