"""The directory of a ZIP archive, and its members' bytes: read strictly, never trusted.

Rules: whatever is damaged, contradictory or ambiguous is `BadZip`, never another exception,
because two readers would see two archives there; no number in the file decides how much memory
is taken; what a member holds is counted and compared, not believed. The section numbers are
those of PKWARE's APPNOTE 6.3.10.
"""

from __future__ import annotations

import bz2
import lzma
import re
import struct
import zlib
from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple, Protocol

__all__ = [
    "AmbiguousZip",
    "BadZip",
    "Directory",
    "LocalHeader",
    "Member",
    "MemberTooLong",
    "OtherName",
    "TooManyMembers",
    "UnreadableMember",
    "data_span",
    "has_end_record",
    "hidden_names",
    "local_header",
    "open_member",
    "read_directory",
    "unicode_name",
]


class BadZip(ValueError):
    """The archive, or a member of it, is damaged or contradicts itself; the text says how."""


class AmbiguousZip(BadZip):
    """Nothing is cut or broken, but two programs would see two archives there."""


class OtherName(BadZip):
    """The member's own header calls it `name`, which is not what the directory says."""

    def __init__(self, detail: str, name: str) -> None:
        super().__init__(detail)
        self.name = name


class TooManyMembers(BadZip):
    """The directory is longer than the caller wants to read; `count` is what it announces."""

    def __init__(self, detail: str, count: int) -> None:
        super().__init__(detail)
        self.count = count


class UnreadableMember(BadZip):
    """The member is encrypted, or compressed by a method that nobody here can undo."""


class MemberTooLong(Exception):
    """The member holds more bytes than the caller wanted; as many as wanted were given."""


# The kinds of file in the upper bits of a Unix mode: symbolic link; pipe, character and
# block device, socket (POSIX.1-2017 <sys/stat.h>, with the numbers of every Unix).
_LINK: Final = 0o12
_DEVICES: Final = frozenset({0o1, 0o2, 0o6, 0o14})


class Member(NamedTuple):
    """One entry of the directory.

    `name` is decoded as its flag says (appendix D); `unicode_name` is the other name that
    some programs prefer (section 4.6.9), "" without one. `packed` and `unpacked` are bytes
    as announced. `header_offset` counts from the beginning of the file.
    """

    name: str
    raw_name: bytes
    unicode_name: str
    flags: int
    method: int
    crc32: int
    packed: int
    unpacked: int
    header_offset: int
    external_attributes: int
    made_by: int

    @property
    def is_folder(self) -> bool:
        """Whether it stands for a folder: its name ends with a slash (section 4.3.8)."""
        return self.raw_name.endswith(b"/")

    @property
    def encrypted(self) -> bool:
        """Whether its content or its header is encrypted (section 4.4.4, bits 0, 6 and 13)."""
        return bool(self.flags & 0x2041) or self.method == 99  # noqa: PLR2004 - WinZip's AES

    @property
    def is_link(self) -> bool:
        """Whether unpackers would make a symbolic link of it, whatever system made it."""
        return self.external_attributes >> 28 == _LINK

    @property
    def is_device(self) -> bool:
        """Whether unpackers would make a device, a pipe or a socket of it."""
        return self.external_attributes >> 28 in _DEVICES


class Directory(NamedTuple):
    """The central directory.

    The archive's own bytes are those from `start`, where its first member begins, to `end`,
    after the end record and its comment: what lies before or after belongs to something else.
    `records` is where the directory begins, behind the members.
    """

    members: tuple[Member, ...]
    start: int
    records: int
    end: int
    comment: bytes


class LocalHeader(NamedTuple):
    """What stands before a member: its packed bytes lie from `start` to `end`.

    `unicode_name` is as in `Member`: some programs believe this one, others the directory's.
    """

    start: int
    end: int
    unicode_name: str


