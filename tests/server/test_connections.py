"""Errors of a connection itself: what outsiders read, and what they do not."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest
from aiohttp import web

from support.shells import listener
from wharfinger.server.connections import Server


async def answered(handler: object, request: bytes) -> tuple[bytes, bytes]:
    runner = web.ServerRunner(Server(handler), shutdown_timeout=1)  # type: ignore[arg-type]
    await runner.setup()
    sock = listener()
    await web.SockSite(runner, sock).start()
    try:
        reader, writer = await asyncio.open_connection(*sock.getsockname())
        writer.write(request)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()
    finally:
        await runner.cleanup()
    return head, body


def test_a_bug_in_the_shell_shows_a_reference_and_nothing_else(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        raise ZeroDivisionError("password hunter2")

    with caplog.at_level(logging.ERROR):
        head, body = asyncio.run(answered(broken, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert head.startswith(b"HTTP/1.1 500")
    assert b"hunter2" not in body
    document = json.loads(body)
    assert document["code"] == "internal"
    assert document["reference"] in caplog.text
    assert "hunter2" in caplog.text


def test_after_an_answer_has_begun_a_bug_ends_the_connection() -> None:
    async def broken(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"12345")
        raise ZeroDivisionError

    head, body = asyncio.run(answered(broken, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
    assert head.startswith(b"HTTP/1.1 200")
    assert body == b"12345"
