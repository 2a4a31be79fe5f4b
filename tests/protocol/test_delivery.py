from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wharfinger.errors import MethodNotAllowed, RangeNotSatisfiable
from wharfinger.protocol.delivery import Plan, Representation, Span, plan
from wharfinger.protocol.headers import Headers

NOW = datetime(2026, 11, 21, 12, 0, 0, 500000, tzinfo=UTC)
CHANGED = datetime(2026, 1, 1, 0, 0, 0, 123456, tzinfo=UTC)
FIELDS = (
    ("Content-Type", "image/png"),
    ("Content-Disposition", 'attachment; filename="a.png"'),
    ("cache-control", "private, no-cache"),
    ("Vary", "Origin"),
    ("Content-Location", "/files/x"),
    ("Expires", "0"),
    ("X-Content-Type-Options", "nosniff"),
    ("Repr-Digest", "sha-256=:x:"),
)
FILE = Representation(length=1000, etag='"abc"', last_modified=CHANGED, headers=FIELDS)
BOUNDARY = "a-boundary"
BARE = Representation(length=1000, etag=None, last_modified=None)


def ask(
    *pairs: tuple[str, str], method: str = "GET", representation: Representation = FILE
) -> Plan:
    return plan(method, Headers(pairs), representation, now=NOW, boundary=BOUNDARY)


def test_the_whole_file_carries_every_field() -> None:
    assert ask() == Plan(
        status=200,
        headers=(
            *FIELDS,
            ("Content-Length", "1000"),
            ("Accept-Ranges", "bytes"),
            ("ETag", '"abc"'),
            ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ),
        body=(Span(start=0, length=1000),),
    )


def test_a_part_carries_the_same_fields_and_says_which_part_it_is() -> None:
    assert ask(("Range", "bytes=10-19")) == Plan(
        status=206,
        headers=(
            *FIELDS,
            ("Content-Length", "10"),
            ("Content-Range", "bytes 10-19/1000"),
            ("Accept-Ranges", "bytes"),
            ("ETag", '"abc"'),
            ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ),
        body=(Span(start=10, length=10),),
    )


@pytest.mark.parametrize("pairs", [[], [("Range", "bytes=10-19")], [("Range", "bytes=5000-")]])
def test_head_answers_the_fields_of_get_without_a_range_or_a_body(
    pairs: list[tuple[str, str]],
) -> None:
    whole = ask()
    assert ask(*pairs, method="HEAD") == Plan(status=200, headers=whole.headers, body=())


def test_a_304_repeats_only_what_a_cache_needs() -> None:
    assert ask(("If-None-Match", '"abc"')) == Plan(
        status=304,
        headers=(
            ("cache-control", "private, no-cache"),
            ("Vary", "Origin"),
            ("Content-Location", "/files/x"),
            ("Expires", "0"),
            ("ETag", '"abc"'),
        ),
        body=(),
    )


def test_without_validators_there_are_no_validator_fields() -> None:
    assert ask(representation=BARE).headers == (
        ("Content-Length", "1000"),
        ("Accept-Ranges", "bytes"),
    )


