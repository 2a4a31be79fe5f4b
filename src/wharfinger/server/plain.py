"""The short way of a plain request for a file that was handed out lately: one write, no thread.

It is taken only when the head holds nothing that could ask for another answer than the
plain one: every field in it is one of a list. Everything else goes the ordinary way, and
both give the same answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from typing import Final

from aiohttp import HttpVersion11, hdrs, web
from aiohttp.abc import AbstractStreamWriter

from wharfinger.web import Answer
from wharfinger.web.remembering import Kept, Memory

# Fields that say who asks, or through whom, and nothing about what is wanted of a file.
_HARMLESS: Final = frozenset(
    {
        "accept", "accept-encoding", "accept-language", "authorization", "cookie", "dnt", "forwarded",
        "from", "host", "priority", "referer", "sec-ch-ua", "sec-ch-ua-mobile",
        "sec-ch-ua-platform", "sec-fetch-dest", "sec-fetch-mode", "sec-fetch-site",
        "sec-fetch-user", "sec-gpc", "traceparent", "tracestate", "upgrade-insecure-requests",
        "user-agent", "via", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
        "x-real-ip", "x-request-id",
    }
)  # fmt: skip


def plain_answer(
    request: web.BaseRequest,
    memory: Memory,
    may_pass: Callable[[web.BaseRequest, Kept], bool] | None = None,
) -> web.StreamResponse | None:
    """Return the answer to a plain GET if it can be given at once.

    What `may_pass` does not let through is left to the ordinary way, which says why.
    """
    path = request.raw_path
    if request.method != hdrs.METH_GET or request.version != HttpVersion11:
        return None
    if not path.startswith("/files/") or "%" in path or "?" in path or "#" in path:
        return None
    authorization: str | None = None
    offered: str | None = None
    for name, value in request.headers.items():
        lower = name.lower()
        if lower not in _HARMLESS:
            if lower == "connection" and value.lower() == "keep-alive":
                continue
            if lower != "x-sendfile-type" or offered is not None:
                return None
            offered = value
        if lower == "authorization":
            if authorization is not None:  # two lines, also when one is empty
                return None
            authorization = value
    kept = memory.find(path, authorization or "")
    if kept is None:
        return None
    response: web.StreamResponse | None
    if (
        offered
        and kept.named is not None
        and memory.offloading.takes(offered, request.remote or "")
    ):
        kept.rendered_named = kept.rendered_named or _head_of(kept.named)
        response = _PlainResponse(bytearray(kept.rendered_named + _date()))
    else:
        response = _PlainResponse.of(kept)
    if response is None or (may_pass is not None and not may_pass(request, kept)):
        return None
    return response


class _PlainResponse(web.StreamResponse):
    """A head and a small body that go out in one write."""

    def __init__(self, data: bytearray) -> None:
        super().__init__()
        self._data = data
        self._keep_alive = True

    @classmethod
    def of(cls, kept: Kept) -> _PlainResponse | None:
        """Return the response that sends a file, or None when reading it would wait."""
        if not kept.has_bytes:
            return None
        head = kept.rendered or _rendered(kept)
        before = head + _date()
        data = bytearray(len(before) + kept.what.length)
        data[: len(before)] = before
        with memoryview(data) as view:
            return cls(data) if kept.read_into(view[len(before) :]) else None

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        transport.write(self._data)
        await request.writer.drain()
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to send."""


def _rendered(kept: Kept) -> bytes:
    """Return the head up to its Date, made once."""
    kept.rendered = _head_of(kept.answer)
    return kept.rendered


def _head_of(answer: Answer) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in answer.headers]
    return "".join(["HTTP/1.1 200 OK\r\n", *lines, "Server: wharfinger\r\n"]).encode("latin-1")


_dated: tuple[int, bytes] = (0, b"")


def _date() -> bytes:
    """Return the Date line and the end of the head; made once a second."""
    global _dated  # noqa: PLW0603 - a value with a second to live
    second = int(time.time())
    if _dated[0] != second:
        _dated = (second, f"Date: {formatdate(second, usegmt=True)}\r\n\r\n".encode("ascii"))
    return _dated[1]
