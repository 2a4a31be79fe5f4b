"""What servers do wrong, byte for byte, and what a download makes of it."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import PNG
from support.peer import Exchange, response, saying
from wharfinger import Client
from wharfinger.errors import (
    BadResponse,
    ContentTypeMismatch,
    IntegrityError,
    Interrupted,
    Rejected,
    ResponseError,
    TooLarge,
    WharfingerError,
)

BODY = bytes(range(1, 51))
LONG = bytes(i % 251 for i in range(100_000))


def fetch(url: str, dest: str = "out.bin", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


def head(*lines: str, status: str = "200 OK") -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


CHUNKED = "Transfer-Encoding: chunked"
BAD: dict[str, tuple[bytes, type[WharfingerError]]] = {
    "length 100, sends 50": (head("Content-Length: 100") + BODY, Interrupted),
    "length 10, sends 50": (head("Content-Length: 10") + BODY, BadResponse),
    "length 0, sends 50": (head("Content-Length: 0") + BODY, BadResponse),
    "length 0, sends another answer": (head("Content-Length: 0") + head("Content-Length: 5") + b"hello", BadResponse),
    "chunked without the last chunk": (head(CHUNKED) + b"5\r\nhello\r\n", Interrupted),
    "chunked, cut in a chunk": (head(CHUNKED) + b"50\r\nhello", Interrupted),
    "chunked, cut in a size": (head(CHUNKED) + b"5\r\nhello\r\n5", Interrupted),
    "chunked, cut in the trailer": (head(CHUNKED) + b"5\r\nhello\r\n0\r\n", Interrupted),
    "length and coding": (head("Content-Length: 5", CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n", BadResponse),
    "two different lengths": (head("Content-Length: 5", "Content-Length: 6") + b"hello!", BadResponse),
    "two lengths in one line": (head("Content-Length: 5, 6") + b"hello!", BadResponse),
    "truncated gzip": (
        head("Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(LONG)) - 12}")
        + gzip.compress(LONG)[:-12],
        BadResponse,
    ),
    "truncated gzip, full length": (
        head("Content-Encoding: gzip", f"Content-Length: {len(gzip.compress(LONG))}")
        + gzip.compress(LONG)[:-12],
        BadResponse,
    ),
    "negative length": (head("Content-Length: -5") + b"hello", BadResponse),
    "206 to a request without a range": (
        head("Content-Length: 5", "Content-Range: bytes 0-4/5", status="206 Partial Content") + b"hello",
        BadResponse,
    ),
    "bare CR in a header": (head("X-A: b\rContent-Length: 2", "Content-Length: 5") + b"hello", BadResponse),
    "length of 10^20": (head("Content-Length: 100000000000000000000") + b"hello", TooLarge),
    # Beyond the table: what lenient parsers let through.
    "length of 31 digits": (head(f"Content-Length: {'9' * 31}"), BadResponse),
    "length with a plus": (head("Content-Length: +5") + b"hello", BadResponse),
    "length in foreign digits": (head("Content-Length: 5_0") + b"hello", BadResponse),
    "empty length": (head("Content-Length: ") + b"hello", BadResponse),
    "chunk size with a minus": (head(CHUNKED) + b"-5\r\nhello\r\n0\r\n\r\n", BadResponse),
    "chunk size with 0x": (head(CHUNKED) + b"0x5\r\nhello\r\n0\r\n\r\n", BadResponse),
    "chunk longer than it says": (head(CHUNKED) + b"4\r\nhello\r\n0\r\n\r\n", BadResponse),
    "endless chunk line": (head(CHUNKED) + b"5;" + b"x" * 9000, BadResponse),
    "endless trailers": (head(CHUNKED) + b"0\r\n" + b"a: b\r\n" * 200, BadResponse),
    "unknown transfer coding": (head("Transfer-Encoding: gzip, chunked") + b"0\r\n\r\n", BadResponse),
    "coding twice": (head(CHUNKED, CHUNKED) + b"0\r\n\r\n", BadResponse),
    "space before the colon": (head("Content-Length : 5") + b"hello", BadResponse),
    "NUL in a header": (head("X: a\0b", "Content-Length: 5") + b"hello", BadResponse),
    "line without a colon": (head("hello", "Content-Length: 5") + b"hello", BadResponse),
    "another protocol": (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", BadResponse),
    "HTTP/2 in clear": (b"HTTP/2 200\r\n\r\n", BadResponse),
    "status of four digits": (b"HTTP/1.1 2000 OK\r\n\r\n", BadResponse),
    "endless head": (head("X: " + "a" * 70_000), BadResponse),
    "too many headers": (head(*(f"X-{i}: 1" for i in range(300))), BadResponse),
    "endless interim answers": (head(status="103 Early Hints") * 50, BadResponse),
    "another protocol by upgrade": (head("Upgrade: h2c", status="101 Switching Protocols"), BadResponse),
    "empty line first": (b"\r\n" + head("Content-Length: 5") + b"hello", BadResponse),
    "nothing at all": (b"", Interrupted),
    "half a status line": (b"HTTP/1.1 20", Interrupted),
    "half a head": (b"HTTP/1.1 200 OK\r\nContent-Le", Interrupted),
    "content-range on a 200": (head("Content-Range: bytes 0-4/5", "Content-Length: 5") + b"hello", BadResponse),
    "204": (head(status="204 No Content"), BadResponse),
    "304": (head(status="304 Not Modified"), BadResponse),
    "300": (head("Content-Length: 0", status="300 Multiple Choices"), BadResponse),
    "brotli": (head("Content-Encoding: br", "Content-Length: 5") + b"hello", BadResponse),
    "malformed digest": (head("Repr-Digest: sha-256=nonsense", "Content-Length: 5") + b"hello", BadResponse),
    "wrong digest": (
        head("Repr-Digest: sha-256=:" + "A" * 43 + "=:", "Content-Length: 5") + b"hello",
        IntegrityError,
    ),
    "wrong content digest": (
        head("Content-Digest: sha-256=:" + "A" * 43 + "=:", "Content-Length: 5") + b"hello",
        IntegrityError,
    ),
    "wrong sha-512": (
        head("Repr-Digest: sha-512=:" + "A" * 86 + "==:", "Content-Length: 5") + b"hello",
        IntegrityError,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "error"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer_is_an_error_and_leaves_no_file(
    reply: bytes, error: type[WharfingerError], peer: StartPeer, folder: Path
) -> None:
    with pytest.raises(error) as caught:
        fetch(peer(saying(reply)).url)
    assert type(caught.value) is error
    assert not (folder / "out.bin").exists()


GOOD = {
    "chunks": head(CHUNKED) + b"3;name=value\r\nhel\r\n2\r\nlo\r\n0\r\nTrailer: x\r\n\r\n",
    "identical lengths": head("Content-Length: 5", "Content-Length: 5") + b"hello",
    "bare line feeds": b"HTTP/1.1 200 OK\nContent-Length: 5\n\nhello",
    "HTTP/1.0": b"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    "no reason": b"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\nhello",
    "folded header": head("X: a", "  b", "Content-Length: 5") + b"hello",
    "after 100, 103 and 104": head(status="100 Continue")
    + head("Link: </x>", status="103 Early Hints")
    + head(status="104 Upload Resumption Supported")
    + head("Content-Length: 5")
    + b"hello",
    "identity coding": head("Content-Encoding: identity", "Content-Length: 5") + b"hello",
    "right digest": head(
        "Repr-Digest: sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:", "Content-Length: 5"
    )
    + b"hello",
}


@pytest.mark.parametrize("reply", GOOD.values(), ids=GOOD.keys())
def test_an_unusual_but_sound_answer_is_taken(reply: bytes, peer: StartPeer, folder: Path) -> None:
    got = fetch(peer(saying(reply)).url)
    assert (folder / "out.bin").read_bytes() == b"hello"
    assert got.length_verified


def test_a_body_that_ends_with_the_connection_is_of_unverified_length(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(head("Content-Type: text/plain") + BODY))
    assert not fetch(server.url).length_verified
    digest = hashlib.sha256(BODY).hexdigest()
    assert fetch(server.url, "again.bin", sha256=digest).length_verified
    with pytest.raises(IntegrityError):
        fetch(server.url, "third.bin", sha256="0" * 64)
    assert not (folder / "third.bin").exists()
    assert not (folder / "third.bin.part").exists()


def test_what_came_before_the_cut_is_kept_for_a_resume(peer: StartPeer, folder: Path) -> None:
    reply = response(LONG, length=200_000, ETag='"v1"')
    with pytest.raises(Interrupted) as caught:
        fetch(peer(saying(reply)).url)
    assert (caught.value.received, caught.value.expected) == (100_000, 200_000)
    assert (folder / "out.bin.part").read_bytes() == LONG
    assert "same call again" in caught.value.hint
    assert "out.bin.part" in caught.value.hint


SMUGGLED = head("Content-Length: 4") + b"evil"
FOLLOWED = {
    "empty": (head("Content-Length: 0"), BadResponse),
    "sized": (head("Content-Length: 5") + b"hello", BadResponse),
    "chunked": (head(CHUNKED) + b"5\r\nhello\r\n0\r\n\r\n", None),
    "an error": (head("Content-Length: 0", status="404 Not Found"), ResponseError),
    "no content": (head(status="204 No Content"), BadResponse),
    "not modified": (head(status="304 Not Modified"), BadResponse),
}


@pytest.mark.parametrize(("reply", "error"), FOLLOWED.values(), ids=FOLLOWED.keys())
def test_what_follows_an_answer_is_never_taken_for_the_next_one(
    reply: bytes, error: type[WharfingerError] | None, peer: StartPeer, folder: Path
) -> None:
    def handler(exchange: Exchange) -> None:
        first = exchange.number == 0
        exchange.send(reply + SMUGGLED if first else response(b"good"))
        exchange.sock.recv(1)  # stays open until the client has done with it

    server = peer(handler)
    with Client(allow_private=True, retries=0) as client:
        with pytest.raises(error) if error else contextlib.nullcontext():
            client.download(f"{server.url}/a", "first")
        client.download(f"{server.url}/b", "second")
    assert (folder / "second").read_bytes() == b"good"
    assert server.connections == 2


def test_an_upload_that_was_taken_does_not_lend_its_connection_to_what_follows(
    peer: StartPeer, folder: Path
) -> None:
    def handler(exchange: Exchange) -> None:
        first = exchange.number == 0
        exchange.send(head(status="204 No Content") + SMUGGLED if first else response(b"good"))
        exchange.sock.recv(1)

    server = peer(handler)
    with Client(allow_private=True, retries=0) as client:
        assert client.upload(b"x", server.url).status == 204
        client.download(server.url, "second")
    assert (folder / "second").read_bytes() == b"good"
    assert server.connections == 2


@pytest.mark.parametrize("expect", ["image/png", "image/*", "images"])
@pytest.mark.parametrize("claims", ["", "image/png"])
def test_nothing_is_no_image(expect: str, claims: str, peer: StartPeer, folder: Path) -> None:
    fields = {"Content-Type": claims} if claims else {}
    with pytest.raises((Rejected, ContentTypeMismatch)):
        fetch(peer(saying(response(b"", fields=fields))).url, expect=expect)
    assert list(folder.iterdir()) == []


def test_an_empty_file_is_a_file_where_nothing_else_is_expected(
    peer: StartPeer, folder: Path
) -> None:
    assert fetch(peer(saying(response(b""))).url).size == 0
    assert (folder / "out.bin").read_bytes() == b""


def test_a_compressed_body_on_a_redirect_is_not_decoded(peer: StartPeer, folder: Path) -> None:
    bomb = gzip.compress(bytes(10_000_000))

    def handler(exchange: Exchange) -> None:
        if exchange.line.startswith("GET /bomb"):
            exchange.send(
                response(bomb, status="302 Found", Content_Encoding="gzip", Location="/file")
            )
        else:
            exchange.send(response(PNG, Content_Type="image/png"))

    assert fetch(f"{peer(handler).url}/bomb").size == len(PNG)


def test_identity_is_what_is_asked_for(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"x")))
    fetch(server.url)
    assert server.last.headers["accept-encoding"] == "identity"
    assert "range" not in server.last.headers
