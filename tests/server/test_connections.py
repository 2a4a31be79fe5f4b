"""Errors of a connection itself: what outsiders read, and what they do not."""

from __future__ import annotations

import json
from pathlib import Path

from support.served import serve
from support.shells import Browser

BROKEN = """
from aiohttp import web
from wharfinger.server.shell import Shell

async def broken(self, request):
    if request.path == "/begun":
        response = web.StreamResponse(headers={"Content-Length": "10"})
        await response.prepare(request)
        await response.write(b"12345")
    raise ZeroDivisionError("password hunter2")

Shell.__call__ = broken
"""


def test_a_bug_in_the_shell_shows_a_reference_and_nothing_else(tmp_path: Path) -> None:
    with serve(tmp_path / "data", before=BROKEN) as served:
        answer = Browser(served.url).ask("GET", "/")
        assert (answer.status, answer.code) == (500, "internal")
        assert answer.headers["server"] == "wharfinger"
        assert b"hunter2" not in answer.body
        log = served.log.read_text("utf-8")
        assert answer.json()["reference"] in log
        assert "hunter2" in log


def test_after_an_answer_has_begun_a_bug_ends_the_connection(tmp_path: Path) -> None:
    with serve(tmp_path / "data", before=BROKEN) as served:
        received = Browser(served.url).raw(b"GET /begun HTTP/1.1\r\nHost: x\r\n\r\n")
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert body == b"12345"
        again = Browser(served.url).ask("GET", "/")
        assert json.loads(again.body)["code"] == "internal"
