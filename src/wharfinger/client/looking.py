"""A look at the whole content of a file that is here: the same that a service takes."""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from wharfinger.units import KIB

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

    from wharfinger.checking import Checker
    from wharfinger.client.content import Content
    from wharfinger.inspection import Buffer, Facts, Inspection
    from wharfinger.policy import Policy

__all__ = ["judged", "looked_into", "reading"]

_BUFFER: Final = 64 * KIB


def judged(
    content: Content,
    inspection: Inspection,
    policy: Policy,
    *,
    name: str | None,
    type: str | None,  # noqa: A002 - the word of the whole interface
    count: Callable[[int], object],
) -> Facts:
    """Return the facts of a whole file: its bytes go by, then its content is looked into.

    `count` is told of the bytes that went by. Raises Rejected.
    """
    if not policy.check_content:
        for block in content.blocks():
            inspection.feed(block)
            count(len(block))
        return inspection.finish()[1]
    with contextlib.ExitStack() as stack:
        file, keep = _seekable(content, stack)
        for block in content.blocks():
            inspection.feed(block)
            keep(block)
            count(len(block))
        facts = inspection.finish()[1]
        return looked_into(file, facts, policy, name=name, type=type)


def looked_into(
    file: BinaryIO,
    facts: Facts,
    policy: Policy,
    *,
    name: str | None,
    type: str | None,  # noqa: A002
) -> Facts:
    """Return what a look at the whole content adds to the facts. Raises Rejected."""
    return _checker().check(file, facts, policy=policy, name=name, type=type)


def reading(read_at: Callable[[memoryview, int], int], size: int) -> BinaryIO:
    """Return as a file of so many bytes what a function fills a buffer with, from any place."""
    return io.BufferedReader(_Anywhere(read_at, size), _BUFFER)


class _Anywhere(io.RawIOBase):
    """A file that is read from any place."""

    def __init__(self, read_at: Callable[[memoryview, int], int], size: int) -> None:
        self._read_at = read_at
        self._size = size
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._size}[whence]
        self._at = start + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: WriteableBuffer) -> int:
        with memoryview(buffer).cast("B") as view:
            rest = view[: max(self._size - self._at, 0)]
            count = self._read_at(rest, self._at) if rest else 0
        self._at += count
        return count


def _seekable(
    content: Content, stack: contextlib.ExitStack
) -> tuple[BinaryIO, Callable[[Buffer], object]]:
    """Return the content as a file to go to and fro in, and who is to be given its bytes."""
    source = content.source
    if isinstance(source, bytes):
        return io.BytesIO(source), _nothing
    if isinstance(source, Path):
        return cast("BinaryIO", stack.enter_context(content.opened(source))), _nothing
    # Somebody else's file object: what it gives may come once, and may begin anywhere.
    copy = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    return copy, copy.write


def _nothing(data: Buffer) -> None:
    """Keep nothing: the bytes are on disk."""


@cache
def _checker() -> Checker:
    """Return the one of this process, whose decoders serve one file after the other."""
    from wharfinger.checking import Checker

    return Checker()
