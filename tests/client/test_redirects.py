"""Redirects: each hop is judged anew, and secrets stay where they belong."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.peer import Exchange, Handler, response, saying
from wharfinger import Client
from wharfinger.client.request import Request, redirected
from wharfinger.errors import AddressRefused, BadResponse, ResponseError
from wharfinger.net.guard import AddressGuard
from wharfinger.net.urls import parse
from wharfinger.protocol.headers import Headers


def to(location: str, status: str = "302 Found") -> Handler:
    return saying(response(b"", status=status, Location=location))


def fetch(url: str, dest: str = "out.bin", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_every_kind_of_redirect_is_followed_by_a_download(
    status: int, peer: StartPeer, folder: Path
) -> None:
    target = peer(saying(response(b"hello")))
    got = fetch(peer(to(f"{target.url}/x", f"{status} Go")).url)
    assert (got.size, got.url) == (5, f"{target.url}/x")


def hops(count: int) -> Handler:
    def handler(exchange: Exchange) -> None:
        number = int(exchange.line.split()[1].removeprefix("/"))
        if number == count:
            exchange.send(response(b"hello"))
        else:
            exchange.send(response(b"", status="302 Found", Location=f"/{number + 1}"))

    return handler


def test_five_redirects_are_followed_and_six_are_not(peer: StartPeer, folder: Path) -> None:
    assert fetch(f"{peer(hops(5)).url}/0").size == 5
    with pytest.raises(BadResponse, match="5 redirects"):
        fetch(f"{peer(hops(6)).url}/0", "other")


SECRETS = {
    "Authorization": "Bearer secret",
    "Cookie": "session=secret",
    "X-Api-Key": "secret",
}


def test_secrets_do_not_leave_their_origin(peer: StartPeer, folder: Path) -> None:
    target = peer(saying(response(b"hello")))  # another port is another origin
    first = peer(to(f"{target.url}/x"))
    fetch(first.url, headers={**SECRETS, "Accept": "text/plain", "User-Agent": "me"})
    assert {name: first.last.headers[name.lower()] for name in SECRETS} == SECRETS
    assert "secret" not in target.last.head.decode("latin-1")
    assert not {name.lower() for name in SECRETS} & target.last.headers.keys()
    assert target.last.headers["accept"] == "text/plain"
    assert target.last.headers["user-agent"] == "me"


def test_secrets_do_not_come_back_either(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        if exchange.line.startswith("GET /back"):
            exchange.send(response(b"hello"))
        else:
            exchange.send(response(b"", status="302 Found", Location=f"{away.url}/"))

    home = peer(handler)
    away = peer(to(f"{home.url}/back"))
    fetch(home.url, auth="secret")
    assert "authorization" in home.exchanges[0].headers
    assert "authorization" not in home.exchanges[1].headers


def test_secrets_stay_within_their_origin(peer: StartPeer, folder: Path) -> None:
    server = peer(hops(2))
    fetch(f"{server.url}/0", auth="secret")
    assert [exchange.headers["authorization"] for exchange in server.exchanges] == [
        "Bearer secret"
    ] * 3


CHANGES = {
    "scheme": "https://example.com:80/",
    "host": "http://www.example.com/",
    "port": "http://example.com:8080/",
}


@pytest.mark.parametrize("location", CHANGES.values(), ids=CHANGES.keys())
def test_a_change_of_any_part_of_the_origin_drops_them(location: str) -> None:
    request = Request(
        method="GET",
        url=parse("http://example.com/"),
        ours=(("Range", "bytes=5-"),),
        theirs=(("Authorization", "secret"), ("Accept", "text/plain")),
    )
    following = redirected(request, 302, Headers([("Location", location)]))
    assert following is not None
    assert following.theirs == (("Accept", "text/plain"),)
    assert following.ours == (("Range", "bytes=5-"),)


def test_https_never_becomes_http() -> None:
    request = Request(method="GET", url=parse("https://example.com/"))
    with pytest.raises(AddressRefused):
        redirected(request, 302, Headers([("Location", "http://example.com/")]))


BAD_LOCATIONS = {
    "none": [],
    "two": [("Location", "/a"), ("Location", "/b")],
    "user name": [("Location", "http://user@example.com/")],
    "backslash": [("Location", "\\\\example.com\\x")],
    "space": [("Location", "/a b")],
    "brackets": [("Location", "http://[::1/")],
}


@pytest.mark.parametrize("fields", BAD_LOCATIONS.values(), ids=BAD_LOCATIONS.keys())
def test_an_unsound_location_is_an_error_of_the_server(fields: list[tuple[str, str]]) -> None:
    request = Request(method="GET", url=parse("http://example.com/"))
    with pytest.raises(BadResponse):
        redirected(request, 302, Headers(fields))


def test_raw_utf8_in_a_location_is_encoded() -> None:
    request = Request(method="GET", url=parse("http://example.com/"))
    location = "/ä".encode().decode("latin-1")
    following = redirected(request, 302, Headers([("Location", location)]))
    assert following is not None
    assert following.url.target == "/%C3%A4"


REFUSED = ["file:///etc/passwd", "ftp://example.com/", "gopher://x/", "http://2130706433/",
           "http://0x7f.1/", "http://127.1/", "http://[::ffff:169.254.169.254]/",
           "http://169.254.169.254/", "http://[::]:22/", "http://127.0.0.1:25/"]  # fmt: skip


@pytest.mark.parametrize("location", REFUSED)
def test_a_redirect_to_a_place_that_is_never_right_is_refused(
    location: str, peer: StartPeer, folder: Path
) -> None:
    with pytest.raises(AddressRefused):
        fetch(peer(to(location)).url)
    assert list(folder.iterdir()) == []


class _Names:
    """`public.test` is the peer as if on the internet; the guard sees a public address."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.connected: list[tuple[str, int]] = []
        real_connect, real_peer = socket.socket.connect, socket.socket.getpeername
        public: set[int] = set()

        def connect(sock: socket.socket, address: tuple[str, int]) -> None:
            self.connected.append(address)
            if address[0] == "93.184.216.34":
                public.add(id(sock))
                address = ("127.0.0.1", address[1])
            real_connect(sock, address)

        def getpeername(sock: socket.socket) -> tuple[str, int]:
            name: tuple[str, int] = real_peer(sock)
            return ("93.184.216.34", name[1]) if id(sock) in public else name

        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr(socket.socket, "getpeername", getpeername)

    @staticmethod
    def resolve(host: str, _port: int) -> list[str]:
        return {"public.test": ["93.184.216.34"], "private.test": ["127.0.0.1"]}[host]


