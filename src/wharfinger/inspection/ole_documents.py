"""Word, Excel and PowerPoint documents of 1997 to 2003, and Outlook messages: OLE files.

Storages and streams tell most by their names. What stands in the streams is read where it
settles something: macro sheets of Excel 4, a flag for encryption, fields that start programs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from wharfinger.inspection.findings import Findings
from wharfinger.inspection.ole_streams import Streams

__all__ = ["look_into"]

# [MS-OVBA] 2.2.1: where Word, Excel and the project itself keep macros.
_MACROS: Final = frozenset({"macros", "vba", "_vba_project", "_vba_project_cur"})
# [MS-OLEDS] 2.3.6, and the storages in which Word and Excel keep objects.
_OBJECTS: Final = re.compile(r"\x01Ole10Native|MBD[0-9A-F]{8}")
_OBJECT_OF_WORD: Final = re.compile(r"_\d{8,10}")
# [MS-OFFCRYPTO] 2.3.4: a document of today behind a password; [MS-PPT] 2.1.
_ENCRYPTED: Final = frozenset({"EncryptedPackage", "EncryptedSummary"})

# [MS-XLS] 2.4: BOF, EOF, FilePass, BoundSheet8 and its kinds of sheet.
_EOF: Final = 0x000A
_FILE_PASS: Final = 0x002F
_BOUND_SHEET: Final = 0x0085
_MACRO_SHEETS: Final = frozenset({1, 6})
_MOST_RECORDS: Final = 200_000

# [MS-DOC] 2.5.2: fEncrypted in the first block of a document.
_WORD_MAGIC: Final = b"\xec\xa5"
# A field begins with 0x13 (2.8.25), its instructions in 8 or 16 bits follow.
_DDE: Final = re.compile(
    rb"\x13\0?[ \0]{0,20}(?:DDE(?:AUTO)? |D\0D\0E\0(?:A\0U\0T\0O\0)? \0)", re.IGNORECASE
)
# [MS-PPT] 2.4.10 and 2.4.11: VbaInfoContainer, and a VbaInfoAtom whose fHasMacros is 1.
_VBA_INFO: Final = re.compile(
    rb"\x1f\0\xff\x03\x14\0\0\0\x02\0\0\x04\x0c\0\0\0.{4}\x01\0\0\0", re.DOTALL
)
# ExOleEmbedContainer and the atom that it begins with.
_EMBEDDED: Final = re.compile(rb"\x0f\0\xcc\x0f.{4}\x00\0\xcd\x0f", re.DOTALL)
# 2.3.2: the header of an encrypted presentation.
_ENCRYPTED_USER: Final = b"\xdf\xc4\xd1\xf3"
_OVERLAP: Final = 63
_MACROS_FOUND: Final = "The document has macros."
_ENCRYPTED_FOUND: Final = "The document cannot be read without its password."
_OBJECTS_FOUND: Final = "The document has objects of other programs."


def look_into(streams: Streams, findings: Findings) -> None:
    """Report macros, embedded objects and encryption."""
    names = streams.names
    if not _MACROS.isdisjoint(name.lower() for name in names):
        findings.report("macros", _MACROS_FOUND)
    if not _ENCRYPTED.isdisjoint(names):
        findings.report("encrypted", _ENCRYPTED_FOUND)
    of_word = "ObjectPool" in names
    if any(_OBJECTS.fullmatch(n) or (of_word and _OBJECT_OF_WORD.fullmatch(n)) for n in names):
        findings.report("embedded-objects", _OBJECTS_FOUND)
    for name, judge in _STREAMS.items():
        for entry in streams.named(name):
            judge(streams.pieces(entry), findings)


def _judge_workbook(pieces: Iterator[bytes], findings: Findings) -> None:
    """Walk the records that come before the sheets."""
    reader = _Reader(pieces)
    for _ in range(_MOST_RECORDS):
        header = reader.read(4)
        kind = int.from_bytes(header[:2], "little")
        data = reader.read(int.from_bytes(header[2:], "little"))
        if kind == _EOF or len(header) < 4:  # noqa: PLR2004 - kind and length
            return
        if kind == _FILE_PASS:
            # What follows is noise without the password.
            findings.report("encrypted", _ENCRYPTED_FOUND)
            return
        if kind == _BOUND_SHEET and data[5:6] and data[5] in _MACRO_SHEETS:
            findings.report("macros", "The workbook has sheets of macros.")


def _judge_word(pieces: Iterator[bytes], findings: Findings) -> None:
    first = next(pieces, b"")
    if first.startswith(_WORD_MAGIC) and first[11:12] and first[11] & 1:
        findings.report("encrypted", _ENCRYPTED_FOUND)
    elif _has(_DDE, pieces):
        findings.report("macros", "The document has a field that starts a program (DDE).")


def _judge_slides(pieces: Iterator[bytes], findings: Findings) -> None:
    found = _found((_VBA_INFO, _EMBEDDED), pieces)
    if _VBA_INFO in found:
        findings.report("macros", _MACROS_FOUND)
    if _EMBEDDED in found:
        findings.report("embedded-objects", _OBJECTS_FOUND)


def _judge_user(pieces: Iterator[bytes], findings: Findings) -> None:
    if next(pieces, b"")[12:16] == _ENCRYPTED_USER:
        findings.report("encrypted", _ENCRYPTED_FOUND)


_STREAMS: Final[Mapping[str, Callable[[Iterator[bytes], Findings], None]]] = {
    "Workbook": _judge_workbook,
    "Book": _judge_workbook,
    "WordDocument": _judge_word,
    "PowerPoint Document": _judge_slides,
    "Current User": _judge_user,
}


def _has(pattern: re.Pattern[bytes], pieces: Iterator[bytes]) -> bool:
    return pattern in _found((pattern,), pieces)


def _found(
    patterns: tuple[re.Pattern[bytes], ...], pieces: Iterator[bytes]
) -> set[re.Pattern[bytes]]:
    """Return which patterns match; each match is shorter than 64 bytes."""
    found: set[re.Pattern[bytes]] = set()
    held = b""
    for piece in pieces:
        held += piece
        found.update(pattern for pattern in patterns if pattern.search(held))
        held = held[-_OVERLAP:]
    return found


class _Reader:
    """Takes as many bytes as a record has, wherever the sectors end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._held = b""

    def read(self, length: int) -> bytes:
        while len(self._held) < length:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._held += piece
        data, self._held = self._held[:length], self._held[length:]
        return data
