"""`Rate`: so much in such a time, as people write it: "600/minute", "10 GiB/hour"."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from wharfinger.errors import ConfigError, UsageError
from wharfinger.names import show
from wharfinger.units import parse_duration, parse_size, show_size

Unit: TypeAlias = Literal["requests", "bytes"]

OFF: Final = "off"
"""Stands for no rate where one could be written."""

_PERIODS: Final = {
    "s": 1, "sec": 1, "second": 1,
    "m": 60, "min": 60, "minute": 60,
    "h": 3600, "hour": 3600,
    "d": 86400, "day": 86400,
}  # fmt: skip
LEAST_BANDWIDTH: Final = 1024
"""Slower than this, clients give up."""

_SPELLED: Final = {1: "second", 60: "minute", 3600: "hour", 86400: "day"}
# A count lives in memory as long as its period.
_LONGEST: Final = 31 * 86400
_MOST_REQUESTS: Final = 10**9
_MOST_BYTES: Final = 10**15  # integers of structured fields have 15 digits (RFC 9651)


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` of a unit in a period that begins with the first and lasts `seconds`."""

    amount: int
    seconds: int
    unit: Unit = "requests"

    def __str__(self) -> str:
        amount = show_size(self.amount) if self.unit == "bytes" else f"{self.amount} {self._noun}"
        return f"{amount} per {_SPELLED.get(self.seconds, f'{self.seconds} s')}"

    @property
    def _noun(self) -> str:
        return "request" if self.amount == 1 else "requests"

    @classmethod
    def parse(cls, text: object, unit: Unit, where: str) -> Rate | None:
        """Return the rate that a text describes, None for "off".

        Args:
            text: an amount, a slash and a period: a second, minute, hour, day or a duration.
            unit: what the amount counts; bytes may have units of their own.
            where: what the setting is called.

        Raises:
            ConfigError: it is no rate.
        """
        if text == OFF:
            return None
        example = "10 GiB/hour" if unit == "bytes" else "600/minute"
        hint = f'Write it like "{example}" or "{OFF}".'
        if not isinstance(text, str):
            raise ConfigError(f"{where} must be text.", hint=hint)
        amount, slash, period = (part.strip() for part in text.partition("/"))
        try:
            count = parse_size(amount) if unit == "bytes" else _whole(amount)
            seconds = _PERIODS.get(period) or parse_duration(period)
        except UsageError as error:
            raise ConfigError(f"{where}: {show(text)!r} is not a rate.", hint=hint) from error
        most = _MOST_BYTES if unit == "bytes" else _MOST_REQUESTS
        if not slash or not 0 < count < most or not 0 < seconds <= _LONGEST:
            raise ConfigError(f"{where}: {show(text)!r} is not a rate.", hint=hint)
        return cls(count, seconds, unit)


def parse_bandwidth(value: object) -> int:
    """Return bytes per second from a number or from text such as "10 MiB/s".

    Raises:
        UsageError: it is neither, or less than 1024 bytes per second.
    """
    amount, seconds = value, "s"
    if isinstance(value, str):
        amount, _, seconds = (part.strip() for part in value.partition("/"))
    hint = 'Write it like "10 MiB/s".'
    if seconds not in ("s", "sec", "second") or not isinstance(amount, (int, str)):
        raise UsageError(f"{show(str(value))!r} is not a bandwidth.", hint=hint)
    found = parse_size(amount)
    if found < LEAST_BANDWIDTH:
        raise UsageError(
            f"A bandwidth is at least {LEAST_BANDWIDTH} bytes per second, not {found}.", hint=hint
        )
    return found


def _whole(text: str) -> int:
    if re.fullmatch(r"[0-9]{1,10}", text, re.ASCII) is None:
        raise UsageError("not a whole number")
    return int(text)
