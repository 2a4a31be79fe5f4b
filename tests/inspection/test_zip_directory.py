from __future__ import annotations

import hashlib
import io
import struct
import zipfile
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.zips import Entry, built, central, deflated, end_record, local, packed, zip64_end
from wharfinger.inspection.zip_directory import (
    PIECE,
    AmbiguousZip,
    BadZip,
    Directory,
    MemberTooLong,
    TooManyMembers,
    UnreadableMember,
    data_span,
    has_end_record,
    hidden_names,
    open_member,
    read_directory,
)

_FULL = 0xFFFFFFFF


def _read(data: bytes, *, most: int = 100) -> Directory:
    return read_directory(io.BytesIO(data), len(data), most=most)


def _content(data: bytes, *, limit: int = 1 << 30) -> bytes:
    member = _read(data).members[0]
    return b"".join(open_member(io.BytesIO(data), member, limit=limit))


def _zip64(entry: Entry, *, before: bytes = b"", told: tuple[int, int] | None = None) -> bytes:
    data, records = local(entry), central(entry, 0)
    at = len(data) + len(records)
    wide = zip64_end(1, len(records), len(data), at)
    count, length = told or (0xFFFF, _FULL)
    return before + data + records + wide + end_record(count, length, _FULL)


def test_a_member_is_what_the_directory_says_of_it() -> None:
    entry = Entry(name=b"d/a.txt", data=b"hello", attributes=0o100644 << 16)
    found = _read(built(entry, comment=b"note"))
    (member,) = found.members
    assert (member.name, member.raw_name, member.unicode_name) == ("d/a.txt", b"d/a.txt", "")
    assert (member.method, member.flags, member.made_by) == (0, 0, 3)
    assert (member.packed, member.unpacked, member.crc32) == (5, 5, 0x3610A686)
    assert (member.header_offset, member.external_attributes) == (0, 0o100644 << 16)
    assert found.comment == b"note"


@pytest.mark.parametrize(
    ("entry", "trait"),
    [
        (Entry(name=b"folder/", data=b""), "is_folder"),
        (Entry(attributes=0o120777 << 16), "is_link"),
        (Entry(attributes=0o120777 << 16, made_by=0), "is_link"),
        (Entry(attributes=0o010644 << 16), "is_device"),
        (Entry(attributes=0o020644 << 16), "is_device"),
        (Entry(attributes=0o060644 << 16), "is_device"),
        (Entry(attributes=0o140644 << 16), "is_device"),
        (Entry(flags=1), "encrypted"),
        (Entry(flags=1 << 6), "encrypted"),
        (Entry(flags=1 << 13), "encrypted"),
        (Entry(method=99), "encrypted"),
    ],
    ids=[
        "folder",
        "link",
        "link from DOS",
        "pipe",
        "character device",
        "block device",
        "socket",
        "password",
        "strong encryption",
        "masked headers",
        "AES",
    ],
)
def test_what_is_not_a_plain_file_is_told(entry: Entry, trait: str) -> None:
    member = _read(built(entry)).members[0]
    traits = ("is_folder", "is_link", "is_device", "encrypted")
    assert [name for name in traits if getattr(member, name)] == [trait]


@pytest.mark.parametrize(
    ("entry", "name", "other"),
    [
        (Entry(name="ü.txt".encode(), flags=1 << 11), "ü.txt", ""),
        (Entry(name=b"\x81.txt"), "ü.txt", ""),
        (Entry(name=b"\xff.txt", flags=1 << 11), "\ufffd.txt", ""),
        (
            Entry(
                name=b"a.txt",
                extra=struct.pack("<2HBL", 0x7075, 10, 1, zlib.crc32(b"a.txt")) + b"b.txt",
            ),
            "a.txt",
            "b.txt",
        ),
        (Entry(extra=struct.pack("<2HBL", 0x7075, 10, 1, 7) + b"b.txt"), "a.txt", ""),
        (Entry(extra=b"\0\0"), "a.txt", ""),
        (
            Entry(
                name=b"a.txt",
                extra=bytes(4096)
                + struct.pack("<2HBL", 0x7075, 10, 1, zlib.crc32(b"a.txt"))
                + b"b.txt",
            ),
            "a.txt",
            "b.txt",
        ),
    ],
    ids=[
        "UTF-8",
        "code page 437",
        "damaged UTF-8",
        "second name",
        "second name of another",
        "padding",
        "second name behind padding",
    ],
)
def test_names_are_decoded_as_their_flag_says(entry: Entry, name: str, other: str) -> None:
    member = _read(built(entry)).members[0]
    assert (member.name, member.unicode_name) == (name, other)


