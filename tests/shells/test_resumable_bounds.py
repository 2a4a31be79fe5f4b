"""IETF resumable uploads: what bounds them, and what they cannot do. The numbers are our checklist's."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path
from typing import BinaryIO

import pytest

from shells.test_resumable import append, begin, content, head_of, heads, stands
from support.services import Clock, blobs_on_disk, make_wharf, token
from support.shells import Browser, form, running, stand_alone
from wharfinger import Collection, Policy, Wharf
from wharfinger.flask import requests
from wharfinger.scanners import Clean, Verdict
from wharfinger.service import patience
from wharfinger.service.usage import Quota, Quotas


def test_rule_7_the_offset_never_decreases(browser: Browser) -> None:
    path = begin(browser, Upload_Length="9")
    offsets = []
    for start, data in ((0, b"abc"), (0, b"abc"), (3, b"def"), (2, b"cdefgh"), (6, b"")):
        append(browser, path, start, data)
        offsets.append(int(stands(browser, path)[1]))
    assert offsets == [3, 3, 6, 6, 6]
    assert content(browser, append(browser, path, 6, b"ghi", "?1").json()) == b"abcdefghi"


def test_rule_7_an_upload_that_lost_what_it_had_refuses_everything_after(
    tmp_path: Path, shell: str
) -> None:
    data, size = tmp_path / "data", 1024 * 1024
    with make_wharf(data) as wharf, running(shell, wharf) as url:
        browser = Browser(url, token(wharf))
        path = begin(browser, Upload_Length=str(size + 3))
        assert append(browser, path, 0, bytes(size)).status == 204
    (staged,) = blobs_on_disk(data)
    os.truncate(staged, 1000)  # what a disk does that lies about its syncs
    with make_wharf(data) as wharf, running(shell, wharf) as url:
        browser = Browser(url, browser.token)
        first = browser.ask("HEAD", path)
        assert first.status in {404, 410}
        assert "upload-offset" not in first.headers
        assert append(browser, path, size, b"def", "?1").status == 404
        assert browser.ask("HEAD", path).status == 404
        assert browser.ask("GET", "/files").json()["files"] == []
    assert blobs_on_disk(data) == []


def test_rule_16_options_sends_no_accept_patch(browser: Browser) -> None:
    for path in ("/uploads/files", begin(browser)):
        assert "accept-patch" not in browser.ask("OPTIONS", path).headers


# --- whole forms --------------------------------------------------------------------------


def test_rules_20_and_22_a_whole_form_is_received_as_any_and_nobody_is_told_an_address(
    wharf: Wharf,
) -> None:
    """Its parts are files of their own: nothing of it can be gone on with, so there is no 104."""
    body, fields = form(("file", "a.txt", b"text", None), ("note", None, b"hello", None))
    with stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        more = {name.replace("-", "_"): value for name, value in fields.items()}
        head = head_of(
            browser, "/uploads/files", len(body), method="POST", Upload_Complete="?1",
            Upload_Draft_Interop_Version="8", Connection="close", **more,
        )  # fmt: skip
        said = browser.raw(head + body)
    assert [status for status, _ in heads(said)] == [201]
    (stored,), _ = wharf.list_files()
    assert (stored.name, stored.size) == ("a.txt", 4)


def test_a_whole_form_is_answered_alike_in_every_shell(browser: Browser) -> None:
    body, fields = form(("file", "a.txt", b"text", None), ("note", None, b"hello", None))
    more = {**fields, "Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
    answer = browser.ask("POST", "/uploads/files", body, more)
    assert (answer.status, answer.json()["fields"]) == (201, {"note": "hello"})


def test_a_form_in_several_requests_is_refused_before_it_comes(browser: Browser) -> None:
    body, fields = form(("file", "a.txt", b"text", None))
    answer = browser.ask("POST", "/uploads/files", body, {**fields, "Upload-Complete": "?0"})
    assert (answer.status, answer.code) == (415, "unsupported-encoding")


# --- security -----------------------------------------------------------------------------


class Watching:
    """A scanner that says yes to everything, and notes what it was shown."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def scan(self, file: BinaryIO, size: int) -> Verdict:  # noqa: ARG002
        self.seen.append(file.read())
        return Clean()


def test_rule_54_a_scanner_sees_the_whole_and_only_that(tmp_path: Path, shell: str) -> None:
    scanner = Watching()
    with (
        make_wharf(tmp_path / "data", scanner=scanner) as wharf,
        running(shell, wharf) as url,
    ):
        browser = Browser(url, token(wharf))
        path = begin(browser)
        append(browser, path, 0, b"half of an ")
        append(browser, path, 11, b"EICAR, ")
        assert scanner.seen == []
        assert append(browser, path, 18, b"and the rest", "?1").status == 201
    assert scanner.seen == [b"half of an EICAR, and the rest"]


def test_rule_55_open_uploads_of_one_client_are_counted(tmp_path: Path, shell: str) -> None:
    place = Collection(
        name="files", policy=Policy.anything(), quotas=Quotas(per_owner=Quota(uploads=2))
    )
    with (
        make_wharf(tmp_path / "data", collections=[place]) as wharf,
        running(shell, wharf) as url,
    ):
        browser, other = Browser(url, token(wharf)), Browser(url, token(wharf))
        paths = [begin(browser) for _ in range(2)]
        answer = browser.ask("POST", "/uploads/files", b"", {"Upload-Complete": "?0"})
        assert (answer.status, answer.code) == (413, "quota-exceeded")
        begin(other)
        assert browser.ask("DELETE", paths[0]).status == 204
        begin(browser)


def test_rule_55_a_sender_that_drips_is_cut_and_what_it_brought_is_kept(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "WINDOW", 0.3)
    for name in ("_BATCH", "_LEAST"):  # a WSGI server hands bytes on once a piece is full
        monkeypatch.setattr(requests, name, 1024)
    with make_wharf(tmp_path / "data") as wharf:
        object.__setattr__(wharf.settings, "patience", patience.Patience(min_rate=1_000_000))
        with running(shell, wharf) as url:
            browser = Browser(url, token(wharf))
            path = begin(browser)
            received = b""
            with socket.create_connection((browser.host, browser.port), timeout=0.02) as sock:
                sock.sendall(
                    head_of(browser, path, 10_000_000, Upload_Offset="0", Upload_Complete="?1")
                )
                until = time.monotonic() + 8
                while b"\r\n\r\n" not in received and time.monotonic() < until:
                    try:
                        sock.sendall(b"\1" * 1000)
                        received += sock.recv(65536)
                    except TimeoutError:
                        continue
            ((status, fields),) = heads(received)
            assert (status, fields["upload-complete"]) == (408, "?0")
            assert int(fields["upload-offset"]) > 0
            assert stands(browser, path) == ("?0", fields["upload-offset"])


def test_rule_55_no_upload_lives_longer_than_a_week_however_often_it_moves(tmp_path: Path) -> None:
    clock = Clock()
    with make_wharf(tmp_path / "data", clock=clock) as wharf, stand_alone(wharf) as url:
        browser = Browser(url, token(wharf))
        path = begin(browser)
        for number in range(8):
            assert append(browser, path, number, b"x").status == 204, number
            clock.forward(21 * 3600 - (number == 7))
        assert stands(browser, path) == ("?0", "8")
        clock.forward(1)
        # 168 hours are over, to the second.
        assert browser.ask("HEAD", path).status == 404


def test_rule_56_many_small_requests_hold_no_more_than_one_file_may(
    browser: Browser, tmp_path: Path
) -> None:
    path = begin(browser, collection="small")  # files of 100,000 bytes at most
    for number in range(3):
        assert append(browser, path, number * 30_000, bytes(30_000)).status == 204
    answer = append(browser, path, 90_000, bytes(10_001))
    assert (answer.status, answer.code) == (413, "too-large")
    assert append(browser, path, 90_000, b"x").status == 413
    assert blobs_on_disk(tmp_path / "data") == []


def test_rule_56_all_open_uploads_together_hold_no_more_than_the_quota(
    tmp_path: Path, shell: str
) -> None:
    place = Collection(
        name="files", policy=Policy.anything(), quotas=Quotas(whole=Quota(bytes=1000))
    )
    with (
        make_wharf(tmp_path / "data", collections=[place]) as wharf,
        running(shell, wharf) as url,
    ):
        browser = Browser(url, token(wharf))
        first, second = begin(browser), begin(browser)  # of unknown length
        assert append(browser, first, 0, bytes(600)).status == 204
        answer = append(browser, second, 0, bytes(401))
        assert (answer.status, answer.code) == (413, "quota-exceeded")
        assert append(browser, second, 0, bytes(400)).status == 204
        assert append(browser, second, 400, b"x").status == 413
