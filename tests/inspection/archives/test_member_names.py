"""Names of members: the same table for zip and tar, and honest ones that look odd."""

from __future__ import annotations

import io
import zlib

import pytest

from support.archives import DEVICE, LINK, PIPE, Item, tar_file, tar_of, zip_of
from support.walked import told, words
from wharfinger.errors import UnsafeArchive
from wharfinger.inspection.content import examine
from wharfinger.policy import Policy

OUTSIDE = "leads outside the archive's folder"
HOSTILE = [
    pytest.param("../x", "'../x'", OUTSIDE, id="upwards"),
    pytest.param("a/../../x", "'a/../../x'", OUTSIDE, id="upwards further inside"),
    pytest.param("..\\x", "'..\\\\x'", OUTSIDE, id="upwards as Windows writes it"),
    pytest.param("a\\..\\..\\x", "'a\\\\..\\\\..\\\\x'", OUTSIDE, id="the same further inside"),
    pytest.param("..", "'..'", OUTSIDE, id="the folder above"),
    pytest.param(".. /x", "'.. /x'", OUTSIDE, id="a blank that Windows drops"),
    pytest.param("... ./x", "'... ./x'", OUTSIDE, id="dots that Windows drops"),
    pytest.param("/etc/passwd", "'/etc/passwd'", OUTSIDE, id="absolute"),
    pytest.param("\\x", "'\\\\x'", OUTSIDE, id="absolute on this drive"),
    pytest.param("C:\\x", "'C:\\\\x'", OUTSIDE, id="absolute with a drive"),
    pytest.param("c:x", "'c:x'", OUTSIDE, id="where a drive stands"),
    pytest.param("\\\\server\\share\\x", "'\\\\\\\\server", OUTSIDE, id="another computer"),
    pytest.param("//server/share/x", "'//server", OUTSIDE, id="another computer with slashes"),
    pytest.param("a\nb", "'a\\\\nb'", "has a control character in its name", id="line feed"),
    pytest.param("a\x1b[2Jb", "'a\\\\x1b[2Jb'", "has a control character", id="escape sequence"),
    pytest.param("n" * 1025, "'nnn", "has a name of 1025 characters", id="longer than any path"),
    pytest.param("a" + "\u0301" * 31, "'a\u0301", "more than 30 marks", id="a tower of marks"),
]


WORDS = {"is a link": "links", "is a device": "unsafe-members"}


def in_zip(name: str) -> bytes:
    return zip_of(Item("first.txt", b"1"), Item(name, b"x"))


def in_tar(name: str) -> bytes:
    long = tar_file(b"././@LongLink", name.encode() + b"\0", b"L")
    return tar_of(tar_file(b"first.txt", b"1"), long, tar_file(b"short", b"x"))


@pytest.mark.parametrize(("name", "shown", "wrong"), HOSTILE)
def test_a_hostile_name_is_told_in_both_formats(name: str, shown: str, wrong: str) -> None:
    for data in (in_zip(name), in_tar(name)):
        [(word, sentence)] = told(data)
        assert word == "unsafe-members"
        assert sentence.startswith(f"The member {shown}"), sentence
        assert wrong in sentence
        assert len(sentence) < 140


@pytest.mark.parametrize(
    "name",
    [
        "docs/readme.txt",
        "./docs/readme.txt",
        "a\\b.txt",
        "..data/x",
        "x..",
        "...hidden",
        "a b/c.d",
        "12:30 notes.txt",
        "Übersicht.pdf",
        "con.txt",
        "a\u200fb",
        "n" * 1024,
        "a" + "\u0301" * 30 + "b\u0301",
    ],
)
def test_an_odd_but_honest_name_is_not(name: str) -> None:
    assert told(in_zip(name)) == []
    assert told(in_tar(name)) == []


def test_a_nul_in_a_name_is_told() -> None:
    # tar names end there; only extended headers can hold one.
    assert words(in_zip("a.txt\0.exe")) == {"unsafe-members"}


def test_a_member_without_a_name_is_told() -> None:
    assert told(zip_of(Item("", b"x"))) == [("unsafe-members", "The member '' has no name.")]


@pytest.mark.parametrize(
    ("first", "second"),
    [
        pytest.param("a", "a", id="the same"),
        pytest.param("README", "readme", id="case"),
        pytest.param("stra\u00dfe", "STRASSE", id="case that changes the length"),
        pytest.param("\u00e9", "e\u0301", id="composed and not"),
        pytest.param("a", "a/", id="a file and a folder"),
        pytest.param("a/", "a", id="a folder and a file"),
        pytest.param("a/b", "a\\b", id="both separators"),
        pytest.param("a//b", "./a/b", id="written otherwise"),
    ],
)
def test_two_members_of_one_name_are_told(first: str, second: str) -> None:
    heard = told(zip_of(Item(first), Item(second)))
    assert [word for word, _ in heard] == ["doubled-members"]
    assert heard[0][1].endswith("stands there twice.")


def test_a_folder_may_stand_there_twice() -> None:
    assert told(zip_of(Item("a/"), Item("a/b", b"1"), Item("a/"))) == []
    assert told(tar_of(tar_file(b"a/", kind=b"5"), tar_file(b"A", kind=b"5"))) == []


def test_a_folder_that_was_a_file_before_stays_told() -> None:
    assert len(told(zip_of(Item("a"), Item("a/"), Item("a/")))) == 2


@pytest.mark.parametrize(
    ("attributes", "what"),
    [
        pytest.param(LINK, "is a link", id="symbolic link"),
        pytest.param(DEVICE, "is a device", id="device"),
        pytest.param(PIPE, "is a device", id="pipe"),
    ],
)
def test_a_zip_member_that_is_no_file_is_told(attributes: int, what: str) -> None:
    data = zip_of(Item("x", b"/etc/passwd", attributes=attributes))
    assert told(data) == [(WORDS[what], f"The member 'x' {what}.")]


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        pytest.param(b"1", "is a link", id="hard link"),
        pytest.param(b"2", "is a link", id="symbolic link"),
        pytest.param(b"3", "is a device", id="character device"),
        pytest.param(b"4", "is a device", id="block device"),
        pytest.param(b"6", "is a device", id="fifo"),
    ],
)
def test_a_tar_member_that_is_no_file_is_told(kind: bytes, what: str) -> None:
    data = tar_of(tar_file(b"x", kind=kind, link=b"/etc/passwd"), tar_file(b"y", b"1"))
    assert told(data) == [(WORDS[what], f"The member 'x' {what}.")]


def test_the_second_name_of_a_zip_member_is_judged_too() -> None:
    # Info-ZIP's Unicode path field (APPNOTE 4.6.9): version, CRC-32 of b"good", the other name.
    version_and_crc = b"\x01" + zlib.crc32(b"good").to_bytes(4, "little")
    lead = b"up" + (5 + 5 - 1).to_bytes(2, "little") + version_and_crc
    field = lead + b"../x"
    data = zip_of(Item("good", b"x", extra=field))
    assert told(data) == [("unsafe-members", f"The member '../x' {OUTSIDE}.")]
    for honest in (lead + b"else", lead + b"good"):
        assert told(zip_of(Item("good", b"x", extra=honest))) == []


def test_a_policy_that_refuses_them_names_the_member() -> None:
    data = in_zip("../../etc/cron.d/x")
    with pytest.raises(UnsafeArchive, match=r"'\.\./\.\./etc/cron\.d/x' leads outside") as raised:
        examine(io.BytesIO(data), len(data), policy=Policy.anything(), name="a.zip")
    assert raised.value.finding == "unsafe-members"
