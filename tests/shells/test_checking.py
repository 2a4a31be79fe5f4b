"""Files whose checks take longer than an upload waits, at each shell and in every form."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import pytest

from support.services import make_wharf, token
from support.shells import Browser, form, running
from support.tus import Tus
from support.waiting import soon
from wharfinger import Wharf
from wharfinger.scanners import Clean, Infected, Verdict
from wharfinger.service.checking_settings import CheckingSettings

TEXT = {"Content-Type": "text/plain", "Content-Disposition": 'attachment; filename="a.txt"'}


class Patient:
    """A scanner that answers when it may: what has "evil" in it is infected."""

    def __init__(self) -> None:
        self.may = threading.Event()

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        assert self.may.wait(20)
        return Infected("Bad") if b"evil" in file.read(size) else Clean()


@pytest.fixture
def scanner() -> Iterator[Patient]:
    patient = Patient()
    yield patient
    patient.may.set()


@pytest.fixture
def wharf(tmp_path: Path, scanner: Patient) -> Iterator[Wharf]:
    """A service that waits for no check."""
    checking = CheckingSettings(wait=0)
    with make_wharf(tmp_path / "data", scanner=scanner, checking=checking) as wharf:
        yield wharf
        scanner.may.set()


@pytest.fixture
def browser(shell: str, wharf: Wharf, scanner: Patient) -> Iterator[Browser]:
    with running(shell, wharf) as url:
        yield Browser(url, token(wharf))
        scanner.may.set()


def state_of(browser: Browser, file_id: str) -> str:
    return str(browser.ask("GET", f"/files/{file_id}/info").json()["state"])


def test_a_raw_body_is_accepted_and_says_that_it_is_being_checked(
    browser: Browser, scanner: Patient
) -> None:
    answer = browser.ask("POST", "/uploads/files", b"content", TEXT)
    assert answer.status == 202
    record = answer.json()
    assert record["state"] == "checking"
    assert answer.headers["content-location"] == f"/files/{record['id']}"
    early = browser.ask("GET", f"/files/{record['id']}")
    assert (early.status, early.code) == (409, "not-ready")
    assert early.headers["retry-after"] == "5"
    assert browser.ask("POST", f"/files/{record['id']}/links", b"{}").status == 409
    scanner.may.set()
    assert soon(lambda: state_of(browser, record["id"]) == "ready")
    assert browser.ask("GET", f"/files/{record['id']}").body == b"content"


def test_the_answer_to_an_idempotency_key_is_no_success_once_the_file_was_refused(
    browser: Browser, scanner: Patient
) -> None:
    headers = {**TEXT, "Idempotency-Key": '"3f1c"'}
    first = browser.ask("POST", "/uploads/files", b"evil", headers)
    assert first.status == 202
    again = browser.ask("POST", "/uploads/files", b"evil", headers)
    assert (again.status, again.body) == (202, first.body)
    scanner.may.set()
    assert soon(lambda: state_of(browser, first.json()["id"]) == "refused")
    late = browser.ask("POST", "/uploads/files", b"evil", headers)
    assert (late.status, late.code) == (422, "infected")
    other = browser.ask("POST", "/uploads/files", b"good", headers)
    assert (other.status, other.code) == (422, "idempotency-key-reused")


def test_of_a_form_each_file_has_its_own_verdict(browser: Browser, scanner: Patient) -> None:
    body, headers = form(("f", "a.txt", b"good", None), ("g", "b.txt", b"evil", None))
    answer = browser.ask("POST", "/uploads/files", body, headers)
    assert answer.status == 202
    good, evil = (record["id"] for record in answer.json()["files"])
    scanner.may.set()
    assert soon(lambda: state_of(browser, good) == "ready")
    assert soon(lambda: state_of(browser, evil) == "refused")
    record = browser.ask("GET", f"/files/{evil}/info").json()
    assert record["problem"] == {"code": "infected", "detail": "The scanner found 'Bad'."}
    late = browser.ask("GET", f"/files/{evil}")
    assert (late.status, late.code) == (422, "infected")


@pytest.mark.parametrize("content", [b"good", b"evil"], ids=["passes", "is refused"])
def test_tus_tells_the_state_and_never_a_success_once_it_was_refused(
    browser: Browser, scanner: Patient, content: bytes
) -> None:
    tus = Tus(browser)
    path = tus.create(len(content))
    answer = tus.patch(path, 0, content)
    assert (answer.status, answer.headers["file-state"]) == (204, "checking")
    where = answer.headers["content-location"]
    file_id = where.rpartition("/")[2]
    scanner.may.set()
    if content == b"good":
        assert soon(lambda: state_of(browser, file_id) == "ready")
        assert tus.head(path).headers["file-state"] == "ready"
        assert browser.ask("GET", path).body == b"good"
    else:
        assert soon(lambda: state_of(browser, file_id) == "refused")
        assert tus.head(path).status == 422
        again = tus.patch(path, 4, b"")
        assert (again.status, again.code) == (422, "infected")
        assert browser.ask("GET", path).code == "infected"


@pytest.mark.parametrize("content", [b"good", b"evil"], ids=["passes", "is refused"])
def test_the_other_resumable_protocol_does_likewise(
    browser: Browser, scanner: Patient, content: bytes
) -> None:
    begun = browser.ask("POST", "/uploads/files", b"", {"Upload-Complete": "?0"})
    path = begun.headers["location"]
    fields = {
        "Upload-Complete": "?1",
        "Upload-Offset": "0",
        "Content-Type": "application/partial-upload",
    }
    answer = browser.ask("PATCH", path, content, fields)
    assert (answer.status, answer.headers["upload-complete"]) == (202, "?1")
    file_id = answer.json()["id"]
    scanner.may.set()
    if content == b"good":
        assert soon(lambda: state_of(browser, file_id) == "ready")
        assert browser.ask("GET", path).body == b"good"
    else:
        assert soon(lambda: state_of(browser, file_id) == "refused")
        assert browser.ask("HEAD", path).status == 422
        assert browser.ask("GET", path).code == "infected"


def test_a_refused_file_can_be_removed_and_is_listed_until_then(
    browser: Browser, scanner: Patient
) -> None:
    file_id = browser.ask("POST", "/uploads/files", b"evil", TEXT).json()["id"]
    scanner.may.set()
    assert soon(lambda: state_of(browser, file_id) == "refused")
    (listed,) = browser.ask("GET", "/files").json()["files"]
    assert (listed["id"], listed["state"]) == (file_id, "refused")
    assert browser.ask("DELETE", f"/files/{file_id}").status == 204
    assert browser.ask("GET", f"/files/{file_id}/info").status == 404
