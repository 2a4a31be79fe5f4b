"""SVG and other XML, where a policy names it: nothing in it may run or fetch.

A policy without a list of types lets such files pass unread: what takes any type never shows
one inside a page. HTML and XHTML are programs as a whole; who names them has decided.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final

from wharfinger import units
from wharfinger.errors import TooComplex
from wharfinger.inspection import active_markup
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.strict_xml import DtdFound, NotWellFormed, read_xml

__all__ = ["look"]

_SVG: Final = "image/svg+xml"
_SVGZ: Final = "application/x-svgz"
_XHTML: Final = "application/xhtml+xml"
_PIECE: Final = 64 * 1024


def look(file: BinaryIO, size: int, media_type: str, findings: Findings) -> Details | None:
    """Report scripts, references to elsewhere and damage; nothing where any type is taken."""
    if not size or findings.policy.types is None or not _is_xml(media_type):
        return None
    try:
        pieces = _pieces(file)
        if media_type == _SVGZ:
            pieces = _inflated(pieces, findings.policy.max_unpacked)
        drawing = media_type in {_SVG, _SVGZ}
        read_xml(pieces, active_markup.Markup(findings, drawing=drawing))
    except DtdFound:
        findings.report("external-references", "The XML declares a document type or entities.")
    except NotWellFormed as error:
        findings.report("damaged", f"The XML is not well-formed: {error}.")
    return None


def _is_xml(media_type: str) -> bool:
    if media_type == _XHTML:
        return False
    return media_type in {"application/xml", "text/xml", _SVGZ} or media_type.endswith("+xml")


def _pieces(file: BinaryIO) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(_PIECE):
        yield piece


def _inflated(pieces: Iterator[bytes], most: int) -> Iterator[bytes]:
    """Yield what a gzip file holds (RFC 1952); all of its members count."""
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
    count = 0
    try:
        for piece in pieces:
            data = piece
            while data:
                if inflate.eof:
                    inflate = zlib.decompressobj(zlib.MAX_WBITS | 16)
                out = inflate.decompress(data, _PIECE)
                data = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
                count += len(out)
                if count > most:
                    raise TooComplex(
                        f"The SVG holds more than {units.show_size(most)} ({most} bytes).",
                        what="bytes",
                        limit=most,
                    )
                yield out
    except zlib.error as error:
        raise NotWellFormed("its gzip data is damaged") from error
    if not inflate.eof:
        raise NotWellFormed("its gzip data is cut off")
