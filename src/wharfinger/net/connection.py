"""The one connection class, bound to the address guard and to a clock.

It connects to checked addresses only, directly or through a proxy; over TLS in `secure`.
"""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import time
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.errors import (
    AddressRefused,
    BadResponse,
    ConnectFailed,
    TransferTimeout,
    WharfingerError,
)
from wharfinger.net import http1, tls
from wharfinger.net.cancelling import Stopcock
from wharfinger.net.exchange import Exchange, read_final
from wharfinger.net.guard import AddressGuard
from wharfinger.net.patience import Patience
from wharfinger.net.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wharfinger.net.bodies import BodyReader
    from wharfinger.net.cancelling import Canceller
    from wharfinger.net.exchange import Waiting
    from wharfinger.net.guard import Checked
    from wharfinger.net.http1 import Head
    from wharfinger.net.patience import Clock
    from wharfinger.net.proxies import Proxy
    from wharfinger.net.spans import Piece

_PROXY_SIGN_IN: Final = 407
_PROXY_BUSY: Final = frozenset({502, 503, 504})


class GuardedConnection:
    """A connection over plain TCP to an address that the guard has passed, or to a proxy.

    `checked` is that address; None through a proxy, where nobody here knows it.

    Args:
        host: a name or an address, as in a URL.
        port: the port.
    """

    guard: AddressGuard = AddressGuard()  # the strict one, should nobody give another
    clock: Clock = staticmethod(time.monotonic)
    via: Proxy | None = None
    checked: Checked | None = None
    tunnels = False
    wire: Wire | None = None
    used = False
    ignores_expect = False
    canceller: Canceller | None = None
    _stopcock: Stopcock | None = None
    _let_go: Callable[[], None] | None = None

    def __init__(self, host: str, port: int) -> None:
        self.named = host  # with a final dot, if it has one: that is what the guard checks
        self.host = host.rstrip(".")
        self.port = port
        self.sock: socket.socket | None = None

    def open(self, seconds: float) -> None:
        """Connect, name service and TLS included, within `seconds`.

        Raises:
            AddressRefused: the guard said no. Nothing was connected.
            ConnectFailed: no address accepted, or TLS failed.
            TransferTimeout: it took too long.
        """
        self.used = False
        try:
            self.sock = self._reached(seconds)
            self.sock = self._secured(self.sock)
        except WharfingerError:
            raise
        except (OSError, ValueError) as error:
            self.close()
            raise _connect_error(self.host, seconds, error, self.port) from error
        self.wire = Wire(self.sock)

    def _secured(self, sock: socket.socket) -> socket.socket:
        """Return what is read and written instead of the bare socket. Raises OSError."""
        return sock

    def _reached(self, seconds: float) -> socket.socket:
        until = self.clock() + seconds
        if self.via is None:
            sock, self.checked = self._reach(self.guard, self.named, self.port, until)
            return sock
        self.guard.check_unresolved(self.named, self.port)
        return self._through(self.via, until)

    def _through(self, proxy: Proxy, until: float) -> socket.socket:
        # The proxy itself is what the caller named: its own address may be private.
        guard = AddressGuard(
            allow_hosts=(proxy.host,), allow_ports=(proxy.port,), resolver=self.guard.resolver
        )
        try:
            sock, _ = self._reach(guard, proxy.host, proxy.port, until)
        except (WharfingerError, TimeoutError):
            raise
        except OSError as error:
            raise _connect_error(f"The proxy {proxy.host}", 0, error) from error
        if not self.tunnels:
            return sock
        try:
            self._tunnel_through(proxy, sock, until)
        except BaseException:
            self._release()
            sock.close()
            raise
        sock.settimeout(max(until - self.clock(), 0.001))
        return sock

    def _tunnel_through(self, proxy: Proxy, sock: socket.socket, until: float) -> None:
        # Our own and not `http.client`'s, whose loop over lines has no deadline.
        authority = _authority(self.host, self.port)
        patience = Patience(
            "The proxy's answer",
            silence=until - self.clock(),
            until=until,
            until_what="",
            clock=self.clock,
            canceller=self.canceller,
        )
        wire = Wire(sock)
        request = http1.request_head("CONNECT", authority, [("Host", authority), *proxy.fields])
        wire.send(request, patience, heard=None)
        head = read_final(wire, patience)
        if head.status // 100 != 2:  # noqa: PLR2004 - RFC 9110 section 9.3.6
            raise _proxy_refusal(proxy, authority, head)
        if wire.holds:
            raise BadResponse("The proxy sent more than its answer before TLS began.")

    def _reach(
        self, guard: AddressGuard, host: str, port: int, until: float
    ) -> tuple[socket.socket, Checked]:
        addresses = guard.check(host, port, seconds=until - self.clock(), canceller=self.canceller)
        failure: OSError | None = None
        for number, checked in enumerate(addresses):
            left = until - self.clock()
            if left <= 0:
                break
            # An address that nobody answers at leaves time for those behind it.
            share = left / (len(addresses) - number)
            try:
                sock = self._connect(checked, share)
            except OSError as error:
                failure = error
                continue
            sock.settimeout(max(until - self.clock(), 0.001))
            return sock, checked
        raise failure or TimeoutError("timed out")

    def exchange(
        self,
        method: str,
        request: bytes,
        body: Iterable[Piece] | None,
        waiting: Waiting,
        *,
        chunked: bool = False,
        expect: float = 0.0,
        on_interim: Callable[[Head], None] | None = None,
    ) -> tuple[Head, BodyReader, bool]:
        """Send one request and return the head of its answer, its body, and whether all was sent.

        The body of the request is given up as soon as the peer answers (a refusal costs no
        more than what was under way) and an answer is looked for when the peer closes early.
        When the request says `Expect: 100-continue`, its body waits for the peer's word, but
        not longer than `expect` seconds (RFC 9110 section 10.1.1: servers may ignore it).
        `on_interim` is called with each answer before the final one.

        Raises:
            Interrupted: the peer closed without an answer.
            BadResponse: the answer is not sound HTTP.
            TransferTimeout: the peer took too long.
        """
        if self.wire is None:
            raise ConnectFailed("The connection is closed.")
        exchange = Exchange(
            wire=self.wire, waiting=waiting, clock=self.clock, on_interim=on_interim
        )
        answer = exchange.run(method, request, body, chunked=chunked, expect=expect)
        self.used = True
        self.ignores_expect = exchange.ignores_expect
        return answer

    def bind(self, canceller: Canceller | None) -> None:
        """Let a call have the connection: its canceller can shut the socket down from now on.

        Raises:
            Cancelled: the call was stopped already.
        """
        self.unbind()
        self.canceller = canceller
        if self.sock is not None:
            self._hold(self.sock)

    def unbind(self) -> None:
        """Take the connection back from the call that had it."""
        self.canceller = None
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()

    def close(self) -> None:
        """Close the socket; the connection can be opened again."""
        self.wire = None
        self._release()
        sock, self.sock = self.sock, None
        if sock is not None:
            sock.close()

    def _connect(self, checked: Checked, seconds: float) -> socket.socket:
        sock = _socket_for(checked)
        try:
            self._release()
            self._hold(sock)
            sock.settimeout(seconds)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.connect((str(checked.address), checked.port))
            _check_peer(sock, checked)
        except BaseException:
            self._release()
            sock.close()
            raise
        return sock

    def _hold(self, sock: socket.socket) -> None:
        if self.canceller is not None:
            self._stopcock = self._stopcock or Stopcock(sock)
            self._let_go = self.canceller.when_cancelled(self._stopcock.shut)

    def _release(self) -> None:
        let_go, self._let_go = self._let_go, None
        if let_go is not None:
            let_go()
        if self._stopcock is not None:
            self._stopcock.close()
            self._stopcock = None


