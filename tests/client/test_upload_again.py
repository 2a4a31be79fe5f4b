"""What is sent again after a failure, and what is not: nothing may be stored twice."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from conftest import StartPeer
from support.content import PNG
from support.peer import Exchange, response, saying
from wharfinger import Client, Policy, Reply
from wharfinger.errors import Interrupted, LocalFileError, ResponseError, UsageError

CREATED = response(b"{}", status="201 Created")


def send(url: str, file: object = b"hello", **options: object) -> tuple[Reply, list[float]]:
    waits: list[float] = []
    with Client(allow_private=True, retries=2, timeout=5, sleep=waits.append) as client:
        return client.upload(file, url, **options), waits  # type: ignore[arg-type]


def breaks_once(exchange: Exchange) -> None:
    if exchange.number > 0:
        exchange.send(CREATED)


AGAIN: dict[str, dict[str, object]] = {
    "raw PUT": {"protocol": "raw", "method": "PUT"},
    "form with a key": {"idempotency_key": "8e03978e"},
    "raw POST with a key": {"protocol": "raw", "idempotency_key": "8e03978e"},
}
ONCE: dict[str, dict[str, object]] = {
    "form": {},
    "raw POST": {"protocol": "raw"},
    "empty raw POST": {"protocol": "raw", "file": b""},
    "a stream by PUT": {"protocol": "raw", "method": "PUT", "file": "stream"},
}


@pytest.mark.parametrize("options", AGAIN.values(), ids=AGAIN)
def test_what_cannot_be_stored_twice_is_sent_again_whole(
    options: dict[str, object], peer: StartPeer, folder: Path
) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(breaks_once)
    reply, waits = send(server.url, "a.txt", **options)
    assert reply.status == 201
    assert len(waits) == 1
    first, second = server.exchanges
    assert first.body == second.body
    assert b"hello" in second.body
    assert first.headers.get("idempotency-key") == second.headers.get("idempotency-key")


@pytest.mark.parametrize("options", ONCE.values(), ids=ONCE)
def test_everything_else_is_sent_once(options: dict[str, object], peer: StartPeer) -> None:
    file = options.get("file", b"hello")
    server = peer(lambda _exchange: None)
    rest = {name: value for name, value in options.items() if name != "file"}
    with pytest.raises(Interrupted):
        send(server.url, Unseekable(b"hello") if file == "stream" else file, **rest)
    assert len(server.exchanges) == 1


class Unseekable(io.BytesIO):
    def seekable(self) -> bool:
        return False


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_gets_a_put_again_and_a_form_never(status: int, peer: StartPeer) -> None:
    busy = response(b"", status=f"{status} Busy")
    server = peer(saying(busy, CREATED))
    assert send(server.url, protocol="raw", method="PUT")[0].status == 201
    other = peer(saying(busy, CREATED))
    with pytest.raises(ResponseError):
        send(other.url)
    assert len(other.exchanges) == 1


def test_a_file_that_changed_before_the_second_attempt_is_not_sent(
    peer: StartPeer, folder: Path
) -> None:
    (folder / "a.txt").write_bytes(b"hello")

    def handler(exchange: Exchange) -> None:
        (folder / "a.txt").write_bytes(b"hello, world")

    server = peer(handler)
    with pytest.raises(LocalFileError):
        send(server.url, "a.txt", protocol="raw", method="PUT")
    assert [exchange.body for exchange in server.exchanges[:1]] == [b"hello"]
    assert all(exchange.body == b"" for exchange in server.exchanges[1:])


def test_a_presigned_put_has_only_the_headers_that_were_given(
    peer: StartPeer, folder: Path
) -> None:
    (folder / "a.png").write_bytes(PNG)
    server = peer(saying(response(b"", status="200 OK")))
    send(f"{server.url}/bucket/key?X-Amz-Signature=abc%2Fd", "a.png", protocol="raw", method="PUT")
    assert server.last.line == "PUT /bucket/key?X-Amz-Signature=abc%2Fd HTTP/1.1"
    assert set(server.last.headers) == {
        "host", "user-agent", "accept", "accept-encoding", "content-length",
    }  # fmt: skip
    options = {"protocol": "raw", "method": "PUT", "type": "image/png", "name": "b.png"}
    send(server.url, "a.png", headers={"x-ms-blob-type": "BlockBlob"}, **options)
    assert server.last.headers["content-type"] == "image/png"
    assert server.last.headers["content-disposition"] == 'attachment; filename="b.png"'
    assert server.last.headers["x-ms-blob-type"] == "BlockBlob"


# --- digests -------------------------------------------------------------------------------

# echo -n hello | openssl dgst -sha256 -binary | base64
HELLO = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:"


@pytest.mark.parametrize("judged", [False, True])
def test_the_digest_of_a_raw_body_is_sent_along(
    judged: bool, peer: StartPeer, folder: Path
) -> None:
    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(CREATED))
    policy = Policy.anything() if judged else None
    send(server.url, "a.txt", protocol="raw", digest=True, policy=policy)
    assert server.last.headers["repr-digest"] == HELLO
    assert server.last.headers["content-digest"] == HELLO


def test_the_digest_of_a_form_is_that_of_the_whole_body(peer: StartPeer, folder: Path) -> None:
    import base64
    import hashlib

    (folder / "a.txt").write_bytes(b"hello")
    server = peer(saying(CREATED))
    send(server.url, ["a.txt", b"more"], fields={"a": "b"}, digest=True)
    expected = base64.b64encode(hashlib.sha256(server.last.body).digest()).decode()
    assert server.last.headers["content-digest"] == f"sha-256=:{expected}:"


def test_nothing_is_promised_unless_asked(peer: StartPeer) -> None:
    server = peer(saying(CREATED))
    send(server.url)
    assert not {"repr-digest", "content-digest", "idempotency-key"} & set(server.last.headers)


def test_a_stream_has_no_digest_to_send_before_it(peer: StartPeer) -> None:
    server = peer(saying(CREATED))
    with pytest.raises(UsageError, match="stream"):
        send(server.url, Unseekable(b"hello"), digest=True)
    assert server.connections == 0


@pytest.mark.parametrize("key", ["", "a b", "ä", "a\nb", "x" * 256])
def test_a_key_that_is_no_header_value_is_refused(key: str, peer: StartPeer) -> None:
    server = peer(saying(CREATED))
    with pytest.raises(UsageError):
        send(server.url, idempotency_key=key)
    assert server.connections == 0
