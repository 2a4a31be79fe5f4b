"""The shell itself: one aiohttp request in, one `Answer` out.

The loop never touches disk or database: those run in a bounded pool of threads. A body
is gathered into batches before it crosses to the pool, so that a fast sender pays one
hop per MiB and a slow one holds nothing but its socket and a small buffer.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor
from typing import Final, TypeVar

from aiohttp import HttpVersion11, StreamReader, hdrs, web

from wharfinger.errors import LengthMismatch
from wharfinger.names import show
from wharfinger.protocol.headers import Headers
from wharfinger.server.plain import plain_answer
from wharfinger.server.sending import Sender
from wharfinger.server.together import Together
from wharfinger.units import MIB
from wharfinger.web import Answer, Exchange, FileBody, Promised, RequestHead, WebInterface
from wharfinger.web.proxies import Proxies
from wharfinger.web.remembering import SMALL, Kept, with_bytes

T = TypeVar("T")
log = logging.getLogger("wharfinger.access")

BATCH: Final = 1 * MIB
# A body of so many bytes that came with its head is dealt with in one go.
AT_ONCE: Final = 64 * 1024
# What came within this many seconds is handed on even when it does not fill a batch.
GATHER_SECONDS: Final = 0.2
# A sender that is silent for so long has gone, whatever its socket says.
SILENCE_SECONDS: Final = 60
# What a body that ends too early is to aiohttp, and to us.
_CUT: Final = (web.RequestPayloadError, LengthMismatch, ConnectionError)
# What a proxy adds to a request that it passes on.
_OF_PROXIES: Final = ("Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Proto", "X-Real-IP")
_REASONS: Final = {104: "Upload Resumption Supported"}


class Shell:
    """Answers aiohttp requests by a `WebInterface`.

    `interim` tells whether clients get answers before the final one (104, RFC 9110 section
    15.2); None: those that connect directly, because proxies in use take them for the final one.
    A request that has a field of a proxy does not come directly, whoever sent it.
    """

    def __init__(
        self,
        interface: WebInterface,
        pool: Executor,
        finishing: Executor,
        *,
        log_requests: bool = False,
        interim: bool | None = None,
    ) -> None:
        self._log_requests = log_requests
        self._interim = interim
        self._interface = interface
        self._pool = pool
        # Syncing and scanning whole files can take long: they never hold up anybody's head.
        self._finishing = finishing
        self._together = Together(finishing)
        self._sender = Sender(finishing)
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._stopping = False

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        self._running += 1
        self._idle.clear()
        began = time.perf_counter()
        try:
            response = self._plainly(request) or await self._answer(request)
            if self._log_requests:
                took = time.perf_counter() - began
                _log(request, response, took, self._interface.proxies)
            return response
        finally:
            self._running -= 1
            if not self._running:
                self._idle.set()

    async def finish(self, seconds: float) -> None:
        """Return when every request that runs has its answer, at the latest after `seconds`.

        From now on each answer is the last of its connection.
        """
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._idle.wait()

    def _plainly(self, request: web.BaseRequest) -> web.StreamResponse | None:
        limiting = self._interface.limiting
        if self._stopping or not limiting.may_answer_at_once:
            return None
        may_pass = self._may_pass if limiting.counts else None
        return plain_answer(request, self._interface.memory, may_pass)

    def _may_pass(self, request: web.BaseRequest, kept: Kept) -> bool:
        interface = self._interface
        client = interface.proxies.client(request.remote or "", _headers(request))
        return interface.limiting.may_pass(client, kept.principal, kept.what.length)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        head = _head(request)
        exchange = self._interface.exchange(head)
        try:
            answer = exchange.at_once()
            if answer is None:
                if body := _body_at_hand(request):
                    answer = await self._whole(request, exchange, body)
                else:
                    answer = await self._run(lambda: _with_small_file_read(exchange.begin()))
            if answer is None:
                answer = await self._receive(request, exchange)
        except BaseException:
            # The server is stopping or the client is gone: nothing of the body is kept.
            await asyncio.shield(self._run(exchange.abort))
            raise
        return await self._send(request, answer)

    async def _whole(self, request: web.BaseRequest, exchange: Exchange, body: bytes) -> Answer:
        answer: Answer | None
        if request.method == hdrs.METH_PATCH:
            answer = await self._together.whole(exchange, body)
        else:
            answer = await self._finish(lambda: _in_one_go(exchange, body))
        if answer is None:
            await self._say(request, exchange)
            answer = await self._finish(exchange.finish)
        return answer

    async def _receive(self, request: web.BaseRequest, exchange: Exchange) -> Answer:
        if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            # Only now: a request that was refused by its head never gets this far, and
            # its body is never sent (RFC 9110 section 10.1.1).
            await self._say(request, exchange)
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        try:
            await self._say(request, exchange)
            async for batch in batches(request.content):
                if request.content.at_eof():
                    return await self._finish(lambda batch=batch: exchange.last(batch))  # type: ignore[misc]
                answer = await self._run(lambda batch=batch: exchange.write(batch))  # type: ignore[misc]
                if answer is not None:
                    return answer
                await self._say(request, exchange)
        except (*_CUT, TimeoutError):
            return await self._run(exchange.cut_short)
        return await self._finish(exchange.finish)

    async def _say(self, request: web.BaseRequest, exchange: Exchange) -> None:
        """Send what is to be said before the answer, to a client that can understand it."""
        wanted = self._interim
        if wanted is None:
            trusted = self._interface.proxies.trusts(request.remote or "")
            # A proxy that nobody told us of takes them for the final answer all the same.
            wanted = not trusted and not any(name in request.headers for name in _OF_PROXIES)
        if not wanted or request.version < HttpVersion11:
            return  # and nothing is taken: who asked knows that nothing was said
        for one in exchange.interims():
            lines = "".join(f"{name}: {value}\r\n" for name, value in one.headers)
            reason = _REASONS.get(one.status, "")
            head = f"HTTP/1.1 {one.status} {reason}\r\n{lines}\r\n"
            await request.writer.write(head.encode("latin-1"))

    async def _send(self, request: web.BaseRequest, answer: Answer) -> web.StreamResponse:
        try:
            response = _response(answer)
            if self._stopping:
                response.force_close()
            if not request.content.is_eof():
                # Part of the body was not read: the connection cannot carry another
                # request. aiohttp drains for a while, so that the answer is seen.
                response.force_close()
            if isinstance(answer.body, FileBody):
                await response.prepare(request)
                await self._sender.send(request, response, answer.body)
        finally:
            answer.close()
        return response

    async def _finish(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._finishing, function)

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)


def _log(
    request: web.BaseRequest, response: web.StreamResponse, seconds: float, proxies: Proxies
) -> None:
    # The address of a link is its password (ASVS 14.2.1): the log shows that one was used.
    path = "/d/…" if request.path.startswith("/d/") else show(request.path)
    client = proxies.client(request.remote or "-", _headers(request))
    log.info("%s %s %s %d %.0f ms", client, request.method, path, response.status, seconds * 1000)


def _in_one_go(exchange: Exchange, body: bytes) -> Answer | None:
    """Return the answer, or None if there is something to be said before it."""
    outcome = exchange.whole(body)
    if isinstance(outcome, Promised):
        outcome.done.exception()
        return outcome.answer()
    return exchange.finish() if outcome is None and not exchange.may_speak else outcome


def _with_small_file_read(answer: Answer | None) -> Answer | None:
    """Return the answer with a small file's bytes in it: one write then sends head and body."""
    if answer is None or not isinstance(answer.body, FileBody):
        return answer
    if answer.body.length > SMALL:
        return answer
    return with_bytes(answer)


