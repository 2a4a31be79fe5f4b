"""CSS, seen from one side: what would it fetch or run?

Not a parser. Comments and escapes are undone first, as browsers do before they see a name
(CSS Syntax Level 3, section 4.3.7), then the few words that fetch are looked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

__all__ = ["fetched_addresses", "runs"]

_COMMENT: Final = re.compile(r"/\*.*?(?:\*/|\Z)", re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(?:([0-9a-fA-F]{1,6})[ \t\n\r\f]?|\r\n|([^\n]?))", re.DOTALL)
# A namespace is named by an address that nobody fetches (CSS Namespaces Level 3).
_NAMESPACE: Final = re.compile(r"@namespace\b[^;{]*", re.IGNORECASE)
_URL: Final = re.compile(r"\b(?:url|src)\(\s*(\"[^\"]*|'[^']*|[^)\"']*)", re.IGNORECASE)
_IMPORT: Final = re.compile(r"@import\s*(?:url\()?\s*[\"']?([^\"';)]*)", re.IGNORECASE)
_IMAGE_SET: Final = re.compile(r"\bimage-set\(([^)]*)", re.IGNORECASE)
_STRING: Final = re.compile(r"\"([^\"]*)|'([^']*)")
# Old ways of Internet Explorer and Firefox to run a script from a style.
_RUNS: Final = re.compile(
    r"\bexpression\s*\(|-moz-binding\s*:|(?<![\w-])behavior\s*:|javascript:|vbscript:",
    re.IGNORECASE,
)


def fetched_addresses(text: str) -> Iterator[str]:
    """Yield the addresses that a style sheet or attribute names to be fetched, "#id" among them."""
    plain = _NAMESPACE.sub("", _undone(text))
    for match in _URL.finditer(plain):
        yield match[1].lstrip("\"'").strip()
    for match in _IMPORT.finditer(plain):
        yield match[1].strip()
    for match in _IMAGE_SET.finditer(plain):
        for string in _STRING.finditer(match[1]):
            yield string[1] or string[2] or ""


def runs(text: str) -> bool:
    """Return whether an old browser would run something of it."""
    return _RUNS.search(_undone(text)) is not None


def _undone(text: str) -> str:
    text = _COMMENT.sub(" ", text)
    return _ESCAPE.sub(_character, text) if "\\" in text else text


def _character(match: re.Match[str]) -> str:
    if match[1] is None:
        return match[2] or ""
    number = int(match[1], 16)
    return chr(number) if 0 < number <= 0x10FFFF else "\ufffd"  # noqa: PLR2004 - Unicode's end
