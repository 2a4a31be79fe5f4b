"""SVG and other XML, where a policy names it: nothing in it may run or fetch.

A policy without a list of types lets such files pass unread: what takes any type never shows
one inside a page. HTML and XHTML are programs as a whole; who names them has decided.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from wharfinger.inspection import active_markup
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.strict_xml import DtdFound, NotWellFormed, read_xml

__all__ = ["look"]

_SVG: Final = "image/svg+xml"
_XHTML: Final = "application/xhtml+xml"
_PIECE: Final = 64 * 1024


def look(file: BinaryIO, size: int, media_type: str, findings: Findings) -> Details | None:
    """Report scripts, references to elsewhere and damage; nothing where any type is taken."""
    if not size or findings.policy.types is None or not _is_xml(media_type):
        return None
    try:
        read_xml(_pieces(file), active_markup.Markup(findings, drawing=media_type == _SVG))
    except DtdFound:
        findings.report("external-references", "The XML declares a document type or entities.")
    except NotWellFormed as error:
        findings.report("damaged", f"The XML is not well-formed: {error}.")
    return None


def _is_xml(media_type: str) -> bool:
    if media_type == _XHTML:
        return False
    return media_type in {"application/xml", "text/xml"} or media_type.endswith("+xml")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece
