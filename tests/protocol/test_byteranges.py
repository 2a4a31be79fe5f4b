"""Several ranges in one answer: which parts, in which order, and how long it is to the byte."""

from __future__ import annotations

import email
import email.policy
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.oracle import Resource, body, expected
from wharfinger.errors import PreconditionFailed, RangeNotSatisfiable
from wharfinger.protocol.boundary import is_boundary
from wharfinger.protocol.byteranges import byteranges
from wharfinger.protocol.delivery import MAX_PARTS, Plan, Representation, Span, plan
from wharfinger.protocol.headers import Headers

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
CHANGED = datetime(2026, 1, 1, 0, 0, 0, tzinfo=UTC)
THEN, BEFORE = "Thu, 01 Jan 2026 00:00:00 GMT", "Wed, 31 Dec 2025 23:59:59 GMT"
TAG = '"abc"'
BOUNDARY = "0123456789abcdef0123456789abcdef"
TYPE = "text/plain; charset=utf-8"
CONTENT = bytes(n % 251 for n in range(2000))


def ask(value: str, *, content: bytes = CONTENT, method: str = "GET", **more: str) -> Plan:
    what = Representation(
        length=len(content),
        etag=TAG,
        last_modified=CHANGED,
        headers=(("Content-Type", TYPE), ("Repr-Digest", "sha-256=:x:"), ("X-Kept", "yes")),
    )
    pairs = [("Range", value), *((name.replace("_", "-"), one) for name, one in more.items())]
    return plan(method, Headers(pairs), what, now=NOW, boundary=BOUNDARY)


def sent(answer: Plan, content: bytes = CONTENT) -> bytes:
    return b"".join(
        piece if isinstance(piece, bytes) else content[piece.start : piece.start + piece.length]
        for piece in answer.body
    )


def test_two_ranges_become_two_parts_written_as_the_rfc_writes_them() -> None:
    answer = ask("bytes=500-509,0-4", content=(b"0123456789" * 100))
    assert answer.status == 206
    assert answer.headers == (
        ("Content-Type", "multipart/byteranges; boundary=0123456789abcdef0123456789abcdef"),
        ("Repr-Digest", "sha-256=:x:"),
        ("X-Kept", "yes"),
        ("Content-Length", "281"),
        ("Accept-Ranges", "bytes"),
        ("ETag", '"abc"'),
        ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
    )
    assert sent(answer, b"0123456789" * 100) == (
        b"--0123456789abcdef0123456789abcdef\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Range: bytes 500-509/1000\r\n"
        b"\r\n"
        b"0123456789\r\n"
        b"--0123456789abcdef0123456789abcdef\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Range: bytes 0-4/1000\r\n"
        b"\r\n"
        b"01234\r\n"
        b"--0123456789abcdef0123456789abcdef--\r\n"
    )


def test_parts_of_what_has_no_type_have_none() -> None:
    pieces = byteranges([Span(start=0, length=1)], 9, boundary="b", media_type=None)
    assert pieces[0] == b"--b\r\nContent-Range: bytes 0-0/9\r\n\r\n"


def test_an_outside_parser_finds_the_parts() -> None:
    answer = ask("bytes=0-99,300-309,-100")
    head = f"Content-Type: {dict(answer.headers)['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + sent(answer), policy=email.policy.HTTP)
    parts = list(message.iter_parts())
    assert [part["Content-Range"] for part in parts] == [
        "bytes 0-99/2000",
        "bytes 300-309/2000",
        "bytes 1900-1999/2000",
    ]
    assert [part.get_content_type() for part in parts] == ["text/plain"] * 3
    assert [len(part.get_payload(decode=True)) for part in parts] == [100, 10, 100]


# What is asked of 2,000 bytes: the status, and the Content-Range of each part.
ASKED: dict[str, tuple[str, int, list[str]]] = {
    "overlapping ranges are one": ("bytes=0-99,50-149", 206, ["0-149"]),
    "adjacent ranges are one": ("bytes=0-99,100-199", 206, ["0-199"]),
    "a small gap is sent along": ("bytes=0-99,150-199", 206, ["0-199"]),
    "of two one is satisfiable": ("bytes=0-99,5000-", 206, ["0-99"]),
    "the whole, in pieces": ("bytes=0-999,1000-1999", 206, ["0-1999"]),
    "the order of asking": ("bytes=1000-1009,0-9", 206, ["1000-1009", "0-9"]),
    "ten parts": (
        "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 1000, 100)), 206,
        [f"{at}-{at}" for at in range(0, 1000, 100)],
    ),
    "eleven parts": ("bytes=" + ",".join(f"{at}-{at}" for at in range(0, 1100, 100)), 200, []),
    "a thousand overlapping": ("bytes=" + ",".join(f"{n}-{n + 9}" for n in range(1000)), 206, ["0-1008"]),
    "CVE-2025-62727": ("bytes=" + "0-," * 1000, 206, ["0-1999"]),
    "300 single bytes": ("bytes=" + ",".join(f"{n}-{n}" for n in range(0, 600, 2)), 206, ["0-598"]),
    "numbers without end": ("bytes=0-9,1000-" + "9" * 4000 + ",-" + "9" * 1000, 206, ["0-1999"]),
    "starts without end": ("bytes=0-9," + "9" * 4000 + "-", 206, ["0-9"]),
    "nothing satisfiable": ("bytes=2000-,5000-6000,-0", 416, []),
    "one of them is broken": ("bytes=0-9,x", 200, []),
}  # fmt: skip


