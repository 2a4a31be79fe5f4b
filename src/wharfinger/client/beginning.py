"""The beginning of a file that an earlier attempt left: read before the rest is asked for.

Reading and hashing it can take minutes, and servers close a connection that is silent for
one. So it is done before the request goes out, never while an answer waits. What one attempt
has read, the next attempt of the same call does not read again.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final, Protocol

from wharfinger.client.pipeline import Digest
from wharfinger.inspection import HEAD_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from wharfinger.client.progress import Meter
    from wharfinger.client.sinks import Sink
    from wharfinger.client.timeouts import Stopwatch

_ALWAYS: Final = "sha-256"


class Hash(Digest, Protocol):
    """A digest in the making that can be copied, as those of `hashlib` can."""

    def copy(self) -> Hash:
        """Return one that has taken in the same bytes."""
        ...


class ReadAgain(Exception):
    """The server names a digest by an algorithm that what is held was not read for."""


class Beginning:
    """The bytes that are held of one download: the first of them, and digests of all.

    Args:
        sink: has the bytes.
        watch: the time limits of the call.
        meter: is told how far the reading has come.
    """

    def __init__(self, sink: Sink, watch: Stopwatch, meter: Meter) -> None:
        self._sink = sink
        self._watch = watch
        self._meter = meter
        self._algorithms = {_ALWAYS}
        self.forget()

    def forget(self) -> None:
        """Begin anew: what was read is not the beginning any more."""
        self.size = 0
        self.head = b""
        self._digests = {name: _new(name) for name in self._algorithms}

    def read(self, size: int) -> None:
        """Read the first `size` bytes, as far as they were not read before.

        Raises:
            LocalFileError: the file system.
            TransferTimeout: the call has no time left.
        """
        if size < self.size:
            self.forget()
        patience = self._watch.checking()
        self._meter.enter("checking", done=self.size, total=size)
        for block in self._sink.blocks(self.size, size):
            patience.wait()
            for digest in self._digests.values():
                digest.update(block)
            if len(self.head) < HEAD_SIZE:
                self.head += bytes(block[: HEAD_SIZE - len(self.head)])
            self.size += len(block)
            self._meter.reach(self.size)

    def digests(self, algorithms: Iterable[str], *, offset: int) -> dict[str, Hash]:
        """Return digests in the making, SHA-256 first, that have taken in `offset` bytes.

        Args:
            algorithms: what the server names digests by; SHA-256 is always there.
            offset: how many bytes of what is held belong to the content: all, or none.

        Raises:
            ReadAgain: one of them cannot be begun here.
        """
        wanted = dict.fromkeys((_ALWAYS, *algorithms))
        self._algorithms |= wanted.keys()
        if not offset:
            self.forget()
        elif not wanted.keys() <= self._digests.keys():
            self.forget()
            raise ReadAgain
        return {name: self._digests[name].copy() for name in wanted}


def _new(algorithm: str) -> Hash:
    return hashlib.new(algorithm.replace("-", ""))
