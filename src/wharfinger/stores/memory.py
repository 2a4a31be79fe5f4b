"""A store in memory, for tests and for trying things out. It keeps the same interface."""

from __future__ import annotations

import contextlib
import io
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import BinaryIO

from wharfinger.errors import NotFound, StorageFull
from wharfinger.stores.base import Blob, Buffer, Staging


class MemoryStore:
    """A store that forgets everything with its process.

    Args:
        capacity: bytes that fit in, to try out a full disk; None for no limit.
    """

    def __init__(self, capacity: int | None = None) -> None:
        self.capacity = capacity
        self._files: dict[str, tuple[bytes, float]] = {}
        self._parts: dict[str, MemoryPart] = {}

    def stage(self, length: int | None = None) -> MemoryStaging:
        free = self.free_space()
        if free is not None and length is not None and length > free:
            raise StorageFull(f"{length} bytes do not fit into the {free} that are left.")
        return MemoryStaging(free)

    def begin_part(self, upload_id: str, length: int | None = None) -> MemoryPart:
        self.stage(length)
        if upload_id in self._parts:
            raise FileExistsError(upload_id)
        self._parts[upload_id] = MemoryPart(
            self.free_space(), lambda: self._parts.pop(upload_id, None)
        )
        return self._parts[upload_id]

    def open_part(self, upload_id: str) -> MemoryPart:
        if upload_id not in self._parts:
            raise NotFound
        return self._parts[upload_id]

    def delete_part(self, upload_id: str) -> bool:
        return self._parts.pop(upload_id, None) is not None

    def part_is_in_use(self, upload_id: str) -> bool:
        return upload_id in self._parts and self._parts[upload_id].is_in_use

    def parts(self) -> Iterator[Blob]:
        yield from [Blob(upload_id, part.written_at) for upload_id, part in self._parts.items()]

    def keep(self, staging: Staging, file_id: str) -> None:
        if not isinstance(staging, MemoryStaging):
            raise TypeError("this store keeps only what it staged")
        self.begin_part(file_id).write(staging.content())

    def publish(self, staging: Staging, file_id: str) -> None:
        if not isinstance(staging, MemoryStaging):
            raise TypeError("this store publishes only what it staged")
        if file_id in self._files:
            raise FileExistsError(file_id)
        self._files[file_id] = (staging.content(), time.time())
        staging.discard()

    def open(self, file_id: str) -> BinaryIO:
        if file_id not in self._files:
            raise NotFound
        return io.BytesIO(self._files[file_id][0])

    def delete(self, file_id: str) -> bool:
        return self._files.pop(file_id, None) is not None

    def blobs(self) -> Iterator[Blob]:
        yield from [Blob(file_id, at) for file_id, (_, at) in self._files.items()]

    def clean_staging(self, older_than: float) -> int:  # noqa: ARG002 - nothing outlives its upload
        return 0

    def free_space(self) -> int | None:
        if self.capacity is None:
            return None
        return self.capacity - sum(len(content) for content, _ in self._files.values())

    def check(self) -> None:
        if self.free_space() == 0:
            raise StorageFull("There is no room left.")


class MemoryStaging:
    """Bytes on their way into a `MemoryStore`."""

    def __init__(self, room: int | None) -> None:
        self._room = room
        self._bytes = bytearray()

    @property
    def size(self) -> int:
        return len(self._bytes)

    def content(self) -> bytes:
        """Return what was written."""
        return bytes(self._bytes)

    def write(self, data: Buffer) -> None:
        if self._room is not None and len(self._bytes) + len(data) > self._room:
            raise StorageFull(f"Only {self._room} bytes are left.")
        self._bytes += data

    def sync(self) -> None:
        """Do nothing: memory is as durable as it gets."""

    def reader(self) -> BinaryIO:
        return io.BytesIO(self._bytes)

    def discard(self) -> None:
        self._bytes = bytearray()


class MemoryPart(MemoryStaging):
    """Bytes of an upload that comes in several requests."""

    def __init__(self, room: int | None, gone: Callable[[], object]) -> None:
        super().__init__(room)
        self.written_at = time.time()
        self._gone = gone
        self._lock = threading.RLock()
        self.is_in_use = False

    def write_at(self, data: Buffer, offset: int) -> None:
        if self._room is not None and offset + len(data) > self._room:
            raise StorageFull(f"Only {self._room} bytes are left.")
        self._bytes[offset : offset + len(data)] = data
        self.written_at = time.time()

    def locked(self) -> AbstractContextManager[None]:
        @contextlib.contextmanager
        def held() -> Iterator[None]:
            with self._lock:
                self.is_in_use = True
                try:
                    yield
                finally:
                    self.is_in_use = False

        return held()

    def cut(self, size: int) -> None:
        del self._bytes[size:]

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def discard(self) -> None:
        super().discard()
        self._gone()