def _socket_for(checked: Checked) -> socket.socket:
    family = socket.AF_INET if checked.address.version == 4 else socket.AF_INET6  # noqa: PLR2004
    return socket.socket(family, socket.SOCK_STREAM)


def _check_peer(sock: socket.socket, checked: Checked) -> None:
    peer = str(sock.getpeername()[0]).partition("%")[0]
    if ipaddress.ip_address(peer) != checked.address:
        raise AddressRefused("The connection was led to another address than the checked one.")


_NO_TLS: Final = "If it should be so, write the address with http://: others can read along then."
# What OpenSSL makes of an answer that is no TLS; the last ones depend on its version.
_NOT_TLS: Final = frozenset(
    {"WRONG_VERSION_NUMBER", "HTTP_REQUEST", "PACKET_LENGTH_TOO_LONG", "RECORD_LAYER_FAILURE"}
)
_NO_WAY: Final = frozenset({errno.ENETUNREACH, errno.EHOSTUNREACH, errno.ENETDOWN})
_OFFLINE: Final = "Check whether this machine is connected to that network."
_UNREACHED: Final = "Check the name and the port, and whether the server runs."


def _connect_error(
    host: str, seconds: float, error: Exception, port: int | None = None
) -> ConnectFailed | TransferTimeout:
    shown = names.show(host, limit=100)
    place = shown if port is None else names.show(_authority(host, port), limit=100)
    if isinstance(error, TimeoutError):
        return TransferTimeout(f"No connection to {place} in {seconds:g} s.")
    if isinstance(error, ssl.SSLCertVerificationError):
        return tls.distrusted(shown, error)
    if isinstance(error, ssl.SSLError):
        if error.reason in _NOT_TLS:
            failure = ConnectFailed(f"{place} does not speak TLS.", hint=_NO_TLS)
            failure.retryable = False
            return failure
        return ConnectFailed(f"TLS with {shown} failed: {error.reason or error}.")
    reason = getattr(error, "strerror", None) or str(error)
    no_way = isinstance(error, OSError) and error.errno in _NO_WAY
    return ConnectFailed(
        f"{place} cannot be reached: {reason}.", hint=_OFFLINE if no_way else _UNREACHED
    )


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _proxy_refusal(proxy: Proxy, authority: str, head: Head) -> ConnectFailed:
    reason = names.show(head.reason, limit=60)
    failure = ConnectFailed(
        f"The proxy {names.show(proxy.host, limit=100)} does not connect to {authority}: "
        f"{head.status} {reason}".rstrip()
        + ".",
        hint="Put user name and password into proxy=, like http://user:password@proxy:3128."
        if head.status == _PROXY_SIGN_IN
        else "Ask who runs the proxy, or reach the server without it.",
    )
    failure.retryable = head.status in _PROXY_BUSY
    return failure
