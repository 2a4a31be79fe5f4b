from __future__ import annotations

import hashlib
from array import array
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import content as c
from wharfinger import Policy
from wharfinger.errors import (
    ActiveContent,
    ContentMismatch,
    LengthMismatch,
    Rejected,
    TooLarge,
    TooSmall,
    UsageError,
    WharfingerError,
)
from wharfinger.inspection import HEAD_SIZE, Facts, Inspection

ANYTHING = Policy.anything()
# SHA-256 of nothing and of b"abc": FIPS 180-2 appendix B.1 and the usual test vector.
SHA256_OF_NOTHING = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
SHA256_OF_ABC = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"


def test_the_facts_are_size_type_and_digest() -> None:
    inspection = Inspection(ANYTHING, name="a.txt")
    assert inspection.feed(b"abc") == ()
    assert inspection.finish() == (
        (b"abc",),
        Facts(size=3, type="text/plain", sha256=SHA256_OF_ABC),
    )


def test_empty_content_clears_no_buffer() -> None:
    inspection = Inspection(ANYTHING)
    assert inspection.feed(b"") == ()
    assert inspection.finish() == (
        (),
        Facts(size=0, type="application/octet-stream", sha256=SHA256_OF_NOTHING),
    )


def test_nothing_is_cleared_before_the_head_is_complete() -> None:
    inspection = Inspection(ANYTHING)
    first, last, later = c.PNG + bytes(HEAD_SIZE - 1 - len(c.PNG)), b"x", b"more"
    assert inspection.feed(first) == ()
    assert inspection.feed(last) == (first, last)
    assert inspection.feed(later) == (later,)
    assert inspection.finish()[0] == ()
    assert inspection.size == HEAD_SIZE + 4


def test_a_large_first_buffer_passes_without_a_copy() -> None:
    inspection = Inspection(ANYTHING)
    data = bytearray(c.PNG + bytes(HEAD_SIZE))
    (first,) = inspection.feed(data)
    (second,) = inspection.feed(view := memoryview(data))
    assert first is data
    assert second is view


def test_held_bytes_are_copied() -> None:
    inspection = Inspection(ANYTHING)
    buffer = bytearray(b"abc")
    inspection.feed(buffer)
    buffer[:] = b"xyz"
    assert inspection.finish()[0] == (b"abc",)


@pytest.mark.parametrize("items", [2, HEAD_SIZE], ids=["in the head", "beyond the head"])
def test_a_view_of_wider_items_counts_its_bytes(items: int) -> None:
    inspection = Inspection(ANYTHING)
    inspection.feed(memoryview(array("I", [0x20202020] * items)))
    assert inspection.size == 4 * items


@pytest.mark.parametrize("size", [HEAD_SIZE - 1, HEAD_SIZE, HEAD_SIZE + 1])
def test_the_head_may_be_the_whole_file(size: int) -> None:
    data = c.PNG + bytes(size - len(c.PNG))
    inspection = Inspection(ANYTHING, name="a.png", length=size)
    cleared = b"".join(inspection.feed(data))
    last, facts = inspection.finish()
    assert cleared + b"".join(last) == data
    assert facts == Facts(size=size, type="image/png", sha256=hashlib.sha256(data).hexdigest())


# --- sizes --------------------------------------------------------------------------------


def test_a_declared_length_over_the_limit_is_refused_at_once() -> None:
    with pytest.raises(TooLarge) as caught:
        Inspection(Policy(max_size="1 KiB"), length=1025)
    assert (caught.value.limit, caught.value.size) == (1024, 1025)
    assert str(caught.value) == (
        "The content is 1.0 KiB (1025 bytes) long; at most 1.0 KiB (1024 bytes) are accepted."
    )


def test_a_declared_length_under_the_least_size_is_refused_at_once() -> None:
    with pytest.raises(TooSmall, match=r"9 bytes long; at least 10 bytes"):
        Inspection(Policy(min_size=10), length=9)


def test_a_negative_length_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(UsageError, match="negative"):
        Inspection(ANYTHING, length=-1)


@pytest.mark.parametrize("limit", [0, 10, HEAD_SIZE - 1, HEAD_SIZE, HEAD_SIZE + 10])
def test_the_first_byte_over_the_limit_is_refused(limit: int) -> None:
    inspection = Inspection(Policy(max_size=limit))
    inspection.feed(b"a" * limit)
    with pytest.raises(TooLarge) as caught:
        inspection.feed(b"a")
    assert (caught.value.limit, caught.value.size) == (limit, None)
    assert inspection.size == limit


