"""A zip that lies there whole: its directory first, then its members in the directory's order.

Rules: what the directory announces is compared with the limits before anything is unpacked;
no two members may share a byte (CVE-2024-0450, and the bombs of D. Fifield, "A better zip
bomb", USENIX WOOT 2019); each member's header must repeat what the directory says of it; what
only some programs would unpack is told, with its name judged.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import BinaryIO, Final

from wharfinger.inspection.archives.member_names import MemberNames
from wharfinger.inspection.archives.place import UNREADABLE, Damaged, Entry, Place
from wharfinger.inspection.archives.reading import PIECE
from wharfinger.inspection.archives.xz_headers import LARGEST_WINDOW
from wharfinger.inspection.zip_directory import (
    AmbiguousZip,
    BadZip,
    Directory,
    Member,
    OtherName,
    TooManyMembers,
    UnreadableMember,
    hidden_names,
    local_header,
    open_member,
    read_directory,
)
from wharfinger.names import show
from wharfinger.units import show_size

__all__ = ["directory_of", "tell_kind", "zip_entries"]

# Nothing, compressed: 2 bytes of deflate, 14 of bzip2. Some writers treat folders so.
_NOTHING_PACKED: Final = 32
_LZMA: Final = 14


def zip_entries(file: BinaryIO, size: int, place: Place) -> Iterator[Entry]:
    """Yield the files of an archive. A damaged or unreadable one is told, and the next follows.

    Raises:
        Damaged: its directory cannot be read.
        TooComplex: too many members, or too large ones.
    """
    directory = directory_of(file, size, place, most=place.count.members_left)
    members = directory.members
    place.count.announced(sum(member.unpacked for member in members))
    names = MemberNames(place)
    for member in members:
        folder = _is_folder(member)
        place.count.member(folder=folder)
        names.judge(member.name, folder=folder)
        tell_kind(member, names)
        if member.encrypted:
            place.tell("encrypted", f"The member {_shown(member)} is encrypted.")
    for member in _apart(file, directory, names, place):
        if not (member.encrypted or _is_folder(member)):
            yield Entry(member.name, _content(file, member, place))


def directory_of(file: BinaryIO, size: int, place: Place, *, most: int) -> Directory:
    """Return the directory, having told of bytes before and behind the archive.

    Raises:
        Damaged: it cannot be read.
        TooComplex: it has more members than `most`.
    """
    try:
        directory = read_directory(file, size, most=most)
    except TooManyMembers as error:
        if error.count > most:
            raise place.count.too_many() from error
        raise Damaged(str(error)) from error
    except AmbiguousZip as error:
        # Nobody can say what an unpacker would make of it, nor where.
        place.tell("unsafe-members", str(error))
        raise Damaged(str(error)) from error
    except BadZip as error:
        raise Damaged(str(error)) from error
    if directory.start:
        place.tell("trailing-data", f"{show_size(directory.start)} stand before the zip archive.")
    if directory.end < size:
        behind = show_size(size - directory.end)
        place.tell("trailing-data", f"{behind} follow the end of the zip archive.")
    return directory


def _is_folder(member: Member) -> bool:
    """Return whether a member is a folder; with content it is a file, whatever its name."""
    return member.is_folder and not member.unpacked and member.packed <= _NOTHING_PACKED


def tell_kind(member: Member, names: MemberNames) -> None:
    """Tell of links and devices, and of a second name that some programs prefer."""
    names.judge_kind(member.name, link=member.is_link, device=member.is_device)
    if member.unicode_name and member.unicode_name != member.name:
        names.judge_second(member.unicode_name)


def _apart(file: BinaryIO, directory: Directory, names: MemberNames, place: Place) -> list[Member]:
    """Return the members whose headers are sound, having told of what is not as it should be."""
    sound: list[Member] = []
    spans: list[tuple[int, int, Member]] = []
    for member in directory.members:
        try:
            _, end, other = local_header(file, member)
        except BadZip as error:
            end, wrong, other = member.header_offset + 1, str(error), ""
            if isinstance(error, OtherName):
                other = error.name
        else:
            wrong = "A member reaches into the directory." if end > directory.records else ""
        if other and other not in {member.name, member.unicode_name}:
            names.judge_second(other)
        spans.append((member.header_offset, end, member))
        if not wrong:
            sound.append(member)
        elif not member.encrypted:
            # Where headers are encrypted as well, there is nothing in them to compare.
            place.tell("damaged", f"{wrong} It is {_shown(member)}.")
    in_order = sorted(spans, key=lambda span: span[:2])
    for (_, end, first), (start, _, second) in pairwise(in_order):
        if start < end:
            overlap = f"The members {_shown(first)} and {_shown(second)} share the same bytes."
            place.tell("unsafe-members", overlap)
            break
    _tell_hidden(file, directory, [span[:2] for span in in_order], names, place)
    return sound


def _tell_hidden(
    file: BinaryIO,
    directory: Directory,
    spans: list[tuple[int, int]],
    names: MemberNames,
    place: Place,
) -> None:
    """Tell of members that lie where the directory has none: some programs unpack them, too."""
    ends = [0, *(end for _, end in spans)]
    starts = [*(start for start, _ in spans), directory.records]
    for end, start in zip(ends, starts, strict=True):
        for name in hidden_names(file, end, start):
            place.count.member()
            names.judge_second(name)
            # Of all that stands before the archive it was told already.
            if end:
                left_out = f"The directory leaves out a member, {_quoted(name)}."
                place.tell("trailing-data", left_out)


def _content(file: BinaryIO, member: Member, place: Place) -> Iterator[bytes]:
    try:
        # The size that is announced is compared there; the limit only has to lie beyond it.
        pieces = open_member(file, member, limit=member.unpacked + PIECE)
        window = min(member.unpacked, LARGEST_WINDOW) if member.method == _LZMA else 0
        for piece in place.count.kept(pieces, window):
            place.count.add(len(piece))
            yield piece
    except UnreadableMember as error:
        place.tell(UNREADABLE, f"{error} It is {_shown(member)}.")
    except BadZip as error:
        raise Damaged(f"{error} It is {_shown(member)}.") from error


def _shown(member: Member) -> str:
    return _quoted(member.name)


def _quoted(name: str) -> str:
    return repr(show(name, limit=60))
