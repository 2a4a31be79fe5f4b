"""The parts of an office document that is a ZIP archive: read as XML, within bounds.

Each part is read twice at most. The first pass inflates it and looks for a few words, which
costs little more than the inflating; only where one stands is the part parsed, strictly.
What a part is follows from how it begins, not from what it is called.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

from wharfinger import units
from wharfinger.errors import TooComplex
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.strict_xml import DtdFound, Elements, NotWellFormed, XmlEvents, read_xml
from wharfinger.inspection.zip_directory import (
    BadZip,
    Member,
    MemberTooLong,
    UnreadableMember,
    open_member,
    read_directory,
)

__all__ = ["DTD_MARKS", "Part", "Parts"]

# A pattern for the first pass: where it matches, the part is parsed.
DTD_MARKS: Final = rb"<!DOCTYPE|<!ENTITY"
# The longest word that a pattern may look for, less one: it may lie across two pieces.
_OVERLAP: Final = 63
_BLANKS: Final = b"\t\n\r "
_UTF_16: Final[tuple[tuple[bytes, str], ...]] = (
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (b"<\0", "utf-16-le"),
    (b"\0<", "utf-16-be"),
)


class Part(NamedTuple):
    """One part; `name` is in lower case, without a leading slash."""

    name: str
    member: Member


class Parts:
    """The parts of one document. What is wrong with them is reported, and raised if refused."""

    def __init__(self, file: BinaryIO, size: int, findings: Findings) -> None:
        self._file = file
        self._findings = findings
        self._most = findings.policy.max_unpacked
        self._elements = Elements()
        members: tuple[Member, ...] = ()
        try:
            members = read_directory(file, size).members
        except BadZip as error:
            findings.report("damaged", f"The document is damaged. {error}")
        # Names that differ in case alone are the same to some programs and two to others.
        self._parts = tuple(
            Part(member.name.replace("\\", "/").lstrip("/").lower(), member)
            for member in members
            if not member.is_folder
        )

    @property
    def names(self) -> tuple[str, ...]:
        """The names of all parts, in lower case."""
        return tuple(part.name for part in self._parts)

    def marked(self, marks: re.Pattern[bytes]) -> Iterator[tuple[Part, frozenset[bytes]]]:
        """Yield the XML parts, each with the marks that stand in it.

        Args:
            marks: matches at most 64 bytes, in text as UTF-8.
        """
        for part in self._parts:
            pieces = self._text(part)
            if pieces is not None:
                yield part, _find(pieces, marks)

    def read(self, part: Part, events: XmlEvents) -> None:
        """Read one part strictly; one with a DTD or that is not well-formed is reported."""
        try:
            read_xml(self._pieces(part), events, elements=self._elements)
        except DtdFound:
            self._findings.report(
                "external-references",
                "A part of the document declares a document type or entities.",
            )
        except NotWellFormed as error:
            self._findings.report("damaged", f"A part of the document is damaged: {error}.")

    def _text(self, part: Part) -> Iterator[bytes] | None:
        """Return the pieces of a part as UTF-8; None when it does not begin like XML."""
        pieces = self._pieces(part)
        first = next(pieces, b"")
        for mark, encoding in _UTF_16:
            if first.startswith(mark):
                return _decoded(first, pieces, encoding)
        plain = first.removeprefix(codecs.BOM_UTF8).lstrip(_BLANKS).startswith(b"<")
        # Relationships are never passed over: in an encoding of its own, a part is damage.
        if plain or (first and part.name.endswith(".rels")):
            return _joined(first, pieces)
        return None

    def _pieces(self, part: Part) -> Iterator[bytes]:
        """Yield a part's bytes; what is damaged or encrypted ends there and is reported."""
        try:
            yield from open_member(self._file, part.member, limit=self._most)
        except UnreadableMember:
            self._findings.report("encrypted", "A part of the document cannot be read.")
        except BadZip as error:
            self._findings.report("damaged", f"The document is damaged. {error}")
        except MemberTooLong:
            raise TooComplex(
                "A part of the document is longer than "
                f"{units.show_size(self._most)} ({self._most} bytes).",
                what="bytes",
                limit=self._most,
            ) from None


def _find(pieces: Iterator[bytes], marks: re.Pattern[bytes]) -> frozenset[bytes]:
    found: set[bytes] = set()
    held = b""
    for piece in pieces:
        held += piece
        found.update(marks.findall(held))
        held = held[-_OVERLAP:]
    return frozenset(found)


def _joined(first: bytes, pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from pieces


def _decoded(first: bytes, pieces: Iterator[bytes], encoding: str) -> Iterator[bytes]:
    decoder = codecs.getincrementaldecoder(encoding)("replace")
    for piece in _joined(first, pieces):
        yield decoder.decode(piece).encode("utf-8", "replace")
