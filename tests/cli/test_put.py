"""`wharf put`."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from conftest import StartPeer
from support.command import command, environment, wharf
from support.content import HTML, PNG
from support.peer import Exchange, response, saying
from support.services import make_wharf, token
from support.shells import stand_alone
from support.tus_peer import Asked, Handler, TusPeer
from wharfinger.testing import DownScanner, WordScanner

RECORD = {
    "id": "abc", "name": "a.txt", "size": 5, "type": "text/plain", "sha256": "0" * 64,
    "state": "ready", "collection": "files", "created_at": "2026-03-01T12:00:00Z",
    "expires_at": None, "url": "/files/abc",
}  # fmt: skip


def created(document: object, **fields: str) -> bytes:
    body = json.dumps(document).encode()
    return response(body, status="201 Created", Content_Type="application/json", fields=fields)


def test_the_address_is_printed(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(created({}, Location="/files/7")))
    ran = wharf("put", "a.txt", f"{server.url}/up")
    assert (ran.code, ran.text, ran.err) == (0, f"{server.url}/files/7\n", "")
    assert b'name="file"; filename="a.txt"' in server.last.body


def test_the_record_of_a_service_is_printed(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(created({"files": [RECORD], "fields": {}}, Location="/files/abc")))
    ran = wharf("put", "a.txt", f"{server.url}/uploads/files")
    assert ran.text == f"abc  5  text/plain  {server.url}/files/abc\n"
    ran = wharf("put", "--json", "a.txt", f"{server.url}/uploads/files")
    assert ran.records == [{**RECORD, "url": f"{server.url}/files/abc", "file": "a.txt"}]


def test_a_raw_upload_answers_its_record(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(created(RECORD)))
    ran = wharf("put", "--raw", "--json", "a.txt", f"{server.url}/uploads/files")
    assert ran.records == [{**RECORD, "url": f"{server.url}/files/abc", "file": "a.txt"}]
    assert server.last.body == b"hello"


def test_stdin_is_sent(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(created({})))
    ran = wharf("put", "-", server.url, "--raw", "--name", "log.txt", stdin=b"from a pipe")
    assert ran.code == 0
    assert server.last.headers["transfer-encoding"] == "chunked"
    assert b"from a pipe" in server.last.body
    assert "log.txt" in server.last.headers["content-disposition"]
    assert server.last.headers["content-type"] == "text/plain"


def test_fields_names_and_types_are_sent(peer: StartPeer, folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"hello")
    server = peer(saying(created({})))
    options = ["--field", "user=7", "--field", "note=a=b", "--form-field-name", "doc"]
    options += ["--name", "b.txt", "--type", "text/csv", "-H", "X-Mine: yes"]
    assert wharf("put", "a.bin", server.url, *options).code == 0
    body = server.last.body
    assert b'name="user"\r\n\r\n7\r\n' in body
    assert b'name="note"\r\n\r\na=b\r\n' in body
    assert b'name="doc"; filename="b.txt"\r\nContent-Type: text/csv\r\n' in body
    assert server.last.headers["x-mine"] == "yes"


def test_no_refused_file_opens_a_connection(peer: StartPeer, folder: Path) -> None:
    (folder / "a.jpg").write_bytes(HTML)
    server = peer(saying(created({})))
    ran = wharf("put", "a.jpg", server.url, "--policy", "images")
    assert ran.code == 8
    assert "(active-content)" in ran.err
    assert server.connections == 0


def test_some_failed_is_an_exit_code_of_its_own(peer: StartPeer, folder: Path) -> None:
    (folder / "a.png").write_bytes(PNG)
    (folder / "b.png").write_bytes(HTML)
    server = peer(saying(created({}, Location="/files/1")))
    ran = wharf("put", "a.png", "b.png", "absent.png", server.url, "--policy", "images")
    assert ran.code == 3
    assert ran.text == f"a.png: {server.url}/files/1\n"
    assert "2 of 3 files failed" in ran.err
    assert "error: b.png: " in ran.err
    assert "error: absent.png does not exist. (source-missing)" in ran.err
    assert wharf("put", "b.png", "absent.png", server.url, "--policy", "images").code == 8


def test_a_refusal_of_the_server_is_told(peer: StartPeer, folder: Path) -> None:
    (folder / "a.bin").write_bytes(bytes(20_000_000))
    problem = b'{"detail": "5 MiB at most.", "hint": "Make it smaller.", "code": "too-large"}'
    reply = response(problem, status="413 No", Content_Type="application/problem+json")
    ran = wharf("put", "a.bin", peer(saying(reply), reads_body=False).url)
    assert ran.code == 8
    assert "5 MiB at most." in ran.err
    assert "hint: Make it smaller." in ran.err


def test_a_resumable_upload_by_its_options(folder: Path) -> None:
    (folder / "a.bin").write_bytes(bytes(3_000_000))
    env = {"XDG_STATE_HOME": str(folder / "state")}
    options = ["--protocol", "tus", "--chunk-size", "1 MiB", "--field", "user=7", "--digest"]
    with TusPeer() as server:
        ran = wharf("put", "a.bin", server.url, *options, env=env)
        assert (ran.code, ran.text, ran.err) == (0, f"{server.origin}/files/1\n", "")
        assert len(server.sent("PATCH")) == 3
        assert server.only.data == bytes(3_000_000)
        ran = wharf("put", "a.bin", server.url, *options, "--connections", "2", env=env)
        assert ran.text == f"{server.origin}/files/4\n"
    assert list((folder / "state" / "wharfinger").iterdir()) == []


def test_stdin_becomes_a_resumable_upload(folder: Path) -> None:
    with TusPeer() as server:
        ran = wharf(
            "put", "-", server.url, "--protocol", "tus", "--chunk-size", "1 MiB", "--no-resume",
            stdin=b"x" * 2_500_000,
        )  # fmt: skip
        assert ran.code == 0
        assert server.only.data == b"x" * 2_500_000
        assert server.sent("POST")[0].headers["upload-defer-length"] == "1"


def test_a_digest_and_a_key_are_sent(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(created({})))
    options = ["--protocol", "raw", "--digest", "--idempotency-key", "k-1"]
    assert wharf("put", "a.txt", server.url, *options).code == 0
    assert server.last.headers["idempotency-key"] == "k-1"
    # echo -n hello | openssl dgst -sha256 -binary | base64
    digest = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"
    assert server.last.headers["repr-digest"] == digest


HERE = "http://127.0.0.1:1/"
WRONG = {
    "raw by tus": (["a.txt", HERE, "--raw", "--protocol", "tus"], "--raw and --protocol tus"),
    "digest of stdin": (["-", HERE, "--digest"], "--digest needs the content before it is sent"),
    "chunks of a form": (["a.txt", HERE, "--chunk-size", "1 MiB"], "--chunk-size is for"),
    "connections of a form": (["a.txt", HERE, "--connections", "2"], "--connections is for"),
    "chunks of no size": (["a.txt", HERE, "--protocol", "tus", "--chunk-size", "x"], "'x'"),
    "empty chunks": (
        ["a.txt", HERE, "--protocol", "tus", "--chunk-size", "0"],
        "--chunk-size must be at least one byte",
    ),
    "one key for two": (["a.txt", "b.txt", HERE, "--idempotency-key", "k"], "are for one file"),
    "a file alone": (["a.txt"], "error: The URL is missing."),
    "a URL alone": ([HERE], "error: The FILE is missing."),
    "nothing": ([], "FILE... URL"),
    "none at once": (["a.txt", HERE, "--at-once", "0"], "--at-once"),
    "field": (["a.txt", HERE, "--field", "nonsense"], "NAME=VALUE"),
    "raw with fields": (["a.txt", HERE, "--raw", "--field", "a=b"], "--field is for forms"),
    "form by PUT": (["a.txt", HERE, "--method", "PUT"], "A form is sent by POST"),
    "name of two": (["a.txt", "b.txt", HERE, "--name", "x"], "are for one file"),
    "stdin twice": (["-", "-", HERE], "stdin can be sent only once"),
    "url": (["a.txt", "nonsense"], "nonsense"),
}


@pytest.mark.parametrize(("arguments", "text"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_call_is_exit_code_2(arguments: list[str], text: str, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    (folder / "b.txt").write_bytes(b"hello")
    ran = wharf("put", *arguments)
    assert ran.code == 2
    assert "(usage)" in ran.err
    assert text in ran.err


def test_several_files_are_sent_at_the_same_time(peer: StartPeer, folder: Path) -> None:
    names = [f"{number}.txt" for number in range(6)]
    for name in names:
        (folder / name).write_text(name)
    three = threading.Barrier(3, timeout=20)

    def handler(exchange: Exchange) -> None:
        three.wait()  # nobody passes before three are there
        exchange.send(created({}, Location=f"/files/{exchange.body.decode()}"))

    server = peer(handler)
    ran = wharf("put", *names, server.url, "--raw", "--at-once", "3")
    assert (ran.code, ran.err) == (0, "")
    assert sorted(ran.text.splitlines()) == [f"{name}: {server.url}/files/{name}" for name in names]


def test_a_line_of_several_says_whose_it_is(peer: StartPeer, folder: Path) -> None:
    for name in ("a", "b"):
        (folder / name).write_bytes(b"hello")
    record = peer(saying(created(RECORD)))
    ran = wharf("put", "--raw", "a", "b", record.url)
    line = f"abc  5  text/plain  {record.url}/files/abc"
    assert sorted(ran.text.splitlines()) == [f"a: {line}", f"b: {line}"]
    ran = wharf("put", "a", "b", peer(saying(created({}))).url)
    assert sorted(ran.text.splitlines()) == ["a: 201", "b: 201"]


def test_each_of_several_is_told_of_when_it_is_there(peer: StartPeer, folder: Path) -> None:
    for name in ("slow", "quick"):
        (folder / name).write_text(name)
    quick_was_told = threading.Event()

    def handler(exchange: Exchange) -> None:
        if exchange.body == b"slow":
            quick_was_told.wait(20)
        exchange.send(created({}, Location=f"/{exchange.body.decode()}"))

    server = peer(handler)
    process = subprocess.Popen(
        command("put", "slow", "quick", server.url, "--raw"),
        stdout=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"quick: {server.url}/quick\n".encode()
    quick_was_told.set()
    assert process.communicate(timeout=20)[0] == f"slow: {server.url}/slow\n".encode()
    assert process.returncode == 0


def test_several_as_json_are_one_object_each(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(created(RECORD)))
    ran = wharf("put", "--json", "a.txt", "absent.txt", f"{server.url}/uploads/files")
    assert ran.code == 3
    by_outcome = {"error" in record: record for record in ran.records}
    assert (by_outcome[False]["id"], by_outcome[False]["file"]) == ("abc", "a.txt")
    assert by_outcome[True]["error"]["code"] == "source-missing"
    assert by_outcome[True]["error"]["file"] == "absent.txt"
    assert ran.err == ""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_among_several_says_how_to_go_on(
    number: signal.Signals, code: int, folder: Path
) -> None:
    for name in ("a.bin", "b.bin"):
        (folder / name).write_bytes(bytes(100_000))
    reached = threading.Event()

    def stall(asked: Asked, _handler: Handler) -> bool:
        if asked.method == "PATCH":
            reached.set()
            stopped.wait(20)
        return False

    stopped = threading.Event()
    extensions = ("creation",)  # each file takes a creation and a PATCH
    with TusPeer(faults=[stall], extensions=extensions) as server:
        process = subprocess.Popen(
            command("put", "a.bin", "b.bin", server.url, "--protocol", "tus"),
            stderr=subprocess.PIPE,
            env=environment({"XDG_STATE_HOME": str(folder / "state")}),
        )
        assert reached.wait(20)
        process.send_signal(number)
        err = process.communicate(timeout=20)[1]
        stopped.set()
    assert process.returncode == code
    assert b"hint: Run it again for the files that were not printed" in err
    assert b"each goes on where it ended." in err
    assert b"Traceback" not in err


def test_the_token_goes_to_the_server_and_to_no_other(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server, other = peer(saying(created({}))), peer(saying(created({})))
    env = {"WHARFINGER_TOKEN": "secret", "WHARFINGER_SERVER": f"{server.url}/"}
    wharf("put", "a.txt", f"{server.url}/uploads/files", env=env)
    wharf("put", "a.txt", f"{other.url}/uploads/files", env=env)
    assert server.last.headers["authorization"] == "Bearer secret"
    assert "authorization" not in other.last.headers


def test_the_real_peer_echoes(httpbin: str, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    ran = wharf("put", "a.txt", f"{httpbin}/post", "--field", "user=7")
    assert (ran.code, ran.text) == (0, "a.txt: 200\n")
    ran = wharf("put", "a.txt", f"{httpbin}/put", "--raw", "--method", "PUT", "--json")
    assert ran.records == [{"file": "a.txt", "status": 200, "url": None}]


def test_a_connection_that_breaks_is_a_network_error(peer: StartPeer, folder: Path) -> None:
    (folder / "a.bin").write_bytes(bytes(20_000_000))
    assert wharf("put", "a.bin", peer(Exchange.reset, reads_body=False).url).code == 6


def breaks_after_the_word(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    exchange.reset()


def test_an_upload_that_breaks_says_which_protocols_go_on(peer: StartPeer, folder: Path) -> None:
    (folder / "a.bin").write_bytes(bytes(20_000_000))
    server = peer(breaks_after_the_word, reads_body=False)
    ran = wharf("put", "--raw", "a.bin", server.url)
    assert ran.code == 6
    assert "TLS" not in ran.err
    assert 'With protocol "resumable" or "tus" it would go on where it ended.' in ran.err


HELD = {**RECORD, "state": "held"}
REMARKS = {
    "checking": (
        {**RECORD, "state": "checking"},
        "is being checked, and cannot be read until then",
    ),
    "held without its scanner": (
        {**HELD, "problem": {"code": "unavailable", "detail": "The scanner is away."}},
        "is held, and cannot be read until the service's scanner answers again",
    ),
    "held for a person": (
        {**HELD, "problem": {"code": "unscannable", "detail": "It is encrypted."}},
        "is held, and cannot be read before it was scanned or somebody released it",
    ),
}


@pytest.mark.parametrize(("record", "said"), REMARKS.values(), ids=REMARKS.keys())
def test_people_are_told_of_a_file_that_cannot_be_read_yet(
    record: dict[str, object], said: str, peer: StartPeer, folder: Path
) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    ran = wharf("put", "a.txt", peer(saying(created(record))).url)
    assert (ran.code, ran.err) == (0, f"a.txt {said}: wharf info abc\n")


def test_a_finished_tus_upload_tells_the_state_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    with make_wharf(tmp_path / "data", scanner=DownScanner()) as held, stand_alone(held) as url:
        env = {"WHARFINGER_SERVER": url, "WHARFINGER_TOKEN": token(held)}
        words = ("put", "--protocol", "tus", "a.txt", f"{url}/uploads/files")
        (record,) = wharf(*words, "--json", env=env).records
        assert record["state"] == "held"
        assert "a.txt is held" in wharf(*words, env=env).err


def test_content_that_was_refused_by_tus_is_not_to_be_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    (folder / "a.txt").write_bytes(b"an evil word")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "state"))
    evil = WordScanner(b"evil")
    with make_wharf(tmp_path / "data", scanner=evil) as found, stand_alone(found) as url:
        env = {"WHARFINGER_SERVER": url, "WHARFINGER_TOKEN": token(found)}
        words = ("put", "--protocol", "tus", "a.txt", f"{url}/uploads/files")
        for _ in range(2):
            ran = wharf(*words, env=env)
            assert ran.code == 8
            assert "The scanner found 'word'" in ran.err
            assert "goes on where it ended" not in ran.err
            assert list((folder / "state").rglob("*.json")) == []


def test_a_plain_transfer_loads_nothing_that_it_does_not_need(
    peer: StartPeer, folder: Path
) -> None:
    """Each of these takes longer to load than curl takes for the whole transfer."""
    (folder / "a.txt").write_bytes(b"hello")
    code = (
        "import sys\nfrom wharfinger.cli import cli, output\n"
        "assert output.run(cli, sys.argv[1:]) == 0\n"
        "heavy = ('urllib3', 'email', 'http', 'logging', 'asyncio', 'rich', 'PIL', 'http_sf')\n"
        "sys.stderr.write(str([name for name in heavy if name in sys.modules]))"
    )
    url = peer(saying(created({}))).url
    for arguments in (["put", "a.txt", url], ["put", "--raw", "a.txt", url]):
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments],
            capture_output=True,
            check=True,
            env=environment(),
        )
        assert done.stderr == b"[]"


def test_the_address_comes_last(folder: Path) -> None:
    ran = wharf("put", "http://127.0.0.1:1/uploads/files", "a.txt")
    assert (ran.code, ran.err.splitlines()[0]) == (
        2,
        "error: The URL comes last: FILE... URL. (usage)",
    )


def test_a_name_that_no_form_can_carry_is_told_how_to_be_replaced(
    peer: StartPeer, folder: Path
) -> None:
    name = "a\x1b[31m.txt"
    (folder / name).write_bytes(b"hello")
    server = peer(saying(created({})))
    ran = wharf("put", name, server.url)
    assert ran.code == 2
    assert "has a control character." in ran.err
    assert "hint: A file can get another name: give --name." in ran.err
    assert wharf("put", name, server.url, "--name", "a.txt").code == 0
