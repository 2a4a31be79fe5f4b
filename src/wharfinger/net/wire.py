"""One socket, read and written one system call at a time under a `Patience`.

`http.client` reads heads and bodies in loops that do not return to the caller, so a
peer that drips holds it for as long as it likes. Here the clock is asked before
every single wait.

The socket itself never waits: what can be had at once is taken at once, and only where
there is nothing is there a wait, which is a `poll` of ours.
"""

from __future__ import annotations

import re
import select
import socket
import ssl
import time
from typing import TYPE_CHECKING, Final

from wharfinger.errors import BadResponse, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from wharfinger.net.patience import Patience

# The longest head fits, and so does a whole small answer: one receive gets all of it.
_HOLD: Final = 72 * 1024
_SEND: Final = 256 * 1024
# A line ends with LF, with or without CR (RFC 9112 section 2.2); an empty one ends the head.
_EMPTY_LINE: Final = re.compile(rb"\r*\n")
_END_OF_HEAD: Final = re.compile(rb"\n\r*\n")


class PeerClosed(ConnectionError):
    """The peer closed while something was being sent; an answer may still be readable."""


class Wire:
    """Reads heads, lines and blocks from a connected socket, and writes to it.

    Bytes that came with a head and belong to what follows are held and given first.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.secure = isinstance(sock, ssl.SSLSocket)
        self._buffer = bytearray()
        self._start = self._end = 0  # what is held of the buffer
        self._drained = False  # whether the last receive left nothing behind
        self._broken: OSError | None = None
        if isinstance(sock, ssl.SSLSocket):
            # A cut connection must not look like the end of a body (truncation attack).
            sock.suppress_ragged_eofs = False  # type: ignore[attr-defined]  # not in typeshed
        sock.settimeout(0)
        self._poll = select.poll()
        self._poll.register(sock, select.POLLIN)

    # --- reading ---------------------------------------------------------------------------

    def head(self, limit: int, patience: Patience) -> bytes:
        """Return the lines of a head, up to but without the end of the last and the empty line.

        Raises:
            Interrupted: the peer closed before its end.
            BadResponse: it is longer than `limit`.
            TransferTimeout: the patience is over.
        """
        searched = self._start
        while True:
            if empty := _EMPTY_LINE.match(self._buffer, self._start, self._end):
                self._start = empty.end()
                return b""
            found = _END_OF_HEAD.search(self._buffer, searched, self._end)
            if found is not None and found.start() - self._start <= limit:
                head = bytes(self._buffer[self._start : found.start()])
                self._start = found.end()
                return head.removesuffix(b"\r")
            if self._end - self._start > limit:
                raise BadResponse(f"The answer's head is longer than {limit} bytes.")
            # The end may come in pieces: it begins at the last LF, if it has begun.
            last = self._buffer.rfind(b"\n", searched, self._end)
            held = (self._end if last < 0 else last) - self._start
            self._fill(patience)
            searched = self._start + held

    def line(self, limit: int, patience: Patience) -> bytes:
        """Return the next line with its end.

        Raises:
            Interrupted: the peer closed before the line's end.
            BadResponse: the line is longer than `limit`.
            TransferTimeout: the patience is over.
        """
        while (end := self._buffer.find(b"\n", self._start, self._end)) < 0:
            if self._end - self._start > limit:
                raise BadResponse(f"The answer has a line of more than {limit} bytes.")
            self._fill(patience)
        line = bytes(self._buffer[self._start : end + 1])
        if len(line) > limit:
            raise BadResponse(f"The answer has a line of more than {limit} bytes.")
        self._start = end + 1
        return line

    def readinto(self, view: memoryview, patience: Patience) -> int:
        """Fill the beginning of `view` with what is there; 0 when the peer has closed."""
        held = self._end - self._start
        if held:
            count = min(len(view), held)
            view[:count] = memoryview(self._buffer)[self._start : self._start + count]
            self._start += count
            return count
        return self._receive_into(view, patience)

    @property
    def holds(self) -> bool:
        """Whether bytes were received that nobody has read yet."""
        return self._end > self._start

    def has_more(self) -> bool:
        """Return whether the peer sent bytes that nobody asked for.

        Over TLS only bytes that were already read count: what is still in the socket may
        be a session ticket.
        """
        if self.holds:
            return True
        if isinstance(self.sock, ssl.SSLSocket):
            return self.sock.pending() > 0
        if self._drained:
            return False
        try:
            return bool(self.sock.recv(1, socket.MSG_PEEK))
        except OSError:
            return False  # reset or empty: nothing came

    def _fill(self, patience: Patience) -> None:
        """Receive behind what is held, which moves to the beginning of the buffer."""
        if not self._buffer:
            self._buffer = bytearray(_HOLD)
        held = self._end - self._start
        if self._start:
            self._buffer[:held] = self._buffer[self._start : self._end]
            self._start, self._end = 0, held
        count = self._receive_into(memoryview(self._buffer)[held:], patience)
        if not count:
            raise Interrupted(
                "The server closed the connection in the middle of its answer."
                if held
                else "The server closed the connection without an answer.",
                received=0,
            )
        self._end += count

    def _receive_into(self, view: memoryview, patience: Patience) -> int:
        seconds = patience.wait()
        until = None
        # Where the last receive left nothing, or a request just went out, there is nothing yet.
        wait = select.POLLIN if self._drained else 0
        while True:
            if wait:
                left = seconds if until is None else until - time.monotonic()
                # A part of a TLS record does not begin the wait anew.
                until = time.monotonic() + seconds if self.secure and until is None else until
                if left <= 0 or not self.ask(wait, left):
                    raise patience.over()
                self._drained = False
            try:
                count = self._take_records(view) if self.secure else self.sock.recv_into(view)
                break
            except (BlockingIOError, ssl.SSLWantReadError):
                wait = select.POLLIN
            except ssl.SSLWantWriteError:
                wait = select.POLLOUT
            except OSError as error:
                raise Interrupted(
                    f"The connection broke: {error.strerror or type(error).__name__}.", received=0
                ) from error
        self._drained = not self.secure and 0 < count < len(view)
        patience.got(count)
        return count

    def _take_records(self, view: memoryview) -> int:
        # One call gives one record of at most 16 KiB, so all that came are taken in one go.
        if self._broken is not None:
            raise self._broken
        count = self.sock.recv_into(view)
        filled = count
        try:
            while count and filled < len(view):
                count = self.sock.recv_into(view[filled:])
                filled += count
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            return filled
        except OSError as error:
            self._broken = error  # told after the bytes that came before it
        return filled

    # --- writing ---------------------------------------------------------------------------

    def send(
        self, data: bytes | memoryview, patience: Patience, *, heard: Callable[[], bool] | None
    ) -> bool:
        """Send all of `data`; `heard` is called when the peer speaks, and ends it by True.

        Returns:
            Whether all was sent.

        Raises:
            TransferTimeout: nothing could be sent for too long.
            PeerClosed: the peer has closed; an answer may still be readable.
        """
        view = memoryview(data)
        until = None
        while view:
            if heard is not None and not self.may_send(patience):
                if heard():
                    return False
                continue
            seconds = patience.wait()
            try:
                count = self.sock.send(view[:_SEND])
            except (BlockingIOError, ssl.SSLWantWriteError, ssl.SSLWantReadError) as wanted:
                # Over TLS the same bytes are offered again (SSL_write(3)).
                listens = heard is not None or isinstance(wanted, ssl.SSLWantReadError)
                events = select.POLLIN if listens else 0
                if not isinstance(wanted, ssl.SSLWantReadError):
                    events |= select.POLLOUT
                # What the peer says meanwhile, such as a part of a record, is no progress.
                until = time.monotonic() + seconds if until is None else until
                left = until - time.monotonic()
                if left <= 0 or not self.ask(events, left):
                    raise patience.over() from None
                continue
            except OSError as error:
                raise PeerClosed(*error.args) from error
            until = None
            self._drained = not self.secure  # an answer is under way at best
            patience.got(count)
            view = view[count:]
        return True

    def may_send(self, patience: Patience) -> bool:
        """Wait until something can be sent; False when the peer spoke first."""
        if self.secure:
            return not self.answer_waits()
        events = self.ask(select.POLLIN | select.POLLOUT, patience.wait())
        if not events:
            raise patience.over()
        return not any(event & select.POLLIN for _, event in events)

    # --- waiting ---------------------------------------------------------------------------

    def answer_waits(self, seconds: float = 0.0) -> bool:
        """Return whether the peer began to answer, or did so within some seconds.

        Over TLS that is known only when content was decrypted: what comes may be a session
        ticket (RFC 8446 section 4.6.1). An end of the connection counts as an answer.
        """
        if self.holds:
            return True
        until = time.monotonic() + seconds
        while any(event & ~select.POLLOUT for _, event in self.ask(select.POLLIN, seconds)):
            if not self.secure or self._decrypt():
                return True
            seconds = until - time.monotonic()
            if seconds <= 0:
                break
        return False

    @property
    def quiet(self) -> bool:
        """Whether the peer has neither sent anything nor closed: so an idle connection is."""
        return not self.holds and not self.ask(select.POLLIN, 0)

    def ask(self, events: int, seconds: float) -> list[tuple[int, int]]:
        """Wait for events of the socket; returns those that came."""
        self._poll.modify(self.sock, events)
        return self._poll.poll(seconds * 1000)

    def _decrypt(self) -> bool:
        if not self._buffer:
            self._buffer = bytearray(_HOLD)
        self._start = 0
        try:
            self._end = self.sock.recv_into(memoryview(self._buffer))
        except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
            self._end = 0
            return False  # a ticket, or a part of a record
        except OSError as error:
            raise PeerClosed(*error.args) from error
        return True
