"""`Place`: where in the layers of an archive a reader stands, and what it tells from there."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

from wharfinger.inspection.archives.counting import Count
from wharfinger.names import show

__all__ = ["UNREADABLE", "Damaged", "Entry", "Place", "Report"]

UNREADABLE: Final = "unreadable"
"""Told beside the findings: something that may well be sound, and that nobody here can unpack."""

Report: TypeAlias = Callable[[str, str], None]
"""Takes a word, one of `wharfinger.policy.FINDINGS` or `UNREADABLE`, and a sentence."""


class Damaged(Exception):
    """An archive cannot be read on; the text is a sentence."""


class Entry(NamedTuple):
    """One member whose name was judged: a file's bytes in pieces, to be read before the next."""

    name: str
    pieces: Iterator[bytes]


@dataclass(frozen=True, slots=True)
class Place:
    """An archive among its layers: `path` leads to it ("" is the file itself)."""

    path: str
    depth: int
    count: Count
    report: Report

    def tell(self, word: str, sentence: str) -> None:
        """Report what was found here."""
        where = f"In {show(self.path, limit=60)!r}: " if self.path else ""
        self.report(word, f"{where}{sentence}")

    def path_of(self, name: str) -> str:
        """Return the path of a member of this archive."""
        return f"{self.path}/{name}" if self.path else name

    def inside(self, name: str) -> Place:
        """Return the place of an archive that is a member of this one."""
        return replace(self, path=self.path_of(name), depth=self.depth + 1)
