"""How long a peer may take: the time limits of one exchange, against one clock.

A limit that starts anew with every byte holds nobody to anything: a server that
drips one byte a second passes it for ever. So every wait asks here how long it may
be, and what arrived is told here.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wharfinger.errors import TransferTimeout

if TYPE_CHECKING:
    from wharfinger.net.cancelling import Canceller

Clock = Callable[[], float]

RATE_WINDOW: Final = 30.0
"""Seconds over which a minimum rate is measured: longer than the pauses of honest networks."""

LONGEST_WAIT: Final = 1_000_000.0
"""Seconds that one wait may take, eleven days: what the operating system counts ends at 24."""


class Patience:
    """The time that is left for one phase of an exchange.

    Args:
        what: what is waited for, in words ("the response head").
        silence: the longest single wait, in seconds.
        until: when the phase must be over, on the clock.
        limit: the seconds that `until` comes from, as the caller gave them; for the message.
        until_what: the words for that limit.
        min_rate: the fewest bytes per second, over `RATE_WINDOW`. Only the time in which the
            peer is waited for counts: a slow disk, or a pipe that fills slowly, is not its fault.
        canceller: what may stop the whole call; asked before and after each wait.
    """

    def __init__(
        self,
        what: str,
        *,
        silence: float,
        until: float | None = None,
        limit: float | None = None,
        until_what: str = "in total",
        min_rate: int = 0,
        clock: Clock = time.monotonic,
        canceller: Canceller | None = None,
    ) -> None:
        self._what = what
        self._canceller = canceller
        self._silence = min(silence, LONGEST_WAIT)
        self._until = until
        self._limit = limit
        self._until_what = until_what
        self._min_rate = min_rate
        self._clock = clock
        self._started = clock()
        self._asked: float | None = None  # since when the peer is being waited for
        self._waited = 0.0
        self._counted = 0

    def wait(self) -> float:
        """Return the seconds that the next wait may take.

        Raises:
            TransferTimeout: the phase is over.
            Cancelled: the call was stopped.
        """
        if self._canceller is not None:
            self._canceller.check()
        if self._min_rate and self._asked is None:
            self._asked = self._clock()
        if self._until is None:
            return self._silence
        left = self._until - self._clock()
        if left <= 0:
            raise self.over()
        return min(self._silence, left)

    def got(self, count: int) -> None:
        """Record that `count` bytes moved.

        Raises:
            TransferTimeout: the peer is slower than the minimum rate.
            Cancelled: the call was stopped; what moved is not to be believed (a socket that was
                shut down looks like one that the peer has closed).
        """
        if self._canceller is not None:
            self._canceller.check()
        if not self._min_rate:
            return
        self._counted += count
        if self._asked is not None:
            self._waited += self._clock() - self._asked
            self._asked = None
        if self._waited < RATE_WINDOW:
            return
        rate = self._counted / self._waited
        if rate < self._min_rate:
            raise TransferTimeout(
                f"{self._what}: {rate:.0f} bytes/s in {self._waited:.0f} s; "
                f"at least {self._min_rate} are asked for.",
            )
        self._waited = 0.0
        self._counted = 0

    def over(self) -> TransferTimeout:
        """Return the error for a wait that was as long as `wait` allowed."""
        now = self._clock()
        if self._until is not None and now >= self._until - 0.001:
            seconds = f"{now - self._started:.1f}" if self._limit is None else f"{self._limit:g}"
            return TransferTimeout(
                f"{self._what} took longer than {seconds} s {self._until_what}".rstrip() + "."
            )
        return TransferTimeout(f"{self._what}: nothing moved for {self._silence:g} s.")
