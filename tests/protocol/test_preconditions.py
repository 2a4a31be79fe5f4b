from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest

from protocol.oracle import Resource, expected, table, values
from wharfinger.errors import PreconditionFailed
from wharfinger.protocol.delivery import Piece, Representation, Span, plan
from wharfinger.protocol.headers import Headers
from wharfinger.protocol.preconditions import evaluate, if_range_holds, strong_match, weak_match

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CHANGED = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
THEN = "Thu, 01 Jan 2026 00:00:00 GMT"
BEFORE = "Wed, 31 Dec 2025 23:59:59 GMT"
AFTER = "Thu, 01 Jan 2026 00:00:01 GMT"
TAG = '"abc"'
FILE = Representation(length=1000, etag=TAG, last_modified=CHANGED)

RESOURCE = Resource(bytes(1000), TAG, CHANGED, NOW)
TABLE = table(values(RESOURCE, before=BEFORE, same=THEN))


def answered(method: str, pairs: Iterable[tuple[str, str]]) -> tuple[int, tuple[Piece, ...]]:
    try:
        answer = plan(method, Headers(pairs), FILE, now=NOW, boundary="b")
    except PreconditionFailed as error:
        return error.http_status, ()
    return answer.status, answer.body


def test_all_972_combinations_of_the_conditional_fields_follow_the_rfc() -> None:
    assert len(TABLE) == 972
    for method, _, _, sent in TABLE:
        wanted = expected(RESOURCE, method, sent)
        status, body = answered(method, sent.items())
        assert status == wanted.status, (method, sent)
        if method == "HEAD" or status in {304, 412}:
            assert body == (), (method, sent)
        elif status == 206:
            assert body == (Span(start=2, length=4),), (method, sent)
        else:
            assert body == (Span(start=0, length=1000),), (method, sent)


def test_the_oracle_knows_the_outcomes_that_the_rfc_spells_out() -> None:
    by_hand = {
        ("GET", "If-Match", False): 412,
        ("HEAD", "If-Match", False): 412,
        ("GET", "If-Unmodified-Since", False): 412,
        ("GET", "If-None-Match", True): 304,
        ("HEAD", "If-None-Match", True): 304,
        ("GET", "If-Modified-Since", True): 304,
        ("GET", "If-Modified-Since", False): 206,
        ("GET", "If-Range", True): 206,
        ("GET", "If-Range", False): 200,
        ("HEAD", "If-Range", True): 200,
    }
    found = values(RESOURCE, before=BEFORE, same=THEN)
    for (method, name, says), status in by_hand.items():
        sent = {name: found[name][says], "Range": "bytes=2-5"}
        assert expected(RESOURCE, method, sent).status == status, (method, sent)


@pytest.mark.parametrize(
    ("method", "pairs", "status"),
    [
        pytest.param("GET", [("If-None-Match", TAG), ("If-Modified-Since", BEFORE)], 304, id="INM match, IMS old"),
        pytest.param("GET", [("If-Match", TAG), ("If-Unmodified-Since", BEFORE)], 200, id="IM match, IUS old"),
        pytest.param("GET", [("If-Match", '"x"'), ("If-None-Match", TAG)], 412, id="IM fails, INM match"),
        pytest.param("GET", [("If-Unmodified-Since", BEFORE), ("Range", "bytes=0-9")], 412, id="IUS old, Range"),
        pytest.param("GET", [("If-None-Match", TAG), ("Range", "bytes=0-9")], 304, id="INM match, Range"),
        pytest.param("GET", [("If-Match", '"x"'), ("Range", "bytes=0-9")], 412, id="IM fails, Range"),
        pytest.param("GET", [("If-Range", f"W/{TAG}"), ("Range", "bytes=0-9")], 200, id="weak If-Range"),
        pytest.param("GET", [("If-Range", TAG)], 200, id="If-Range without Range"),
        pytest.param("HEAD", [("Range", "bytes=0-9")], 200, id="HEAD with Range"),
    ],
)  # fmt: skip
def test_what_todays_engines_get_wrong_is_right_here(
    method: str, pairs: list[tuple[str, str]], status: int
) -> None:
    assert answered(method, pairs)[0] == status


@pytest.mark.parametrize(
    ("first", "second", "strong", "weak"),
    [  # the table of RFC 9110 section 8.8.3.2
        ('W/"1"', 'W/"1"', False, True),
        ('W/"1"', 'W/"2"', False, False),
        ('W/"1"', '"1"', False, True),
        ('"1"', '"1"', True, True),
    ],
)
def test_entity_tags_compare_strongly_and_weakly(
    first: str,
    second: str,
    strong: bool,
    weak: bool,
) -> None:
    assert strong_match(first, second) is strong
    assert weak_match(first, second) is weak


@pytest.mark.parametrize(
    ("value", "etag", "result"),
    [
        ("*", TAG, "not-modified"),
        ("*", None, "not-modified"),
        (" * ", TAG, "not-modified"),
        (f"W/{TAG}", TAG, "not-modified"),
        (TAG, f"W/{TAG}", "not-modified"),
        (f'"x", {TAG}', TAG, "not-modified"),
        (f'"x",{TAG}', TAG, "not-modified"),
        (f' ,, "x" ,\t, {TAG} ,, ', TAG, "not-modified"),
        ('"x,y", "z"', '"x,y"', "not-modified"),
        ('""', '""', "not-modified"),
        ('"\xe4"', '"\xe4"', "not-modified"),
        (TAG, None, "proceed"),
        ("abc", TAG, "proceed"),
        ('"abc', TAG, "proceed"),
        (f"w/{TAG}", TAG, "proceed"),
        (f"{TAG} x", TAG, "proceed"),
        (f"{TAG}{TAG}", TAG, "proceed"),
        (f"*, {TAG}", TAG, "proceed"),
        ("", TAG, "proceed"),
        (",", TAG, "proceed"),
    ],
)
def test_if_none_match_reads_lists_of_entity_tags(
    value: str, etag: str | None, result: str
) -> None:
    headers = Headers([("If-None-Match", value)])
    judged = evaluate("GET", headers, etag=etag, last_modified=None, now=NOW)
    assert judged == result


