"""ar, as Debian packages and static libraries use it: short headers and data in turn.

Source: ar(5) of Debian and FreeBSD, deb(5). Equal names are usual in libraries; nothing of
a name's path is kept by the programs that unpack it, yet it is judged as any other.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from wharfinger.inspection.archives.member_names import MemberNames
from wharfinger.inspection.archives.place import Damaged, Entry, Place
from wharfinger.inspection.archives.reading import Stream

__all__ = ["ar_entries"]

_MAGIC: Final = b"!<arch>\n"
_HEADER: Final = 60
_LONGEST_NAME: Final = 4096


def ar_entries(stream: Stream, place: Place) -> Iterator[Entry]:
    """Yield the files of an archive; each must be read to its end before the next.

    Raises:
        Damaged: the archive cannot be read on.
        TooComplex: too many members, or too large ones.
    """
    names = MemberNames(place, repeats=True)
    stream.exactly(len(_MAGIC))
    while header := stream.take(_HEADER):
        digits = header[48:58].rstrip(b" ")
        if not digits.isdigit() or header[58:] != b"`\n":
            raise Damaged("A header of the ar archive is damaged.")
        size = int(digits)
        field = header[:16].rstrip(b" ")
        after = size % 2
        if field.startswith(b"#1/") and field[3:].isdigit():
            # BSD: the name stands before the data and counts as part of it.
            length = int(field[3:])
            if length > min(size, _LONGEST_NAME):
                raise Damaged("A header of the ar archive is damaged.")
            field = stream.exactly(length).rstrip(b"\0")
            size -= length
        place.count.member()
        # GNU: "/" and "//" are tables, "/12" stands for a name in one; others end with a slash.
        name = (field if field.startswith(b"/") else field.rstrip(b"/")).decode("utf-8", "replace")
        if not _is_table(name):
            names.judge(name)
        yield Entry(name.strip("/") or "table", _data(stream, place, size))
        stream.take(after)


def _is_table(name: str) -> bool:
    return name in {"/", "//", "/SYM64/"} or (name[:1] == "/" and name[1:].isdigit())


def _data(stream: Stream, place: Place, size: int) -> Iterator[bytes]:
    for piece in stream.portion(size):
        place.count.add(len(piece))
        yield piece