@pytest.mark.parametrize(("value", "status", "parts"), ASKED.values(), ids=list(ASKED))
def test_ranges_become_the_fewest_parts(value: str, status: int, parts: list[str]) -> None:
    if status == 416:
        with pytest.raises(RangeNotSatisfiable) as caught:
            ask(value)
        assert caught.value.length == 2000
        return
    answer = ask(value)
    assert answer.status == status
    if len(parts) > 1:
        found = re.findall(rb"Content-Range: bytes (\S+)/2000\r\n", sent(answer))
        assert "Content-Range" not in dict(answer.headers)
    else:
        found = re.findall(r"bytes (\S+)/2000", dict(answer.headers).get("Content-Range", ""))
    assert [one if isinstance(one, str) else one.decode() for one in found] == parts


def test_head_and_another_version_ignore_several_ranges() -> None:
    assert ask("bytes=0-9,500-509", method="HEAD").status == 200
    assert ask("bytes=0-9,500-509", If_Range='"other"').status == 200
    assert ask("bytes=0-9,500-509", If_Range=TAG).status == 206


def test_an_answer_in_parts_is_never_longer_than_the_file() -> None:
    # Two parts of 10 bytes need 284 bytes with their heads.
    for length, status in ((282, 200), (283, 200), (284, 206), (285, 206)):
        content = bytes(length)
        answer = ask("bytes=0-9,-10", content=content)
        assert answer.status == status, length
        assert len(sent(answer, content)) <= length


SPEC = st.one_of(
    st.builds("{}-{}".format, st.integers(0, 700), st.integers(0, 700)),
    st.builds("{}-".format, st.integers(0, 700)),
    st.builds("-{}".format, st.integers(0, 700)),
    st.sampled_from(["", " ", "0-0", "599-", "600-", "-0", "x", "9" * 30 + "-", "0-" + "9" * 30]),
)
FIELDS = st.fixed_dictionaries(
    {"Range": st.lists(SPEC, min_size=1, max_size=14).map(lambda specs: "bytes=" + ",".join(specs))},
    optional={
        "If-Range": st.sampled_from([TAG, '"x"', f"W/{TAG}", THEN, BEFORE]),
        "If-Match": st.sampled_from([TAG, '"x"', "*", f"W/{TAG}", f'"x", {TAG}']),
        "If-None-Match": st.sampled_from([TAG, '"x"', "*", f"W/{TAG}"]),
        "If-Modified-Since": st.sampled_from([THEN, BEFORE]),
        "If-Unmodified-Since": st.sampled_from([THEN, BEFORE]),
    },
)  # fmt: skip


@given(st.sampled_from(["GET", "GET", "GET", "HEAD"]), FIELDS, st.sampled_from([0, 1, 99, 600]))
def test_status_and_every_byte_are_those_of_the_rfc(
    method: str, fields: dict[str, str], length: int
) -> None:
    content = CONTENT[:length]
    resource = Resource(content, TAG, CHANGED, NOW, TYPE)
    wanted = expected(resource, method, fields)
    what = Representation(
        length=length, etag=TAG, last_modified=CHANGED, headers=(("Content-Type", TYPE),)
    )
    if wanted.status in {412, 416}:
        with pytest.raises((PreconditionFailed, RangeNotSatisfiable)) as caught:
            plan(method, Headers(fields.items()), what, now=NOW, boundary=BOUNDARY)
        assert caught.value.http_status == wanted.status
        return
    answer = plan(method, Headers(fields.items()), what, now=NOW, boundary=BOUNDARY)
    assert answer.status == wanted.status
    if answer.status == 304:
        assert answer.body == ()
        return
    whole = body(resource, wanted, BOUNDARY)
    assert dict(answer.headers)["Content-Length"] == str(len(whole))
    assert sent(answer, content) == (b"" if method == "HEAD" else whole)
    assert len(whole) <= length
    assert sum(isinstance(piece, Span) for piece in answer.body) <= MAX_PARTS


def cost(value: str) -> float:
    """The least CPU time of several runs: what the work takes when nobody else is at it."""
    costs = []
    for _ in range(15):
        began = time.process_time()
        ask(value)
        costs.append(time.process_time() - began)
    return min(costs)


def test_four_times_as_many_ranges_cost_about_four_times_as_much() -> None:
    few, many = (
        "bytes=" + ",".join(f"{start}-{start + 9}" for start in range(count))
        for count in (250, 1000)
    )
    assert 7_800 < len(many) < 8_192
    assert ask(many).status == 206
    assert cost(many) < 8 * cost(few)  # comparing each with each would cost 16 times as much


def test_the_boundary_of_the_answers_is_one() -> None:
    assert is_boundary(BOUNDARY)
