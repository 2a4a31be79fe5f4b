"""AVIF and HEIC: boxes of ISO/IEC 14496-12 up to the end of the file."""

from __future__ import annotations

from typing import Final

from wharfinger.inspection.images.reading import Bounds, Broken, Source

__all__ = ["walk"]

# Boxes that stand at the top of such a file (ISO/IEC 14496-12 table 1, 23008-12, JUMBF of C2PA).
# `mpvd` holds the film of a motion photo, `sefd` notes of Samsung's cameras.
_TOP: Final = frozenset(
    b"ftyp styp meta moov moof mfra mdat free skip wide uuid sidx ssix prft pdin idat "
    b"emsg imda jumb mpvd sefd".split()
)


def walk(source: Source, bounds: Bounds) -> int:  # noqa: ARG001 - every walk has the same signature
    """Return the offset behind the last box that belongs there. Raises Broken."""
    offset, kinds = 0, set[bytes]()
    while head := source.at(offset, 8):
        kind = head[4:]
        if kind not in _TOP:
            break
        length, least = int.from_bytes(head[:4], "big"), 8
        if length == 1:
            length, least = int.from_bytes(source.exactly(offset + 8, 8, "a box"), "big"), 16
        elif length == 0:
            # To the end of the file: nothing can follow.
            length = source.size - offset
        if length < least:
            raise Broken(f"the box at byte {offset} has {length} bytes")
        kinds.add(kind)
        offset += length
        if offset > source.size:
            source.ends_inside(f"the box {kind.decode('ascii')!r}")
    if b"ftyp" not in kinds or not kinds & {b"meta", b"moov"}:
        raise Broken("there is no picture in it")
    return offset
