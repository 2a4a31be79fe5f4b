"""One socket, read and written one system call at a time under a `Patience`.

`http.client` reads heads and bodies in loops that do not return to the caller, so a
peer that drips holds it for as long as it likes. Here the clock is asked before
every single wait.
"""

from __future__ import annotations

import select
import socket
import ssl
from typing import TYPE_CHECKING, Final

from wharfinger.errors import BadResponse, Interrupted, TransferTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from wharfinger.net.patience import Patience

_RECEIVE: Final = 16 * 1024
_SEND: Final = 256 * 1024


class Wire:
    """Reads lines and blocks from a connected socket, and writes to it.

    Bytes that came with a head and belong to what follows are held and given first.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._secure = isinstance(sock, ssl.SSLSocket)
        self._held = b""
        if isinstance(sock, ssl.SSLSocket):
            # A cut connection must not look like the end of a body (truncation attack).
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # not in typeshed
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN | select.POLLOUT)

    # --- reading ---------------------------------------------------------------------------

    def line(self, limit: int, patience: Patience) -> bytes:
        """Return the next line with its end.

        Raises:
            Interrupted: the peer closed before the line's end.
            BadResponse: the line is longer than `limit`.
            TransferTimeout: the patience is over.
        """
        searched = 0
        while (end := self._held.find(b"\n", searched)) < 0:
            searched = len(self._held)
            if searched > limit:
                raise BadResponse(f"The answer has a line of more than {limit} bytes.")
            more = self._receive(patience)
            if not more:
                raise Interrupted(
                    "The server closed the connection in the middle of its answer."
                    if self._held
                    else "The server closed the connection without an answer.",
                    received=0,
                )
            self._held += more
        line, self._held = self._held[: end + 1], self._held[end + 1 :]
        if len(line) > limit:
            raise BadResponse(f"The answer has a line of more than {limit} bytes.")
        return line

    def readinto(self, view: memoryview, patience: Patience) -> int:
        """Fill the beginning of `view` with what is there; 0 when the peer has closed."""
        if self._held:
            count = min(len(view), len(self._held))
            view[:count] = self._held[:count]
            self._held = self._held[count:]
            return count
        return self._receive_into(view, patience)

    def _receive(self, patience: Patience) -> bytes:
        buffer = bytearray(_RECEIVE)
        return bytes(buffer[: self._receive_into(memoryview(buffer), patience)])

    def _receive_into(self, view: memoryview, patience: Patience) -> int:
        self._sock.settimeout(patience.wait())
        try:
            count = self._sock.recv_into(view)
        except OSError as error:
            raise self._failed(error, patience) from error
        patience.got(count)
        return count

    @property
    def holds(self) -> bool:
        """Whether bytes were received that nobody has read yet."""
        return bool(self._held)

    def has_more(self) -> bool:
        """Return whether the peer sent bytes that nobody asked for.

        Over TLS only bytes that were already read count: what is still in the socket may
        be a session ticket.
        """
        if self._held:
            return True
        if self._secure or not self.answer_waits():
            return False
        try:
            return bool(self._sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        except OSError:
            return False  # reset or empty: nothing came

    # --- writing ---------------------------------------------------------------------------

    def answer_waits(self) -> bool:
        """Return whether the peer began to answer (never over TLS, see `has_more`)."""
        if self._secure:
            return False
        return any(event & select.POLLIN for _, event in self._poll.poll(0))

    def send(
        self, data: bytes | memoryview, patience: Patience, *, heard: Callable[[], bool] | None
    ) -> bool:
        """Send all of `data`; `heard` is called when the peer speaks, and ends it by True.

        Returns:
            Whether all was sent.

        Raises:
            TransferTimeout: nothing could be sent for too long.
            OSError: the peer has closed; an answer may still be readable.
        """
        view = memoryview(data)
        while view:
            if heard is not None and not self._may_send(patience):
                if heard():
                    return False
                continue
            self._sock.settimeout(patience.wait())
            try:
                count = self._sock.send(view[:_SEND])
            except TimeoutError as error:
                raise patience.over() from error
            patience.got(count)
            view = view[count:]
        return True

    def _may_send(self, patience: Patience) -> bool:
        if self._secure:
            return True
        events = self._poll.poll(patience.wait() * 1000)
        if not events:
            raise patience.over()
        return not any(event & select.POLLIN for _, event in events)

    @staticmethod
    def _failed(error: OSError, patience: Patience) -> TransferTimeout | Interrupted:
        if isinstance(error, TimeoutError):
            return patience.over()
        return Interrupted(
            f"The connection broke: {error.strerror or type(error).__name__}.", received=0
        )
