"""Small requests that cross to a thread together: each has its own answer, or its own error."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import pytest

from wharfinger.server.together import Together
from wharfinger.web import Answer, Exchange, Promised

HELLO = Answer(status=204, headers=())
LATER = Answer(status=201, headers=())


class Fake:
    """An exchange whose outcome is given; it notes what it was asked."""

    def __init__(self, outcome: Answer | Promised | Exception | None) -> None:
        self.outcome = outcome
        self.bodies: list[bytes] = []

    def whole(self, body: bytes) -> Answer | Promised | None:
        self.bodies.append(body)
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return self.outcome


class Pool(ThreadPoolExecutor):
    """A pool of one thread that counts its jobs."""

    def __init__(self) -> None:
        super().__init__(1)
        self.jobs = 0

    def submit(self, *arguments: Any, **more: Any) -> Any:
        self.jobs += 1
        return super().submit(*arguments, **more)


def ask(together: Together, exchange: Fake, body: bytes) -> asyncio.Task[Answer | None]:
    return asyncio.ensure_future(together.whole(cast("Exchange", exchange), body))


def test_those_of_one_turn_of_the_loop_are_one_job_and_have_an_answer_each() -> None:
    done: Future[Any] = Future()
    broken = ValueError("broken")
    fakes = [Fake(HELLO), Fake(None), Fake(broken), Fake(Promised(done, lambda: LATER))]

    async def run(pool: Pool) -> list[Any]:
        together = Together(pool)
        asked = [ask(together, one, bytes([n])) for n, one in enumerate(fakes)]
        found = await asyncio.gather(*asked[:3], return_exceptions=True)
        assert not asked[3].done()
        done.set_result(True)
        return [*found, await asked[3]]

    with Pool() as pool:
        assert asyncio.run(run(pool)) == [HELLO, None, broken, LATER]
        assert pool.jobs == 1
    assert [one.bodies for one in fakes] == [[b"\0"], [b"\1"], [b"\2"], [b"\3"]]


def test_who_has_gone_meanwhile_holds_nobody_up() -> None:
    done: Future[Any] = Future()

    async def run(pool: Pool) -> Answer | None:
        together = Together(pool)
        gone = ask(together, Fake(Promised(done, lambda: LATER)), b"")
        stays = ask(together, Fake(Promised(done, lambda: HELLO)), b"")
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        done.set_result(True)
        return await stays

    with Pool() as pool:
        assert asyncio.run(run(pool)) == HELLO
