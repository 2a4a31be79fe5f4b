"""Limits: how much one token, one address or one link may do in a time.

Of all limits one is on by itself: how often an address may come with wrong credentials. What
is too many requests or bytes only the operator can know, and what one request may cost has
limits of its own (sizes, times, memory).

* Requests and wrong credentials are counted exactly: of any number at once, as many pass as
  the rate says.
* Bytes are counted when a transfer begins, by the length that its head tells (a body of
  unknown length as it comes). A transfer begins while anything is left and is then counted
  whole, so that a file larger than the rate can be had at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Final, Literal, TypeAlias
from urllib.parse import urlsplit

from wharfinger.errors import ConfigError, TooManyRequests
from wharfinger.keys import refuse_unknown
from wharfinger.names import show
from wharfinger.service.counters import Counters, Key, MemoryCounters, RedisCounters
from wharfinger.service.rates import OFF, Rate, Unit

WhenDown: TypeAlias = Literal["local", "refuse"]

MEMORY: Final = "memory://"
# One a second is more than any person mistypes, and nothing beside what a guess would need.
WRONG_CREDENTIALS: Final = Rate(60, 60)

_REDIS: Final = ("redis", "rediss", "redis+unix")
_WHEN_DOWN: Final = ("local", "refuse")


@dataclass(frozen=True, kw_only=True, slots=True)
class LimitSettings:
    """How much may be done; None means that nothing is counted.

    Args:
        url: where counts are kept: "memory://" (by each process for itself) or
            "redis://host:6379/0" (by all together).
        requests_per_token: of whoever a token, or the application's own sign-in, says is asking.
        requests_per_address: of an IPv4 address or an IPv6 network of 64 bits.
        requests_per_link: of a link, by everybody who has it.
        bytes_per_token: sent and received together; so are the following.
        bytes_per_address: the same for an address.
        bytes_per_link: the same for a link.
        wrong_credentials_per_address: unknown tokens, links and passwords; then this address is
            not listened to with any until the time is over. The default rate holds for public
            addresses only, because behind others may stand a proxy that speaks for everybody.
        when_down: while Redis is away, "local" lets each process count for itself; "refuse"
            answers 503 to what would be counted.
        headers: answers tell what is left, in the fields RateLimit and RateLimit-Policy.

    Raises:
        ConfigError: a value is wrong.
    """

    url: str = MEMORY
    requests_per_token: Rate | None = None
    requests_per_address: Rate | None = None
    requests_per_link: Rate | None = None
    bytes_per_token: Rate | None = None
    bytes_per_address: Rate | None = None
    bytes_per_link: Rate | None = None
    wrong_credentials_per_address: Rate | None = field(default=WRONG_CREDENTIALS)
    when_down: WhenDown = "local"
    headers: bool = False

    def __post_init__(self) -> None:
        _check_url(self.url)
        if self.when_down not in _WHEN_DOWN:
            raise ConfigError(
                f"[limits] when_down is 'local' or 'refuse', not {show(str(self.when_down))!r}."
            )
        if not isinstance(self.headers, bool):
            raise ConfigError("[limits] headers must be true or false.")

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> LimitSettings:
        """Return the limits that a `[limits]` table describes. Raises ConfigError."""
        refuse_unknown(table, _KEYS, "[limits]")
        values = dict(table)
        for name in _RATES:
            if name in values:
                values[name] = Rate.parse(values[name], _unit(name), f"[limits] {name}")
        return cls(**values)  # type: ignore[arg-type]  # checked there

    def describe(self) -> dict[str, object]:
        """Return the limits as plain values for people to look at; no password is among them."""
        rates = {name: getattr(self, name) for name in _RATES}
        parts = urlsplit(self.url)
        return {
            "url": parts._replace(netloc=parts.netloc.rpartition("@")[2], query="").geturl()
            if self.is_shared
            else self.url,
            **{name: OFF if rate is None else str(rate) for name, rate in rates.items()},
            "when_down": self.when_down,
            "headers": self.headers,
        }

    @property
    def is_shared(self) -> bool:
        """Whether all processes count together."""
        return self.url != MEMORY

    @property
    def is_given(self) -> bool:
        """Whether there is a limit besides the one that is always on."""
        return any(
            rate is not None and rate is not WRONG_CREDENTIALS
            for rate in (getattr(self, name) for name in _RATES)
        )


_KEYS: Final = tuple(one.name for one in fields(LimitSettings))
_RATES: Final = tuple(name for name in _KEYS if "_per_" in name)


@dataclass(frozen=True, slots=True)
class Reading:
    """What is left of a rate, and for how many seconds until it begins anew."""

    name: str
    rate: Rate
    left: int
    seconds: int


class Limiter:
    """Counts under the limits of one service. Safe to use from any thread.

    Args:
        settings: the limits.
        clock: the time in seconds.

    Raises:
        ModuleNotFoundError: counts are to be kept in Redis, and the packages are missing.
    """

    def __init__(self, settings: LimitSettings, clock: Callable[[], float]) -> None:
        self.settings = settings
        memory = MemoryCounters(clock)
        self.counters: Counters = memory
        if settings.is_shared:
            instead = memory if settings.when_down == "local" else None
            self.counters = RedisCounters(settings.url, instead)

    def take(self, name: str, rate: Rate, who: str) -> None:
        """Count one more of a kind. Of many at once exactly as many pass as the rate says.

        Args:
            name: the name of the setting.
            rate: its value.
            who: whose it is.

        Raises:
            TooManyRequests: it was one too many.
            Unavailable: nobody can count now, and the settings say to refuse then.
        """
        if self.counters.add(Key(name, who), 1, rate.seconds) > rate.amount:
            raise self._refusal(name, rate, who)

    def check(self, name: str, rate: Rate, who: str) -> None:
        """Return if something is left; raise as `take` does otherwise. Nothing is counted."""
        if self.counters.value(Key(name, who)) >= rate.amount:
            raise self._refusal(name, rate, who)

    def charge(self, name: str, rate: Rate, who: str, amount: int) -> None:
        """Count what cannot be refused any more."""
        self.counters.add(Key(name, who), amount, rate.seconds)

    def has_left(self, name: str, rate: Rate, who: str) -> bool:
        """Return whether something is left."""
        return self.counters.value(Key(name, who)) < rate.amount

    def reading(self, name: str, rate: Rate, who: str) -> Reading:
        """Return what is left."""
        key = Key(name, who)
        left = max(0, rate.amount - self.counters.value(key))
        return Reading(name, rate, left, math.ceil(self.counters.left(key)))

    def _refusal(self, name: str, rate: Rate, who: str) -> TooManyRequests:
        seconds = max(1, math.ceil(self.counters.left(Key(name, who))))
        if name.startswith("wrong_credentials"):
            detail = "Too many wrong credentials came from this address."
        else:
            whose = name.rpartition("_")[2]
            detail = f"This {whose} has had what it may: {rate}."
        return TooManyRequests(detail, retry_after=seconds)


def _unit(name: str) -> Unit:
    return "bytes" if name.startswith("bytes") else "requests"


def _check_url(url: object) -> None:
    if url == MEMORY:
        return
    parts = urlsplit(url) if isinstance(url, str) else None
    if parts is None or parts.scheme not in _REDIS or not (parts.netloc or parts.path):
        # Not the value: it may hold a password.
        raise ConfigError(
            "[limits] url is neither memory:// nor the address of a Redis.",
            hint='Write it like "redis://127.0.0.1:6379/0", rediss:// for TLS.',
        )
