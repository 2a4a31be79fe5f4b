"""Zip: what contradicts itself, hides or is shared; and honest archives of many writers."""

from __future__ import annotations

import io
import zipfile
import zlib

import pytest

from support.archives import (
    MIB,
    Item,
    bomb_item,
    deflated,
    full_overlap,
    local_header,
    quoted_overlap,
    streamed,
    zip_of,
)
from support.walked import NOTHING_REFUSED, told, walked, words
from wharfinger.errors import ContentDamaged, HiddenContent, TooComplex, UnsafeArchive
from wharfinger.inspection.content import examine
from wharfinger.policy import Policy

TEXT = Item("a.txt", b"hello")
HELLO_CRC = 0x3610A686  # CRC-32 of b"hello"
ROOMY = Policy(refuse=[], max_unpacked="10 GiB", max_ratio=10**9)


def by_python(method: int, *, comment: bytes = b"", to_pipe: bool = False) -> bytes:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return not to_pipe

        def seek(self, offset: int, whence: int = 0, /) -> int:
            if to_pipe:
                raise io.UnsupportedOperation
            return super().seek(offset, whence)

        def tell(self) -> int:
            if to_pipe:
                raise io.UnsupportedOperation
            return super().tell()

    file = Pipe()
    with zipfile.ZipFile(file, "w", method) as made:
        made.comment = comment
        made.writestr("docs/", b"")
        made.writestr("docs/a.txt", b"hello " * 1000)
        made.writestr("docs/\u00e9.txt", b"")
        with made.open("wide.txt", "w", force_zip64=True) as wide:
            wide.write(b"wide")
    return file.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(by_python(zipfile.ZIP_STORED), id="stored"),
        pytest.param(by_python(zipfile.ZIP_DEFLATED), id="deflated"),
        pytest.param(by_python(zipfile.ZIP_BZIP2), id="bzip2"),
        pytest.param(by_python(zipfile.ZIP_LZMA), id="lzma"),
        pytest.param(by_python(zipfile.ZIP_DEFLATED, to_pipe=True), id="written to a pipe"),
        pytest.param(by_python(zipfile.ZIP_DEFLATED, comment=b"made by us"), id="with a comment"),
    ],
)
def test_an_honest_archive_is_counted_and_has_no_findings(data: bytes) -> None:
    found, walk = walked(data)
    assert found == {"docs/a.txt": b"hello " * 1000, "docs/\u00e9.txt": b"", "wide.txt": b"wide"}
    assert told(data) == []
    assert (walk.count.members, walk.count.unpacked) == (3, 6004)


def test_an_empty_archive_is_one() -> None:
    found, walk = walked(zip_of())
    assert (found, walk.walked, walk.count.members) == ({}, True, 0)
    assert told(zip_of()) == []


@pytest.mark.parametrize(
    ("item", "sentence"),
    [
        pytest.param(Item("a", b"1", local={"name": b"b"}), "another name", id="name"),
        pytest.param(Item("a", b"1", local={"method": 8}), "packed in another way", id="method"),
        pytest.param(Item("a", b"1", local={"flags": 1}), "packed in another way", id="encryption"),
        pytest.param(Item("a", b"1", local={"crc": 1}), "size or checksum", id="checksum"),
        pytest.param(Item("a", b"1", local={"unpacked": 2}), "size or checksum", id="size"),
        pytest.param(
            Item("a", b"hello", central={"crc": 1}, local={"crc": 1}), "than it announces", id="CRC"
        ),
        pytest.param(bomb_item("a", 1000, unpacked=10), "more than the 10 bytes", id="more inside"),
        pytest.param(bomb_item("a", 1000, unpacked=2000), "than it announces", id="less inside"),
        pytest.param(
            Item("a", b"hello", method=8, packed=b"\xff\xff\xff"), "are damaged", id="not deflate"
        ),
        pytest.param(
            Item("a", b"hello", method=8, packed=deflated(b"hello") + b"more"),
            "bytes behind",
            id="bytes behind the packed ones",
        ),
    ],
)
def test_a_member_that_is_not_what_the_directory_says_is_damage(item: Item, sentence: str) -> None:
    data = zip_of(item, TEXT)
    [(word, said)] = told(data)
    assert word == "damaged"
    assert sentence in said
    assert said.endswith("It is 'a'.")
    # The next member is read all the same: scanners want to see it.
    assert walked(data)[0]["a.txt"] == b"hello"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(zip_of(TEXT)[:-1], id="the end record is cut"),
        pytest.param(zip_of(TEXT)[:-30], id="the directory is cut"),
        pytest.param(zip_of(TEXT)[:40], id="only a beginning"),
        pytest.param(zip_of(TEXT).replace(b"PK\1\2", b"PK\1\3"), id="the directory is overwritten"),
    ],
)
def test_an_archive_without_its_directory_is_damaged(data: bytes) -> None:
    assert words(data) == {"damaged"}
    with pytest.raises(ContentDamaged):
        examine(io.BytesIO(data), len(data), policy=Policy.archives(), name="a.zip")


