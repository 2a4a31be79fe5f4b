"""tar: headers and data in turn, read as they come.

Rules: whatever makes two unpackers see different members (two sizes for one, CVE-2025-62518,
or names for all of them in a global header) is damage; of several names for one member each is
judged, because programs differ in which they take; holes of sparse files count as bytes,
because unpacking writes them; links are told, whatever they point to.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from wharfinger.inspection.archives.member_names import MemberNames
from wharfinger.inspection.archives.place import Damaged, Entry, Place
from wharfinger.inspection.archives.reading import Stream
from wharfinger.inspection.archives.tar_headers import (
    BLOCK,
    Header,
    parse_header,
    parse_number,
    parse_records,
)
from wharfinger.units import MIB

__all__ = ["tar_entries"]

_PAX: Final = frozenset({b"x", b"X"})
_LONG_NAMES: Final = frozenset({b"L", b"K"})
_LINKS: Final = frozenset({b"1", b"2"})
_DEVICES: Final = frozenset({b"3", b"4", b"6"})
_FOLDER: Final = b"5"
_OLD_SPARSE: Final = b"S"
_GLOBAL: Final = b"g"
# Names and sizes take a few hundred bytes; only keys of their own make programs write more.
_LONGEST_EXTENSION: Final = MIB
# GNU writes two before one member, pax writers one.
_MOST_EXTENSIONS: Final = 8
# What an octal size of 11 digits can say; pax records are for what it cannot.
_LARGEST_PLAIN: Final = 8**11
_SPARSE_SIZES: Final = ("GNU.sparse.realsize", "GNU.sparse.size")
_NAMES: Final = ("path", "GNU.sparse.name")
_ZEROS: Final = bytes(BLOCK)


@dataclass(slots=True)
class _Extensions:
    """What stands before a member about it."""

    records: dict[str, str] = field(default_factory=dict)
    name: str = ""
    names: set[str] = field(default_factory=set)
    count: int = 0


def tar_entries(stream: Stream, place: Place, *, counted: bool) -> Iterator[Entry]:
    """Yield the files of an archive; each must be read, or skipped to its end, before the next.

    Args:
        stream: at the first header.
        place: where it lies.
        counted: whether the bytes of the stream were counted as they were unpacked.

    Raises:
        Damaged: the archive cannot be read on.
        TooComplex: too many members, or too large ones.
    """
    names = MemberNames(place)
    about = _Extensions()
    while (block := stream.take(BLOCK)) != _ZEROS:
        if not block:
            raise Damaged("Its end is missing.")
        if len(block) < BLOCK:
            raise Damaged("It is cut short.")
        header = parse_header(block)
        if _extend(about, header, stream, place):
            continue
        yield from _member(header, about, stream, place, names, counted=counted)
        about = _Extensions()
    if any(piece.strip(b"\0") for piece in stream.rest()):
        place.tell("trailing-data", "Other bytes follow the end of the tar archive.")


def _extend(about: _Extensions, header: Header, stream: Stream, place: Place) -> bool:
    """Take a header that is about the next member; return whether it is one."""
    kind = header.kind
    if kind not in _PAX and kind not in _LONG_NAMES and kind != _GLOBAL:
        return False
    about.count += 1
    if about.count > _MOST_EXTENSIONS or header.size > _LONGEST_EXTENSION:
        raise Damaged("An extended header is too long.")
    body = stream.exactly(header.size)
    stream.exactly(-header.size % BLOCK)
    if kind == b"L":
        about.name = body.partition(b"\0")[0].decode("utf-8", "surrogateescape")
        about.names.add(about.name)
    if kind in _LONG_NAMES:
        return True
    # Counted as cheaply as they can be, before each takes its time.
    place.count.records(body.count(b"\n"))
    records = parse_records(body)
    if kind in _PAX:
        if "size" in records and about.records.get("size", records["size"]) != records["size"]:
            raise Damaged("A member has two sizes.")
        about.names.update(records[key] for key in _NAMES if key in records)
        about.records.update(records)
    elif {"path", "linkpath", "size"} & records.keys():
        raise Damaged("A global header gives all members one name or size.")
    return True


def _member(
    header: Header,
    about: _Extensions,
    stream: Stream,
    place: Place,
    names: MemberNames,
    *,
    counted: bool,
) -> Iterator[Entry]:
    records = about.records
    name = records.get("GNU.sparse.name") or records.get("path") or about.name or header.name
    folder = header.kind == _FOLDER or (header.kind in {b"0", b"\0"} and name.endswith("/"))
    place.count.member(folder=folder)
    names.judge(name, folder=folder)
    for other in about.names - {name}:
        names.judge_second(other)
    for other in {header.name, header.other_name} - {name}:
        names.judge_outdated(other)
    link, device = header.kind in _LINKS, header.kind in _DEVICES
    names.judge_kind(name, link=link, device=device)
    if folder or link or device:
        # Their size says something else, or nothing: no data follows.
        return
    size = _size(header, records)
    holes = _real_size(header, records, size, stream) - size
    place.count.announced(max(holes, 0) + (0 if counted else size))
    place.count.add(max(holes, 0))
    yield Entry(name, _data(stream, place, size, counted=counted))
    stream.exactly(-size % BLOCK)


def _size(header: Header, records: dict[str, str]) -> int:
    if "size" not in records:
        return header.size
    size = _decimal(records["size"])
    if size != header.size and size < _LARGEST_PLAIN:
        raise Damaged("A member has two sizes.")
    return size


def _real_size(header: Header, records: dict[str, str], size: int, stream: Stream) -> int:
    """Return what a member holds with its holes, having read the map of an old sparse one."""
    if header.kind == _OLD_SPARSE:
        more = header.block[482]
        while more:
            more = stream.exactly(BLOCK)[504]
        return parse_number(header.block[483:495], "size")
    return next((_decimal(records[key]) for key in _SPARSE_SIZES if key in records), size)


def _decimal(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or len(text) > 20:  # noqa: PLR2004 - 64 bits
        raise Damaged("An extended header has a size that is no number.")
    return int(text)


def _data(stream: Stream, place: Place, size: int, *, counted: bool) -> Iterator[bytes]:
    for piece in stream.portion(size):
        if not counted:
            place.count.add(len(piece))
        yield piece
