"""`Pace`: bytes per second, shared by everybody who sends under one.

Nobody waits here: whoever is about to send is told for how long to wait first, and does
that in its own way, so that the same pace serves threads and event loops.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from wharfinger.units import KIB

# Small enough that many who share a pace all get something every few seconds.
_LEAST: Final = 16 * KIB
_PARTS: Final = 32
# What may go out at once after a silence: a quarter of a second's worth.
_SAVED_SECONDS: Final = 0.25


class Pace:
    """So many bytes per second. Safe to use from any thread.

    Args:
        rate: bytes per second.
        clock: the time in seconds.
    """

    def __init__(self, rate: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate = rate
        self.piece = max(_LEAST, rate // _PARTS)
        """How much to send at once, in bytes."""
        self._clock = clock
        self._changing = threading.Lock()
        self._next = float("-inf")

    def wait_for(self, size: int) -> float:
        """Return how many seconds to wait before sending `size` bytes; they are taken as sent."""
        with self._changing:
            now = self._clock()
            begins = max(self._next, now - _SAVED_SECONDS)
            self._next = begins + size / self.rate
            return max(0.0, begins - now)
