"""The address guard: no connection is made where it does not go."""

from __future__ import annotations

import ipaddress
import socket
import threading
from pathlib import Path

import pytest

from wharfinger import Client
from wharfinger.errors import (
    AddressRefused,
    ConnectFailed,
    TransferTimeout,
    UsageError,
    WharfingerError,
)
from wharfinger.net.addresses import block_of
from wharfinger.net.guard import AddressGuard, resolve

# What a name service under an attacker's hand answers.
NAMES = {
    "loopback.test": ["127.0.0.1"],
    "private.test": ["10.1.2.3"],
    "mixed.test": ["93.184.216.34", "127.0.0.1"],
    "mixed-first.test": ["192.168.0.1", "93.184.216.34"],
    "six.test": ["::1"],
    "mapped.test": ["::ffff:127.0.0.1"],
    "local6.test": ["fe80::1%eth0"],
    "metadata.test": ["169.254.169.254"],
    "nat64.test": ["64:ff9b::7f00:1"],
    "mixed-six.test": ["2606:2800:220:1:248:1893:25c8:1946", "fd00::1"],
    "zero.test": ["0.0.0.0"],  # noqa: S104
    "localhost": ["127.0.0.1", "::1"],
    "localhost.": ["127.0.0.1"],
    "instance-data": ["93.184.216.34"],
    "metadata.google.internal": ["93.184.216.34"],
    "metadata.google.internal.": ["93.184.216.34"],
    "nonsense.test": ["not an address"],
}


def answer(host: str, _port: int) -> list[str]:
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return NAMES[host]