PIECE: Final = 64 * 1024
_ENOUGH_MEMBERS: Final = 100_000
# Room for long names; 46 bytes and a name of 40 are usual.
_ROOM_PER_MEMBER: Final = 1024
_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_CENTRAL: Final = struct.Struct("<4s6H3L5H2L")
_LOCAL: Final = struct.Struct("<4s5H3L2H")
_LONGEST_COMMENT: Final = 0xFFFF
_SEE_ZIP64: Final = 0xFFFFFFFF
_SEE_ZIP64_SHORT: Final = 0xFFFF
_ZIP64_FIELD: Final = 0x0001
_UNICODE_NAME_FIELD: Final = 0x7075
_PADDING: Final = re.compile(rb"(?:\0{4})+")
# A dozen are usual; 16,000 would fit, and take their time for each member.
_MOST_FIELDS: Final = 256
_UTF8: Final = 1 << 11
_SIZES_FOLLOW: Final = 1 << 3
# LZMA takes the memory of its dictionary; the larger presets of 7-Zip are not for uploads.
_LARGEST_DICTIONARY: Final = 64 * 1024 * 1024
# Two bytes of version, two of length, five of properties (section 5.8.8).
_LZMA_LEAD: Final = 9


def has_end_record(file: BinaryIO, size: int) -> bool:
    """Return whether any unpacker would find an archive at the end of this file."""
    at, tail = _tail(file, size)
    return _find_end(at, tail) is not None


def read_directory(file: BinaryIO, size: int, *, most: int = _ENOUGH_MEMBERS) -> Directory:
    """Return the directory of an archive that ends, at the latest 64 KiB before it, with the file.

    Args:
        file: seekable, open for reading.
        size: its length in bytes.
        most: how many members are read; each may take 1 KiB of the directory.

    Raises:
        BadZip: it is damaged, or can be read in two ways. TooManyMembers is one of them.
    """
    tail_at, tail = _tail(file, size)
    found = _find_end(tail_at, tail)
    if found is None:
        raise BadZip("There is no end record.")
    at, comment_length = found
    record = tail[at - tail_at : at - tail_at + _END.size]
    comment_at = at - tail_at + _END.size
    if tail.find(b"PK\5\6", comment_at, len(tail) - _END.size + 4) >= 0:
        # Its comment is longer than the file; many programs take it all the same.
        raise AmbiguousZip("A second end record stands behind the first.")
    comment = tail[comment_at : comment_at + comment_length]
    _, disk, first_disk, here, total, length, offset, _ = _END.unpack(record)
    limit = at
    locator = _read(file, at - _LOCATOR.size, _LOCATOR.size) if at >= _LOCATOR.size else b""
    if locator.startswith(b"PK\6\7"):
        limit, wide = _read_zip64(file, at - _LOCATOR.size, locator)
        told = (disk, first_disk, here, total, length, offset)
        sentinels = (_SEE_ZIP64_SHORT,) * 4 + (_SEE_ZIP64,) * 2
        if any(t not in (s, w) for t, s, w in zip(told, sentinels, wide, strict=True)):
            raise AmbiguousZip("The two end records contradict each other.")
        disk, first_disk, here, total, length, offset = wide
    if disk or first_disk or here != total:
        raise BadZip("It is one part of an archive of several.")
    if total > most or length > (most + 64) * _ROOM_PER_MEMBER:
        raise TooManyMembers(f"The directory announces {total} members in {length} bytes.", total)
    records = limit - length
    shift = records - offset
    if shift < 0:
        raise BadZip("The directory does not lie where the end record says.")
    members = _parse(_read(file, records, length), total, shift, records)
    return Directory(
        members, _start(file, members, records), records, at + 22 + comment_length, comment
    )


def data_span(file: BinaryIO, member: Member) -> tuple[int, int]:
    """Return where a member's packed bytes begin and end, after comparing its two headers.

    Raises:
        BadZip: as `local_header`.
    """
    start, end, _ = local_header(file, member)
    return start, end


