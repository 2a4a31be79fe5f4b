"""IETF resumable uploads at each shell. The numbers are those of the draft's rules in our checklist.

Every request is written out; what it must come to is from the draft.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import re
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support import samples
from support.require import program
from support.services import blobs_on_disk, make_wharf, token
from support.shells import Answered, Browser, running, stand_alone
from wharfinger import Wharf
from wharfinger.catalog import uploads as statements

PARTIAL = {"Content-Type": "application/partial-upload"}
REGISTRY = "https://iana.org/assignments/http-problem-types#"
PNG_FILE = samples.image("PNG")
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 24


def begin(browser: Browser, *, collection: str = "files", **fields: str) -> str:
    """Create an empty upload and return its path."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    answer = browser.ask("POST", f"/uploads/{collection}", b"", {"Upload-Complete": "?0", **named})
    assert answer.status == 201, answer.body
    return answer.headers["location"]


def append(
    browser: Browser, path: str, offset: int, data: bytes, complete: str = "?0", **more: str
) -> Answered:
    fields = {"Upload-Offset": str(offset), "Upload-Complete": complete, **PARTIAL}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    return browser.ask("PATCH", path, data, fields)


def stands(browser: Browser, path: str) -> tuple[str, str]:
    answer = browser.ask("HEAD", path)
    return answer.headers["upload-complete"], answer.headers["upload-offset"]


def content(browser: Browser, record: Mapping[str, str]) -> bytes:
    return browser.ask("GET", f"/files/{record['id']}").body


# --- fields -------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["true", "1", "?2", "?1, ?1", '"?1"', ""])
def test_rule_5_an_upload_complete_of_another_type_makes_an_ordinary_post(
    browser: Browser, value: str
) -> None:
    answer = browser.ask("POST", "/uploads/files", b"whole", {"Upload-Complete": value})
    assert answer.status == 201
    assert "upload-complete" not in answer.headers
    assert content(browser, answer.json()) == b"whole"


def test_rule_5_an_offset_of_another_type_is_none(browser: Browser) -> None:
    path = begin(browser)
    for value in ("-0.0", "1.0", '"0"', "1234567890123456"):
        assert append(browser, path, 0, b"x", Upload_Offset=value).status == 400, value
    assert stands(browser, path) == ("?0", "0")


# --- state --------------------------------------------------------------------------------


def test_rule_8_an_upload_that_reached_its_length_is_not_complete_before_it_says_so(
    browser: Browser,
) -> None:
    path = begin(browser, Upload_Length="4")
    answer = append(browser, path, 0, b"four")
    assert (answer.status, answer.headers["upload-complete"]) == (204, "?0")
    assert stands(browser, path) == ("?0", "4")
    done = append(browser, path, 4, b"", "?1")
    assert (done.status, done.headers["upload-complete"]) == (201, "?1")
    assert content(browser, done.json()) == b"four"


def test_rule_9_a_refusal_of_the_whole_is_marked_as_its_answer_and_stays(browser: Browser) -> None:
    path = begin(browser, Content_Type="image/png")
    refused = append(browser, path, 0, b"<html><script>alert(1)</script>", "?1")
    assert refused.status == 415
    assert refused.headers["upload-complete"] == "?1"
    later = browser.ask("HEAD", path)
    assert (later.status, later.headers["upload-complete"]) == (415, "?1")
    again = append(browser, path, 0, b"<html>", "?1")
    assert (again.status, again.code) == (415, refused.code)


@pytest.mark.parametrize(
    ("offset", "data", "complete", "length"),
    [(2, b"cd", "?1", ""), (2, b"c", "?0", "9"), (2, b"c", "?1", "3"), (2, b"cdef", "?1", "9")],
    ids=["the end comes early", "told otherwise", "both otherwise", "within one request"],
)
def test_rule_10_lengths_that_disagree_are_refused_and_nothing_is_kept(
    browser: Browser, offset: int, data: bytes, complete: str, length: str
) -> None:
    path = begin(browser, Upload_Length="6")
    assert append(browser, path, 0, b"ab").status == 204
    more = {"Upload_Length": length} if length else {}
    answer = append(browser, path, offset, data, complete, **more)
    assert (answer.status, answer.headers["upload-complete"]) == (400, "?0")
    assert answer.json()["type"] == f"{REGISTRY}inconsistent-upload-length"
    assert stands(browser, path) == ("?0", "2")
    assert append(browser, path, 2, b"cdef", "?1").status == 201


