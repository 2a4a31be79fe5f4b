"""Sending files by a link, at every shell: all four forms, under the link's limits, for a receipt."""

from __future__ import annotations

import json
import re
import threading

import pytest

from support.content import ELF, PNG
from support.services import blobs_on_disk
from support.shells import Answered, Browser, form
from wharfinger import Wharf

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
HTML = {"Accept": "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"}
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {**TUS, "Content-Type": "application/offset+octet-stream"}
SHA256 = "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1"  # of b"text"


def ask_for_files(browser: Browser, **wishes: object) -> str:
    """Return the path of a new link."""
    body = json.dumps(wishes).encode()
    answer = browser.ask("POST", "/collections/files/links", body, JSON)
    assert answer.status == 201, answer.body
    url = str(answer.json()["url"])
    assert url == answer.headers["location"]
    assert url.startswith(browser.url)
    return url.removeprefix(browser.url)


def stranger(browser: Browser) -> Browser:
    return Browser(browser.url)


def test_a_link_is_made_listed_and_revoked(browser: Browser) -> None:
    wishes = {"expires_in": 60, "max_files": 3, "max_bytes": 1000, "types": ["text/*"]}
    path = ask_for_files(browser, **wishes)
    (listed,) = browser.ask("GET", "/collections/files/links").json()["links"]
    assert set(listed) == {
        "id", "url", "collection", "expires_at", "max_files", "max_bytes", "files_left",
        "bytes_left", "files", "bytes", "types",
    }  # fmt: skip
    assert listed["url"] == browser.url + path
    assert (listed["max_files"], listed["max_bytes"], listed["types"]) == (3, 1000, ["text/*"])
    assert browser.ask("DELETE", f"/links/{listed['id']}").status == 204
    assert browser.ask("DELETE", f"/links/{listed['id']}").status == 404
    assert browser.ask("GET", "/collections/files/links").json() == {"links": []}
    assert stranger(browser).ask("GET", path).status == 404


WRONG = {
    "an unknown key": {"max_downloads": 3},
    "text for a number": {"max_files": "3"},
    "truth for a number": {"max_files": True},
    "a number for types": {"types": 3},
    "a number among types": {"types": ["image/png", 3]},
    "no time": {"expires_in": 0},
    "no such type": {"types": "pictures"},
}


@pytest.mark.parametrize("wishes", WRONG.values(), ids=WRONG)
def test_wishes_that_make_no_sense_are_refused(browser: Browser, wishes: dict[str, object]) -> None:
    answer = browser.ask("POST", "/collections/files/links", json.dumps(wishes).encode(), JSON)
    assert answer.status == 400


def test_a_program_is_told_the_limits(browser: Browser) -> None:
    path = ask_for_files(browser, max_files=2, max_bytes=100, types=["image/png"])
    told = stranger(browser).ask("GET", path)
    assert told.status == 200
    document = told.json()
    assert (document["types"], document["max_size"]) == (["image/png"], 100)
    assert (document["files_left"], document["bytes_left"]) == (2, 100)
    assert "collection" not in document
    head = stranger(browser).ask("HEAD", path)
    assert (head.status, head.headers["content-length"]) == (200, told.headers["content-length"])


def receipt_of(answer: Answered) -> dict[str, object]:
    assert answer.status == 201, answer.body
    assert "location" not in answer.headers
    assert "content-location" not in answer.headers
    document = answer.json()
    (found,) = document.get("files", [document])
    return dict(found)


def check_kept(browser: Browser, receipt: dict[str, object], name: str) -> None:
    (record,) = browser.ask("GET", "/files").json()["files"]
    assert {key: receipt[key] for key in ("name", "size", "type", "sha256", "state")} == {
        "name": name, "size": 4, "type": "text/plain", "sha256": SHA256, "state": "ready",
    }  # fmt: skip
    assert set(receipt) == {"name", "size", "type", "sha256", "state", "received_at"}
    assert record["sha256"] == SHA256
    assert record["id"] not in json.dumps(receipt)


def test_a_form_is_answered_with_a_receipt(browser: Browser) -> None:
    path = ask_for_files(browser)
    body, fields = form(("file", "a.txt", b"text", "text/plain"), ("note", None, b"hello", None))
    answer = stranger(browser).ask("POST", path, body, fields)
    assert set(answer.json()) == {"files"}
    check_kept(browser, receipt_of(answer), "a.txt")


