"""`Threads`: a few threads that do what they are given, and that no end has to wait for.

A check can hang for as long as a scanner does. What it has begun is another process's when this
one ends, so that an end waits for it a while and then goes on: unlike those of an executor of
the standard library, these threads keep no process alive.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from typing import TypeAlias

    _Task: TypeAlias = tuple[Future[Any], Callable[..., Any], tuple[object, ...]]

__all__ = ["Threads"]

_T = TypeVar("_T")


class Threads:
    """At most `most` threads, each begun when there is something for it to do."""

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._lock = threading.Lock()
        self._closed = False

    def submit(self, function: Callable[..., _T], *arguments: object) -> Future[_T]:
        """Have a function called by the first thread that is free. Raises RuntimeError: closed."""
        future: Future[_T] = Future()
        with self._lock:
            if self._closed:
                raise RuntimeError("these threads have ended")
            self._tasks.put((future, function, arguments))
            if len(self._threads) < self._most:
                thread = threading.Thread(
                    target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True
                )
                self._threads.append(thread)
                thread.start()
        return future

    def close(self, seconds: float) -> bool:
        """Begin nothing more, and wait so long for what was begun; return whether it has ended."""
        with self._lock:
            self._closed = True
        while True:  # what nobody has begun
            try:
                task = self._tasks.get_nowait()
            except queue.Empty:
                break
            if task is not None:
                task[0].cancel()
        for _ in self._threads:
            self._tasks.put(None)
        until = time.monotonic() + seconds
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(until - time.monotonic(), 0.0))
        return not any(thread.is_alive() for thread in self._threads)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function, arguments = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function(*arguments)
            except BaseException as error:  # noqa: BLE001 - it belongs to whoever waits for it
                future.set_exception(error)
            else:
                future.set_result(result)
            # Or a thread without work would keep the last file open, by the future's callbacks.
            del task, future, function, arguments
