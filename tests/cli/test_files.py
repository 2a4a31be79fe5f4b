"""`wharf ls`, `info`, `share` and `rm` against a running service, and against a hostile one."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from support.called import Caller
from support.peer import Exchange, Peer, response, saying
from support.processes import free_port
from support.proxy import Proxy
from support.services import make_wharf, token
from support.shells import Browser, stand_alone
from support.tls import Authority
from wharfinger import StoredFile, Wharf
from wharfinger.catalog import files
from wharfinger.errors import NotFound
from wharfinger.testing import DownScanner

StartPeer = Callable[..., Peer]

NOWHERE = "0" * 32
ABSENT = "f" * 32
TEXT = b"Hello, harbour.\n"


class Harbour:
    """A running service and what belongs to the person who asks."""

    def __init__(self, wharf: Wharf, url: str) -> None:
        self.wharf = wharf
        self.url = url
        created, self.secret = wharf.tokens.create("me", ("read", "write", "share"))
        self.me = created.principal

    def put(
        self, name: str = "notes.txt", content: bytes = TEXT, collection: str = "files"
    ) -> StoredFile:
        return self.wharf.receive([content], collection=collection, name=name, owner=self.me)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Wharf, str]]:
    with (
        make_wharf(tmp_path_factory.mktemp("service") / "data") as wharf,
        stand_alone(wharf) as url,
    ):
        yield wharf, url


@pytest.fixture
def harbour(service: tuple[Wharf, str], monkeypatch: pytest.MonkeyPatch) -> Harbour:
    """The service, with a fresh principal that owns nothing yet, set up as people set it up."""
    made = Harbour(*service)
    monkeypatch.setenv("WHARFINGER_SERVER", made.url)
    monkeypatch.setenv("WHARFINGER_TOKEN", made.secret)
    return made


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


# --- what they say ------------------------------------------------------------------------


def test_ls_of_nothing_says_nothing(harbour: Harbour, wharf: Caller) -> None:
    said = wharf("ls")
    assert (said.code, said.out, said.err) == (0, b"", "")


def test_ls_shows_a_line_a_file_newest_first(harbour: Harbour, wharf: Caller) -> None:
    old, new = harbour.put(), harbour.put("großes Bild.txt", b"x" * 2048, "public")
    said = wharf("ls")
    assert (said.code, said.err) == (0, "")
    first, second = said.text.splitlines()
    assert first.split() == [
        new.id, "2.0", "KiB", "text/plain", f"{new.created_at:%Y-%m-%dT%H:%M}Z", "public",
        "großes", "Bild.txt",
    ]  # fmt: skip
    assert second.split() == [
        old.id, "16", "bytes", "text/plain", f"{old.created_at:%Y-%m-%dT%H:%M}Z", "files", "notes.txt",
    ]  # fmt: skip


def test_ls_as_json_is_one_record_a_line_with_absolute_addresses(
    harbour: Harbour, wharf: Caller
) -> None:
    stored = harbour.put()
    said = wharf("ls", "--json")
    assert said.records == [
        {
            "id": stored.id,
            "name": "notes.txt",
            "size": 16,
            "type": "text/plain",
            "sha256": "c0567496dc1692d4715beae631161ed818367c11aaa96212e1bd6612e97eb100",
            "state": "ready",
            "collection": "files",
            "created_at": said.records[0]["created_at"],
            "expires_at": None,
            "url": f"{harbour.url}/files/{stored.id}",
        }
    ]


def test_ls_keeps_to_a_collection_and_to_a_number(harbour: Harbour, wharf: Caller) -> None:
    ids = [harbour.put().id for _ in range(3)]
    public = harbour.put(collection="public").id
    listed = [line.split()[0] for line in wharf("ls", "--collection", "files").text.splitlines()]
    assert listed == ids[::-1]
    assert wharf("ls", "--limit", "2", "--json").records[0]["id"] == public
    assert len(wharf("ls", "--limit", "2").text.splitlines()) == 2
    assert wharf("ls", "--collection", "images").out == b""


def test_ls_goes_through_all_pages(harbour: Harbour, wharf: Caller) -> None:
    """A page has 500 records; 1,001 files are three pages, the last with one."""
    stored = harbour.put()
    many = [replace(stored, id=f"{number:032x}") for number in range(1, 1001)]
    catalog = harbour.wharf._open().catalog
    catalog.write(lambda connection: files.add(connection, many))
    listed = [record["id"] for record in wharf("ls", "--json").records]
    assert listed == [*(one.id for one in reversed(many)), stored.id]
    assert len(wharf("ls", "--limit", "501").text.splitlines()) == 501
    assert len(wharf("ls", "--limit", "500").text.splitlines()) == 500


def test_ls_shows_the_state_of_a_file_that_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wharf: Caller
) -> None:
    with make_wharf(tmp_path, scanner=DownScanner()) as held, stand_alone(held) as url:
        harbour = Harbour(held, url)
        harbour.put()
        monkeypatch.setenv("WHARFINGER_SERVER", url)
        monkeypatch.setenv("WHARFINGER_TOKEN", harbour.secret)
        assert wharf("ls").text.endswith("  notes.txt (held)\n")


def test_info_shows_the_record(harbour: Harbour, wharf: Caller) -> None:
    stored = harbour.put()
    said = wharf("info", stored.id)
    assert (said.code, said.err) == (0, "")
    lines = dict(line.split(": ", 1) for line in said.text.splitlines() if ": " in line)
    assert lines["id"] == stored.id
    assert lines["size"] == "16"
    assert lines["url"] == f"{harbour.url}/files/{stored.id}"
    assert wharf("info", stored.id, "--json").records[0]["name"] == "notes.txt"


def test_info_tells_what_was_found_and_what_is_wrong_in_words(
    peer: StartPeer, wharf: Caller
) -> None:
    record = {
        "id": NOWHERE,
        "url": f"/files/{NOWHERE}",
        "expires_at": None,
        "details": {"pages": 2, "findings": ["formulas", "scripts"]},
        "problem": {"code": "unavailable", "detail": "The scanner is away."},
    }
    server = peer(saying(response(json.dumps(record).encode()))).url
    assert wharf("info", NOWHERE, "--server", server).text == (
        f"id: {NOWHERE}\n"
        f"url: {server}/files/{NOWHERE}\n"
        "expires_at: never\n"
        "pages: 2\n"
        "findings: formulas, scripts\n"
        "problem: The scanner is away. (unavailable)\n"
    )


def test_an_address_does_for_an_id(harbour: Harbour, wharf: Caller) -> None:
    stored = harbour.put()
    for address in (
        f"{harbour.url}/files/{stored.id}",
        f"/files/{stored.id}",
        f"https://files.example/storage/files/{stored.id}/",
        f"{harbour.url}/files/{stored.id}?x=1",
    ):
        assert wharf("info", address, "--json").records[0]["id"] == stored.id


def test_share_prints_an_address_that_works_without_a_token(
    harbour: Harbour, wharf: Caller
) -> None:
    stored = harbour.put()
    said = wharf("share", stored.id)
    assert (said.code, said.err) == (0, "")
    assert re.fullmatch(rf"{harbour.url}/d/[0-9a-f]{{32}}\.[A-Za-z0-9_-]{{43}}\n", said.text)
    path = said.text.strip().removeprefix(harbour.url)
    assert Browser(harbour.url).ask("GET", path).body == TEXT


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1 h", 3600),
        ("30 d", 2_592_000),
        ("15 min", 900),
        ("1w", 604_800),
        ("90", 90),
        (None, 604_800),
    ],
)
def test_share_takes_durations_as_people_write_them(
    harbour: Harbour, wharf: Caller, text: str | None, seconds: int
) -> None:
    stored = harbour.put()
    wish = () if text is None else ("--expires-in", text)
    link = wharf("share", stored.id, *wish, "--json").records[0]
    (kept,) = harbour.wharf.links.of_file(stored.id)
    assert link["id"] == kept.id
    assert (kept.expires_at - kept.created_at).total_seconds() == seconds


def test_share_passes_every_wish_on(harbour: Harbour, wharf: Caller) -> None:
    stored = harbour.put()
    link = wharf(
        "share", stored.id, "--max-downloads", "3", "--download-name", "Übersicht.txt",
        "--inline", "--json",
    ).records[0]  # fmt: skip
    assert (link["max_downloads"], link["downloads"]) == (3, 0)
    (kept,) = harbour.wharf.links.of_file(stored.id)
    assert (kept.download_name, kept.disposition) == ("Übersicht.txt", "inline")


def test_rm_removes_and_says_so(harbour: Harbour, wharf: Caller) -> None:
    one, two = harbour.put(), harbour.put()
    said = wharf("rm", one.id, f"{harbour.url}/files/{two.id}")
    assert (said.code, said.text, said.err) == (
        0,
        f"removed {one.id}\nremoved {two.id}\n",
        "",
    )
    for stored in (one, two):
        with pytest.raises(NotFound):
            harbour.wharf.info(stored.id)


def test_rm_of_several_with_one_missing_removes_the_others(harbour: Harbour, wharf: Caller) -> None:
    one, two = harbour.put(), harbour.put()
    said = wharf("rm", one.id, ABSENT, two.id)
    assert (said.code, said.text) == (3, f"removed {one.id}\nremoved {two.id}\n")
    assert ABSENT in said.err
    assert "404" in said.err


def test_rm_of_several_that_are_all_missing_ends_like_one(harbour: Harbour, wharf: Caller) -> None:
    assert wharf("rm", ABSENT).code == 5
    assert wharf("rm", ABSENT, NOWHERE).code == 5
    lines = wharf("rm", ABSENT, NOWHERE, "--json").records
    assert [line["error"]["exit_code"] for line in lines] == [5, 5]


# --- how they end -------------------------------------------------------------------------

WRONG_CALLS = {
    "info without an id": (["info"], "Missing argument"),
    "info of nonsense": (["info", "nonsense"], "is not the id of a file"),
    "info of an id in capitals": (["info", "A" * 32], "is not the id of a file"),
    "info of a path out": (["info", "../../etc/passwd"], "is not the id of a file"),
    "share for no time": (["share", NOWHERE, "--expires-in", "soon"], "'soon'"),
    "share for no downloads": (["share", NOWHERE, "--max-downloads", "0"], "--max-downloads"),
    "ls of no files": (["ls", "--limit", "0"], "--limit"),
    "rm of nothing": (["rm"], "Missing argument"),
    "a timeout of nothing": (["ls", "--timeout", "0"], "--timeout"),
    "an unknown option": (["ls", "--colection", "x"], "--collection"),
    "a token as a flag": (["ls", "--token", "x"], "No such option"),
}


@pytest.mark.parametrize("case", WRONG_CALLS.values(), ids=list(WRONG_CALLS))
def test_a_wrong_call_is_2_and_says_why(
    harbour: Harbour, wharf: Caller, case: tuple[list[str], str]
) -> None:
    words, text = case
    said = wharf(*words)
    assert (said.code, said.out) == (2, b"")
    assert text in said.err
    record = wharf(*words, "--json").records[0]["error"]
    assert (record["code"], record["exit_code"]) == ("usage", 2)


@pytest.mark.parametrize("words", [["ls"], ["info", NOWHERE], ["share", NOWHERE], ["rm", NOWHERE]])
def test_without_a_server_the_way_to_name_one_is_told(wharf: Caller, words: list[str]) -> None:
    said = wharf(*words)
    assert (said.code, said.out) == (2, b"")
    assert said.err.splitlines() == [
        "error: No service was named. (usage)",
        "hint: Give --server URL, or set WHARFINGER_SERVER (http://127.0.0.1:8080 for `make run`).",
    ]


COMMANDS = (["ls"], ["info", ABSENT], ["share", ABSENT], ["rm", ABSENT])


@pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])
def test_an_unknown_token_is_4(
    harbour: Harbour, wharf: Caller, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    monkeypatch.setenv("WHARFINGER_TOKEN", "whf_" + "A" * 43)
    said = wharf(*words)
    assert (said.code, said.out) == (4, b"")
    assert "401" in said.err
    monkeypatch.delenv("WHARFINGER_TOKEN")
    assert wharf(*words).code == 4


@pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])
def test_a_missing_scope_is_4(
    harbour: Harbour, wharf: Caller, monkeypatch: pytest.MonkeyPatch, words: list[str]
) -> None:
    scope = {"ls": "read", "info": "read", "share": "share", "rm": "write"}[words[0]]
    others = {"read", "write", "share"} - {scope}
    monkeypatch.setenv("WHARFINGER_TOKEN", token(harbour.wharf, *others))
    said = wharf(*words)
    assert (said.code, said.out) == (4, b"")
    assert f"'{scope}'" in said.err


@pytest.mark.parametrize("words", COMMANDS[1:], ids=[words[0] for words in COMMANDS[1:]])
def test_a_file_that_is_absent_or_of_another_is_5(
    harbour: Harbour, wharf: Caller, words: list[str]
) -> None:
    assert wharf(*words).code == 5
    theirs = harbour.wharf.receive([TEXT], collection="files", owner="somebody")
    assert wharf(words[0], theirs.id).code == 5


@pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])
def test_where_nobody_listens_is_6(wharf: Caller, words: list[str]) -> None:
    said = wharf(*words, "--server", f"http://127.0.0.1:{free_port()}", "--json")
    error = said.records[0]["error"]
    assert (said.code, error["code"], error["exit_code"]) == (6, "connect-failed", 6)


STATUSES = {
    "403 Forbidden": 4,
    "410 Gone": 5,
    "429 Too Many Requests": 6,
    "500 Internal Server Error": 7,
    "502 Bad Gateway": 7,
    "503 Service Unavailable": 7,
    "418 I'm a teapot": 1,
}


@pytest.mark.parametrize(("status", "code"), STATUSES.items(), ids=list(STATUSES))
def test_an_error_status_has_its_exit_code(
    peer: StartPeer, wharf: Caller, status: str, code: int
) -> None:
    server = peer(saying(response(b"", status=status))).url
    for words in COMMANDS:
        assert wharf(*words, "--server", server).code == code, words


def test_a_token_file_does_for_the_variable_and_its_end_of_line_does_no_harm(
    harbour: Harbour, wharf: Caller, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("WHARFINGER_TOKEN")
    (tmp_path / "token").write_text(f"{harbour.secret}\n")
    assert wharf("ls", "--token-file", str(tmp_path / "token")).code == 0
    assert wharf("ls", "--token-file", str(tmp_path / "none")).code == 10
    (tmp_path / "token").write_text("two words\n")
    assert wharf("ls", "--token-file", str(tmp_path / "token")).code == 2


def test_a_mount_point_is_part_of_the_server(peer: StartPeer, wharf: Caller) -> None:
    asked: list[str] = []

    def handler(exchange: Exchange) -> None:
        asked.append(exchange.line)
        exchange.send(response(b'{"files": [], "next": null}'))

    server = peer(handler).url
    assert wharf("ls", "--server", f"{server}/storage/").code == 0
    assert asked == ["GET /storage/files?limit=500 HTTP/1.1"]


# --- a server that lies -------------------------------------------------------------------

HOSTILE = "\x1b[31m\u202egpj.exe\u009b2J\x07\u2028\ud800"
RAW = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\u2028\ud800-\udfff]")
RECORD = {
    "id": HOSTILE,
    "name": HOSTILE,
    "size": 1,
    "type": HOSTILE,
    "created_at": HOSTILE,
    "collection": HOSTILE,
    "url": f"/files/{NOWHERE}",
    "details": {HOSTILE: [HOSTILE]},
    "problem": {"code": HOSTILE, "detail": HOSTILE},
    HOSTILE: HOSTILE,
}
LIES: dict[str, tuple[object, list[str], int]] = {
    "ls": ({"files": [RECORD], "next": None}, ["ls"], 0),
    "info": (RECORD, ["info", NOWHERE], 0),
    "share": ({**RECORD, "url": f"/d/{HOSTILE}"}, ["share", NOWHERE], 7),
    "share to nowhere": ({"id": NOWHERE}, ["share", NOWHERE], 7),
    "share to a script": ({"url": "javascript:alert(1)"}, ["share", NOWHERE], 7),
    "share to half an address": ({"url": "http://[::"}, ["share", NOWHERE], 7),
    "info of nothing": ({}, ["info", NOWHERE], 7),
    "info of a list": ([RECORD], ["info", NOWHERE], 7),
    "ls of words": ({"files": ["a"]}, ["ls"], 7),
    "ls of a word": ({"files": "abc"}, ["ls"], 7),
    "ls of nothing, for ever": ({"files": [], "next": NOWHERE}, ["ls"], 7),
    "ls of numbers": ({"files": [{"url": 3}]}, ["ls"], 7),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize("case", LIES.values(), ids=list(LIES))
def test_what_a_hostile_server_says_is_shown_escaped_or_refused(
    peer: StartPeer, wharf: Caller, case: tuple[object, list[str], int], *, as_json: bool
) -> None:
    document, words, code = case
    server = peer(saying(response(json.dumps(document).encode()))).url
    said = wharf(*words, "--server", server, *(["--json"] if as_json else []))
    assert said.code == code, said
    assert RAW.search(said.text) is None, said
    assert RAW.search(said.err.replace("\n", "")) is None, said
    if as_json:
        assert len(said.records) == 1
        if code == 0:
            assert said.records[0]["name"] == HOSTILE


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
def test_a_hostile_problem_is_shown_escaped(
    peer: StartPeer, wharf: Caller, *, as_json: bool
) -> None:
    problem = {"title": HOSTILE, "detail": HOSTILE, "hint": HOSTILE, "code": HOSTILE}
    answer = response(
        json.dumps(problem).encode(), status="409 Conflict", Content_Type="application/problem+json"
    )
    server = peer(saying(answer)).url
    said = wharf("info", NOWHERE, "--server", server, *(["--json"] if as_json else []))
    assert said.code == 1
    assert "gpj.exe" in said.err + said.text
    assert RAW.search((said.err + said.text).replace("\n", "")) is None


@pytest.mark.parametrize("body", [b"<html>", b"", b"[1]", b"\xff\xfe", b'{"files"', b"[" * 100_000])
def test_what_is_no_answer_of_a_service_is_7_with_a_hint(
    peer: StartPeer, wharf: Caller, body: bytes
) -> None:
    server = peer(saying(response(body))).url
    said = wharf("ls", "--server", server)
    assert (said.code, said.out) == (7, b"")
    assert "bad-response" in said.err


def test_the_token_does_not_follow_to_another_origin(
    peer: StartPeer, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHARFINGER_TOKEN", "whf_secret")
    heads: list[bytes] = []

    def other(exchange: Exchange) -> None:
        heads.append(exchange.head)
        exchange.send(response(b'{"files": [], "next": null}'))

    elsewhere = peer(other).url
    away = response(b"", status="307 Temporary Redirect", Location=f"{elsewhere}/files")
    server = peer(saying(away)).url
    wharf("ls", "--server", server)
    assert all(b"whf_secret" not in head for head in heads)


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary"])
@pytest.mark.parametrize("words", COMMANDS[2:], ids=["share", "rm"])
def test_a_redirect_is_no_result_of_a_change(
    peer: StartPeer, wharf: Caller, words: list[str], status: str
) -> None:
    """A page to sign in at, for example: nothing was shared and nothing removed."""
    away = response(b"", status=status, Location="https://sign-in.example/")
    said = wharf(*words, "--server", peer(saying(away)).url)
    assert (said.code, said.out) == (7, b"")
    assert f"{status[:3]}" in said.err
    assert "no result" in said.err
    assert "hint: Is this the address of a wharfinger service, with its mount point?" in said.err


def test_a_collection_that_is_not_there_is_5_and_an_empty_one_is_not(
    harbour: Harbour, wharf: Caller
) -> None:
    said = wharf("ls", "--collection", "nope")
    assert (said.code, said.out) == (5, b"")
    assert "There is no collection 'nope'" in said.err
    assert wharf("ls", "--collection", "images").code == 0


@pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])
def test_where_nobody_listens_the_message_says_so(wharf: Caller, words: list[str]) -> None:
    port = free_port()
    said = wharf(*words, "--server", f"http://127.0.0.1:{port}")
    assert f"127.0.0.1:{port} cannot be reached: Connection refused." in said.err
    assert "hint: Check the name and the port, and whether the server runs." in said.err


@pytest.mark.parametrize("words", COMMANDS, ids=[words[0] for words in COMMANDS])
def test_a_server_that_says_nothing_is_6_after_the_time_that_was_given(
    peer: StartPeer, wharf: Caller, words: list[str]
) -> None:
    def silent(exchange: Exchange) -> None:
        exchange.sock.recv(1)

    said = wharf(*words, "--server", peer(silent).url, "--timeout", "0.3")
    assert (said.code, said.out) == (6, b"")
    assert "0.3 s" in said.err
    assert "(timeout)" in said.err


def test_the_way_to_the_service_is_that_of_get_and_put(
    peer: StartPeer, wharf: Caller, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    empty = saying(response(b'{"files": [], "next": null}'))
    server = peer(empty)
    with Proxy() as proxy:
        named = f"http://files.test:{server.port}"
        assert wharf("ls", "--server", named, "--proxy", proxy.url).code == 0
        assert len(proxy.heads) == 1
    authority = Authority()
    authority.write(tmp_path / "ca.pem")
    with authority.peer(empty) as secure:
        said = wharf("ls", "--server", secure.url)
        assert said.code == 6
        assert "name it with --cacert" in said.err
        assert wharf("ls", "--server", secure.url, "--cacert", str(tmp_path / "ca.pem")).code == 0
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert wharf("ls", "--server", server.url, "--netrc").code == 0
    assert server.last.headers["authorization"] == "Basic YWRhOnNlY3JldA=="
    monkeypatch.setenv("WHARFINGER_TOKEN", "whf_secret")
    assert wharf("ls", "--server", server.url, "--netrc").code == 0
    assert server.last.headers["authorization"] == "Bearer whf_secret"
