"""Limits at the door: what is counted of a request, when, and how a refusal is told.

One `Turn` goes with each request. It is asked

* before anything is looked up, whether the address may ask at all;
* when it is known who asks, or by which link, whether they may;
* when bytes are about to flow, to count them;
* when credentials were wrong, whether that was one too many.

Health checks are never counted. Where nothing is limited, a request costs one comparison.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Network, ip_address
from typing import Final, TypeVar

from wharfinger.errors import NotFound, TooManyRequests, Unauthenticated, Unavailable
from wharfinger.service import Principal
from wharfinger.service.limits import WRONG_CREDENTIALS, Limiter, Reading
from wharfinger.service.rates import Rate
from wharfinger.web.answers import HeaderPairs
from wharfinger.web.proxies import canonical
from wharfinger.web.requests import RequestHead

E = TypeVar("E", bound=Exception)
log = logging.getLogger("wharfinger")

_HEALTH: Final = "/health/"
# Paths whose last part is a secret.
_LINKS: Final = ("/d/", "/u/")
_WRONG: Final = "wrong_credentials_per_address"


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two rates of one kind of asker."""

    kind: str
    requests: Rate | None
    bytes: Rate | None

    def __bool__(self) -> bool:
        return self.requests is not None or self.bytes is not None


class Limiting:
    """The limits of one service as HTTP requests meet them."""

    def __init__(self, limiter: Limiter) -> None:
        settings = limiter.settings
        self.limiter = limiter
        self.headers = settings.headers
        self.wrong = settings.wrong_credentials_per_address
        self.token = _Pair("token", settings.requests_per_token, settings.bytes_per_token)
        self.address = _Pair("address", settings.requests_per_address, settings.bytes_per_address)
        self.link = _Pair("link", settings.requests_per_link, settings.bytes_per_link)
        self.counts = bool(self.token or self.address or self.link)
        """Whether requests or bytes are counted at all."""
        self.may_answer_at_once = not self.counts or not (
            limiter.counters.waits or settings.headers
        )
        """Whether what is remembered may go out from an event loop: counting never waits there."""
        self._alone = settings.is_given and not settings.is_shared

    def notice_other_processes(self) -> None:
        """Warn, once, that the application runs in several processes and each counts for itself."""
        if self._alone:
            self._alone = False
            log.warning(
                "limits in memory:// with several processes: each counts for itself, so that "
                "together they let through as many times as much; give [limits] url a Redis"
            )

    def turn(self, head: RequestHead) -> Turn:
        """Return the way of one request through the limits."""
        if head.path.startswith(_HEALTH):
            return FREE
        if not self.counts and (self.wrong is None or not self._counts_wrong_of(head.client)):
            return FREE
        return Counted(self, head)

    def may_pass(self, client: str, principal: str, length: int) -> bool:
        """Count a request for so many bytes that can be answered at once, if it may pass.

        Otherwise nothing is counted, and the request goes the ordinary way to its refusal.
        """
        limiter = self.limiter
        askers = ((self.address, network_of(client)), (self.token, principal))
        wanted = [
            (f"{unit}_per_{pair.kind}", rate, who)
            for pair, who in askers
            if pair and who
            for unit, rate in (("requests", pair.requests), ("bytes", pair.bytes))
            if rate is not None
        ]
        if not all(limiter.has_left(*one) for one in wanted):
            return False
        try:
            for name, rate, who in wanted:
                if rate.unit == "bytes":
                    limiter.charge(name, rate, who, length)
                else:
                    limiter.take(name, rate, who)
        except TooManyRequests:  # somebody else took the last one just now
            return False
        return True

    def _counts_wrong_of(self, client: str) -> bool:
        if not client or self.wrong is None:
            return False
        # Behind an address that is not public may stand a proxy: then one stranger would
        # shut out everybody. Who sets a rate has thought of that.
        return self.wrong is not WRONG_CREDENTIALS or _is_public(client)

    def wrong_of(self, client: str) -> Rate | None:
        """Return how often this address may come with wrong credentials; None: as it likes."""
        return self.wrong if self._counts_wrong_of(client) else None