def local_header(file: BinaryIO, member: Member) -> LocalHeader:
    """Return what stands before a member, after comparing it with the directory.

    Raises:
        BadZip: the header is missing or does not say what the directory says; OtherName.
    """
    header = _read(file, member.header_offset, _LOCAL.size)
    magic, _, flags, method, _, _, crc, packed, unpacked, name_length, extra_length = _LOCAL.unpack(
        header
    )
    if magic != b"PK\3\4":
        raise BadZip("A member does not begin where the directory says.")
    name_and_extra = _read(file, member.header_offset + _LOCAL.size, name_length + extra_length)
    raw, extra = name_and_extra[:name_length], name_and_extra[name_length:]
    if raw != member.raw_name:
        wrong = "A member has another name than the directory says."
        raise OtherName(wrong, _decoded(raw, flags))
    if method != member.method or (flags ^ member.flags) & 0x2041:
        raise BadZip("A member is packed in another way than the directory says.")
    told: tuple[int, ...] = (unpacked, packed)
    if _SEE_ZIP64 in told:
        told = _widened(extra, told)
    expected: tuple[int, ...] = (member.unpacked, member.packed)
    same = told == expected and crc == member.crc32
    if not same and not (
        flags & _SIZES_FOLLOW and crc in (0, member.crc32) and _absent(told, expected)
    ):
        raise BadZip("A member has another size or checksum than the directory says.")
    start = member.header_offset + _LOCAL.size + name_length + extra_length
    return LocalHeader(start, start + member.packed, unicode_name(extra, raw) if extra else "")


def hidden_names(file: BinaryIO, start: int, stop: int) -> Iterator[str]:
    """Yield the names of members that begin in a part of the file which the directory leaves out.

    Programs that read an archive as it comes, from a pipe, find them there; they look for the
    magic of a local header (section 4.3.7).
    """
    at = start
    while at < stop:
        file.seek(at)
        piece = file.read(min(PIECE, stop - at))
        found = piece.find(b"PK\3\4")
        if found < 0:
            # The magic may lie across two pieces.
            at += max(len(piece) - 3, 1)
            continue
        at += found + 4
        file.seek(at - 4)
        header = file.read(_LOCAL.size).ljust(_LOCAL.size, b"\0")
        flags, length = (
            int.from_bytes(header[6:8], "little"),
            int.from_bytes(header[26:28], "little"),
        )
        yield _decoded(file.read(length), flags)


def open_member(file: BinaryIO, member: Member, *, limit: int) -> Iterator[bytes]:
    """Yield a member's bytes in pieces of at most 64 KiB; the file may be moved in between.

    Raises:
        UnreadableMember: encrypted, or of an unknown method.
        BadZip: headers, size, checksum or packed bytes contradict each other. What was
            yielded before must not be used then.
        MemberTooLong: there are more than `limit` bytes; just as many were yielded.
    """
    if member.encrypted:
        raise UnreadableMember("A member is encrypted.")
    start, end = data_span(file, member)
    crc = count = 0
    for piece in _unpacked(file, member, start, end):
        count += len(piece)
        if count > limit:
            keep = len(piece) - (count - limit)
            if keep:
                yield piece[:keep]
            raise MemberTooLong
        if count > member.unpacked:
            raise BadZip(f"A member holds more than the {member.unpacked} bytes it announces.")
        crc = zlib.crc32(piece, crc)
        yield piece
    if count != member.unpacked or crc != member.crc32:
        raise BadZip("A member has another size or checksum than it announces.")


# --- the end of the archive ---------------------------------------------------------------


def _tail(file: BinaryIO, size: int) -> tuple[int, bytes]:
    at = max(0, size - _END.size - _LONGEST_COMMENT)
    return at, _read(file, at, size - at)


def _find_end(tail_at: int, tail: bytes) -> tuple[int, int] | None:
    """Return offset and comment length of the last end record whose comment fits the file."""
    at = tail.rfind(b"PK\5\6")
    while at >= 0:
        comment_at = at + _END.size
        if comment_at <= len(tail):
            length = int.from_bytes(tail[comment_at - 2 : comment_at], "little")
            if comment_at + length <= len(tail):
                return tail_at + at, length
        at = tail.rfind(b"PK\5\6", 0, at + 3)
    return None


