"""`Canceller`: stops one call from another thread, whatever it is waiting for.

A thread that waits for a socket cannot be interrupted, but its socket can be shut down:
the wait ends at once, and every step asks here before it goes on. One canceller belongs
to one call; the call finds its own in the context that it runs in, so no signature
carries it. Without one (every synchronous call) nothing here costs anything.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


class Cancelled(Exception):
    """The call was stopped from outside. Not an error of the transfer: nothing retries it."""


class Stopcock:
    """Shuts a socket down from another thread; made once for each socket.

    It holds the socket by a second descriptor, because TLS takes the first one away from
    its object in the middle of the handshake. Close it when the socket is closed: the peer
    sees the end only then.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._twin = socket.socket(sock.family, sock.type, sock.proto, fileno=os.dup(sock.fileno()))

    def shut(self) -> None:
        """End both directions at once; whoever waits for the socket is woken."""
        with contextlib.suppress(OSError):  # closed by the peer meanwhile
            self._twin.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the socket."""
        self._twin.close()


class Canceller:
    """Stops one call, once and for good. Safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stopped = threading.Event()
        self._actions: dict[object, Callable[[], None]] = {}
        self.cancelled = False  # the same as the event, cheaper to ask

    def cancel(self) -> None:
        """Stop the call: every socket it holds is shut down, every wait ends."""
        with self._lock:
            self.cancelled = True
            self._stopped.set()
            for action in self._actions.values():
                action()

    def check(self) -> None:
        """Go on only if the call was not stopped.

        Raises:
            Cancelled: it was.
        """
        if self.cancelled:
            raise Cancelled

    def sleep(self, seconds: float) -> None:
        """Wait, but not longer than until the call is stopped.

        Raises:
            Cancelled: it was stopped.
        """
        self._stopped.wait(seconds)
        self.check()

    def when_cancelled(self, action: Callable[[], None]) -> Callable[[], None]:
        """Have `action` called when the call is stopped; returns what takes that back.

        Raises:
            Cancelled: it was stopped already.
        """
        key = object()
        with self._lock:
            self.check()
            self._actions[key] = action

        def take_back() -> None:
            with self._lock:
                self._actions.pop(key, None)

        return take_back

    @contextlib.contextmanager
    def in_charge(self) -> Iterator[None]:
        """Make this the canceller of whatever the block calls."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


_current: ContextVar[Canceller | None] = ContextVar("wharfinger_canceller", default=None)


def current() -> Canceller | None:
    """Return the canceller of the call that this code belongs to; None without one."""
    return _current.get()


def check() -> None:
    """Go on only if the call that this code belongs to was not stopped.

    Raises:
        Cancelled: it was.
    """
    canceller = _current.get()
    if canceller is not None:
        canceller.check()


def sleep(seconds: float) -> None:
    """Wait, but not longer than until the call that this code belongs to is stopped.

    Raises:
        Cancelled: it was stopped.
    """
    canceller = _current.get()
    if canceller is None:
        time.sleep(seconds)
    else:
        canceller.sleep(seconds)
