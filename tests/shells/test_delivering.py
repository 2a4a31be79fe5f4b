"""Delivering over HTTP: each shell does what the RFC says, and all three do the same."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import re
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from protocol.oracle import Resource, body, expected, table, values
from support.services import Clock, make_wharf, token
from support.shells import SHELLS, Answered, Browser, running
from wharfinger import Wharf
from wharfinger.service import StoredFile

CONTENT = "".join(f"line {number:06d} of a text\n" for number in range(20_000)).encode()
SHORT = CONTENT[:2000]
TYPE = "text/plain; charset=utf-8"
MADE = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
THEN, BEFORE = "Sun, 01 Mar 2026 12:00:00 GMT", "Sun, 01 Mar 2026 11:59:59 GMT"
# Written by the host and not by us.
_THEIRS = frozenset({"date", "server", "connection", "keep-alive"})


@pytest.fixture(scope="module")
def wharf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wharf]:
    clock = Clock()
    with make_wharf(tmp_path_factory.mktemp("delivering") / "data", clock=clock) as wharf:
        wharf.receive([SHORT], collection="public", name="short.txt")
        wharf.receive([CONTENT], collection="public", name="long.txt")
        wharf.receive([b""], collection="public", name="empty.txt")
        clock.forward(3600)
        yield wharf


@pytest.fixture(scope="module")
def browsers(wharf: Wharf) -> Iterator[dict[str, Browser]]:
    with contextlib.ExitStack() as stack:
        yield {
            kind: Browser(stack.enter_context(running(kind, wharf)), token(wharf, "admin"))
            for kind in SHELLS
        }


@pytest.fixture(params=SHELLS)
def browser(request: pytest.FixtureRequest, browsers: dict[str, Browser]) -> Browser:
    return browsers[str(request.param)]


def named(wharf: Wharf, name: str) -> StoredFile:
    files, _ = wharf.list_files(limit=100)
    return next(stored for stored in files if stored.name == name)


def resource(content: bytes) -> Resource:
    digest = hashlib.sha256(content).hexdigest()
    return Resource(content, f'"{digest}"', MADE, MADE.replace(hour=13), TYPE)


def boundary(answer: Answered) -> str:
    found = re.fullmatch(
        r"multipart/byteranges; boundary=([0-9a-f]{32})", answer.headers.get("content-type", "")
    )
    return "" if found is None else found[1]


def ours(answer: Answered) -> tuple[int, dict[str, str], bytes]:
    """What is to be the same in every shell: the boundary is another each time."""
    mark = boundary(answer) or "no boundary"
    headers = {
        name: value.replace(mark, "B")
        for name, value in answer.headers.items()
        if name not in _THEIRS
    }
    return answer.status, headers, answer.body.replace(mark.encode(), b"B")


SHORT_ONE = resource(SHORT)
# 204 of the 972 rows that the plan itself is proved with: all with at most two of the fields.
ROWS = table(values(SHORT_ONE, before=BEFORE, same=THEN), most=2)


def test_the_conditional_fields_decide_as_the_rfc_says(browser: Browser, wharf: Wharf) -> None:
    path = f"/files/{named(wharf, 'short.txt').id}"
    assert len(ROWS) == 204
    for method, _, _, sent in ROWS:
        wanted = expected(SHORT_ONE, method, sent)
        answer = browser.ask(method, path, headers=sent)
        assert answer.status == wanted.status, (method, sent)
        if wanted.status in {200, 206}:
            whole = body(SHORT_ONE, wanted, boundary(answer))
            assert answer.headers["content-length"] == str(len(whole)), (method, sent)
            assert answer.body == (whole if method == "GET" else b""), (method, sent)
        elif wanted.status == 304:
            assert answer.body == b"", (method, sent)
            assert answer.headers["etag"] == SHORT_ONE.etag
            assert "cache-control" in answer.headers
        else:
            assert method == "HEAD" or answer.code == "precondition-failed", (method, sent)


RANGES = [
    "bytes=0-0",
    "bytes=-1",
    "bytes=0-9,500-509",
    "bytes=1500-1509,0-9,700-",
    "bytes=0-999,500-1999",
    "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 1000, 100)),
    "bytes=" + ",".join(f"{at}-{at}" for at in range(0, 1100, 100)),
    "bytes=" + "0-," * 500,
    "bytes=0-9,999999-",
    "bytes=999999-,-0",
    "bytes=0-9,x",
    "bytes=5-4",
    "lines=1-2",
    "bytes=0-" + "9" * 1000,
    "bytes=" + "9" * 1000 + "-",
]


@pytest.mark.parametrize("asked", RANGES, ids=range(len(RANGES)))
@pytest.mark.parametrize(("name", "content"), [("short.txt", SHORT), ("long.txt", CONTENT)])
def test_ranges_are_the_bytes_that_were_asked_for(
    browser: Browser, wharf: Wharf, name: str, content: bytes, asked: str
) -> None:
    stored = named(wharf, name)
    what = resource(content)
    wanted = expected(what, "GET", {"Range": asked})
    answer = browser.ask("GET", f"/files/{stored.id}", headers={"Range": asked})
    assert answer.status == wanted.status
    if answer.status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(content)}"
        return
    assert answer.body == body(what, wanted, boundary(answer))
    assert answer.headers["content-length"] == str(len(answer.body))
    assert len(answer.body) <= len(content)
    parts = len(wanted.parts)
    assert ("content-range" in answer.headers) == (parts == 1)
    assert (boundary(answer) != "") == (parts > 1)


def test_large_parts_are_sent_whole(browser: Browser, wharf: Wharf) -> None:
    # More than is read into memory first: each part leaves as a file does.
    stored = named(wharf, "long.txt")
    answer = browser.ask(
        "GET", f"/files/{stored.id}", headers={"Range": "bytes=300000-499999,0-9,10000-150000"}
    )
    assert answer.status == 206
    parts = answer.body.split(f"--{boundary(answer)}".encode())
    assert parts[0] == b""
    assert parts[-1] == b"--\r\n"
    contents = [part.partition(b"\r\n\r\n")[2][:-2] for part in parts[1:-1]]
    assert contents == [CONTENT[300_000:500_000], CONTENT[0:10], CONTENT[10_000:150_001]]


# Method, path and fields. {id} is the short file's, {long} and {empty} the others'.
REQUESTS: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "/files/{id}", {}),
    ("HEAD", "/files/{id}", {}),
    ("GET", "/files/{long}", {}),
    ("GET", "/files/{empty}", {}),
    ("GET", "/files/{empty}", {"Range": "bytes=0-"}),
    ("GET", "/files/{id}", {"Range": "bytes=5-14"}),
    ("HEAD", "/files/{id}", {"Range": "bytes=5-14"}),
    ("GET", "/files/{id}", {"Range": "bytes=0-9,500-509"}),
    ("GET", "/files/{long}", {"Range": "bytes=0-199999,300000-"}),
    ("GET", "/files/{id}", {"Range": "bytes=5000-"}),
    ("HEAD", "/files/{id}", {"Range": "bytes=5000-"}),
    ("GET", "/files/{id}", {"If-None-Match": "*"}),
    ("GET", "/files/{id}", {"If-Match": '"other"'}),
    ("HEAD", "/files/{id}", {"If-Match": '"other"'}),
    ("GET", "/files/{id}", {"If-Modified-Since": "Sunday, 01-Mar-26 12:00:00 GMT"}),
    ("GET", "/files/{id}", {"If-Modified-Since": "Sun Mar  1 12:00:00 2026"}),
    ("GET", "/files/{id}", {"If-Range": THEN, "Range": "bytes=0-0"}),
    ("GET", "/files/{id}", {"Want-Content-Digest": "sha-256=1"}),
    ("GET", "/files/{id}", {"Want-Content-Digest": "sha-256=1", "Range": "bytes=0-9"}),
    ("GET", "/files/{id}", {"Want-Repr-Digest": "sha-256=0"}),
    ("GET", "/files/{id}/info", {}),
    ("PUT", "/files/{id}", {}),
    ("OPTIONS", "/files/{id}", {}),
    ("POST", "/files/{id}", {}),
    ("GET", "/files/00000000000000000000000000000000", {}),
    ("GET", "/files/{id}", {"Authorization": "Bearer whf_wrong"}),
    ("GET", "/files/{id}/info", {"Authorization": "Bearer whf_wrong"}),
    ("GET", "/nothing/here", {}),
    ("GET", "/d/nothing", {}),
]


@pytest.mark.parametrize(
    "request_", REQUESTS, ids=[f"{n}-{m} {p}" for n, (m, p, _) in enumerate(REQUESTS)]
)
def test_the_three_shells_answer_alike(
    browsers: dict[str, Browser], wharf: Wharf, request_: tuple[str, str, dict[str, str]]
) -> None:
    method, pattern, sent = request_
    path = pattern.format(
        id=named(wharf, "short.txt").id,
        long=named(wharf, "long.txt").id,
        empty=named(wharf, "empty.txt").id,
    )
    answers = {
        kind: ours(browser.ask(method, path, headers=sent)) for kind, browser in browsers.items()
    }
    assert answers["flask"] == answers["server"]
    assert answers["asgi"] == answers["server"]


def digest_of(content: bytes) -> bytes:
    return hashlib.sha256(content).digest()


def test_a_part_has_its_own_digest_when_one_is_wanted(browser: Browser, wharf: Wharf) -> None:
    def digests(name: str, **fields: str) -> dict[str, bytes]:
        sent = {"Want-Content-Digest": "sha-256=3", **fields}
        answer = browser.ask("GET", f"/files/{named(wharf, name).id}", headers=sent)
        found = {}
        for field in ("repr-digest", "content-digest"):
            if field in answer.headers:
                prefix, encoded, end = answer.headers[field].split(":")
                assert (prefix, end) == ("sha-256=", "")
                found[field] = base64.b64decode(encoded, validate=True)
        return found

    whole = {"repr-digest": digest_of(CONTENT)}
    assert digests("long.txt") == {**whole, "content-digest": digest_of(CONTENT)}
    assert digests("long.txt", Range="bytes=10-99") == {
        **whole,
        "content-digest": digest_of(CONTENT[10:100]),
    }
    # Hashing this much would hold up the first byte.
    assert digests("long.txt", Range="bytes=10-300000") == whole


def test_a_wish_changes_no_answer_but_its_own(browser: Browser, wharf: Wharf) -> None:
    stored = wharf.receive([b"asked for with a wish first"], collection="public", name="wish.txt")
    path = f"/files/{stored.id}"
    for wish, names in (
        ({"Want-Repr-Digest": "sha-256=0"}, set()),
        ({}, {"repr-digest"}),
        ({"Want-Content-Digest": "sha-256=1"}, {"repr-digest", "content-digest"}),
        ({}, {"repr-digest"}),
    ):
        for _ in range(2):
            answer = browser.ask("GET", path, headers=wish)
            assert {name for name in answer.headers if name.endswith("-digest")} == names
