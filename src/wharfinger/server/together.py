"""`Together`: small requests that are here whole cross to a thread, and come back, several at once.

A thread for each of them, which waits for the disk, costs more in handing over than the work
itself. Here those that came in one turn of the event loop are one job of the pool, which begins
what each needs of the disk; nobody waits for that, and those that are done in one go are told to
the loop in one go.
"""

from __future__ import annotations

import asyncio
from collections import deque
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from typing import Any

from wharfinger.web import Answer, Exchange, Promised


@dataclass(frozen=True, slots=True)
class _Request:
    exchange: Exchange
    body: bytes
    outcome: asyncio.Future[Answer | None]


class Together:
    """Hands small requests to a pool. It belongs to the event loop that calls `whole`."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._came: list[_Request] = []
        self._done: deque[tuple[_Request, Answer | Promised | Exception | None]] = deque()
        self._telling = False

    async def whole(self, exchange: Exchange, body: bytes) -> Answer | None:
        """Return what `Exchange.whole` comes to."""
        loop = asyncio.get_running_loop()
        request = _Request(exchange, body, loop.create_future())
        if not self._came:
            loop.call_soon(self._hand_over, loop)
        self._came.append(request)
        return await request.outcome

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        came, self._came = self._came, []
        self._pool.submit(self._deal_with, loop, came)

    def _deal_with(self, loop: asyncio.AbstractEventLoop, requests: list[_Request]) -> None:
        for request in requests:
            try:
                outcome = request.exchange.whole(request.body)
            except Exception as error:  # noqa: BLE001 - it belongs to the one who waits for it
                self._tell(loop, request, error)
            else:
                self._when_done(loop, request, outcome)

    def _when_done(
        self, loop: asyncio.AbstractEventLoop, request: _Request, outcome: Answer | Promised | None
    ) -> None:
        if not isinstance(outcome, Promised):
            self._tell(loop, request, outcome)
            return

        def tell(_: Future[Any]) -> None:
            self._tell(loop, request, outcome)

        outcome.done.add_done_callback(tell)

    def _tell(
        self,
        loop: asyncio.AbstractEventLoop,
        request: _Request,
        outcome: Answer | Promised | Exception | None,
    ) -> None:
        self._done.append((request, outcome))
        if not self._telling:  # else it is told with those that were done just before
            self._telling = True
            loop.call_soon_threadsafe(self._told)

    def _told(self) -> None:
        self._telling = False  # before it looks: what is done from now on is told anew
        while self._done:
            request, outcome = self._done.popleft()
            answer = outcome.answer() if isinstance(outcome, Promised) else outcome
            if request.outcome.done():  # cancelled: nobody waits for it any more
                continue
            if isinstance(answer, Exception):
                request.outcome.set_exception(answer)
            else:
                request.outcome.set_result(answer)
