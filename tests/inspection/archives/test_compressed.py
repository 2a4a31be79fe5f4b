"""gzip, bzip2 and xz: streams behind one another, padding, damage, and work for nothing."""

from __future__ import annotations

import bz2
import io
import itertools
import lzma
from collections.abc import Callable
from typing import TypeAlias

import pytest

from support.archives import MIB, Item, gz, noise, tar_file, tar_of, xz_with_dictionary, zip_of
from support.walked import told, walked
from wharfinger.errors import TooComplex
from wharfinger.inspection.archives.compressed import Inflater
from wharfinger.inspection.archives.counting import Count
from wharfinger.inspection.archives.xz_headers import XZ_HEADERS, xz_window
from wharfinger.inspection.content import examine
from wharfinger.policy import Policy

TEXT = b"hello " * 1000
Packer: TypeAlias = Callable[[bytes], bytes]
PACKERS = [
    pytest.param(gz, id="gzip"),
    pytest.param(bz2.compress, id="bzip2"),
    pytest.param(lzma.compress, id="xz"),
]
packed_by = pytest.mark.parametrize("pack", PACKERS)


@packed_by
def test_one_content_is_one_member(pack: Packer) -> None:
    found, walk = walked(pack(TEXT))
    assert found == {"content": TEXT}
    assert (walk.count.members, walk.count.unpacked, told(pack(TEXT))) == (1, 6000, [])


@packed_by
def test_nothing_is_a_content_too(pack: Packer) -> None:
    assert walked(pack(b""))[0] == {"content": b""}
    assert told(pack(b"")) == []


@packed_by
def test_streams_behind_one_another_and_zeros_are_honest(pack: Packer) -> None:
    for between in (b"", bytes(4), bytes(100_000)):
        data = pack(b"one ") + between + pack(b"two") + between
        assert walked(data)[0] == {"content": b"one two"}
        assert told(data) == []


@packed_by
def test_other_bytes_behind_the_end_are_told(pack: Packer) -> None:
    for behind in (b"x", bytes(8) + b"<?", bytes(70_000) + TEXT):
        data = pack(TEXT) + behind
        assert told(data) == [
            ("trailing-data", "Other bytes follow the end of the compressed content.")
        ]
        assert walked(data)[0] == {"content": TEXT}


@packed_by
def test_what_is_cut_short_is_damaged(pack: Packer) -> None:
    whole = pack(TEXT)
    for length in range(14, len(whole)):
        assert told(whole[:length]) == [("damaged", "It is cut short.")], length


@packed_by
def test_a_wrong_checksum_is_damage(pack: Packer) -> None:
    whole = bytearray(pack(TEXT))
    whole[-6] ^= 1
    assert {word for word, _ in told(bytes(whole))} == {"damaged"}


@packed_by
def test_a_tar_inside_is_one_archive_with_it(pack: Packer) -> None:
    data = pack(tar_of(tar_file(b"a", TEXT), tar_file(b"b")))
    found, walk = walked(data, Policy(max_depth=1, refuse=[]))
    assert found == {"a": TEXT, "b": b""}
    assert walk.count.members == 2
    # So there is room for one archive in it.
    assert walked(pack(tar_of(tar_file(b"c.gz", gz(b"x")))), Policy(max_depth=1))[0] == {
        "c.gz/content": b"x"
    }


@pytest.mark.parametrize("name", [b"GIF89a", b"PK\x03\x04", b"%PDF-1.7", b"<html>", b"#!/bin/sh"])
def test_a_tar_whose_first_name_looks_like_something_else_is_one(name: bytes) -> None:
    data = gz(tar_of(tar_file(name, b"1"), tar_file(b"l", kind=b"2")))
    assert ("links", "The member 'l' is a link.") in told(data)
    assert walked(data)[0] == {name.decode(): b"1"}


def test_damage_inside_a_compressed_tar_is_told_once_for_each_layer() -> None:
    heard = told(gz(tar_of(tar_file(b"a", TEXT)))[:-40])
    assert {word for word, _ in heard} == {"damaged"}


def test_behind_a_damaged_tar_the_rest_is_still_unpacked_and_compared() -> None:
    whole = bytearray(gz(tar_of(tar_file(b"a", TEXT), b"x" * 512, noise(200_000))))
    whole[-6] ^= 1
    assert told(bytes(whole)) == [
        ("damaged", "A header has a checksum that is no number."),
        ("damaged", "Its compressed bytes are damaged."),
    ]