def test_rule_10_a_creation_whose_lengths_disagree_makes_nothing(browser: Browser) -> None:
    answer = browser.ask(
        "POST", "/uploads/files", b"12345", {"Upload-Complete": "?1", "Upload-Length": "6"}
    )
    assert answer.status == 400
    assert answer.json()["type"] == f"{REGISTRY}inconsistent-upload-length"
    more = {"Upload-Complete": "?0", "Upload-Length": "4"}
    assert browser.ask("POST", "/uploads/files", b"12345", more).status == 400


def test_rules_11_and_12_addresses_are_long_random_and_relative(browser: Browser) -> None:
    paths = {begin(browser) for _ in range(3)}
    assert len(paths) == 3
    assert all(re.fullmatch(r"/uploads/files/[0-9a-f]{32}", path) for path in paths)


# --- OPTIONS ------------------------------------------------------------------------------


def test_rule_14_options_announces_the_limits_and_so_do_creation_and_head(
    browser: Browser,
) -> None:
    answer = browser.ask("OPTIONS", "/uploads/small")
    assert answer.headers["upload-limit"] == "max-size=100000, min-size=0, max-age=86400"
    assert "accept-patch" not in answer.headers  # rule 16
    path = begin(browser, collection="small")
    found = browser.ask("HEAD", path).headers["upload-limit"]
    assert re.fullmatch(r"max-size=100000, min-size=0, max-age=86[34]\d\d", found)


def test_rule_15_what_is_over_the_announced_limit_is_refused_with_it(browser: Browser) -> None:
    fields = {"Upload-Complete": "?0", "Upload-Length": "100001"}
    answer = browser.ask("POST", "/uploads/small", b"", fields)
    assert (answer.status, answer.headers["upload-complete"]) == (413, "?1")
    assert answer.headers["upload-limit"].startswith("max-size=100000, ")


# --- creation -----------------------------------------------------------------------------


def test_rule_21_a_creation_that_is_not_whole_says_where_the_upload_is(browser: Browser) -> None:
    answer = browser.ask(
        "POST", "/uploads/files", b"first", {"Upload-Complete": "?0", "Upload-Length": "11"}
    )
    assert answer.status == 201
    assert answer.headers["upload-complete"] == "?0"
    assert answer.headers["upload-offset"] == "5"
    assert "upload-limit" in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    done = append(browser, answer.headers["location"], 5, b" second", "?1")
    assert done.status == 400, "12 bytes are not the 11 that were announced"
    assert browser.ask("HEAD", answer.headers["location"]).status == 400, "rule 39"


def test_rule_22_a_whole_creation_is_answered_as_a_raw_body_is(browser: Browser) -> None:
    fields = {"Content-Type": "image/png", "Content-Disposition": "inline; filename=a.png"}
    plain = browser.ask("POST", "/uploads/files", PNG, fields)
    answer = browser.ask("POST", "/uploads/files", PNG, {**fields, "Upload-Complete": "?1"})
    assert answer.status == plain.status == 201
    assert answer.json().keys() == plain.json().keys()
    assert answer.json()["name"] == "a.png"
    assert answer.headers["location"] == answer.json()["url"]
    assert answer.headers["upload-complete"] == "?1"
    assert answer.headers["upload-offset"] == "32"


def test_rule_27_empty_content_is_an_empty_file_or_a_question_for_the_address(
    browser: Browser,
) -> None:
    answer = browser.ask("POST", "/uploads/files", b"", {"Upload-Complete": "?1"})
    assert (answer.status, answer.json()["size"]) == (201, 0)
    assert stands(browser, begin(browser)) == ("?0", "0")


