"""A zip inside another archive that is too large to be held: read by the headers before its members.

Its directory comes past last and is compared with what was seen: every member must be in both,
with the same name, sizes and checksum, so that nothing is hidden between members or read twice.
What cannot be read this way is damage, because nobody can vouch for it: members that are
neither deflated nor have a size in their header (APPNOTE 6.3.10 section 4.4.4, bit 3), and
bytes between members.
"""

from __future__ import annotations

import hashlib
import io
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from wharfinger.inspection.archives.compressed import Inflater, decoded
from wharfinger.inspection.archives.member_names import MemberNames
from wharfinger.inspection.archives.place import UNREADABLE, Damaged, Entry, Place
from wharfinger.inspection.archives.reading import Stream
from wharfinger.inspection.archives.zips import directory_of, tell_kind
from wharfinger.inspection.zip_directory import BadZip, unicode_name
from wharfinger.names import show
from wharfinger.units import KIB

__all__ = ["zip_entries_in_order"]

_LOCAL: Final = struct.Struct("<4s5H3L2H")
_SEE_ZIP64: Final = 0xFFFFFFFF
_ZIP64_FIELD: Final = b"\1\0"
_ENCRYPTED: Final = 0x2041
_SIZES_FOLLOW: Final = 1 << 3
_UTF8: Final = 1 << 11
# As much as `read_directory` reads for its members, and what Android writes before it, and the
# end record with its comment.
_ROOM_PER_MEMBER: Final = KIB
_ROOM: Final = 256 * KIB


class _Header(NamedTuple):
    name: str
    raw_name: bytes
    unicode_name: str
    flags: int
    method: int
    crc32: int
    packed: int
    unpacked: int

    @property
    def sizes_follow(self) -> bool:
        return bool(self.flags & _SIZES_FOLLOW)

    @property
    def open_end(self) -> bool:
        return self.sizes_follow and not self.packed


class _Seen(NamedTuple):
    """What directory and members must agree on. Of the name a digest: it may be 64 KiB long."""

    name: bytes
    method: int
    crc32: int
    packed: int
    unpacked: int


@dataclass(slots=True)
class _Tally:
    """What a member holds, as it comes past."""

    crc32: int = 0
    unpacked: int = 0
    complete: bool = False

    def over(self, pieces: Iterator[bytes], place: Place) -> Iterator[bytes]:
        """Pass pieces on, counted."""
        for piece in pieces:
            place.count.add(len(piece))
            self.crc32 = zlib.crc32(piece, self.crc32)
            self.unpacked += len(piece)
            yield piece
        self.complete = True


def zip_entries_in_order(stream: Stream, place: Place) -> Iterator[Entry]:
    """Yield the files of an archive; each must be read to its end before the next.

    Raises:
        Damaged: it cannot be read on.
        TooComplex: too many members, or too large ones.
    """
    names = MemberNames(place)
    most = place.count.members_left
    seen: dict[int, _Seen] = {}
    while stream.peek(4) == b"PK\3\4":
        offset = stream.offset
        header = _header(stream)
        folder = header.raw_name.endswith(b"/") and not header.unpacked
        place.count.member(folder=folder)
        names.judge(header.name, folder=folder)
        if header.unicode_name and header.unicode_name != header.name:
            names.judge_second(header.unicode_name)
        place.count.announced(header.unpacked)
        if _skipped(header, stream, place):
            seen[offset] = _seen(header, header.crc32, header.packed, header.unpacked)
            continue
        began, tally = stream.offset, _Tally()
        packed = stream if header.open_end else Stream(stream.portion(header.packed))
        yield Entry(header.name, tally.over(_content(header, packed), place))
        if not tally.complete or (packed is not stream and packed.peek(1)):
            raise Damaged(f"The member {show(header.name, limit=60)!r} is damaged.")
        length = stream.offset - began
        _check_sizes(header, tally, length, stream)
        seen[offset] = _seen(header, tally.crc32, length, tally.unpacked)
    _compare(stream, seen, names, place, most)


def _header(stream: Stream) -> _Header:
    fields = _LOCAL.unpack(stream.exactly(_LOCAL.size))
    _, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = fields
    raw = stream.exactly(name_length)
    extra = stream.exactly(extra_length)
    if _SEE_ZIP64 in {packed, unpacked}:
        packed, unpacked = _wide_sizes(extra)
    name = raw.decode("utf-8", "replace") if flags & _UTF8 else raw.decode("cp437")
    try:
        other = unicode_name(extra, raw)
    except BadZip as error:
        raise Damaged(str(error)) from error
    return _Header(name, raw, other, flags, method, crc, packed, unpacked)


