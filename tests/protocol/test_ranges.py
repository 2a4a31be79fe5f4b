from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger.protocol.ranges import Span, join, parse_range, resolve

LENGTH = 1000


def spans(value: str, length: int = LENGTH) -> list[tuple[int, int]] | None:
    ranges = parse_range(value)
    return None if ranges is None else [(s.start, s.length) for s in resolve(ranges, length)]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("bytes=0-0", [(0, 1)]),
        ("bytes=0-499", [(0, 500)]),
        ("bytes=500-999", [(500, 500)]),
        ("bytes=500-", [(500, 500)]),
        ("bytes=999-", [(999, 1)]),
        ("bytes=-1", [(999, 1)]),
        ("bytes=-500", [(500, 500)]),
        ("bytes=-1000", [(0, 1000)]),
        ("bytes=-5000", [(0, 1000)]),
        ("bytes=0-5000", [(0, 1000)]),
        ("bytes=0-999", [(0, 1000)]),
        ("BYTES=0-0", [(0, 1)]),
        (" bytes=0-0 ", [(0, 1)]),
        ("bytes= 0-0", [(0, 1)]),
        ("bytes=00000000000000000000000000-0", [(0, 1)]),
        ("bytes=0-" + "9" * 4000, [(0, 1000)]),
        ("bytes=-" + "9" * 4000, [(0, 1000)]),
        ("bytes=0-0,-1", [(0, 1), (999, 1)]),
        ("bytes=0-0 , ,\t5-5,", [(0, 1), (5, 1)]),
        ("bytes=,0-0", [(0, 1)]),
        ("bytes=0-1,5000-", [(0, 2)]),
        ("bytes=5-6,0-1", [(5, 2), (0, 2)]),
    ],
)
def test_ranges_resolve_within_the_length(value: str, expected: list[tuple[int, int]]) -> None:
    assert spans(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "bytes=1000-",
        "bytes=1000-2000",
        "bytes=-0",
        "bytes=-00000",
        "bytes=" + "9" * 4000 + "-",
        "bytes=" + "9" * 20 + "-" + "9" * 21,
        "bytes=1000-,-0",
    ],
)
def test_a_range_outside_the_length_is_unsatisfiable(value: str) -> None:
    assert spans(value) == []


@pytest.mark.parametrize(
    "value",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=a-b",
        "bytes=1-0",
        "bytes=0-1,3-2",
        "bytes=0-1,x",
        "bytes=0--1",
        "bytes=--1",
        "bytes=0-1-2",
        "bytes=+0-1",
        "bytes=0 -1",
        "bytes=0x0-1",
        "bytes=٠-٩",
        "bytes=0-1;2-3",
        "bytes =0-1",
        "bytes:0-1",
        "items=0-1",
        "none",
        "bytes=0-1\n",
        "bytes=" + "0-0," * 2047,
        "bytes=0-" + "9" * 8192,
    ],
)
def test_what_is_not_understood_is_ignored(value: str) -> None:
    assert spans(value) is None


def test_the_longest_field_is_still_read() -> None:
    value = "bytes=" + ",".join(["5-5", "0-1"] * 1023) + ",,"
    assert len(value) == 8191
    assert spans(value) == [(5, 1), (0, 2)]


# Asked for (first byte, bytes), and what is sent.
JOINED: dict[str, tuple[list[tuple[int, int]], list[tuple[int, int]]]] = {
    "nothing": ([], []),
    "one": ([(5, 10)], [(5, 10)]),
    "apart": ([(0, 10), (500, 10)], [(0, 10), (500, 10)]),
    "apart, backwards": ([(500, 10), (0, 10)], [(500, 10), (0, 10)]),
    "overlapping": ([(0, 10), (5, 10)], [(0, 15)]),
    "touching": ([(0, 10), (10, 10)], [(0, 20)]),
    "the same twice": ([(3, 4), (3, 4)], [(3, 4)]),
    "one within another": ([(0, 100), (10, 10)], [(0, 100)]),
    "79 bytes between": ([(0, 10), (89, 10)], [(0, 99)]),
    "80 bytes between": ([(0, 10), (90, 10)], [(0, 10), (90, 10)]),
    "a chain, from behind": ([(200, 50), (100, 110), (0, 110)], [(0, 250)]),
    "the place of the earliest of the joined": (
        [(900, 10), (500, 10), (0, 10), (905, 50)],
        [(900, 55), (500, 10), (0, 10)],
    ),
    "asked last, joined to the first": (
        [(500, 10), (0, 10), (505, 10)],
        [(500, 15), (0, 10)],
    ),
}


@pytest.mark.parametrize(("asked", "sent"), JOINED.values(), ids=list(JOINED))
def test_spans_that_overlap_or_nearly_touch_are_joined_in_the_order_of_asking(
    asked: list[tuple[int, int]], sent: list[tuple[int, int]]
) -> None:
    found = join(Span(start=start, length=length) for start, length in asked)
    assert [(span.start, span.length) for span in found] == sent


@given(st.lists(st.tuples(st.integers(0, 400), st.integers(1, 60)), max_size=12))
def test_joining_loses_no_byte_and_sends_none_twice(asked: list[tuple[int, int]]) -> None:
    found = join(Span(start=start, length=length) for start, length in asked)
    sent = [at for span in found for at in range(span.start, span.start + span.length)]
    wanted = {at for start, length in asked for at in range(start, start + length)}
    assert len(sent) == len(set(sent))
    assert wanted <= set(sent)
    # What was not asked for lies in a gap that is smaller than the head of a part.
    edges = sorted((span.start, span.start + span.length) for span in found)
    assert all(later[0] - earlier[1] >= 80 for earlier, later in itertools.pairwise(edges))


@given(st.text("bytes=0123456789-, \t", max_size=40), st.integers(0, 50))
def test_every_span_lies_within_the_content(value: str, length: int) -> None:
    for span in resolve(parse_range(value) or (), length):
        assert 0 <= span.start < span.start + span.length <= length


@given(st.integers(0, 30), st.integers(0, 30), st.integers(1, 30))
def test_a_range_selects_what_a_slice_selects(first: int, last: int, length: int) -> None:
    content = bytes(range(length))
    wanted = content[first : last + 1]
    found = spans(f"bytes={first}-{last}", length)
    if last < first:
        assert found is None
    else:
        assert found is not None
        assert b"".join(content[s : s + n] for s, n in found) == wanted


def test_spans_are_values() -> None:
    assert Span(start=1, length=2) == Span(start=1, length=2)
