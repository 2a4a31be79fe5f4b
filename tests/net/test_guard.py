"""The address guard: what it opens, what it keeps closed, and what it says (forms: the corpus)."""

from __future__ import annotations

import ipaddress
import socket
import threading

import pytest

from wharfinger import Client
from wharfinger.errors import (
    AddressRefused,
    ConnectFailed,
    TransferTimeout,
    UsageError,
)
from wharfinger.net import addresses
from wharfinger.net.addresses import block_of
from wharfinger.net.guard import AddressGuard, resolve

# What a name service under an attacker's hand answers.
NAMES = {"loopback.test": ["127.0.0.1"], "private.test": ["10.1.2.3"]}


def answer(host: str, _port: int) -> list[str]:
    if host not in NAMES:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
    return NAMES[host]


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
    "text", ["169.254.169.254", "169.254.42.42", "169.254.0.23", "fd00:ec2::254",
             "fd00:42::42", "168.63.129.16", "192.0.0.192", "224.0.0.1",
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


# --- what one trusts ------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["PRIVATE.test", "private.test.", "ｐrivate。test"])
def test_a_trusted_host_is_compared_as_it_is_connected_to(written: str) -> None:
    assert AddressGuard(allow_hosts=(written,), resolver=answer).check("private.test", 80)


def test_a_trusted_host_does_not_open_its_subdomains_or_lookalikes() -> None:
    guard = AddressGuard(allow_hosts=("test", "ate.test"), resolver=answer)
    with pytest.raises(AddressRefused):
        guard.check("private.test", 80)


@pytest.mark.parametrize("written", ["::1", "[::1]", "0:0:0:0:0:0:0:1"])
def test_a_literal_address_can_be_trusted_in_any_spelling(written: str) -> None:
    assert AddressGuard(allow_hosts=(written,)).check("::1", 80)


@pytest.mark.parametrize(
    ("network", "address"),
    [("0.0.0.0/0", "169.254.169.254"), ("169.254.0.0/16", "169.254.169.254"),
     ("169.254.170.0/24", "169.254.170.2"), ("100.64.0.0/10", "100.100.100.200"),
     ("168.63.128.0/17", "168.63.129.16"), ("fc00::/7", "fd00:ec2::254")],
)  # fmt: skip
def test_a_trusted_network_keeps_a_metadata_service_inside_it_closed(
    network: str, address: str
) -> None:
    with pytest.raises(AddressRefused):
        AddressGuard(allow_networks=(network,)).check(address, 80)
    assert AddressGuard(allow_networks=(address,)).check(address, 80)
    assert AddressGuard(allow_hosts=(address,)).check(address, 80)


WRONG: list[dict[str, object]] = [
    {"allow_hosts": "example.com"}, {"allow_networks": "10.0.0.0/8"}, {"allow_ports": 80},
    {"allow_hosts": ("user@example.com",)}, {"allow_hosts": (b"x",)}, {"allow_ports": (0,)},
    {"allow_ports": (65536,)}, {"allow_ports": ("80",)}, {"allow_ports": (True,)},
]  # fmt: skip


@pytest.mark.parametrize("arguments", WRONG, ids=map(str, WRONG))
def test_what_is_no_host_network_or_port_is_a_usage_error(arguments: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        AddressGuard(**arguments)  # type: ignore[arg-type]


def test_a_client_takes_lists_and_no_single_values() -> None:
    Client(allow_hosts=["a.test"], allow_networks=["10.0.0.0/8"], allow_ports=[80]).close()
    for arguments in ({"allow_hosts": "a.test"}, {"allow_networks": "10.0.0.0/8"}):
        with pytest.raises(UsageError):
            Client(**arguments)  # type: ignore[arg-type]


# --- through a proxy ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "localhost", "x.localhost.",
             "metadata.google.internal", "metadata"],
)  # fmt: skip
def test_what_the_url_itself_says_is_judged_without_a_name_service(host: str) -> None:
    def never(_host: str, _port: int) -> list[str]:
        raise AssertionError

    with pytest.raises(AddressRefused):
        AddressGuard(resolver=never).check_unresolved(host, 80)
    AddressGuard(resolver=never).check_unresolved("intranet.test", 80)
    with pytest.raises(AddressRefused):
        AddressGuard(resolver=never).check_unresolved("intranet.test", 25)


def test_allow_private_and_trusted_hosts_hold_there_too() -> None:
    AddressGuard(allow_private=True).check_unresolved("127.0.0.1", 80)
    AddressGuard(allow_private=True).check_unresolved("localhost", 80)
    AddressGuard(allow_hosts=("localhost", "metadata")).check_unresolved("metadata", 80)
    with pytest.raises(AddressRefused):
        AddressGuard(allow_private=True).check_unresolved("169.254.169.254", 80)


# --- the tables -----------------------------------------------------------------------------


def test_every_block_names_its_standard_and_overlaps_no_other_but_on_purpose() -> None:
    for table in (addresses.BLOCKED_V4, addresses.BLOCKED_V6, addresses.METADATA):
        assert all(block.why and block.source for block in table)
        networks = [block.network for block in table]
        assert len(set(networks)) == len(networks)


@pytest.mark.parametrize(
    ("first", "last", "outside"),
    [
        ("0.0.0.0", "0.255.255.255", "1.0.0.0"),  # noqa: S104
        ("10.0.0.0", "10.255.255.255", "11.0.0.0"),
        ("100.64.0.0", "100.127.255.255", "100.128.0.0"),
        ("127.0.0.0", "127.255.255.255", "128.0.0.0"),
        ("169.254.0.0", "169.254.255.255", "169.255.0.0"),
        ("172.16.0.0", "172.31.255.255", "172.32.0.0"),
        ("192.0.0.0", "192.0.0.255", "192.0.1.0"),
        ("192.0.2.0", "192.0.2.255", "192.0.3.0"),
        ("192.31.196.0", "192.31.196.255", "192.31.197.0"),
        ("192.52.193.0", "192.52.193.255", "192.52.194.0"),
        ("192.88.99.0", "192.88.99.255", "192.88.100.0"),
        ("192.168.0.0", "192.168.255.255", "192.169.0.0"),
        ("192.175.48.0", "192.175.48.255", "192.175.49.0"),
        ("198.18.0.0", "198.19.255.255", "198.20.0.0"),
        ("198.51.100.0", "198.51.100.255", "198.51.101.0"),
        ("203.0.113.0", "203.0.113.255", "203.0.114.0"),
        ("224.0.0.0", "255.255.255.255", "223.255.255.255"),
        ("168.63.129.16", "168.63.129.16", "168.63.129.17"),
        ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", "2001:200::"),
        ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::"),
        ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2003::"),
        ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:1000::"),
        ("::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "2000::"),
        ("4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "3fff:ffff::"),
    ],
)
def test_a_block_ends_where_its_standard_ends_it(first: str, last: str, outside: str) -> None:
    assert block_of(ipaddress.ip_address(first)) is not None
    assert block_of(ipaddress.ip_address(last)) is not None
    assert block_of(ipaddress.ip_address(outside)) is None
