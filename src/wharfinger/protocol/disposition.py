"""Content-Disposition of whole messages (RFC 6266, RFC 8187): what we send and what we believe.

Sent: an ASCII `filename` first, `filename*` only where that one lost something, and
never a character that could end the field or mislead a reader. Believed: strictly one
reading; a malformed or contradictory value is an error, and the caller goes without it.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import quote, unquote_to_bytes

from wharfinger.errors import RequestError
from wharfinger.names import MAX_NAME_BYTES, ClaimedName, clean, show
from wharfinger.protocol.parameters import TOKEN, parse_parameters

__all__ = ["Disposition", "format_disposition", "parse_disposition"]

_KIND: Final = re.compile(TOKEN)
# RFC 8187 section 3.2.1 attr-char, besides the letters, digits and "_.-~" that quote() keeps.
_ATTR_CHARS: Final = "!#$&+^`|"
_EXT_VALUE: Final = re.compile(
    r"(?P<charset>[A-Za-z0-9-]+)'[A-Za-z0-9-]*'"
    r"(?P<text>(?:[A-Za-z0-9!#$&+.^_`|~-]|%[0-9A-Fa-f]{2})*+)"
)
_CHARSETS: Final = {"utf-8": "utf-8", "iso-8859-1": "latin-1"}
# A reader that unescapes where it should not must find nothing (RFC 6266 appendix D): browsers
# read percent-escapes and encoded words (RFC 2047) in a plain filename.
_LOOKS_ESCAPED: Final = re.compile(r"%(?=[0-9A-Fa-f]{2})|(?<==)\?")


# Controls, formats (the bidirectional ones among them), surrogates, line separators; the two
# joiners are letters' business in many scripts and in emoji.
_UNFIT: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_JOINERS: Final = frozenset("\u200c\u200d")


@dataclass(frozen=True, kw_only=True, slots=True)
class Disposition:
    """A parsed Content-Disposition: its kind in lower case, the file name and the form field."""

    kind: str
    name: ClaimedName | None
    field: str | None


def format_disposition(kind: Literal["attachment", "inline"], name: str) -> str:
    """Return the value of Content-Disposition for a file of this name.

    The result is ASCII without control characters. Controls, bidirectional overrides,
    invisible characters and unpaired surrogates of the name vanish, path separators become
    underscores, and a name of more than 255 bytes is cut with its extension kept. With
    nothing left of the name, the kind stands alone.
    """
    shown = _announced(name)
    if not shown:
        return kind
    fallback = _LOOKS_ESCAPED.sub("_", "".join(_ascii(character) for character in shown))
    value = f'{kind}; filename="{fallback}"'
    if fallback != shown:
        value += f"; filename*=UTF-8''{quote(shown, safe=_ATTR_CHARS)}"
    return value


def parse_disposition(value: str) -> Disposition:
    """Return what a Content-Disposition says.

    `filename*` beats `filename`. One whose charset is neither UTF-8 nor ISO-8859-1, or
    whose escapes are broken, does not count. Encoded words (RFC 2047) and continuations
    (RFC 2231) are not read. The name is a claim: clean or judge it before use.

    Raises:
        RequestError: the value is malformed, or a parameter came twice.
    """
    text = value.strip(" \t")
    kind = _KIND.match(text)
    parameters = None if kind is None else parse_parameters(text[kind.end() :])
    if kind is None or parameters is None:
        raise RequestError(f"The Content-Disposition {show(value, limit=60)!r} is malformed.")
    name = _decode(parameters.get("filename*"))
    if name is None:
        name = parameters.get("filename")
    return Disposition(
        kind=kind[0].lower(),
        name=None if name is None else ClaimedName(name),
        field=parameters.get("name"),
    )


def _announced(name: str) -> str:
    kept = "".join(
        character
        for character in name
        if character in _JOINERS or unicodedata.category(character) not in _UNFIT
    )
    kept = kept.replace("/", "_").replace("\\", "_").strip()
    return kept if len(kept.encode("utf-8")) <= MAX_NAME_BYTES else clean(kept)


def _ascii(character: str) -> str:
    """Return a plain stand-in: the letter without its accent, or an underscore."""
    if character in '"\\':
        return "_"
    if character.isascii():
        return character
    plain = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
    return plain if plain.isalnum() else "_"


def _decode(value: str | None) -> str | None:
    match = None if value is None else _EXT_VALUE.fullmatch(value)
    codec = None if match is None else _CHARSETS.get(match["charset"].lower())
    if match is None or codec is None:
        return None
    try:
        return unquote_to_bytes(match["text"]).decode(codec)
    except UnicodeDecodeError:
        return None