class Turn:
    """The way of a request that nothing is counted of."""

    __slots__ = ()

    principal = ""
    """The id of whoever was found to be asking."""

    def arrive(self) -> None:
        """Judge the address. Raises TooManyRequests."""

    def identified(self, principal: Principal | None) -> None:
        """Judge who asks. Raises TooManyRequests."""

    def link(self, link_id: str) -> None:
        """Judge by which link it is asked. Raises TooManyRequests."""

    def judged(self, error: E, *, link: bool = False) -> E | TooManyRequests:  # noqa: ARG002
        """Return the error to answer: another one after too many wrong credentials.

        Args:
            error: what came of the request.
            link: whether it asked by a link; then NotFound means a wrong one.
        """
        return error

    def charge(self, size: int) -> None:
        """Count bytes that are about to be sent or were received."""

    def fields(self) -> HeaderPairs:
        """Return the fields that tell what is left, if they are wanted."""
        return ()


FREE: Final = Turn()


class Counted(Turn):
    """The way of a request that something is counted of."""

    __slots__ = ("_askers", "_head", "_limiting", "_network", "principal")

    def __init__(self, limiting: Limiting, head: RequestHead) -> None:
        self._limiting = limiting
        self._head = head
        self._network = network_of(head.client)
        self._askers: list[tuple[_Pair, str]] = []
        self.principal = ""

    def arrive(self) -> None:
        limiting = self._limiting
        self._take(limiting.address, self._network)
        wrong = limiting.wrong_of(self._head.client)
        if wrong is not None and _has_credentials(self._head):
            limiting.limiter.check(_WRONG, wrong, self._network)

    def identified(self, principal: Principal | None) -> None:
        if principal is None or self.principal:  # who asks twice in one request is one
            return
        self.principal = principal.id
        self._take(self._limiting.token, principal.id)

    def link(self, link_id: str) -> None:
        self._take(self._limiting.link, link_id)

    def judged(self, error: E, *, link: bool = False) -> E | TooManyRequests:
        wrong = self._limiting.wrong_of(self._head.client)
        if wrong is None or not _is_wrong(error, link=link):
            return error
        try:
            self._limiting.limiter.take(_WRONG, wrong, self._network)
        except TooManyRequests as refusal:
            return refusal
        return error

    def charge(self, size: int) -> None:
        if not size:
            return
        for pair, who in self._askers:
            if pair.bytes is not None:
                name = f"bytes_per_{pair.kind}"
                self._limiting.limiter.charge(name, pair.bytes, who, size)

    def fields(self) -> HeaderPairs:
        if not self._limiting.headers:
            return ()
        try:
            readings = [
                self._limiting.limiter.reading(f"{unit}_per_{pair.kind}", rate, who)
                for pair, who in self._askers
                for unit, rate in (("requests", pair.requests), ("bytes", pair.bytes))
                if rate is not None
            ]
        except Unavailable:  # and this answer may be the one that says so
            return ()
        return ratelimit_fields(readings)

    def _take(self, pair: _Pair, who: str) -> None:
        if not pair or not who:
            return
        self._askers.append((pair, who))
        limiter = self._limiting.limiter
        if pair.requests is not None:
            limiter.take(f"requests_per_{pair.kind}", pair.requests, who)
        if pair.bytes is not None:
            limiter.check(f"bytes_per_{pair.kind}", pair.bytes, who)


def ratelimit_fields(readings: list[Reading]) -> HeaderPairs:
    """Return RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10)."""
    if not readings:
        return ()
    policies, states = [], []
    for one in readings:
        name = one.name.replace("_", "-")
        unit = ';qu="content-bytes"' if one.rate.unit == "bytes" else ""
        policies.append(f'"{name}";q={one.rate.amount}{unit};w={one.rate.seconds}')
        states.append(f'"{name}";r={one.left};t={one.seconds}')
    return (("RateLimit-Policy", ", ".join(policies)), ("RateLimit", ", ".join(states)))


@lru_cache(maxsize=4096)
def network_of(client: str) -> str:
    """Return what is counted as one address: for IPv6 the 64 bits that one site has (RFC 6177)."""
    try:
        address = ip_address(canonical(client))
    except ValueError:
        return client
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> 64 << 64, 64)))


def _has_credentials(head: RequestHead) -> bool:
    if head.principal is not None:  # the application has judged them
        return False
    return "Authorization" in head.headers or head.path.startswith(_LINKS)


def _is_wrong(error: Exception, *, link: bool) -> bool:
    if isinstance(error, Unauthenticated):  # PasswordRequired is one
        return error.invalid
    return link and isinstance(error, NotFound)


@lru_cache(maxsize=4096)
def _is_public(client: str) -> bool:
    try:
        return ip_address(canonical(client)).is_global
    except ValueError:
        return False
