"""The parameters after a field's first word: `; name=value; name="value"`.

Two grammars share one strictness: what does not parse to the last character is an
error, and so is a name that comes twice, because two readers would pick differently.
Both are linear in the length of the text (CVE-2024-24762).
"""

from __future__ import annotations

import re
from typing import Final

__all__ = ["TOKEN", "parse_browser_parameters", "parse_parameters"]

# RFC 9110 section 5.6.2.
TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a grammar rule
# RFC 9110 section 5.6.4, obs-text included; no control characters but the tab.
_QUOTED: Final = r'"(?:[^"\\\x00-\x08\x0a-\x1f\x7f]|\\[^\x00-\x08\x0a-\x1f\x7f])*+"'
# As browsers write form fields (WHATWG "multipart/form-data encoding algorithm"):
# a backslash is a backslash, and the quote never occurs inside.
_BROWSER_QUOTED: Final = r'"[^"\x00-\x08\x0a-\x1f\x7f]*+"'

_STANDARD: Final = re.compile(rf"[ \t]*;[ \t]*(?:({TOKEN})=({TOKEN}|{_QUOTED}))?")
_BROWSER: Final = re.compile(rf"[ \t]*;[ \t]*(?:({TOKEN})=({TOKEN}|{_BROWSER_QUOTED}))?")
_QUOTED_PAIR: Final = re.compile(r"\\(.)", re.DOTALL)


def parse_parameters(text: str) -> dict[str, str] | None:
    """Return parameters by RFC 9110 section 5.6.6, names in lower case.

    `text` begins at the first semicolon. None means that the grammar is broken or a
    name came twice.
    """
    found = _scan(text, _STANDARD)
    if found is None:
        return None
    return {name: _unquote(value) for name, value in found.items()}


def parse_browser_parameters(text: str) -> dict[str, str] | None:
    """Return parameters of a form part as browsers write them, names in lower case.

    Quote, CR and LF are percent-escaped there and nothing else is. Older programs put a
    backslash before a quote instead; that reading is taken only where the browsers' one
    is not grammatical (a text with an escaped quote never fits both). None means that the
    grammar is broken or a name came twice.
    """
    found = _scan(text, _BROWSER)
    if found is not None:
        return {name: _unescape(value) for name, value in found.items()}
    return parse_parameters(text)


def _scan(text: str, pattern: re.Pattern[str]) -> dict[str, str] | None:
    text = text.rstrip(" \t")
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = pattern.match(text, position)
        if match is None:
            return None
        position = match.end()
        name = match[1]
        if name is None:  # an empty parameter, which RFC 9110 section 5.6.6 tolerates
            continue
        if name.lower() in found:
            return None
        found[name.lower()] = match[2]
    return found


def _unquote(value: str) -> str:
    return _QUOTED_PAIR.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def _unescape(value: str) -> str:
    bare = value[1:-1] if value.startswith('"') else value
    return bare.replace("%22", '"').replace("%0D", "\r").replace("%0A", "\n")
