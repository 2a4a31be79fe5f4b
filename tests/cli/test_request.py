"""`wharf request` against a running service: an address by which others may send files."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.called import Caller
from support.services import make_wharf, token
from support.shells import Browser, stand_alone
from wharfinger import Wharf


@pytest.fixture
def service(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf, stand_alone(wharf) as url:
        monkeypatch.setenv("WHARFINGER_SERVER", url)
        monkeypatch.setenv("WHARFINGER_TOKEN", token(wharf))
        yield wharf


@pytest.fixture
def wharf(service: Wharf, capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


def test_request_prints_an_address_that_takes_files_without_a_token(
    service: Wharf, wharf: Caller
) -> None:
    said = wharf("request", "files")
    assert (said.code, said.err) == (0, "")
    match = re.fullmatch(
        r"(http://127\.0\.0\.1:\d+)(/u/[0-9a-f]{32}\.[A-Za-z0-9_-]{43})\n", said.text
    )
    assert match is not None
    answer = Browser(match[1]).ask("POST", match[2], b"text", {"Content-Type": "text/plain"})
    assert answer.status == 201
    (stored,) = service.list_files()[0]
    (link,) = service.upload_links.of_collection("files")
    assert stored.owner == link.owner
    assert (link.expires_at - link.created_at).total_seconds() == 604_800


def test_request_passes_every_wish_on(service: Wharf, wharf: Caller) -> None:
    (record,) = wharf(
        "request", "files", "--expires-in", "2 h", "--max-files", "3", "--max-bytes", "1 MiB",
        "--types", "image/png, text/*", "--json",
    ).records  # fmt: skip
    (link,) = service.upload_links.of_collection("files")
    assert record["id"] == link.id
    assert (link.expires_at - link.created_at).total_seconds() == 7200
    assert (link.max_files, link.max_bytes) == (3, 1_048_576)
    assert link.types == frozenset({"image/png", "text/*"})


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["nowhere"], 5, "nowhere"),
        (["../files"], 5, "..%2Ffiles"),
        (["files", "--types", "pictures"], 1, "pictures"),
        (["files", "--max-files", "0"], 2, "--max-files"),
        (["files", "--max-bytes", "much"], 2, "much"),
        (["files", "--expires-in", "soon"], 2, "soon"),
    ],
    ids=["no such collection", "a path", "no such type", "no file", "no size", "no time"],
)
def test_what_cannot_be_is_an_error(wharf: Caller, words: list[str], code: int, said: str) -> None:
    answer = wharf("request", *words)
    assert answer.text == ""
    assert said in answer.err
    assert answer.code == code


def test_without_the_scope_it_says_so(
    service: Wharf, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHARFINGER_TOKEN", token(service, "read", "write"))
    answer = wharf("request", "files")
    assert answer.code == 4
    assert "share" in answer.err
