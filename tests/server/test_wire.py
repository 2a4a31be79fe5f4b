"""The stand-alone server byte by byte: 100-continue, early refusals, keep-alive, bad HTTP."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading

import pytest

from support.served import Served

MIB = 1024 * 1024


def until_head(sock: socket.socket) -> bytes:
    """Return the next response head, or what came before the connection ended."""
    received = b""
    while b"\r\n\r\n" not in received:
        piece = sock.recv(1)
        if not piece:
            break
        received += piece
    return received


def response(sock: socket.socket) -> tuple[int, bytes, bytes]:
    """Return status, head and body of the next response."""
    head = until_head(sock)
    length = re.search(rb"\r\ncontent-length: ([0-9]+)\r\n", head.lower())
    body = b""
    while length is not None and len(body) < int(length[1]):
        piece = sock.recv(int(length[1]) - len(body))
        assert piece, "the body ended early"
        body += piece
    return int(head.split(b" ", 2)[1]), head, body


def upload_head(served: Served, *lines: bytes, path: bytes = b"/uploads/files") -> bytes:
    fields = b"".join(line + b"\r\n" for line in lines)
    return b"POST " + path + b" HTTP/1.1\r\nHost: x\r\n" + fields + b"\r\n"


EXPECT = b"Expect: 100-continue"


def refused_heads(served: Served) -> dict[str, tuple[bytes, int]]:
    token = served.authorization.strip()
    return {
        "declared too large": (
            upload_head(served, token, EXPECT, b"Content-Length: 5242881", path=b"/uploads/images"),
            413,
        ),
        "no token": (upload_head(served, EXPECT, b"Content-Length: 5"), 401),
        "unknown collection": (
            upload_head(served, token, EXPECT, b"Content-Length: 5", path=b"/uploads/x"),
            404,
        ),
        "a compressed body": (
            upload_head(
                served, token, EXPECT, b"Content-Encoding: gzip", b"Transfer-Encoding: chunked"
            ),
            415,
        ),
        "a hostile name": (
            upload_head(
                served, token, EXPECT, b"Content-Length: 5",
                b'Content-Disposition: attachment; filename="../x"',
            ),
            422,
        ),
        "a wrong method": (
            b"PUT /health/live HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n" + EXPECT + b"\r\n\r\n",
            405,
        ),
    }  # fmt: skip


@pytest.mark.parametrize(
    "case",
    [
        "declared too large",
        "no token",
        "unknown collection",
        "a compressed body",
        "a hostile name",
        "a wrong method",
    ],
)
def test_a_request_refused_by_its_head_gets_its_final_status_and_no_100(
    served: Served, case: str
) -> None:
    head, status = refused_heads(served)[case]
    with served.connect() as sock:
        sock.sendall(head)
        got, answer, body = response(sock)
        assert got == status, answer
        assert json.loads(body)["status"] == status
        assert b"connection: close" in answer.lower()
        sock.shutdown(socket.SHUT_WR)
        assert sock.recv(1) == b""


@pytest.mark.parametrize("word", [b"100-continue", b"100-Continue"])
def test_an_acceptable_request_gets_one_100_and_then_its_answer(
    served: Served, word: bytes
) -> None:
    with served.connect() as sock:
        sock.sendall(
            upload_head(
                served, served.authorization.strip(), b"Content-Length: 5", b"Expect: " + word
            )
        )
        assert until_head(sock) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello")
        status, _, body = response(sock)
        assert (status, json.loads(body)["size"]) == (201, 5)


def test_without_a_body_to_wait_for_there_is_no_100(served: Served) -> None:
    with served.connect() as sock:
        sock.sendall(
            b"GET /health/live HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert response(sock)[0] == 200


def test_a_client_in_the_middle_of_a_long_body_reads_the_early_refusal(served: Served) -> None:
    with served.connect() as sock:
        sock.sendall(
            upload_head(
                served,
                served.authorization.strip(),
                b"Content-Length: 67108864",
                path=b"/uploads/images",
            )
        )
        sent = 0
        piece = bytes(MIB)
        with contextlib.suppress(OSError):
            for _ in range(64):
                sock.sendall(piece)
                sent += len(piece)
        status, head, body = response(sock)
    assert (status, json.loads(body)["code"]) == (413, "too-large"), head
    assert b"connection: close" in head.lower()
    assert sent > MIB


def test_a_client_that_sends_more_than_the_limit_unannounced_reads_the_refusal(
    served: Served,
) -> None:
    """The length is not declared, so the refusal comes when the limit is passed."""
    with served.connect() as sock:
        sock.sendall(
            upload_head(
                served,
                served.authorization.strip(),
                b"Transfer-Encoding: chunked",
                path=b"/uploads/images",
            )
        )
        chunk = b"100000\r\n" + b"\x89PNG\r\n\x1a\n" + bytes(MIB - 8) + b"\r\n"
        with contextlib.suppress(OSError):
            for _ in range(64):
                sock.sendall(chunk)
        status, _, body = response(sock)
    assert (status, json.loads(body)["code"]) == (413, "too-large")


INNER = b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"


def test_a_connection_carries_many_requests(served: Served) -> None:
    token = served.authorization.strip()
    with served.connect() as sock:
        for _ in range(3):
            sock.sendall(upload_head(served, token, b"Content-Length: 2") + b"ok")
            assert response(sock)[0] == 201
            sock.sendall(INNER)
            assert response(sock)[0] == 200


def test_what_looks_like_a_request_in_a_refused_body_is_never_answered(served: Served) -> None:
    length = b"Content-Length: %d" % (10 * MIB)
    with served.connect() as sock:
        sock.sendall(upload_head(served, length) + INNER * 5000)
        status, head, _ = response(sock)
        assert status == 401
        assert b"connection: close" in head.lower()
        sock.shutdown(socket.SHUT_WR)
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                rest += piece
    assert rest == b""


def test_a_refused_body_that_came_whole_is_skipped_as_a_whole(served: Served) -> None:
    """The next request begins after it, or the connection ends; nothing in between."""
    body = INNER * 10
    with served.connect() as sock:
        sock.sendall(
            upload_head(served, b"Content-Length: %d" % len(body))
            + body
            + b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert response(sock)[0] == 401
        rest = b""
        with contextlib.suppress(ConnectionResetError):
            while piece := sock.recv(65536):
                rest += piece
    assert rest == b"" or rest.startswith(b"HTTP/1.1 404")
    assert rest.count(b"HTTP/1.1 ") <= 1


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    token = served.authorization
    with served.connect() as sock:
        sock.sendall(
            b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n"
            b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n" + token + b"\r\nok"
            b"GET /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        assert [response(sock)[0] for _ in range(3)] == [200, 201, 404]
        assert sock.recv(1) == b""


MALFORMED = {
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "a bare word": b"HELLO\r\n\r\n",
    "an unknown version": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
    "two lengths": b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a negative length": b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "length and chunked": (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "an unknown coding": (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: rot13\r\n\r\nabc"
    ),
    "a header without a colon": b"GET / HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n",
    "a blank before the colon": b"GET / HTTP/1.1\r\nHost : x\r\n\r\n",
    "NUL in a header": b"GET / HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "a very long line": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "a very long header": b"GET / HTTP/1.1\r\nHost: x\r\nA: " + b"a" * 100_000 + b"\r\n\r\n",
}


@pytest.mark.parametrize("request_bytes", MALFORMED.values(), ids=list(MALFORMED))
def test_malformed_requests_are_refused_and_the_server_goes_on(
    served: Served, request_bytes: bytes
) -> None:
    with served.connect() as sock:
        answer = b""
        with contextlib.suppress(ConnectionError):
            sock.sendall(request_bytes)
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                answer += piece
    assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), answer
    if answer:
        head, _, body = answer.partition(b"\r\n\r\n")
        assert b"\r\nserver: wharfinger\r\n" in head.lower() + b"\r\n"
        assert b"\r\ncontent-type: application/problem+json\r\n" in head.lower()
        assert b"\r\nconnection: close" in head.lower() or answer.startswith(b"HTTP/1.0")
        assert json.loads(body)["code"] in {"bad-request", "not-found", "length-mismatch"}
    assert served.browser.ask("GET", "/health/live").status == 200
    assert served.process.poll() is None
    assert "Traceback" not in served.log.read_text("utf-8")


@pytest.mark.parametrize(
    "chunk", [b"zz\r\nab\r\n", b"5\r\nab", b"-1\r\n\r\n", b"2\r\nabc\r\n0\r\n\r\n"]
)
def test_malformed_chunks_keep_nothing(served: Served, chunk: bytes) -> None:
    before = served.browser.ask("GET", "/files").json()
    with served.connect() as sock:
        answer = b""
        with contextlib.suppress(ConnectionError):
            sock.sendall(
                upload_head(served, served.authorization.strip(), b"Transfer-Encoding: chunked")
                + chunk
            )
            sock.shutdown(socket.SHUT_WR)
            while piece := sock.recv(65536):
                answer += piece
    assert answer == b"" or answer.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400")), answer
    assert b"aiohttp" not in answer
    assert served.browser.ask("GET", "/files").json() == before


def test_a_connection_that_says_nothing_hinders_nobody(served: Served) -> None:
    silent = [served.connect() for _ in range(200)]
    try:
        assert served.browser.ask("GET", "/health/ready").status == 200
    finally:
        for sock in silent:
            sock.close()


def test_fifty_slow_readers_do_not_hinder_others(served: Served) -> None:
    content = b"\1" * (8 * MIB)
    record = served.browser.ask(
        "POST", "/uploads/files", content, {"Content-Type": "application/octet-stream"}
    ).json()
    stop = threading.Event()
    slow = []
    for _ in range(50):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.settimeout(5)
        sock.connect(("127.0.0.1", served.port))
        sock.sendall(
            b"GET "
            + record["url"].encode()
            + b" HTTP/1.1\r\nHost: x\r\n"
            + served.authorization
            + b"\r\n"
        )
        slow.append(sock)

    def sip() -> None:
        while not stop.wait(1):
            for sock in slow:
                sock.recv(1024)

    thread = threading.Thread(target=sip)
    thread.start()
    try:
        for _ in range(5):
            assert served.browser.ask("GET", record["url"]).body == content
            small = served.browser.ask("POST", "/uploads/files", b"small")
            assert small.status == 201
            assert served.browser.ask("DELETE", small.json()["url"]).status == 204
    finally:
        stop.set()
        thread.join()
        for sock in slow:
            sock.close()