def test_rule_28_name_and_type_are_claims(browser: Browser) -> None:
    path = begin(
        browser,
        Content_Type="text/plain; charset=utf-8",
        Content_Disposition="inline; filename*=UTF-8''%C3%BCbersicht.txt",
    )
    record = append(browser, path, 0, b"words", "?1").json()
    assert (record["name"], record["type"]) == ("übersicht.txt", "text/plain")
    fields = {"Upload-Complete": "?0", "Content-Disposition": 'inline; filename="../a.txt"'}
    assert browser.ask("POST", "/uploads/files", b"", fields).status == 422, "rule 53"
    wrong = begin(browser, Content_Type="image/png")
    assert append(browser, wrong, 0, b"%PDF-1.7\n", "?1").status == 415


def test_rule_28_the_type_of_appends_claims_nothing_about_the_file(browser: Browser) -> None:
    """tus-js-client 4 sends it with a creation that has content, too."""
    fields = {"Upload-Complete": "?0", "Upload-Length": str(len(PNG_FILE)), **PARTIAL}
    begun = browser.ask("POST", "/uploads/images", PNG_FILE[:20], fields)
    assert begun.status == 201
    done = append(browser, begun.headers["location"], 20, PNG_FILE[20:], "?1")
    assert (done.status, done.json()["type"]) == (201, "image/png")


def test_rule_29_coded_content_and_forms_are_refused_at_their_head(browser: Browser) -> None:
    for fields in (
        {"Content-Encoding": "gzip"},
        {"Content-Type": "multipart/form-data; boundary=x"},
        {"Content-Type": "application/x-www-form-urlencoded"},
    ):
        answer = browser.ask("POST", "/uploads/files", b"x", {"Upload-Complete": "?0", **fields})
        assert answer.status == 415, fields
    path = begin(browser)
    assert append(browser, path, 0, b"x", Content_Encoding="gzip").status == 415


# --- the offset ---------------------------------------------------------------------------


def test_rule_31_head_says_offset_length_limits_and_is_not_stored(browser: Browser) -> None:
    path = begin(browser, Upload_Length="10")
    append(browser, path, 0, b"abc")
    answer = browser.ask("HEAD", path)
    assert answer.status == 204
    assert answer.headers["upload-offset"] == "3"
    assert answer.headers["upload-complete"] == "?0"
    assert answer.headers["upload-length"] == "10"
    assert "upload-limit" in answer.headers
    assert answer.headers["cache-control"] == "no-store"
    assert "upload-length" not in browser.ask("HEAD", begin(browser)).headers


def test_rule_31_head_of_a_complete_upload_leads_to_its_file(browser: Browser) -> None:
    path = begin(browser)
    record = append(browser, path, 0, b"abc", "?1").json()
    answer = browser.ask("HEAD", path)
    assert answer.status == 204
    assert answer.headers["upload-complete"] == "?1"
    assert answer.headers["upload-offset"] == answer.headers["upload-length"] == "3"
    assert answer.headers["content-location"] == record["url"]
    assert browser.ask("GET", path).body == b"abc"


@pytest.mark.parametrize("field", ["Upload-Offset", "Upload-Complete"])
def test_rule_34_head_with_the_fields_of_an_append_is_refused(browser: Browser, field: str) -> None:
    path = begin(browser)
    value = {"Upload-Offset": "0", "Upload-Complete": "?0"}[field]
    assert browser.ask("HEAD", path, headers={field: value}).status == 400


# --- appending ----------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["Content-Type", "Upload-Offset", "Upload-Complete"])
@pytest.mark.parametrize("version", [None, "6", "8"])
def test_rule_35_an_append_has_all_three_fields(
    browser: Browser, missing: str, version: str | None
) -> None:
    path = begin(browser)
    fields = {"Upload-Offset": "0", "Upload-Complete": "?0", **PARTIAL}
    del fields[missing]
    if version is not None:
        fields["Upload-Draft-Interop-Version"] = version
    assert browser.ask("PATCH", path, b"x", fields).status == 400
    assert stands(browser, path) == ("?0", "0")


def test_rule_35_version_5_knows_no_type_of_appends(browser: Browser) -> None:
    path = begin(browser)
    fields = {"Upload-Draft-Interop-Version": "5", "Upload-Offset": "0", "Upload-Complete": "?1"}
    assert browser.ask("PATCH", path, b"abc", fields).status == 201