ADDRESSES = [
    "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254",  # noqa: S104
    "100.100.100.200", "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.1.1",
    "169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.8",
    "192.0.0.192", "192.0.2.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.168.0.1",
    "192.168.255.255", "192.175.48.1", "198.18.0.1", "198.19.255.255", "198.51.100.1",
    "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    "[::]", "[::1]", "[::7f00:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]", "[::ffff:93.184.216.34]", "[::ffff:0:127.0.0.1]",
    "[64:ff9b::127.0.0.1]", "[64:ff9b:1::1]", "[100::1]", "[2001::1]", "[2001:20::1]",
    "[2001:db8::1]", "[2002:7f00:1::1]", "[3fff::1]", "[5f00::1]", "[fc00::1]", "[fd00:ec2::254]",
    "[fdff::1]", "[fe80::1]", "[febf::1]", "[fec0::1]", "[ff02::1]", "[ff0e::1]", "[4000::1]",
    "[2620:4f:8000::1]",
]  # fmt: skip
DISGUISED = [
    "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001",
    "127.0.0.1.", "127。0。0。1", "１２７.0.0.1", "①②⑦.0.0.1", "127.0.0.0x1", "[127.0.0.1]",
    "[fe80::1%25lo]", "user@127.0.0.1", "example.com@127.0.0.1", "127.0.0.1\\@example.com",
    "127%2e0%2e0%2e1", "127.0.0.1%00.example.com", "127.0.0.1 ", "loc\u00adalhost",
    "loc\u200balhost", "ⓛocalhost", "LOCALHOST",
]  # fmt: skip
FORMS = [*ADDRESSES, *DISGUISED, *NAMES]


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Record every attempt to connect anywhere."""
    made: list[object] = []

    def connect(_self: socket.socket, address: object) -> None:
        made.append(address)
        raise ConnectionRefusedError(111, "refused by the test")

    monkeypatch.setattr(socket.socket, "connect", connect)
    return made


@pytest.mark.parametrize("host", FORMS)
def test_no_connection_is_made_to(host: str, connections: list[object], folder: Path) -> None:
    guard = AddressGuard(resolver=answer)
    with Client(guard=guard, retries=0) as client, pytest.raises((AddressRefused, UsageError)):
        client.download(f"http://{host}:8080/x", "out")
    assert connections == []
    assert list(folder.iterdir()) == []


def test_the_table_has_at_least_sixty_forms() -> None:
    assert len(set(FORMS)) >= 60


PUBLIC = ["93.184.216.34", "8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "198.20.0.1",
          "2606:2800:220:1:248:1893:25c8:1946", "2a00:1450:4001:81b::200e", "2001:200::1"]  # fmt: skip


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses_pass(text: str) -> None:
    assert block_of(ipaddress.ip_address(text)) is None
    (checked,) = AddressGuard().check(text, 80)
    assert (str(checked.address), checked.private) == (text, False)


@pytest.mark.parametrize(
    "text", ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.1.1", "::1", "fd00::1", "fe80::1",
             "100.64.0.1", "0.0.0.0", "::ffff:127.0.0.1"],  # noqa: S104
)  # fmt: skip
def test_allow_private_opens_the_networks_people_run_for_themselves(text: str) -> None:
    (checked,) = AddressGuard(allow_private=True).check(text, 80)
    assert checked.private


@pytest.mark.parametrize(
    "text", ["169.254.169.254", "fd00:ec2::254", "168.63.129.16", "192.0.0.192", "224.0.0.1",
             "255.255.255.255", "ff02::1", "192.0.2.1", "64:ff9b::a00:1", "::ffff:8.8.8.8"],
)  # fmt: skip
def test_allow_private_does_not_open(text: str) -> None:
    with pytest.raises(AddressRefused):
        AddressGuard(allow_private=True).check(text, 80)


def test_all_answers_are_checked_and_kept_in_order() -> None:
    guard = AddressGuard(resolver=lambda _host, _port: ["8.8.8.8", "1.1.1.1", "8.8.8.8"])
    assert [str(c.address) for c in guard.check("x.test", 80)] == ["8.8.8.8", "1.1.1.1"]


def test_trusted_hosts_and_networks_are_open() -> None:
    by_name = AddressGuard(allow_hosts=("private.test",), resolver=answer)
    assert by_name.check("private.test", 80)[0].private
    by_network = AddressGuard(allow_networks=("10.1.0.0/16",), resolver=answer)
    assert by_network.check("private.test", 80)[0].private
    with pytest.raises(AddressRefused):
        by_network.check("loopback.test", 80)


def test_a_network_that_is_none_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        AddressGuard(allow_networks=("10.1.0.1/16",))


@pytest.mark.parametrize("port", [22, 25, 110, 143, 6000, 6667, 10080])
def test_ports_of_other_protocols_are_refused(port: int) -> None:
    with pytest.raises(AddressRefused):
        AddressGuard(allow_private=True).check("127.0.0.1", port)


def test_allow_ports_narrows_and_may_name_a_blocked_port() -> None:
    guard = AddressGuard(allow_ports=(22, 443))
    assert guard.check("8.8.8.8", 443)
    assert guard.check("8.8.8.8", 22)
    with pytest.raises(AddressRefused):
        guard.check("8.8.8.8", 80)


def test_the_refusal_does_not_say_what_the_name_resolves_to() -> None:
    with pytest.raises(AddressRefused) as caught:
        AddressGuard(resolver=answer).check("private.test", 80)
    assert "10.1.2.3" not in f"{caught.value} {caught.value.hint}"
    assert not isinstance(caught.value, OSError)
    assert not caught.value.retryable


def test_a_name_that_does_not_exist_is_not_worth_retrying() -> None:
    with pytest.raises(ConnectFailed) as caught:
        AddressGuard(resolver=answer).check("absent.test", 80)
    assert not caught.value.retryable


def test_a_name_without_addresses_cannot_be_connected_to() -> None:
    with pytest.raises(ConnectFailed):
        AddressGuard(resolver=lambda _host, _port: []).check("empty.test", 80)


def test_the_name_service_has_a_time_limit() -> None:
    release = threading.Event()

    def silent(_host: str, _port: int) -> list[str]:
        release.wait(20)
        return []

    with pytest.raises(TransferTimeout):
        AddressGuard(resolver=silent).check("slow.test", 80, seconds=0.05)
    release.set()


def test_a_name_that_no_resolver_takes_is_a_usage_error() -> None:
    def strict(host: str, _port: int) -> list[str]:
        raise UnicodeError(host)

    with pytest.raises(UsageError):
        AddressGuard(resolver=strict).check("x.test", 80)


def test_the_system_resolver_knows_this_machine() -> None:
    assert "127.0.0.1" in resolve("localhost", 80)


def test_a_second_answer_of_the_name_service_cannot_matter(folder: Path) -> None:
    asked: list[str] = []

    def rebinding(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["93.184.216.34"] if len(asked) == 1 else ["127.0.0.1"]

    connected: list[object] = []
    original = socket.socket.connect
    with pytest.MonkeyPatch.context() as patch:

        def connect(_self: socket.socket, address: object) -> None:
            connected.append(address)
            raise ConnectionRefusedError(111, "refused by the test")

        patch.setattr(socket.socket, "connect", connect)
        with (
            Client(guard=AddressGuard(resolver=rebinding), retries=0) as client,
            pytest.raises(WharfingerError),
        ):
            client.download("http://rebinding.test/x", "out")
    assert original is socket.socket.connect
    assert asked == ["rebinding.test"]
    assert connected == [("93.184.216.34", 80)]