@pytest.mark.parametrize("limit", [10, HEAD_SIZE, HEAD_SIZE + 10])
def test_one_buffer_over_the_limit_is_refused_whole(limit: int) -> None:
    inspection = Inspection(Policy(max_size=limit))
    with pytest.raises(TooLarge):
        inspection.feed(b"a" * (limit + 1))


def test_content_of_exactly_the_limits_passes() -> None:
    inspection = Inspection(Policy(max_size=5, min_size=5), length=5)
    inspection.feed(b"hello")
    assert inspection.finish()[1].size == 5


def test_content_under_the_least_size_is_refused_at_the_end() -> None:
    inspection = Inspection(Policy(min_size=6))
    inspection.feed(b"hello")
    with pytest.raises(TooSmall):
        inspection.finish()


@pytest.mark.parametrize("sent", [b"", b"hell", b"hello!"])
def test_a_length_that_was_not_kept_is_an_error_at_the_end(sent: bytes) -> None:
    inspection = Inspection(ANYTHING, name="a.jpg", length=5)
    inspection.feed(sent)
    with pytest.raises(LengthMismatch, match=f"5 bytes were announced, {len(sent)} arrived"):
        inspection.finish()


# --- the verdict is final -----------------------------------------------------------------


def test_a_refusal_is_raised_again_by_every_later_call() -> None:
    inspection = Inspection(ANYTHING, name="a.jpg")
    with pytest.raises(ActiveContent) as first:
        inspection.feed(c.HTML + b" " * HEAD_SIZE)
    for again in (lambda: inspection.feed(b"x"), lambda: inspection.feed(b""), inspection.finish):
        with pytest.raises(ActiveContent) as later:
            again()
        assert later.value is first.value


def test_a_refusal_after_the_head_is_final_too() -> None:
    inspection = Inspection(Policy(max_size=HEAD_SIZE))
    inspection.feed(b"a" * HEAD_SIZE)
    with pytest.raises(TooLarge):
        inspection.feed(b"a")
    with pytest.raises(TooLarge):
        inspection.feed(b"a")
    with pytest.raises(TooLarge):
        inspection.finish()


def test_a_finished_inspection_takes_no_more() -> None:
    inspection = Inspection(ANYTHING)
    inspection.finish()
    with pytest.raises(UsageError, match="finished"):
        inspection.feed(b"x")
    with pytest.raises(UsageError, match="finished"):
        inspection.finish()


def test_a_representation_shows_the_state() -> None:
    inspection = Inspection(ANYTHING, name="a.png")
    assert repr(inspection) == "<Inspection gathering, 0 bytes>"
    inspection.feed(c.PNG + bytes(HEAD_SIZE - len(c.PNG)))
    assert repr(inspection) == "<Inspection image/png, 8192 bytes>"
    inspection.finish()
    assert repr(inspection) == "<Inspection image/png, 8192 bytes>"
    refused = Inspection(ANYTHING, name="a.png")
    with pytest.raises(ContentMismatch):
        refused.feed(b"a" * HEAD_SIZE)
    assert repr(refused) == "<Inspection ContentMismatch, 0 bytes>"


# --- the digest ---------------------------------------------------------------------------


class CountingHasher:
    """Counts what it is fed; the "digest" is the count."""

    def __init__(self) -> None:
        self.count = 0

    def update(self, data: bytes | bytearray | memoryview) -> None:
        self.count += len(data)

    def hexdigest(self) -> str:
        return str(self.count)


def test_a_hasher_of_the_caller_sees_every_byte_once() -> None:
    inspection = Inspection(ANYTHING, hasher=CountingHasher())
    for size in (100, HEAD_SIZE, 7):
        inspection.feed(b"a" * size)
    assert inspection.finish()[1].sha256 == "8299"


def test_a_hasher_that_took_in_earlier_bytes_goes_on() -> None:
    hasher = hashlib.sha256(b"a")
    inspection = Inspection(ANYTHING, hasher=hasher)
    inspection.feed(b"bc")
    assert inspection.finish()[1].sha256 == SHA256_OF_ABC


# --- going on -----------------------------------------------------------------------------


@pytest.mark.parametrize("kept", [HEAD_SIZE, HEAD_SIZE + 1, 3 * HEAD_SIZE])
def test_what_was_kept_and_hashed_before_is_judged_by_its_head_and_gone_on_with(kept: int) -> None:
    data = c.PNG.ljust(3 * HEAD_SIZE, b"\0") + b"end"
    inspection = Inspection(Policy.images(), name="a.png", hasher=hashlib.sha256(data[:kept]))
    inspection.go_on(data[:HEAD_SIZE], kept)
    assert inspection.feed(data[kept:]) == (data[kept:],)
    last, facts = inspection.finish()
    assert (last, facts.size, facts.type) == ((), 24_579, "image/png")
    assert facts.sha256 == hashlib.sha256(data).hexdigest()


