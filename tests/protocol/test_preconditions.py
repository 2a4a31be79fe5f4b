from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from wharfinger.errors import PreconditionFailed
from wharfinger.protocol.delivery import Representation, plan
from wharfinger.protocol.headers import Headers
from wharfinger.protocol.preconditions import evaluate, if_range_holds, strong_match, weak_match

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CHANGED = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
THEN = "Thu, 01 Jan 2026 00:00:00 GMT"
BEFORE = "Wed, 31 Dec 2025 23:59:59 GMT"
AFTER = "Thu, 01 Jan 2026 00:00:01 GMT"
TAG = '"abc"'
FILE = Representation(length=1000, etag=TAG, last_modified=CHANGED)

# What a field says about the file as it is: None absent, True it names this version,
# False it names another.
Said = bool | None
VALUES: dict[str, dict[bool, str]] = {
    "If-Match": {True: TAG, False: '"other"'},
    "If-Unmodified-Since": {True: THEN, False: BEFORE},
    "If-None-Match": {True: TAG, False: '"other"'},
    "If-Modified-Since": {True: THEN, False: BEFORE},
    "If-Range": {True: TAG, False: '"other"'},
}


def expected_status(method: str, said: dict[str, Said], *, with_range: bool) -> int:
    """RFC 9110 section 13.2.2, step by step in its own words."""
    # 1. If-Match present: true -> step 3, false -> 412.
    if said["If-Match"] is not None:
        if said["If-Match"] is False:
            return 412
    # 2. If-Match not present, If-Unmodified-Since present: false -> 412.
    elif said["If-Unmodified-Since"] is False:
        return 412
    # 3. If-None-Match present: false (the tag is listed) -> 304 for GET and HEAD.
    if said["If-None-Match"] is not None:
        if said["If-None-Match"] is True:
            return 304
    # 4. GET or HEAD, If-None-Match not present, If-Modified-Since present: false -> 304.
    elif said["If-Modified-Since"] is True:
        return 304
    # 5. GET, Range and If-Range present: true -> 206, otherwise Range is ignored.
    # 6. The method itself; a Range without If-Range applies to GET only.
    if method == "GET" and with_range and said["If-Range"] is not False:
        return 206
    return 200


TABLE = [
    (method, with_range, dict(zip(VALUES, said, strict=True)))
    for method in ("GET", "HEAD")
    for with_range in (False, True)
    for said in itertools.product((None, True, False), repeat=5)
]


def test_all_972_combinations_of_the_conditional_fields_follow_the_rfc() -> None:
    assert len(TABLE) == 972
    for method, with_range, said in TABLE:
        pairs = [(name, VALUES[name][value]) for name, value in said.items() if value is not None]
        if with_range:
            pairs.append(("Range", "bytes=0-9"))
        try:
            answer = plan(method, Headers(pairs), FILE, now=NOW)
        except PreconditionFailed as error:
            status, has_body = error.http_status, False
        else:
            status, has_body = answer.status, bool(answer.spans)
        where = (method, pairs)
        assert status == expected_status(method, said, with_range=with_range), where
        assert has_body == (method == "GET" and status in {200, 206}), where


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
    try:
        answered = plan(method, Headers(pairs), FILE, now=NOW).status
    except PreconditionFailed as error:
        answered = error.http_status
    assert answered == status


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