def test_raw_bytes_are_answered_with_a_receipt(browser: Browser) -> None:
    path = ask_for_files(browser)
    disposition = {"Content-Disposition": 'attachment; filename="b.txt"'}
    answer = stranger(browser).ask("POST", path, b"text", {**TEXT, **disposition})
    check_kept(browser, receipt_of(answer), "b.txt")


def test_tus_works_below_the_link(browser: Browser) -> None:
    path, sender = ask_for_files(browser, max_files=1, max_bytes=100), stranger(browser)
    options = sender.ask("OPTIONS", path)
    assert (options.status, options.headers["tus-version"]) == (204, "1.0.0")
    assert options.headers["tus-max-size"] == "100"
    assert "max-size=100," in options.headers["upload-limit"]
    made = sender.ask("POST", path, b"", {**TUS, "Upload-Length": "4"})
    assert made.status == 201
    where = made.headers["location"]
    assert where.startswith(f"{path}/")
    assert sender.ask("PATCH", where, b"te", {**BYTES, "Upload-Offset": "0"}).status == 204
    assert sender.ask("HEAD", where, headers=TUS).headers["upload-offset"] == "2"
    ended = sender.ask("PATCH", where, b"xt", {**BYTES, "Upload-Offset": "2"})
    assert (ended.status, ended.headers["upload-offset"]) == (204, "4")
    assert "content-location" not in ended.headers
    # The link is used up with it, and the sender can still ask how it ended.
    assert sender.ask("HEAD", where, headers=TUS).headers["upload-offset"] == "4"
    assert sender.ask("GET", where).status == 405
    (record,) = browser.ask("GET", "/files").json()["files"]
    assert record["sha256"] == SHA256


def test_the_resumable_protocol_works_below_the_link(browser: Browser) -> None:
    path, sender = ask_for_files(browser, max_bytes=100), stranger(browser)
    made = sender.ask("POST", path, b"te", {**TEXT, "Upload-Complete": "?0", "Upload-Length": "4"})
    assert made.status == 201
    where = made.headers["location"]
    assert where.startswith(f"{path}/")
    assert "max-size=100," in made.headers["upload-limit"]
    more = {"Content-Type": "application/partial-upload", "Upload-Complete": "?1"}
    ended = sender.ask("PATCH", where, b"xt", {**more, "Upload-Offset": "2"})
    check_kept(browser, receipt_of(ended), "file.txt")
    assert sender.ask("HEAD", where).headers["upload-complete"] == "?1"


@pytest.mark.parametrize("protocol", ["tus", "resumable"])
def test_an_upload_is_reached_through_its_own_link_alone(browser: Browser, protocol: str) -> None:
    one, other = ask_for_files(browser), ask_for_files(browser)
    begin = {**TUS, "Upload-Length": "4"} if protocol == "tus" else {"Upload-Complete": "?0"}
    asking = TUS if protocol == "tus" else {}
    made = stranger(browser).ask("POST", one, b"", begin)
    upload = made.headers["location"].rpartition("/")[2]
    assert stranger(browser).ask("HEAD", f"{one}/{upload}", headers=asking).status in (200, 204)
    for path in (f"{other}/{upload}", f"/uploads/files/{upload}"):
        assert browser.ask("HEAD", path, headers=asking).status == 404
        assert browser.ask("DELETE", path, headers=asking).status == 404


BEGIN = {
    "tus": {"Tus-Resumable": "1.0.0", "Upload-Length": "4"},
    "IETF": {"Upload-Complete": "?0", "Upload-Length": "4"},
}


@pytest.mark.parametrize("fields", BEGIN.values(), ids=BEGIN)
@pytest.mark.parametrize("wishes", [{"max_files": 2}, {"max_bytes": 8}], ids=["files", "bytes"])
def test_a_link_holds_no_more_open_uploads_than_files_may_come_by_it(
    browser: Browser, fields: dict[str, str], wishes: dict[str, int]
) -> None:
    path = ask_for_files(browser, **wishes)
    begun = [stranger(browser).ask("POST", path, b"", fields) for _ in range(3)]
    assert [answer.status for answer in begun] == [201, 201, 413]
    assert begun[2].code == "quota-exceeded"
    assert "ten minutes" in begun[2].json()["hint"]
    ended = stranger(browser).ask(
        "DELETE", begun[0].headers["location"], headers={"Tus-Resumable": "1.0.0"}
    )
    assert ended.status == 204
    assert stranger(browser).ask("POST", path, b"", fields).status == 201