def _wide_sizes(extra: bytes) -> tuple[int, int]:
    """Return packed and unpacked size; a local header has both (section 4.5.3)."""
    at = 0
    while at + 20 <= len(extra):
        length = int.from_bytes(extra[at + 2 : at + 4], "little")
        if extra[at : at + 2] == _ZIP64_FIELD:
            unpacked, packed = struct.unpack_from("<2Q", extra, at + 4)
            return packed, unpacked
        at += 4 + length
    raise Damaged("A size that zip64 should hold is missing.")


def _skipped(header: _Header, stream: Stream, place: Place) -> bool:
    """Pass over a member that cannot be unpacked, having told of it."""
    shown = show(header.name, limit=60)
    if header.flags & _ENCRYPTED:
        place.tell("encrypted", f"The member {shown!r} is encrypted.")
    elif header.method not in {0, 8}:
        place.tell(UNREADABLE, f"The member {shown!r} is packed by method {header.method}.")
    else:
        return False
    if header.sizes_follow:
        raise Damaged(f"Nothing tells where the member {shown!r} ends.")
    for piece in stream.portion(header.packed):
        place.count.add(len(piece))
    return True


def _content(header: _Header, packed: Stream) -> Iterator[bytes]:
    if header.method:
        return decoded(Inflater(-zlib.MAX_WBITS), packed)
    # Stored without a size: only a folder or an empty file can be told from what follows.
    return iter(()) if header.open_end else packed.rest()


def _check_sizes(header: _Header, tally: _Tally, packed: int, stream: Stream) -> None:
    expected = (header.crc32, header.unpacked)
    found = (tally.crc32, tally.unpacked)
    wrong = Damaged(
        f"The member {show(header.name, limit=60)!r} has another size or checksum than announced."
    )
    if not header.sizes_follow:
        if found != expected:
            raise wrong
        return
    # With or without a signature, in the short or the long form (section 4.3.9).
    following = stream.peek(24)
    for magic in (b"PK\7\x08", b""):
        for width in (4, 8):
            sizes = b"".join(
                (size % (1 << 8 * width)).to_bytes(width, "little")
                for size in (packed, tally.unpacked)
            )
            descriptor = magic + tally.crc32.to_bytes(4, "little") + sizes
            if following.startswith(descriptor):
                stream.take(len(descriptor))
                return
    raise wrong


def _seen(header: _Header, crc32: int, packed: int, unpacked: int) -> _Seen:
    return _Seen(_digest(header.raw_name), header.method, crc32, packed, unpacked)


def _digest(name: bytes) -> bytes:
    return hashlib.blake2b(name, digest_size=16).digest()


def _compare(
    stream: Stream, seen: dict[int, _Seen], names: MemberNames, place: Place, most: int
) -> None:
    before = stream.offset
    tail = stream.take((most + 64) * _ROOM_PER_MEMBER + _ROOM)
    if stream.peek(1):
        raise Damaged("Its members are followed by more than a directory.")
    directory = directory_of(_Tail(tail, before), before + len(tail), place, most=most)
    told = {
        member.header_offset: _Seen(
            _digest(member.raw_name), member.method, member.crc32, member.packed, member.unpacked
        )
        for member in directory.members
    }
    if len(told) < len(directory.members):
        place.tell("unsafe-members", "Several members share the same bytes.")
    if told != seen:
        raise Damaged("Its members are not those of its directory.")
    for member in directory.members:
        tell_kind(member, names)


class _Tail(io.BytesIO):
    """The end of a file whose beginning went by; there it has zeros."""

    def __init__(self, tail: bytes, before: int) -> None:
        super().__init__(tail)
        self._before = before
        self._gap = 0

    def seek(self, offset: int, whence: int = 0, /) -> int:
        self._gap = max(0, self._before - offset)
        super().seek(max(0, offset - self._before), whence)
        return offset

    def read(self, size: int | None = -1, /) -> bytes:
        length = len(self.getbuffer()) if size is None else size
        gap = bytes(min(self._gap, length))
        return gap + super().read(length - len(gap))
