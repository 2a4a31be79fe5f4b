"""`wharf token`: made, listed and revoked, with or without a server running."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.called import Caller
from support.served import Served, serve
from wharfinger import Wharf


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
def data(folder: Path) -> str:
    with Wharf.open("data") as wharf:
        wharf.tokens.list()
    return "data"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("served") / "data") as served:
        yield served


def test_create_prints_the_token_alone(data: str, wharf: Caller) -> None:
    said = wharf("token", "create", "--name", "me")
    assert (said.code, said.err) == (0, "")
    assert re.fullmatch(r"whf_[A-Za-z0-9_-]{43}\n", said.text)


def test_create_as_json_says_everything_about_it(data: str, wharf: Caller) -> None:
    (record,) = wharf(
        "token", "create", "--name", "backup job", "--scopes", "read, write", "--collections",
        "files,images", "--expires-in", "90 d", "--principal", "user:7", "--json",
    ).records  # fmt: skip
    assert re.fullmatch(r"[0-9a-f]{32}", record["id"])
    assert re.fullmatch(r"whf_[A-Za-z0-9_-]{43}", record["token"])
    assert (record["name"], record["principal"]) == ("backup job", "user:7")
    assert record["scopes"] == ["read", "write"]
    assert record["collections"] == ["files", "images"]
    assert record["expires_at"] > record["created_at"]


def test_create_makes_a_service_where_there_is_none_and_says_so(
    folder: Path, wharf: Caller
) -> None:
    said = wharf("token", "create", "--name", "first", "--data", "new")
    assert (said.code, said.text.count("\n")) == (0, 1)
    assert said.err == "There was no service in new/ yet: this made one.\n"
    assert (folder / "new" / "catalog.sqlite3").exists()


REFUSED = {
    "an unknown scope": (["--name", "x", "--scopes", "read,wirte"], 2, "Unknown scope 'wirte'."),
    "no scope": (["--name", "x", "--scopes", ","], 2, "without scopes"),
    "an unknown collection": (["--name", "x", "--collections", "photos"], 5, "'photos'"),
    "no name": ([], 2, "--name"),
    "an empty name": (["--name", ""], 2, "printable name"),
    "a name that moves the cursor": (["--name", "\x1b[2J"], 2, "printable name"),
    "a time that is none": (["--name", "x", "--expires-in", "soon"], 2, "'soon'"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_a_wrong_token_is_refused_and_none_is_made(
    folder: Path, wharf: Caller, case: tuple[list[str], int, str]
) -> None:
    words, code, text = case
    said = wharf("token", "create", *words)
    assert (said.code, said.out) == (code, b"")
    assert text in said.err
    assert "this made one" not in said.err
    assert not (folder / "data" / "catalog.sqlite3").exists() or wharf("token", "ls").out == b""


def test_ls_shows_no_secret(data: str, wharf: Caller) -> None:
    secret = wharf("token", "create", "--name", "größer", "--scopes", "read").text.strip()
    wharf("token", "create", "--name", "short", "--expires-in", "1 h")
    said = wharf("token", "ls")
    first, second = said.text.splitlines()
    assert re.fullmatch(r"[0-9a-f]{32}  read +never expires  größer", first)
    assert re.fullmatch(r"[0-9a-f]{32}  read,share,write +20\S+Z  short", second)
    whole = said.text + wharf("token", "ls", "--json").text
    assert secret not in whole
    assert secret.removeprefix("whf_")[:10] not in whole


def test_revoke_says_what_it_did(data: str, wharf: Caller) -> None:
    ids = [wharf("token", "create", "--name", "x", "--json").records[0]["id"] for _ in range(2)]
    said = wharf("token", "revoke", *ids)
    assert (said.code, said.text) == (0, f"revoked {ids[0]}\nrevoked {ids[1]}\n")
    assert wharf("token", "ls").out == b""


def test_revoke_goes_on_after_one_that_is_not_there(data: str, wharf: Caller) -> None:
    ids = [wharf("token", "create", "--name", "x", "--json").records[0]["id"] for _ in range(2)]
    said = wharf("token", "revoke", ids[0], "nonsense", ids[1])
    assert (said.code, said.text) == (3, f"revoked {ids[0]}\nrevoked {ids[1]}\n")
    assert "'nonsense'" in said.err
    assert wharf("token", "ls").out == b""
    assert wharf("token", "revoke", ids[0]).code == 5


@pytest.mark.parametrize("words", [["ls"], ["revoke", "x"]])
def test_a_mistyped_folder_makes_no_service(folder: Path, wharf: Caller, words: list[str]) -> None:
    said = wharf("token", *words, "--data", "daat")
    assert (said.code, said.out) == (10, b"")
    assert "There is no service in 'daat'." in said.err
    assert list(folder.iterdir()) == []


def test_a_token_made_and_revoked_beside_a_running_server_takes_effect_at_once(
    served: Served, wharf: Caller
) -> None:
    data = str(served.data)
    record = wharf("token", "create", "--data", data, "--name", "x", "--json").records[0]
    assert served.browser.ask("GET", "/files", token=record["token"]).status == 200
    assert served.browser.ask("POST", "/uploads/files", b"x", token=record["token"]).status == 201
    assert wharf("token", "revoke", "--data", data, record["id"]).code == 0
    assert served.browser.ask("GET", "/files", token=record["token"]).status == 401


def test_two_tokens_of_one_principal_see_the_same_files(served: Served, wharf: Caller) -> None:
    """So that a token can be replaced without losing sight of files."""
    words = ["token", "create", "--data", str(served.data), "--name", "x"]
    old = wharf(*words, "--json").records[0]
    new = wharf(*words, "--principal", old["principal"]).text.strip()
    stored = served.browser.ask("POST", "/uploads/files", b"mine", token=old["token"]).json()
    assert served.browser.ask("GET", stored["url"], token=new).body == b"mine"
    other = wharf(*words).text.strip()
    assert served.browser.ask("GET", stored["url"], token=other).status == 404


def test_a_token_for_one_collection_is_for_that_alone(served: Served, wharf: Caller) -> None:
    words = ["token", "create", "--data", str(served.data), "--name", "x"]
    confined = wharf(*words, "--collections", "images").text.strip()
    assert served.browser.ask("POST", "/uploads/files", b"x", token=confined).status == 404
