"""`Scanner`: says of a whole staged file whether it is clean, infected or cannot be scanned.

A scanner is asked before a file is published. What it says decides: only `Clean`
lets the file pass; a scanner that is away raises `Unavailable`, and the upload fails
with it (closed on doubt).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Clean:
    """Nothing was found in the whole file."""


@dataclass(frozen=True, slots=True)
class Infected:
    """Malware was found; `name` is the scanner's name for it."""

    name: str


@dataclass(frozen=True, slots=True)
class Unscannable:
    """The file could not be read to its end: encrypted, too deep, too large. `reason` says which."""

    reason: str


Verdict: TypeAlias = Clean | Infected | Unscannable


class Scanner(Protocol):
    """Judges whole files. Called from any thread."""

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        """Read `file` (of `size` bytes) from its start and say what it is.

        Raises:
            Unavailable: the scanner is away or broken; nothing may be concluded.
        """
        ...
