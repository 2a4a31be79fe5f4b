"""`wharf put`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from conftest import StartPeer
from support.command import wharf
from support.content import HTML, PNG
from support.peer import Exchange, response, saying
from support.tus_peer import TusPeer

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
    assert ran.records == [{**RECORD, "url": f"{server.url}/files/abc"}]


def test_a_raw_upload_answers_its_record(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(created(RECORD)))
    ran = wharf("put", "--raw", "--json", "a.txt", f"{server.url}/uploads/files")
    assert ran.records == [{**RECORD, "url": f"{server.url}/files/abc"}]
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
    assert ran.text == f"{server.url}/files/1\n"
    assert "2 of 3 files failed" in ran.err
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


WRONG = {
    "raw by tus": ["a.txt", "http://127.0.0.1:1/", "--raw", "--protocol", "tus"],
    "digest of stdin": ["-", "http://127.0.0.1:1/", "--digest"],
    "chunks of a form": ["a.txt", "http://127.0.0.1:1/", "--chunk-size", "1 MiB"],
    "chunks of no size": ["a.txt", "http://127.0.0.1:1/", "--protocol", "tus", "--chunk-size", "x"],
    "one key for two": ["a.txt", "b.txt", "http://127.0.0.1:1/", "--idempotency-key", "k"],
    "no url": ["a.txt"],
    "nothing": [],
    "field": ["a.txt", "http://127.0.0.1:1/", "--field", "nonsense"],
    "raw with fields": ["a.txt", "http://127.0.0.1:1/", "--raw", "--field", "a=b"],
    "form by PUT": ["a.txt", "http://127.0.0.1:1/", "--method", "PUT"],
    "name of two": ["a.txt", "b.txt", "http://127.0.0.1:1/", "--name", "x"],
    "stdin twice": ["-", "-", "http://127.0.0.1:1/"],
    "url": ["a.txt", "nonsense"],
}


@pytest.mark.parametrize("arguments", WRONG.values(), ids=WRONG.keys())
def test_a_wrong_call_is_exit_code_2(arguments: list[str], folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    (folder / "b.txt").write_bytes(b"hello")
    ran = wharf("put", *arguments)
    assert ran.code == 2
    assert "(usage)" in ran.err


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
