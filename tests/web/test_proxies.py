"""Who really asks: only proxies that are named are believed, and only from the right."""

from __future__ import annotations

import pytest

from wharfinger.errors import ConfigError
from wharfinger.protocol.headers import Headers
from wharfinger.web import RequestHead
from wharfinger.web.proxies import Proxies

NAMED = ("127.0.0.1", "10.0.0.0/8", "fd00::/8")
PROXY = "10.1.1.1"


def head(peer: str, *fields: tuple[str, str], scheme: str = "http") -> RequestHead:
    return RequestHead(
        method="GET",
        path="/",
        headers=Headers([("Host", "inside.example"), *fields]),
        scheme=scheme,
        client=peer,
    )


def forwarded_for(*lines: str) -> list[tuple[str, str]]:
    return [("X-Forwarded-For", line) for line in lines]


# peer, lines of X-Forwarded-For, the client
CHAINS: dict[str, tuple[str, tuple[str, ...], str]] = {
    "no field": (PROXY, (), PROXY),
    "one hop": (PROXY, ("203.0.113.5",), "203.0.113.5"),
    "a stranger says so": ("203.0.113.9", ("198.51.100.1",), "203.0.113.9"),
    "a stranger names a proxy": ("203.0.113.9", ("10.0.0.1",), "203.0.113.9"),
    "the client's own words stand left": (PROXY, ("198.51.100.1, 203.0.113.5",), "203.0.113.5"),
    "a client that calls itself a proxy": (PROXY, ("10.9.9.9, 203.0.113.5",), "203.0.113.5"),
    "two proxies": (PROXY, ("203.0.113.5, 10.2.2.2",), "203.0.113.5"),
    "two proxies and a lie": (PROXY, ("1.1.1.1, 203.0.113.5, 10.2.2.2",), "203.0.113.5"),
    "several lines are one list": (PROXY, ("1.1.1.1", "203.0.113.5", "10.2.2.2"), "203.0.113.5"),
    "all are proxies": (PROXY, ("10.3.3.3, 10.2.2.2",), "10.3.3.3"),
    "blanks and tabs": (PROXY, ("1.1.1.1 ,\t203.0.113.5 \t",), "203.0.113.5"),
    "IPv6": (PROXY, ("2001:db8::5",), "2001:db8::5"),
    "IPv6 in another spelling": (PROXY, ("2001:DB8:0:0:0:0:0:5",), "2001:db8::5"),
    "IPv6 in brackets": (PROXY, ("[2001:db8::5]",), "2001:db8::5"),
    "IPv6 with a port": (PROXY, ("[2001:db8::5]:4711",), "2001:db8::5"),
    "IPv4 with a port": (PROXY, ("203.0.113.5:4711",), "203.0.113.5"),
    "IPv4 inside IPv6": (PROXY, ("::ffff:203.0.113.5",), "203.0.113.5"),
    "a proxy inside IPv6": ("::ffff:10.1.1.1", ("203.0.113.5",), "203.0.113.5"),
    "a proxy by IPv6": ("fd00::7", ("203.0.113.5",), "203.0.113.5"),
    "a peer with a zone": ("fe80::1%eth0", ("203.0.113.5",), "fe80::1"),
    "garbage": (PROXY, ("unknown",), PROXY),
    "an obfuscated name": (PROXY, ("_hidden",), PROXY),
    "an empty field": (PROXY, ("",), PROXY),
    "an empty last hop": (PROXY, ("203.0.113.5,",), PROXY),
    "garbage behind a proxy": (PROXY, ("203.0.113.5, what?, 10.2.2.2",), "10.2.2.2"),
    "a number too large": (PROXY, ("203.0.113.500",), PROXY),
    "leading zeros": (PROXY, ("203.0.113.005",), PROXY),
    "a network": (PROXY, ("203.0.113.0/24",), PROXY),
    "IPv6 with a bare port": (PROXY, ("2001:db8::5:4711",), "2001:db8::5:4711"),
    "no peer": ("", ("203.0.113.5",), ""),
    "a socket's name": ("/run/x.sock", ("203.0.113.5",), "/run/x.sock"),
    "a chain without end": (PROXY, (", ".join(["203.0.113.5"] + ["10.0.0.1"] * 500),), "10.0.0.1"),
}


@pytest.mark.parametrize("row", CHAINS.values(), ids=list(CHAINS))
def test_the_client_is_the_last_hop_that_is_no_proxy(row: tuple[str, tuple[str, ...], str]) -> None:
    peer, lines, expected = row
    asked = head(peer, *forwarded_for(*lines))
    proxies = Proxies(NAMED)
    assert proxies.client(peer, asked.headers) == expected
    believed = proxies.believed(asked).client
    assert believed == (expected if believed != peer else peer)


def test_where_no_proxy_is_named_nothing_is_believed() -> None:
    asked = head(
        "127.0.0.1", *forwarded_for("203.0.113.5"),
        ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"),
    )  # fmt: skip
    found = Proxies().believed(asked)
    assert (found.client, found.origin) == ("127.0.0.1", "http://inside.example")


def test_a_socket_in_the_file_system_is_believed_when_it_is_named() -> None:
    asked = head("", *forwarded_for("203.0.113.5"))
    assert Proxies(["unix"]).believed(asked).client == "203.0.113.5"
    assert Proxies(["127.0.0.1"]).believed(asked).client == ""


# X-Forwarded-Proto, X-Forwarded-Host, what the origin is
ORIGINS: dict[str, tuple[str | None, str | None, str]] = {
    "both": ("https", "files.example.org", "https://files.example.org"),
    "with a port": ("https", "files.example.org:8443", "https://files.example.org:8443"),
    "scheme alone": ("https", None, "https://inside.example"),
    "host alone": (None, "files.example.org", "http://files.example.org"),
    "in capitals": ("HTTPS", None, "https://inside.example"),
    "what stands left is the client's": ("http, https", "evil.example, a.b", "https://a.b"),
    "another scheme": ("javascript", None, "http://inside.example"),
    "a host that is none": ("https", "a.b/c?d", "https://inside.example"),
    "a host with a user": ("https", "me@evil.example", "https://inside.example"),
    "empty": ("", "", "http://inside.example"),
}


@pytest.mark.parametrize("row", ORIGINS.values(), ids=list(ORIGINS))
def test_scheme_and_host_are_those_that_the_nearest_proxy_names(
    row: tuple[str | None, str | None, str],
) -> None:
    names = ("X-Forwarded-Proto", "X-Forwarded-Host")
    fields = [(name, value) for name, value in zip(names, row, strict=False) if value is not None]
    assert Proxies(NAMED).believed(head(PROXY, *fields)).origin == row[2]
    assert Proxies(NAMED).believed(head("203.0.113.9", *fields)).origin == "http://inside.example"


@pytest.mark.parametrize(
    "name", ["localhost", "10.0.0.0/33", "10.0.0.1/8", "", "*", "0.0.0.0/0", "::/0", "Unix"]
)
def test_what_is_no_address_of_a_proxy_is_an_error(name: str) -> None:
    with pytest.raises(ConfigError, match="trusted_proxies"):
        Proxies([name])