async def batches(content: StreamReader) -> AsyncIterator[bytes]:
    """Yield a request's body in pieces of about `BATCH` bytes, smaller ones from a slow sender.

    Raises:
        TimeoutError: nothing came for `SILENCE_SECONDS`.
    """
    loop = asyncio.get_running_loop()
    gathered: list[bytes] = []
    size = 0
    while True:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                piece = await content.readany()
        except _CUT:
            if left := _left_in(content):
                yield left
            raise
        if not piece:
            return
        deadline = loop.time() + GATHER_SECONDS
        while piece:
            gathered.append(piece)
            size += len(piece)
            if size >= BATCH:
                break
            try:
                async with asyncio.timeout_at(deadline):
                    piece = await content.readany()
            except TimeoutError:
                break
            except _CUT:
                # An upload that can be gone on with has come as far as this.
                yield b"".join((*gathered, _left_in(content)))
                raise
        yield b"".join(gathered) if len(gathered) > 1 else gathered[0]
        gathered.clear()
        size = 0


def _body_at_hand(request: web.BaseRequest) -> bytes:
    """Return the whole body of a request if it came together with its head, else nothing."""
    content = request.content
    if not content.is_eof() or not request.body_exists or hdrs.EXPECT in request.headers:
        return b""
    if content.total_bytes > AT_ONCE or content.exception() is not None:
        return b""
    return content.read_nowait()


def _left_in(content: StreamReader) -> bytes:
    """Return what came before the connection broke: aiohttp raises before it gives it."""
    return b"".join(content._buffer)[content._buffer_offset :]  # noqa: SLF001 - no other way


def _head(request: web.BaseRequest) -> RequestHead:
    chunked = "chunked" in request.headers.get(hdrs.TRANSFER_ENCODING, "").lower()
    return RequestHead(
        method=request.method,
        path=request.path,
        query=request.rel_url.raw_query_string,
        headers=_headers(request),
        scheme="https" if request.secure else "http",
        length=None if chunked else request.content_length or 0,
        client=request.remote or "",
    )


def _headers(request: web.BaseRequest) -> Headers:
    return Headers((str(name), value) for name, value in request.headers.items())


def _response(answer: Answer) -> web.StreamResponse:
    response: web.StreamResponse
    if isinstance(answer.body, FileBody):
        response = web.StreamResponse(status=answer.status)
    else:
        response = web.Response(status=answer.status, body=answer.body or None)
    for name, value in answer.headers:
        # Also replaces what aiohttp puts there by itself; each of ours comes once.
        response.headers[name] = value
    response.headers[hdrs.SERVER] = "wharfinger"  # and no version (ASVS 13.4.6)
    return response