def _read_zip64(file: BinaryIO, locator_at: int, locator: bytes) -> tuple[int, tuple[int, ...]]:
    """Return where the zip64 end record lies, and its six numbers (section 4.3.14)."""
    _, disk, offset, disks = _LOCATOR.unpack(locator)
    if disk or disks > 1:
        raise BadZip("It is one part of an archive of several.")
    # Bytes before the archive shift it; without extensible data it ends at the locator.
    for at in (offset, locator_at - _END64.size):
        if not 0 <= at <= locator_at - _END64.size:
            continue
        record = _read(file, at, _END64.size)
        magic, length, _, _, *numbers = _END64.unpack(record)
        if magic == b"PK\6\6" and at + 12 + length == locator_at:
            return at, tuple(numbers)
    raise BadZip("The zip64 end record does not lie where its locator says.")


def _start(file: BinaryIO, members: tuple[Member, ...], records: int) -> int:
    start = min((member.header_offset for member in members), default=records)
    # Section 8.5.4: an archive that could have been split begins with a marker.
    if start == 4 and _read(file, 0, 4) in {b"PK\7\x08", b"PK00"}:  # noqa: PLR2004 - its length
        return 0
    return start


# --- the entries --------------------------------------------------------------------------


def _parse(records: bytes, total: int, shift: int, end: int) -> tuple[Member, ...]:
    members: list[Member] = []
    at = 0
    for _ in range(total):
        if at + _CENTRAL.size > len(records):
            raise BadZip("The directory is cut short.")
        magic, version, _, flags, method, _, _, crc, packed, unpacked, *rest = _CENTRAL.unpack_from(
            records, at
        )
        name_length, extra_length, comment_length, disk, _, attributes, offset = rest
        name_at = at + _CENTRAL.size
        extra_at = name_at + name_length
        at = extra_at + extra_length + comment_length
        if magic != b"PK\1\2" or at > len(records):
            raise BadZip("The directory is damaged.")
        raw = records[name_at:extra_at]
        extra = records[extra_at : extra_at + extra_length]
        if _SEE_ZIP64 in (unpacked, packed, offset):
            unpacked, packed, offset = _widened(extra, (unpacked, packed, offset))
        offset += shift
        if disk not in (0, _SEE_ZIP64_SHORT):
            raise BadZip("It is one part of an archive of several.")
        if offset + _LOCAL.size + name_length + packed > end:
            raise BadZip("A member does not lie within the archive.")
        other = unicode_name(extra, raw) if extra else ""
        members.append(
            Member(
                *(_decoded(raw, flags), raw, other, flags, method, crc, packed, unpacked, offset),
                *(attributes, version >> 8),
            )
        )
    if at != len(records):
        raise AmbiguousZip("The directory is longer than its members.")
    return tuple(members)