def test_a_link_for_one_file_takes_it_in_parallel_parts(browser: Browser) -> None:
    path = ask_for_files(browser, max_files=1)
    sender = stranger(browser)
    tus = {"Tus-Resumable": "1.0.0", "Content-Type": "application/offset+octet-stream"}
    parts = []
    for content in (b"one ", b"two"):
        fields = {**tus, "Upload-Length": str(len(content)), "Upload-Concat": "partial"}
        parts.append(sender.ask("POST", path, content, fields).headers["location"])
    whole = {"Tus-Resumable": "1.0.0", "Upload-Concat": f"final;{' '.join(parts)}"}
    assert sender.ask("POST", path, None, whole).status == 201
    (record,) = browser.ask("GET", "/files").json()["files"]
    assert record["size"] == 7


def test_what_a_link_does_not_permit_is_refused(browser: Browser, wharf: Wharf) -> None:
    path, sender = ask_for_files(browser, max_bytes=10, types=["text/plain"]), stranger(browser)
    png = {"Content-Type": "image/png"}
    cases = {
        "too long, and it says so": sender.ask("POST", path, b"x" * 11, TEXT),
        "another type": sender.ask("POST", path, PNG[:10], png),
        "tus, too long": sender.ask("POST", path, b"", {**TUS, "Upload-Length": "11"}),
        "a form that is too long": sender.ask("POST", path, *form(
            ("file", "a.txt", b"123456", None), ("file", "b.txt", b"12345", None))),
    }  # fmt: skip
    codes = {name: (answer.status, answer.code) for name, answer in cases.items()}
    assert codes == {
        "too long, and it says so": (413, "too-large"),
        "another type": (415, "type-not-allowed"),
        "tus, too long": (413, "too-large"),
        "a form that is too long": (413, "too-large"),
    }
    assert browser.ask("GET", "/files").json()["files"] == []
    assert blobs_on_disk(wharf.settings.data) == []


def test_a_form_with_more_files_than_are_left_keeps_none(browser: Browser) -> None:
    path = ask_for_files(browser, max_files=2)
    body, fields = form(*(("file", f"{n}.txt", b"text", None) for n in range(3)))
    answer = stranger(browser).ask("POST", path, body, fields)
    assert 400 <= answer.status < 500
    assert browser.ask("GET", "/files").json()["files"] == []
    assert stranger(browser).ask("GET", path).json()["files_left"] == 2