def test_what_was_kept_before_is_refused_by_its_head_too() -> None:
    inspection = Inspection(ANYTHING, name="a.jpg")
    with pytest.raises(ActiveContent) as first:
        inspection.go_on(c.HTML.ljust(HEAD_SIZE), HEAD_SIZE)
    with pytest.raises(ActiveContent) as again:
        inspection.feed(b"x")
    assert again.value is first.value


@pytest.mark.parametrize("limit", [10, HEAD_SIZE - 1, HEAD_SIZE, HEAD_SIZE + 10])
def test_what_was_kept_before_is_not_over_the_limit_either(limit: int) -> None:
    inspection = Inspection(Policy(max_size=limit))
    with pytest.raises(TooLarge):
        inspection.go_on(b"a" * HEAD_SIZE, HEAD_SIZE + 11)


def test_going_on_comes_first_and_takes_a_whole_head() -> None:
    begun = Inspection(ANYTHING)
    begun.feed(b"a")
    with pytest.raises(UsageError, match="8192"):
        begun.go_on(b"a" * HEAD_SIZE, HEAD_SIZE)
    for head, size in ((b"a" * (HEAD_SIZE - 1), HEAD_SIZE), (b"a" * HEAD_SIZE, HEAD_SIZE - 1)):
        with pytest.raises(UsageError, match="8192"):
            Inspection(ANYTHING).go_on(head, size)


# --- properties ---------------------------------------------------------------------------

Outcome = tuple[str, Facts | None, bytes]
_POLICIES = [
    ANYTHING,
    Policy.images(),
    Policy(require_agreement=False),
    Policy(max_size=100, min_size=3),
    Policy(max_size=HEAD_SIZE),
    Policy(max_size=HEAD_SIZE + 50),
]
_STARTS = [b"", c.PNG, c.JPEG, c.HTML, c.ELF, c.DOCX, b"a,b\n1,2\n", b'{"a": 1', "ß你".encode()]


def _run(policy: Policy, name: str | None, pieces: list[bytes]) -> Outcome:
    out = b""
    try:
        inspection = Inspection(policy, name=name)
        for piece in pieces:
            out += b"".join(inspection.feed(piece))
        last, facts = inspection.finish()
    except WharfingerError as error:
        return f"{type(error).__name__}: {error}", None, out
    return "passed", facts, out + b"".join(last)


@st.composite
def _contents(draw: st.DrawFn) -> bytes:
    start = draw(st.sampled_from(_STARTS))
    pad = draw(st.sampled_from([0, 1, 90, HEAD_SIZE - 20, HEAD_SIZE, HEAD_SIZE + 60]))
    return start + draw(st.sampled_from([b" ", b"\0", "你".encode()])) * pad + draw(st.binary())


@given(
    policy=st.sampled_from(_POLICIES),
    name=st.sampled_from([None, "a.png", "a.txt", "a.docx", "a.bin"]),
    data=_contents(),
    cuts=st.lists(st.integers(0, 3 * HEAD_SIZE), max_size=8),
)
def test_any_split_gives_the_same_verdict_facts_and_bytes(
    policy: Policy, name: str | None, data: bytes, cuts: list[int]
) -> None:
    whole = _run(policy, name, [data])
    places = sorted({0, len(data), *(cut for cut in cuts if cut < len(data))})
    split = _run(policy, name, [data[a:b] for a, b in pairwise(places)])
    assert split[:2] == whole[:2]
    if whole[1] is not None:
        assert split[2] == whole[2] == data
        assert whole[1].sha256 == hashlib.sha256(data).hexdigest()


@given(
    start=st.sampled_from([c.HTML, c.ELF, c.SHELL, c.PHP, c.GIF, b"hello ", b"\x00\x01"]),
    tail=st.binary(max_size=400),
    size=st.integers(1, 2 * HEAD_SIZE),
    pieces=st.integers(1, 5000),
)
def test_a_file_refused_by_its_head_never_clears_a_byte(
    start: bytes, tail: bytes, size: int, pieces: int
) -> None:
    data = (start + tail).ljust(size, b" ")
    inspection = Inspection(Policy.images(), name="photo.jpg")
    cleared: list[object] = []

    def feed_all() -> None:
        for at in range(0, len(data), pieces):
            cleared.extend(inspection.feed(data[at : at + pieces]))
        inspection.finish()

    with pytest.raises(Rejected):
        feed_all()
    assert cleared == []


def test_what_is_no_policy_is_wrong_usage() -> None:
    with pytest.raises(UsageError, match="policy= is a str") as caught:
        Inspection("images")  # type: ignore[arg-type]
    assert caught.value.hint == "It takes a Policy, such as Policy.images()."
