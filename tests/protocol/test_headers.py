from __future__ import annotations

import pytest

from wharfinger.errors import RequestError
from wharfinger.protocol.headers import Headers

LINES = [("Accept", "a"), ("X-One", "1"), ("accept", "b")]


def test_names_compare_without_case() -> None:
    headers = Headers([("Content-Type", "text/plain")])
    assert headers.get("content-TYPE") == "text/plain"
    assert "CONTENT-type" in headers
    assert headers.get_all("content-type") == ("text/plain",)


def test_several_lines_of_a_name_join_in_their_order() -> None:
    headers = Headers(LINES)
    assert headers.get("Accept") == "a, b"
    assert headers.get_all("Accept") == ("a", "b")


def test_an_absent_field_gives_the_default() -> None:
    headers = Headers()
    assert headers.get("Accept") is None
    assert headers.get("Accept", "x") == "x"
    assert headers.get_all("Accept") == ()
    assert headers.single("Accept") is None
    assert "Accept" not in headers
    assert 3 not in headers


def test_a_field_that_must_come_once_is_an_error_when_it_comes_twice() -> None:
    headers = Headers(LINES)
    assert headers.single("x-one") == "1"
    with pytest.raises(RequestError, match="Accept came 2 times"):
        headers.single("Accept")


def test_the_lines_keep_their_order_and_spelling() -> None:
    headers = Headers(LINES)
    assert list(headers) == LINES
    assert len(headers) == 3
    assert repr(headers) == "Headers([('Accept', 'a'), ('X-One', '1'), ('accept', 'b')])"


def test_equal_headers_may_differ_in_case_and_in_the_order_of_names_only() -> None:
    same = Headers([("x-one", "1"), ("ACCEPT", "a"), ("Accept", "b")])
    assert Headers(LINES) == same
    assert hash(Headers(LINES)) == hash(same)
    assert Headers(LINES) != Headers([("x-one", "1"), ("ACCEPT", "b"), ("Accept", "a")])
    assert Headers() != {}