def test_of_many_senders_at_once_as_many_pass_as_may(browser: Browser) -> None:
    path, statuses = ask_for_files(browser, max_files=5), list[int]()

    def send() -> None:
        statuses.append(stranger(browser).ask("POST", path, b"text", TEXT).status)

    threads = [threading.Thread(target=send) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [201] * 5 + [404] * 15
    assert len(browser.ask("GET", "/files").json()["files"]) == 5


def test_dead_links_answer_alike(browser: Browser, wharf: Wharf) -> None:
    used_up = ask_for_files(browser, max_files=1)
    assert stranger(browser).ask("POST", used_up, b"text", TEXT).status == 201
    revoked = ask_for_files(browser)
    wharf.upload_links.revoke(revoked.rpartition("/")[2].partition(".")[0])
    live = ask_for_files(browser)
    dead = [
        used_up,
        revoked,
        live + "x",
        live[:-1],
        "/u/nothing",
        "/u/" + "0" * 32 + "." + "A" * 43,
    ]
    sender = stranger(browser)
    for fields in ({}, HTML):
        answers = [sender.ask(method, path, body, {**TEXT, **fields})
                   for path in dead for method, body in (("GET", None), ("POST", b"text"))]  # fmt: skip
        assert {answer.status for answer in answers} == {404}
        assert len({answer.body for answer in answers}) == 1
        html = answers[0].headers["content-type"] == "text/html; charset=utf-8"
        assert html is bool(fields)


def test_idempotency_keys_work_for_senders(browser: Browser) -> None:
    path, sender = ask_for_files(browser, max_files=2), stranger(browser)
    key = {**TEXT, "Idempotency-Key": '"once"'}
    first, again = (sender.ask("POST", path, b"text", key) for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body)
    assert sender.ask("GET", path).json()["files_left"] == 1


@pytest.mark.parametrize("kind", ["raw", "form"])
def test_two_senders_with_one_key_never_get_each_others_receipt(
    browser: Browser, wharf: Wharf, kind: str
) -> None:
    path = ask_for_files(browser)
    answers = []
    for content in (b"first", b"other", b"first"):
        body, fields = content, TEXT
        if kind == "form":
            body, fields = form(("file", "a.txt", content, None))
        answers.append(
            stranger(browser).ask("POST", path, body, {**fields, "Idempotency-Key": "upload-1"})
        )
    assert [answer.status for answer in answers] == [201, 422, 201]
    assert answers[1].code == "idempotency-key-reused"
    assert answers[2].body == answers[0].body
    assert len(wharf.list_files()[0]) == 1


@pytest.mark.parametrize("kind", ["raw", "form"])
def test_the_answer_to_the_last_file_of_a_link_is_given_again(browser: Browser, kind: str) -> None:
    path, sender = ask_for_files(browser, max_files=1), stranger(browser)
    body, fields = (b"text", TEXT) if kind == "raw" else form(("file", "a.txt", b"text", None))
    key = {**fields, "Idempotency-Key": '"once"'}
    first, again = (sender.ask("POST", path, body, key) for _ in range(2))
    assert (first.status, again.status) == (201, 201)
    assert first.body == again.body
    dead = sender.ask("POST", path, body, {**fields, "Idempotency-Key": '"another"'})
    assert (dead.status, dead.body) == (404, sender.ask("POST", path, body, fields).body)


# --- pages --------------------------------------------------------------------------------


def page_of(answer: Answered) -> str:
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; style-src 'sha256-")
    assert "form-action 'self'" in policy
    assert answer.headers["cache-control"] == "no-store"
    text = answer.body.decode()
    assert "<script" not in text
    assert not re.search(r"\son\w+=|javascript:|https?://", text)
    return text


def test_a_browser_gets_a_form_that_says_the_limits(browser: Browser) -> None:
    path = ask_for_files(browser, max_files=3, max_bytes=2048, types=["image/png", "text/plain"])
    text = page_of(stranger(browser).ask("GET", path, headers=HTML))
    assert '<form method="post" enctype="multipart/form-data">' in text
    assert ' multiple accept="image/png,text/plain">' in text
    for term in ("2.0 KiB", "3 of 3", "image/png, text/plain", "UTC"):
        assert term in text


def test_a_link_for_one_file_asks_for_one(browser: Browser) -> None:
    path = ask_for_files(browser, max_files=1, types="images")
    text = page_of(stranger(browser).ask("GET", path, headers=HTML))
    assert "multiple" not in text
    assert "<dd>images</dd>" in text


def test_a_browser_gets_a_receipt_page_with_names_escaped(browser: Browser) -> None:
    path = ask_for_files(browser, max_files=3)
    body, fields = form(
        ("file", "<img src=x onerror=alert(1)>.txt", b"text", "text/plain"),
        ("file", "b.txt", b"text", "text/plain"),
    )
    answer = stranger(browser).ask("POST", path, body, {**fields, **HTML})
    assert answer.status == 201
    text = answer.body.decode()
    assert "2 files received" in text
    assert "&lt;img src=x onerror=alert(1)&gt;.txt" in text
    assert "<img" not in text
    assert text.count(SHA256) == 2
    assert 'href=""' in text
    for record in browser.ask("GET", "/files").json()["files"]:
        assert record["id"] not in text
    last = stranger(browser).ask("POST", path, b"text", {**TEXT, **HTML})
    assert "used up" in page_of(last)


REFUSED = {
    "a program": (form(("file", "a.txt", ELF, None)), "Linux program"),
    "no file picked": (form(("file", "", b"", "application/octet-stream")), "no file"),
    "no form": ((b"a=b", {"Content-Type": "application/x-www-form-urlencoded"}), "without files"),
}


@pytest.mark.parametrize(("sent", "said"), REFUSED.values(), ids=REFUSED)
def test_a_browser_is_told_in_a_page_why_nothing_was_kept(
    browser: Browser, sent: tuple[bytes, dict[str, str]], said: str
) -> None:
    path = ask_for_files(browser)
    answer = stranger(browser).ask("POST", path, sent[0], {**sent[1], **HTML})
    assert 400 <= answer.status < 500
    text = page_of(answer)
    assert said in text
    assert "Nothing was kept." in text
    assert 'href=""' in text
