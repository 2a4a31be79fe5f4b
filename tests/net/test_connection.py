"""TLS, and what a connection does with its socket."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.peer import Exchange, Handler, Peer, response, saying
from support.require import module
from wharfinger import Client
from wharfinger.client.timeouts import Timeout
from wharfinger.errors import (
    AddressRefused,
    BadResponse,
    ConnectFailed,
    Interrupted,
    ResponseError,
    TransferTimeout,
)
from wharfinger.net.connection import GuardedConnection
from wharfinger.net.exchange import Waiting
from wharfinger.net.guard import AddressGuard


@pytest.fixture
def authority() -> object:
    module("trustme")
    import trustme

    return trustme.CA()


@pytest.fixture
def trusting(authority: object) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)  # type: ignore[attr-defined]
    return context


def secure(authority: object, handler: Handler, name: str = "localhost") -> Peer:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)  # type: ignore[attr-defined]
    return Peer(handler, tls=context)


@pytest.fixture
def client(trusting: ssl.SSLContext) -> Iterator[Client]:
    with Client(allow_private=True, tls=trusting, retries=0, timeout=5) as client:
        yield client


def test_a_trusted_certificate_is_taken(authority: object, client: Client, folder: Path) -> None:
    with secure(authority, saying(response(b"hello"))) as server:
        assert client.download(f"{server.url}/x", "out").size == 5
    assert server.last.headers["host"] == f"localhost:{server.port}"


def test_a_certificate_of_another_name_is_not(
    authority: object, client: Client, folder: Path
) -> None:
    with secure(authority, saying(response(b"hello")), "other.example") as server:
        with pytest.raises(ConnectFailed) as caught:
            client.download(f"{server.url}/x", "out")
        assert server.exchanges == []
    assert not caught.value.retryable


def test_an_unknown_authority_is_not(authority: object, folder: Path) -> None:
    with (
        secure(authority, saying(response(b"hello"))) as server,
        Client(allow_private=True, retries=0) as client,
        pytest.raises(ConnectFailed, match="not to be trusted"),
    ):
        client.download(f"{server.url}/x", "out")


def test_something_that_is_no_tls_is_not(folder: Path) -> None:
    def speak() -> None:
        sock, _ = listener.accept()
        with sock:
            sock.sendall(response(b"hello"))
            sock.settimeout(5)
            with contextlib.suppress(OSError):
                while sock.recv(4096):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=speak)
        thread.start()
        with (
            Client(allow_private=True, retries=0, timeout=5) as client,
            pytest.raises(ConnectFailed, match="TLS"),
        ):
            client.download(f"https://127.0.0.1:{listener.getsockname()[1]}/x", "out")
        thread.join(10)


def test_a_cut_tls_connection_is_not_the_end_of_a_body(
    authority: object, client: Client, folder: Path
) -> None:
    def cut(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\nhalf of it")
        os.close(exchange.sock.detach())

    with secure(authority, cut) as server, pytest.raises(Interrupted):
        client.download(f"{server.url}/x", "out")
    assert not (folder / "out").exists()


def test_https_is_not_led_to_http(authority: object, client: Client, folder: Path) -> None:
    with Peer(saying(response(b"secret"))) as plain:
        handler = saying(response(b"", status="302 Found", Location=f"{plain.url}/"))
        with secure(authority, handler) as server, pytest.raises(AddressRefused):
            client.download(f"{server.url}/x", "out")
        assert plain.connections == 0


def test_an_upload_over_tls_is_whole(authority: object, client: Client) -> None:
    with secure(authority, saying(response(b"{}"))) as server:
        client.upload(bytes(3_000_000), f"{server.url}/x", protocol="raw")
        assert len(server.last.body) == 3_000_000


def test_a_connection_without_a_guard_of_its_own_has_the_strict_one() -> None:
    connection = GuardedConnection("127.0.0.1", 9999)
    with pytest.raises(AddressRefused):
        connection.open(1)
    watch: Waiting = Timeout().start(lambda: 0.0)
    with pytest.raises(ConnectFailed):
        connection.exchange("GET", b"", None, watch)


def test_more_than_was_announced_is_noticed_on_the_wire(folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"x" * 200_000, length=100_000))

    with (
        Peer(handler) as server,
        Client(allow_private=True, retries=0) as client,
        pytest.raises(BadResponse),
    ):
        client.download(server.url, "out")


@pytest.mark.parametrize("flood", [21, 2000])
def test_a_flood_of_interim_answers_while_sending_is_given_up(flood: int) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * flood)
        exchange.sock.settimeout(5)
        with contextlib.suppress(OSError):
            while exchange.sock.recv(1 << 20):
                pass

    with (
        Peer(handler, reads_body=False) as server,
        Client(allow_private=True, retries=0, timeout=5) as client,
        pytest.raises(BadResponse, match="More than 20 interim answers"),
    ):
        client.upload(bytes(60_000_000), server.url, protocol="raw")


def test_interim_answers_before_and_after_the_body_are_counted_together() -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 15)
        exchange.sock.settimeout(5)
        left = int(exchange.headers["content-length"]) - len(exchange.body)
        while left > 0:
            left -= len(exchange.sock.recv(1 << 20))
        exchange.send(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 15 + response(b"{}"))

    with (
        Peer(handler, reads_body=False) as server,
        Client(allow_private=True, retries=0, timeout=5) as client,
        pytest.raises(BadResponse, match="More than 20 interim answers"),
    ):
        client.upload(bytes(60_000_000), server.url, protocol="raw")


def test_over_tls_too_a_refusal_costs_nothing(
    authority: object, client: Client, folder: Path
) -> None:
    """What comes first there is a session ticket, which says nothing about the body."""
    heard = threading.Event()

    def handler(exchange: Exchange) -> None:
        exchange.sock.settimeout(0.3)
        with contextlib.suppress(TimeoutError):
            exchange.body += exchange.sock.recv(1)
        exchange.send(response(b"no", status="401 No"))
        heard.set()

    with secure(authority, handler) as server:
        server.reads_body = False
        with pytest.raises(ResponseError):
            client.upload(bytes(2_000_000), f"{server.url}/x", protocol="raw")
        assert heard.wait(5)
        assert server.last.body == b""


def test_a_peer_that_takes_nothing_in_and_drips_is_given_up(
    authority: object, trusting: ssl.SSLContext
) -> None:
    """A part of a TLS record after another is no progress of what is being sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)  # type: ignore[attr-defined]
    stop = threading.Event()

    def serve() -> None:
        sock, _ = listener.accept()
        came, goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        tls = context.wrap_bio(came, goes, server_side=True)
        with sock, contextlib.suppress(OSError):
            while True:
                try:
                    tls.read(1)
                    break
                except ssl.SSLWantReadError:
                    sock.sendall(goes.read())
                    came.write(sock.recv(65536))
            tls.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            sock.sendall(goes.read())
            tls.write(b"x" * 1000)
            for byte in goes.read():
                if stop.wait(0.1):
                    return
                sock.sendall(bytes([byte]))

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://localhost:{listener.getsockname()[1]}/"
        started = time.monotonic()
        with (
            Client(allow_private=True, tls=trusting, retries=0, timeout=0.7) as client,
            pytest.raises(TransferTimeout, match="nothing moved"),
        ):
            client.upload(bytes(30_000_000), url, protocol="raw")
        assert time.monotonic() - started < 10
        stop.set()
        thread.join(10)


def test_an_address_that_does_not_answer_leaves_time_for_the_next_one(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        dead = stack.enter_context(socket.socket())
        dead.bind(("127.0.0.2", 0))
        dead.listen(0)
        port = dead.getsockname()[1]
        for _ in range(3):  # its queue is full: nobody is answered any more
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(("127.0.0.2", port))
        alive = stack.enter_context(socket.socket())
        try:
            alive.bind(("127.0.0.1", port))
        except OSError:
            pytest.skip("the port is taken at the other address")
        alive.listen()
        addresses = ["127.0.0.2", "127.0.0.1"]
        connection = GuardedConnection("two.example", port)
        connection.guard = AddressGuard(allow_private=True, resolver=lambda _host, _port: addresses)
        connection.open(1.5)
        assert str(connection.checked and connection.checked.address) == "127.0.0.1"
        connection.close()