PRIVATE_TARGETS = ["127.0.0.1", "localhost-like", "10.0.0.1", "[::1]", "192.168.1.1"]


@pytest.mark.parametrize("start", [False, True], ids=["library", "command line"])
@pytest.mark.parametrize("target", PRIVATE_TARGETS)
def test_a_redirect_from_a_public_to_a_private_address_is_refused(
    target: str,
    start: bool,
    peer: StartPeer,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names = _Names(monkeypatch)
    inner = peer(saying(response(b"secret")))
    host = "private.test" if target == "localhost-like" else target
    outer = peer(to(f"http://{host}:{inner.port}/"))
    guard = AddressGuard(allow_private_start=start, resolver=names.resolve)
    with Client(guard=guard, retries=0) as client, pytest.raises(AddressRefused):
        client.download(f"http://public.test:{outer.port}/", "out")
    assert names.connected == [("93.184.216.34", outer.port)]
    assert inner.connections == 0


def test_what_a_person_typed_may_be_private_and_redirect_within(
    peer: StartPeer, folder: Path
) -> None:
    inner = peer(saying(response(b"hello")))
    outer = peer(to(f"{inner.url}/"))
    with Client(guard=AddressGuard(allow_private_start=True), retries=0) as client:
        assert client.download(outer.url, "out").size == 5


def test_a_private_address_is_left_for_good_once_a_hop_was_public(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = _Names(monkeypatch)
    inner = peer(saying(response(b"secret")))
    outer = peer(to(f"{inner.url}/"))
    typed = peer(to(f"http://public.test:{outer.port}/"))
    guard = AddressGuard(allow_private_start=True, resolver=names.resolve)
    with Client(guard=guard, retries=0) as client, pytest.raises(AddressRefused):
        client.download(typed.url, "out")
    assert inner.connections == 0


# --- uploads -------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [307, 308])
def test_an_upload_follows_within_its_origin_and_sends_the_file_again(
    status: int, peer: StartPeer
) -> None:
    def handler(exchange: Exchange) -> None:
        if exchange.line.startswith("POST /old"):
            exchange.send(response(b"", status=f"{status} Go", Location="/new"))
        else:
            exchange.send(response(b"{}", status="201 Created"))

    server = peer(handler)
    reply = wharfinger.upload(b"content", f"{server.url}/old", protocol="raw", allow_private=True)
    assert reply.status == 201
    assert [exchange.body for exchange in server.exchanges] == [b"content", b"content"]
    assert reply.posted_to == f"{server.url}/new"


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_an_upload_is_not_carried_elsewhere(status: int, peer: StartPeer) -> None:
    other = peer(saying(response(b"{}")))
    server = peer(to(f"{other.url}/", f"{status} Go"))
    with pytest.raises(ResponseError) as caught:
        wharfinger.upload(b"content", server.url, auth="secret", allow_private=True)
    assert caught.value.status == status
    assert other.connections == 0


@pytest.mark.parametrize("status", [301, 302])
def test_an_upload_that_would_become_a_get_is_an_error(status: int, peer: StartPeer) -> None:
    server = peer(to("/login", f"{status} Go"))
    with pytest.raises(ResponseError):
        wharfinger.upload(b"content", server.url, allow_private=True)
    assert len(server.exchanges) == 1


def test_see_other_is_an_answer(peer: StartPeer) -> None:
    server = peer(to("/files/7", "303 See Other"))
    reply = wharfinger.upload(b"content", f"{server.url}/form", allow_private=True)
    assert (reply.status, reply.url) == (303, f"{server.url}/files/7")
    assert len(server.exchanges) == 1


def test_nothing_a_server_sets_is_kept_for_a_later_request(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        kept = {
            "Set-Cookie": "session=secret; Path=/",
            "Strict-Transport-Security": "max-age=9999",
            "Alt-Svc": 'h2="other.test:443"',
        }
        if exchange.line.startswith("GET /start"):
            kept["Location"] = "/next"
            exchange.send(response(b"", status="302 Found", fields=kept))
        else:
            exchange.send(response(b"hello", fields=kept))

    server = peer(handler)
    with Client(allow_private=True) as client:
        client.download(f"{server.url}/start", "one")
        client.download(f"{server.url}/next", "two")
    assert not any("cookie" in exchange.headers for exchange in server.exchanges)
    assert {exchange.headers["host"] for exchange in server.exchanges} == {
        f"127.0.0.1:{server.port}"
    }
