"""A large body asks first: a refusal costs nothing, and who ignores the question gets it anyway."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.peer import Exchange, response, saying
from wharfinger import Client
from wharfinger.errors import ResponseError

LARGE = 1024 * 1024
CREATED = response(b"{}", status="201 Created")


def send(file: object, url: str, **options: object) -> wharfinger.Reply:
    options = {"allow_private": True, "retries": 0, "timeout": 5, "protocol": "raw", **options}
    return wharfinger.upload(file, url, **options)  # type: ignore[arg-type]


def take(exchange: Exchange) -> None:
    length = int(exchange.headers["content-length"])
    while len(exchange.body) < length and (more := exchange.sock.recv(LARGE)):
        exchange.body += more


def polite(exchange: Exchange) -> None:
    assert exchange.body == b""
    exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
    take(exchange)
    exchange.send(CREATED)


def hints_first(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 104 Upload\r\n\r\n")
    polite(exchange)


@pytest.mark.parametrize("handler", [polite, hints_first], ids=["100", "103, 104, 100"])
def test_the_body_follows_the_word(handler: Callable[[Exchange], None], peer: StartPeer) -> None:
    content = os.urandom(LARGE)
    server = peer(handler, reads_body=False)
    started = time.monotonic()
    assert send(content, server.url).status == 201
    assert time.monotonic() - started < 0.9
    assert server.last.body == content
    assert server.last.headers["expect"] == "100-continue"


@pytest.mark.parametrize("size", [0, 5, LARGE - 1])
def test_a_smaller_body_is_sent_without_asking(size: int, peer: StartPeer) -> None:
    server = peer(saying(CREATED))
    send(bytes(size), server.url)
    assert "expect" not in server.last.headers


@pytest.mark.parametrize("status", ["401 No", "413 Too Large", "403 No"])
def test_a_refusal_costs_nothing(status: str, peer: StartPeer, folder: Path) -> None:
    with (folder / "big").open("wb") as file:
        file.truncate(64 * LARGE)

    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"no", status=status))
        take(exchange)

    server = peer(handler, reads_body=False)
    with pytest.raises(ResponseError):
        send("big", server.url)
    assert server.last.body == b""


def test_who_ignores_the_question_gets_the_body_and_is_not_asked_again(peer: StartPeer) -> None:
    content = os.urandom(2 * LARGE)
    server = peer(saying(CREATED))
    with Client(allow_private=True, retries=0) as client:
        started = time.monotonic()
        client.upload(content, server.url, protocol="raw")
        assert 0.9 < time.monotonic() - started < 4
        started = time.monotonic()
        client.upload(content, server.url, protocol="raw")
        assert time.monotonic() - started < 0.9
    assert [exchange.body == content for exchange in server.exchanges] == [True, True]
    assert ["expect" in exchange.headers for exchange in server.exchanges] == [True, False]


def test_417_is_tried_once_without_asking(peer: StartPeer) -> None:
    content = os.urandom(LARGE)

    def handler(exchange: Exchange) -> None:
        if "expect" in exchange.headers:
            exchange.send(response(b"", status="417 Expectation Failed"))
            return
        take(exchange)
        exchange.send(CREATED)

    server = peer(handler, reads_body=False)
    assert send(content, server.url).status == 201
    assert server.last.body == content
    assert len(server.exchanges) == 2


def test_a_body_that_was_not_begun_is_tried_again_after_503(peer: StartPeer) -> None:
    waits: list[float] = []

    def handler(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.send(response(b"", status="503 Busy", Retry_After="3"))
        else:
            polite(exchange)

    server = peer(handler, reads_body=False)
    with Client(allow_private=True, retries=1, sleep=waits.append) as client:
        assert client.upload(bytes(LARGE), server.url).status == 201
    assert waits == [3.0]


def test_a_stream_that_nobody_took_is_sent_after_a_redirect(peer: StartPeer) -> None:
    read, write = os.pipe()
    os.write(write, b"from a pipe")
    os.close(write)

    def handler(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.send(response(b"", status="307 There", Location="/there"))
            return
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        while not exchange.body.endswith(b"0\r\n\r\n"):
            exchange.body += exchange.sock.recv(1000)
        exchange.send(CREATED)

    server = peer(handler, reads_body=False)
    with os.fdopen(read, "rb") as stream:
        assert send(stream, server.url).status == 201
    assert server.last.line == "POST /there HTTP/1.1"
    assert b"from a pipe" in server.last.body


def test_gunicorn_says_the_word(httpbin: str) -> None:
    started = time.monotonic()
    assert send(b"a" * (2 * LARGE), f"{httpbin}/post").status == 200
    assert time.monotonic() - started < 4
