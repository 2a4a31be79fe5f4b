"""Large uploads to real servers and over TLS: whole, refused before the body, refused in the middle."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wharfinger
from support.peer import Exchange, Peer, response
from support.services import make_wharf, token
from support.shells import running
from support.tls import Authority
from wharfinger import Progress, Wharf
from wharfinger.errors import ResponseError

SIZE = 6_000_000


@pytest.fixture
def big(folder: Path) -> bytes:
    content = os.urandom(SIZE)
    (folder / "big.bin").write_bytes(content)
    return content


@pytest.fixture
def service(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


def send(url: str, events: list[Progress] | None = None, **options: Any) -> wharfinger.Reply:
    progress = (lambda _: None) if events is None else events.append
    return wharfinger.upload(
        "big.bin",
        url,
        **{"allow_private": True, "retries": 0, "timeout": 10, "progress": progress, **options},
    )


@pytest.mark.parametrize("shell", ["server", "flask", "asgi"])
@pytest.mark.parametrize("protocol", ["multipart", "raw"])
def test_our_own_service_takes_a_large_file_from_every_shell(
    shell: str, protocol: str, service: Wharf, big: bytes
) -> None:
    with running(shell, service) as url:
        reply = send(f"{url}/uploads/public", protocol=protocol, auth=token(service)).json()
    record = reply["files"][0] if protocol == "multipart" else reply
    assert record["sha256"] == hashlib.sha256(big).hexdigest()


@pytest.mark.parametrize("shell", ["server", "asgi"])
def test_our_own_service_refuses_before_the_body_is_sent(
    shell: str, service: Wharf, big: bytes
) -> None:
    events: list[Progress] = []
    with running(shell, service) as url, pytest.raises(ResponseError) as caught:
        send(f"{url}/uploads/public", events, protocol="raw")
    assert caught.value.status == 401
    assert "sending" not in {event.stage for event in events}


# --- TLS -----------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", ["multipart", "raw"])
def test_a_file_arrives_whole_over_tls(protocol: str, big: bytes) -> None:
    authority = Authority()

    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"{}", status="201 Created"))

    with Peer(handler, tls=authority.server()) as peer:
        assert send(peer.url, protocol=protocol, tls=authority.trusting).status == 201
        assert big in peer.last.body
        assert len(peer.last.body) == int(peer.last.headers["content-length"])


def test_a_refusal_in_the_middle_is_heard_over_tls(folder: Path) -> None:
    with (folder / "big.bin").open("wb") as file:
        file.truncate(64_000_000)
    authority = Authority()

    def handler(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        exchange.sock.recv(100_000)
        exchange.send(response(b"no", status="413 Too Large"))
        time.sleep(3)  # neither reads nor closes: only listening finds the answer

    started = time.monotonic()
    with (
        Peer(handler, reads_body=False, tls=authority.server()) as peer,
        pytest.raises(ResponseError) as caught,
    ):
        send(peer.url, tls=authority.trusting, protocol="raw", timeout=20)
    assert caught.value.status == 413
    assert time.monotonic() - started < 3
