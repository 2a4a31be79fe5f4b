"""Sending the file of an answer over the connection it was asked on.

By sendfile, window by window. Each window is known to be in memory before it is sent,
because sendfile would wait for the disk, and with it every other client: where it is not,
a thread reads it first, and the next one while this one goes out. A window is about what
the client takes in a second, so that little time passes between looking and sending.

TLS has to have the bytes in the process: there they are read in blocks by a thread.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import BinaryIO, Final, TypeVar

from aiohttp import web

from wharfinger.protocol.ranges import Span
from wharfinger.units import KIB, MIB
from wharfinger.web import FileBody

T = TypeVar("T")

# What is sent and read at once: it grows with a fast client and shrinks with a slow one.
_WINDOWS: Final = (256 * KIB, 1 * MIB, 8 * MIB)  # the least, the first, the most
_BLOCKS: Final = (64 * KIB, 128 * KIB, 256 * KIB)
# Under TLS each write is held twice, as it is and encrypted, until the client takes it.
_SLICE: Final = 32 * KIB
_QUICK: Final = 0.25
_SLOW: Final = 2.0
# What lies within is read by the system together (its read-ahead is 128 KiB or more).
_PROBED_EVERY: Final = 64 * KIB
_READ: Final = 256 * KIB
# Threads that may wait for a slow disk; the others of the pool stay for other work.
_MOST_READING: Final = 8
# Ends a read that would wait for the disk (Linux); without it every window is read first.
_AT_ONCE: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


class Sender:
    """Sends the files of answers; reads that may wait for the disk go to `pool`."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._reading = asyncio.Semaphore(_MOST_READING)

    async def send(
        self, request: web.BaseRequest, response: web.StreamResponse, body: FileBody
    ) -> None:
        """Send the whole body of a prepared response.

        Raises:
            ConnectionError: it cannot arrive, because the client is gone or the file became
                shorter; the connection is of no more use.
        """
        descriptor = _descriptor(body.file)
        for piece in body.pieces:
            if isinstance(piece, bytes):
                body.sending(len(piece))
                await response.write(piece)
                continue
            left = piece
            if descriptor is not None and _is_plain(request):
                left = await self._by_sendfile(request, body, descriptor, piece)
            await self._by_reading(request, response, body, left)
        body.finished()
        await response.write_eof()

    async def _by_sendfile(
        self, request: web.BaseRequest, body: FileBody, descriptor: int, span: Span
    ) -> Span:
        """Send a span of a real file; return what the system would not send from this file."""
        loop = asyncio.get_running_loop()
        position, end = span.start, span.start + span.length
        window = _Amount(*_WINDOWS)
        coming: asyncio.Future[None] | None = None
        try:
            while position < end:
                size = body.portion(min(window.size, end - position))
                cold = coming is not None
                if coming is not None:
                    await coming
                if not is_in_memory(descriptor, position, size):
                    cold = True
                    await self._run(partial(_bring_in, descriptor, position, size))
                after = position + size
                if cold and after < end:
                    ahead = min(window.size, end - after)
                    read = self._run(partial(_bring_in, descriptor, after, ahead))
                    coming = asyncio.ensure_future(read)
                else:
                    coming = None
                await _keep_pace(body, size)
                began = loop.time()
                body.sending(size)
                try:
                    sent = await loop.sendfile(
                        _transport(request), body.file, position, size, fallback=False
                    )
                except asyncio.SendfileNotAvailableError:
                    body.sending(-size)
                    break  # by this file system; or by a broken connection, which a write tells
                position += sent
                if sent != size:
                    raise _too_short(request)
                window.took(loop.time() - began)
        finally:
            if coming is not None:
                await asyncio.wait([coming])  # the file is not closed under the reader
        return Span(start=position, length=end - position)

    async def _by_reading(
        self, request: web.BaseRequest, response: web.StreamResponse, body: FileBody, span: Span
    ) -> None:
        loop = asyncio.get_running_loop()
        position, end = span.start, span.start + span.length
        amount = _Amount(*_BLOCKS)
        while position < end:
            size = body.portion(min(amount.size, end - position))
            block = await self._run(partial(_read_at, body.file, position, size))
            if not block:
                raise _too_short(request)
            await _keep_pace(body, len(block))
            _transport(request)
            body.sending(len(block))
            began = loop.time()
            _transport(request).set_write_buffer_limits(high=_SLICE)
            with memoryview(block) as view:
                for start in range(0, len(view), _SLICE):
                    await response.write(view[start : start + _SLICE])
            position += len(block)
            amount.took(loop.time() - began)

    async def _run(self, function: Callable[[], T]) -> T:
        async with self._reading:
            return await asyncio.get_running_loop().run_in_executor(self._pool, function)


def is_in_memory(descriptor: int, start: int, length: int) -> bool:
    """Return whether sending these bytes would not wait for the disk, as far as can be told.

    It asks for single bytes, at distances within which the system reads and forgets together.
    """
    if _AT_ONCE is None:
        return False
    byte = bytearray(1)
    try:
        for position in (*range(start, start + length, _PROBED_EVERY), start + length - 1):
            os.preadv(descriptor, [byte], position, _AT_ONCE)
    except OSError:  # not there (EAGAIN), or a file system that cannot tell
        return False
    return True


def _bring_in(descriptor: int, start: int, length: int) -> None:
    """Read bytes for the sake of having them in memory. Errors show when they are sent."""
    buffer = memoryview(bytearray(min(_READ, length)))
    position, end = start, start + length
    while position < end:
        try:
            read = os.preadv(descriptor, [buffer[: end - position]], position)
        except OSError:
            return
        if not read:
            return
        position += read


class _Amount:
    """How much to send at once, by how long the last took."""

    def __init__(self, least: int, first: int, most: int) -> None:
        self._least, self._most = least, most
        self.size = first

    def took(self, seconds: float) -> None:
        if seconds < _QUICK:
            self.size = min(self._most, self.size * 2)
        elif seconds > _SLOW:
            self.size = max(self._least, self.size // 2)


async def _keep_pace(body: FileBody, size: int) -> None:
    """Wait until so many bytes may go out."""
    if body.pace is not None:
        await asyncio.sleep(body.pace.wait_for(size))


def _descriptor(file: BinaryIO) -> int | None:
    """Return the descriptor of a real file, or None for one that lives elsewhere."""
    try:
        return file.fileno()
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return None


def _is_plain(request: web.BaseRequest) -> bool:
    return _transport(request).get_extra_info("ssl_object") is None


def _transport(request: web.BaseRequest) -> asyncio.WriteTransport:
    transport = request.transport
    if transport is None or transport.is_closing():
        raise ConnectionResetError("the client is gone")
    return transport


def _too_short(request: web.BaseRequest) -> ConnectionResetError:
    # The head promised more: only the end of the connection tells the client.
    if request.transport is not None:
        request.transport.abort()
    return ConnectionResetError("a stored file became shorter while it was sent")


def _read_at(file: BinaryIO, position: int, size: int) -> bytes:
    file.seek(position)
    return file.read(size)
