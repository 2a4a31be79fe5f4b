"""Several worker processes at one address, and the parent that keeps their number.

Workers are forked: the parent holds no thread, no database and no connection. One that dies is
replaced; when the parent is gone, however that came, its workers see it by a pipe and
stop as if they had been told to.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from typing import Final

from wharfinger.errors import Unavailable

log = logging.getLogger("wharfinger.server")

_SIGNALS: Final = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGCHLD})
# A worker that ends sooner than this could not work at all; so many in a row, and none will.
_TOO_SOON: Final = 2.0
_MOST_FAILURES: Final = 5
# After workers were told to stop they finish what runs; then they are ended.
_PATIENCE: Final = 40.0

Work = Callable[[int, int], None]
"""What a worker does. It gets its place among the workers, counted from 0, and a descriptor that
becomes readable when the parent is gone."""


def supervise(
    count: int, work: Work, ready: Callable[[], None], stopping: Callable[[], None]
) -> None:
    """Keep `count` processes at work until SIGINT or SIGTERM, then stop them and return.

    Args:
        count: how many.
        work: what each does until it gets SIGTERM, or its parent is gone.
        ready: is called once, when all were started.
        stopping: is called once, before they are told to stop.

    Raises:
        Unavailable: workers die as soon as they start.
    """
    alive, held = os.pipe()
    crew = _Crew(work, alive, held)
    with contextlib.ExitStack() as stack:
        stack.callback(os.close, alive)
        stack.callback(os.close, held)
        stack.enter_context(_waiting_for_signals())
        stack.callback(crew.stop)
        stack.callback(stopping)
        for place in range(count):
            crew.start(place)
        ready()
        while signal.sigwait(_SIGNALS) == signal.SIGCHLD:
            for place in crew.dead():
                crew.start(place)


class _Crew:
    """The workers that live."""

    def __init__(self, work: Work, alive: int, held: int) -> None:
        self._work = work
        self._alive = alive
        self._held = held
        self._started: dict[int, tuple[int, float]] = {}
        self._failures = 0

    def start(self, place: int) -> None:
        """Start a worker."""
        sys.stdout.flush()
        sys.stderr.flush()
        pid = os.fork()
        if pid == 0:
            os._exit(self._run(place))
        self._started[pid] = place, time.monotonic()

    def dead(self) -> Iterator[int]:
        """Yield the places of workers that have died. Raises Unavailable when they do so at once."""
        for pid, (place, started) in list(self._started.items()):
            found, status = os.waitpid(pid, os.WNOHANG)
            if not found:
                continue
            del self._started[pid]
            lived = time.monotonic() - started
            log.error("worker %d ended by itself after %.1f s: %s", pid, lived, _ending(status))
            self._failures = self._failures + 1 if lived < _TOO_SOON else 0
            if self._failures >= _MOST_FAILURES:
                raise Unavailable(
                    "The workers end as soon as they start.", hint="See what they wrote before."
                )
            yield place

    def stop(self) -> None:
        """Tell every worker to stop and wait for it; end those that do not."""
        for pid in self._started:
            os.kill(pid, signal.SIGTERM)
        until = time.monotonic() + _PATIENCE
        while self._started and time.monotonic() < until:
            signal.sigtimedwait({signal.SIGCHLD}, 0.5)
            self._reap(os.WNOHANG)
        for pid in self._started:
            log.error("worker %d does not stop; it is ended", pid)
            os.kill(pid, signal.SIGKILL)
        self._reap(0)

    def _reap(self, options: int) -> None:
        for pid in list(self._started):
            if os.waitpid(pid, options)[0]:
                del self._started[pid]

    def _run(self, place: int) -> int:
        """Work, in a new process, and return its exit code."""
        try:
            os.close(self._held)  # or the pipe would outlive the parent in its workers
            # A Ctrl-C reaches the whole group. Before a worker listens for it, it would end in the
            # middle of its start; the parent tells it to stop anyway.
            signal.signal(signal.SIGINT, signal.SIG_IGN)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            self._work(place, self._alive)
        except Exception:
            log.exception("a worker failed")
            return 1
        except KeyboardInterrupt:
            return 0
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
        return 0


@contextlib.contextmanager
def _waiting_for_signals() -> Iterator[None]:
    """Keep signals for `sigwait`, none of which is lost while something else is done."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _ending(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    return f"exit code {code}" if code >= 0 else signal.Signals(-code).name