def test_rule_36_another_offset_is_a_conflict_that_names_the_right_one(browser: Browser) -> None:
    path = begin(browser)
    append(browser, path, 0, b"abcde")
    answer = append(browser, path, 3, b"xyz")
    assert answer.status == 409
    assert answer.headers["upload-complete"] == "?0"
    assert answer.headers["upload-offset"] == "5"
    document = answer.json()
    assert document["type"] == f"{REGISTRY}mismatching-upload-offset"
    assert (document["expected-offset"], document["provided-offset"]) == (5, 3)
    assert append(browser, path, 5, b"fgh", "?1").status == 201


def test_rules_37_and_38_every_answer_to_an_append_says_whether_and_how_far(
    browser: Browser,
) -> None:
    path = begin(browser)
    first = append(browser, path, 0, b"abc")
    assert (first.status, first.headers["upload-complete"]) == (204, "?0")
    assert first.headers["upload-offset"] == "3"
    last = append(browser, path, 3, b"def", "?1")
    assert (last.status, last.headers["upload-complete"]) == (201, "?1")
    assert last.headers["upload-offset"] == "6"
    assert content(browser, last.json()) == b"abcdef"


@pytest.mark.parametrize("complete", ["?0", "?1"])
def test_rule_39_what_goes_over_the_length_ends_the_upload(browser: Browser, complete: str) -> None:
    path = begin(browser, Upload_Length="4")
    answer = append(browser, path, 0, b"five!", complete)
    assert (answer.status, answer.headers["upload-complete"]) == (400, "?1")
    assert append(browser, path, 0, b"four", "?1").status == 400
    assert browser.ask("HEAD", path).status == 400


def test_rule_39_also_when_the_body_does_not_say_how_long_it_is(browser: Browser) -> None:
    path = begin(browser, Upload_Length="4")
    data = (
        f"PATCH {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {browser.token}\r\n"
        "Content-Type: application/partial-upload\r\nUpload-Offset: 0\r\nUpload-Complete: ?1\r\n"
        "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n5\r\nfive!\r\n0\r\n\r\n"
    )
    answer = browser.raw(data.encode())
    if not answer.startswith(b"HTTP/1.1 411 "):  # Werkzeug's server cannot tell where it ends
        assert answer.split(b"\r\n")[0].split(b" ")[1] == b"400"
        assert browser.ask("HEAD", path).status == 400


def test_rule_42_an_empty_append_says_that_all_was_sent(browser: Browser) -> None:
    path = begin(browser)
    append(browser, path, 0, b"abc")
    done = append(browser, path, 3, b"", "?1")
    assert (done.status, done.json()["size"]) == (201, 3)


def test_rule_43_the_last_answer_is_given_again(browser: Browser) -> None:
    path = begin(browser)
    append(browser, path, 0, b"abc")
    last = append(browser, path, 3, b"def", "?1")
    for again in (append(browser, path, 3, b"def", "?1"), append(browser, path, 6, b"", "?1")):
        assert (again.status, again.json()) == (201, last.json())
        assert again.headers["upload-complete"] == "?1"
    more = append(browser, path, 6, b"more")
    assert (more.status, more.headers["upload-complete"]) == (410, "?1")
    assert more.json()["type"] == f"{REGISTRY}completed-upload"


def test_rule_45_an_upload_that_becomes_too_large_is_told_the_limit(browser: Browser) -> None:
    path = begin(browser, collection="small")
    answer = append(browser, path, 0, b"x" * 100_001)
    assert answer.status == 413
    assert answer.headers["upload-limit"].startswith("max-size=100000, ")


# --- giving up, at the same time, interim answers -----------------------------------------


def test_rule_46_a_deleted_upload_is_gone(browser: Browser) -> None:
    path = begin(browser)
    assert browser.ask("DELETE", path).status == 204
    for method in ("HEAD", "DELETE"):
        assert browser.ask(method, path).status == 404
    assert append(browser, path, 0, b"x").status == 404


