"""`Headers`: the field lines of one message, as a value.

Names compare without case, order is kept, and a name may have several lines
(RFC 9110 section 5.3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

from wharfinger.errors import RequestError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["Headers"]


class Headers:
    """The field lines of one message: immutable, ordered, several lines per name.

    Args:
        pairs: (name, value) lines in the order in which they came.
    """

    __slots__ = ("_lines", "_pairs")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._pairs = tuple(pairs)
        lines: dict[str, tuple[str, ...]] = {}
        for name, value in self._pairs:
            key = name.lower()
            known = lines.get(key)
            lines[key] = (value,) if known is None else (*known, value)
        self._lines = lines

    @overload
    def get(self, name: str) -> str | None: ...
    @overload
    def get(self, name: str, default: str) -> str: ...
    @overload
    def get(self, name: str, default: None) -> str | None: ...
    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the value of a field, several lines joined by ", " (RFC 9110 section 5.3)."""
        lines = self._lines.get(name.lower())
        return default if lines is None else ", ".join(lines)

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return the values of all lines with this name, in their order."""
        return self._lines.get(name.lower(), ())

    def single(self, name: str) -> str | None:
        """Return the value of a field that must not come twice, or None when it is absent.

        Raises:
            RequestError: there are several lines, so that two readers could disagree.
        """
        lines = self.get_all(name)
        if len(lines) > 1:
            raise RequestError(f"The field {name} came {len(lines)} times; it may come once.")
        return lines[0] if lines else None

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.lower() in self._lines

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __len__(self) -> int:
        return len(self._pairs)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return self._lines == other._lines

    def __hash__(self) -> int:
        return hash(frozenset(self._lines.items()))

    def __repr__(self) -> str:
        return f"Headers({list(self._pairs)!r})"
