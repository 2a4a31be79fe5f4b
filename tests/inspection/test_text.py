from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger.inspection.text import TextReader, is_json, read_text


def _is_text(*pieces: bytes) -> bool:
    reader = TextReader()
    for piece in pieces:
        reader.feed(piece)
    return reader.finish()


_TEXTS = [
    b"hello",
    "\ufeffzwölf".encode(),
    "zwölf Boxkämpfer 😀".encode("utf-16"),
    "zwölf Boxkämpfer 😀".encode("utf-32"),
    b"caf\xe9 au lait",
    b"caf\xe9\0",
    b"\xef\xbb\xbfcaf\xe9",
    b"\xff\xfe\0\xd8",
    b"\xe9\xe9\xe9",
    "ü".encode(),
    b"\xc3",
]


@given(st.sampled_from(_TEXTS), st.binary(max_size=9), st.lists(st.integers(0, 60), max_size=4))
def test_the_cut_makes_no_difference_and_the_head_agrees(
    text: bytes, more: bytes, cuts: list[int]
) -> None:
    data = text + more
    places = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(places)]
    assert _is_text(*pieces) is _is_text(data) is read_text(data, complete=True).valid


def test_a_control_character_ends_the_reading_at_once() -> None:
    assert TextReader().feed(b"hello" * 1000)
    assert not TextReader().feed(b"hello\0")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": [1, 2.5, null]}', True),
        (b'\xef\xbb\xbf{"a": 1}', True),
        ('{"a": 1}'.encode("utf-16"), True),
        (b"[" * 100_000 + b"]" * 100_000, True),
        (b'{"a": 1', False),
        (b'{"a": NaN}', False),
        (b"{} {}", False),
        (b'{"a": "\xff"}', False),
    ],
    ids=["utf-8", "with a mark", "utf-16", "too deep to read", "cut", "NaN", "two", "damaged"],
)
def test_json_parses_to_its_end(data: bytes, expected: bool) -> None:
    assert is_json(data) is expected