def test_a_directory_of_names_far_longer_than_any_is_damage() -> None:
    items = [Item(f"{number}" + "n" * 60_000) for number in range(12)]
    limits = Policy(refuse=[], max_members=20)
    data = zip_of(*items)
    # 12 members at 60 kB each are more than a directory of 20 members may take.
    assert [word for word, _ in told(data, limits)] == ["damaged"]


@pytest.mark.parametrize(
    "item",
    [
        pytest.param(Item("a", b"x" * 20, flags=0x1), id="traditional"),
        pytest.param(Item("a", b"x" * 20, flags=0x41), id="strong"),
        pytest.param(
            Item("a", b"x" * 20, flags=0x2041, local={"crc": 0, "unpacked": 0}), id="masked headers"
        ),
        pytest.param(Item("a", b"x" * 20, method=99, flags=1), id="AES as WinZip writes it"),
    ],
)
def test_an_encrypted_member_is_told_and_the_others_are_read(item: Item) -> None:
    data = zip_of(item, TEXT)
    assert told(data) == [("encrypted", "The member 'a' is encrypted.")]
    assert walked(data)[0] == {"a.txt": b"hello"}
    with pytest.raises(UnsafeArchive):
        examine(io.BytesIO(data), len(data), policy=Policy.archives(), name="a.zip")


def test_a_method_that_nobody_here_knows_is_told_to_scanners_alone() -> None:
    data = zip_of(Item("a", b"hello", method=93), TEXT)
    assert told(data) == [("unreadable", "A member is packed by method 93. It is 'a'.")]
    _, details = examine(io.BytesIO(data), len(data), policy=Policy.archives(), name="a.zip")
    assert (details.members, details.findings) == (2, ())


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(
            local_header(TEXT.told()) + b"hello" + zip_of(TEXT),
            "40 bytes stand before the zip archive.",
            id="another member before",
        ),
        pytest.param(zip_of(TEXT) + b"x" * 50, "50 bytes follow the end", id="bytes behind"),
        pytest.param(
            zip_of(TEXT, comment=b"honest") + b"<?", "2 bytes follow", id="behind a comment"
        ),
        pytest.param(
            zip_of(TEXT) + zip_of(TEXT), "113 bytes stand before", id="two archives in one"
        ),
    ],
)
def test_bytes_around_the_archive_are_told(data: bytes, sentence: str) -> None:
    [(word, said)] = told(data)
    assert word == "trailing-data"
    assert said.startswith(sentence)
    with pytest.raises(HiddenContent):
        examine(io.BytesIO(data), len(data), policy=Policy.archives(), name="a.zip")


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(full_overlap(3, 1000, one_name=True), id="one member three times"),
        pytest.param(full_overlap(3, 1000), id="the same under other names"),
        pytest.param(quoted_overlap(3, 1000), id="headers quoted in the packed bytes"),
    ],
)
def test_members_that_share_bytes_are_told(data: bytes) -> None:
    sentences = [sentence for word, sentence in told(data, ROOMY) if word == "unsafe-members"]
    assert any("share the same bytes" in sentence for sentence in sentences)


def test_a_header_that_is_longer_than_its_bytes_reaches_into_the_directory() -> None:
    data = bytearray(zip_of(Item("a", b"1")))
    data[28] = 10  # the length of the extra field
    assert told(bytes(data)) == [("damaged", "A member reaches into the directory. It is 'a'.")]


def test_a_header_inside_an_extra_field_shares_nothing_that_the_directory_names() -> None:
    extra = b"\xfe\xca" + (35).to_bytes(2, "little") + local_header(TEXT.told())
    assert told(zip_of(Item("a", b"1", extra=extra), Item("b", b"2"))) == []


def test_limits_hold_before_anything_is_unpacked_whatever_is_refused() -> None:
    many = zip_of(*(Item(f"{number}") for number in range(11)))
    large = zip_of(*(bomb_item(f"{number}", 1000) for number in range(11)))
    for data, limits, what, limit in (
        (many, Policy(refuse=[], max_members=10), "members", 10),
        (large, Policy(refuse=[], max_unpacked=10_999), "bytes", 10_999),
        (zip_of(bomb_item("0", 17 * MIB)), NOTHING_REFUSED, "ratio", 200),
    ):
        with pytest.raises(TooComplex) as raised:
            walked(data, limits)
        assert (raised.value.what, raised.value.limit) == (what, limit)
    assert walked(many, Policy(max_members=11))[1].count.members == 11
    assert walked(large, Policy(max_unpacked=11_000))[1].count.unpacked == 11_000
    assert walked(zip_of(bomb_item("0", 16 * MIB)))[1].count.unpacked == 16 * MIB


