"""`detect_whole`: what a whole file is. It never raises for what is in the file.

The head's answer stands, except where the rest can prove it wrong: an archive's directory
tells what is built on it, an OLE directory which document it is, JSON must parse, and text
must be text to its end.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import BinaryIO, Final

from wharfinger.inspection.detection import ACTIVE_TYPES, HEAD_SIZE, UNKNOWN, Detected, detect
from wharfinger.inspection.ole import whole_ole_type
from wharfinger.inspection.packages import package_type
from wharfinger.inspection.text import TextReader, is_json
from wharfinger.inspection.zip_directory import BadZip, read_directory

__all__ = ["detect_whole"]

_ZIP_MAGICS: Final = (b"PK\3\4", b"PK\5\6", b"PK\7\x08PK")
_OLE_MAGIC: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
# Parsed JSON takes some twenty times the memory of its text: beyond this, what begins like JSON
# and is text to its end counts as JSON.
_MOST_JSON: Final = 1024 * 1024
# Types that nothing but the text itself tells.
_BY_ITS_TEXT: Final = frozenset({"text/plain", "application/json"})
_PIECE: Final = 256 * 1024


def detect_whole(file: BinaryIO, size: int) -> Detected:
    """Return what a whole file is.

    Args:
        file: open for reading, at any place, seekable; it is read and nothing else.
        size: its length in bytes.
    """
    file.seek(0)
    head = file.read(HEAD_SIZE)
    found = detect(head, complete=size <= HEAD_SIZE)
    if found.text:
        return found if size <= HEAD_SIZE else _text(file, size, found)
    if head.startswith(_ZIP_MAGICS):
        try:
            media_type = package_type(file, read_directory(file, size))
        except BadZip:
            # Damaged: the first members tell what it was meant to be.
            return found
        return Detected(media_type, active=media_type in ACTIVE_TYPES)
    if head.startswith(_OLE_MAGIC):
        media_type = whole_ole_type(file, size)
        return Detected(media_type, active=media_type in ACTIVE_TYPES)
    return found


def _text(file: BinaryIO, size: int, found: Detected) -> Detected:
    reader = TextReader()
    for piece in _pieces(file):
        if not reader.feed(piece):
            break
    if not reader.finish():
        # What begins as markup or a script is read as such all the same.
        return UNKNOWN if found.type in _BY_ITS_TEXT else replace(found, text=False)
    if found.type == "application/json" and size <= _MOST_JSON and not _is_json(file):
        return replace(found, type="text/plain")
    return found


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def _is_json(file: BinaryIO) -> bool:
    file.seek(0)
    return is_json(file.read(_MOST_JSON))
