"""Hashing and writing beside receiving: every byte once, in order, and failures at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence

import pytest

from wharfinger.client.pipeline import Pipeline
from wharfinger.errors import Interrupted, StorageFull
from wharfinger.inspection import Buffer

CONTENT = bytes(i * 7 % 251 for i in range(100_003)) * 80
MIB = 1024 * 1024


class Target:
    """Remembers what was written, and by which threads; can be made to fail or to wait."""

    def __init__(self, fail_at: int | None = None) -> None:
        self.written = bytearray()
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.gate.set()
        self._fail_at = fail_at

    def __call__(self, blocks: Sequence[Buffer]) -> None:
        self.gate.wait(10)
        self.threads.add(threading.get_ident())
        for block in blocks:
            if self._fail_at is not None and len(self.written) + len(block) > self._fail_at:
                raise StorageFull("The disk is full.")
            self.written += block


def receive(pipeline: Pipeline, content: bytes, piece: int) -> None:
    """Do as a download does, with pieces of at most so many bytes."""
    offset = 0
    while offset < len(content):
        room = pipeline.room()
        count = min(len(room), piece, len(content) - offset)
        room[:count] = content[offset : offset + count]
        offset += count
        pipeline.update(room[:count])
        pipeline.put((room[:count],))


def receive_and_end(target: Target, content: bytes, error: BaseException | None = None) -> None:
    with Pipeline((hashlib.sha256(),), target) as pipeline:
        receive(pipeline, content, 128 * 1024)
        if error is not None:
            raise error


@pytest.mark.parametrize("piece", [1000, 16 * 1024, 100_003, 512 * 1024, 10**9])
@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1, len(CONTENT)])
def test_every_byte_is_hashed_and_written_once_in_order(piece: int, size: int) -> None:
    target = Target()
    sha256, sha512 = hashlib.sha256(), hashlib.sha512()
    with Pipeline((sha256, sha512), target) as pipeline:
        receive(pipeline, CONTENT[:size], piece)
        found = pipeline.hexdigest()
    assert target.written == CONTENT[:size]
    assert found == hashlib.sha256(CONTENT[:size]).hexdigest()
    assert sha512.digest() == hashlib.sha512(CONTENT[:size]).digest()


def test_small_content_is_written_by_the_thread_that_received_it() -> None:
    target = Target()
    with Pipeline((hashlib.sha256(),), target, size=100_000) as pipeline:
        receive(pipeline, CONTENT[:100_000], 4096)
        assert len(target.written) == 100_000  # at once, and not when the next piece comes
    assert target.threads == {threading.get_ident()}


def test_large_content_is_written_by_another_thread() -> None:
    target = Target()
    with Pipeline((hashlib.sha256(),), target) as pipeline:
        receive(pipeline, CONTENT, 512 * 1024)
    assert len(target.threads) == 2


def test_a_failure_to_write_is_raised_by_a_following_call_and_nothing_more_is_written() -> None:
    target = Target(fail_at=3 * MIB)
    with pytest.raises(StorageFull):
        receive_and_end(target, CONTENT * 10)  # far more than fits into the ring
    assert len(target.written) <= 3 * MIB


def test_a_full_disk_matters_more_than_a_broken_connection() -> None:
    target = Target(fail_at=MIB)
    with pytest.raises(StorageFull):
        receive_and_end(target, CONTENT[: 3 * 512 * 1024], Interrupted("It broke.", received=1))


@pytest.mark.parametrize("error", [KeyboardInterrupt(), Interrupted("It broke.", received=1)])
def test_what_was_put_in_before_an_interruption_is_written(error: BaseException) -> None:
    target = Target()
    with pytest.raises(type(error)):
        receive_and_end(target, CONTENT[:2_000_000], error)
    assert target.written == CONTENT[:2_000_000]


def test_a_slow_disk_holds_the_receiver_and_memory_stays() -> None:
    target = Target()
    with Pipeline((hashlib.sha256(),), target) as pipeline:
        receive(pipeline, CONTENT[:MIB], 512 * 1024)
        target.gate.clear()
        receiver = threading.Thread(target=receive, args=(pipeline, CONTENT, 512 * 1024))
        receiver.start()
        receiver.join(0.3)
        assert receiver.is_alive()  # 8 MB do not fit into four buffers of 512 KiB
        target.gate.set()
        receiver.join(10)
    assert target.written == CONTENT[:MIB] + CONTENT