def test_more_extra_fields_than_any_program_writes_are_bad() -> None:
    fields = struct.pack("<2H", 0xCAFE, 0) * 256
    assert _read(built(Entry(extra=fields))).members[0].unicode_name == ""
    with pytest.raises(BadZip, match="more extra fields"):
        _read(built(Entry(extra=fields + b"\xfe\xca\0\0")))


def test_bytes_before_and_after_the_archive_show_in_start_and_end() -> None:
    plain = built(Entry(), Entry(name=b"b"))
    assert (_read(plain).start, _read(plain).end) == (0, len(plain))
    found = _read(b"#!/bin/sh\n" + plain + b"tail")
    assert (found.start, found.end) == (10, 10 + len(plain))
    assert found.members[1].header_offset == 10 + len(local(Entry()))
    assert found.records == 10 + len(local(Entry())) + len(local(Entry(name=b"b")))
    # A self-extracting archive whose offsets count from the beginning of the file.
    stub = b"stub"
    entry = Entry(offset=len(stub))
    records = central(entry, 0)
    adjusted = stub + local(entry) + records
    adjusted += end_record(1, len(records), len(stub) + len(local(entry)))
    assert _read(adjusted).start == 4


def test_an_archive_without_members_has_a_start_and_an_end() -> None:
    assert _read(built()) == Directory((), 0, 0, 22, b"")


@pytest.mark.parametrize("marker", [b"PK\7\x08", b"PK00"], ids=["split", "single"])
def test_the_marker_of_a_split_archive_is_its_own(marker: bytes) -> None:
    assert _read(built(Entry(), before=marker)).start == 0
    assert _read(built(Entry(), before=b"ABCD")).start == 4


def test_the_last_end_record_whose_comment_fits_is_the_one() -> None:
    inner = built(Entry(name=b"inner"))
    assert _read(built(Entry(name=b"outer"), comment=inner)).members[0].name == "inner"
    assert _read(built(Entry(), comment=b"PK\5\6")).members[0].name == "a.txt"


def test_a_second_end_record_with_too_long_a_comment_is_ambiguous() -> None:
    # Python and Info-ZIP take the last record, 7-Zip and Go the one whose comment fits.
    cut = built(Entry(), comment=end_record(0, 0, 0, comment=b"12345678")[:-4])
    with pytest.raises(AmbiguousZip, match="second end record"):
        _read(cut)


def test_two_unicode_names_are_ambiguous() -> None:
    # Info-ZIP takes the last one, 7-Zip the first.
    crc = zlib.crc32(b"a.txt").to_bytes(4, "little")
    fields = b"".join(
        b"up" + (5 + len(name)).to_bytes(2, "little") + b"\1" + crc + name
        for name in (b"good.txt", b"../x")
    )
    with pytest.raises(AmbiguousZip, match="two other names"):
        _read(built(Entry(extra=fields)))


@pytest.mark.parametrize("before", [0, 1, PIECE - 40, PIECE - 3, PIECE - 1, PIECE])
def test_members_that_the_directory_leaves_out_are_found(before: int) -> None:
    # Also where the magic lies across two pieces of the search.
    data = b"x" * before + local(Entry(name=b"out")) + local(Entry(name=b"\xc3\xa9", flags=1 << 11))
    assert list(hidden_names(io.BytesIO(data), 0, len(data))) == ["out", "\u00e9"]
    assert list(hidden_names(io.BytesIO(data), 0, before + 3)) == []
    assert list(hidden_names(io.BytesIO(data[: before + 4]), 0, len(data))) == [""]


@pytest.mark.parametrize(
    ("data", "expected"),
    [(built(), True), (b"%PDF-" + built(Entry()), True), (b"%PDF-PK\5\6", False), (b"", False)],
    ids=["empty archive", "behind a document", "a mention", "nothing"],
)
def test_whether_an_archive_hides_at_the_end_is_told(data: bytes, expected: bool) -> None:
    assert has_end_record(io.BytesIO(data), len(data)) is expected


