"""Office documents of all kinds: which look is whose."""

from __future__ import annotations

from typing import BinaryIO, Final

from wharfinger.inspection import office, ole_documents, open_document
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.ole import ENCRYPTED_TYPE, OLE_TYPE
from wharfinger.inspection.ole_streams import Streams
from wharfinger.inspection.package_parts import Parts

__all__ = ["look"]

_OOXML: Final = "application/vnd.openxmlformats-officedocument"
# .docm, .xlsm, .pptm, .xlsb and their templates.
_WITH_MACROS: Final = ".macroenabled.12"
_OPEN_DOCUMENT: Final = "application/vnd.oasis.opendocument."
_OLE: Final = frozenset(
    {
        OLE_TYPE,
        ENCRYPTED_TYPE,
        "application/msword",
        "application/vnd.ms-excel",
        "application/vnd.ms-powerpoint",
    }
    | {"application/vnd.ms-outlook"}
)


def look(file: BinaryIO, size: int, media_type: str, findings: Findings) -> Details | None:
    """Report macros, embedded objects, references to elsewhere and encryption."""
    if media_type.startswith(_OOXML) or media_type.endswith(_WITH_MACROS):
        office.look_into(Parts(file, size, findings), findings)
    elif media_type.startswith(_OPEN_DOCUMENT):
        open_document.look_into(Parts(file, size, findings), findings)
    elif media_type in _OLE:
        ole_documents.look_into(Streams(file, size), findings)
    return None
