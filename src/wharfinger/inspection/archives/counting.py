"""`Count`: what an archive and the archives in it hold so far, and where the limits end it.

One count goes through all layers: a bomb in layers is as large as the sum of its layers, and
decoders that keep much of what they gave out (LZMA's windows) share one allowance of memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wharfinger.errors import TooComplex
from wharfinger.policy import Policy
from wharfinger.units import KIB, MIB, show_size

__all__ = ["Count", "too_much_memory"]

# Up to here a high ratio is no harm: a log or an empty table is packed 1000 : 1 now and then.
_FREE_OF_RATIO: Final = 16 * MIB
# More layers than any limit should allow: each takes its place on the interpreter's stack.
_DEEPEST: Final = 16
# Room for what `xz -9` keeps (64 MiB), and for the usual 8 MiB in two layers around it.
_MOST_MEMORY: Final = 80 * MIB
# What extended headers of tar may say, for each member there may be; ten are usual.
_RECORDS_PER_MEMBER: Final = 32
# Compressed files may consist of many streams; beyond the first ones they must hold something,
# else 20 bytes of input are worth the work of starting a decoder.
_LEAST_PER_STREAM: Final = 16 * KIB


class Count:
    """Members and bytes found so far, under the limits of a policy.

    `members` are files, links and devices; folders are counted against the limit only.
    `unpacked` is in bytes, of every layer that is unpacked anew.
    """

    __slots__ = ("_entries", "_kept", "_limits", "_records", "_size", "members", "unpacked")

    def __init__(self, limits: Policy, size: int) -> None:
        self._limits = limits
        self._size = size
        self._entries = 0
        self._kept = 0
        self._records = 0
        self.members = 0
        self.unpacked = 0

    @property
    def members_left(self) -> int:
        """How many more members and folders the limit allows."""
        return self._limits.max_members - self._entries

    def member(self, *, folder: bool = False) -> None:
        """Count a member or a folder.

        Raises:
            TooComplex: it is one too many.
        """
        if self.members_left <= 0:
            raise self.too_many()
        self._entries += 1
        self.members += not folder

    def too_many(self) -> TooComplex:
        """Return the error for more members than the policy allows."""
        most = self._limits.max_members
        return TooComplex(
            f"The archive has more than {most} members; at most {most} are accepted.",
            what="members",
            limit=most,
        )

    def announced(self, size: int) -> None:
        """Compare with the limits what would be unpacked if so many bytes more came.

        Raises:
            TooComplex: more bytes, or at a higher ratio, than the policy allows.
        """
        total = self.unpacked + size
        most = self._limits.max_unpacked
        if total > most:
            raise TooComplex(
                f"The archive unpacks to more than {show_size(most)}.", what="bytes", limit=most
            )
        ratio = self._limits.max_ratio
        if total > _FREE_OF_RATIO and total > ratio * self._size:
            raise TooComplex(
                f"The archive of {show_size(self._size)} unpacks to {show_size(total)} or more, "
                f"over {ratio} times its size.",
                what="ratio",
                limit=ratio,
            )

    def add(self, size: int) -> None:
        """Count bytes that were unpacked.

        Raises:
            TooComplex: as `announced`.
        """
        self.announced(size)
        self.unpacked += size

    def streams(self, count: int, unpacked: int) -> None:
        """Compare the streams of one compressed file with what they held.

        Raises:
            TooComplex: they are too many for the little that they hold.
        """
        if count > self._limits.max_members + unpacked // _LEAST_PER_STREAM:
            raise self.too_many()

    def records(self, count: int) -> None:
        """Count what extended headers say of members.

        Raises:
            TooComplex: it is more than all members that are allowed could need.
        """
        self._records += count
        most = self._limits.max_members * _RECORDS_PER_MEMBER
        if self._records > most:
            raise TooComplex(
                f"The extended headers of the archive have more than {most} records.",
                what="members",
                limit=self._limits.max_members,
            )

    def depth(self, depth: int) -> None:
        """Compare how many archives lie around one.

        Raises:
            TooComplex: more than the policy allows.
        """
        deepest = min(self._limits.max_depth, _DEEPEST)
        if depth > deepest:
            raise TooComplex(
                f"Archives lie inside archives more than {deepest} deep.",
                what="depth",
                limit=deepest,
            )

    def kept(self, pieces: Iterator[bytes], window: int) -> Iterator[bytes]:
        """Pass on what a decoder gives out that keeps the last `window` bytes of it.

        Memory that was asked for and never filled is none: small files say that they need the
        window of the preset they were packed with.

        Raises:
            TooComplex: with those around it the decoder keeps more than is allowed.
        """
        own = 0
        try:
            for piece in pieces:
                grown = min(window, own + len(piece)) - own
                own += grown
                self._kept += grown
                if self._kept > _MOST_MEMORY:
                    raise too_much_memory()
                yield piece
        finally:
            self._kept -= own


def too_much_memory() -> TooComplex:
    """Return the error for more memory than decoders may take."""
    return TooComplex(
        f"Unpacking takes more than {show_size(_MOST_MEMORY)} of memory.",
        what="memory",
        limit=_MOST_MEMORY,
    )
