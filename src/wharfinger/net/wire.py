"""One socket, read and written one system call at a time under a `Patience`.

`http.client` reads heads and bodies in loops that do not return to the caller, so a
peer that drips holds it for as long as it likes. Here the clock is asked before
every single wait.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from typing import TYPE_CHECKING, Final

from wharfinger.errors import BadResponse, Interrupted, TransferTimeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from wharfinger.net.patience import Patience
    from wharfinger.net.spans import FileSpan

_RECEIVE: Final = 16 * 1024
_SEND: Final = 256 * 1024
_SENDFILE: Final = 1024 * 1024  # larger pieces gain nothing, and progress would be coarse
# What sendfile says of files and sockets that it cannot join.
_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW})
_UNREADABLE: Final = frozenset({errno.EIO, errno.EBADF, errno.ESTALE, errno.EISDIR})


class Wire:
    """Reads lines and blocks from a connected socket, and writes to it.

    Bytes that came with a head and belong to what follows are held and given first.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._secure = isinstance(sock, ssl.SSLSocket)
        self._held = b""
        self._timeout: float | None = -1.0
        if isinstance(sock, ssl.SSLSocket):
            # A cut connection must not look like the end of a body (truncation attack).
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # not in typeshed
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

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
        self._limit(patience.wait())
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

    def answer_waits(self, seconds: float = 0.0) -> bool:
        """Return whether the peer began to answer, or did so within some seconds.

        Over TLS that is known only when content was decrypted: what comes may be a session
        ticket (RFC 8446 section 4.6.1). An end of the connection counts as an answer.
        """
        if self._held:
            return True
        ready = any(event & ~select.POLLOUT for _, event in self._ask(select.POLLIN, seconds))
        return self._decrypt() if ready and self._secure else ready

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
            # Where nobody listens, the send itself may wait.
            self._limit(0.0 if heard is not None else patience.wait())
            try:
                count = self._sock.send(view[:_SEND])
            except BlockingIOError:
                continue
            except (ssl.SSLWantWriteError, ssl.SSLWantReadError) as wanted:
                # The same bytes are offered again (SSL_write(3)), after listening.
                write = isinstance(wanted, ssl.SSLWantWriteError)
                if not self._ask(select.POLLIN | (write and select.POLLOUT), patience.wait()):
                    raise patience.over() from None
                continue
            except TimeoutError as error:
                raise patience.over() from error
            patience.got(count)
            view = view[count:]
        return True

    def send_file(
        self, span: FileSpan, patience: Patience, *, heard: Callable[[], bool] | None
    ) -> bool:
        """Send a stretch of a file, by sendfile where that works; otherwise as `send`.

        Raises:
            LocalFileError: the file changed or cannot be read; its last bytes were not sent.
        """
        if self._secure:
            return self._copy(span, 0, patience, heard)
        done = 0
        while done < span.length:
            if not self._may_send(patience):
                if heard is not None and heard():
                    return False
                continue
            count = min(_SENDFILE, span.length - done)
            if done + count == span.length:
                span.check()
            self._limit(0.0)
            try:
                count = os.sendfile(self._sock.fileno(), span.descriptor, span.start + done, count)
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno in _UNREADABLE:
                    raise span.failed(error) from error
                if error.errno in _NO_SENDFILE:
                    return self._copy(span, done, patience, heard)
                raise
            if count == 0:
                raise _ended(span)
            patience.got(count)
            span.sent(count)
            done += count
        return True

    def _copy(
        self, span: FileSpan, done: int, patience: Patience, heard: Callable[[], bool] | None
    ) -> bool:
        buffer = memoryview(bytearray(min(_SEND, span.length - done)))
        while done < span.length:
            view = buffer[: span.length - done]
            try:
                count = os.preadv(span.descriptor, [view], span.start + done)
            except OSError as error:
                raise span.failed(error) from error
            if count == 0:
                raise _ended(span)
            done += count
            if done == span.length:
                span.check()
            if not self.send(view[:count], patience, heard=heard):
                return False
            span.sent(count)
        return True

    # --- waiting ---------------------------------------------------------------------------

    def _may_send(self, patience: Patience) -> bool:
        """Wait until something can be sent; False when the peer spoke first."""
        if self._secure:
            return not self.answer_waits()
        events = self._ask(select.POLLIN | select.POLLOUT, patience.wait())
        if not events:
            raise patience.over()
        return not any(event & select.POLLIN for _, event in events)

    def _ask(self, events: int, seconds: float) -> list[tuple[int, int]]:
        self._poll.modify(self._sock, events)
        return self._poll.poll(seconds * 1000)

    def _decrypt(self) -> bool:
        self._limit(0.0)
        try:
            self._held = self._sock.recv(_RECEIVE)
        except ssl.SSLWantReadError:
            return False  # a ticket, or a part of a record
        return True

    def _limit(self, seconds: float) -> None:
        if seconds != self._timeout:  # each change is a system call
            self._sock.settimeout(seconds)
            self._timeout = seconds

    @staticmethod
    def _failed(error: OSError, patience: Patience) -> TransferTimeout | Interrupted:
        if isinstance(error, TimeoutError):
            return patience.over()
        return Interrupted(
            f"The connection broke: {error.strerror or type(error).__name__}.", received=0
        )


def _ended(span: FileSpan) -> Exception:
    span.check()
    # It is as long as it was and yet gives nothing: a file of /proc, or a failing disk.
    return span.failed(OSError(errno.EIO, os.strerror(errno.EIO)))