def test_rule_46_to_delete_a_complete_upload_leaves_its_file(browser: Browser) -> None:
    path = begin(browser)
    record = append(browser, path, 0, b"abc", "?1").json()
    assert browser.ask("DELETE", path).status == 204
    assert content(browser, record) == b"abc"


def head_of(
    browser: Browser, path: str, length: int, *, method: str = "PATCH", **more: str
) -> bytes:
    fields = {
        "Host": "a",
        "Authorization": f"Bearer {browser.token}",
        "Content-Length": str(length),
        **(PARTIAL if method == "PATCH" else {}),
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode()


@contextlib.contextmanager
def connected(browser: Browser) -> Iterator[socket.socket]:
    with socket.create_connection((browser.host, browser.port), timeout=20) as sock:
        yield sock


def offset_becomes(wharf: Wharf, path: str, offset: int) -> None:
    """Wait for an offset without asking for it: HEAD would take the upload over."""
    until = time.monotonic() + 10
    while (found := wharf.uploads.find(path.rpartition("/")[2], None).offset) != offset:
        assert time.monotonic() < until, found
        time.sleep(0.02)


def test_rules_41_and_26_a_request_that_is_cut_off_is_kept_as_far_as_it_came(
    browser: Browser, wharf: Wharf, shell: str
) -> None:
    path = begin(browser, Upload_Length="100")
    with connected(browser) as sock:
        sock.sendall(head_of(browser, path, 100, Upload_Offset="0", Upload_Complete="?1"))
        sock.sendall(b"x" * 40)
        if shell == "asgi":
            time.sleep(0.3)  # uvicorn drops what was not asked for when the client leaves
    offset_becomes(wharf, path, 40)
    assert stands(browser, path) == ("?0", "40"), "cut off is never complete"
    done = append(browser, path, 40, b"x" * 60, "?1")
    assert (done.status, done.json()["size"]) == (201, 100)


def test_rules_47_and_48_a_newer_request_takes_the_upload_over_at_once(
    browser: Browser, shell: str
) -> None:
    path = begin(browser, Upload_Length="100")
    with connected(browser) as sock:
        sock.sendall(head_of(browser, path, 100, Upload_Offset="0", Upload_Complete="?1"))
        sock.sendall(b"a" * 10)
        time.sleep(0.5)
        began = time.monotonic()
        offset = int(stands(browser, path)[1])
        # What had come counts, though its sender stopped in the middle. A WSGI server hands out
        # a piece when all of it is there.
        assert offset == (0 if shell == "flask" else 10)
        done = append(browser, path, offset, b"b" * (100 - offset), "?1")
        assert time.monotonic() - began < 2
        assert done.status == 201
        with contextlib.suppress(OSError):
            sock.sendall(b"c" * 90)
            answer = sock.recv(65536)
            assert b" 409 " in answer.split(b"\r\n")[0]
            assert b"upload-offset" not in answer.lower(), "it would be stale"
    assert content(browser, done.json()) == b"a" * offset + b"b" * (100 - offset)


def received(sock: socket.socket) -> bytes:
    data = b""
    while piece := sock.recv(65536):
        data += piece
    return data


def heads(data: bytes) -> list[tuple[int, dict[str, str]]]:
    """Return status and fields of each head in what came."""
    found = []
    for part in re.split(rb"(?=HTTP/1\.1 \d{3})", data):
        if part:
            first, *lines = part.split(b"\r\n\r\n")[0].decode("latin-1").split("\r\n")
            fields = (line.partition(": ") for line in lines)
            found.append(
                (int(first.split(" ")[1]), {name.lower(): value for name, _, value in fields})
            )
    return found


@pytest.mark.parametrize("version", ["5", "6", "8"])
def test_rules_20_and_23_the_address_is_told_before_the_body_and_is_that_of_the_end(
    wharf: Wharf, version: str
) -> None:
    with stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        with connected(browser) as sock:
            sock.sendall(
                head_of(browser, "/uploads/files", 3, method="POST", Upload_Complete="?0",
                        Upload_Draft_Interop_Version=version, Connection="close")
            )  # fmt: skip
            before = sock.recv(65536)
            sock.sendall(b"abc")
            (status, interim), (last, final) = heads(before + received(sock))
    assert before.startswith(b"HTTP/1.1 104 Upload Resumption Supported\r\n")
    assert status == 104
    assert interim["upload-draft-interop-version"] == version
    assert interim["upload-limit"].startswith("max-size=")
    assert last == 201
    assert interim["location"] == final["location"]


@pytest.mark.parametrize("version", [None, "3", "4", "7", "9", '"8"'])
def test_no_interim_answer_without_a_version_that_is_spoken(
    wharf: Wharf, version: str | None
) -> None:
    with stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        more = {} if version is None else {"Upload_Draft_Interop_Version": version}
        head = head_of(
            browser, "/uploads/files", 3, method="POST", Upload_Complete="?0",
            Connection="close", **more,
        )  # fmt: skip
        assert [status for status, _ in heads(browser.raw(head + b"abc"))] == [201]


def test_no_interim_answer_behind_a_proxy_or_where_it_is_switched_off(wharf: Wharf) -> None:
    cases: list[tuple[list[str], bool | None, list[int]]] = [
        (["127.0.0.1"], None, [201]),
        ([], False, [201]),
        (["127.0.0.1"], True, [104, 201]),
    ]
    for trusted, interim, statuses in cases:
        with stand_alone(wharf, trusted=trusted, interim=interim) as url:
            browser = Browser(url, token(wharf))
            head = head_of(browser, "/uploads/files", 3, method="POST", Upload_Complete="?0",
                           Upload_Draft_Interop_Version="8", Connection="close")  # fmt: skip
            assert [status for status, _ in heads(browser.raw(head + b"abc"))] == statuses


@pytest.mark.parametrize("field", ["Via", "Forwarded", "X-Forwarded-For", "X-Real-IP"])
def test_no_interim_answer_to_what_came_by_a_proxy_that_nobody_told_us_of(
    wharf: Wharf, field: str
) -> None:
    """nginx 1.22 takes a 104 for the final answer, and the client waits for ever."""
    more = {field.replace("-", "_"): "for=192.0.2.1" if field == "Forwarded" else "192.0.2.1"}
    cases: list[tuple[bool | None, list[int]]] = [(None, [201]), (True, [104, 201])]
    for interim, statuses in cases:
        with stand_alone(wharf, interim=interim) as url:
            browser = Browser(url, token(wharf))
            head = head_of(browser, "/uploads/files", 3, method="POST", Upload_Complete="?0",
                           Upload_Draft_Interop_Version="8", Connection="close", **more)  # fmt: skip
            assert [status for status, _ in heads(browser.raw(head + b"abc"))] == statuses


def test_rule_40_progress_is_told_during_an_append_without_an_address(wharf: Wharf) -> None:
    with stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        path, size = begin(browser), 80 * 1024 * 1024
        head = head_of(browser, path, size, Upload_Offset="0", Upload_Complete="?0",
                       Upload_Draft_Interop_Version="8", Connection="close")  # fmt: skip
        *interims, (status, final) = heads(browser.raw(head + bytes(size)))
    assert status == 204
    assert final["upload-offset"] == str(size)
    offsets = [int(fields["upload-offset"]) for _, fields in interims]
    assert len(offsets) >= 2
    assert offsets == sorted(offsets)
    assert not any("location" in fields for _, fields in interims)


def test_rule_49_who_asks_to_go_on_is_told_so_too(wharf: Wharf) -> None:
    with stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        with connected(browser) as sock:
            sock.sendall(
                head_of(browser, "/uploads/files", 3, method="POST", Upload_Complete="?1",
                        Upload_Draft_Interop_Version="8", Expect="100-continue",
                        Connection="close")
            )  # fmt: skip
            before = b""
            while b" 100 " not in before:
                before += sock.recv(65536)
            sock.sendall(b"abc")
            assert [status for status, _ in heads(before + received(sock))] == [104, 100, 201]


def test_rule_26_a_creation_that_is_cut_off_goes_on_where_its_interim_answer_said(
    wharf: Wharf,
) -> None:
    with stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        with connected(browser) as sock:
            sock.sendall(
                head_of(browser, "/uploads/files", 100, method="POST", Upload_Complete="?1",
                        Upload_Draft_Interop_Version="8")
            )  # fmt: skip
            path = heads(sock.recv(65536))[0][1]["location"]
            sock.sendall(b"x" * 30)
        offset_becomes(wharf, path, 30)
        assert browser.ask("HEAD", path).headers["upload-length"] == "100"
        done = append(browser, path, 30, b"x" * 70, "?1")
        assert (done.status, done.json()["size"]) == (201, 100)


def open_uploads(wharf: Wharf) -> int:
    """Return how many uploads anybody could go on with."""
    count: int = wharf._open().catalog.read(statements.count_open)
    return count


def nothing_is_left(wharf: Wharf) -> None:
    until = time.monotonic() + 10
    while open_uploads(wharf) or blobs_on_disk(wharf.settings.data):
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("version", [None, "4", "8"])
def test_rule_26_a_creation_that_is_cut_off_before_its_address_was_told_leaves_nothing(
    browser: Browser, wharf: Wharf, shell: str, version: str | None
) -> None:
    if shell == "server" and version == "8":
        pytest.skip("it tells the address at once")
    more = {} if version is None else {"Upload_Draft_Interop_Version": version}
    with connected(browser) as sock:
        sock.sendall(
            head_of(browser, "/uploads/files", 100, method="POST", Upload_Complete="?1", **more)
        )
        sock.sendall(b"x" * 30)
        time.sleep(0.4)  # so that it has begun
    nothing_is_left(wharf)


def test_rule_26_nor_does_one_through_a_proxy_that_is_told_nothing_meanwhile(wharf: Wharf) -> None:
    with stand_alone(wharf, trusted=["127.0.0.1"]) as url:
        browser = Browser(url, token(wharf))
        with connected(browser) as sock:
            sock.sendall(
                head_of(browser, "/uploads/files", 100, method="POST", Upload_Complete="?1",
                        Upload_Draft_Interop_Version="8") + b"x" * 30
            )  # fmt: skip
            time.sleep(0.4)
        nothing_is_left(wharf)


def test_rule_26_a_creation_that_fails_before_its_address_was_told_leaves_nothing(
    browser: Browser, wharf: Wharf
) -> None:
    fields = {"Upload-Complete": "?0", "Content-Digest": digest(b"abcdef")}
    answer = browser.ask("POST", "/uploads/files", b"abcdeX", fields)
    assert (answer.status, answer.code) == (400, "integrity")
    assert answer.headers["upload-complete"] == "?0"
    assert "upload-offset" not in answer.headers, "there is nothing that has one"
    assert open_uploads(wharf) == 0
    assert blobs_on_disk(wharf.settings.data) == []


# --- integrity and rights -----------------------------------------------------------------


def digest(data: bytes, name: str = "sha256") -> str:
    encoded = base64.b64encode(hashlib.new(name, data).digest()).decode()
    return f"{name[:3]}-{name[3:]}=:{encoded}:"


@pytest.mark.parametrize("name", ["sha256", "sha512"])
def test_rule_50_content_that_its_digest_disowns_is_not_appended(
    browser: Browser, name: str
) -> None:
    path = begin(browser)
    append(browser, path, 0, b"abc")
    answer = append(browser, path, 3, b"dXf", Content_Digest=digest(b"def", name))
    assert (answer.status, answer.code) == (400, "integrity")
    assert (answer.headers["upload-complete"], answer.headers["upload-offset"]) == ("?0", "3")
    assert stands(browser, path) == ("?0", "3")
    done = append(browser, path, 3, b"def", "?1", Content_Digest=digest(b"def", name))
    assert content(browser, done.json()) == b"abcdef"


def test_rule_50_half_of_a_content_with_a_digest_does_not_count(wharf: Wharf) -> None:
    with stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        path = begin(browser)
        with connected(browser) as sock:
            sock.sendall(
                head_of(browser, path, 6, Upload_Offset="0", Upload_Complete="?1",
                        Content_Digest=digest(b"abcdef")) + b"abc"
            )  # fmt: skip
            time.sleep(0.3)
        assert stands(browser, path) == ("?0", "0")
        assert append(browser, path, 0, b"abcdef", "?1").status == 201


def test_rule_51_a_whole_that_its_digest_disowns_is_no_file(browser: Browser) -> None:
    path = begin(browser, Repr_Digest=digest(b"abcdef"))
    append(browser, path, 0, b"abc")
    answer = append(browser, path, 3, b"dXf", "?1")
    assert (answer.status, answer.headers["upload-complete"]) == (400, "?1")
    assert browser.ask("HEAD", path).status == 400
    good = begin(browser, Repr_Digest=digest(b"abcdef"))
    done = append(browser, good, 0, b"abcdef", "?1", Want_Repr_Digest="sha-256=5")
    assert done.headers["repr-digest"] == digest(b"abcdef")
    assert "repr-digest" not in append(browser, good, 0, b"abcdef", "?1").headers


def test_rule_51_a_digest_that_cannot_be_read_is_refused_at_the_head(browser: Browser) -> None:
    fields = {"Upload-Complete": "?0", "Repr-Digest": "sha-256=:YWJj:"}
    assert browser.ask("POST", "/uploads/files", b"", fields).status == 400


def test_rule_52_an_upload_is_there_for_whoever_began_it_and_for_nobody_else(
    browser: Browser, wharf: Wharf
) -> None:
    path = begin(browser)
    other = Browser(browser.url, token(wharf))
    assert other.ask("HEAD", path).status == 404
    assert append(other, path, 0, b"x").status == 404
    assert other.ask("DELETE", path).status == 404
    assert Browser(browser.url).ask("HEAD", path).status == 401
    assert stands(browser, path) == ("?0", "0")


def test_a_restart_in_the_middle_changes_nothing(tmp_path: Path, shell: str) -> None:
    with make_wharf(tmp_path / "data") as wharf, running(shell, wharf) as url:
        browser = Browser(url, token(wharf))
        path = begin(browser, Upload_Length="6")
        append(browser, path, 0, b"abc")
        secret = browser.token
    with make_wharf(tmp_path / "data") as wharf, running(shell, wharf) as url:
        browser = Browser(url, secret)
        assert stands(browser, path) == ("?0", "3")
        assert append(browser, path, 3, b"def", "?1").status == 201


def test_curl_can_speak_it_by_hand(browser: Browser, tmp_path: Path) -> None:
    curl = program("curl")
    first, second = tmp_path / "first", tmp_path / "second"
    data = os.urandom(3000)
    first.write_bytes(data[:1000])
    second.write_bytes(data[1000:])

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [curl, "-sS", "-D", "-", "-H", f"Authorization: Bearer {browser.token}", *arguments],
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        return done.stdout

    said = run("-H", "Upload-Complete: ?0", "-H", "Content-Type: application/octet-stream",
               "--data-binary", f"@{first}", f"{browser.url}/uploads/files")  # fmt: skip
    path = re.search(r"(?im)^location: (\S+)", said)
    assert path is not None, said
    said = run("-X", "PATCH", "-H", "Upload-Complete: ?1", "-H", "Upload-Offset: 1000", "-H",
               "Content-Type: application/partial-upload", "--data-binary", f"@{second}",
               f"{browser.url}{path[1]}")  # fmt: skip
    record = json.loads(said.replace("\r\n", "\n").rpartition("\n\n")[2])
    assert record["sha256"] == hashlib.sha256(data).hexdigest()


def test_who_sends_by_a_link_gets_a_receipt_and_no_address_of_the_file(
    browser: Browser, wharf: Wharf
) -> None:
    link = wharf.request("files")
    stranger = Browser(browser.url)
    begun = stranger.ask("POST", link.url, b"abc", {"Upload-Complete": "?0"})
    assert begun.status == 201, begun.body
    path = begun.headers["location"]
    done = append(stranger, path, 3, b"def", "?1")
    assert (done.status, done.headers["upload-complete"]) == (201, "?1")
    assert done.json()["size"] == 6
    for answer in (done, stranger.ask("HEAD", path)):
        assert not {"location", "content-location"} & answer.headers.keys()
        assert b"/files/" not in answer.body
