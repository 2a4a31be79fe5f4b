"""Transfers through a proxy: only when asked for, and its secrets stay with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.peer import Exchange, response, saying
from support.processes import free_port, running
from support.proxy import Proxy
from support.require import program
from support.tls import Authority
from wharfinger import Client, Timeout
from wharfinger.errors import (
    AddressRefused,
    BadResponse,
    ConnectFailed,
    ResponseError,
    TransferTimeout,
    UsageError,
)


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def through(server: Proxy, url: str, **options: object) -> wharfinger.Download:
    options = {"proxy": server.url, "trust_proxy": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, "out", **options)  # type: ignore[arg-type]


# --- only when asked for ------------------------------------------------------------------


def test_the_environment_is_not_asked_unless_the_caller_says_so(
    proxy: Proxy, peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.url)
    server = peer(saying(response(b"hello")))
    wharfinger.download(server.url, "direct", allow_private=True)
    wharfinger.upload(b"x", server.url, allow_private=True)
    assert proxy.heads == []
    with Client(proxy="environment", trust_proxy=True, allow_private=True) as client:
        client.download(server.url, "proxied")
    assert proxy.lines == [f"GET {server.url}/ HTTP/1.1"]


def test_no_proxy_of_the_environment_is_reached_directly_and_guarded(
    proxy: Proxy, peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "localhost")
    server = peer(saying(response(b"hello")))
    with pytest.raises(AddressRefused):
        wharfinger.download(
            f"http://localhost:{server.port}/", "out", proxy="environment", trust_proxy=True
        )
    assert (proxy.heads, server.connections) == ([], 0)


def test_a_proxy_and_the_guard_together_need_an_explicit_word(proxy: Proxy, folder: Path) -> None:
    for call in (
        lambda: wharfinger.download("http://files.test/", "out", proxy=proxy.url),
        lambda: wharfinger.upload(b"x", "http://files.test/", proxy=proxy.url),
        lambda: Client(proxy=proxy.url, allow_private=True),
    ):
        with pytest.raises(UsageError, match="it decides where to") as caught:
            call()
        assert "trust_proxy=True" in caught.value.hint
    assert proxy.heads == []


# --- what goes through it -----------------------------------------------------------------


def test_a_name_that_only_the_proxy_knows_is_reached(
    proxy: Proxy, peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(b"hello")))
    got = through(proxy, f"http://files.test:{server.port}/a?b=c")
    assert got.size == 5
    assert proxy.lines == [f"GET http://files.test:{server.port}/a?b=c HTTP/1.1"]
    assert server.last.line == "GET /a?b=c HTTP/1.1"
    assert server.last.headers["host"] == f"files.test:{server.port}"


def test_https_is_a_tunnel_and_the_certificate_is_that_of_the_url(
    proxy: Proxy, authority: Authority, folder: Path
) -> None:
    with authority.peer(saying(response(b"hello")), "files.test") as server:
        url = f"https://files.test:{server.port}/secret"
        assert through(proxy, url, tls=authority.trusting).size == 5
    assert proxy.lines == [f"CONNECT files.test:{server.port} HTTP/1.1"]
    assert "secret" not in "".join(proxy.heads)


def test_a_proxy_cannot_answer_for_the_server(
    proxy: Proxy, authority: Authority, folder: Path
) -> None:
    with authority.peer(saying(response(b"hello")), "other.test") as server:
        with pytest.raises(ConnectFailed, match="certificate"):
            through(proxy, f"https://files.test:{server.port}/", tls=authority.trusting)
        assert server.exchanges == []


def test_an_upload_goes_through_it_too(proxy: Proxy, peer: StartPeer) -> None:
    server = peer(saying(response(b"{}", status="201 Created")))
    reply = wharfinger.upload(
        bytes(3_000_000),
        f"http://files.test:{server.port}/",
        protocol="raw",
        proxy=proxy.url,
        trust_proxy=True,
    )
    assert reply.status == 201
    assert len(server.last.body) == 3_000_000


def test_what_the_url_itself_says_is_still_judged(proxy: Proxy, folder: Path) -> None:
    for url in (
        "http://127.0.0.1/", "https://[::1]/", "http://169.254.169.254/", "http://localhost/",
        "http://metadata.google.internal/", "http://files.test:25/", "http://2130706433/",
        "file:///etc/passwd",
    ):  # fmt: skip
        with pytest.raises(AddressRefused):
            through(proxy, url)
    assert proxy.heads == []


def test_so_is_what_a_redirect_says(proxy: Proxy, peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"", status="302 Found", Location="http://127.0.0.1/"))

    server = peer(handler)
    with pytest.raises(AddressRefused):
        through(proxy, f"http://files.test:{server.port}/")
    assert len(proxy.heads) == 1


# --- credentials --------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_credentials_of_the_proxy_never_reach_the_origin(
    scheme: str, proxy: Proxy, peer: StartPeer, authority: Authority, folder: Path
) -> None:
    handler = saying(response(b"hello"))
    address = proxy.url.replace("http://", "http://me:secret@")
    with authority.peer(handler, "files.test") as secure:
        server = secure if scheme == "https" else peer(handler)
        url = f"{scheme}://files.test:{server.port}/"
        through(proxy, url, proxy=address, tls=authority.trusting, auth="token")
    assert "Proxy-Authorization: Basic bWU6c2VjcmV0" in proxy.heads[0]
    assert "proxy-authorization" not in server.last.headers
    assert "secret" not in server.last.head.decode("latin-1")
    # And the other way round: in a tunnel the proxy does not see those of the origin.
    assert ("token" in proxy.heads[0]) is (scheme == "http")
    assert server.last.headers["authorization"] == "Bearer token"


def test_they_do_not_reach_an_origin_that_is_reached_directly(
    proxy: Proxy, peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    direct = peer(saying(response(b"hello")))
    target = f"http://127.0.0.1:{direct.port}/"
    first = peer(saying(response(b"", status="302 Found", Location=target)))
    monkeypatch.setenv("http_proxy", proxy.url.replace("http://", "http://me:secret@"))
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    url = f"http://files.test:{first.port}/"
    through(proxy, url, proxy="environment", allow_private=True)
    assert "Proxy-Authorization" in proxy.heads[0]
    assert "proxy-authorization" not in direct.last.headers


def test_a_header_of_the_caller_cannot_carry_them(folder: Path) -> None:
    with pytest.raises(UsageError, match="proxy="):
        wharfinger.download(
            "http://files.test/", "out", headers={"Proxy-Authorization": "Basic secret"}
        )


# --- a proxy that does not do it ----------------------------------------------------------


REFUSALS = {
    b"HTTP/1.1 407 Sign in\r\nProxy-Authenticate: Basic\r\n\r\n": ("407 Sign in", False),
    b"HTTP/1.1 403 Forbidden\r\n\r\n": ("403 Forbidden", False),
    b"HTTP/1.1 502 Bad Gateway\r\n\r\n": ("502 Bad Gateway", True),
    b"HTTP/1.1 503 \x1b[31mBusy\r\n\r\n": ("does not begin", False),
}


@pytest.mark.parametrize(("answer", "means"), REFUSALS.items(), ids=map(str, REFUSALS))
def test_a_tunnel_that_is_refused_says_why(
    answer: bytes, means: tuple[str, bool], proxy: Proxy, folder: Path
) -> None:
    proxy.refuses = answer
    with pytest.raises((ConnectFailed, BadResponse), match=means[0]) as caught:
        through(proxy, "https://files.test/")
    assert caught.value.retryable is means[1]
    assert "\x1b" not in str(caught.value)


def test_a_proxy_that_wants_to_be_signed_in_to_says_how(proxy: Proxy, folder: Path) -> None:
    proxy.refuses = b"HTTP/1.1 407 Sign in\r\nContent-Length: 0\r\n\r\n"
    with pytest.raises(ConnectFailed) as caught:
        through(proxy, "https://files.test/")
    assert "user:password@proxy" in caught.value.hint
    with pytest.raises(ResponseError) as plain:
        through(proxy, "http://files.test/")
    assert plain.value.status == 407
    assert "proxy=" in plain.value.hint


def test_bytes_before_tls_are_not_taken_for_the_server(proxy: Proxy, folder: Path) -> None:
    proxy.refuses = b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\nhello"
    with pytest.raises(BadResponse, match="before TLS"):
        through(proxy, "https://files.test/")


@pytest.mark.parametrize("url", ["http://files.test/", "https://files.test/"])
def test_a_proxy_that_is_not_there_is_named(url: str, folder: Path) -> None:
    port = free_port()
    with pytest.raises(ConnectFailed, match="proxy 127"):
        wharfinger.download(
            url, "out", proxy=f"http://127.0.0.1:{port}", trust_proxy=True, retries=0
        )


def test_a_proxy_that_drips_its_answer_is_given_up(peer: StartPeer, folder: Path) -> None:
    def drip(exchange: Exchange) -> None:
        for byte in b"HTTP/1.1 200 Connection established\r\nX: " + b"a" * 400:
            exchange.sock.settimeout(0.05)
            exchange.send(bytes([byte]))
            try:
                if not exchange.sock.recv(1):
                    return
            except TimeoutError:
                continue

    server = peer(drip)
    with pytest.raises(TransferTimeout):
        wharfinger.download(
            "https://files.test/",
            "out",
            proxy=server.url,
            trust_proxy=True,
            retries=0,
            timeout=Timeout(connect=0.5),
        )


# --- a real one ---------------------------------------------------------------------------


@pytest.fixture
def tinyproxy(tmp_path: Path) -> Iterator[str]:
    binary = program("tinyproxy")
    port = free_port()
    settings = tmp_path / "tinyproxy.conf"
    settings.write_text(
        f"Port {port}\nListen 127.0.0.1\nTimeout 20\nMaxClients 20\nAllow 127.0.0.1\n"
        "BasicAuth me secret\n"
    )
    with running([binary, "-d", "-c", settings], port, tmp_path / "tinyproxy.log"):
        yield f"http://me:secret@127.0.0.1:{port}"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_tinyproxy_carries_downloads_and_uploads(
    scheme: str, tinyproxy: str, peer: StartPeer, authority: Authority, folder: Path
) -> None:
    handler = saying(response(b"x" * 1_000_000, status="201 Created"))
    with authority.peer(handler) as secure:
        server = secure if scheme == "https" else peer(handler)
        with Client(
            proxy=tinyproxy, trust_proxy=True, allow_private=True, tls=authority.trusting
        ) as client:
            url = f"{scheme}://localhost:{server.port}/x"
            server.handler = saying(response(b"x" * 1_000_000))
            assert client.download(url, "out").size == 1_000_000
            server.handler = saying(response(b"{}", status="201 Created"))
            assert client.upload(bytes(2_000_000), url, protocol="raw").status == 201
        heads = [exchange.head.lower() for exchange in server.exchanges]
    assert not any(b"proxy-authorization" in head for head in heads)
    assert len(server.last.body) == 2_000_000


def test_tinyproxy_refuses_who_does_not_sign_in(tinyproxy: str, folder: Path) -> None:
    bare = tinyproxy.replace("me:secret@", "")
    with Client(proxy=bare, trust_proxy=True, retries=0) as client:
        with pytest.raises(ConnectFailed, match="407"):
            client.download("https://files.test/", "out")
        with pytest.raises(ResponseError) as caught:
            client.download("http://files.test/", "out")
    assert caught.value.status == 407
