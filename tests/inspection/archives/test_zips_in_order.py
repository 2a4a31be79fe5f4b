"""Zips inside archives that are too large to be held: read by their headers, then compared."""

from __future__ import annotations

import struct

import pytest

from support.archives import (
    DEVICE,
    LINK,
    MIB,
    Item,
    bomb_item,
    central_header,
    deflated,
    end_record,
    local_header,
    noise,
    streamed,
    tar_file,
    tar_of,
    zip_of,
)
from support.walked import NOTHING_REFUSED, told, walked
from wharfinger.errors import TooComplex
from wharfinger.policy import Policy

NOISE = Item("noise", noise(3000))
TEXT = Item("a.txt", b"hello " * 100, deflate=True)


@pytest.fixture(autouse=True)
def _nothing_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wharfinger.inspection.archives.walking._HELD", 64)


def inside(data: bytes) -> bytes:
    return tar_of(tar_file(b"in.zip", data), tar_file(b"last", b"1"))


def wide(data: bytes) -> Item:
    """Return a member whose local header leaves its sizes to zip64 (APPNOTE 4.5.3)."""
    extra = b"\xfe\xca\x01\x00x" + b"\x01\x00\x10\x00" + struct.pack("<2Q", len(data), len(data))
    lies: dict[str, int | bytes] = {
        "packed": 0xFFFFFFFF, "unpacked": 0xFFFFFFFF, "extra": extra,
    }  # fmt: skip
    return Item("wide", data, local=lies)


@pytest.mark.parametrize(
    ("items", "found"),
    [
        pytest.param((NOISE, TEXT), ["noise", "a.txt"], id="stored and deflated"),
        pytest.param((Item("d/"), TEXT, Item("é", b"")), ["d/", "a.txt", "é"], id="folders"),
        pytest.param((streamed("s", b"x" * 200), TEXT), ["s", "a.txt"], id="sizes follow"),
        pytest.param((streamed("s", b"x" * 200, width=8), TEXT), ["s", "a.txt"], id="wide sizes"),
        pytest.param((streamed("s", b"x", signature=b""), TEXT), ["s", "a.txt"], id="no signature"),
        pytest.param(
            (streamed("d/", b"", stored=True), TEXT), ["d/", "a.txt"], id="folder as file"
        ),
        pytest.param((wide(b"x" * 100), TEXT), ["wide", "a.txt"], id="zip64"),
    ],
)
def test_an_honest_archive_is_read(items: tuple[Item, ...], found: list[str]) -> None:
    data = inside(zip_of(*items))
    assert list(walked(data)[0]) == [f"in.zip/{name}" for name in found] + ["last"]
    assert told(data) == []


def test_bytes_between_members_and_directory_are_honest_as_android_writes_them() -> None:
    assert told(inside(zip_of(TEXT, NOISE, gap=b"\x20" + bytes(31)))) == []


def test_a_comment_and_what_follows_it_are_told_apart() -> None:
    assert told(inside(zip_of(TEXT, comment=b"x" * 300))) == []
    assert told(inside(zip_of(TEXT) + b"behind")) == [
        ("trailing-data", "In 'in.zip': 6 bytes follow the end of the zip archive.")
    ]


HIDDEN = local_header(Item("h", b"x").told()) + b"x"


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        pytest.param(zip_of(TEXT)[:-30], "There is no end record", id="directory cut"),
        pytest.param(zip_of(NOISE)[:1000], "It is cut short", id="member cut"),
        pytest.param(
            zip_of(Item("a", b"x" * 90, local={"crc": 1})), "another size or checksum", id="CRC"
        ),
        pytest.param(
            zip_of(Item("a", b"x" * 90, central={"crc": 1})), "not those of its", id="other CRC"
        ),
        pytest.param(
            zip_of(Item("a", b"x" * 90, central={"name": b"b"})),
            "not those of its",
            id="other name",
        ),
        pytest.param(zip_of(bomb_item("a", 1000, unpacked=9), NOISE), "size", id="more"),
        pytest.param(
            zip_of(Item("a", b"x" * 90, method=8, packed=deflated(b"x" * 90) + b"y" * 50)),
            "member 'a' is damaged",
            id="bytes behind the packed ones",
        ),
        pytest.param(
            zip_of(Item("a", b"x" * 90, method=8, packed=b"\xff" * 90)),
            "compressed bytes are damaged",
            id="not deflate",
        ),
        pytest.param(
            zip_of(streamed("a", b"x" * 200, signature=b"PK\7\7")), "size or checksum", id="follows"
        ),
        pytest.param(
            zip_of(streamed("a", b"x" * 200, stored=True)), "size or checksum", id="no end"
        ),
        pytest.param(
            zip_of(Item("a", b"x" * 90, local={"packed": 0xFFFFFFFF, "extra": b"\1\0\4\0abcd"})),
            "zip64 should hold",
            id="no zip64",
        ),
        pytest.param(
            zip_of(Item("v", b"x" * 90))[:121] + HIDDEN + zip_of(Item("v", b"x" * 90))[121:],
            "not those of its",
            id="a member that the directory does not name",
        ),
    ],
)
def test_what_contradicts_itself_is_damage(data: bytes, sentence: str) -> None:
    heard = told(inside(data))
    assert "damaged" in {word for word, _ in heard}
    assert any(sentence in said for _, said in heard), heard
    # The archive around it is read on.
    assert walked(inside(data))[0]["last"] == b"1"


