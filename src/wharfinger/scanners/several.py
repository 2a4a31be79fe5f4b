"""`Several`: scanners that are all asked; a file is clean when each of them says so."""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from wharfinger.scanners import Clean, Infected, Scanner, Unscannable, Verdict

__all__ = ["Several"]


class Several:
    """Several scanners as one. What one finds decides; then what one could not read."""

    def __init__(self, scanners: Sequence[Scanner]) -> None:
        self.scanners = tuple(scanners)

    def __repr__(self) -> str:
        return f"Several({list(self.scanners)!r})"

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        """Ask one after the other until one finds something.

        Raises:
            Unavailable: one is away, and those before it found nothing.
        """
        doubt: Unscannable | None = None
        for scanner in self.scanners:
            file.seek(0)
            match scanner.scan(file, size):
                case Infected() as found:
                    return found
                case Unscannable() as unread:
                    doubt = doubt or unread
                case Clean():
                    continue
        return doubt or Clean()
