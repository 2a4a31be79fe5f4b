"""Where the server says the file is."""

from __future__ import annotations

import json

import pytest

from wharfinger import Reply
from wharfinger.errors import BadResponse
from wharfinger.protocol.headers import Headers

POSTED = "http://example.com/uploads/images"

ROWS: dict[str, tuple[list[tuple[str, str]], object, str | None]] = {
    "location": ([("Location", "https://cdn.example/a")], {"url": "/b"}, "https://cdn.example/a"),
    "relative location": ([("Location", "/files/7")], {}, "http://example.com/files/7"),
    "record": ([], {"files": [{"url": "/files/8"}], "url": "/c"}, "http://example.com/files/8"),
    "first record": ([], {"files": [{"url": "/1"}, {"url": "/2"}]}, "http://example.com/1"),
    "url": ([], {"url": "https://img.example/x.jpg"}, "https://img.example/x.jpg"),
    "the address posted to": ([], {"url": POSTED}, None),
    "the same in other words": ([], {"url": "HTTP://EXAMPLE.com:80/uploads/images"}, None),
    "httpbin's files": ([], {"files": {"file": "data"}, "url": POSTED}, None),
    "script": ([("Location", "javascript:alert(1)")], {}, None),
    "file": ([], {"url": "file:///etc/passwd"}, None),
    "location of no use, then record": ([("Location", "ftp://x/")], {"files": [{"url": "/r"}]}, "http://example.com/r"),
    "two locations": ([("Location", "/a"), ("Location", "/b")], {}, None),
    "user name": ([], {"url": "http://user@example.com/"}, None),
    "number": ([], {"url": 5}, None),
    "empty": ([], {"url": ""}, None),
    "list": ([], [1, 2], None),
    "empty files": ([], {"files": []}, None),
    "record that is none": ([], {"files": ["x"]}, None),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "document", "url"), ROWS.values(), ids=ROWS.keys())
def test_the_address_of_the_file(
    fields: list[tuple[str, str]], document: object, url: str | None
) -> None:
    body = json.dumps(document).encode()
    assert Reply(status=201, headers=Headers(fields), body=body, posted_to=POSTED).url == url


@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[" * 100_000])
def test_a_reply_that_is_no_json(body: bytes) -> None:
    reply = Reply(status=200, headers=Headers(), body=body, posted_to=POSTED)
    assert reply.url is None
    with pytest.raises(BadResponse):
        reply.json()