def test_members_that_share_their_bytes_are_told() -> None:
    item = Item("a", b"x" * 90)
    body = local_header(item.told()) + item.data
    records = central_header(item.told(), 0, 0) * 2
    data = body + records + end_record(2, len(records), len(body))
    assert ("unsafe-members", "In 'in.zip': Several members share the same bytes.") in told(
        inside(data)
    )


def test_links_devices_and_names_are_told() -> None:
    items = (
        Item("../up", b"x" * 90),
        Item("l", b"/etc", attributes=LINK),
        Item("d", b"", attributes=DEVICE),
    )
    assert told(inside(zip_of(*items))) == [
        ("unsafe-members", "In 'in.zip': The member '../up' leads outside the archive's folder."),
        ("links", "In 'in.zip': The member 'l' is a link."),
        ("unsafe-members", "In 'in.zip': The member 'd' is a device."),
    ]


def test_what_cannot_be_unpacked_is_passed_over() -> None:
    data = inside(zip_of(Item("a", b"x" * 90, flags=1), Item("b", b"y" * 90, method=93), TEXT))
    assert told(data) == [
        ("encrypted", "In 'in.zip': The member 'a' is encrypted."),
        ("unreadable", "In 'in.zip': The member 'b' is packed by method 93."),
    ]
    assert list(walked(data)[0]) == ["in.zip/a.txt", "last"]


def test_without_a_size_it_cannot_be_passed_over() -> None:
    item = streamed("a", b"x" * 200)
    hidden = Item(**{**vars(item), "flags": 9})
    assert [word for word, _ in told(inside(zip_of(hidden, TEXT)))] == ["encrypted", "damaged"]


def test_an_archive_that_goes_on_behind_its_directory_is_damaged() -> None:
    limits = Policy(refuse=[], max_members=10)
    heard = told(inside(zip_of(TEXT, NOISE) + bytes(700_000)), limits)
    assert heard == [("damaged", "In 'in.zip': Its members are followed by more than a directory.")]


def test_a_directory_of_more_members_than_came_past_is_too_large() -> None:
    data = bytearray(zip_of(TEXT))
    end = data.rindex(b"PK\5\6")
    data[end + 8 : end + 12] = struct.pack("<2H", 60_000, 60_000)
    with pytest.raises(TooComplex):
        told(inside(bytes(data)))


def test_zip64_records_that_point_before_what_is_kept_are_damage() -> None:
    data = zip_of(NOISE, TEXT)
    end = data.rindex(b"PK\5\6")
    locator = b"PK\6\7" + struct.pack("<LQL", 0, 5, 1)
    assert [word for word, _ in told(inside(data[:end] + locator + data[end:]))] == ["damaged"]


def test_limits_hold_as_members_come_past() -> None:
    many = inside(zip_of(*(Item(f"{number}", b"x" * 30) for number in range(11))))
    with pytest.raises(TooComplex) as raised:
        walked(many, Policy(max_members=11))
    assert raised.value.what == "members"
    announced = inside(zip_of(Item("a", b"x" * 90, local={"unpacked": 1 << 31, "flags": 8}), NOISE))
    for data, what in ((announced, "ratio"), (inside(zip_of(bomb_item("0", 17 * MIB))), "ratio")):
        with pytest.raises(TooComplex) as raised:
            walked(data, NOTHING_REFUSED)
        assert raised.value.what == what


def test_a_large_one_is_read_in_order_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    large = noise(9 * MIB)
    data = inside(zip_of(Item("n", large), TEXT))
    found, walk = walked(data)
    assert (found["in.zip/n"], found["last"]) == (large, b"1")
    assert (told(data), walk.count.members) == ([], 4)


def other_name(*names: bytes) -> bytes:
    crc = 0x3610A686  # CRC-32 of b"hello"
    return b"".join(
        b"up" + (5 + len(name)).to_bytes(2, "little") + b"\1" + crc.to_bytes(4, "little") + name
        for name in names
    )


@pytest.mark.parametrize(
    ("extra", "expected"),
    [
        pytest.param(
            other_name(b"../x"),
            [
                (
                    "unsafe-members",
                    "In 'in.zip': The member '../x' leads outside the archive's folder.",
                )
            ],
            id="outside",
        ),
        pytest.param(
            other_name(b"one", b"two"),
            [("damaged", "In 'in.zip': A member has two other names.")],
            id="two",
        ),
        pytest.param(other_name(b"hello"), [], id="the same"),
    ],
)
def test_the_other_name_in_a_local_header_is_judged(
    extra: bytes, expected: list[tuple[str, str]]
) -> None:
    data = zip_of(Item("hello", b"1" * 100, local={"extra": extra}))
    assert told(inside(data)) == expected
