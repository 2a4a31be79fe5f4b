"""Accepting TLS connections: those in their handshake are bounded, and cost little.

asyncio's own server tells nobody of a connection before its handshake is done: whoever
connects and stays silent would take descriptors and memory that no limit counts. Here a
newcomer takes the place of the oldest handshake when there are too many, so that a flood of
silent ones shuts out nobody who speaks.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import socket
import ssl
from asyncio import sslproto
from collections.abc import Callable
from typing import Final

from wharfinger.units import KIB

log = logging.getLogger("wharfinger.server")

HANDSHAKE_SECONDS: Final = 15.0
# When a connection is closed, what asyncio still has of an answer must be taken in this time: half
# a MiB or more. Its own 30 s cut answers to slow clients short. Who is silent has less (`worker`).
CLOSING_SECONDS: Final = 120.0
# Who takes a second for a handshake is pushed out by no less than so many newcomers a second.
MOST_HANDSHAKES: Final = 1024
_AT_ONCE: Final = 64
# More than are accepted in one go: none is pushed out before it has begun.
LEAST_HANDSHAKES: Final = 2 * _AT_ONCE
# asyncio has a buffer of 256 KiB for each TLS connection, idle ones too; a record has 16 KiB.
# With this one uploads are as fast.
_BUFFER: Final = 32 * KIB
# What a machine lacks that cannot accept; waiting may help.
_EXHAUSTED: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_PAUSE_SECONDS: Final = 1.0


class SecureAccepting:
    """Accepts TLS connections on a listening socket until it is closed.

    Args:
        listener: it listens and does not block.
        protocols: makes the protocol of a connection whose handshake is done.
        context: the server's.
        most: so many handshakes at once.
    """

    def __init__(
        self,
        listener: socket.socket,
        protocols: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        *,
        most: int = MOST_HANDSHAKES,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._listener = listener
        self._protocols = protocols
        self._context = context
        self._most = most
        self._handshakes: dict[asyncio.Task[None], None] = {}  # the oldest first
        self._pause: asyncio.TimerHandle | None = None
        sslproto.SSLProtocol.max_size = min(sslproto.SSLProtocol.max_size, _BUFFER)
        self._go_on()

    def close(self) -> None:
        """Accept nothing more. Handshakes that run go on."""
        if self._pause is not None:
            self._pause.cancel()
        self._loop.remove_reader(self._listener)
        self._listener.close()

    def _go_on(self) -> None:
        self._loop.add_reader(self._listener, self._accept)

    def _accept(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                accepted, _address = self._listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in _EXHAUSTED:
                    raise
                log.error("no connection can be accepted now: %s", error.strerror)  # noqa: TRY400
                self._loop.remove_reader(self._listener)
                self._pause = self._loop.call_later(_PAUSE_SECONDS, self._go_on)
                return
            if len(self._handshakes) >= self._most:
                oldest = next(iter(self._handshakes))
                del self._handshakes[oldest]
                oldest.cancel()
            task = self._loop.create_task(self._shake_hands(accepted))
            self._handshakes[task] = None
            task.add_done_callback(lambda task: self._handshakes.pop(task, None))

    async def _shake_hands(self, accepted: socket.socket) -> None:
        # Silence, nonsense and broken connections are no business of the log.
        with contextlib.suppress(OSError):  # TimeoutError and ssl.SSLError are such
            await self._loop.connect_accepted_socket(
                self._protocols,
                accepted,
                ssl=self._context,
                ssl_handshake_timeout=HANDSHAKE_SECONDS,
                ssl_shutdown_timeout=CLOSING_SECONDS,
            )
