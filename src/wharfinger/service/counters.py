"""Counting who did how much: in this process, or in Redis for all processes together.

A count lives in a window that begins with the first of it and lasts as long as its rate
says; then it begins anew. (Windows of a fixed length are counted exactly, also in Redis, by one
atomic step; the price is that around the end of one, twice as much can pass for a moment.)

Redis is spoken to by the package `limits`. Its memory storage is not used: it keeps a helper
thread, has no bound and takes no clock; what is needed of it is one table.
"""

from __future__ import annotations

import hashlib
import logging
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol, TypeVar

from wharfinger.errors import Unavailable
from wharfinger.extras import require

if TYPE_CHECKING:
    from limits.storage import RedisStorage

T = TypeVar("T")
log = logging.getLogger("wharfinger")

# About 20 MB. Whoever asks from more addresses than that within a window is not held by any count.
MOST: Final = 100_000
# An answer later than this is as good as none: every request would wait for it.
_PATIENCE: Final = 0.5
# After a failure nobody asks again for so long; else each request would wait for the next one.
_PAUSE: Final = 2.0


class Key(NamedTuple):
    """What is counted (the name of a setting) and for whom."""

    what: str
    who: str


class Counters(Protocol):
    """Counts in windows. Safe to use from any thread."""

    waits: bool
    """Whether a call may wait for something: then no event loop makes it."""

    def add(self, key: Key, amount: int, seconds: int) -> int:
        """Count more, in the window that runs or in a new one of this length; return the sum."""
        ...

    def value(self, key: Key) -> int:
        """Return the sum so far."""
        ...

    def left(self, key: Key) -> float:
        """Return the seconds until the window ends; 0 when there is none."""
        ...


class _Window:
    __slots__ = ("began", "count", "ends")

    def __init__(self, began: float, ends: float) -> None:
        self.began, self.ends, self.count = began, ends, 0


class MemoryCounters:
    """Counts in this process, and for it alone.

    Args:
        clock: the time in seconds.
        most: so many windows at once; when there are more, the oldest is forgotten.
    """

    waits = False

    def __init__(self, clock: Callable[[], float], *, most: int = MOST) -> None:
        self._clock = clock
        self._most = most
        self._windows: dict[Key, _Window] = {}
        self._changing = threading.Lock()

    def add(self, key: Key, amount: int, seconds: int) -> int:
        """Count more."""
        with self._changing:
            now = self._clock()
            window = self._running(key, now)
            if window is None:
                self._windows.pop(key, None)  # a new one is the youngest
                self._make_room(now)
                window = self._windows[key] = _Window(now, now + seconds)
            window.count += amount
            return window.count

    def value(self, key: Key) -> int:
        """Return the sum."""
        with self._changing:
            window = self._running(key, self._clock())
            return 0 if window is None else window.count

    def left(self, key: Key) -> float:
        """Return the seconds left."""
        with self._changing:
            now = self._clock()
            window = self._running(key, now)
            return 0.0 if window is None else window.ends - now

    def __len__(self) -> int:
        return len(self._windows)

    def _running(self, key: Key, now: float) -> _Window | None:
        window = self._windows.get(key)
        # A clock that was set back must not make a window longer.
        return window if window is not None and window.began <= now < window.ends else None

    def _make_room(self, now: float) -> None:
        if len(self._windows) < self._most:
            return
        self._windows = {key: one for key, one in self._windows.items() if one.ends > now}
        if len(self._windows) >= self._most:
            # A tenth at once, so that this pass over all of them is rare.
            for key in list(self._windows)[: max(1, self._most // 10)]:
                del self._windows[key]


class RedisCounters:
    """Counts in Redis, for every process that uses it.

    While it is away, each process counts for itself in `instead`, or (None) nothing is
    counted and every call raises Unavailable.

    Args:
        url: "redis://host:6379/0", "rediss://…" or "redis+unix:///path".
        instead: where to count meanwhile.

    Raises:
        ModuleNotFoundError: the packages for it are not installed.
    """

    waits = True

    def __init__(self, url: str, instead: MemoryCounters | None) -> None:
        require("limits", "redis", extra="redis")
        self._url = url
        self._instead = instead
        self._storage: RedisStorage | None = None
        self._opening = threading.Lock()
        self._away_until = 0.0
        self._is_away = False

    def add(self, key: Key, amount: int, seconds: int) -> int:
        """Count more."""
        return self._ask(
            lambda storage: storage.incr(_name(key), seconds, amount),
            lambda instead: instead.add(key, amount, seconds),
        )

    def value(self, key: Key) -> int:
        """Return the sum."""
        return self._ask(
            lambda storage: storage.get(_name(key)), lambda instead: instead.value(key)
        )

    def left(self, key: Key) -> float:
        """Return the seconds left."""
        return self._ask(
            lambda storage: max(0.0, storage.get_expiry(_name(key)) - time.time()),
            lambda instead: instead.left(key),
        )

    def check(self) -> None:
        """Return if Redis answers now. Raises Unavailable."""
        try:
            self._opened().get_connection().ping()
        except _errors() as error:
            raise Unavailable(f"Redis does not answer: {type(error).__name__}.") from error

    def _ask(self, redis: Callable[[RedisStorage], T], instead: Callable[[MemoryCounters], T]) -> T:
        if time.monotonic() >= self._away_until:
            try:
                found = redis(self._opened())
            except _errors() as error:
                self._away_until = time.monotonic() + _PAUSE
                if not self._is_away:
                    log.warning("Redis, which counts for the limits, is away: %s", error)
                self._is_away = True
            else:
                if self._is_away:
                    log.warning("Redis, which counts for the limits, is back")
                self._is_away = False
                return found
        if self._instead is None:
            raise Unavailable("Redis, which counts for the limits, is away.")
        return instead(self._instead)

    def _opened(self) -> RedisStorage:
        with self._opening:
            if self._storage is None:
                from limits.storage import RedisStorage
                from redis.backoff import NoBackoff
                from redis.retry import Retry

                self._storage = RedisStorage(
                    self._url,
                    key_prefix="wharfinger",
                    socket_timeout=_PATIENCE,
                    socket_connect_timeout=_PATIENCE,
                    retry=Retry(NoBackoff(), 1),  # type: ignore[arg-type]  # handed on to the client
                )
            return self._storage


def _name(key: Key) -> str:
    """Return what a key is called in Redis, where addresses and names of people need not stand."""
    digest = hashlib.blake2b(key.who.encode("utf-8", "surrogatepass"), digest_size=16)
    return f"{key.what}:{digest.hexdigest()}"


def _errors() -> tuple[type[Exception], ...]:
    from redis.exceptions import RedisError

    return (RedisError, OSError)
