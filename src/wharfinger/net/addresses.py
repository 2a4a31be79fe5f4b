"""The addresses that no transfer goes to, as data: each block with its standard.

Written out and not taken from `ipaddress.is_global`, whose tables changed between
patch releases of Python (CVE-2024-4032) and which calls 64:ff9b:1::/48 and fec0::/10
global on 3.11.7.

IPv4 is a deny list: everything else is the public internet. IPv6 is the other way
round: only 2000::/3 has ever been given out (IANA), minus the blocks below.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class Block:
    """A range of addresses that is refused, why, and the standard that says so.

    `private` marks what `allow_private` opens: the networks people run for themselves.
    """

    network: Network
    why: str
    source: str
    private: bool = False


def _v4(network: str, why: str, source: str, *, private: bool = False) -> Block:
    return Block(ipaddress.IPv4Network(network), why, source, private)


def _v6(network: str, why: str, source: str, *, private: bool = False) -> Block:
    return Block(ipaddress.IPv6Network(network), why, source, private)


# Machines of cloud providers that hand out credentials to whoever asks from inside.
# They come first: `allow_private` does not open them, only naming them does.
METADATA: Final = (
    _v4("169.254.169.254/32", "cloud metadata", "AWS, Azure, Google, OpenStack"),
    _v4("169.254.170.2/32", "container credentials", "AWS ECS"),
    _v4("169.254.170.23/32", "container credentials", "AWS EKS"),
    _v4("169.254.42.42/32", "cloud metadata", "Scaleway"),
    _v4("169.254.0.23/32", "cloud metadata", "Tencent Cloud"),
    _v4("100.100.100.200/32", "cloud metadata", "Alibaba Cloud"),
    _v4("192.0.0.192/32", "cloud metadata", "Oracle Cloud"),
    _v4("168.63.129.16/32", "cloud metadata", "Azure, a public address"),
    _v6("fd00:ec2::254/128", "cloud metadata", "AWS"),
    _v6("fd00:ec2::23/128", "container credentials", "AWS EKS"),
    _v6("fd20:ce::254/128", "cloud metadata", "Google"),
    _v6("fd00:42::42/128", "cloud metadata", "Scaleway"),
)
METADATA_NAMES: Final = frozenset({
    "instance-data", "instance-data.ec2.internal", "metadata", "metadata.azure.internal",
    "metadata.goog", "metadata.google.internal", "metadata.tencentyun.com",
})  # fmt: skip

BLOCKED_V4: Final = (
    _v4("0.0.0.0/8", "this network", "RFC 1122 section 3.2.1.3", private=True),
    _v4("10.0.0.0/8", "private", "RFC 1918", private=True),
    _v4("100.64.0.0/10", "carrier-grade NAT", "RFC 6598", private=True),
    _v4("127.0.0.0/8", "loopback", "RFC 1122 section 3.2.1.3", private=True),
    _v4("169.254.0.0/16", "link-local", "RFC 3927", private=True),
    _v4("172.16.0.0/12", "private", "RFC 1918", private=True),
    _v4("192.0.0.0/24", "protocol assignments", "RFC 6890"),
    _v4("192.0.2.0/24", "documentation", "RFC 5737"),
    _v4("192.31.196.0/24", "AS112", "RFC 7535"),
    _v4("192.52.193.0/24", "AMT", "RFC 7450"),
    _v4("192.88.99.0/24", "6to4 relays", "RFC 7526"),
    _v4("192.168.0.0/16", "private", "RFC 1918", private=True),
    _v4("192.175.48.0/24", "AS112", "RFC 7534"),
    _v4("198.18.0.0/15", "benchmarking", "RFC 2544", private=True),
    _v4("198.51.100.0/24", "documentation", "RFC 5737"),
    _v4("203.0.113.0/24", "documentation", "RFC 5737"),
    _v4("224.0.0.0/4", "multicast", "RFC 5771"),
    _v4("240.0.0.0/4", "reserved, with the broadcast address", "RFC 1112 section 4, RFC 919"),
)

GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")  # RFC 4291 section 2.4, IANA registry
BLOCKED_V6: Final = (
    _v6("2001::/23", "protocol assignments: Teredo, ORCHID, benchmarking", "RFC 2928, RFC 6890"),
    _v6("2001:db8::/32", "documentation", "RFC 3849"),
    _v6("2002::/16", "6to4, hides an IPv4 address", "RFC 3056"),
    _v6("2620:4f:8000::/48", "AS112", "RFC 7534"),
    _v6("3fff::/20", "documentation", "RFC 9637"),
    # What follows lies outside 2000::/3 and is named for its message and for `private`.
    _v6("::/128", "unspecified", "RFC 4291 section 2.5.2", private=True),
    _v6("::1/128", "loopback", "RFC 4291 section 2.5.3", private=True),
    _v6("64:ff9b::/96", "NAT64, hides an IPv4 address", "RFC 6052"),
    _v6("64:ff9b:1::/48", "local NAT64", "RFC 8215"),
    _v6("100::/64", "discard", "RFC 6666"),
    _v6("5f00::/16", "segment routing", "RFC 9602"),
    _v6("fc00::/7", "unique local", "RFC 4193", private=True),
    _v6("fe80::/10", "link-local", "RFC 4291 section 2.5.6", private=True),
    _v6("fec0::/10", "site-local", "RFC 3879"),
    _v6("ff00::/8", "multicast", "RFC 4291 section 2.7"),
)
_ELSE: Final = _v6("::/0", "not given out", "IANA IPv6 global unicast registry")
_MAPPED_WHY: Final = "an IPv4 address in IPv6 clothes"

# https://fetch.spec.whatwg.org/#port-blocking: other protocols that can be made to
# misread an HTTP request as their own.
BLOCKED_PORTS: Final = frozenset({
    0, 1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101,
    102, 103, 104, 109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427,
    465, 512, 513, 514, 515, 526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990,
    993, 995, 1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667,
    6668, 6669, 6679, 6697, 10080,
})  # fmt: skip


def is_metadata_name(host: str) -> bool:
    """Return whether a host name (in lower case) is one that clouds give to their metadata."""
    return host.removesuffix(".") in METADATA_NAMES


def means_this_machine(host: str) -> bool:
    """Return whether a host name (in lower case) is this machine's by definition (RFC 6761)."""
    return f".{host.removesuffix('.')}".endswith(".localhost")


def block_of(address: Address) -> Block | None:
    """Return the block that an address is refused for, or None when it is public."""
    for block in METADATA:
        if address in block.network:
            return block
    if isinstance(address, ipaddress.IPv4Address):
        return next((block for block in BLOCKED_V4 if address in block.network), None)
    mapped = address.ipv4_mapped
    if mapped is not None:
        # ::ffff:0:0/96 never travels (RFC 4291 section 2.5.5.2): it is refused even for a
        # public address, and is private exactly when the address inside is.
        inner = block_of(mapped)
        network = ipaddress.IPv6Network("::ffff:0:0/96")
        return Block(network, _MAPPED_WHY, "RFC 4291", private=inner is not None and inner.private)
    named = next((block for block in BLOCKED_V6 if address in block.network), None)
    return named or (None if address in GLOBAL_V6 else _ELSE)
