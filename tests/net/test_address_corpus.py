"""Hundreds of forms of addresses, and not one connection where none may go.

Every connection that the code makes is counted, and would really arrive: whatever address
it is for, it reaches a peer on this machine that answers. Only the guard is in between.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from support import address_corpus as corpus
from support.peer import Exchange, Handler, Peer, response, saying
from wharfinger import Client
from wharfinger.errors import AddressRefused, BadResponse, Interrupted, UsageError
from wharfinger.net.guard import AddressGuard

SECRET = b"what only this machine may see"
STATUSES = (301, 302, 303, 307, 308)
IDS = [f"{kind}: {url!a}" for kind, url in corpus.CORPUS]


@dataclass
class Network:
    """All addresses in the world are one peer; `dialled` is what was connected to."""

    peer: Peer
    dialled: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answers: dict[str, Iterator[list[str]]] = field(default_factory=dict)

    def resolve(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        if host in self.answers:
            return next(self.answers[host])
        name = host.removesuffix(".")
        if name in corpus.NAMES:
            return corpus.NAMES[name]
        try:  # as the C library does: "127.1" and its kin are addresses to it
            return [socket.inet_ntoa(socket.inet_aton(host))]
        except OSError:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known") from None

    @property
    def client(self) -> Client:
        return Client(guard=AddressGuard(resolver=self.resolve), retries=0, timeout=5)

    @property
    def requests(self) -> list[str]:
        return [f"{e.headers['host']} {e.line.split()[1]}" for e in self.peer.exchanges]


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Iterator[Network]:
    real = socket.socket.connect
    pretended: dict[int, str] = {}

    with Peer(saying(response(SECRET))) as peer:
        network = Network(peer)

        def connect(sock: socket.socket, address: tuple[str, int]) -> None:
            network.dialled.append(address[0])
            pretended[sock.fileno()] = address[0]
            six = sock.family == socket.AF_INET6
            real(sock, ("::ffff:127.0.0.1" if six else "127.0.0.1", peer.port))

        def getpeername(sock: socket.socket) -> tuple[str, int]:
            return pretended[sock.fileno()], peer.port

        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr(socket.socket, "getpeername", getpeername)
        yield network


def test_the_corpus_is_large_and_has_no_form_twice() -> None:
    urls = [url for _, url in corpus.CORPUS]
    assert len(set(urls)) == len(urls)
    assert len(urls) >= 150


# --- the control: this network connects to whatever it is asked for ------------------------


@pytest.mark.parametrize("host", ["public.test", "public6.test", corpus.PUBLIC])
def test_the_network_would_really_have_connected(host: str, network: Network, folder: Path) -> None:
    network.client.download(f"http://{host}/x", "out")
    assert (folder / "out").read_bytes() == SECRET
    assert network.dialled in ([corpus.PUBLIC], [corpus.PUBLIC_6])
    assert network.peer.connections == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "localhost", "v4-16.test"])
def test_without_the_guard_it_would_have_arrived(host: str, network: Network, folder: Path) -> None:
    trusting = AddressGuard(
        allow_networks=("0.0.0.0/0", "::/0", "169.254.169.254/32"), resolver=network.resolve
    )
    with Client(guard=trusting, retries=0) as client:
        client.download(f"http://{host}:8080/x", "out")
    assert (folder / "out").read_bytes() == SECRET


# --- asked for ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "url"), corpus.CORPUS, ids=IDS)
def test_no_connection_is_made_and_no_byte_delivered(
    kind: str, url: str, network: Network, folder: Path
) -> None:
    with network.client as client, pytest.raises((AddressRefused, UsageError)) as caught:
        client.download(url.format(port=8080), "out")
    assert network.dialled == []
    assert network.peer.connections == 0
    assert list(folder.iterdir()) == []
    assert not isinstance(caught.value, OSError)
    assert not caught.value.retryable


@pytest.mark.parametrize("url", corpus.MEANS_PUBLIC)
def test_what_means_a_public_address_goes_there_and_nowhere_else(
    url: str, network: Network, folder: Path
) -> None:
    network.client.download(url.format(port=8080), "out")
    assert network.dialled == [corpus.PUBLIC]


# --- redirected to ------------------------------------------------------------------------


def redirecting(status: int, location: str) -> Handler:
    lines = f"HTTP/1.1 {status} Go\r\nContent-Length: 0\r\nLocation: {location}\r\n\r\n"

    def handler(exchange: Exchange) -> None:
        exchange.send(lines.encode("utf-8", "surrogatepass"))

    return handler


@pytest.mark.parametrize(("kind", "url"), corpus.CORPUS, ids=IDS)
def test_no_redirect_of_any_kind_leads_there(
    kind: str, url: str, network: Network, folder: Path
) -> None:
    for status in STATUSES:
        network.peer.handler = redirecting(status, url.format(port=8080))
        with network.client as client, pytest.raises((AddressRefused, BadResponse)):
            client.download("http://public.test/start", "out")
    assert set(network.dialled) == {corpus.PUBLIC}
    hosts = {request.split()[0] for request in network.requests}
    assert hosts == {"public.test"}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("location", ["//127.0.0.1:8080/", "//[::1]/", "//localhost/", "//0/"])
def test_no_reference_without_a_scheme_leads_there(
    location: str, network: Network, folder: Path
) -> None:
    network.peer.handler = redirecting(302, location)
    with network.client as client, pytest.raises(AddressRefused):
        client.download("http://public.test/start", "out")
    assert network.dialled == [corpus.PUBLIC]


def test_the_fifth_redirect_is_judged_like_the_first(network: Network, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        number = exchange.number
        target = "http://127.0.0.1/" if number == 4 else f"http://public.test/{number + 1}"
        redirecting(302, target)(exchange)

    network.peer.handler = handler
    with network.client as client, pytest.raises(AddressRefused):
        client.download("http://public.test/0", "out")
    assert set(network.dialled) == {corpus.PUBLIC}
    assert len(network.requests) == 5


# --- a name service that changes its mind --------------------------------------------------


def test_a_second_answer_is_never_asked_for(network: Network, folder: Path) -> None:
    network.answers["rebinding.test"] = iter([[corpus.PUBLIC], ["127.0.0.1"]])
    network.client.download("http://rebinding.test/x", "out")
    assert network.asked == ["rebinding.test"]
    assert network.dialled == [corpus.PUBLIC]


def test_a_redirect_to_the_same_name_is_judged_by_its_new_address(
    network: Network, folder: Path
) -> None:
    network.answers["rebinding.test"] = iter([[corpus.PUBLIC], ["127.0.0.1"]])
    network.peer.handler = saying(
        b"HTTP/1.1 302 Go\r\nConnection: close\r\nContent-Length: 0\r\nLocation: /again\r\n\r\n"
    )
    with network.client as client, pytest.raises(AddressRefused):
        client.download("http://rebinding.test/x", "out")
    assert network.dialled == [corpus.PUBLIC]


def test_another_attempt_is_judged_by_its_new_address(network: Network, folder: Path) -> None:
    network.answers["rebinding.test"] = iter([[corpus.PUBLIC], [corpus.PUBLIC, "10.0.0.1"]])
    network.peer.handler = saying(response(b"x" * 10, length=20))
    guard = AddressGuard(resolver=network.resolve)
    with (
        Client(guard=guard, retries=3, sleep=lambda _seconds: None) as client,
        pytest.raises(AddressRefused),
    ):
        client.download("http://rebinding.test/x", "out")
    assert network.dialled == [corpus.PUBLIC]


def test_the_first_address_is_down_and_the_next_checked_one_is_taken(
    network: Network, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network.answers["two.test"] = iter([["93.184.216.1", corpus.PUBLIC]])
    counted = socket.socket.connect

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "93.184.216.1":
            network.dialled.append(address[0])
            raise ConnectionRefusedError(111, "Connection refused")
        counted(sock, address)

    monkeypatch.setattr(socket.socket, "connect", connect)
    network.client.download("http://two.test/x", "out")
    assert network.dialled == ["93.184.216.1", corpus.PUBLIC]
    assert network.asked == ["two.test"]


def test_a_connection_that_was_led_elsewhere_carries_nothing(
    network: Network, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket.socket, "getpeername", lambda _sock: ("127.0.0.1", 80))
    with network.client as client, pytest.raises(AddressRefused):
        client.download("http://public.test/x", "out")
    assert network.requests == []


# --- what the refusal says ----------------------------------------------------------------


def test_every_closed_address_is_refused_with_the_same_words(network: Network) -> None:
    said = set()
    for kind in ("a name for IPv4", "a name for IPv6", "a name"):
        for host in corpus.HOSTS[kind]:
            with network.client as client, pytest.raises(AddressRefused) as caught:
                client.download(f"http://{host}:8080/x", "out")
            said.add(f"{caught.value} {caught.value.hint}".replace(host, "HOST"))
    assert len(said) == 1
    text = said.pop()
    assert "HOST is not (or not only) a public internet address." in text
    assert [
        word for word in ("loopback", "link-local", "metadata", "10.", "::") if word in text
    ] == []


def test_whether_something_listens_there_makes_no_difference(folder: Path) -> None:
    said = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        with Client() as client, pytest.raises(AddressRefused) as caught:
            client.download(f"http://127.0.0.1:{port}/x", "out")
        said.append(f"{caught.value} {caught.value.hint}")
    with Client() as client, pytest.raises(AddressRefused) as caught:
        client.download(f"http://127.0.0.1:{port}/x", "out")
    said.append(f"{caught.value} {caught.value.hint}")
    assert said[0] == said[1]


def test_a_refusal_is_not_tried_again(network: Network) -> None:
    waits: list[float] = []
    guard = AddressGuard(resolver=network.resolve)
    with (
        Client(guard=guard, retries=5, sleep=waits.append) as client,
        pytest.raises(AddressRefused),
    ):
        client.download("http://mixed.test/x", "out")
    assert (waits, network.asked) == ([], ["mixed.test"])


def test_an_upload_is_held_to_the_same_rules(network: Network) -> None:
    for host in ("127.0.0.1", "mixed.test", "[::1]", "2130706433", "169.254.169.254"):
        with network.client as client, pytest.raises(AddressRefused):
            client.upload(b"secret", f"http://{host}:8080/x")
    assert network.dialled == []


def test_a_broken_transfer_does_not_say_where_it_was(network: Network, folder: Path) -> None:
    network.peer.handler = lambda exchange: exchange.reset()
    with network.client as client, pytest.raises(Interrupted) as caught:
        client.download("http://public.test/x", "out")
    assert corpus.PUBLIC not in f"{caught.value} {caught.value.hint}"
