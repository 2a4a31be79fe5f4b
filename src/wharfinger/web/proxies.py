"""Who really asks, when a proxy stands between: believed only of proxies that are named.

`X-Forwarded-For`, `X-Forwarded-Proto` and `X-Forwarded-Host` say anything that anybody
writes into them. They count when the other end of the connection is a proxy that the
configuration names, and then from the right: each proxy adds the address that it saw at the
end, so the last one that is no trusted proxy is as far as they can be believed. What
stands before that was written by strangers.

`Forwarded` (RFC 7239) is not read: two families of fields that disagree are a way around
whatever reads only one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Final, TypeAlias

from wharfinger.errors import ConfigError
from wharfinger.names import show
from wharfinger.protocol.headers import Headers
from wharfinger.web.requests import HOST, RequestHead

Network: TypeAlias = IPv4Network | IPv6Network

UNIX: Final = "unix"
"""Stands for whoever connects by a socket in the file system."""

# An address, with a port where it is IPv4 or stands in brackets, as proxies write it.
_HOP: Final = re.compile(
    r"(?:\[(?P<bracketed>[0-9A-Fa-f:.]{2,45})\]|(?P<four>[0-9.]{7,15}))(?::[0-9]{1,5})?"
    r"|(?P<bare>[0-9A-Fa-f:.]{2,45})"
)
# Longer chains do not happen; what stands before is not looked at.
_MOST_HOPS: Final = 32
# Peers are few where there is a proxy; where there is none, strangers do not fill the memory.
_MOST_KNOWN: Final = 256
_PROTO: Final = re.compile(r"https?", re.IGNORECASE)


class Proxies:
    """The proxies that are believed.

    Args:
        named: their addresses and networks ("127.0.0.1", "10.0.0.0/8", "fd00::/8"), and
            "unix" for connections by a socket in the file system.

    Raises:
        ConfigError: one is none of these, or a network that holds every address.
    """

    def __init__(self, named: Iterable[str] = ()) -> None:
        words = tuple(named)
        self._networks = tuple(_network(one) for one in words if one != UNIX)
        self._unix = UNIX in words
        self._known: dict[str, bool] = {}

    def __bool__(self) -> bool:
        return bool(self._networks) or self._unix

    def believed(self, head: RequestHead) -> RequestHead:
        """Return the head as the client sent it, as far as trusted proxies tell."""
        if not self or not self.trusts(head.client):
            return head
        return replace(
            head,
            client=self.client(head.client, head.headers),
            scheme=_last(head.headers, "X-Forwarded-Proto", _PROTO).lower() or head.scheme,
            host=_last(head.headers, "X-Forwarded-Host", HOST) or head.host,
        )

    def client(self, peer: str, headers: Headers) -> str:
        """Return the address of the client behind `peer`, in one spelling for each address.

        Where the chain of proxies cannot be read any further, it is the last one that can.
        """
        found = canonical(peer)
        if not self or not self.trusts(peer):
            return found
        hops = ",".join(headers.get_all("X-Forwarded-For")).split(",")
        for hop in reversed(hops[-_MOST_HOPS:]):
            address = _address(hop.strip(" \t"))
            if address is None:
                return found
            found = address
            if not self.trusts(address):
                return found
        return found

    def trusts(self, address: str) -> bool:
        """Return whether this end of a connection ("": a socket in the file system) is named."""
        if not address:
            return self._unix
        known = self._known.get(address)
        if known is None:
            known = self._is_inside(address)
            if len(self._known) < _MOST_KNOWN:
                self._known[address] = known
        return known

    def _is_inside(self, text: str) -> bool:
        try:
            address = ip_address(canonical(text))
        except ValueError:
            return False
        return any(address in network for network in self._networks)


NOBODY: Final = Proxies()
"""No proxy is believed."""


def canonical(address: str) -> str:
    """Return an address in its one spelling, an IPv4 address inside IPv6 as itself.

    What is no address is returned as it is.
    """
    try:
        found = ip_address(address.partition("%")[0])  # a zone is a matter of this machine
    except ValueError:
        return address
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(found)


def _address(hop: str) -> str | None:
    match = _HOP.fullmatch(hop)
    if match is None:
        return None
    text = match["bracketed"] or match["four"] or match["bare"]
    try:
        ip_address(text)
    except ValueError:
        return None
    return canonical(text)


def _last(headers: Headers, name: str, good: re.Pattern[str]) -> str:
    """Return what the nearest proxy wrote into a field; "" when it is nothing good."""
    value = ",".join(headers.get_all(name)).rpartition(",")[2].strip(" \t")
    return value if good.fullmatch(value) else ""


def _network(text: str) -> Network:
    try:
        network = ip_network(text)
    except ValueError as error:
        raise ConfigError(
            f"trusted_proxies: {show(str(text))!r} is no address and no network.",
            hint='Write addresses ("127.0.0.1") or networks ("10.0.0.0/8"), or "unix".',
        ) from error
    if network.prefixlen == 0:
        raise ConfigError(
            f"trusted_proxies: {text!r} would let everybody say who they are.",
            hint="Name the addresses of your own proxies.",
        )
    return network
