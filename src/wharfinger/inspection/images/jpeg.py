"""JPEG: markers and segments up to the end of image (ITU-T T.81, annex B)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from wharfinger.inspection.images.reading import PIECE, Bounds, Broken, Source

__all__ = ["Segment", "segments", "walk"]

SOI, EOI, SOS, TEM, COM = 0xD8, 0xD9, 0xDA, 0x01, 0xFE
APP0, APP1, APP2, APP14, APP15 = 0xE0, 0xE1, 0xE2, 0xEE, 0xEF
_RESTARTS: Final = range(0xD0, 0xD8)
# Start of frame of every coding; DHT, JPG and DAC lie among them (T.81 table B.1).
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
# A marker inside entropy-coded data: not a stuffed zero, a restart or a fill byte.
_MARKER: Final = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]", re.DOTALL)
_NAME: Final = 64
_FEW: Final = 64
# Several pictures in one file: CIPA DC-007 (MPF), and gain maps (Ultra HDR, ISO 21496-1).
_SEVERAL: Final = (b"MPF\0", b"urn:iso:std:iso:ts:21496:-1")
_SEVERAL_IN_XMP: Final = (b"hdrgm:", b"GContainer", b"http://ns.google.com/photos/1.0/container/")
_XMP: Final = b"http://ns.adobe.com/xap/1.0/\0"
_MOST_PICTURES: Final = 16
_MOST_NOTES: Final = 2048


@dataclass(frozen=True, slots=True)
class Segment:
    """One marker with what belongs to it: a segment, and after SOS its entropy-coded data too.

    `start` and `end` are offsets; `head` are the first bytes of a segment's content.
    """

    marker: int
    start: int
    end: int
    head: bytes = b""


def segments(source: Source, start: int = 0) -> Iterator[Segment]:
    """Yield the segments of the JPEG at an offset, from SOI to EOI. Raises Broken."""
    if source.at(start, 2) != b"\xff\xd8":
        raise Broken("it does not begin with a start of image")
    yield Segment(SOI, start, start + 2)
    offset = start + 2
    while True:
        begin = offset
        marker = _marker(source, offset)
        offset, code = marker
        if code == EOI:
            yield Segment(EOI, begin, offset)
            return
        if code == TEM or code in _RESTARTS:
            yield Segment(code, begin, offset)
            continue
        if code in {0x00, SOI}:
            raise Broken(f"there is no segment at byte {begin}")
        length = int.from_bytes(source.exactly(offset, 2, "a segment"), "big")
        if length < 2:  # noqa: PLR2004 - the length counts its own two bytes
            raise Broken(f"the segment at byte {begin} has no length")
        end = offset + length
        if end > source.size:
            source.ends_inside("a segment")
        head = source.at(offset + 2, min(length - 2, _NAME))
        if code == SOS:
            end = _after_scan(source, end)
        yield Segment(code, begin, end, head)
        offset = end


def walk(source: Source, bounds: Bounds) -> int:
    """Return the offset behind the last picture. Raises Broken, TooComplex."""
    end, several = _picture(source, 0, bounds)
    pictures = 1
    while several and pictures < _MOST_PICTURES:
        begin = _skip_zeros(source, end)
        if source.at(begin, 3) != b"\xff\xd8\xff":
            break
        end, _ = _picture(source, begin, bounds)
        pictures += 1
    return _after_notes(source, end)


def _picture(source: Source, start: int, bounds: Bounds) -> tuple[int, bool]:
    """Return where one picture ends, and whether it says that others follow it."""
    several, end, drawn = False, start, False
    for segment in segments(source, start):
        end = segment.end
        if segment.marker in _FRAMES:
            if len(segment.head) < 5:  # noqa: PLR2004 - precision, lines, samples
                raise Broken(f"the frame header at byte {segment.start} is too short")
            lines = int.from_bytes(segment.head[1:3], "big")
            bounds.picture(int.from_bytes(segment.head[3:5], "big"), lines)
        elif segment.marker == SOS:
            drawn = True
        elif segment.marker == APP2 and segment.head.startswith(_SEVERAL):
            several = True
        elif segment.marker == APP1 and segment.head.startswith(_XMP):
            text = source.at(segment.start, segment.end - segment.start)
            several = several or any(word in text for word in _SEVERAL_IN_XMP)
    if not drawn:
        raise Broken("there is no picture in it")
    return end, several


def _marker(source: Source, offset: int) -> tuple[int, int]:
    """Return the offset behind the marker here, fill bytes skipped, and its code."""
    first = source.exactly(offset, 2, "its segments, without an end of image")
    if first[0] != 0xFF:  # noqa: PLR2004 - T.81 B.1.1.2: markers begin with it
        raise Broken(f"there is no segment at byte {offset}")
    offset, code = offset + 2, first[1]
    while code == 0xFF:  # noqa: PLR2004 - fill bytes
        code = source.exactly(offset, 1, "its segments, without an end of image")[0]
        offset += 1
    return offset, code


def _after_scan(source: Source, offset: int) -> int:
    """Return where the entropy-coded data ends: at the next marker."""
    # A few bytes first: there may be hundreds of thousands of scans, all of them empty.
    length = _FEW
    while True:
        piece = source.at(offset, length)
        found = _MARKER.search(piece)
        if found:
            return offset + found.start()
        if len(piece) < length:
            source.ends_inside("its pixels, without an end of image")
        # The last byte may be the first half of a marker.
        offset += len(piece) - 1
        length = PIECE


def _after_notes(source: Source, end: int) -> int:
    """Return where the notes end that Samsung's cameras put behind a picture, if they stand there.

    Blocks of notes, their directory (SEFH: a version, a count, and for each block its kind, the
    way back to it and its length), the directory's length, SEFT. Every byte must belong to one.
    A film (motion photo) has this form too, and is too long for a note.
    """
    tail = source.at(end, _MOST_NOTES + 1)
    if len(tail) > _MOST_NOTES or not tail.endswith(b"SEFT"):
        return end
    length = int.from_bytes(tail[-8:-4], "little")
    blocks, directory = tail[: -8 - length], tail[-8 - length : -8]
    count = int.from_bytes(directory[8:12], "little")
    if not directory.startswith(b"SEFH") or length != 12 + 12 * count:
        return end
    place = 0
    for entry in range(12, length, 12):
        back = int.from_bytes(directory[entry + 4 : entry + 8], "little")
        if len(blocks) - back != place:
            return end
        place += int.from_bytes(directory[entry + 8 : entry + 12], "little")
    return source.size if place == len(blocks) else end


def _skip_zeros(source: Source, offset: int) -> int:
    """Return the next place that is not zero: cameras align the pictures of a file."""
    while piece := source.at(offset, PIECE):
        rest = piece.lstrip(b"\0")
        offset += len(piece) - len(rest)
        if rest:
            break
    return offset