def test_several_lines_of_a_list_are_one_list() -> None:
    headers = Headers([("If-None-Match", '"x"'), ("If-None-Match", TAG)])
    assert evaluate("GET", headers, etag=TAG, last_modified=None, now=NOW) == "not-modified"


@pytest.mark.parametrize(
    ("value", "etag", "holds"),
    [
        ("*", TAG, True),
        ("*", None, True),
        (f'"x", {TAG}', TAG, True),
        (f"W/{TAG}", f"W/{TAG}", False),
        (f"W/{TAG}", TAG, False),
        (TAG, None, False),
        ("abc", TAG, False),
        ("", TAG, False),
    ],
)
def test_if_match_compares_strongly_and_fails_closed(
    value: str,
    etag: str | None,
    holds: bool,
) -> None:
    headers = Headers([("If-Match", value)])
    if holds:
        assert evaluate("GET", headers, etag=etag, last_modified=None, now=NOW) == "proceed"
    else:
        with pytest.raises(PreconditionFailed):
            evaluate("GET", headers, etag=etag, last_modified=None, now=NOW)


def test_if_none_match_forbids_other_methods_instead_of_answering_304() -> None:
    headers = Headers([("If-None-Match", "*")])
    with pytest.raises(PreconditionFailed):
        evaluate("DELETE", headers, etag=TAG, last_modified=None, now=NOW)


def test_if_modified_since_counts_for_get_and_head_only() -> None:
    headers = Headers([("If-Modified-Since", AFTER)])
    assert evaluate("HEAD", headers, etag=None, last_modified=CHANGED, now=NOW) == "not-modified"
    assert evaluate("DELETE", headers, etag=None, last_modified=CHANGED, now=NOW) == "proceed"


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
@pytest.mark.parametrize(
    "lines",
    [
        pytest.param(["yesterday"], id="no date"),
        pytest.param([""], id="empty"),
        pytest.param([BEFORE, AFTER], id="twice"),
        pytest.param([AFTER, BEFORE], id="twice, the other way"),
    ],
)
def test_a_bad_date_is_ignored(name: str, lines: list[str]) -> None:
    headers = Headers([(name, line) for line in lines])
    assert evaluate("GET", headers, etag=None, last_modified=CHANGED, now=NOW) == "proceed"


@pytest.mark.parametrize("name", ["If-Modified-Since", "If-Unmodified-Since"])
def test_a_date_is_ignored_when_the_file_has_none(name: str) -> None:
    headers = Headers([(name, BEFORE)])
    assert evaluate("GET", headers, etag=TAG, last_modified=None, now=NOW) == "proceed"


def test_dates_compare_in_whole_seconds() -> None:
    precise = CHANGED + timedelta(microseconds=999999)
    headers = Headers([("If-Modified-Since", THEN)])
    assert evaluate("GET", headers, etag=None, last_modified=precise, now=NOW) == "not-modified"
    headers = Headers([("If-Unmodified-Since", THEN)])
    assert evaluate("GET", headers, etag=None, last_modified=precise, now=NOW) == "proceed"


@pytest.mark.parametrize(
    ("lines", "etag", "changed", "holds"),
    [
        pytest.param([], TAG, CHANGED, True, id="absent"),
        pytest.param([TAG], TAG, CHANGED, True, id="the same tag"),
        pytest.param([f" {TAG} "], TAG, CHANGED, True, id="white space around"),
        pytest.param([f"W/{TAG}"], f"W/{TAG}", CHANGED, False, id="weak tags never match"),
        pytest.param([TAG], f"W/{TAG}", CHANGED, False, id="the file's tag is weak"),
        pytest.param([TAG], None, CHANGED, False, id="the file has no tag"),
        pytest.param([f'{TAG}, "x"'], TAG, CHANGED, False, id="a list is not a tag"),
        pytest.param([TAG, TAG], TAG, CHANGED, False, id="twice"),
        pytest.param(["*"], TAG, CHANGED, False, id="a star is not a tag"),
        pytest.param([THEN], TAG, CHANGED, True, id="the same date"),
        pytest.param([BEFORE], TAG, CHANGED, False, id="an older date"),
        pytest.param([AFTER], TAG, CHANGED, False, id="a newer date: only equality counts"),
        pytest.param([THEN], TAG, None, False, id="the file has no date"),
        pytest.param(["yesterday"], TAG, CHANGED, False, id="neither tag nor date"),
    ],
)
def test_if_range_believes_strong_validators_only(
    lines: list[str],
    etag: str | None,
    changed: datetime | None,
    holds: bool,
) -> None:
    headers = Headers([("If-Range", line) for line in lines])
    assert if_range_holds(headers, etag=etag, last_modified=changed, now=NOW) is holds


@pytest.mark.parametrize(
    ("age", "holds"),
    [
        (timedelta(0), False),
        (timedelta(microseconds=999999), False),
        (timedelta(seconds=1), True),
        (timedelta(seconds=-5), False),
    ],
)
def test_a_date_is_strong_only_when_it_is_a_second_old(
    age: timedelta,
    holds: bool,
) -> None:
    headers = Headers([("If-Range", THEN)])
    now = CHANGED + age
    assert if_range_holds(headers, etag=None, last_modified=CHANGED, now=now) is holds
