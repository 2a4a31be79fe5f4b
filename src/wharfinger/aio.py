"""The client as coroutines: the same names, arguments, results and errors as `wharfinger`.

Each call runs in a thread of a bounded pool; nothing is written twice for two colours.

* Cancelling the task (also by `asyncio.timeout` or a `TaskGroup`) stops the transfer at
  once, whatever it waits for, and leaves what can be resumed. The await ends when the
  thread has let go of files and sockets, at the latest after `LET_GO` seconds.
* `progress` and `on_result` are called on the thread of the event loop. What they raise
  ends the transfer.
* Context variables are those of the caller.
* File objects are read and written in the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import functools
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from inspect import signature
from typing import TYPE_CHECKING, Any, Concatenate, Final, ParamSpec, Self, TypeVar

from wharfinger.client import calls, local, many, many_uploads, session
from wharfinger.net.cancelling import Canceller

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Client", "download", "download_many", "inspect", "upload", "upload_many"]

MAX_THREADS: Final = 32
"""How many calls of one process run at the same time; further ones wait for their turn."""

LET_GO: Final = 5.0
"""Seconds that a cancelled call may take to close its files: longer is a disk that hangs."""

_P = ParamSpec("_P")
_T = TypeVar("_T")
_Progress = Callable[..., object]


class _Threads:
    """The pool, made when it is first needed, and anew in a forked process."""

    def __init__(self) -> None:
        self._pool: ThreadPoolExecutor | None = None
        self._lock = threading.Lock()
        os.register_at_fork(after_in_child=self._forget)

    def submit(self, work: Callable[[], _T]) -> Future[_T]:
        with self._lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="wharfinger")
            return self._pool.submit(work)

    def _forget(self) -> None:
        # The threads did not come along (fork(2)).
        self._pool = None
        self._lock = threading.Lock()


_threads: Final = _Threads()


class _Call:
    """One call on its way: the canceller of its thread, and its callbacks on the loop."""

    def __init__(self) -> None:
        self.canceller = Canceller()
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self._failure: Exception | None = None

    def on_loop(self, callback: _Progress) -> _Progress:
        """Return a function for the thread that calls `callback` on the loop's thread."""

        def tell(*arguments: object) -> None:
            if self.canceller.cancelled:
                return
            try:
                callback(*arguments)
            except Exception as error:  # noqa: BLE001 - raised from the await instead
                self._failure = error
                self.canceller.cancel()

        def pass_on(*arguments: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed: nobody listens
                self._loop.call_soon_threadsafe(
                    functools.partial(tell, *arguments), context=self._context
                )

        return pass_on

    async def run(self, work: Callable[[], _T]) -> _T:
        """Run `work` in a thread and return what it returns."""

        def in_thread() -> _T:
            with self.canceller.in_charge():
                return work()

        job = _threads.submit(functools.partial(contextvars.copy_context().run, in_thread))
        finished = asyncio.wrap_future(job, loop=self._loop)
        try:
            result = await asyncio.shield(finished)
        except asyncio.CancelledError:
            self.canceller.cancel()
            if not job.cancel():  # else its turn had not come
                await self._let_go(finished)
            raise
        except Exception:
            # What the callback raised stopped the transfer: that is the reason to tell.
            if self._failure is not None:
                raise self._failure from None
            raise
        if self._failure is not None:
            raise self._failure
        return result

    async def _let_go(self, finished: asyncio.Future[Any]) -> None:
        # Asked for its outcome, so that the loop does not complain that nobody did.
        finished.add_done_callback(lambda done: done.cancelled() or done.exception())
        until = self._loop.time() + LET_GO
        while not finished.done() and (left := until - self._loop.time()) > 0:
            # Cancelled once more: the files have to be closed all the same.
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait({finished}, timeout=left)


def _start(function: Callable[..., _T], *args: object, **kwargs: object) -> Coroutine[Any, Any, _T]:
    call = _Call()
    for name in ("progress", "on_result"):
        callback = kwargs.get(name)
        if callable(callback):
            kwargs[name] = call.on_loop(callback)
    return call.run(functools.partial(function, *args, **kwargs))


def _twin_of(
    function: Callable[_P, _T],
) -> Callable[[Callable[..., None]], Callable[_P, Coroutine[Any, Any, _T]]]:
    """Make the decorated name, which has the docstring, a coroutine function with the arguments of `function`."""

    def decorate(described: Callable[..., None]) -> Callable[_P, Coroutine[Any, Any, _T]]:
        @functools.wraps(described)
        async def twin(*args: _P.args, **kwargs: _P.kwargs) -> _T:
            return await _start(function, *args, **kwargs)

        twin.__signature__ = signature(function)  # type: ignore[attr-defined]
        return twin

    return decorate


def _method_of(
    function: Callable[Concatenate[session.Client, _P], _T],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Client, _P], Coroutine[Any, Any, _T]]]:
    """Do the same for a method of `Client`."""

    def decorate(
        described: Callable[..., None],
    ) -> Callable[Concatenate[Client, _P], Coroutine[Any, Any, _T]]:
        @functools.wraps(described)
        async def twin(client: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> _T:
            return await _start(function, client.synchronous, *args, **kwargs)

        twin.__signature__ = signature(function)  # type: ignore[attr-defined]
        return twin

    return decorate


def _made_like(
    maker: Callable[_P, session.Client],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Client, _P], None]]:
    """Make the decorated `__init__` one with the arguments of the synchronous client."""

    def decorate(described: Callable[..., None]) -> Callable[Concatenate[Client, _P], None]:
        @functools.wraps(described)
        def make(client: Client, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
            client.synchronous = maker(*args, **kwargs)

        make.__signature__ = signature(session.Client.__init__)  # type: ignore[attr-defined]
        return make

    return decorate


@_twin_of(calls.download)
def download() -> None:
    """Return a file's facts once it lies, whole and verified, at its destination.

    Arguments, result and errors are those of `wharfinger.download`. Cancelled, it stops at
    once and leaves what the same call resumes.
    """


@_twin_of(many.download_many)
def download_many() -> None:
    """Return how each of many downloads into one folder went; no single one ends the rest.

    Arguments, result and errors are those of `wharfinger.download_many`. Cancelled, all stop at
    once and leave what the same call resumes.
    """


@_twin_of(calls.upload)
def upload() -> None:
    """Return the server's reply to one file, or several, sent to it.

    Arguments, result and errors are those of `wharfinger.upload`. Cancelled, it stops at
    once; whether the server kept what it had then is its own affair.
    """


@_twin_of(many_uploads.upload_many)
def upload_many() -> None:
    """Return how each of many uploads to one address went; no single one ends the rest.

    Arguments, result and errors are those of `wharfinger.upload_many`. Cancelled, all stop at
    once.
    """


@_twin_of(local.inspect)
def inspect() -> None:
    """Return what a local file is; arguments, result and errors are those of `wharfinger.inspect`."""


class Client:
    """Downloads and uploads over pooled connections, with defaults for every call.

    Arguments are those of `wharfinger.Client`. It may be used by many tasks at once; close it,
    or use it in an `async with` statement.
    """

    synchronous: session.Client
    """The client that does the work."""

    @_made_like(session.Client)
    def __init__(self) -> None: ...

    @_method_of(session.Client.download)
    def download(self) -> None:
        """Download a file; as `wharfinger.aio.download`, with this client's defaults."""

    @_method_of(session.Client.download_many)
    def download_many(self) -> None:
        """Download many files; as `wharfinger.aio.download_many`, with this client's defaults."""

    @_method_of(session.Client.upload)
    def upload(self) -> None:
        """Upload one file or several; as `wharfinger.aio.upload`, with this client's defaults."""

    @_method_of(session.Client.upload_many)
    def upload_many(self) -> None:
        """Upload many files; as `wharfinger.aio.upload_many`, with this client's defaults."""

    async def close(self) -> None:
        """Close the idle connections."""
        self.synchronous.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()