def test_many_streams_that_hold_next_to_nothing_are_too_many() -> None:
    with pytest.raises(TooComplex) as raised:
        walked(gz(b"") * 12, Policy(max_members=10))
    assert raised.value.what == "members"
    # As bgzip writes them: many, and with something inside.
    blocks = gz(b"x" * 16 * 1024) * 25
    assert walked(blocks, Policy(max_members=10))[1].count.unpacked == 25 * 16 * 1024


def test_xz_gets_the_memory_that_its_largest_preset_needs() -> None:
    assert told(xz_with_dictionary(26)) == []  # 64 MiB
    assert told(zip_of(Item("a.xz", xz_with_dictionary(26)))) == []
    with pytest.raises(TooComplex, match=r"more than 80\.0 MiB of memory") as raised:
        told(xz_with_dictionary(27))
    assert raised.value.what == "memory"


def test_decoders_inside_one_another_share_their_memory() -> None:
    count = Count(Policy(), 1)
    outer = count.kept(itertools.repeat(bytes(MIB), 200), 64 * MIB)
    assert sum(len(next(outer)) for _ in range(100)) == 100 * MIB
    inner = count.kept(itertools.repeat(bytes(MIB)), 64 * MIB)
    assert sum(len(next(inner)) for _ in range(16)) == 16 * MIB
    with pytest.raises(TooComplex) as raised:
        next(inner)
    assert raised.value.what == "memory"
    # What a decoder kept is free again once it has ended.
    assert sum(1 for _ in outer) == 100
    assert sum(1 for _ in count.kept(itertools.repeat(bytes(MIB), 80), 80 * MIB)) == 80


def filtered(filters: list[dict[str, int]]) -> bytes:
    packed = lzma.compress(b"x", lzma.FORMAT_XZ, filters=filters)
    return packed[:XZ_HEADERS]


@pytest.mark.parametrize(
    ("headers", "window"),
    [
        pytest.param(lzma.compress(b"x", preset=6), 8 * MIB, id="as usual"),
        pytest.param(lzma.compress(b"x", preset=9), 64 * MIB, id="the largest preset"),
        pytest.param(lzma.compress(b""), 0, id="no block"),
        pytest.param(
            filtered([{"id": lzma.FILTER_LZMA2, "dict_size": 3 * MIB}]), 3 * MIB, id="odd size"
        ),
        pytest.param(
            filtered(
                [
                    {"id": lzma.FILTER_DELTA, "dist": 4},
                    {"id": lzma.FILTER_X86},
                    {"id": lzma.FILTER_LZMA2, "dict_size": MIB},
                ]
            ),
            MIB,
            id="behind other filters",
        ),
        # Section 3.1: size of the header, flags with both sizes, 200 packed and 5 unpacked.
        pytest.param(
            bytes(12) + b"\x02\xc0\xc8\x01\x05\x21\x01\x10", MIB, id="with the sizes of the block"
        ),
        pytest.param(bytes(12) + b"\x02\x00\x03\x01\x00", 64 * MIB, id="without LZMA2"),
        pytest.param(bytes(12) + b"\x02\x00\x21\x01", 64 * MIB, id="cut short"),
        pytest.param(xz_with_dictionary(31), 64 * MIB, id="more than may be"),
    ],
)
def test_the_window_of_xz_is_read_from_its_header(headers: bytes, window: int) -> None:
    assert xz_window(headers) == window


def test_the_decoder_asks_for_input_when_it_has_none() -> None:
    inflater = Inflater(31)
    packed = gz(bytes(100))
    asked = [inflater.needs_input]
    assert inflater.decompress(packed + b"next", 60) == bytes(60)
    asked.append(inflater.needs_input)
    assert inflater.decompress(b"", 60) == bytes(40)
    assert (asked, inflater.eof, inflater.unused_data) == ([True, False], True, b"next")


def test_examine_counts_them_and_refuses_damage() -> None:
    data = gz(TEXT)
    media_type, details = examine(
        io.BytesIO(data), len(data), policy=Policy.archives(), name="a.gz", type="application/gzip"
    )
    assert (media_type, details.members, details.unpacked) == ("application/gzip", 1, 6000)
