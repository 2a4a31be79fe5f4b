"""What is handed over, and what is answered here: the service as the web server in front sees it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from flask import Flask

from support.services import make_wharf, token
from support.shells import SHELLS, Answered, Browser, running
from wharfinger import Wharf
from wharfinger.asgi import create_app
from wharfinger.errors import ConfigError
from wharfinger.flask import Wharfinger
from wharfinger.server import load_settings
from wharfinger.service import WharfSettings
from wharfinger.service.doctor import examine
from wharfinger.service.settings import Offload
from wharfinger.web import WebInterface

DIGITS = b"0123456789"
ACCEL = {"X-Sendfile-Type": "X-Accel-Redirect"}
SENDFILE = {"X-Sendfile-Type": "X-Sendfile"}
ANY_DATE = "Wed, 01 Jan 2020 00:00:00 GMT"
FUTURE = "Fri, 01 Jan 2100 00:00:00 GMT"


@pytest.fixture(params=SHELLS)
def browser(request: pytest.FixtureRequest, wharf: Wharf) -> Iterator[Browser]:
    with running(str(request.param), wharf) as url:
        yield Browser(url, token(wharf))


def put(browser: Browser, content: bytes = DIGITS) -> str:
    answer = browser.ask("POST", "/uploads/files", content, {"Content-Type": ""})
    assert answer.status == 201
    return str(answer.json()["id"])


def twice(browser: Browser, file: str, headers: Mapping[str, str], method: str = "GET") -> Answered:
    """Return the second of two equal answers: it may come from memory."""
    first = browser.ask(method, f"/files/{file}", headers=headers)
    second = browser.ask(method, f"/files/{file}", headers=headers)
    assert (first.status, first.body) == (second.status, second.body)
    varying = {"date"}
    assert {k: v for k, v in first.headers.items() if k not in varying} == {
        k: v for k, v in second.headers.items() if k not in varying
    }
    return second


def test_a_whole_file_is_named_instead_of_sent(browser: Browser) -> None:
    file = put(browser)
    answer = twice(browser, file, ACCEL)
    assert (answer.status, answer.body) == (200, b"")
    assert answer.headers["x-accel-redirect"] == f"/wharfinger-files/{file[:3]}/{file}"
    assert answer.headers["content-length"] == "0"
    plain = browser.ask("GET", f"/files/{file}")
    assert plain.body == DIGITS
    replaced = {"content-length", "date", "x-accel-redirect", "accept-ranges"}
    assert {k: v for k, v in answer.headers.items() if k not in replaced} == {
        k: v for k, v in plain.headers.items() if k not in replaced
    }


@pytest.mark.parametrize(
    "offer",
    [{}, {"X-Sendfile-Type": ""}, SENDFILE, {"X-Sendfile-Type": "x-accel-redirect"},
     {"X-Sendfile-Type": "X-Accel-Redirect, X-Accel-Redirect"},
     {"X-Accel-Redirect": "/wharfinger-files/"}, {"X-Accel-Mapping": "/=/"}],
    ids=["none", "empty", "the other way", "in small letters", "twice", "the answer's field", "a mapping"],
)  # fmt: skip
def test_who_does_not_offer_it_gets_the_bytes(browser: Browser, offer: Mapping[str, str]) -> None:
    file = put(browser)
    twice(browser, file, ACCEL)
    answer = twice(browser, file, offer)
    assert (answer.body, answer.headers["content-length"]) == (DIGITS, "10")
    assert "x-accel-redirect" not in answer.headers
    assert "x-sendfile" not in answer.headers


def test_two_lines_of_offers_are_none(browser: Browser) -> None:
    file = put(browser)
    twice(browser, file, ACCEL)
    for second in ("X-Accel-Redirect", "X-Sendfile"):
        answer = browser.raw(
            f"GET /files/{file} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            f"Authorization: Bearer {browser.token}\r\nX-Sendfile-Type: X-Accel-Redirect\r\n"
            f"X-Sendfile-Type: {second}\r\n\r\n".encode()
        )
        assert answer.endswith(DIGITS)
        assert b"x-accel-redirect:" not in answer.lower()


# What else is asked -> status, and whether nginx is to send it.
ASKED: Mapping[str, tuple[Mapping[str, str], int, bool]] = {
    "a range": ({"Range": "bytes=2-4"}, 206, True),
    "the rest": ({"Range": "bytes=2-"}, 206, True),
    "the last bytes": ({"Range": "bytes=-3"}, 206, True),
    "all as a range": ({"Range": "bytes=0-"}, 206, True),
    "beyond the end": ({"Range": "bytes=8-999999999999999999"}, 206, True),
    "a number that nginx refuses": ({"Range": "bytes=8-99999999999999999999"}, 206, False),
    "a unit in capitals": ({"Range": "Bytes=2-4"}, 206, False),
    "a blank": ({"Range": "bytes= 2-4"}, 206, False),
    "an empty element": ({"Range": "bytes=2-4,"}, 206, False),
    "two that join": ({"Range": "bytes=2-4,5-6"}, 206, False),
    "a range outside": ({"Range": "bytes=10-"}, 416, False),
    "no bytes": ({"Range": "bytes=-0"}, 416, False),
    "backwards": ({"Range": "bytes=4-2"}, 200, False),
    "another unit": ({"Range": "lines=2-4"}, 200, False),
    "If-Range of another": ({"Range": "bytes=2-4", "If-Range": '"other"'}, 200, False),
    "If-Range alone": ({"If-Range": '"other"'}, 200, True),
    "If-Match": ({"If-Match": "*"}, 200, False),
    "If-Match of another": ({"If-Match": '"other"'}, 412, False),
    "If-None-Match of another": ({"If-None-Match": '"other"'}, 200, False),
    "If-None-Match": ({"If-None-Match": "*"}, 304, False),
    "If-Modified-Since": ({"If-Modified-Since": ANY_DATE}, 200, False),
    "If-Unmodified-Since": ({"If-Unmodified-Since": FUTURE}, 200, False),
    "no digest": ({"Want-Repr-Digest": "sha-256=0"}, 200, True),
    "a digest of the content": ({"Want-Content-Digest": "sha-256=1"}, 200, True),
    "one of a small part": ({"Range": "bytes=1-2", "Want-Content-Digest": "sha-256=1"}, 206, False),
}  # fmt: skip


@pytest.mark.parametrize("case", ASKED.values(), ids=list(ASKED))
def test_nginx_gets_what_it_cannot_do_wrong(
    browser: Browser, case: tuple[Mapping[str, str], int, bool]
) -> None:
    asked, status, handed_over = case
    file = put(browser)
    plain = twice(browser, file, asked)
    answer = twice(browser, file, {**asked, **ACCEL})
    assert plain.status == status
    assert ("x-accel-redirect" in answer.headers) is handed_over
    if handed_over:
        assert (answer.status, answer.body) == (200, b"")
        replaced = {"content-length", "content-range", "date", "x-accel-redirect", "accept-ranges"}
        assert {k: v for k, v in answer.headers.items() if k not in replaced} == {
            k: v for k, v in plain.headers.items() if k not in replaced
        }
    else:
        assert (answer.status, answer.body) == (plain.status, plain.body)


def open_files() -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed since it was listed
            found.append(str(entry.readlink()))
    return found


def test_a_large_file_is_named_from_memory_and_gone_when_it_is_removed(
    browser: Browser, files: Path
) -> None:
    content = bytes(range(256)) * 1200
    file = put(browser, content)
    plain = twice(browser, file, {})
    named = twice(browser, file, ACCEL)
    assert named.headers["x-accel-redirect"] == f"/wharfinger-files/{file[:3]}/{file}"
    assert twice(browser, file, {}).body == plain.body == content
    part = twice(browser, file, {"Range": "bytes=-3"})
    assert (part.status, part.body) == (206, content[-3:])
    assert twice(browser, file, {**ACCEL, "If-Match": '"x"'}).status == 412
    assert twice(browser, file, ACCEL, "HEAD").headers["content-length"] == str(len(content))
    # Nothing keeps the removed file on the disk.
    assert browser.ask("DELETE", f"/files/{file}").status == 204
    assert not [path for path in open_files() if path.startswith(str(files))]
    assert browser.ask("GET", f"/files/{file}", headers=ACCEL).status == 404


def test_head_is_answered_here(browser: Browser) -> None:
    file = put(browser)
    answer = twice(browser, file, ACCEL, "HEAD")
    assert (answer.status, answer.headers["content-length"]) == (200, "10")
    assert "x-accel-redirect" not in answer.headers


def test_an_empty_file_is_answered_here(browser: Browser) -> None:
    answer = twice(browser, put(browser, b""), ACCEL)
    assert (answer.status, answer.headers["content-length"]) == (200, "0")
    assert "x-accel-redirect" not in answer.headers


def test_a_removed_file_is_gone_at_once(browser: Browser) -> None:
    file = put(browser)
    twice(browser, file, ACCEL)
    assert browser.ask("DELETE", f"/files/{file}").status == 204
    gone = browser.ask("GET", f"/files/{file}", headers=ACCEL)
    assert (gone.status, gone.code) == (404, "not-found")


def test_strangers_get_the_same_refusal(browser: Browser) -> None:
    file = put(browser)
    twice(browser, file, ACCEL)
    answer = browser.ask("GET", f"/files/{file}", headers=ACCEL, token="wrong")
    assert answer.status == 401
    assert "x-accel-redirect" not in answer.headers


def test_a_limited_link_counts_when_it_is_handed_over(browser: Browser, wharf: Wharf) -> None:
    file = put(browser)
    link = wharf.share(file, max_downloads=1)
    first = browser.ask("GET", link.url, headers=ACCEL)
    assert first.headers["x-accel-redirect"] == f"/wharfinger-files/{file[:3]}/{file}"
    assert browser.ask("GET", link.url, headers=ACCEL).status == 404
    # All of it counts as sent: there is nothing to go on with.
    again = browser.ask("GET", link.url, headers={**ACCEL, "If-Match": first.headers["etag"]})
    assert again.status == 404


def test_part_of_a_limited_link_leaves_the_rest_to_be_had(browser: Browser, wharf: Wharf) -> None:
    link = wharf.share(put(browser), max_downloads=1)
    first = browser.ask("GET", link.url, headers={**ACCEL, "Range": "bytes=0-4"})
    assert "x-accel-redirect" in first.headers
    assert browser.ask("GET", link.url, headers=ACCEL).status == 404
    rest = {"Range": "bytes=5-", "If-Range": first.headers["etag"]}
    last = browser.ask("GET", link.url, headers={**ACCEL, **rest})
    assert "x-accel-redirect" in last.headers
    assert browser.ask("GET", link.url, headers={**ACCEL, **rest}).status == 404


# --- by X-Sendfile ------------------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
def test_x_sendfile_names_the_path_of_whole_files_alone(tmp_path: Path, shell: str) -> None:
    data = tmp_path / "größe 1%"
    with (
        make_wharf(data, offload="sendfile") as wharf,
        running(shell, wharf, ["127.0.0.1"]) as url,
    ):
        browser = Browser(url, token(wharf))
        file = put(browser)
        answer = twice(browser, file, SENDFILE)
        folder = str(tmp_path) + "/gr%C3%B6%C3%9Fe%201%25"
        assert answer.headers["x-sendfile"] == f"{folder}/files/{file[:3]}/{file}"
        assert (answer.body, answer.headers["content-length"]) == (b"", "0")
        part = twice(browser, file, {**SENDFILE, "Range": "bytes=2-4"})
        assert (part.status, part.body) == (206, b"234")
        for offer in ({}, ACCEL):
            plain = twice(browser, file, offer)
            assert plain.body == DIGITS
            assert "x-sendfile" not in plain.headers


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("offload", ["nginx", "sendfile"])
def test_offers_count_from_named_proxies_only(tmp_path: Path, shell: str, offload: Offload) -> None:
    offer = {"nginx": ACCEL, "sendfile": SENDFILE}[offload]
    with make_wharf(tmp_path / "data", offload=offload) as wharf:
        secret = token(wharf)
        with running(shell, wharf, ["127.0.0.1"]) as url:
            named = Browser(url, secret)
            file = put(named)
            assert twice(named, file, {**offer, **forwarded(shell, "203.0.113.7")}).body == b""
        with running(shell, wharf, ["10.0.0.1"]) as url:
            sent = {**offer, **forwarded(shell, "10.0.0.1")}
            answer = twice(Browser(url, secret), file, sent)
            assert answer.body == DIGITS
            assert "x-accel-redirect" not in answer.headers
            assert "x-sendfile" not in answer.headers


def forwarded(shell: str, client: str) -> dict[str, str]:
    # uvicorn believes whoever is on this machine, before the application sees the request.
    return {} if shell == "asgi" else {"X-Forwarded-For": client}


@pytest.mark.parametrize("shell", SHELLS)
def test_paths_are_told_to_nobody_unnamed(tmp_path: Path, shell: str) -> None:
    message = (
        'offload = "sendfile" tells the web server in front where files lie: name that server.'
    )
    with (
        make_wharf(tmp_path / "data", offload="sendfile") as wharf,
        pytest.raises(ConfigError) as caught,
    ):
        start(shell, wharf)
    assert caught.value.detail == message
    with pytest.raises(ConfigError) as caught:
        load_settings({}, {"WHARFINGER_OFFLOAD": "sendfile"}, folder=tmp_path)
    assert caught.value.detail == message


def start(shell: str, wharf: Wharf) -> None:
    match shell:
        case "flask":
            Wharfinger(Flask("app"), wharf=wharf)
        case "asgi":
            create_app(wharf)
        case _:
            WebInterface(wharf)


# --- what is never handed over ------------------------------------------------------------


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize("offer", [ACCEL, SENDFILE], ids=["accel", "sendfile"])
def test_without_the_setting_nobody_can_cause_it(
    tmp_path: Path, shell: str, offer: Mapping[str, str]
) -> None:
    with make_wharf(tmp_path / "plain") as wharf, running(shell, wharf) as url:
        browser = Browser(url, token(wharf))
        answer = twice(browser, put(browser), offer)
        assert answer.body == DIGITS
        assert "x-accel-redirect" not in answer.headers
        assert "x-sendfile" not in answer.headers


def test_a_file_that_lies_elsewhere_is_sent_from_here(wharf: Wharf, files: Path) -> None:
    """Only what has its own name in the store can be named; a folder moved away by a link is not."""
    with running("server", wharf) as url:
        browser = Browser(url, token(wharf))
        file = put(browser)
        elsewhere = files.parent / "elsewhere"
        (files / file[:3]).rename(elsewhere)
        (files / file[:3]).symlink_to(elsewhere)
        answer = browser.ask("GET", f"/files/{file}", headers=ACCEL)
        assert answer.body == DIGITS
        assert "x-accel-redirect" not in answer.headers


def test_a_store_below_a_symbolic_link_is_known(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "disk")
    with (
        make_wharf(tmp_path / "data", offload="nginx") as wharf,
        running("server", wharf) as url,
    ):
        browser = Browser(url, token(wharf))
        file = put(browser)
        answer = browser.ask("GET", f"/files/{file}", headers=ACCEL)
        assert answer.headers["x-accel-redirect"] == f"/wharfinger-files/{file[:3]}/{file}"


# --- settings and modes -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("redirect", 'offload = "redirect" is not part of this version yet.'),
        ("apache", "offload 'apache' is not known."),
        (True, "offload 'True' is not known."),
        ("", "offload '' is not known."),
    ],
)
def test_another_word_is_refused(value: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        WharfSettings(offload=value)  # type: ignore[arg-type]  # what a file may hold
    assert caught.value.detail == message


def modes(data: Path, file: str) -> list[str]:
    inside = [data, data / "files", data / "files" / file[:3], data / "files" / file[:3] / file]
    others = [data / "staging", data / "keys", data / "catalog.sqlite3"]
    return [f"{path.stat().st_mode & 0o777:o}" for path in (*inside, *others)]


@pytest.mark.parametrize(
    ("offload", "expected"),
    [
        (None, ["700", "700", "700", "600", "700", "600", "600"]),
        ("nginx", ["710", "750", "750", "640", "700", "600", "600"]),
        ("sendfile", ["710", "750", "750", "640", "700", "600", "600"]),
    ],
)
def test_the_group_may_read_the_files_and_nothing_else(
    tmp_path: Path, offload: Offload | None, expected: list[str]
) -> None:
    with make_wharf(tmp_path / "data", offload=offload) as wharf:
        stored = wharf.receive([DIGITS], collection="files", name="a.txt")
    assert modes(tmp_path / "data", stored.id) == expected


def test_a_store_from_before_lets_the_group_pass_to_what_comes_from_now_on(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        older = wharf.receive([DIGITS], collection="files", name="a.txt")
    before = os.umask(0o077)
    try:
        with Wharf.open(tmp_path / "data", offload="nginx") as wharf:
            newer = wharf.receive([DIGITS], collection="files", name="a.txt")
    finally:
        os.umask(before)
    assert modes(tmp_path / "data", newer.id)[:4] == ["710", "750", "750", "640"]
    assert modes(tmp_path / "data", older.id)[3] == "600"


@pytest.mark.parametrize(
    ("offload", "mode", "grade"),
    [
        ("nginx", 0o710, "ok"),
        ("nginx", 0o750, "warning"),
        ("nginx", 0o711, "warning"),
        (None, 0o710, "warning"),
    ],
)
def test_the_doctor_wants_the_data_folder_no_more_open_than_it_has_to_be(
    tmp_path: Path, offload: Offload | None, mode: int, grade: str
) -> None:
    with make_wharf(tmp_path / "data", offload=offload) as wharf:
        wharf.receive([DIGITS], collection="files", name="a.txt")
        settings = wharf.settings
    (tmp_path / "data").chmod(mode)
    findings = {finding.check: finding.grade for finding in examine(settings)}
    assert findings["data folder"] == grade


def test_flask_says_what_is_wrong_with_the_setting(tmp_path: Path) -> None:
    app = Flask("app", instance_path=str(tmp_path))
    app.config["WHARFINGER_OFFLOAD"] = "X-Accel-Redirect"
    with pytest.raises(ConfigError) as caught:
        Wharfinger(app)
    assert caught.value.detail == "offload 'X-Accel-Redirect' is not known."