@pytest.mark.parametrize("value", ["bytes=1000-", "bytes=-0", "bytes=" + "9" * 30 + "-"])
def test_an_unsatisfiable_range_knows_the_length(value: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        ask(("Range", value))
    assert caught.value.length == 1000


@pytest.mark.parametrize(
    "pairs",
    [
        pytest.param([("Range", "items=0-1")], id="unknown unit"),
        pytest.param([("Range", "bytes=9-1")], id="malformed"),
        pytest.param([("Range", "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 990, 90)))], id="eleven parts"),
        pytest.param([("Range", "bytes=0-399,500-999")], id="parts and their heads are longer than the whole"),
        pytest.param([("Range", "bytes=0-1"), ("Range", "bytes=0-1")], id="two lines"),
        pytest.param([("Range", "bytes=5000-"), ("If-Range", '"other"')], id="another version"),
        pytest.param([("Range", "bytes=" + "0-0," * 2500)], id="10 KiB"),
    ],
)  # fmt: skip
def test_a_range_that_does_not_count_gives_the_whole(pairs: list[tuple[str, str]]) -> None:
    assert ask(*pairs) == ask()


def test_an_empty_file_is_sent_whole_whatever_range_is_asked() -> None:
    empty = Representation(length=0, etag='"e"', last_modified=None)
    answer = ask(("Range", "bytes=0-"), representation=empty)
    assert answer.status == 200
    assert answer.body == (Span(start=0, length=0),)
    assert ("Content-Length", "0") in answer.headers


def test_what_cannot_be_cut_says_so_and_ignores_ranges() -> None:
    stream = Representation(length=1000, etag=None, last_modified=None, ranges=False)
    answer = ask(("Range", "bytes=0-1"), representation=stream)
    assert answer.status == 200
    assert answer.headers == (("Content-Length", "1000"), ("Accept-Ranges", "none"))


# What is wished, of the whole or a part, and the digests that come.
WISHES = {
    "nothing": ({}, {"Repr-Digest"}),
    "no digest of the representation": ({"Want-Repr-Digest": "sha-256=0"}, set()),
    "only one that we have not": ({"Want-Repr-Digest": "sha-512=9"}, {"Repr-Digest"}),
    "that of the content": (
        {"Want-Content-Digest": "sha-256=5"}, {"Repr-Digest", "Content-Digest"},
    ),
    "that of the content alone": (
        {"Want-Content-Digest": "sha-256=5", "Want-Repr-Digest": "sha-256=0"}, {"Content-Digest"},
    ),
    "none of the content": ({"Want-Content-Digest": "sha-256=0"}, {"Repr-Digest"}),
    "that of a part, which takes reading": (
        {"Want-Content-Digest": "sha-256=5", "Range": "bytes=0-9"}, {"Repr-Digest"},
    ),
}  # fmt: skip


@pytest.mark.parametrize(("wishes", "come"), WISHES.values(), ids=list(WISHES))
def test_digests_come_as_they_are_wished(wishes: dict[str, str], come: set[str]) -> None:
    fields = dict(ask(*wishes.items()).headers)
    assert {name for name in fields if name.endswith("-Digest")} == come
    assert {fields[name] for name in come} <= {"sha-256=:x:"}


def test_head_says_nothing_of_a_content_that_it_does_not_send() -> None:
    fields = dict(ask(("Want-Content-Digest", "sha-256=5"), method="HEAD").headers)
    assert "Content-Digest" not in fields
    assert "Repr-Digest" in fields


def test_what_has_no_digest_gets_none() -> None:
    wish = ("Want-Content-Digest", "sha-256=5")
    assert "Content-Digest" not in dict(ask(wish, representation=BARE).headers)


def test_last_modified_never_lies_in_the_future() -> None:
    future = Representation(length=1, etag=None, last_modified=NOW + timedelta(days=1))
    fields = dict(ask(representation=future).headers)
    assert fields["Last-Modified"] == "Sat, 21 Nov 2026 12:00:00 GMT"


def test_a_file_changed_within_this_second_is_not_resumed_by_date() -> None:
    fresh = Representation(length=1000, etag=None, last_modified=NOW)
    pairs = [("Range", "bytes=0-1"), ("If-Range", "Sat, 21 Nov 2026 12:00:00 GMT")]
    assert ask(*pairs, representation=fresh).status == 200
    later = plan("GET", Headers(pairs), fresh, now=NOW + timedelta(seconds=1), boundary=BOUNDARY)
    assert later.status == 206


@pytest.mark.parametrize("method", ["POST", "DELETE", "get", ""])
def test_other_methods_deliver_nothing(method: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        ask(method=method)
    assert caught.value.allowed == ("GET", "HEAD")
