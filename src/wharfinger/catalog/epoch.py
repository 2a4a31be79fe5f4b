"""`Epoch`: a number beside the catalog that changes whenever something may no longer be believed.

Whoever keeps what it read from the catalog keeps the epoch of before the reading with it, and
believes it only while the epoch is still the same. A revocation, removal or expiry moves it
right after its commit, in whichever process that ran: every process maps the same bytes,
so looking costs no system call. Its value is random, because two processes that
counted up at the same moment could arrive at the same number.
"""

from __future__ import annotations

import mmap
import os
import secrets
from pathlib import Path
from typing import Final, Literal

# Two numbers: one about files, links and tokens, one about who goes on with which upload.
_WORD: Final = 8
_SIZE: Final = 2 * _WORD


class Epoch:
    """The epoch in a file, shared by all processes that opened it.

    Args:
        path: the file; made when missing, its folder must exist.
        place: which of the two numbers in it.
    """

    def __init__(self, path: Path, place: Literal[0, 1] = 0) -> None:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            if os.fstat(descriptor).st_size < _SIZE:
                os.ftruncate(descriptor, _SIZE)
            self._map = mmap.mmap(descriptor, _SIZE)
        finally:
            os.close(descriptor)
        # As one machine word: a reader sees the old number or the new one, never half of each.
        self._word = memoryview(self._map).cast("Q")[place : place + 1]

    @property
    def value(self) -> int:
        """The present epoch."""
        return self._word[0]

    def advance(self) -> None:
        """Move on: nothing that was read before is to be believed."""
        self._word[0] = secrets.randbits(64)