def _fields(extra: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the extra fields; zeros among them, as aligners leave them, are none."""
    at = count = 0
    while at + 4 <= len(extra):
        if padding := _PADDING.match(extra, at):
            at = padding.end()
            continue
        count += 1
        if count > _MOST_FIELDS:
            raise BadZip("A member has more extra fields than any program writes.")
        kind, length = struct.unpack_from("<2H", extra, at)
        yield kind, extra[at + 4 : at + 4 + length]
        at += 4 + length


def _widened(extra: bytes, told: tuple[int, ...]) -> tuple[int, ...]:
    """Return the numbers with those replaced that zip64 holds instead (section 4.5.3)."""
    wide = next((data for kind, data in _fields(extra) if kind == _ZIP64_FIELD), b"")
    numbers: list[int] = []
    at = 0
    for number in told:
        if number != _SEE_ZIP64:
            numbers.append(number)
            continue
        if at + 8 > len(wide):
            raise BadZip("A size that zip64 should hold is missing.")
        numbers.append(int.from_bytes(wide[at : at + 8], "little"))
        at += 8
    return tuple(numbers)


def _decoded(raw: bytes, flags: int) -> str:
    return raw.decode("utf-8", "replace") if flags & _UTF8 else raw.decode("cp437")


def unicode_name(extra: bytes, raw: bytes) -> str:
    """Return the name in the extra fields of a member called `raw` (section 4.6.9), or "".

    Raises:
        BadZip: there are two, of which one program takes the first and another the last.
    """
    # A field counts only while the checksum is that of the name it was made for.
    found = {
        data[5:]
        for kind, data in _fields(extra)
        if kind == _UNICODE_NAME_FIELD and data[1:5] == zlib.crc32(raw).to_bytes(4, "little")
    }
    if len(found) > 1:
        raise AmbiguousZip("A member has two other names.")
    return found.pop().decode("utf-8", "replace") if found else ""


def _absent(told: tuple[int, ...], expected: tuple[int, ...]) -> bool:
    # Sizes that follow the data are zero in the header (section 4.4.4); some write them anyway.
    return all(t in (0, e) for t, e in zip(told, expected, strict=True))


# --- the content --------------------------------------------------------------------------


class _Decompressor(Protocol):
    """What `bz2.BZ2Decompressor` and `lzma.LZMADecompressor` have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class _Inflater:
    """Deflate with the interface of the other two."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        self.needs_input = True

    @property
    def eof(self) -> bool:
        return self._inflate.eof

    @property
    def unused_data(self) -> bytes:
        return self._inflate.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        piece = self._inflate.decompress(self._inflate.unconsumed_tail + data, max_length)
        self.needs_input = not self._inflate.unconsumed_tail and len(piece) < max_length
        return piece


def _unpacked(file: BinaryIO, member: Member, start: int, end: int) -> Iterator[bytes]:
    match member.method:
        case 0:
            if member.packed != member.unpacked:
                raise BadZip("A member that is not packed has two sizes.")
            return _packed(file, start, end)
        case 8:
            return _drained(_Inflater(), file, start, end)
        case 12:
            return _drained(bz2.BZ2Decompressor(), file, start, end)
        case 14:
            decompressor = _lzma(_read(file, start, min(_LZMA_LEAD, end - start)), member)
            return _drained(decompressor, file, start + _LZMA_LEAD, end)
        case method:
            raise UnreadableMember(f"A member is packed by method {method}.")


def _packed(file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    for at in range(start, end, PIECE):
        yield _read(file, at, min(PIECE, end - at))


def _drained(decompressor: _Decompressor, file: BinaryIO, start: int, end: int) -> Iterator[bytes]:
    for packed in _packed(file, start, end):
        held = packed
        while not decompressor.eof and (held or not decompressor.needs_input):
            try:
                piece = decompressor.decompress(held, PIECE)
            except (OSError, lzma.LZMAError, zlib.error) as error:
                raise BadZip("A member's packed bytes are damaged.") from error
            held = b""
            if piece:
                yield piece
        if decompressor.eof and (held or decompressor.unused_data):
            raise BadZip("A member has bytes behind its packed content.")


def _lzma(lead: bytes, member: Member) -> lzma.LZMADecompressor:
    """Return a decompressor for the properties that stand before the data (section 5.8.8)."""
    if len(lead) < _LZMA_LEAD or lead[2:4] != b"\5\0" or lead[4] >= 9 * 5 * 5:
        raise BadZip("A member's LZMA properties are damaged.")
    lp_pb, lc = divmod(lead[4], 9)
    pb, lp = divmod(lp_pb, 5)
    # No match reaches further back than the content is long.
    dictionary = min(int.from_bytes(lead[5:9], "little"), max(member.unpacked, 4096))
    if dictionary > _LARGEST_DICTIONARY:
        raise UnreadableMember(f"A member needs {dictionary} bytes of memory to be unpacked.")
    properties = {"id": lzma.FILTER_LZMA1, "dict_size": dictionary, "lc": lc, "lp": lp, "pb": pb}
    try:
        return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[properties])
    except lzma.LZMAError as error:
        raise BadZip("A member's LZMA properties are damaged.") from error


def _read(file: BinaryIO, at: int, length: int) -> bytes:
    file.seek(at)
    data = file.read(length)
    if len(data) < length:
        raise BadZip("The file is shorter than it was said to be.")
    return data
