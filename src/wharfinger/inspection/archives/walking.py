"""`members`: the files in an archive, and in the archives in it, one after another.

The one walk through archives: the look counts and judges with it, scanners are fed by it.
What a member is, its first bytes decide, not its name. An archive inside is walked in its
place and not given out itself; a tar in a gzip, bzip2 or xz file is one archive with it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain
from typing import BinaryIO, Final, TypeVar

from wharfinger.inspection.archives.ar import ar_entries
from wharfinger.inspection.archives.compressed import COMPRESSED, unpacked
from wharfinger.inspection.archives.counting import Count
from wharfinger.inspection.archives.place import UNREADABLE, Damaged, Entry, Place, Report
from wharfinger.inspection.archives.reading import Stream, pieces_of
from wharfinger.inspection.archives.tar import tar_entries
from wharfinger.inspection.archives.tar_headers import BLOCK, is_header
from wharfinger.inspection.archives.zip_in_order import zip_entries_in_order
from wharfinger.inspection.archives.zips import zip_entries
from wharfinger.inspection.detection import HEAD_SIZE
from wharfinger.inspection.media_types import UNKNOWN_TYPE
from wharfinger.inspection.signatures import signature_type
from wharfinger.inspection.zip_directory import has_end_record
from wharfinger.policy import Policy
from wharfinger.units import MIB

__all__ = ["UNREADABLE", "Walk", "members"]

_ZIP: Final = "application/zip"
_TAR: Final = "application/x-tar"
_AR: Final = "application/x-archive"
_WALKED: Final = frozenset({_ZIP, _TAR, _AR, *COMPRESSED})
_NOT_WALKED: Final = frozenset(
    {
        "application/zstd",
        "application/x-7z-compressed",
        "application/vnd.rar",
        "application/vnd.ms-cab-compressed",
        "application/x-rpm",
    }
)
# A zip inside an archive is held up to here; one in each of a few layers stays below 32 MiB.
_HELD: Final = 8 * MIB
_ZIP_MAGIC: Final = (b"PK\3\4", b"PK\5\6", b"PK\7\x08PK", b"PK00PK")
_Item = TypeVar("_Item")
# What compressed files do not say: what their content is called.
_CONTENT: Final = "content"


def members(
    file: BinaryIO, size: int, media_type: str, limits: Policy, report: Report | None = None
) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield the path and the bytes of every file in an archive; nothing for other content.

    The bytes come in pieces of at most 64 KiB, and need not be read to their end: the walk does
    that. They are to be read before the next path is asked for, and used only once they ended
    without an error or a report.

    Args:
        file: open for reading and seekable; nobody else may move it meanwhile.
        size: its length in bytes.
        media_type: what it was found to be; where the first bytes say what archive it is, they
            decide.
        limits: a policy of which only the limits count.
        report: takes what was found, a word of `wharfinger.policy.FINDINGS` or `UNREADABLE`
            (members that nobody here can unpack: 7z inside zip, for one), and a sentence.
            After any of "damaged", "encrypted", "trailing-data" and `UNREADABLE` not everything
            was given out.
            What it raises ends the walk.

    Raises:
        TooComplex: members, bytes, ratio, depth or memory over the limits.
    """
    return Walk(size, media_type, limits, report or _ignore).members(file)


def _ignore(word: str, sentence: str) -> None:
    """Take a finding that nobody asked for."""


class Walk:
    """A walk through one file, and what it has counted. `walked` says that it is an archive."""

    __slots__ = ("_media_type", "_report", "_size", "count", "walked")

    def __init__(self, size: int, media_type: str, limits: Policy, report: Report) -> None:
        self._size = size
        self._media_type = media_type
        self._report = report
        self.count = Count(limits, size)
        self.walked = False

    def members(self, file: BinaryIO) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Yield what `members` does, once."""
        file.seek(0)
        head = file.read(HEAD_SIZE)
        kind = _kind(self._media_type, head)
        if kind == UNKNOWN_TYPE and has_end_record(file, self._size):
            # Unpackers look from the end: a byte before an archive does not stop them.
            kind = _ZIP
        place = Place("", 0, self.count, self._report)
        if kind in _NOT_WALKED:
            place.tell(UNREADABLE, f"Archives of the type {kind} are not looked into.")
        if kind not in _WALKED:
            return
        self.walked = True
        if kind == _ZIP:
            entries = _told(zip_entries(file, self._size, place), place)
            yield from self._each(entries, place)
        else:
            yield from self._archive(kind, Stream(pieces_of(file, self._size)), place)

    def _archive(
        self, kind: str, stream: Stream, place: Place, *, counted: bool = False
    ) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Walk through an archive that comes as a stream; damage ends it and is told."""
        if kind in COMPRESSED:
            yield from self._compressed(kind, stream, place)
            return
        if kind == _TAR:
            entries = tar_entries(stream, place, counted=counted)
        elif kind == _AR:
            entries = ar_entries(stream, place)
        else:
            entries = _zip_inside(stream, place)
        yield from self._each(_told(entries, place), place)

    def _compressed(
        self, kind: str, packed: Stream, place: Place
    ) -> Iterator[tuple[str, Iterator[bytes]]]:
        content = Stream(_told(unpacked(kind, packed, place), place))
        head = content.peek(HEAD_SIZE)
        # Before all signatures: the name of its first member may look like one.
        if is_header(head[:BLOCK]):
            yield from self._archive(_TAR, content, place, counted=True)
            for _ in content.rest():
                pass
        else:
            self.count.member()
            yield from self._content(content, _CONTENT, place)

    def _each(
        self, entries: Iterator[Entry], place: Place
    ) -> Iterator[tuple[str, Iterator[bytes]]]:
        for entry in entries:
            content = Stream(_told(entry.pieces, place))
            yield from self._content(content, entry.name, place)

    def _content(
        self, content: Stream, name: str, place: Place
    ) -> Iterator[tuple[str, Iterator[bytes]]]:
        """Walk through a member, or give it out; then read what is left of it."""
        head = content.peek(HEAD_SIZE)
        kind = _kind("", head)
        inside = place.inside(name)
        if kind in _WALKED:
            self.count.depth(inside.depth)
            yield from self._archive(kind, content, inside)
        else:
            if kind in _NOT_WALKED:
                inside.tell(UNREADABLE, f"Archives of the type {kind} are not looked into.")
            yield inside.path, content.rest()
        for _ in content.rest():
            pass


def _kind(media_type: str, head: bytes) -> str:
    """Return the archive format of content, or whatever else it is."""
    if not head:
        return media_type
    # Whatever document or picture it is otherwise.
    if head.startswith(_ZIP_MAGIC):
        return _ZIP
    if is_header(head[:BLOCK]):
        return _TAR
    # Signatures alone: whether a member is text or markup would take a hundred times as long.
    return signature_type(head) or media_type


def _told(items: Iterator[_Item], place: Place) -> Iterator[_Item]:
    """Pass items on up to damage, which is told."""
    try:
        yield from items
        return
    except Damaged as error:
        damage = str(error)
    place.tell("damaged", damage)


def _zip_inside(stream: Stream, place: Place) -> Iterator[Entry]:
    """Yield the files of a zip inside another archive, held or in order."""
    held = io.BytesIO()
    while held.tell() <= _HELD and (piece := stream.some()):
        held.write(piece)
    if held.tell() <= _HELD:
        yield from zip_entries(held, held.tell(), place)
    else:
        size = held.tell()
        yield from zip_entries_in_order(Stream(chain(pieces_of(held, size), stream.rest())), place)
