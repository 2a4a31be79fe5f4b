"""Resumable uploads as values. The numbers are those of the draft's rules in our checklist."""

from __future__ import annotations

import pytest

from wharfinger.errors import InconsistentLength
from wharfinger.protocol import resumable
from wharfinger.protocol.headers import Headers
from wharfinger.protocol.resumable import Limits, Next


def fields(*pairs: tuple[str, str]) -> Headers:
    return Headers(pairs)


@pytest.mark.parametrize(
    ("value", "found"),
    [("?1", True), ("?0", False), (" ?1 ", True), ("?1;a=b", True), ("?0; q=1", False)],
)
def test_rule_1_upload_complete_is_a_boolean(value: str, found: bool) -> None:
    assert resumable.complete(fields(("Upload-Complete", value))) is found


@pytest.mark.parametrize(
    "value", ["true", "1", "0", "", "?2", "?1, ?1", '"?1"', ":Pz8=:", "?", "(?1)", "?1 ?0", "ä"]
)
def test_rule_5_another_type_is_as_if_it_were_not_there(value: str) -> None:
    assert resumable.complete(fields(("Upload-Complete", value))) is None


def test_rule_5_a_field_that_comes_twice_says_nothing() -> None:
    twice = fields(("Upload-Complete", "?1"), ("upload-complete", "?1"))
    assert resumable.complete(twice) is None
    assert resumable.complete(fields()) is None


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("0", 0), ("5", 5), ("007", 7), ("999999999999999", 999_999_999_999_999), ("3;x", 3),
        ("-1", None), ("+1", None), ("1.0", None), ("1000000000000000", None), ("", None),
        ("?1", None), ("five", None), ("1, 2", None), ("0x1", None),
    ],
)  # fmt: skip
def test_rules_2_and_3_offset_and_length_are_integers_from_0(value: str, found: int | None) -> None:
    assert resumable.offset(fields(("Upload-Offset", value))) == found
    assert resumable.length(fields(("Upload-Length", value))) == found
    assert resumable.version(fields(("Upload-Draft-Interop-Version", value))) == found


def test_booleans_are_written_as_structured_fields() -> None:
    assert (resumable.boolean(True), resumable.boolean(False)) == ("?1", "?0")


# --- limits -------------------------------------------------------------------------------


def test_rules_4_and_6_limits_are_a_dictionary_of_which_unknown_members_do_not_count() -> None:
    value = "max-size=1000, min-size=0, max-append-size=100;x=1, colour=blue, max-age=60"
    assert Limits.of(fields(("Upload-Limit", value))) == Limits(
        max_size=1000, min_size=0, max_append_size=100, max_age=60
    )
    two_lines = fields(("Upload-Limit", "max-size=5"), ("Upload-Limit", "min-append-size=2"))
    assert Limits.of(two_lines) == Limits(max_size=5, min_append_size=2)


@pytest.mark.parametrize(
    "value",
    ["max-size=big", "max-size=1.5", "max-size=-1", "max-size", "max-size=(1 2)", "max-age=?1",
     "=", "max-size=1,,", "ü=1"],
)  # fmt: skip
def test_rule_6_a_known_member_of_another_type_makes_the_field_nothing(value: str) -> None:
    assert Limits.of(fields(("Upload-Limit", value))) is None


def test_no_limits_are_not_the_same_as_limits_that_limit_nothing() -> None:
    assert Limits.of(fields()) is None
    assert Limits.of(fields(("Upload-Limit", "min-size=0"))) == Limits(min_size=0)


def test_limits_are_written_in_their_order() -> None:
    limits = Limits(max_size=10, min_size=0, max_append_size=5, min_append_size=1, max_age=9)
    assert limits.field() == (
        "max-size=10, min-size=0, max-append-size=5, min-append-size=1, max-age=9"
    )
    assert Limits(min_size=0).field() == "min-size=0"


# --- lengths ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "last", "content", "told", "known", "found"),
    [
        (0, True, 5, None, None, 5),
        (3, True, 5, None, None, 8),
        (3, True, 5, 8, 8, 8),
        (3, False, 5, None, None, None),
        (3, False, 5, 20, None, 20),
        (3, False, 5, None, 20, 20),
        (3, None, 5, None, None, None),
        (3, True, None, None, None, None),
        (3, True, None, 9, None, 9),
        (0, True, 0, None, None, 0),
    ],
)
def test_rule_10_the_length_is_told_by_the_end_or_by_the_field(
    start: int,
    last: bool | None,
    content: int | None,
    told: int | None,
    known: int | None,
    found: int | None,
) -> None:
    whole = resumable.whole_length(start=start, last=last, content=content, told=told, known=known)
    assert whole == found


