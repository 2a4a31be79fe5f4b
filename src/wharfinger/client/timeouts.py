"""`Timeout`: how long a transfer may take, and the clock that holds each phase to it."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final

from wharfinger.errors import UsageError
from wharfinger.net import cancelling
from wharfinger.net.patience import LONGEST_WAIT, Clock, Patience

DEFAULT_SECONDS: Final = 30.0
# Slower than any modem since 1962; a peer below it holds resources and moves nothing.
DEFAULT_MIN_RATE: Final = 30


@dataclass(frozen=True, slots=True)
class Timeout:
    """The time limits of one transfer. All hold against a peer that drips single bytes.

    Args:
        connect: seconds for name service, connection and TLS together.
        head: seconds for the whole head of the answer, after the request was sent.
        idle: the longest silence in a body, in seconds.
        total: seconds for everything, retries included; None sets no end.
        min_rate: the fewest bytes per second in a body, measured over 30 s; 0 for any.

    Raises:
        UsageError: a limit is not a positive number.
    """

    connect: float = DEFAULT_SECONDS
    head: float = DEFAULT_SECONDS
    idle: float = DEFAULT_SECONDS
    total: float | None = None
    min_rate: int = DEFAULT_MIN_RATE

    def __post_init__(self) -> None:
        for name in ("connect", "head", "idle", "total"):
            value = getattr(self, name)
            if name == "total" and value is None:
                continue
            if not _is_positive(value):
                raise UsageError(f"The {name} timeout must be a positive number of seconds.")
        if isinstance(self.min_rate, bool) or not isinstance(self.min_rate, int):
            raise UsageError("min_rate must be a whole number of bytes per second.")
        if self.min_rate < 0:
            raise UsageError("min_rate must be a whole number of bytes per second.")

    @classmethod
    def of(cls, value: float | Timeout) -> Timeout:
        """Return the limits that a number means: connecting, head and silence alike."""
        if isinstance(value, Timeout):
            return value
        return cls(connect=value, head=value, idle=value)

    def start(self, clock: Clock) -> Stopwatch:
        """Return the running limits of a transfer that begins now."""
        return Stopwatch(self, clock)


class Stopwatch:
    """A `Timeout` that runs: makes the patience for each phase when the phase begins.

    `canceller` is what may stop the call that it was started in.
    """

    def __init__(self, timeout: Timeout, clock: Clock) -> None:
        self.timeout = timeout
        self.clock = clock
        self.started = clock()
        self.canceller = cancelling.current()
        self._until = None if timeout.total is None else self.started + timeout.total

    def briefly(self, seconds: float) -> Stopwatch:
        """Return the same limits for a question that may also go without an answer."""
        brief = Stopwatch(self.timeout, self.clock)
        brief.timeout = replace(
            self.timeout,
            connect=min(self.timeout.connect, seconds),
            head=min(self.timeout.head, seconds),
            idle=min(self.timeout.idle, seconds),
        )
        brief._until = self._until
        return brief

    def left(self) -> float:
        """Return the seconds until the total limit, `inf` without one."""
        return math.inf if self._until is None else self._until - self.clock()

    def connecting(self) -> float:
        """Return the seconds that connecting may take now."""
        return max(min(self.timeout.connect, self.left(), LONGEST_WAIT), 0.001)

    def checking(self) -> Patience:
        """How long what is there already may take to be read: there is no limit but the total."""
        return Patience(
            "Reading what is there already",
            silence=LONGEST_WAIT,
            until=self._until,
            limit=self.timeout.total,
            clock=self.clock,
            canceller=self.canceller,
        )

    def sending(self) -> Patience:
        """How long the peer may take to take the request in."""
        return self._body("Sending")

    def body(self) -> Patience:
        """How long the body of the answer may take."""
        return self._body("The body of the answer")

    def head(self) -> Patience:
        """How long the head of the answer may take: one limit for all of it."""
        return self._limited("The head of the answer")

    def refusal(self) -> Patience:
        """How long the body of an error may take: no longer than its head, in all."""
        return self._limited("The text of the error")

    def _limited(self, what: str) -> Patience:
        limit, left = self.timeout.head, self.left()
        return Patience(
            what,
            silence=limit,
            until=self.clock() + min(limit, left),
            limit=limit if limit <= left else self.timeout.total,
            until_what="" if limit <= left else "in total",
            clock=self.clock,
            canceller=self.canceller,
        )

    def _body(self, what: str) -> Patience:
        return Patience(
            what,
            silence=self.timeout.idle,
            until=self._until,
            limit=self.timeout.total,
            min_rate=self.timeout.min_rate,
            clock=self.clock,
            canceller=self.canceller,
        )


def _is_positive(value: object) -> bool:
    return (
        isinstance(value, (int, float))
        and not isinstance(value, bool)
        and math.isfinite(value)
        and value > 0
    )