# --- zip64 --------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [b"", b"12345"], ids=["at 0", "shifted"])
def test_zip64_numbers_stand_in_for_those_that_do_not_fit(before: bytes) -> None:
    wide = struct.pack("<2H3Q", 1, 24, 5, 5, 0)
    narrow = struct.pack("<2H2Q", 1, 16, 5, 5)
    entry = Entry(
        extra=wide,
        told_sizes=(_FULL, _FULL),
        offset=_FULL,
        local_sizes=(_FULL, _FULL),
        local_extra=narrow,
    )
    data = _zip64(entry, before=before)
    (member,) = _read(data).members
    assert (member.packed, member.unpacked, member.header_offset) == (5, 5, len(before))
    assert _content(data) == b"hello"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (_zip64(Entry(), told=(2, _FULL)), "contradict"),
        (_zip64(Entry()).replace(b"PK\6\6", b"PK\6\5"), "zip64 end record"),
        (_zip64(Entry()).replace(zip64_end(0, 0, 0, 0)[:12], b"PK\6\6" + bytes(8)), "zip64 end"),
        (b"PK\6\7" + struct.pack("<LQL", 0, 0, 1) + end_record(0, 0, 0), "zip64 end"),
        (b"PK\6\7" + struct.pack("<LQL", 0, 0, 2) + end_record(0, 0, 0), "of several"),
        (b"PK\6\7" + struct.pack("<LQL", 1, 0, 1) + end_record(0, 0, 0), "of several"),
        (built(Entry(told_sizes=(_FULL, 5))), "zip64 should hold"),
    ],
    ids=[
        "contradiction",
        "no record",
        "wrong length",
        "nothing before",
        "disks",
        "disk",
        "no field",
    ],
)
def test_damaged_zip64_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(BadZip, match=reason):
        _read(data)


# --- damage -------------------------------------------------------------------------------

_PLAIN = built(Entry())
_RECORDS = central(Entry(), 0)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no end record"),
        (b"PK\3\4" * 30, "no end record"),
        (_PLAIN + bytes(65_536), "no end record"),
        (local(Entry()) + _RECORDS + end_record(1, len(_RECORDS), 60), "does not lie where"),
        (local(Entry()) + _RECORDS + end_record(2, len(_RECORDS), 40), "cut short"),
        (local(Entry()) + _RECORDS + b"x" + end_record(1, len(_RECORDS) + 1, 40), "longer than"),
        (built(Entry(magic=b"PK\1\3")), "damaged"),
        (built(Entry(offset=41)), "within the archive"),
        (built(Entry(told_sizes=(6, 6))), "within the archive"),
        (built(Entry(disk=1)), "of several"),
        (local(Entry()) + _RECORDS + end_record(1, len(_RECORDS), 40, disk=1), "of several"),
        (local(Entry()) + _RECORDS + end_record(1, len(_RECORDS), 40, here=2), "of several"),
    ],
    ids=[
        "empty",
        "headers only",
        "end too far away",
        "offset behind it",
        "count too high",
        "records too long",
        "entry without magic",
        "member in the directory",
        "member too long",
        "member on another disk",
        "another disk",
        "two counts",
    ],
)
def test_a_damaged_directory_is_an_error(data: bytes, reason: str) -> None:
    with pytest.raises(BadZip, match=reason):
        _read(data)


def test_a_name_that_runs_over_the_directory_is_an_error() -> None:
    records = bytearray(_RECORDS)
    records[28:30] = b"\xff\0"
    with pytest.raises(BadZip, match="damaged"):
        _read(local(Entry()) + bytes(records) + end_record(1, len(records), 40))


def test_more_members_than_wanted_are_not_read() -> None:
    data = built(*(Entry(name=b"%d" % number) for number in range(4)))
    with pytest.raises(TooManyMembers, match="4 members") as caught:
        _read(data, most=3)
    assert caught.value.count == 4
    assert len(_read(data, most=4).members) == 4


def test_a_directory_that_is_all_names_is_not_read() -> None:
    data = built(*(Entry(name=b"%05d" % number * 12_000) for number in range(3)))
    with pytest.raises(TooManyMembers, match="in 180"):
        _read(data, most=3)


def test_a_file_shorter_than_told_is_an_error() -> None:
    with pytest.raises(BadZip, match="shorter"):
        read_directory(io.BytesIO(_PLAIN), len(_PLAIN) + 1)


@given(st.integers(0, len(_PLAIN) - 1), st.integers(0, 255), st.booleans())
def test_no_damage_raises_anything_else(at: int, byte: int, cut: bool) -> None:
    damaged = bytearray(built(Entry(method=8, data=b"hello" * 9), Entry(name=b"b")))
    damaged[at] = byte
    data = bytes(damaged[: at + 40 if cut else None])
    try:
        for member in _read(data).members:
            b"".join(open_member(io.BytesIO(data), member, limit=100))
    except (BadZip, MemberTooLong):
        pass


# --- members ------------------------------------------------------------------------------

_LONG = b"".join(hashlib.sha256(b"%d" % n).digest() for n in range(5000)) + bytes(700_000)


