"""Hashing and writing beside receiving: a ring of reused buffers that pass through two threads.

Receiving a piece, hashing it and writing it to a new file cost about the same, and all
three let go of Python's lock. One after the other they take the sum of their times; here
a judged piece is hashed by one thread and then written by another while the next one is
being received. Every byte is hashed and written once and in its order.

A failure is raised by the next call, and nothing is written after it. What was put in
before an interruption is still written: afterwards the file is as if one thread had done
it all. Content of less than a MiB never starts a thread, and neither does a download
beside another one that does: they keep the processors busy, and memory is bounded.
"""

from __future__ import annotations

import time
from queue import SimpleQueue
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Final, Protocol, Self

from wharfinger.errors import WharfingerError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from wharfinger.inspection import Buffer

_BUFFER: Final = 512 * 1024
_FIRST_BUFFER: Final = 128 * 1024
_RING: Final = 4
_THREADS_FROM: Final = 1024 * 1024
# Small pieces wait for one another: waking a thread costs more than to hash 16 KiB.
_AT_LEAST_EVERY: Final = 0.05


_with_threads: Final = BoundedSemaphore(1)


class Digest(Protocol):
    """A digest in the making, as `hashlib` has them."""

    def update(self, data: Buffer, /) -> object:
        """Take in more bytes."""
        ...

    def digest(self) -> bytes:
        """Return the digest of all bytes so far."""
        ...

    def hexdigest(self) -> str:
        """Return the same in hexadecimal."""
        ...


class Pipeline:
    """Lends out buffers, and takes what was cleared of them on to the digests and the file.

    It is also the `Hasher` of the inspection that clears the bytes, so that each cleared
    byte is hashed, here or in its thread.

    Args:
        digests: all are given every byte; the first is that of the inspection.
        write: is given every byte, in order.
        size: how many bytes will come, if that is known.
    """

    def __init__(
        self,
        digests: Sequence[Digest],
        write: Callable[[Sequence[Buffer]], object],
        *,
        size: int | None = None,
    ) -> None:
        self._digests = digests
        self._write = write
        self._room: memoryview | None = _buffer(
            _FIRST_BUFFER if size is None else min(_FIRST_BUFFER, size + 1)
        )
        self._filled = 0
        self._passed = 0
        self._handed_on = 0.0
        self._lanes: tuple[_Lane, ...] = ()
        self._free: SimpleQueue[memoryview] = SimpleQueue()
        self._failures: list[BaseException] = []

    def room(self) -> memoryview:
        """Return where the next bytes may be received.

        Raises:
            WharfingerError: hashing or writing failed.
        """
        self._check()
        if self._room is None:
            self._room, self._filled = self._free.get(), 0
            self._check()
        return self._room[self._filled :]

    def put(self, cleared: Sequence[Buffer]) -> None:
        """Take cleared bytes: the last of them are the beginning of what `room` returned.

        Raises:
            WharfingerError: hashing or writing failed.
        """
        if not self._lanes:
            self.put_now(cleared)
            self._passed += sum(map(len, cleared))
            if self._passed >= _THREADS_FROM and _with_threads.acquire(blocking=False):
                self._start()
            return
        self._filled += sum(map(len, cleared))
        full = self._room is not None and self._filled == len(self._room)
        if full or time.monotonic() - self._handed_on >= _AT_LEAST_EVERY:
            self._hand_on()
        self._check()

    def put_now(self, cleared: Sequence[Buffer]) -> None:
        """Take cleared bytes from elsewhere, before any other: they are written on return."""
        self._write(cleared)

    def update(self, data: Buffer) -> None:
        """Hash cleared bytes, unless their thread will."""
        if not self._lanes:
            for digest in self._digests:
                digest.update(data)

    def hexdigest(self) -> str:
        """Return the first digest, of all bytes that were put in.

        Raises:
            WharfingerError: hashing or writing failed.
        """
        self.close()
        self._check()
        return self._digests[0].hexdigest()

    def close(self) -> None:
        """Wait until everything that was put in is hashed and written. More may follow."""
        if not self._lanes:
            return
        try:
            self._hand_on()
            self._lanes[0].items.put(None)
            for lane in self._lanes:
                lane.join()
        finally:
            self._lanes = ()
            _with_threads.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
        if kind is None or issubclass(kind, WharfingerError):
            self._check()  # a full disk matters more than a broken connection

    def _start(self) -> None:
        self._room, self._filled = None, 0
        while self._free.qsize() < _RING:
            self._free.put(_buffer(_BUFFER))
        writing = _Lane(self._write_one, self._failures, self._give_back)
        hashing = _Lane(self._hash_one, self._failures, writing.items.put)
        self._lanes = (hashing, writing)
        for lane in self._lanes:
            lane.start()

    def _hash_one(self, block: memoryview) -> None:
        for digest in self._digests:
            digest.update(block)

    def _write_one(self, block: memoryview) -> None:
        self._write((block,))

    def _give_back(self, block: memoryview | None) -> None:
        if block is not None:
            self._free.put(memoryview(block.obj))  # all of the buffer that it was cut from

    def _hand_on(self) -> None:
        # Let go of it first: an interruption here may lose a piece, but never repeats one.
        room, self._room = self._room, None
        self._handed_on = time.monotonic()
        if room is not None and self._filled:
            self._lanes[0].items.put(room[: self._filled])

    def _check(self) -> None:
        if self._failures:
            raise self._failures[0]


class _Lane(Thread):
    """A thread that does one thing to each block and passes it on."""

    def __init__(
        self,
        step: Callable[[memoryview], object],
        failures: list[BaseException],
        pass_on: Callable[[memoryview | None], object],
    ) -> None:
        super().__init__(daemon=True)
        self.items: SimpleQueue[memoryview | None] = SimpleQueue()
        self._step = step
        self._failures = failures
        self._pass_on = pass_on

    def run(self) -> None:
        while (block := self.items.get()) is not None:
            if not self._failures:
                try:
                    self._step(block)
                except BaseException as error:  # noqa: BLE001 - raised by the next call
                    self._failures.append(error)
            self._pass_on(block)
        self._pass_on(None)


def _buffer(size: int) -> memoryview:
    return memoryview(bytearray(size))
