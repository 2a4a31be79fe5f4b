"""Sending the file of an answer over the connection it was asked on: sendfile, span by span."""

from __future__ import annotations

import asyncio

from aiohttp import web

from wharfinger.web import FileBody


async def send_file(request: web.BaseRequest, response: web.StreamResponse, body: FileBody) -> None:
    """Send the bytes of a prepared response. Raises ConnectionResetError when they cannot arrive."""
    loop = asyncio.get_running_loop()
    for span in body.spans:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise ConnectionResetError("the client is gone")
        sent = await loop.sendfile(transport, body.file, span.start, span.length)
        if sent != span.length:
            # The head promised more: only the end of the connection tells the client.
            transport.abort()
            raise ConnectionResetError("a stored file became shorter while it was sent")
    await response.write_eof()
