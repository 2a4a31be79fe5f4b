"""The short way of plain requests: it gives what the ordinary way gives, and knows when not to."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import environment
from support.served import Served, serve

CONTENT = b"plainly\n" * 1000


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("plain") / "data") as served:
        yield served


@pytest.fixture(scope="module")
def path(served: Served) -> str:
    return add(served)


def add(served: Served) -> str:
    answer = served.browser.ask("POST", "/uploads/files", CONTENT, {"Content-Type": "text/plain"})
    return str(answer.json()["url"])


def exchange(served: Served, requests: bytes, answers: int = 1) -> list[bytes]:
    """Send bytes on one connection and return the answers that came, each whole."""
    with served.connect(10) as sock:
        sock.sendall(requests)
        received = b""
        found: list[bytes] = []
        while len(found) < answers:
            head, end, rest = received.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
            if end and length is not None and len(rest) >= int(length[1]):
                found.append(head + end + rest[: int(length[1])])
                received = rest[int(length[1]) :]
                continue
            piece = sock.recv(65536)
            assert piece, received
            received += piece
        assert received == b""
        return found


def request(served: Served, path: str, *lines: str, version: str = "1.1") -> bytes:
    head = [f"GET {path} HTTP/{version}", "Host: x", *lines, ""]
    return "\r\n".join(head).encode() + served.authorization + b"\r\n"


def parts(answer: bytes) -> tuple[bytes, set[bytes], bytes]:
    head, _, body = answer.partition(b"\r\n\r\n")
    status, *lines = head.split(b"\r\n")
    return status, {line for line in lines if not line.lower().startswith(b"date:")}, body


def test_both_ways_give_the_same_answer(served: Served, path: str) -> None:
    # A field that nobody knows sends the request the ordinary way.
    ordinary = exchange(served, request(served, path, "X-Unknown: 1"))[0]
    exchange(served, request(served, path))
    plain = exchange(served, request(served, path))[0]
    assert parts(plain) == parts(ordinary)
    assert re.search(rb"\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n", plain)
    assert plain.endswith(CONTENT)


@pytest.mark.parametrize("twice", ["Authorization:", "X-Sendfile-Type:"])
def test_an_empty_line_is_a_line(served: Served, path: str, twice: str) -> None:
    exchange(served, request(served, path))
    more = ("X-Sendfile-Type: X-Accel-Redirect",) if "Sendfile" in twice else ()
    remembered = exchange(served, request(served, path, twice, *more))[0]
    ordinary = exchange(served, request(served, path, twice, *more, "X-Unknown: 1"))[0]
    assert parts(remembered) == parts(ordinary)


def test_pipelined_requests_are_answered_in_their_order(served: Served, path: str) -> None:
    other = add(served)
    asked = [path, other, path, "/files/absent", other]
    answers = exchange(served, b"".join(request(served, one) for one in asked), len(asked))
    assert [answer.split(b" ")[1] for answer in answers] == [b"200", b"200", b"200", b"404", b"200"]


def test_a_client_that_wants_the_connection_closed_has_it_closed(served: Served, path: str) -> None:
    for line, version in (("Connection: close", "1.1"), ("Accept: */*", "1.0")):
        with served.connect(10) as sock:
            sock.sendall(request(served, path, line, version=version))
            received = b""
            while piece := sock.recv(65536):
                received += piece
        assert received.endswith(CONTENT)


def test_two_authorization_lines_are_refused_also_for_a_remembered_file(
    served: Served, path: str
) -> None:
    exchange(served, request(served, path))
    line = served.authorization.decode().strip()
    assert exchange(served, request(served, path, line))[0].startswith(b"HTTP/1.1 400 ")


def test_the_command_line_revokes_a_token_at_once_in_a_server_that_runs(served: Served) -> None:
    def command(*arguments: str) -> str:
        return subprocess.run(
            [sys.executable, "-m", "wharfinger", "token", *arguments, "--data", str(served.data)],
            check=True, capture_output=True, text=True, env=environment(None),
        ).stdout  # fmt: skip

    secret = command("create", "--name", "brief", "--scopes", "read,write").strip()
    listed = [json.loads(line) for line in command("ls", "--json").splitlines()]
    (token_id,) = [token["id"] for token in listed if token["name"] == "brief"]
    bearer = {"Authorization": f"Bearer {secret}"}
    kind = {"Content-Type": "text/plain"}
    path = served.browser.ask("POST", "/uploads/files", CONTENT, {**kind, **bearer}).json()["url"]
    for _ in range(3):
        assert served.browser.ask("GET", path, headers=bearer).status == 200
    command("revoke", token_id)
    assert served.browser.ask("GET", path, headers=bearer).status == 401


def test_a_removed_file_is_gone_for_the_next_request_on_the_same_connection(
    served: Served,
) -> None:
    path = add(served)
    asked = [request(served, path), request(served, path)]
    assert [a.split(b" ")[1] for a in exchange(served, b"".join(asked), 2)] == [b"200", b"200"]
    assert served.browser.ask("DELETE", path).status == 204
    assert exchange(served, request(served, path))[0].startswith(b"HTTP/1.1 404 ")


def test_the_log_names_these_requests_too(tmp_path: Path) -> None:
    with serve(tmp_path / "data", "--access-log") as served:
        path = add(served)
        for _ in range(3):
            exchange(served, request(served, path))
        log = served.log.read_text("utf-8")
    assert log.count(f"GET {path} 200") == 3
