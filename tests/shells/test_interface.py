"""The same requests against all three shells: status, headers and bodies are the same."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import samples
from support.services import blobs_on_disk, make_wharf, token
from support.shells import Answered, Browser, form, running
from support.waiting import soon
from wharfinger import Collection, Policy, Wharf

TEXT_HEADERS = {
    "Content-Type": "text/plain",
    "Content-Disposition": 'attachment; filename="notes.txt"',
}


def put(browser: Browser, content: bytes = samples.TEXT, collection: str = "files") -> Answered:
    answer = browser.ask("POST", f"/uploads/{collection}", content, TEXT_HEADERS)
    assert answer.status == 201, answer
    return answer


# --- in -----------------------------------------------------------------------------------


def test_a_raw_body_becomes_a_file(browser: Browser) -> None:
    answer = put(browser)
    record = answer.json()
    assert record | {"id": "", "created_at": "", "url": ""} == {
        "id": "",
        "name": "notes.txt",
        "size": len(samples.TEXT),
        "type": "text/plain",
        "sha256": hashlib.sha256(samples.TEXT).hexdigest(),
        "state": "ready",
        "collection": "files",
        "created_at": "",
        "expires_at": None,
        "url": "",
    }
    assert answer.headers["location"] == record["url"] == f"/files/{record['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert browser.ask("GET", record["url"]).body == samples.TEXT


def test_a_form_becomes_files_and_fields(browser: Browser) -> None:
    body, headers = form(
        ("user_id", None, b"12345", None),
        ("file", "me.png", samples.image("PNG"), "image/png"),
        ("empty", "", b"", "application/octet-stream"),
        ("tag", None, "größe".encode(), None),
        ("tag", None, b"two", None),
        ("other", "Übersicht.txt", samples.TEXT, "text/plain"),
    )
    answer = browser.ask("POST", "/uploads/files", body, headers)
    assert answer.status == 201, answer
    document = answer.json()
    assert [(file["name"], file["type"]) for file in document["files"]] == [
        ("me.png", "image/png"),
        ("Übersicht.txt", "text/plain"),
    ]
    assert document["fields"] == {"user_id": "12345", "tag": ["größe", "two"]}
    assert "location" not in answer.headers


def test_a_form_with_one_file_says_where_it_is(browser: Browser) -> None:
    body, headers = form(("file", "a.txt", samples.TEXT, None))
    answer = browser.ask("POST", "/uploads/files", body, headers)
    assert answer.headers["location"] == answer.json()["files"][0]["url"]


def test_a_large_body_passes_in_pieces(browser: Browser) -> None:
    content = os.urandom(5_000_000)
    headers = {"Content-Type": "application/octet-stream"}
    record = browser.ask("POST", "/uploads/files", content, headers).json()
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    body, headers = form(("file", "noise.bin", content, None))
    record = browser.ask("POST", "/uploads/files", body, headers).json()["files"][0]
    assert record["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_chunked_body_passes(browser: Browser, shell: str) -> None:
    request = (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n"
        b"Content-Type: text/plain\r\n\r\n5\r\nhello\r\n7\r\n, world\r\n0\r\n\r\n"
    ) % (browser.token or "").encode()
    head, _, body = browser.raw(request).partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"201", head
    assert json.loads(body)["size"] == 12


HTML_AS_PNG = form(("file", "me.png", samples.HTML, "image/png"))
ONE_OF_TWO_BAD = form(
    ("a", "good.txt", samples.TEXT, "text/plain"), ("b", "bad.png", samples.HTML, "image/png")
)
UNFINISHED = (form(("file", "a.txt", samples.TEXT, None))[0][:-10], HTML_AS_PNG[1])

# What is sent (path, body, headers) and what comes back (status, code).
REFUSED_UPLOADS = {
    "unknown collection": ("/uploads/nowhere", b"x", {}, 404, "not-found"),
    "html as text": ("/uploads/files", samples.HTML, TEXT_HEADERS, 415, "active-content"),
    "html as a picture, in a form": ("/uploads/images", *HTML_AS_PNG, 415, "active-content"),
    "one of two files is bad": ("/uploads/files", *ONE_OF_TWO_BAD, 415, "active-content"),
    "a pdf among images": (
        "/uploads/images", samples.PDF, {"Content-Type": "application/pdf"}, 415, "type-not-allowed",
    ),
    "declared too large": ("/uploads/small", b"x" * 100_001, {}, 413, "too-large"),
    "a part that is too large": (
        "/uploads/small", *form(("file", "a.txt", b"x" * 100_001, None)), 413, "too-large",
    ),
    "an unfinished form": ("/uploads/files", *UNFINISHED, 400, "malformed-multipart"),
    "a form without a boundary": (
        "/uploads/files", b"x", {"Content-Type": "multipart/form-data"}, 400, "malformed-multipart",
    ),
    "a form without a file": (
        "/uploads/files", *form(("a", None, b"b", None)), 400, "bad-request",
    ),
    "a form of the other kind": (
        "/uploads/files", b"a=b", {"Content-Type": "application/x-www-form-urlencoded"},
        415, "unsupported-encoding",
    ),
    "a compressed body": (
        "/uploads/files", b"\x1f\x8b", {"Content-Encoding": "gzip"}, 415, "unsupported-encoding",
    ),
    "a path for a name": (
        "/uploads/files", *form(("file", "../x.txt", samples.TEXT, None)), 422, "name-rejected",
    ),
    "300 characters for a name": (
        "/uploads/files", *form(("file", "x" * 300, samples.TEXT, None)), 422, "name-rejected",
    ),
    "a name that reads backwards": (
        "/uploads/files", *form(("file", "gpj\u202etxt.exe", samples.TEXT, None)), 422, "name-rejected",
    ),
    "a malformed name": (
        "/uploads/files", b"x", {"Content-Disposition": 'attachment; filename="a'}, 400, "bad-request",
    ),
    "a tus creation without a length": (
        "/uploads/files", b"", {"Tus-Resumable": "1.0.0"}, 400, "bad-request",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED_UPLOADS.values(), ids=list(REFUSED_UPLOADS))
def test_a_bad_upload_gets_a_problem_and_leaves_nothing(
    browser: Browser, tmp_path: Path, case: tuple[str, bytes, dict[str, str], int, str]
) -> None:
    path, body, headers, status, code = case
    answer = browser.ask("POST", path, body, headers)
    assert (answer.status, answer.code) == (status, code), answer
    assert answer.headers["content-type"] == "application/problem+json"
    assert blobs_on_disk(tmp_path / "data") == []
    assert browser.ask("GET", "/files").json() == {"files": [], "next": None}


def test_a_body_without_a_length_is_411(browser: Browser) -> None:
    request = (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Authorization: Bearer %s\r\n\r\n"
    ) % (browser.token or "").encode()
    head, _, body = browser.raw(request).partition(b"\r\n\r\n")
    assert head.split(b" ")[1] == b"411"
    assert json.loads(body)["code"] == "length-required"


def test_a_body_cut_short_leaves_nothing(browser: Browser, tmp_path: Path) -> None:
    request = (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
        b"Content-Length: 100000\r\nContent-Type: application/octet-stream\r\n\r\n"
    ) % (browser.token or "").encode()
    answer = browser.raw(request + b"\1" * 50_000, half_close=True)
    # Some hosts close without a word once the client has; none may say that it worked.
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert browser.ask("GET", "/files").json()["files"] == []
    assert blobs_on_disk(tmp_path / "data") == []


def test_a_full_disk_is_507_and_the_service_goes_on(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wharfinger.stores.local import LocalStaging

    def full(self: LocalStaging, data: bytes) -> None:
        from wharfinger.errors import StorageFull

        raise StorageFull("/secret/path is full")

    with monkeypatch.context() as patch:
        patch.setattr(LocalStaging, "write", full)
        answer = browser.ask("POST", "/uploads/files", samples.TEXT, TEXT_HEADERS)
    assert (answer.status, answer.code) == (507, "storage-full")
    assert b"secret" not in answer.body
    put(browser)


# --- out ----------------------------------------------------------------------------------

SAFE_HEADERS = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "default-src 'none'; sandbox; frame-ancestors 'none'",
    "x-frame-options": "DENY",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "cache-control": "private, no-store",
    "accept-ranges": "bytes",
}


def test_a_file_is_delivered_with_everything_that_keeps_it_harmless(browser: Browser) -> None:
    record = put(browser).json()
    answer = browser.ask("GET", record["url"])
    assert answer.status == 200
    assert answer.headers.items() >= SAFE_HEADERS.items()
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="notes.txt"'
    assert answer.headers["content-length"] == str(len(samples.TEXT))
    assert answer.headers["etag"] == f'"{record["sha256"]}"'
    assert "last-modified" in answer.headers


def test_head_says_what_get_would_and_sends_nothing(browser: Browser) -> None:
    record = put(browser).json()
    for path in (record["url"], f"{record['url']}/info", "/files", "/health/live", "/openapi.json"):
        got, head = browser.ask("GET", path), browser.ask("HEAD", path)
        drop = {"date"}
        assert head.body == b""
        assert head.status == got.status
        assert {k: v for k, v in head.headers.items() if k not in drop} == {
            k: v for k, v in got.headers.items() if k not in drop
        }


RANGES = {
    "the first bytes": ("bytes=0-3", 206, b"0123", "bytes 0-3/10"),
    "the rest": ("bytes=7-", 206, b"789", "bytes 7-9/10"),
    "the last bytes": ("bytes=-2", 206, b"89", "bytes 8-9/10"),
    "beyond the end": ("bytes=8-100", 206, b"89", "bytes 8-9/10"),
    "all of it": ("bytes=0-", 206, b"0123456789", "bytes 0-9/10"),
    "a unit nobody knows": ("lines=1-2", 200, b"0123456789", None),
    "backwards": ("bytes=3-1", 200, b"0123456789", None),
}


@pytest.mark.parametrize("case", RANGES.values(), ids=list(RANGES))
def test_a_range_is_sent(browser: Browser, case: tuple[str, int, bytes, str | None]) -> None:
    asked, status, body, content_range = case
    record = put(browser, b"0123456789").json()
    answer = browser.ask("GET", record["url"], headers={"Range": asked})
    assert (answer.status, answer.body) == (status, body)
    assert answer.headers.get("content-range") == content_range
    assert answer.headers["content-length"] == str(len(body))


def test_a_range_outside_is_416_and_says_the_length(browser: Browser) -> None:
    record = put(browser, b"0123456789").json()
    answer = browser.ask("GET", record["url"], headers={"Range": "bytes=10-"})
    assert (answer.status, answer.code) == (416, "range-not-satisfiable")
    assert answer.headers["content-range"] == "bytes */10"


def test_preconditions_are_kept(browser: Browser) -> None:
    record = put(browser, b"0123456789").json()
    etag = f'"{record["sha256"]}"'

    def status(**headers: str) -> int:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        return browser.ask("GET", record["url"], headers=sent).status

    assert status(If_None_Match=etag) == 304
    assert status(If_None_Match='"other"') == 200
    assert status(If_Match='"other"') == 412
    assert status(If_Match=etag, Range="bytes=0-1") == 206
    assert status(If_Range='"other"', Range="bytes=0-1") == 200
    assert status(If_Range=etag, Range="bytes=0-1") == 206
    unchanged = browser.ask("GET", record["url"], headers={"If-None-Match": etag})
    assert unchanged.body == b""
    assert unchanged.headers["etag"] == etag


def test_a_large_file_and_a_late_range_of_it_are_right(browser: Browser) -> None:
    content = os.urandom(4_000_000)
    record = browser.ask("POST", "/uploads/files", content, {"Content-Type": ""}).json()
    assert browser.ask("GET", record["url"]).body == content
    late = browser.ask("GET", record["url"], headers={"Range": "bytes=3000000-3999990"})
    assert late.body == content[3_000_000:3_999_991]


def test_an_empty_file_is_a_file(browser: Browser) -> None:
    record = put(browser, b"").json()
    answer = browser.ask("GET", record["url"])
    assert (answer.status, answer.body, answer.headers["content-length"]) == (200, b"", "0")


def test_a_name_from_far_away_survives(browser: Browser) -> None:
    body, headers = form(("file", 'Übersicht "neu".txt'.replace('"', "%22"), samples.TEXT, None))
    record = browser.ask("POST", "/uploads/files", body, headers).json()["files"][0]
    assert record["name"] == 'Übersicht "neu".txt'
    disposition = browser.ask("GET", record["url"]).headers["content-disposition"]
    assert "filename*=UTF-8''%C3%9Cbersicht%20%22neu%22.txt" in disposition


# --- records ------------------------------------------------------------------------------


def test_records_are_shown_listed_and_removed(browser: Browser) -> None:
    records = [put(browser, bytes([65 + number])).json() for number in range(3)]
    assert browser.ask("GET", f"{records[0]['url']}/info").json() == records[0]
    first = browser.ask("GET", "/files?limit=2").json()
    assert first["files"] == [records[2], records[1]]
    second = browser.ask("GET", f"/files?limit=2&after={first['next']}").json()
    assert second == {"files": [records[0]], "next": None}
    assert browser.ask("GET", "/files?collection=images").json()["files"] == []
    gone = browser.ask("DELETE", records[0]["url"])
    assert (gone.status, gone.body) == (204, b"")
    for method, path in (("GET", ""), ("GET", "/info"), ("DELETE", ""), ("GET", "/links")):
        assert browser.ask(method, records[0]["url"] + path).status == 404


@pytest.mark.parametrize(
    "query", ["limit=0", "limit=1001", "limit=x", "colection=a", "limit=1&limit=2", "limit=%ff"]
)
def test_a_wrong_query_is_400(browser: Browser, query: str) -> None:
    assert browser.ask("GET", f"/files?{query}").status == 400


def test_the_rules_are_open_to_all(browser: Browser) -> None:
    browser.token = None
    rules = browser.ask("GET", "/policy/images").json()
    assert rules["max_size"] == 5 * 1024 * 1024
    assert "image/png" in rules["types"]
    assert browser.ask("GET", "/policy/nowhere").status == 404


# --- links --------------------------------------------------------------------------------


def link_to(browser: Browser, record: dict[str, object], **wishes: object) -> dict[str, object]:
    answer = browser.ask("POST", f"{record['url']}/links", json.dumps(wishes).encode())
    assert answer.status == 201, answer
    link: dict[str, object] = answer.json()
    return link


def path_of(link: dict[str, object]) -> str:
    return urlsplit(str(link["url"])).path


def test_a_link_delivers_to_a_stranger(browser: Browser) -> None:
    record = put(browser).json()
    link = link_to(browser, record, download_name="für dich.txt", expires_in=60)
    assert str(link["url"]).startswith(browser.url + "/d/")
    stranger = Browser(browser.url)
    answer = stranger.ask("GET", path_of(link))
    assert (answer.status, answer.body) == (200, samples.TEXT)
    assert answer.headers.items() >= SAFE_HEADERS.items()
    assert "f%C3%BCr%20dich.txt" in answer.headers["content-disposition"]
    assert stranger.ask("HEAD", path_of(link)).status == 200
    assert stranger.ask("GET", path_of(link), headers={"Range": "bytes=0-1"}).status == 206
    assert stranger.ask("POST", path_of(link)).status == 405


def test_a_link_without_wishes_needs_no_body(browser: Browser) -> None:
    record = put(browser).json()
    link = browser.ask("POST", f"{record['url']}/links", b"").json()
    assert (link["max_downloads"], link["downloads"]) == (None, 0)


def test_a_limited_link_counts_downloads_and_nothing_else(browser: Browser) -> None:
    record = put(browser).json()
    link = link_to(browser, record, max_downloads=2)
    path, etag = path_of(link), f'"{record["sha256"]}"'
    assert browser.ask("HEAD", path).status == 200
    assert browser.ask("GET", path, headers={"If-None-Match": etag}).status == 304
    assert browser.ask("GET", path, headers={"If-Match": '"other"'}).status == 412
    listed = browser.ask("GET", f"{record['url']}/links").json()["links"]
    assert [(one["id"], one["downloads"]) for one in listed] == [(link["id"], 0)]
    assert browser.ask("GET", path, headers={"Range": "bytes=0-"}).body == samples.TEXT
    assert browser.ask("GET", path).status == 200
    for method in ("GET", "HEAD"):
        assert browser.ask(method, path).status == 404
    assert soon(lambda: browser.ask("GET", f"{record['url']}/links").json() == {"links": []})


def test_a_revoked_link_is_gone(browser: Browser) -> None:
    link = link_to(browser, put(browser).json())
    assert browser.ask("DELETE", f"/links/{link['id']}").status == 204
    assert browser.ask("GET", path_of(link)).status == 404
    assert browser.ask("DELETE", f"/links/{link['id']}").status == 404


def test_forged_absent_and_expired_links_get_one_answer(browser: Browser, wharf: Wharf) -> None:
    path = path_of(link_to(browser, put(browser).json()))
    answers = [
        browser.ask("GET", other)
        for other in (path[:-1] + ("A" if path[-1] != "A" else "B"), "/d/x", "/d/" + "0" * 76)
    ]
    assert {(answer.status, answer.body) for answer in answers} == {(404, answers[0].body)}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"[]", 400),
        (b"{", 400),
        (b'{"expires_in": "1 h"}', 400),
        (b'{"expires_in": true}', 400),
        (b'{"expires_in": 0}', 400),
        (b'{"expire_in": 60}', 400),
        (b'{"password": "x"}', 400),
        (b'{"password": 12345678}', 400),
        (b'{"passwort": "correct horse"}', 400),
        (b'{"download_name": "../x"}', 422),
        (b'{"a":' * 5000 + b"1" + b"}" * 5000, 413),
        (b"[" * 9000, 400),
    ],
)
def test_a_wrong_wish_for_a_link_is_refused(browser: Browser, body: bytes, status: int) -> None:
    record = put(browser).json()
    assert browser.ask("POST", f"{record['url']}/links", body).status == status


# --- everything else ----------------------------------------------------------------------


def test_what_is_not_there_yet_is_404(browser: Browser) -> None:
    for method, path in (
        ("GET", "/"),
        ("GET", "/metrics"),
        ("GET", "/u/abc"),
        ("POST", "/u/abc"),
        ("HEAD", "/uploads/files/abc"),
        ("PATCH", "/uploads/files/abc"),
        ("GET", "/nothing/here"),
        ("GET", "/files/"),
        ("GET", "/%00"),
    ):
        assert browser.ask(method, path, b"" if method == "POST" else None).status == 404, path


def test_a_method_that_is_not_known_is_405_and_says_which_are(browser: Browser) -> None:
    record = put(browser).json()
    answer = browser.ask("PUT", record["url"], b"x")
    assert (answer.status, answer.code) == (405, "method-not-allowed")
    assert answer.headers["allow"] == "DELETE, GET, HEAD, OPTIONS"
    options = browser.ask("OPTIONS", record["url"])
    assert (options.status, options.headers["allow"]) == (204, "DELETE, GET, HEAD, OPTIONS")


@pytest.mark.parametrize("path", ["/uploads/files", "/uploads/files/a.txt"])
def test_a_put_of_a_file_is_told_to_be_a_post(browser: Browser, path: str) -> None:
    answer = browser.ask("PUT", path, b"x")
    assert (answer.status, answer.code) == (405, "method-not-allowed")
    assert answer.json()["hint"] == (
        "Files come by POST to /uploads/{collection}, as curl -F or curl -X POST -T send them."
    )


def test_health_tells_life_from_readiness(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser.token = None
    assert browser.ask("GET", "/health/live").json() == {"status": "live"}
    assert browser.ask("GET", "/health/ready").json() == {"status": "ready"}

    def away(self: Wharf) -> None:
        from wharfinger.errors import Unavailable

        raise Unavailable("the catalog is at /secret")

    monkeypatch.setattr(Wharf, "check", away)
    answer = browser.ask("GET", "/health/ready")
    assert (answer.status, answer.code) == (503, "unavailable")
    assert b"secret" not in answer.body


def test_an_unknown_error_shows_a_reference_and_nothing_else(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(self: Wharf, *args: object, **more: object) -> None:
        raise ZeroDivisionError("password hunter2 in /secret")

    monkeypatch.setattr(Wharf, "list_files", broken)
    answer = browser.ask("GET", "/files")
    assert (answer.status, answer.code) == (500, "internal")
    assert b"hunter2" not in answer.body
    assert answer.json()["reference"] in caplog.text
    assert "hunter2" in caplog.text


def test_the_token_of_another_sees_nothing(browser: Browser, wharf: Wharf) -> None:
    record = put(browser).json()
    link = link_to(browser, record)
    other = token(wharf)
    for method, path in (
        ("GET", record["url"]),
        ("GET", f"{record['url']}/info"),
        ("DELETE", record["url"]),
        ("POST", f"{record['url']}/links"),
        ("GET", f"{record['url']}/links"),
        ("DELETE", f"/links/{link['id']}"),
    ):
        body = b"{}" if method == "POST" else None
        theirs = browser.ask(method, path, body, token=other)
        absent = browser.ask(
            method,
            path.replace(record["id"], "0" * 32).replace(str(link["id"]), "0" * 32),
            body,
            token=other,
        )
        assert (theirs.status, theirs.body) == (404, absent.body), path
    assert browser.ask("GET", "/files", token=other).json()["files"] == []
    admin = token(wharf, "admin")
    assert browser.ask("GET", record["url"], token=admin).status == 200
    assert len(browser.ask("GET", "/files", token=admin).json()["files"]) == 1


NEEDS = [
    ("POST", "/uploads/files", "write"),
    ("GET", "/files", "read"),
    ("GET", "/files/{id}", "read"),
    ("DELETE", "/files/{id}", "write"),
    ("GET", "/files/{id}/info", "read"),
    ("POST", "/files/{id}/links", "share"),
    ("GET", "/files/{id}/links", "share"),
    ("DELETE", "/links/{link}", "share"),
]


@pytest.mark.parametrize(
    ("method", "pattern", "scope"), NEEDS, ids=[f"{m} {p}" for m, p, _ in NEEDS]
)
def test_the_gate_asks_for_a_token_then_for_the_scope_then_looks(
    browser: Browser, wharf: Wharf, method: str, pattern: str, scope: str
) -> None:
    record = put(browser).json()
    link = link_to(browser, record)
    body = b"x" if method == "POST" else None
    lacking = token(wharf, *({"read", "write", "share"} - {scope}))
    for file_id, link_id in ((record["id"], link["id"]), ("0" * 32, "0" * 32)):
        path = pattern.format(id=file_id, link=link_id)
        nobody = browser.ask(method, path, body, token="")
        browser.token, kept = None, browser.token
        nobody = browser.ask(method, path, body)
        assert nobody.status == 401
        assert nobody.headers["www-authenticate"] == 'Bearer realm="wharfinger"'
        wrong = browser.ask(method, path, body, token="whf_" + "A" * 43)
        assert wrong.status == 401
        assert 'error="invalid_token"' in wrong.headers["www-authenticate"]
        for odd in ("Bearer", "Bearer ", "Bearer a b", f"bearer  {lacking} x"):
            assert browser.ask(method, path, body, {"Authorization": odd}).status == 401
        without = browser.ask(method, path, body, token=lacking)
        assert (without.status, without.code) == (403, "forbidden")
        assert f'scope="{scope}"' in without.headers["www-authenticate"]
        browser.token = kept
    assert browser.ask("GET", record["url"]).status == 200


def test_a_token_for_one_collection_sees_no_other(browser: Browser, wharf: Wharf) -> None:
    put(browser)
    confined = token(wharf, "admin", collections=["images"])
    assert browser.ask("GET", "/files", token=confined).json()["files"] == []
    refused = browser.ask("POST", "/uploads/files", b"x", token=confined)
    assert refused.status == 404
    assert (
        browser.ask("POST", "/uploads/images", samples.image("PNG"), token=confined).status == 201
    )


def test_files_of_a_public_collection_are_open_to_all(browser: Browser) -> None:
    record = put(browser, collection="public").json()
    private = put(browser).json()
    stranger = Browser(browser.url)
    answer = stranger.ask("GET", record["url"])
    assert (answer.status, answer.body) == (200, samples.TEXT)
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert stranger.ask("GET", record["url"], token="whf_" + "A" * 43).status == 200
    assert stranger.ask("GET", f"{record['url']}/info").status == 401
    assert stranger.ask("DELETE", record["url"]).status == 401
    assert stranger.ask("GET", private["url"]).status == 401
    assert stranger.ask("GET", "/files/" + "0" * 32).status == 401


def test_the_description_names_every_route(browser: Browser) -> None:
    document = browser.ask("GET", "/openapi.json").json()
    described = {
        (method.upper(), path) for path, methods in document["paths"].items() for method in methods
    }
    assert described >= {
        (method, path.replace("uploads/files", "uploads/{collection}")) for method, path, _ in NEEDS
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
            assert named == {part[1:-1] for part in path.split("/") if part.startswith("{")}


# --- attacks ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=",
        "multipart/form-data; boundary=XX; boundary=YY",
        "text/plain; a=b; a=c",
        "nonsense",
    ],
)
def test_a_malformed_content_type_is_an_error_and_no_file(
    browser: Browser, tmp_path: Path, content_type: str
) -> None:
    answer = browser.ask("POST", "/uploads/files", samples.TEXT, {"Content-Type": content_type})
    assert answer.status == 400
    assert blobs_on_disk(tmp_path / "data") == []


def test_a_coding_besides_chunked_is_not_stored(browser: Browser, tmp_path: Path) -> None:
    request = (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Authorization: Bearer %s\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    ) % (browser.token or "").encode()
    answer = browser.raw(request)
    assert b" 201 " not in answer.split(b"\r\n")[0]
    assert blobs_on_disk(tmp_path / "data") == []


# Not Flask: gunicorn refuses both at once, Werkzeug's server is for development.
@pytest.mark.parametrize("shell", ["server", "asgi"], indirect=True)
def test_a_length_and_chunks_at_once_are_not_stored(browser: Browser, tmp_path: Path) -> None:
    request = (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        b"Authorization: Bearer %s\r\nContent-Length: 15\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"5\r\nhello\r\n0\r\n\r\n"
    ) % (browser.token or "").encode()
    answer = browser.raw(request)
    assert b" 201 " not in answer.split(b"\r\n")[0]
    assert blobs_on_disk(tmp_path / "data") == []


@pytest.mark.parametrize("name", ["x.ht\u200bml", "x.ht\u00adml", "x.ht\U000e0041ml", "x.ｈｔｍｌ"])
def test_the_name_that_is_judged_is_the_name_that_is_announced(browser: Browser, name: str) -> None:
    body, headers = form(("file", name, samples.image("GIF"), "image/gif"))
    assert browser.ask("POST", "/uploads/images", body, headers).status == 422
    record = put(browser).json()
    wish = json.dumps({"download_name": name}).encode()
    assert browser.ask("POST", f"{record['url']}/links", wish).status == 422


@pytest.mark.parametrize("name", ["x.html", "x.html.", "x.html. ", "x.mhtml", "x.pht", "x.wsf"])
def test_trailing_dots_and_rare_extensions_hide_nothing(browser: Browser, name: str) -> None:
    body, headers = form(("file", name, samples.image("GIF"), "image/gif"))
    assert browser.ask("POST", "/uploads/images", body, headers).status == 415


def test_a_link_does_not_give_a_file_another_extension(browser: Browser) -> None:
    record = put(browser).json()
    for name, status in (("report.html", 422), ("report.txt", 201), ("report", 201)):
        wish = json.dumps({"download_name": name}).encode()
        assert browser.ask("POST", f"{record['url']}/links", wish).status == status


def test_a_damaged_stored_file_is_never_sent(browser: Browser, tmp_path: Path) -> None:
    for content in (os.urandom(1_000_000), os.urandom(1000)):
        record = browser.ask("POST", "/uploads/files", content, {"Content-Type": ""}).json()
        (path,) = (tmp_path / "data" / "files").rglob(record["id"])
        os.truncate(path, len(content) // 2)
        answer = browser.ask("GET", record["url"])
        assert answer.status == 500
        assert record["id"].encode() not in answer.body


def test_paging_from_somebody_elses_file_tells_nothing(browser: Browser, wharf: Wharf) -> None:
    put(browser)
    record = put(browser).json()
    other = token(wharf)
    browser.ask("POST", "/uploads/files", samples.TEXT, TEXT_HEADERS, token=other)
    theirs = browser.ask("GET", f"/files?after={record['id']}", token=other)
    absent = browser.ask("GET", f"/files?after={'0' * 32}", token=other)
    assert theirs.body == absent.body


def test_a_key_that_comes_twice_is_refused(browser: Browser) -> None:
    record = put(browser).json()
    body = b'{"max_downloads": 1, "max_downloads": 100}'
    assert browser.ask("POST", f"{record['url']}/links", body).status == 400


def test_a_public_file_is_cached_no_longer_than_it_lives(tmp_path: Path, shell: str) -> None:
    brief = Collection(name="brief", policy=Policy.anything(), expires_in=60, visibility="public")
    with make_wharf(tmp_path / "brief", collections=[brief]) as wharf, running(shell, wharf) as url:
        stored = wharf.receive([b"text"], collection="brief", name="a.txt")
        caching = Browser(url).ask("GET", f"/files/{stored.id}").headers["cache-control"]
        age = int(caching.partition("max-age=")[2].partition(",")[0])
        assert 50 <= age <= 60
