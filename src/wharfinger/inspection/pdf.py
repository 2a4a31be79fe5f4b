"""A PDF by its bytes alone: does it end, and does a second file hide behind or in its end?

What the document does when it is opened (scripts, programs, attached files) stands in objects
that may be compressed: `wharfinger.checking.pdf` reads those where its extra is installed.
"""

from __future__ import annotations

from typing import BinaryIO, Final

from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.zip_directory import has_end_record

__all__ = ["look"]

_PIECE: Final = 64 * 1024
_END: Final = b"%%EOF"  # ISO 32000-2 section 7.5.5
# Line ends, the padding of disks and of old systems.
_PADDING: Final = b"\0\t\n\x0c\r\x1a "
# A cut "startxref" or the rest of a line that some printer left; too little for a file of its own.
_A_FEW: Final = 8


def look(file: BinaryIO, size: int, media_type: str, findings: Findings) -> Details | None:
    """Report a PDF that is cut off, goes on behind its end, or is a ZIP archive as well.

    An archive is read from its end and may lie inside a stream of the PDF, so its end record
    is looked for where every unpacker does: in the last 64 KiB.
    """
    if media_type != "application/pdf":
        return None
    if has_end_record(file, size):
        findings.report("trailing-data", "The PDF is a ZIP archive at the same time.")
    end = _last_end(file, size)
    if end is None:
        findings.report("damaged", "The PDF has no end: it was cut off.")
    elif _holds_more(file, end):
        findings.report("trailing-data", f"{size - end} bytes follow the end of the PDF.")
    return None


def _last_end(file: BinaryIO, size: int) -> int | None:
    """Return the offset behind the last end mark, searched backwards."""
    stop = size
    while stop > 0:
        start = max(0, stop - _PIECE)
        file.seek(start)
        # A mark may lie across two pieces.
        found = file.read(stop - start + len(_END) - 1).rfind(_END)
        if found >= 0:
            return start + found + len(_END)
        stop = start
    return None


def _holds_more(file: BinaryIO, start: int) -> bool:
    file.seek(start)
    count = 0
    while count <= _A_FEW and (piece := file.read(_PIECE)):
        count += len(piece.translate(None, _PADDING))
    return count > _A_FEW
