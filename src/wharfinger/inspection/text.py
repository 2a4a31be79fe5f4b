"""Whether bytes are text, in which encoding, and which text format.

Text is valid UTF-8, or UTF-8, UTF-16 or UTF-32 behind a byte order mark, without the
control characters that the WHATWG calls binary (MIME Sniffing section 3, "binary data
byte"). Beyond that, text in an old 8-bit code page is accepted where high bytes are a
minority: spreadsheets still export CSV that way.
"""

from __future__ import annotations

import codecs
import json
import re
from typing import Final, NamedTuple

__all__ = ["Text", "TextReader", "is_json", "read_text", "text_format"]


class Text(NamedTuple):
    """A head as UTF-8 without byte order mark, and whether all of it is text."""

    probe: bytes
    valid: bool


# The mark of UTF-32LE begins with that of UTF-16LE, so it comes first.
_MARKS: Final[tuple[tuple[bytes, str], ...]] = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FIRST_OF_MARKS: Final = frozenset(mark[0] for mark, _ in _MARKS)
_BINARY: Final = bytes([*range(0x09), 0x0B, *range(0x0E, 0x1B), *range(0x1C, 0x20)])
_HIGH: Final = bytes(range(0x80, 0x100))
_GLANCE: Final = 64
_BLANKS: Final = b"\t\n\r "
# How JSON goes on after its first character (RFC 8259 section 2), seen from a cut head.
_JSON_START: Final = re.compile(
    rb'\{\s*(?:"|\}|\Z)|\[\s*(?:[\[{"\]]|-?\d[\d.eE+-]*\s*(?:[,\]]|\Z)|(?:true|false|null)\b|\Z)'
)
_XML_START: Final = re.compile(rb"<[A-Za-z_][\w.:-]*(?:\s[^<>]*)?/?>")


def read_text(head: bytes, *, complete: bool) -> Text:
    """Return a head as text; `complete=False` allows for a character cut at its end."""
    if head[0] in _FIRST_OF_MARKS:
        for mark, encoding in _MARKS:
            if head.startswith(mark):
                return _decoded(head[len(mark) :], encoding, complete=complete)
    try:
        codecs.utf_8_decode(head, "strict", complete)
    except UnicodeDecodeError:
        return Text(head, valid=_is_old_text(head))
    return Text(head, valid=not _has_binary(head))


class TextReader:
    """Tells of a whole content, fed in pieces of any size, whether it is text to its end.

    The rules are those of `read_text`; how the content is cut makes no difference.
    """

    __slots__ = ("_count", "_decoder", "_high", "_lead", "_may_be_old", "_utf8", "_wide")

    def __init__(self) -> None:
        self._lead = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._wide = False
        self._utf8 = True
        self._may_be_old = True
        self._count = 0
        self._high = 0

    def feed(self, piece: bytes) -> bool:
        """Take in more; False as soon as it cannot be text any more."""
        if self._decoder is None:
            # The longest mark has four bytes.
            self._lead += piece
            if len(self._lead) < 4:  # noqa: PLR2004
                return True
            piece = self._begin()
        return self._read(piece, final=False)

    def finish(self) -> bool:
        """Return whether all of it was text."""
        last = b"" if self._decoder else self._begin()
        return self._read(last, final=True)

    def _begin(self) -> bytes:
        marks = (row for row in _MARKS if self._lead.startswith(row[0]))
        mark, encoding = next(marks, (b"", "utf-8"))
        self._may_be_old = not mark
        self._wide = encoding != "utf-8"
        self._decoder = codecs.getincrementaldecoder(encoding)("strict")
        return self._lead[len(mark) :]

    def _read(self, piece: bytes, *, final: bool) -> bool:
        text = ""
        if self._utf8:
            try:
                text = self._decoder.decode(piece, final) if self._decoder else ""
            except UnicodeDecodeError:
                self._utf8 = False
        if self._wide:
            self._utf8 = self._utf8 and not _has_binary(text.encode("utf-8"))
            return self._utf8
        self._count += len(piece)
        if not piece.isascii():
            self._high += len(piece) - len(piece.translate(None, _HIGH))
        if _has_binary(piece):
            self._utf8 = self._may_be_old = False
        if self._utf8:
            return True
        # High bytes may be a minority only at the end.
        return self._may_be_old and (not final or self._high * 3 <= self._count)


def text_format(probe: bytes, *, complete: bool) -> str:
    """Return "application/json", "application/xml" or "text/plain" for valid text.

    JSON that is complete must parse; a cut head must begin like it.
    """
    text = probe.lstrip(_BLANKS)
    first = text[:1]
    if first and first in b"{[":
        if _JSON_START.match(text) and (not complete or is_json(text)):
            return "application/json"
    elif first == b"<" and _XML_START.match(text) and (not complete or _is_closed(text)):
        return "application/xml"
    return "text/plain"


def _is_closed(text: bytes) -> bool:
    # Without a prolog it must look like XML at the other end too ("<ann> hello" does not).
    return text.rstrip(_BLANKS).endswith(b">")


def _decoded(data: bytes, encoding: str, *, complete: bool) -> Text:
    decoder = codecs.getincrementaldecoder(encoding)
    try:
        text = decoder("strict").decode(data, final=complete)
    except UnicodeDecodeError:
        # Browsers show it all the same, with replacement characters: look inside, but it is not text.
        text = decoder("replace").decode(data, final=complete)
        return Text(text.encode("utf-8", "replace"), valid=False)
    probe = text.encode("utf-8")
    return Text(probe, valid=not _has_binary(probe))


def _has_binary(data: bytes) -> bool:
    return len(data.translate(None, _BINARY)) != len(data)


def _is_old_text(head: bytes) -> bool:
    if _has_binary(head[:_GLANCE]):
        return False  # as in most content that is no text
    high = len(head) - len(head.translate(None, _HIGH))
    return high * 3 <= len(head) and not _has_binary(head)


def is_json(text: bytes) -> bool:
    """Return whether text is JSON to its end (RFC 8259), with or without a byte order mark."""
    try:
        # `len` stands in for int and float: their digits need no converting (CVE-2020-10735).
        json.loads(text, parse_int=len, parse_float=len, parse_constant=_no_constant)
    except RecursionError:
        # Valid or not, nobody will read it: it began like JSON.
        return True
    except ValueError:
        return False
    return True


def _no_constant(name: str) -> None:
    # NaN and Infinity are not JSON (RFC 8259 section 6).
    raise ValueError(name)
