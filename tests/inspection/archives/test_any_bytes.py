"""Whatever the bytes: the walk ends with members, findings or a limit, and with nothing else."""

from __future__ import annotations

import bz2
import contextlib
import io
import lzma
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from support.archives import Item, ar_of, gz, pax, streamed, tar_file, tar_of, zip_of
from support.walked import ARCHIVE
from wharfinger.errors import Rejected, TooComplex
from wharfinger.inspection.archives import UNREADABLE, look, members
from wharfinger.inspection.findings import Findings
from wharfinger.policy import FINDINGS, Policy

SMALL = Policy(refuse=[], max_members=50, max_unpacked="64 KiB")
ZIP = zip_of(
    Item("a", b"hello " * 20, deflate=True), Item("d/"), streamed("s", b"x" * 40), comment=b"c"
)
TAR = tar_of(pax(path="\u00e9"), tar_file(b"a", b"hello" * 20), tar_file(b"z", ZIP))
SEEDS = [
    ZIP,
    TAR,
    gz(TAR),
    bz2.compress(TAR),
    lzma.compress(TAR),
    ar_of((b"#1/3", b"a.ozip"), (b"b/", ZIP)),
    zip_of(Item("z", ZIP), Item("t", TAR), Item("g", gz(TAR))),
]
changes = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.binary(max_size=4)), max_size=6)


def mutated(seed: bytes, where: list[tuple[float, bytes]], cut: float) -> bytes:
    data = bytearray(seed)
    for place, new in where:
        at = int(place * len(data))
        data[at : at + len(new)] = new
    return bytes(data[: int(cut * len(data)) + 1])


def ends_well(data: bytes) -> None:
    heard: list[str] = []
    found = members(io.BytesIO(data), len(data), ARCHIVE, SMALL, lambda word, _: heard.append(word))
    try:
        total = sum(len(piece) for _, pieces in found for piece in pieces)
    except TooComplex:
        total = 0
    assert total <= SMALL.max_unpacked + 64 * 1024
    assert set(heard) <= {*FINDINGS, UNREADABLE}
    with contextlib.suppress(Rejected):
        look(io.BytesIO(data), len(data), ARCHIVE, Findings(Policy.archives()))


@given(st.sampled_from(SEEDS), changes, st.floats(0.5, 1))
def test_mutated_archives_end_well(
    seed: bytes, where: list[tuple[float, bytes]], cut: float
) -> None:
    ends_well(mutated(seed, where, cut))


@given(st.sampled_from(SEEDS), changes, st.floats(0.5, 1))
def test_mutated_archives_that_are_read_in_order_end_well(
    seed: bytes, where: list[tuple[float, bytes]], cut: float
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wharfinger.inspection.archives.walking._HELD", 64)
        ends_well(tar_of(tar_file(b"in", mutated(seed, where, cut))))


@given(
    st.sampled_from([b"PK\3\4", b"PK\5\6", b"\x1f\x8b\x08\0", b"BZh91AY&SY", b"\xfd7zXZ\0", b""]),
    st.binary(max_size=600),
)
@example(b"PK\5\6", bytes(18))
@example(b"!<arch>\n", b"x" * 60)
def test_other_bytes_behind_a_magic_end_well(magic: bytes, rest: bytes) -> None:
    ends_well(magic + rest)


@pytest.mark.parametrize(
    "wrap",
    [
        pytest.param(lambda data: data, id="bare"),
        pytest.param(lambda data: zip_of(Item("i", data)), id="in zip"),
        pytest.param(gz, id="in gzip"),
    ],
)
def test_every_beginning_of_an_archive_is_damaged_or_none(wrap: Callable[[bytes], bytes]) -> None:
    for seed in (ZIP, TAR, gz(ZIP)):
        for length in range(8, len(seed), max(1, len(seed) // 200)):
            ends_well(wrap(seed[:length]))
