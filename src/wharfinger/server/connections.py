"""Connections that speak of errors as the interface does, also of those before any request.

aiohttp answers what is no HTTP in plain text, with its own name and version and a piece
of the request. Here such a client gets the same problem document as everybody, and the
log one line instead of a trace.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import hdrs, web

from wharfinger.errors import RequestError
from wharfinger.protocol.headers import Headers
from wharfinger.web import RequestHead
from wharfinger.web.exchange import error_answer

log = logging.getLogger("wharfinger.server")

# A connection whose first head is not here by then holds a descriptor for nothing.
FIRST_HEAD_SECONDS: Final = 15.0

_BAD_REQUEST: Final = 400
# What could not be read has no method and no path.
_UNREAD: Final = RequestHead(method="GET", path="/", headers=Headers(()))


class Server(web.Server):
    """aiohttp's server over our connections, at most `most` of them; `options` are those of `web.RequestHandler`."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        *,
        most: int = 512,
        **options: Any,
    ) -> None:
        super().__init__(handler, **options)
        self._options = options
        self._most = most

    @property
    def is_full(self) -> bool:
        """Whether there are more connections than there may be."""
        return len(self._connections) > self._most

    def __call__(self) -> web.RequestHandler:
        """Return the protocol of a new connection."""
        return _Connection(self, loop=asyncio.get_running_loop(), **self._options)


class _Connection(web.RequestHandler):
    __slots__ = ("_overdue", "_server")

    def __init__(self, server: Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._server = server
        self._overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take in a connection, unless there are too many, and expect a head from it soon."""
        super().connection_made(transport)
        if self._server.is_full:
            self.force_close()
            return
        loop = asyncio.get_running_loop()
        self._overdue = loop.call_later(FIRST_HEAD_SECONDS, self._close_if_mute)

    def connection_lost(self, exc: BaseException | None) -> None:
        """Let go of a connection."""
        if self._overdue is not None:
            self._overdue.cancel()
        super().connection_lost(exc)

    def _close_if_mute(self) -> None:
        if not self._request_count:
            self.force_close()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,  # noqa: ARG002 - it quotes the request and names the parser
    ) -> web.StreamResponse:
        """Return the answer to a request that could not be read, or that a bug ended."""
        if request.writer.output_size > 0:
            raise ConnectionError("An answer had begun; it cannot become another one.")
        error: Exception
        if status == _BAD_REQUEST:
            log.info("not HTTP, from %s: %s", request.remote, type(exc).__name__)
            error = RequestError("The request is not sound HTTP.")
        else:
            error = exc if isinstance(exc, Exception) else RuntimeError("no reason was given")
        answer = error_answer(error, _UNREAD)
        assert isinstance(answer.body, bytes)  # noqa: S101 - a problem document
        response = web.Response(status=answer.status, body=answer.body, headers=answer.headers)
        response.headers[hdrs.SERVER] = "wharfinger"
        response.force_close()
        return response
