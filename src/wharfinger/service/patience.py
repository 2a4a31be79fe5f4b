"""How long a service waits for the bytes of an upload.

A slow sender costs a socket and a small buffer, and one that never ends costs them for ever.
Counted is the time that the service waits for the sender, not what it needs itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wharfinger.errors import ConfigError, TooSlow, UsageError
from wharfinger.keys import refuse_unknown
from wharfinger.units import parse_duration, parse_size

# Over so many seconds the rate is looked at: lulls of a mobile network are shorter.
WINDOW: Final = 30
# What Apache asks for by default (mod_reqtimeout, body MinRate); 2G does ten times that.
MIN_RATE: Final = 500
MAX_DURATION: Final = 86_400
_SECONDS: Final = ("s", "sec", "second")


@dataclass(frozen=True, kw_only=True, slots=True)
class Patience:
    """What is expected of a sender.

    Args:
        min_rate: bytes per second, over each half minute; 0 for any pace.
        max_duration: seconds that one request may take to bring its body.

    Raises:
        ConfigError: a value is wrong.
    """

    min_rate: int = MIN_RATE
    max_duration: int = MAX_DURATION

    def __post_init__(self) -> None:
        if self.max_duration < 1:
            raise ConfigError("[receiving] max_duration is at least a second.")

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> Patience:
        """Return what a `[receiving]` table describes. Raises ConfigError."""
        refuse_unknown(table, ("min_rate", "max_duration"), "[receiving]")
        try:
            return cls(
                min_rate=_rate(table.get("min_rate", MIN_RATE)),
                max_duration=parse_duration(table.get("max_duration", MAX_DURATION)),  # type: ignore[arg-type]
            )
        except UsageError as error:
            raise ConfigError(f"[receiving]: {error.detail}", hint=error.hint) from error

    def describe(self) -> dict[str, object]:
        """Return it as plain values."""
        return {"min_rate": self.min_rate, "max_duration": self.max_duration}


class Wait:
    """The waiting for one body, told by a clock in seconds that only goes forward."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._began = self._since = now
        self._waited = 0.0
        self._came = 0

    def came(self, size: int, now: float) -> None:
        """Say that bytes came. Raises TooSlow."""
        self._waited += now - self._since
        self._since = now
        self._came += size
        rate, most = self._patience.min_rate, self._patience.max_duration
        if now - self._began > most:
            raise TooSlow(f"The upload takes longer than the {most} s that one request may.")
        if self._waited < WINDOW:
            return
        if self._came < rate * self._waited:
            raise TooSlow(
                f"The upload brought {self._came} bytes in the last {self._waited:.0f} s; "
                f"at least {rate} per second are expected."
            )
        self._waited, self._came = 0.0, 0

    def goes_on(self, now: float) -> None:
        """Say that what came was dealt with: from now on it is waited again."""
        self._since = now


def _rate(value: object) -> int:
    if isinstance(value, str):
        amount, slash, period = (part.strip() for part in value.partition("/"))
        if slash and period not in _SECONDS:
            raise UsageError("A rate is per second.", hint='Write it like "500 B/s".')
        return parse_size(amount)
    return parse_size(value)  # type: ignore[arg-type]  # checked there
