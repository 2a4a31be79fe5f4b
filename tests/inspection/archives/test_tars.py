"""tar: headers of all ages, numbers that lie, extensions that contradict; and honest writers."""

from __future__ import annotations

import io
import tarfile

import pytest

from support.archives import gz, pax, tar_file, tar_header, tar_of
from support.walked import NOTHING_REFUSED, told, walked
from wharfinger.errors import TooComplex
from wharfinger.inspection.archives.place import Damaged
from wharfinger.inspection.archives.tar_headers import parse_number, parse_records
from wharfinger.policy import Policy

FIRST = tar_file(b"a.txt", b"hello")
TEBIBYTE = 1 << 40
LONG = "d" * 90 + "/" + "n" * 90
LONG_UNICODE = "d" * 120 + "/\u00e9"


def by_python(form: int) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=form) as made:
        folder = tarfile.TarInfo("docs")
        folder.type = tarfile.DIRTYPE
        made.addfile(folder)
        for name, data in (("docs/a.txt", b"hello " * 1000), ("docs/empty", b""), (LONG, b"long")):
            item = tarfile.TarInfo(name)
            item.size = len(data)
            item.mtime = 1.5 if form == tarfile.PAX_FORMAT else 1
            made.addfile(item, io.BytesIO(data))
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(by_python(tarfile.USTAR_FORMAT), id="ustar"),
        pytest.param(by_python(tarfile.GNU_FORMAT), id="GNU"),
        pytest.param(by_python(tarfile.PAX_FORMAT), id="pax"),
        pytest.param(gz(by_python(tarfile.PAX_FORMAT)), id="pax in gzip"),
    ],
)
def test_an_honest_archive_is_counted_and_has_no_findings(data: bytes) -> None:
    found, walk = walked(data)
    assert found == {"docs/a.txt": b"hello " * 1000, "docs/empty": b"", LONG: b"long"}
    assert told(data) == []
    assert walk.count.members == 3


def test_what_the_members_of_a_tar_hold_is_counted() -> None:
    assert walked(tar_of(FIRST, tar_file(b"b", b"12")))[1].count.unpacked == 7


def test_in_a_compressed_tar_its_own_blocks_count_instead() -> None:
    assert walked(gz(tar_of(FIRST)))[1].count.unpacked == 512 + 512 + 1024


@pytest.mark.parametrize(
    ("data", "found"),
    [
        pytest.param(tar_of(tar_file(b"a", b"1", b"\0")), {"a": b"1"}, id="the oldest kind"),
        pytest.param(tar_of(tar_file(b"a/", b"", b"\0"), FIRST), {"a.txt": b"hello"}, id="folder"),
        pytest.param(tar_of(tar_file(b"a", b"1", b"7")), {"a": b"1"}, id="contiguous"),
        pytest.param(tar_of(tar_file(b"a", b"1", b"Z")), {"a": b"1"}, id="a kind of their own"),
        pytest.param(
            tar_of(tar_file(b"a", b"1", magic=b"ustar  \0", prefix=b"0123")), {"a": b"1"}, id="GNU"
        ),
        pytest.param(tar_of(tar_file(b"a", b"1", prefix=b"p/q")), {"p/q/a": b"1"}, id="prefix"),
        pytest.param(
            tar_of(tar_file(b"././@LongLink", b"target\0", b"K"), FIRST),
            {"a.txt": b"hello"},
            id="the long target of something",
        ),
        pytest.param(
            tar_of(pax(path=LONG_UNICODE), FIRST), {LONG_UNICODE: b"hello"}, id="the name in pax"
        ),
        pytest.param(
            tar_of(pax(b"g", comment="0123abcd"), FIRST), {"a.txt": b"hello"}, id="global comment"
        ),
        pytest.param(
            tar_of(tar_file(b"\xff\xfe.txt", b"1")), {"\udcff\udcfe.txt": b"1"}, id="not UTF-8"
        ),
        pytest.param(tar_of(FIRST, end=bytes(512)), {"a.txt": b"hello"}, id="one block of zeros"),
        pytest.param(
            tar_of(tar_header(b"a", b"\x80" + bytes(10) + b"\5") + b"hello" + bytes(507)),
            {"a": b"hello"},
            id="size in base 256",
        ),
        pytest.param(
            tar_of(tar_header(b"a", b"          5 ") + b"hello" + bytes(507)),
            {"a": b"hello"},
            id="size with blanks",
        ),
    ],
)
def test_headers_of_all_ages_are_read(data: bytes, found: dict[str, bytes]) -> None:
    assert walked(data)[0] == found
    assert told(data) == []


