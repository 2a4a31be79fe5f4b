"""`Crew`: the threads that check files, what they do next, and how long others wait for them."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, wait
from typing import Any, Final, TypeVar

from wharfinger.errors import Unavailable, WharfingerError
from wharfinger.service.threads import Threads

__all__ = ["ASK_SECONDS", "LOOK_SECONDS", "Crew"]

_T = TypeVar("_T")

log = logging.getLogger("wharfinger")

LOOK_SECONDS: Final = 1.0
"""How often a process looks for work that others left behind."""
ASK_SECONDS: Final = 0.1
"""How often one that waits looks whether it may stop waiting."""
# A request that waits has one of its shell's threads: half of them stay free for others.
_MOST_PATIENT: Final = 8
_MOMENT: Final = 1.0
_CLOSING: Final = "The service is closing."


class Crew:
    """The threads of one process; in a forked one, others.

    Args:
        most: how many there are.
        following: returns what a thread that has nothing to do does next; None for nothing.
    """

    def __init__(self, most: int, following: Callable[[], Callable[[], None] | None]) -> None:
        self._most = most
        self._following = following
        self._starting = threading.Lock()
        self._pid = 0
        self._threads: Threads | None = None
        self._looking: threading.Thread | None = None
        self._stop = threading.Event()
        self._free = threading.Event()
        self._hurried = threading.Event()
        self._counting = threading.Lock()
        self._waiting = 0
        self.under_way = 0

    def begin(self) -> Threads:
        """Look for work from now on; return the threads. Raises Unavailable: closed."""
        threads = self._threads
        if threads is not None and self._pid == os.getpid():
            return threads
        with self._starting:
            if self._stop.is_set():
                raise Unavailable(_CLOSING)
            if self._threads is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._threads = Threads(self._most, "wharfinger-check")
                self._looking = threading.Thread(
                    target=self._look, name="wharfinger-jobs", daemon=True
                )
                self._looking.start()
            return self._threads

    def submit(self, function: Callable[..., _T], *arguments: object) -> Future[_T]:
        """Have a function called by the first thread that is free. Raises Unavailable: closed."""
        threads = self.begin()
        with self._counting:
            self.under_way += 1
        try:
            future = threads.submit(function, *arguments)
        except RuntimeError as error:
            self._ended()
            raise Unavailable(_CLOSING) from error
        future.add_done_callback(self._ended)
        return future

    @contextlib.contextmanager
    def patience(self, longest: float) -> Iterator[float]:
        """Say how many seconds a request may wait: where many wait already, a moment."""
        with self._counting:
            self._waiting += 1
            many = self._waiting > _MOST_PATIENT
        try:
            yield min(longest, _MOMENT) if many else longest
        finally:
            with self._counting:
                self._waiting -= 1

    def wait_for(self, futures: Sequence[Future[Any]], seconds: float) -> None:
        """Return when all are done, the time is over, or nobody may wait any more."""
        until = time.monotonic() + seconds
        while not self._hurried.is_set():
            left = until - time.monotonic()
            if left <= 0 or not wait(futures, timeout=min(left, ASK_SECONDS)).not_done:
                break

    def pause(self) -> bool:
        """Wait a moment; return whether nobody may wait any more."""
        return self._hurried.wait(ASK_SECONDS)

    def hurry(self) -> None:
        """Let nobody wait from now on."""
        self._hurried.set()

    def close(self, seconds: float) -> bool:
        """Begin nothing more, and wait so long for what runs; return whether it has ended."""
        self._stop.set()
        self._hurried.set()
        self._free.set()
        with self._starting:
            threads, self._threads = self._threads, None
            looking, self._looking = self._looking, None
            if self._pid != os.getpid():  # a child has none of its parent's threads
                return True
        if looking is not None and looking is not threading.current_thread():
            looking.join()
        return threads is None or threads.close(seconds)

    def _ended(self, _: object = None) -> None:
        with self._counting:
            self.under_way -= 1
        self._free.set()

    def _look(self) -> None:
        """Give the threads that have nothing to do what nobody does."""
        while not self._stop.is_set():
            self._free.clear()
            try:
                while self.under_way < self._most and (work := self._following()):
                    self.submit(work)
            except (WharfingerError, OSError) as error:
                if not self._stop.is_set():
                    log.error("jobs could not be done and are tried again: %s", error)  # noqa: TRY400
            self._free.wait(LOOK_SECONDS)
