"""A headless Chromium, told what to do over its DevTools protocol."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import subprocess
import tempfile
from collections.abc import AsyncIterator
from typing import Any

import aiohttp

from support.require import program

_LISTENS = re.compile(r"DevTools listening on (ws://\S+)")


class Tab:
    """One page: `run` evaluates JavaScript in it, which the page's own policy does not bind."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Return the result of a method of the protocol."""
        self._number += 1
        await self._socket.send_json({"id": self._number, "method": method, "params": arguments})
        while True:
            answer = json.loads(await self._socket.receive_str())
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])

    async def run(self, expression: str) -> Any:
        """Return the value of an expression."""
        result = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    async def until(self, expression: str) -> None:
        """Wait until an expression is true; asked anew while the page changes."""
        async with asyncio.timeout(20):
            while not await self.run(expression):  # noqa: ASYNC110 - another process is asked
                await asyncio.sleep(0.05)

    async def pick(self, selector: str, paths: list[str]) -> None:
        """Choose files in an input, as a person does in the dialog."""
        document = await self.call("DOM.getDocument")
        node = await self.call(
            "DOM.querySelector", nodeId=document["root"]["nodeId"], selector=selector
        )
        await self.call("DOM.setFileInputFiles", files=paths, nodeId=node["nodeId"])


@contextlib.asynccontextmanager
async def tab(url: str) -> AsyncIterator[Tab]:
    """Open a page in a browser of its own, which ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            program("chromium"), "--headless", "--no-sandbox", "--disable-gpu",
            "--remote-debugging-port=0", f"--user-data-dir={profile}", "about:blank",
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        try:
            assert process.stderr is not None
            async with asyncio.timeout(30):
                while (
                    match := _LISTENS.search((await process.stderr.readline()).decode())
                ) is None:
                    pass
            port = match[1].split(":")[2].split("/")[0]
            async with aiohttp.ClientSession() as session:
                async with session.get(f"http://127.0.0.1:{port}/json/list") as answer:
                    (page,) = [one for one in await answer.json() if one["type"] == "page"]
                async with session.ws_connect(page["webSocketDebuggerUrl"]) as socket:
                    found = Tab(socket)
                    await found.call("Page.navigate", url=url)
                    await found.until(
                        "document.readyState === 'complete' && location.href !== 'about:blank'"
                    )
                    yield found
        finally:
            process.terminate()
            await process.wait()
