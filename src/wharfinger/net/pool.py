"""Idle connections, kept for the next request to the same origin.

Few at a time and in all: the one that was used last is taken first, the oldest are closed.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final

from wharfinger.net import tls
from wharfinger.net.connection import GuardedConnection
from wharfinger.net.proxies import Proxies
from wharfinger.net.secure import GuardedTLSConnection

if TYPE_CHECKING:
    from wharfinger.net.cancelling import Canceller
    from wharfinger.net.guard import AddressGuard
    from wharfinger.net.patience import Clock
    from wharfinger.net.urls import Origin, Url

_Idle = tuple["Origin", GuardedConnection]
# As many as a list of downloads may have under way at once.
_IDLE_CONNECTIONS: Final = 64


class Connections:
    """The connections of one guard: takes idle ones, makes new ones, keeps what may be used again.

    Args:
        guard: where they may go.
        context: trusted certificates; the system's by default.
        proxies: what goes through a proxy; nothing by default.
        clock: a monotonic clock.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        context: ssl.SSLContext | None = None,
        proxies: Proxies | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._guard = guard
        self._clock = clock
        self._context = context
        self._proxies = proxies or Proxies()
        self._lock = threading.Lock()
        self._idle: list[_Idle] = []  # oldest first
        # Also those of a client that nobody closes end with it.
        weakref.finalize(self, _close_all, self._idle)
        _all.add(self)

    def take(
        self,
        url: Url,
        seconds: float,
        *,
        fresh: bool = False,
        canceller: Canceller | None = None,
    ) -> GuardedConnection:
        """Return an open connection to a URL's origin; `fresh` never takes an idle one.

        Raises:
            UsageError: the context does not verify certificates (any more).
            AddressRefused, ConnectFailed, TransferTimeout: as `GuardedConnection.open`.
        """
        context = self._verifying() if url.scheme == "https" else None
        while not fresh and (idle := self._last_used(url.origin)) is not None:
            if idle.wire is not None and idle.wire.quiet:
                connection = idle
                break
            idle.close()
        else:
            connection = self._made(url, context)
        try:
            connection.bind(canceller)
            if connection.wire is None:
                connection.open(seconds)
        except BaseException:
            connection.close()
            raise
        return connection

    def give(self, url: Url, connection: GuardedConnection) -> None:
        """Keep a connection whose exchange is over for the next one, unless it is closed."""
        connection.unbind()
        if connection.wire is None:
            return
        with self._lock:
            self._idle.append((url.origin, connection))
            oldest = self._idle.pop(0)[1] if len(self._idle) > _IDLE_CONNECTIONS else None
        if oldest is not None:
            oldest.close()

    def close(self) -> None:
        """Close all idle connections."""
        with self._lock:
            _close_all(self._idle)

    def forget(self) -> None:
        """Let go of all idle connections in a forked process: the parent goes on using them.

        Two processes on one connection would get each other's answers.
        """
        self._lock = threading.Lock()  # another thread may have held it in the fork
        _close_all(self._idle)  # the descriptors of this process; the parent's stay open

    def _last_used(self, origin: Origin) -> GuardedConnection | None:
        with self._lock:
            for place in range(len(self._idle) - 1, -1, -1):
                if self._idle[place][0] == origin:
                    return self._idle.pop(place)[1]
        return None

    def _made(self, url: Url, context: ssl.SSLContext | None) -> GuardedConnection:
        if context is None:
            connection = GuardedConnection(url.host, url.port)
        else:
            connection = GuardedTLSConnection(url.host, url.port, context=context)
        connection.guard = self._guard
        connection.clock = self._clock
        connection.via = self._proxies.for_url(url)
        return connection

    def _verifying(self) -> ssl.SSLContext:
        # One context for all: reading the system's certificates takes 10 ms and more.
        self._context = self._context or ssl.create_default_context()
        return tls.checked(self._context)


def _close_all(idle: list[_Idle]) -> None:
    while idle:
        idle.pop()[1].close()


_all: Final[weakref.WeakSet[Connections]] = weakref.WeakSet()


def _forget_all() -> None:
    for connections in _all:
        connections.forget()


os.register_at_fork(after_in_child=_forget_all)