def test_bytes_that_come_out_count_when_less_was_announced() -> None:
    # Each member keeps its announcement; together with an inner archive they go beyond.
    inner = zip_of(Item("x", b"1" * 600, deflate=True))
    with pytest.raises(TooComplex):
        walked(zip_of(Item("i", inner)), Policy(max_unpacked=len(inner) + 599))
    assert walked(zip_of(Item("i", inner)), Policy(max_unpacked=len(inner) + 600))


def test_a_folder_with_content_is_a_file() -> None:
    found, walk = walked(zip_of(Item("a/", b"hidden"), Item("b/")))
    assert found == {"a/": b"hidden"}
    assert walk.count.members == 1


def test_a_crc_is_that_of_the_standard() -> None:
    assert zlib.crc32(b"hello") == HELLO_CRC
    assert told(zip_of(Item("a", b"hello", central={"crc": HELLO_CRC}))) == []


def test_members_whose_sizes_follow_are_read() -> None:
    assert walked(zip_of(streamed("a", b"hello" * 50)))[0] == {"a": b"hello" * 50}
    assert told(zip_of(streamed("a", b"hello" * 50))) == []


def test_lzma_with_a_dictionary_for_no_upload_is_told_to_scanners_alone() -> None:
    properties = b"\x09\x04\x05\x00\x5d" + (1 << 30).to_bytes(4, "little")
    lies: dict[str, int | bytes] = {"unpacked": 1 << 30}
    item = Item("a", method=14, packed=properties + bytes(20), local=lies, central=lies)
    assert [word for word, _ in told(zip_of(item), ROOMY)] == ["unreadable"]


OUTSIDE = Item("../x", b"evil")
UP = b"up" + (9).to_bytes(2, "little") + b"\1" + HELLO_CRC.to_bytes(4, "little") + b"../x"


@pytest.mark.parametrize(
    "data",
    [
        # Programs that read from a pipe, as bsdtar does, see every local header.
        pytest.param(
            zip_of(Item("a", b"1", follows=local_header(OUTSIDE.told()) + b"evil"), TEXT),
            id="between two members",
        ),
        pytest.param(
            zip_of(TEXT, gap=b"some bytes" + local_header(OUTSIDE.told()) + b"evil"),
            id="before the directory",
        ),
        pytest.param(local_header(OUTSIDE.told()) + b"evil" + zip_of(TEXT), id="before all others"),
        # libarchive takes the names of local headers, others the directory's.
        pytest.param(zip_of(Item("a", b"1", local={"name": b"../x"})), id="in the local header"),
        pytest.param(
            zip_of(Item("hello", b"1", local={"extra": UP})),
            id="in extra fields of the local header",
        ),
    ],
)
def test_a_name_that_only_some_programs_see_is_judged(data: bytes) -> None:
    sentence = "The member '../x' leads outside the archive's folder."
    assert ("unsafe-members", sentence) in told(data)
    with pytest.raises(UnsafeArchive):
        examine(io.BytesIO(data), len(data), policy=Policy.anything(), name="a.zip")


def test_a_member_that_the_directory_leaves_out_is_told() -> None:
    data = zip_of(Item("a", b"1", follows=local_header(TEXT.told()) + b"hello"))
    assert told(data) == [("trailing-data", "The directory leaves out a member, 'a.txt'.")]


def test_members_that_the_directory_leaves_out_count() -> None:
    data = zip_of(TEXT, gap=local_header(TEXT.told()) * 20)
    with pytest.raises(TooComplex):
        walked(data, Policy(refuse=[], max_members=20))


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        # Python, Info-ZIP and libarchive believe the last record, whatever it says of its comment.
        pytest.param(
            zip_of(TEXT, comment=zip_of(OUTSIDE)[:-2] + b"\xff\xff"),
            "A second end record stands behind the first.",
            id="two ends",
        ),
        # They also read as many members as there are, not as many as were announced.
        pytest.param(
            zip_of(TEXT, OUTSIDE).replace(b"\2\0\2\0", b"\1\0\1\0"),
            "The directory is longer than its members.",
            id="more members than announced",
        ),
    ],
)
def test_an_archive_that_two_programs_read_in_two_ways_is_unsafe(
    data: bytes, sentence: str
) -> None:
    assert told(data) == [("unsafe-members", sentence), ("damaged", sentence)]
    with pytest.raises(UnsafeArchive):
        examine(io.BytesIO(data), len(data), policy=Policy.anything(), name="a.zip")


def test_an_archive_behind_bytes_of_no_known_type_is_looked_into() -> None:
    data = b"\x07\0x" + zip_of(OUTSIDE)
    with pytest.raises(UnsafeArchive, match=r"'\.\./x' leads outside"):
        examine(io.BytesIO(data), len(data), policy=Policy.anything(), name="a.bin")
    honest = b"\x07\0x" + zip_of(TEXT)
    media_type, details = examine(io.BytesIO(honest), len(honest), policy=Policy.anything())
    assert (media_type, details.findings) == ("application/octet-stream", ("trailing-data",))
    assert details.members == 1
