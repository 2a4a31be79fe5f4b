"""The ASGI application: a shell over `web` for Starlette, FastAPI and any ASGI server.

    app.mount("/storage", create_app(wharf))

Nothing here touches disk or database on the event loop: that runs in a bounded pool of
threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import os
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, TypeVar, cast

from wharfinger.protocol.headers import Headers
from wharfinger.service import Principal, Wharf
from wharfinger.units import MIB
from wharfinger.web import Answer, Exchange, FileBody, RequestHead, WebInterface
from wharfinger.web.proxies import Proxies
from wharfinger.web.remembering import SMALL, with_bytes

__all__ = ["App", "create_app"]

T = TypeVar("T")
Scope: TypeAlias = MutableMapping[str, Any]
Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Authorize: TypeAlias = Callable[[Scope], "Principal | Awaitable[Principal | None] | None"]

_BATCH: Final = 1 * MIB
# What came for so long is handed on, so that a slow sender holds little memory.
_GATHER_SECONDS: Final = 0.2
_READ: Final = 1 * MIB
_THREADS: Final = 16
# The server opens and sends a whole file itself, if it says that it can (ASGI extension).
PATHSEND: Final = "http.response.pathsend"


def create_app(
    wharf: Wharf, *, authorize: Authorize | None = None, trusted_proxies: Sequence[str] = ()
) -> App:
    """Return the whole HTTP interface of a service as an ASGI application, to run or to mount.

    Args:
        wharf: the service; it stays the caller's to close.
        authorize: the application's own sign-in: a function (plain or async) from the
            ASGI scope to a `Principal`, or None for nobody; a plain one runs in a thread.
            Bearer tokens work besides it. Requests that change something and rest on a cookie need a same-origin proof.
        trusted_proxies: addresses and networks of proxies that are believed what their
            X-Forwarded-* fields say of the client; "unix" for a socket in the file system.
            Leave it out when the server does that itself (uvicorn's --proxy-headers).

    Raises:
        ConfigError: one of trusted_proxies is no address and no network.
    """
    return App(wharf, authorize, trusted_proxies)


class App:
    """An ASGI application over one service."""

    def __init__(
        self,
        wharf: Wharf,
        authorize: Authorize | None = None,
        trusted_proxies: Sequence[str] = (),
    ) -> None:
        self._interface = WebInterface(wharf, proxies=Proxies(trusted_proxies))
        self._authorize = authorize
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="wharfinger")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, or take part in the server's lifespan."""
        match scope["type"]:
            case "http":
                await self._http(scope, receive, send)
            case "lifespan":
                await _lifespan(receive, send)
            case "websocket":
                await send({"type": "websocket.close", "code": 1000})
            case other:
                raise RuntimeError(f"wharfinger does not speak {other!r}")

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        head = _head(scope)
        try:
            principal = await self._principal(scope)
        except Exception as error:  # noqa: BLE001 - the outermost function of this shell
            await self._send(self._interface.refusal(error, head), receive, send, {})
            return
        if principal is not None:
            head = replace(head, principal=principal)
        exchange = self._interface.exchange(head)
        try:
            answer = exchange.at_once() or await self._run(partial(_begin, exchange))
            if answer is None:
                answer = await self._take_in(exchange, receive)
        except BaseException:
            await asyncio.shield(self._run(exchange.abort))
            raise
        await self._send(answer, receive, send, scope.get("extensions") or {})

    async def _principal(self, scope: Scope) -> Principal | None:
        authorize = self._authorize
        if authorize is None:
            return None
        plain = not inspect.iscoroutinefunction(authorize)
        if plain:  # it may well ask a database
            context = contextvars.copy_context()
            found = await self._run(lambda: context.run(authorize, scope))
        else:
            found = authorize(scope)
        if inspect.isawaitable(found):
            return await found
        return found

    async def _take_in(self, exchange: Exchange, receive: Receive) -> Answer:
        try:
            async with contextlib.aclosing(_batches(receive)) as batches:
                async for batch in batches:
                    answer = await self._run(partial(exchange.write, batch))
                    if answer is not None:
                        return answer
        except ConnectionError:
            return await self._run(exchange.cut_short)
        return await self._run(exchange.finish)

    async def _send(
        self, answer: Answer, receive: Receive, send: Send, extensions: Mapping[str, object]
    ) -> None:
        try:
            await send(
                {
                    "type": "http.response.start",
                    "status": answer.status,
                    "headers": [
                        (name.lower().encode("latin-1"), value.encode("latin-1"))
                        for name, value in answer.headers
                    ],
                }
            )
            if isinstance(answer.body, FileBody):
                path = None
                if PATHSEND in extensions:
                    path = await self._run(partial(_path_of, answer.body))
                if path is not None:
                    await send({"type": PATHSEND, "path": path})
                else:
                    await self._send_file(answer.body, receive, send)
            else:
                await send({"type": "http.response.body", "body": answer.body})
        finally:
            answer.close()

    async def _send_file(self, body: FileBody, receive: Receive, send: Send) -> None:
        # Servers swallow what is sent after the client left; only `receive` tells.
        gone = asyncio.ensure_future(_disconnected(receive))
        # Smaller, where it matters how far the sending came.
        blocks = body.blocks(_READ if body.watch is None else _READ // 8)
        left = body.length
        try:
            while not gone.done():
                block = await self._run(partial(next, blocks, b""))
                if body.pace is not None:
                    await asyncio.wait([gone], timeout=body.pace.wait_for(len(block)))
                await send({"type": "http.response.body", "body": block, "more_body": bool(block)})
                if not block:
                    break
                left -= len(block)
                if not left:
                    # Whoever leaves now may have all of it: that counts as sent.
                    body.finished()
        finally:
            gone.cancel()

    async def _run(self, function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._pool, function)


def _begin(exchange: Exchange) -> Answer | None:
    """Return what the exchange begins with; a small file is read by the thread that opened it."""
    answer = exchange.begin()
    if answer is None or not isinstance(answer.body, FileBody) or answer.body.length > SMALL:
        return answer
    try:
        return with_bytes(answer)
    except Exception as error:  # noqa: BLE001 - nothing was sent yet: it can still be an answer
        return exchange.refuse(error)


def _path_of(body: FileBody) -> str | None:
    """Return the path under which a server finds exactly this body, or None.

    Stored files never change and are never replaced, so what the path leads to now is what
    it leads to until the file is removed.
    """
    if len(body.pieces) > 1 or body.is_ours:
        return None
    try:
        descriptor = body.file.fileno()
        opened = os.fstat(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink()
        named = path.lstat()
    except (OSError, AttributeError):  # not a real file, removed, or no Linux
        return None
    same = (opened.st_dev, opened.st_ino) == (named.st_dev, named.st_ino)
    return str(path) if same and body.length == opened.st_size else None


def _head(scope: Scope) -> RequestHead:
    headers = Headers(
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]
    )
    root = scope.get("root_path", "").rstrip("/")
    path = scope["path"]
    # The ASGI specification keeps the mount point in `path`; older servers take it off.
    below = path[len(root) :] if root and path.startswith(f"{root}/") else path
    # The server has judged it, because it frames the body by it; lines that repeat it agree.
    length = (headers.get_all("Content-Length") or ("",))[0]
    if length.isascii() and length.isdigit():
        body_length: int | None = int(length)
    elif "Transfer-Encoding" in headers or scope.get("http_version", "1.1") >= "2":
        body_length = None
    else:
        body_length = 0
    return RequestHead(
        method=scope["method"].upper(),
        # Half a character, as a lenient server hands it on, is no character to look up.
        path=below.encode("utf-8", "replace").decode("utf-8"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        root=root,
        scheme=scope.get("scheme", "http"),
        length=body_length,
        # Both at once is how one request is smuggled inside another (RFC 9112 section 6.1);
        # not every server refuses it.
        framed=not (length and "Transfer-Encoding" in headers),
        client=(scope.get("client") or ("",))[0] or "",
    )


async def _batches(receive: Receive) -> AsyncGenerator[bytes, None]:
    """Yield the body in pieces of about a MiB, smaller ones from a slow sender.

    Raises:
        ConnectionError: the client left; what came before was yielded.
    """
    message = await receive()
    if message["type"] != "http.disconnect" and not message.get("more_body", False):
        if piece := cast("bytes", message.get("body", b"")):
            yield piece
        return
    arriving = _Arriving(receive)
    reading = asyncio.create_task(arriving.read_on(message))
    try:
        while batch := await arriving.take():
            yield batch
        await reading
    finally:
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


class _Arriving:
    """A body on its way: read by a task of its own, so that nothing of it waits for what follows.

    Whoever sends may stop in the middle without leaving: what came is handed on all the same, and
    a newer request for the same upload begins where this one ended.
    """

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self._pieces: list[bytes] = []
        self._over = False
        self._some = asyncio.Event()
        self._enough = asyncio.Event()
        self._room = asyncio.Event()

    async def read_on(self, message: Message) -> None:
        """Read from this message on, never more than a batch ahead. Raises ConnectionError."""
        size = 0
        try:
            while message["type"] != "http.disconnect":
                if piece := cast("bytes", message.get("body", b"")):
                    size = size + len(piece) if self._pieces else len(piece)
                    self._pieces.append(piece)
                    self._some.set()
                if not message.get("more_body", False):
                    return
                if size >= _BATCH and self._pieces:
                    self._room.clear()
                    self._enough.set()
                    await self._room.wait()
                message = await self._receive()
            raise ConnectionResetError("the client left")
        finally:
            self._over = True
            self._some.set()
            self._enough.set()

    async def take(self) -> bytes:
        """Return a batch, or what came for a while; nothing at the end."""
        await self._some.wait()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_GATHER_SECONDS):
                await self._enough.wait()
        pieces, self._pieces = self._pieces, []
        if not self._over:
            self._some.clear()
            self._enough.clear()
        self._room.set()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        if message["type"] == "lifespan.startup":
            await send({"type": "lifespan.startup.complete"})
        elif message["type"] == "lifespan.shutdown":
            await send({"type": "lifespan.shutdown.complete"})
            return