@pytest.mark.parametrize(
    ("content", "told", "known", "lengths"),
    [(5, 9, None, (8, 9)), (5, None, 7, (7, 8)), (None, 6, 7, (6, 7)), (5, 8, 9, (8, 9))],
)
def test_rule_10_lengths_that_disagree_are_an_error_that_names_them(
    content: int | None, told: int | None, known: int | None, lengths: tuple[int, int]
) -> None:
    with pytest.raises(InconsistentLength) as caught:
        resumable.whole_length(start=3, last=True, content=content, told=told, known=known)
    assert caught.value.lengths == lengths


def test_problem_types_are_those_that_the_draft_registers() -> None:
    registry = "https://iana.org/assignments/http-problem-types#"
    assert resumable.problem_type("offset-mismatch") == f"{registry}mismatching-upload-offset"
    assert resumable.problem_type("upload-over") == f"{registry}completed-upload"
    assert resumable.problem_type("inconsistent-length") == f"{registry}inconsistent-upload-length"
    assert resumable.problem_type("too-large") is None


# --- the client ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "complete", "offset", "next_"),
    [
        (409, "?0", "5", Next.THERE),
        (409, "?0", None, Next.STOP),
        (409, None, "5", Next.STOP),
        (409, None, None, Next.STOP),
        (409, "?1", "5", Next.FINAL),
        (500, "?1", None, Next.FINAL),
        (413, "?1", None, Next.FINAL),
        (413, "?0", None, Next.SHRINK),
        (413, None, None, Next.SHRINK),
        (429, None, None, Next.WAIT),
        (423, None, None, Next.WAIT),
        (408, None, None, Next.WAIT),
        (425, None, None, Next.WAIT),
        (500, None, None, Next.ASK),
        (503, "?0", None, Next.ASK),
        (404, None, None, Next.ANEW),
        (410, "?0", None, Next.ANEW),
        (400, "?0", None, Next.STOP),
        (401, None, None, Next.STOP),
        (415, None, None, Next.STOP),
    ],
)
def test_rule_44_what_a_client_does_after_an_error(
    status: int, complete: str | None, offset: str | None, next_: Next
) -> None:
    pairs = [("Upload-Complete", complete), ("Upload-Offset", offset)]
    headers = Headers((name, value) for name, value in pairs if value is not None)
    assert resumable.after(status, headers) is next_


@pytest.mark.parametrize(
    ("left", "wanted", "most", "least", "size"),
    [
        (100, None, None, None, 100),
        (100, 30, None, None, 30),
        (100, None, 40, None, 40),
        (100, 60, 40, None, 40),
        (100, 10, None, 25, 25),
        (10, 5, None, 25, 10),  # less than the least is all there is
        (60, 50, None, 20, 40),  # what is left behind is not too small either
        (30, 25, None, 20, 25),  # unless that cannot be had
        (100, None, 0, None, 1),
        (0, None, None, 5, 0),
    ],
)
def test_rule_19_an_append_keeps_to_the_known_limits(
    left: int, wanted: int | None, most: int | None, least: int | None, size: int
) -> None:
    limits = Limits(max_append_size=most, min_append_size=least)
    assert resumable.append_size(left, wanted, limits) == size


@pytest.mark.parametrize(
    ("sent", "most", "least", "size"),
    [
        (1_000_000, None, None, 500_000),
        (1_000_000, 300_000, None, 300_000),
        (300_000, 300_000, None, 150_000),
        (1_000_000, None, 600_000, None),
        (100_000, None, None, None),  # a server that takes less than 64 KiB takes nothing
        (10, 8, None, 8),
        (10, 8, 9, None),
        (0, None, None, None),
    ],
)
def test_rule_45_what_was_too_much_is_sent_in_less(
    sent: int, most: int | None, least: int | None, size: int | None
) -> None:
    limits = Limits(max_append_size=most, min_append_size=least)
    assert resumable.smaller(sent, limits) == size