def test_a_checksum_over_signed_bytes_is_one() -> None:
    block = bytearray(tar_header(b"\xe9", 0))
    # 0xe9 counts 233 as it should, and 233 - 256 as some old systems had it.
    block[148:156] = b"%06o\0 " % (int(bytes(block[148:154]), 8) - 256)
    assert told(tar_of(FIRST, bytes(block))) == []


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(FIRST, "Its end is missing.", id="no end"),
        pytest.param(tar_of(FIRST)[:600], "It is cut short.", id="cut in the data"),
        pytest.param(tar_of(FIRST, FIRST[:100], end=b""), "It is cut short.", id="cut in a header"),
        pytest.param(
            tar_of(FIRST, b"x" * 512), "a checksum that is no number", id="no header at all"
        ),
        pytest.param(
            tar_of(FIRST, FIRST.replace(b"a.txt", b"b.txt")), "checksum of a header", id="changed"
        ),
        pytest.param(
            tar_of(FIRST, tar_header(b"b", b"\xff" * 12)), "a negative size", id="negative"
        ),
        pytest.param(
            tar_of(FIRST, tar_header(b"b", b"0000000009\0 ")), "size that is no number", id="octal"
        ),
        pytest.param(
            tar_of(tar_header(b"pax", 1 << 21, b"x")), "header is too long", id="long extension"
        ),
        pytest.param(
            tar_of(tar_header(b"pax", TEBIBYTE // 1024, b"g")), "header is too long", id="global"
        ),
        pytest.param(
            tar_of(*([pax(comment="x")] * 9), FIRST), "header is too long", id="many extensions"
        ),
        pytest.param(tar_of(pax(size="6"), FIRST), "two sizes", id="two sizes (CVE-2025-62518)"),
        pytest.param(tar_of(pax(size="-1"), FIRST), "is no number", id="negative in pax"),
        pytest.param(tar_of(pax(size="9" * 30), FIRST), "is no number", id="endless in pax"),
        pytest.param(tar_of(pax(size="\u0663"), FIRST), "is no number", id="digits of others"),
        pytest.param(tar_of(pax(b"g", size="5"), FIRST), "one name or size", id="global size"),
        pytest.param(tar_of(pax(b"g", path="x"), FIRST), "one name or size", id="global name"),
        pytest.param(tar_of(tar_file(b"p", b"9 a=b\n", b"x")), "malformed", id="pax length"),
        pytest.param(tar_of(tar_file(b"p", b"6 a=bc", b"x")), "malformed", id="pax without an end"),
        pytest.param(tar_of(tar_file(b"p", b"4 a\n", b"x")), "malformed", id="pax without a value"),
        pytest.param(tar_of(tar_file(b"p", b"0 a=b\n", b"x")), "malformed", id="pax of no length"),
        pytest.param(tar_of(tar_file(b"p", b"abcdefghijk", b"x")), "malformed", id="not pax"),
        pytest.param(
            tar_of(pax(GNU__sparse__realsize="x"), FIRST), "is no number", id="sparse size"
        ),
    ],
)
def test_what_cannot_be_read_on_is_damage(data: bytes, sentence: str) -> None:
    heard = told(data)
    assert {word for word, _ in heard} == {"damaged"}
    assert any(sentence in said for _, said in heard), heard


def test_a_size_beyond_octal_digits_comes_from_pax() -> None:
    data = tar_of(pax(size=str(TEBIBYTE)), tar_header(b"a", 0), b"x" * 512)
    with pytest.raises(TooComplex) as raised:
        walked(data)
    assert raised.value.what == "bytes"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(tar_of(tar_header(b"a", b"\x80" + b"\7" * 11)), id="size in base 256"),
        pytest.param(
            tar_of(tar_file(b"a", b"x", b"S", realsize=b"\x80" + b"\7" * 11)), id="old sparse"
        ),
        pytest.param(
            tar_of(pax(GNU__sparse__realsize=str(TEBIBYTE)), FIRST), id="sparse of pax 1.0"
        ),
        pytest.param(tar_of(pax(GNU__sparse__size=str(TEBIBYTE)), FIRST), id="sparse of pax 0.1"),
        pytest.param(
            gz(tar_of(pax(GNU__sparse__size=str(TEBIBYTE)), FIRST)), id="sparse, compressed"
        ),
    ],
)
def test_sizes_beyond_the_limit_end_before_they_are_read(data: bytes) -> None:
    with pytest.raises(TooComplex) as raised:
        walked(data)
    assert raised.value.what == "bytes"


def test_the_holes_of_an_honest_sparse_file_count() -> None:
    old = tar_header(b"a", 5, b"S", realsize=b"%011o\0" % 1000, extended=b"\1")
    map_block = bytes(504) + b"\1" + bytes(7) + bytes(512)
    data = tar_of(old, map_block, b"hello" + bytes(507), FIRST)
    found, walk = walked(data)
    assert found == {"a": b"hello", "a.txt": b"hello"}
    assert (told(data), walk.count.unpacked) == ([], 1005)
    named = tar_of(pax(GNU__sparse__name="real", GNU__sparse__realsize="1000"), FIRST)
    assert (walked(named)[0], walked(named)[1].count.unpacked) == ({"real": b"hello"}, 1000)
    smaller = tar_of(pax(GNU__sparse__realsize="1"), FIRST)
    assert walked(smaller)[1].count.unpacked == 5


