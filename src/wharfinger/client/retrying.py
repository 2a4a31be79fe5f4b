"""When to try again, and how long to wait: jittered backoff, and what the server asks for.

Unless the caller says how often, a server that has answered is tried again for 15 to 32
seconds in all: it may be restarting. One that has never answered is given a second or two:
most likely its address is wrong, and that should be told soon.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from wharfinger.errors import ResponseError, TransferError, WharfingerError
from wharfinger.net import cancelling

Sleep = Callable[[float], None]

# 0.5 + 1 + 2 + 4 + 8 + 16 s, each of them halved at most by the jitter. For comparison: pip
# retries 5 times within 7.5 s; aria2 5 times and urllib3 3 times without a wait; curl only
# when told to, and then not when nobody listens.
DEFAULT_RETRIES: Final = 6
RETRIES_UNANSWERED: Final = 2
"""How often to try again by default as long as the server has not answered once."""

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
# A server that asks for more than this means "come back another day".
_LONGEST_RETRY_AFTER: Final = 120.0
_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})


@dataclass(kw_only=True)
class Retrying:
    """Counts the attempts of one transfer.

    Args:
        retries: how often to try again after the first attempt; None for the defaults.
        answered: tells whether the server has answered anything yet.
        sleep: waits; for tests.
        jitter: a number from 0 to 1; for tests.
    """

    retries: int | None = None
    answered: Callable[[], bool] = lambda: True
    sleep: Sleep = cancelling.sleep
    jitter: Callable[[], float] = field(default=random.random)
    _failed: int = 0

    def of_a_helper(self) -> Retrying:
        """Return a fresh count for a part of a transfer that can also be made without it."""
        most = RETRIES_UNANSWERED if self.retries is None else self.retries
        return replace(self, retries=most, _failed=0)

    def again(self, error: WharfingerError, left: float, *, worth: bool | None = None) -> bool:
        """Wait and return True if the transfer is worth another attempt.

        Args:
            error: why the last attempt failed.
            left: seconds until the total limit.
            worth: whether the error is one to try again after; by its kind, if not given.
        """
        if self._failed >= self._most() or not (_worth_retrying(error) if worth is None else worth):
            return False
        # Full jitter: clients that failed together do not come back together.
        wait = min(_FIRST_WAIT * 2**self._failed, _LONGEST_WAIT) * (0.5 + self.jitter() / 2)
        asked = error.retry_after if isinstance(error, ResponseError) else None
        if asked is not None:
            if asked > _LONGEST_RETRY_AFTER:
                return False
            wait = max(wait, asked)
        if wait >= left:
            return False
        self._failed += 1
        self.sleep(wait)
        return True

    def renewed(self) -> Retrying:
        """Return a fresh count: the transfer has moved on since the last failure."""
        return replace(self, _failed=0)

    def _most(self) -> int:
        if self.retries is not None:
            return self.retries
        return DEFAULT_RETRIES if self.answered() else RETRIES_UNANSWERED


def _worth_retrying(error: WharfingerError) -> bool:
    if isinstance(error, ResponseError):
        return error.status in _RETRIED_STATUSES
    return isinstance(error, TransferError) and error.retryable


def retry_after(value: str | None, now: float | None = None) -> float | None:
    """Return the seconds that a Retry-After asks to wait (RFC 9110 section 10.2.3), or None."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    from email.utils import parsedate_to_datetime  # seldom needed, and slow to load

    try:
        at = parsedate_to_datetime(text).timestamp()
    except (ValueError, OverflowError, TypeError):
        return None
    return max(at - (time.time() if now is None else now), 0.0)
