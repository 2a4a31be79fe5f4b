"""HTTP/1.1 messages as bytes, strictly (RFC 9112). Pure: no socket here.

The head of an answer is believed only if it can mean one thing. What is refused is
what clients in use take for a success: a bare CR, two different lengths, a length
beside a transfer coding, a negative length.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.errors import BadResponse, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

Fields = tuple[tuple[str, str], ...]

# Longer than any honest head seen (the longest are cookies), and an end for the others.
MAX_HEAD: Final = 64 * 1024
MAX_FIELDS: Final = 200

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110 section 5.6.2
_STATUS_LINE: Final = re.compile(r"HTTP/1\.([01]) ([1-9][0-9]{2})(?: (.*))?", re.ASCII)
# RFC 9110 section 5.5: visible characters, space, tab, obs-text.
_UNSOUND_VALUE: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# A whole field line as nearly all are: a name, no space before the colon, nothing unsound.
_FIELD: Final = re.compile(
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00-\x08\x0a-\x1f\x7f]*)", re.ASCII
)
# More digits than any length that fits a disk; the standard sets no end (RFC 9110 section 8.6).
_LENGTH: Final = re.compile(r"[0-9]{1,30}", re.ASCII)
_NO_CONTENT: Final = frozenset({204, 304})
_OK: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class Head:
    """The head of one answer: `fields` in their order, names as they were sent."""

    status: int
    reason: str
    fields: Fields
    minor: int = 1

    def all(self, name: str) -> list[str]:
        """Return the values of every field line of that name."""
        return [value for key, value in self.fields if key.lower() == name]

    @property
    def interim(self) -> bool:
        """Whether this is not the answer yet (RFC 9110 section 15.2)."""
        return self.status < _OK

    @property
    def keeps_alive(self) -> bool:
        """Whether the connection may be used again (RFC 9112 section 9.3)."""
        options = {o.strip().lower() for v in self.all("connection") for o in v.split(",")}
        return self.minor == 1 and "close" not in options


@dataclass(frozen=True, kw_only=True, slots=True)
class Framing:
    """How the end of a body is found: `chunked`, after `length` bytes, or (neither) at the close.

    `bodiless` is an answer that has no body whatever its head says: to HEAD, 204 and 304.
    """

    chunked: bool = False
    length: int | None = None
    bodiless: bool = False


def request_head(method: str, target: str, fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the bytes of a request's head.

    Raises:
        UsageError: a field name is not a token, or a value could start another field.
    """
    lines = [f"{method} {target} HTTP/1.1"]
    for name, value in fields:
        if not _TOKEN.fullmatch(name):
            raise UsageError(f"{names.show(name, limit=60)!r} is not the name of a header.")
        if _UNSOUND_VALUE.search(value):
            raise UsageError(f"The header {name} has a control character in its value.")
        lines.append(f"{name}: {value}")
    try:
        return "\r\n".join([*lines, "", ""]).encode("latin-1")
    except UnicodeEncodeError:
        raise UsageError(
            "A header has characters outside Latin-1.", hint="Percent-encode its value."
        ) from None


def parse_head(data: bytes) -> Head:
    """Return the head that these bytes are, up to but without the empty line.

    Raises:
        BadResponse: the bytes are not one sound head of HTTP/1.0 or 1.1.
    """
    status_line, *lines = data.decode("latin-1").replace("\r\n", "\n").split("\n")
    match = _STATUS_LINE.fullmatch(status_line)
    if match is None or _UNSOUND_VALUE.search(match[3] or ""):
        shown = names.show(status_line, limit=60)
        raise BadResponse(f"The answer does not begin as HTTP/1.1 does: {shown!r}.")
    fields: list[tuple[str, str]] = []
    for line in lines:
        if plain := _FIELD.fullmatch(line):
            fields.append((plain[1], plain[2].rstrip(" \t")))
            continue
        if line[:1] in {" ", "\t"} and fields:
            # Obsolete line folding: a user agent replaces it by a space (RFC 9112 section 5.2).
            name, value = fields.pop()
            fields.append((name, f"{value} {_sound(name, line)}"))
            continue
        name, colon, value = line.partition(":")
        if not colon or not _TOKEN.fullmatch(name):
            raise BadResponse(
                f"The answer has a line that is no header: {names.show(line, limit=60)!r}."
            )
        fields.append((name, _sound(name, value)))
    if len(fields) > MAX_FIELDS:
        raise BadResponse(f"The answer has more than {MAX_FIELDS} headers.")
    return Head(
        status=int(match[2]), reason=match[3] or "", fields=tuple(fields), minor=int(match[1])
    )


def _sound(name: str, value: str) -> str:
    if _UNSOUND_VALUE.search(value):
        raise BadResponse(f"The answer's header {name} has a control character, such as a bare CR.")
    return value.strip(" \t")


def framing(method: str, head: Head) -> Framing:
    """Return how the body of an answer ends (RFC 9112 section 6.3).

    Raises:
        BadResponse: it could end in two places.
    """
    if method == "HEAD" or head.interim or head.status in _NO_CONTENT:
        return Framing(length=0, bodiless=True)
    codings = [c.strip().lower() for v in head.all("transfer-encoding") for c in v.split(",")]
    lengths = {v.strip(" \t") for value in head.all("content-length") for v in value.split(",")}
    if codings:
        if lengths:
            raise BadResponse("The answer has both Content-Length and Transfer-Encoding.")
        if codings != ["chunked"] or head.minor == 0:
            shown = names.show(", ".join(codings), limit=60)
            raise BadResponse(
                f"The answer has a transfer coding that was not asked for: {shown!r}."
            )
        return Framing(chunked=True)
    if len(lengths) > 1:
        raise BadResponse("The answer has different values of Content-Length.")
    if not lengths:
        return Framing()
    length = lengths.pop()
    if not _LENGTH.fullmatch(length):
        shown = names.show(length, limit=40)
        raise BadResponse(f"The answer's Content-Length is no length: {shown!r}.")
    return Framing(length=int(length))
