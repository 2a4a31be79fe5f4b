"""CSV and TSV: cells that a spreadsheet would compute.

Excel, LibreOffice and Google Sheets take a cell that begins with = + - or @ for a formula,
whatever program wrote the file (OWASP, "CSV Injection"). Honest tables have such cells too, so
this is told and, unless the policy says otherwise, no reason to refuse.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator
from typing import BinaryIO, Final

from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings

__all__ = ["look"]

_TABLES: Final = frozenset({"text/csv", "text/tab-separated-values"})
_PIECE: Final = 64 * 1024
# No spreadsheet takes 32,768 characters in a cell, or a formula half as long (Excel, "limits"):
# of a longer cell the beginning was judged, the rest is passed over.
_LONGEST_CELL: Final = 128 * 1024
_MARKS: Final[tuple[tuple[bytes, str], ...]] = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
    (codecs.BOM_UTF8, ""),
)

# Which separator a spreadsheet takes depends on its settings, so all of them count.
_ENDS: Final = rb",;\t|\r\n"
# A sign before digits, and what belongs to amounts, dates and telephone numbers, is a number.
_NUMBER: Final = (
    rb"(?:[\d .:/()%%'+-]|[eE][+-]?\d|[$\xa3\xa4\xa5]|\xc2[\xa0\xa3\xa5]|\xe2\x82\xac)*"
    rb"""(?:["%b]|\Z)""" % _ENDS
)
# A tab and a carriage return begin a cell only within quotes; = + - @ exist in full width, too.
_FORMULA: Final = rb"""(?:"[\t\r]|"?(?:[=@]|\xef\xbc[\x9d\x8b\x8d\xa0]|[+-](?!%b)))""" % _NUMBER
_FORMULA_CELL: Final = re.compile(_FORMULA)
# Whole cells that are none, each with what ends it. A quote is one only at a cell's beginning.
_HARMLESS_CELLS: Final = re.compile(
    rb"""(?:(?!%b)(?:"[^"]*(?:""[^"]*)*"(?!")[^%b]*|[^"%b][^%b]*|)[%b])*"""
    % (_FORMULA, _ENDS, _ENDS, _ENDS, _ENDS)
)
_CELL_END: Final = re.compile(rb"[%b]" % _ENDS)


def look(file: BinaryIO, size: int, media_type: str, findings: Findings) -> Details | None:
    """Report a table with cells that would be computed; the first one settles it."""
    if media_type in _TABLES and size and _has_formula(file):
        findings.report("formulas", "The table has cells that a spreadsheet would compute.")
    return None


def _has_formula(file: BinaryIO) -> bool:
    held = b""
    for piece in _pieces(file):
        held = _rest(held + piece)
        # A cell that is cut off may still turn out to be a number.
        if _CELL_END.search(held) and _FORMULA_CELL.match(held):
            return True
        if len(held) > _LONGEST_CELL:
            if _FORMULA_CELL.match(held):
                return True
            # Quoted: as if the quote were none, or it would hold the whole file.
            held = b"." + (held[1:] if held.startswith(b'"') else b"")
    return _FORMULA_CELL.match(_rest(held)) is not None


def _rest(data: bytes) -> bytes:
    """Return what is left from the first cell on that is a formula or not at its end yet."""
    harmless = _HARMLESS_CELLS.match(data)
    return data if harmless is None else data[harmless.end() :]


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    """Yield the file as UTF-8, or in its old code page, without a byte order mark."""
    file.seek(0)
    piece = file.read(_PIECE)
    mark, encoding = next((m for m in _MARKS if piece.startswith(m[0])), (b"", ""))
    piece = piece[len(mark) :]
    decoder = codecs.getincrementaldecoder(encoding)("replace") if encoding else None
    while piece:
        yield piece if decoder is None else decoder.decode(piece).encode()
        piece = file.read(_PIECE)
