"""When to try again, and how long to wait: jittered backoff, and what the server asks for."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Final

from wharfinger.errors import ResponseError, TransferError, WharfingerError
from wharfinger.net import cancelling

Sleep = Callable[[float], None]

DEFAULT_RETRIES: Final = 2
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
# A server that asks for more than this means "come back another day".
_LONGEST_RETRY_AFTER: Final = 120.0
_RETRIED_STATUSES: Final = frozenset({429, 502, 503, 504})


@dataclass(kw_only=True)
class Retrying:
    """Counts the attempts of one transfer.

    Args:
        retries: how often to try again after the first attempt.
        sleep: waits; for tests.
        jitter: a number from 0 to 1; for tests.
    """

    retries: int
    sleep: Sleep = cancelling.sleep
    jitter: Callable[[], float] = field(default=random.random)
    _failed: int = 0

    def another(self) -> Retrying:
        """Return one like it that has counted nothing yet."""
        return replace(self, _failed=0)

    def again(self, error: WharfingerError, left: float, *, worth: bool | None = None) -> bool:
        """Wait and return True if the transfer is worth another attempt.

        Args:
            error: why the last attempt failed.
            left: seconds until the total limit.
            worth: whether the error is one to try again after; by its kind, if not given.
        """
        if self._failed >= self.retries or not (_worth_retrying(error) if worth is None else worth):
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
        return Retrying(retries=self.retries, sleep=self.sleep, jitter=self.jitter)


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