@pytest.mark.parametrize(
    "method",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
    ids=["stored", "deflate", "bzip2", "lzma"],
)
def test_a_member_comes_in_pieces_of_64_kib_at_most(method: int) -> None:
    data = packed({"long": _LONG, "none": b""}, method=method)
    found = _read(data)
    pieces = list(open_member(io.BytesIO(data), found.members[0], limit=len(_LONG)))
    assert b"".join(pieces) == _LONG
    assert max(map(len, pieces)) <= 65_536
    assert list(open_member(io.BytesIO(data), found.members[1], limit=0)) == []


@pytest.mark.parametrize("limit", [0, 1, 65_536, 100_000])
def test_a_member_longer_than_wanted_ends_at_the_limit(limit: int) -> None:
    data = packed({"long": _LONG})
    got = b""
    pieces = open_member(io.BytesIO(data), _read(data).members[0], limit=limit)
    with pytest.raises(MemberTooLong):  # noqa: PT012 - what came before it counts
        for piece in pieces:
            got += piece
    assert got == _LONG[:limit]


def test_the_file_may_be_moved_between_two_pieces() -> None:
    data = packed({"long": _LONG})
    file = io.BytesIO(data)
    got = b""
    for piece in open_member(file, _read(data).members[0], limit=1 << 30):
        got += piece
        file.seek(3)
    assert got == _LONG


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry(local_magic=b"PK\3\5"), "does not begin"),
        (Entry(local_name=b"b.txt"), "another name"),
        (Entry(local_method=8), "another way"),
        (Entry(local_flags=1), "another way"),
        (Entry(local_crc=1), "another size or checksum"),
        (Entry(local_sizes=(5, 6)), "another size or checksum"),
        (Entry(local_flags=8, flags=8, local_crc=1, local_sizes=(0, 0)), "another size"),
        (Entry(local_flags=8, flags=8, local_crc=0, local_sizes=(4, 5)), "another size"),
        (Entry(local_sizes=(_FULL, 5)), "zip64 should hold"),
        (Entry(crc=1), "another size or checksum than it announces"),
        (Entry(announced=6), "two sizes"),
        (Entry(method=8, announced=6), "another size or checksum than it announces"),
        (Entry(method=8, announced=4), "holds more than the 4 bytes"),
        (Entry(method=8, packed=b"\xff" * 9), "packed bytes are damaged"),
        (Entry(method=8, packed=deflated(b"hello")[:-2]), "another size or checksum"),
        (Entry(method=8, packed=deflated(b"hello") + b"x"), "behind its packed content"),
        (Entry(method=8, packed=deflated(b"hello") + bytes(65_536)), "behind its packed content"),
        (Entry(method=12, packed=b"not bzip2"), "packed bytes are damaged"),
        (Entry(method=14, packed=b"\x10\0\5\0]"), "LZMA properties"),
        (Entry(method=14, packed=b"\x10\0\4\0]\0\0\1\0\0"), "LZMA properties"),
        (Entry(method=14, packed=b"\x10\0\5\0\xff\0\0\1\0\0"), "LZMA properties"),
        (Entry(method=14, packed=b"\x10\0\5\0\xe0\0\0\1\0\0"), "LZMA properties"),
        (
            Entry(method=14, packed=b"\x10\0\5\0]\0\0\1\0\xff" + bytes(9)),
            "packed bytes are damaged",
        ),
    ],
    ids=lambda value: "" if isinstance(value, Entry) else value[:24],
)
def test_a_member_that_contradicts_itself_is_an_error(entry: Entry, reason: str) -> None:
    with pytest.raises(BadZip, match=reason):
        _content(built(entry))


def test_sizes_may_follow_the_data() -> None:
    for sizes in ((0, 0), (5, 5)):
        entry = Entry(flags=8, local_crc=0, local_sizes=sizes)
        assert _content(built(entry)) == b"hello"


@pytest.mark.parametrize(
    ("entry", "reason"),
    [
        (Entry(flags=1), "encrypted"),
        (Entry(method=9), "method 9"),
        (Entry(method=14, packed=b"\x10\0\5\0]\0\0\0\x10\0", announced=1 << 30), "268435456 bytes"),
    ],
    ids=["encrypted", "Deflate64", "a dictionary of 256 MiB"],
)
def test_a_member_that_cannot_be_unpacked_says_so(entry: Entry, reason: str) -> None:
    with pytest.raises(UnreadableMember, match=reason):
        _content(built(entry))


def test_the_span_of_a_member_is_that_of_its_packed_bytes() -> None:
    data = built(Entry(local_extra=b"\0\0\0\0"))
    assert data_span(io.BytesIO(data), _read(data).members[0]) == (39, 44)
    assert data[39:44] == b"hello"
