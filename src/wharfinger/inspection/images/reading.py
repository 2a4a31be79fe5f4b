"""What all walks through an image stand on: reading at a place, and the policy's limits.

A walk reads the structure of one format and never a pixel. It returns the offset behind the
image, or None where the format has no end; it raises `Broken` when the structure does.
"""

from __future__ import annotations

from typing import BinaryIO, Final, NoReturn

from wharfinger.errors import TooComplex
from wharfinger.policy import Policy

__all__ = ["PIECE", "Bounds", "Broken", "Source"]

PIECE: Final = 256 * 1024


class Broken(Exception):
    """The structure of an image ends too early or contradicts itself; a sentence says where."""


class Source:
    """A file of known size, read at any place through one window of `PIECE` bytes."""

    __slots__ = ("_file", "_start", "_window", "size")

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self.size = size
        self._start = 0
        self._window = b""

    def at(self, offset: int, length: int) -> bytes:
        """Return these bytes; fewer at the end of the file. At most `PIECE` at once."""
        if offset >= self.size:
            # Offsets of 64 bits come from the file; the system refuses to seek there.
            return b""
        place = offset - self._start
        if place < 0 or place + length > len(self._window):
            self._file.seek(offset)
            self._window = self._file.read(PIECE)
            self._start, place = offset, 0
        return self._window[place : place + length]

    def exactly(self, offset: int, length: int, what: str) -> bytes:
        """Return these bytes. Raises Broken: the file ends inside of `what`."""
        piece = self.at(offset, length)
        if len(piece) < length:
            self.ends_inside(what)
        return piece

    def ends_inside(self, what: str) -> NoReturn:
        """Raise Broken: the file ends there."""
        raise Broken(f"the file ends after {self.size} bytes, inside {what}")


class Bounds:
    """The limits of a policy, asked while an image is walked. All raise TooComplex."""

    __slots__ = ("_frames", "_policy", "_total")

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._frames = 0
        self._total = 0

    def picture(self, width: int, height: int) -> None:
        """Judge the pixels of one picture, as its header gives them."""
        limit = self._policy.max_pixels
        if width * height > limit:
            raise TooComplex(
                f"The image has {width} x {height} pixels; at most {limit} are accepted.",
                what="pixels",
                limit=limit,
            )

    def frame(self, width: int, height: int) -> None:
        """Judge one more frame or page, of so many pixels."""
        self.frames(1)
        self.picture(width, height)
        self._total += width * height
        limit = self._policy.max_total_pixels
        if self._total > limit:
            raise TooComplex(
                f"The frames of the image have more than {limit} pixels together.",
                what="pixels",
                limit=limit,
            )

    def frames(self, more: int) -> None:
        """Judge so many more frames."""
        self._frames += more
        limit = self._policy.max_frames
        if self._frames > limit:
            raise TooComplex(f"The image has more than {limit} frames.", what="frames", limit=limit)
