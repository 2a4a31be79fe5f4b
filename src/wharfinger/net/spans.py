"""`FileSpan`: a stretch of an open file that goes into a request as it is.

It lets the wire choose how the bytes move: by sendfile on plain TCP, where they never
enter this process, or through one small buffer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class FileSpan:
    """`length` bytes of the file behind `descriptor`, from `start` on.

    `check` is asked before the last of them are sent, and whenever the file ends early; it
    raises when the file is no longer what was announced, so that the request stays
    incomplete. `failed` makes the error for a file that cannot be read. `sent` is told how
    many bytes moved.
    """

    descriptor: int
    start: int
    length: int
    check: Callable[[], None]
    failed: Callable[[OSError], Exception]
    sent: Callable[[int], None]

    def __len__(self) -> int:
        return self.length


Piece = bytes | memoryview | FileSpan
"""What a request body consists of."""
