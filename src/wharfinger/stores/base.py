"""The interface of a store. `wharfinger.testing.check_store` proves an implementation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO, Final, Protocol, TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview

LOCK_SECONDS: Final = 2.0
"""How long anybody waits for who has an upload, which may be a check of all its bytes."""

BUSY: Final = "The upload is being checked; ask again in a moment."


@dataclass(frozen=True, slots=True)
class Blob:
    """A published file or a part as the store sees it: its id and the time (epoch seconds) it was written."""

    id: str
    modified_at: float


class Staging(Protocol):
    """Bytes on their way in. Nobody can read them by an id, and `discard` leaves nothing behind.

    One thread at a time uses a staging. Failing to write, sync or publish leaves it fit
    only for `discard`.
    """

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, data: Buffer) -> None:
        """Append all of `data`. Raises StorageFull when there is no room."""
        ...

    def sync(self) -> None:
        """Return when every written byte would survive a power cut."""
        ...

    def reader(self) -> BinaryIO:
        """Return a new file object over what was written, for checks; the caller closes it."""
        ...

    def discard(self) -> None:
        """Give the bytes up. Harmless when called twice or after `publish`."""
        ...


class Part(Staging, Protocol):
    """Bytes of an upload that comes in several requests: it has a name, and outlives its process.

    Several processes may have one open; only who holds `locked` may write.
    """

    def write_at(self, data: Buffer, offset: int) -> None:
        """Write all of `data` at a place. Raises StorageFull when there is no room."""
        ...

    def locked(self) -> AbstractContextManager[None]:
        """Keep every other one that has it open from entering its own `locked`.

        Entering raises Unavailable when another one does not leave it in `LOCK_SECONDS`.
        """
        ...

    def cut(self, size: int) -> None:
        """Take `size` as what was written: what lies behind it is no part of the upload."""
        ...

    def close(self) -> None:
        """Let go of it; what was written stays. Harmless when called twice or after `publish`."""
        ...


class Store(Protocol):
    """A place for whole, immutable files under ids. All methods may be called from any thread."""

    def stage(self, length: int | None = None) -> Staging:
        """Begin to receive `length` bytes (None: unknown). Raises StorageFull if they cannot fit."""
        ...

    def begin_part(self, upload_id: str, length: int | None = None) -> Part:
        """Begin to receive an upload under its id. Raises StorageFull, FileExistsError."""
        ...

    def open_part(self, upload_id: str) -> Part:
        """Return what was received of an upload. Raises NotFound."""
        ...

    def delete_part(self, upload_id: str) -> bool:
        """Give up what was received of an upload; return whether there was anything."""
        ...

    def part_is_in_use(self, upload_id: str) -> bool:
        """Return whether anybody is inside its `locked` at this moment, in any process."""
        ...

    def parts(self) -> Iterator[Blob]:
        """Yield the uploads that something is kept of, in no order."""
        ...

    def keep(self, staging: Staging, file_id: str) -> None:
        """Let synced bytes outlive their process as the part of this id. Durable on return.

        For a file whose checks take longer than its upload: `open_part` returns it, nobody can
        `open` it before it is published.
        """
        ...

    def publish(self, staging: Staging, file_id: str) -> None:
        """Give synced bytes their id. Durable on return; never replaces an existing file."""
        ...

    def open(self, file_id: str) -> BinaryIO:
        """Return the file for reading; the caller closes it. Raises NotFound."""
        ...

    def delete(self, file_id: str) -> bool:
        """Remove the file; return whether it was there. Readers that opened it before go on."""
        ...

    def blobs(self) -> Iterator[Blob]:
        """Yield what is published, in no order."""
        ...

    def clean_staging(self, older_than: float) -> int:
        """Remove staged leftovers last touched before this time (epoch seconds); return how many."""
        ...

    def free_space(self) -> int | None:
        """Return the bytes that still fit, or None if the store has no such limit."""
        ...

    def check(self) -> None:
        """Return if bytes can be written now; raises what a write would raise."""
        ...
