"""Sends requests and returns answers: hop by hop, each hop through the address guard.

No proxy is taken from the environment unasked, cookies are not kept, and an
answer in any content coding is refused: hashes, ranges and limits are about the bytes
as they are.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Self

from wharfinger import names
from wharfinger.client.request import MAX_REDIRECTS, Request, redirected
from wharfinger.errors import BadResponse, Interrupted
from wharfinger.protocol.headers import Headers

if TYPE_CHECKING:
    import ssl
    from types import TracebackType

    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.net.bodies import BodyReader
    from wharfinger.net.connection import GuardedConnection
    from wharfinger.net.guard import AddressGuard
    from wharfinger.net.http1 import Head
    from wharfinger.net.patience import Clock
    from wharfinger.net.pool import Connections
    from wharfinger.net.proxies import Proxies
    from wharfinger.net.urls import Origin, Url

# How long a body waits for "100 Continue" (RFC 9110 section 10.1.1 names no time; curl's).
_EXPECT_SECONDS: Final = 1.0
_EXPECTATION_FAILED: Final = 417
_BLOCK: Final = 64 * 1024
# Most servers that speak TLS close without a word when they are spoken to in plain http.
_MAYBE_TLS: Final = "If that port speaks TLS, write the address with https://; else try again."
_SENT_ONCE: Final = (
    "It is not sent again by itself: the server may have it. "
    'With protocol "resumable" or "tus" it would go on where it ended.'
)


class Answer:
    """One answer: status and headers are there, the body is read by whoever wants it.

    `sent_whole` tells whether the body of the request had been sent when it came.
    Closing it keeps the connection for the next request when both sides are done.
    """

    def __init__(
        self,
        head: Head,
        body: BodyReader,
        *,
        url: Url,
        connection: GuardedConnection,
        connections: Connections,
        sent_whole: bool,
    ) -> None:
        self.status = head.status
        self.headers = Headers(head.fields)
        self.url = url
        self.body = body
        self.sent_whole = sent_whole
        self._keeps_alive = head.keeps_alive
        self._connection = connection
        self._connections = connections

    @property
    def from_private(self) -> bool:
        """Whether the peer has no public address."""
        checked = self._connection.checked
        return checked is not None and checked.private

    @property
    def coding(self) -> str:
        """The content coding, in lower case; "" for none."""
        coding = self.headers.get("content-encoding", "").strip().lower()
        return "" if coding == "identity" else coding

    def read(self, limit: int) -> bytes:
        """Return the body, or its first `limit` bytes when it is longer."""
        content = bytearray()
        block = memoryview(bytearray(min(limit, _BLOCK)))
        while len(content) < limit and (count := self.body.readinto(block[: limit - len(content)])):
            content += block[:count]
        return bytes(content)

    def abandon(self) -> None:
        """Read no more: the peer need not send on."""
        self._connection.close()

    def close(self) -> None:
        """Give the connection back when the exchange is over, else close it."""
        reusable = self.body.complete and self.body.exact
        if not (reusable and self._keeps_alive and self.sent_whole):
            self._connection.close()
        self._connections.give(self.url, self._connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class Transport:
    """Pooled connections under one address guard.

    Args:
        guard: where connections may go.
        tls: trusted certificates; the system's by default.
        proxies: what goes through a proxy; nothing by default.
        clock: a monotonic clock.
    """

    def __init__(
        self,
        guard: AddressGuard,
        *,
        tls: ssl.SSLContext | None = None,
        proxies: Proxies | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._proxies = proxies
        self.clock = clock
        self._guard = guard
        self._tls = tls
        self._answers_at_once: set[tuple[str, str, int]] = set()  # origins that ignore Expect
        self._answered: set[Origin] = set()  # those that a call led to an answer from
        self._strict: Connections | None = None
        self._opened: Connections | None = None

    def send(self, request: Request, watch: Stopwatch, *, typed: bool = True) -> Answer:
        """Send a request, follow its redirects and return the answer to the last one.

        Args:
            request: the request.
            watch: the time limits.
            typed: whether the caller gave the address; False when another server did, so
                that `allow_private_start` does not hold for it.

        Raises:
            AddressRefused: a hop leads where the guard does not go.
            BadResponse: more than 5 redirects, unsound HTTP, or a content coding.
            ConnectFailed, TransferTimeout, Interrupted: the network.
            ResponseError: a request with a body was led to another place.
        """
        asked = request.url.origin
        private = self._guard.allow_private or (typed and self._guard.allow_private_start)
        for _ in range(MAX_REDIRECTS + 1):
            answer = self._hop(request, watch, private=private)
            try:
                following = redirected(request, answer.status, answer.headers)
                if following is None:
                    self._answered.add(asked)
                    _refuse_codings(answer, request.codings)
                    return answer
            except BaseException:
                answer.close()
                raise
            answer.close()
            private = self._guard.allow_private or (private and answer.from_private)
            request = following
        raise BadResponse(f"More than {MAX_REDIRECTS} redirects, the last to {request.url.shown}.")

    def has_answered(self, url: Url) -> bool:
        """Return whether a request to the origin of `url` has ever led to an answer."""
        return url.origin in self._answered

    def close(self) -> None:
        """Close the idle connections."""
        for connections in (self._strict, self._opened):
            if connections is not None:
                connections.close()

    def _hop(self, request: Request, watch: Stopwatch, *, private: bool) -> Answer:
        connections = self._connections(private=private)
        try:
            # What may not be repeated is not sent on an idle connection: when the server
            # closes that one in the same moment, nobody knows whether the request was taken
            # (RFC 9110 section 9.2.2).
            return self._exchange(connections, request, watch, fresh=not request.again)
        except _Stale:
            # The server closed an idle connection just as it was used again.
            return self._exchange(connections, request, watch, fresh=True)

    def _exchange(
        self, connections: Connections, request: Request, watch: Stopwatch, *, fresh: bool
    ) -> Answer:
        from wharfinger.net import http1

        target, fields = request.url.target, request.fields()
        asks = request.asks_first and request.url.origin not in self._answers_at_once
        if asks:
            fields.append(("Expect", "100-continue"))
        proxy = None if self._proxies is None else self._proxies.for_url(request.url)
        if proxy is not None and request.url.scheme == "http":
            # A proxy gets the absolute form, and alone its credentials (RFC 9112 section 3.2.2).
            target, fields = str(request.url), [*fields, *proxy.fields]
        lines = http1.request_head(request.method, target, fields)
        connection = connections.take(
            request.url, watch.connecting(), fresh=fresh, canceller=watch.canceller
        )
        # A body that was begun is never sent again unasked: a part of it may have been kept.
        stale = connection.used and request.again and request.body is None
        body = request.body
        heard = False

        def hear(interim: Head) -> None:
            nonlocal heard
            heard = True  # whoever says "100 Continue" speaks plain HTTP
            if request.on_interim is not None:
                request.on_interim(interim)

        try:
            head, reader, whole = connection.exchange(
                request.method,
                lines,
                None if body is None else body.pieces(),
                watch,
                chunked=body is not None and body.length is None,
                expect=_EXPECT_SECONDS if asks else 0.0,
                on_interim=hear,
            )
        except BaseException as error:
            connection.close()
            connections.give(request.url, connection)
            if isinstance(error, Interrupted):
                if stale:
                    raise _Stale from error
                if heard or self.has_answered(request.url):
                    if body is not None and not request.again:
                        error.hint = _SENT_ONCE
                elif request.url.scheme == "http":
                    error.hint = _MAYBE_TLS
            raise
        if connection.ignores_expect:
            self._answers_at_once.add(request.url.origin)
        answer = Answer(
            head,
            reader,
            url=request.url,
            connection=connection,
            connections=connections,
            sent_whole=whole,
        )
        if asks and answer.status == _EXPECTATION_FAILED:
            # Once more without asking (RFC 9110 section 15.5.18).
            answer.close()
            self._answers_at_once.add(request.url.origin)
            return self._exchange(connections, request, watch, fresh=True)
        return answer

    def _connections(self, *, private: bool) -> Connections:
        if private:
            if self._opened is None:
                self._opened = self._connections_under(self._guard.opened())
            return self._opened
        if self._strict is None:
            self._strict = self._connections_under(self._guard)
        return self._strict

    def _connections_under(self, guard: AddressGuard) -> Connections:
        from wharfinger.net.pool import Connections

        return Connections(guard, context=self._tls, proxies=self._proxies, clock=self.clock)


class _Stale(Exception):
    """An idle connection turned out to be closed."""


def _refuse_codings(answer: Answer, accepted: str) -> None:
    codings = answer.coding
    if codings and codings.removeprefix("x-") not in accepted.split(", "):
        shown = names.show(codings, limit=40)
        raise BadResponse(
            f"The server encoded the content ({shown!r}), which it was asked not to.",
            hint="Ask for an address that serves the bytes as they are.",
        )
