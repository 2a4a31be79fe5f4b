"""`Yara`: rules of your own as a scanner; the extra [yara].

YARA unpacks nothing and brings no signatures: it is given the file, and each file in an archive
for itself. What is larger than a window is given in windows that overlap, so that a string is
found wherever it stands; rules that ask for `filesize` or count from the end see the window.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from wharfinger.errors import ConfigError, TooComplex, Unavailable
from wharfinger.extras import require
from wharfinger.inspection import HEAD_SIZE, detect
from wharfinger.inspection.archives.walking import UNREADABLE, members
from wharfinger.names import show
from wharfinger.policy import Policy
from wharfinger.scanners import Clean, Infected, Unscannable, Verdict
from wharfinger.units import MIB

__all__ = ["Yara"]

_WINDOW: Final = 32 * MIB
# Longer than any string that rules look for.
_OVERLAP: Final = 1 * MIB
# The usual bounds of what an archive may hold.
_LIMITS: Final = Policy()
# After these not every byte was looked at.
_NOT_READ: Final = frozenset({"damaged", "encrypted", "trailing-data", UNREADABLE})


class Yara:
    """YARA rules from files, compiled once. Safe to use from any thread.

    Args:
        paths: files with rules.
        timeout: seconds that the looks at one file and at what is in it may take together.

    Raises:
        ConfigError: a file cannot be read or a rule not be compiled, or the extra is missing.
    """

    def __init__(self, paths: Sequence[Path], *, timeout: int = 120) -> None:
        try:
            require("yara", extra="yara")
        except ModuleNotFoundError as error:
            raise ConfigError(
                "[scan] yara needs the package yara-python, which is not installed.",
                hint="pip install 'wharfinger[yara]'",
            ) from error
        import yara

        self._yara = yara
        self._timeout = timeout
        # A compiled rule set is used by one thread at a time in some versions.
        self._lock = threading.Lock()
        try:
            self._rules = yara.compile(
                filepaths={str(number): str(path) for number, path in enumerate(paths)}
            )
        except (yara.Error, OSError) as error:
            missing = [str(path) for path in paths if not path.is_file()]
            why = f"{missing[0]!r} is no file" if missing else error
            raise ConfigError(f"The YARA rules cannot be used: {why}.") from error

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        """Return what the rules find in a file of `size` bytes, and in the files inside it.

        One that takes longer than `timeout` cannot be scanned: asking again would not help.

        Raises:
            Unavailable: YARA failed.
        """
        try:
            return self._scan(file, size, _Budget(self._timeout))
        except _TooLong:
            return Unscannable(f"the rules take longer than {self._timeout} s")

    def _scan(self, file: BinaryIO, size: int, budget: _Budget) -> Verdict:
        if (found := self._find(_read(file), budget)) is not None:
            return Infected(found)
        file.seek(0)
        media_type = detect(file.read(HEAD_SIZE), complete=size <= HEAD_SIZE).type
        unread: list[str] = []

        def report(word: str, sentence: str) -> None:
            if word in _NOT_READ:
                unread.append(sentence)

        try:
            for path, pieces in members(file, size, media_type, _LIMITS, report):
                if (found := self._find(pieces, budget)) is not None:
                    return Infected(f"{found} in {show(path, limit=200)}")
        except TooComplex as error:
            unread.append(str(error))
        return Unscannable(unread[0].rstrip(".")) if unread else Clean()

    def _find(self, pieces: Iterable[bytes], budget: _Budget) -> str | None:
        for window in _windows(pieces):
            try:
                with self._lock, budget.spending() as seconds:
                    matches = self._rules.match(data=window, timeout=seconds)
            except self._yara.TimeoutError as error:
                raise _TooLong from error
            except self._yara.Error as error:
                raise Unavailable(f"YARA failed: {error}.") from error
            if matches:
                return str(matches[0].rule)
        return None


class _TooLong(Exception):
    """The rules take too long over a file."""


class _Budget:
    """The seconds that are left for one file; waiting for other files' looks takes none."""

    def __init__(self, seconds: float) -> None:
        self._left = seconds

    @contextmanager
    def spending(self) -> Iterator[int]:
        """Count what is spent inside; says how many whole seconds that may be. Raises _TooLong."""
        if self._left <= 0:
            raise _TooLong
        began = time.monotonic()
        try:
            yield math.ceil(self._left)
        finally:
            self._left -= time.monotonic() - began


def _read(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(MIB):
        yield piece


def _windows(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the whole, or windows of it that overlap."""
    window = bytearray()
    fresh = True
    for piece in pieces:
        window += piece
        fresh = True
        while len(window) >= _WINDOW:
            yield bytes(window[:_WINDOW])
            del window[: _WINDOW - _OVERLAP]
            fresh = len(window) > _OVERLAP
    if fresh:
        yield bytes(window)
