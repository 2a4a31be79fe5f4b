"""A few processes that decode, started when first needed and used again.

Safe from any thread and after a fork: a child begins with an empty pool of its own. There is
no thread here. A process that crashes or hangs costs the one file it was at.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Mapping
from typing import Final

from wharfinger.checking.jobs import JOBS
from wharfinger.checking.messages import Message
from wharfinger.checking.process import Gone, Process
from wharfinger.errors import Unavailable

__all__ = ["Pool"]

IDLE: Final = 60.0
MOST_FILES: Final = 200
# Processes that ended by themselves since they were last asked, and one that cannot start.
_TRIES: Final = 3


class Pool:
    """Runs jobs in processes of their own.

    Args:
        processes: how many work at the same time; None for as many as there are processors,
            at most 4.
        idle: seconds without work after which a process ends.
        patience: seconds that a job waits for a free process.
        jobs: names of jobs, and where their functions are ("module:function").
    """

    def __init__(
        self,
        *,
        processes: int | None = None,
        idle: float = IDLE,
        patience: float = 120.0,
        jobs: Mapping[str, str] = JOBS,
    ) -> None:
        self._most = processes or min(os.cpu_count() or 1, 4)
        self._idle = idle
        self._patience = patience
        self._jobs = jobs
        self._begin()
        _pools.add(self)

    def _begin(self) -> None:
        self._free: list[Process] = []
        self._all: set[Process] = set()
        self._working = 0
        self._changed = threading.Condition()
        self._ending = weakref.finalize(self, _end_all, self._free)

    def run(
        self,
        job: str,
        *,
        size: int,
        options: Mapping[str, object],
        files: tuple[int, ...],
        seconds: int,
    ) -> Message:
        """Return the answer to a job.

        Args:
            job: its name.
            size: of the file, in bytes.
            options: what it is told, plain JSON values.
            files: descriptors: of the file, and of one where a new file may go.
            seconds: after which it is ended.

        Raises:
            Lost: the process crashed or hung.
            Unavailable: no process could be started, or none became free.
        """
        question = {"job": job, "size": size, "options": dict(options), "seconds": seconds}
        for _ in range(_TRIES + self._most):
            process = self._take()
            try:
                answer = process.ask(question, files, seconds)
            except Gone:
                self._drop(process)
                continue
            except BaseException:
                # Lost, or this thread was interrupted: nobody waits for that answer any more.
                process.end()
                self._drop(process)
                raise
            with self._changed:
                self._free.append(process)
            self._done()
            return answer
        raise Unavailable(
            "The processes for decoding end before they begin.",
            hint="Run `wharf doctor`; memory may be short.",
        )

    def pids(self) -> list[int]:
        """Return the processes that wait for work."""
        with self._changed:
            return [process.pid for process in self._free]

    def close(self) -> None:
        """End the processes that wait for work. A later job starts others."""
        with self._changed:
            self._all.difference_update(self._free)
            _end_all(self._free)

    def _take(self) -> Process:
        with self._changed:
            if not self._changed.wait_for(lambda: self._working < self._most, self._patience):
                raise Unavailable(
                    f"All {self._most} decoders were busy for {self._patience:.0f} seconds.",
                    hint="Try again later.",
                )
            self._working += 1
            if self._free:
                return self._free.pop()
        try:
            process = Process(self._jobs, idle=self._idle, most=MOST_FILES)
        except BaseException:
            self._done()
            raise
        self._all.add(process)
        return process

    def _drop(self, process: Process) -> None:
        self._all.discard(process)
        self._done()

    def _done(self) -> None:
        with self._changed:
            self._working -= 1
            self._changed.notify()

    def _after_fork(self) -> None:
        self._ending.detach()
        for process in self._all:
            process.leave()
        self._begin()


def _end_all(free: list[Process]) -> None:
    while free:
        free.pop().stop()


def _after_fork() -> None:
    for pool in list(_pools):
        pool._after_fork()  # noqa: SLF001 - same module


_pools: weakref.WeakSet[Pool] = weakref.WeakSet()
os.register_at_fork(after_in_child=_after_fork)