def test_bytes_behind_the_end_are_told_and_zeros_are_not() -> None:
    assert told(tar_of(FIRST) + bytes(8192)) == []
    [(word, _)] = told(tar_of(FIRST) + bytes(8192) + b"hidden")
    assert word == "trailing-data"
    [(word, _)] = told(gz(tar_of(FIRST) + tar_of(FIRST)))
    assert word == "trailing-data"


def test_members_and_folders_are_counted_against_the_limit() -> None:
    data = tar_of(*(tar_file(b"%d" % number, kind=b"5") for number in range(11)))
    with pytest.raises(TooComplex) as raised:
        walked(data, Policy(max_members=10))
    assert (raised.value.what, raised.value.limit) == ("members", 10)
    assert walked(data, NOTHING_REFUSED)[1].count.members == 0


def test_extended_headers_that_say_more_than_all_members_need_are_too_many() -> None:
    chatter = tar_file(b"pax", b"5 a=\n" * 320, b"x")
    assert told(tar_of(chatter, FIRST), Policy(refuse=[], max_members=10)) == []
    with pytest.raises(TooComplex, match="more than 320 records") as raised:
        told(tar_of(chatter, FIRST, pax(comment="x"), FIRST), Policy(max_members=10))
    assert raised.value.what == "members"


def test_numbers_are_octal_or_in_base_256() -> None:
    assert parse_number(b"0000755\0", "mode") == 493
    assert parse_number(b"\0\0\0\0\0\0\0\0", "mode") == 0
    assert parse_number(b"\x80\0\0\0\0\0\1\0", "mode") == 256
    with pytest.raises(Damaged, match="negative mode"):
        parse_number(b"\xc0\0\0\0\0\0\0\0", "mode")


def test_records_are_those_of_the_standard() -> None:
    # The example of POSIX.1-2017 pax: lengths count themselves, the blank and the line feed.
    assert parse_records(b"11 atime=1\n15 path=a=b c\xff\n") == {
        "atime": "1",
        "path": "a=b c\udcff",
    }
    assert parse_records(b"") == {}


def long_name(name: bytes) -> bytes:
    return tar_file(b"././@LongLink", name + b"\0", b"L", magic=b"ustar  \0")


@pytest.mark.parametrize(
    "data",
    [
        # GNU tar takes the last of the names, Python and libarchive the first ones.
        pytest.param(tar_of(long_name(b"../x"), pax(path="a"), FIRST), id="long name, then pax"),
        pytest.param(tar_of(pax(path="a"), long_name(b"../x"), FIRST), id="pax, then long name"),
        pytest.param(tar_of(pax(path="../x"), pax(path="a"), FIRST), id="two extended headers"),
        pytest.param(
            tar_of(pax(path="../x", GNU__sparse__name="a"), FIRST), id="the name of a sparse file"
        ),
        # BusyBox passes over extended headers.
        pytest.param(tar_of(pax(path="a"), tar_file(b"../x", b"1")), id="the header's own"),
        # Python puts a prefix before the name in every format, libarchive in nearly all.
        pytest.param(
            tar_of(tar_file(b"x", b"1", magic=b"ustar  \0", prefix=b"..")), id="prefix, GNU"
        ),
        pytest.param(tar_of(tar_file(b"x", b"1", magic=bytes(8), prefix=b"..")), id="prefix, V7"),
        pytest.param(
            tar_of(tar_file(b"x", b"1", magic=b"ustar 00", prefix=b"..")), id="prefix, another"
        ),
    ],
)
def test_every_name_of_a_member_is_judged(data: bytes) -> None:
    sentence = "The member '../x' leads outside the archive's folder."
    assert told(data) == [("unsafe-members", sentence)]


def test_names_that_are_cut_or_no_names_at_all_are_honest() -> None:
    # GNU's header with the time of access where ustar has a prefix; a name cut after 100 bytes.
    times = tar_file(b"a", b"1", magic=b"ustar  \0", prefix=b"14735271234\0")
    wide = tar_file(b"b", b"1", magic=b"ustar  \0", prefix=b"\x80\0\0\0\0\0\0\0h\x07\x1f\x01")
    cut = tar_of(long_name(b"d" * 99 + b"/x"), tar_file(b"d" * 99 + b"/", b"1"), times, wide)
    assert told(cut) == []


def test_two_extended_headers_with_two_sizes_are_damage() -> None:
    data = tar_of(pax(size="5"), pax(size="0"), FIRST)
    assert told(data) == [("damaged", "A member has two sizes.")]
    assert told(tar_of(pax(size="5"), pax(size="5"), pax(path="a"), FIRST)) == []
