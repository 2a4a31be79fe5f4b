"""Downloads: judged first, complete or absent."""

from __future__ import annotations

import contextlib
import hashlib
import io
import socket
import time
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import ELF, HTML, JPEG, PNG
from support.folders import listing
from support.peer import Exchange, response, saying
from wharfinger import Client, Policy, Progress
from wharfinger.errors import (
    ActiveContent,
    BadResponse,
    ContentMismatch,
    ContentTypeMismatch,
    IntegrityError,
    Interrupted,
    Rejected,
    ResponseError,
    TooLarge,
    TooSmall,
    TypeNotAllowed,
    UsageError,
    WharfingerError,
)
from wharfinger.net.guard import AddressGuard

LONG = bytes(i % 251 for i in range(300_000))
LONG_SHA256 = hashlib.sha256(LONG).hexdigest()


def fetch(url: str, dest: object = "out.bin", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


def test_a_download_tells_what_it_is(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(LONG, Content_Disposition='attachment; filename="../a b.bin"')))
    got = fetch(f"{server.url}/data/long.bin?token=secret", "mine.bin")
    assert (folder / "mine.bin").read_bytes() == LONG
    assert got.path == Path("mine.bin")
    assert (got.size, got.sha256) == (300_000, LONG_SHA256)
    assert got.type == "application/octet-stream"
    assert got.name == "a b.bin"
    assert (got.resumed_from, got.length_verified) == (0, True)
    assert got.seconds > 0
    assert got.url == f"{server.url}/data/long.bin"
    assert sorted(listing(folder)) == ["mine.bin"]


def test_an_empty_file_is_a_file(peer: StartPeer, folder: Path) -> None:
    assert fetch(peer(saying(response(b""))).url).size == 0
    assert (folder / "out.bin").read_bytes() == b""


def test_without_a_destination_the_last_segment_names_the_file(
    peer: StartPeer, folder: Path
) -> None:
    assert fetch(f"{peer(saying(response(b'x'))).url}/a/b.txt?c", None).path == Path("b.txt")
    (folder / "inside").mkdir()
    assert fetch(f"{peer(saying(response(b'x'))).url}/b.txt", "inside").path == Path("inside/b.txt")


def test_a_file_object_gets_the_bytes(peer: StartPeer, folder: Path) -> None:
    stream = io.BytesIO()
    got = fetch(peer(saying(response(LONG))).url, stream)
    assert stream.getvalue() == LONG
    assert (got.path, got.sha256) == (None, LONG_SHA256)
    assert list(folder.iterdir()) == []


def test_a_file_object_gets_nothing_that_was_refused(peer: StartPeer) -> None:
    stream = io.BytesIO()
    with pytest.raises(ActiveContent):
        fetch(peer(saying(response(HTML, Content_Type="image/png"))).url, stream)
    assert stream.getvalue() == b""


# --- the head ------------------------------------------------------------------------------

HEADS: dict[str, tuple[dict[str, str], dict[str, object], type[Rejected]]] = {
    "another type": ({"Content-Type": "text/html"}, {"expect": "image/*"}, ContentTypeMismatch),
    "another subtype": ({"Content-Type": "image/gif"}, {"expect": "image/png"}, ContentTypeMismatch),
    "no type": ({}, {"expect": "image/*"}, ContentTypeMismatch),
    "malformed type": ({"Content-Type": "image"}, {"expect": "image/*"}, ContentTypeMismatch),
    "two types": ({"Content-Type": "image/png, text/html"}, {"expect": "image/*"}, ContentTypeMismatch),
    "not in the policy": ({"Content-Type": "application/pdf"}, {"policy": Policy.images()}, ContentTypeMismatch),
    "not in the preset": ({"Content-Type": "video/mp4"}, {"expect": "images"}, ContentTypeMismatch),
    "declared too large": ({"Content-Length": "1000001"}, {"max_size": 1_000_000}, TooLarge),
    "too large in text": ({"Content-Length": "1048577"}, {"max_size": "1 MiB"}, TooLarge),
    "too large for the policy": ({"Content-Length": "2000"}, {"policy": Policy(max_size=1999)}, TooLarge),
    "the narrower limit wins": (
        {"Content-Length": "2000"}, {"policy": Policy(max_size=1000), "max_size": 9000}, TooLarge
    ),
    "too small for the policy": ({"Content-Length": "5"}, {"policy": Policy(min_size=6)}, TooSmall),
    "larger than the default": ({"Content-Length": str(5 * 1024**3 + 1)}, {}, TooLarge),
}  # fmt: skip


@pytest.mark.parametrize(("fields", "options", "error"), HEADS.values(), ids=HEADS.keys())
def test_the_head_is_judged_before_the_body_is_read(
    fields: dict[str, str],
    options: dict[str, object],
    error: type[Rejected],
    peer: StartPeer,
    folder: Path,
) -> None:
    closed: list[float] = []

    def handler(exchange: Exchange) -> None:
        named = {"Content-Length": "1000", **fields}
        lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        exchange.send(f"HTTP/1.1 200 OK\r\n{lines}\r\n".encode())
        # No body: who waits for it waits until the other side closes.
        exchange.sock.settimeout(10)
        assert exchange.sock.recv(1) == b""
        closed.append(time.monotonic())

    started = time.monotonic()
    with pytest.raises(error):
        fetch(peer(handler).url, **options)
    assert time.monotonic() - started < 4
    assert list(folder.iterdir()) == []


def test_a_mismatch_says_what_was_expected_and_what_came(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(HTML, Content_Type="text/html; charset=utf-8")))
    with pytest.raises(ContentTypeMismatch) as caught:
        fetch(server.url, expect="image/*")
    assert (caught.value.expected, caught.value.actual) == ("image/*", "text/html")


@pytest.mark.parametrize(
    ("status", "exit_code"), [(401, 4), (403, 4), (404, 5), (410, 5), (413, 8), (500, 7), (418, 1)]
)
def test_an_error_status_is_an_error_with_its_reasons(
    status: int, exit_code: int, peer: StartPeer, folder: Path
) -> None:
    problem = b'{"detail": "no \\u001b[31m way", "code": "x", "hint": "do this"}'
    server = peer(
        saying(response(problem, status=f"{status} Nope", Content_Type="application/problem+json"))
    )
    with pytest.raises(ResponseError) as caught:
        fetch(f"{server.url}/a?secret=1")
    error = caught.value
    assert (error.status, error.exit_code, error.hint) == (status, exit_code, "do this")
    assert error.problem == {"detail": "no \x1b[31m way", "code": "x", "hint": "do this"}
    assert "\x1b" not in str(error)
    assert "secret" not in f"{error} {error.url}"
    assert list(folder.iterdir()) == []


# --- the content ---------------------------------------------------------------------------

CONTENTS: dict[str, tuple[bytes, str, dict[str, object], type[Rejected]]] = {
    "HTML as PNG": (HTML, "image/png", {}, ActiveContent),
    "HTML as PDF": (HTML, "application/pdf", {}, ActiveContent),
    "a program as JPEG": (ELF, "image/jpeg", {}, ActiveContent),
    "a script as ZIP": (b"#!/bin/sh\n" + b"rm\n" * 5000, "application/zip", {}, ActiveContent),
    "HTML as PNG, expected": (HTML, "image/png", {"expect": "image/*"}, ActiveContent),
    "text as PNG, expected": (b"just text " * 2000, "image/png", {"expect": "image/*"}, Rejected),
    "JPEG as PNG under a policy": (JPEG, "image/png", {"policy": Policy.images()}, ContentMismatch),
    "unknown under a policy": (
        bytes(range(256)) * 40, "application/octet-stream", {"policy": Policy.images()}, TypeNotAllowed
    ),
}  # fmt: skip


@pytest.mark.parametrize(
    ("content", "claimed", "options", "error"), CONTENTS.values(), ids=CONTENTS.keys()
)
def test_what_the_bytes_say_decides(
    content: bytes,
    claimed: str,
    options: dict[str, object],
    error: type[Rejected],
    peer: StartPeer,
    folder: Path,
) -> None:
    with pytest.raises(error):
        fetch(peer(saying(response(content, Content_Type=claimed))).url, **options)
    assert list(folder.iterdir()) == []


def test_the_first_bytes_are_judged_before_anything_is_written(
    peer: StartPeer, folder: Path
) -> None:
    seen: list[list[str]] = []

    def handler(exchange: Exchange) -> None:
        exchange.send(
            b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nContent-Length: 900000\r\n\r\n"
        )
        exchange.send(HTML.ljust(20_000))
        with contextlib.suppress(ConnectionError):
            exchange.sock.recv(1)  # until the other side has had enough
        seen.append(listing(folder))

    server = peer(handler)
    with pytest.raises(ActiveContent):
        fetch(server.url)
    until = time.monotonic() + 5
    while not seen and time.monotonic() < until:
        time.sleep(0.01)
    assert seen == [[]]


def test_without_a_wish_the_type_is_reported_and_need_not_agree(
    peer: StartPeer, folder: Path
) -> None:
    got = fetch(peer(saying(response(PNG, Content_Type="image/jpeg"))).url, "picture.txt")
    assert got.type == "image/png"


def test_a_page_that_says_so_may_be_downloaded(peer: StartPeer, folder: Path) -> None:
    assert fetch(peer(saying(response(HTML, Content_Type="text/html"))).url).type == "text/html"


def test_an_undeclared_length_is_counted_to_the_limit_and_no_further(
    peer: StartPeer, folder: Path
) -> None:
    sent: list[int] = []

    def handler(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\n\r\n")
        total = 0
        try:
            while total < 100_000_000:
                exchange.send(bytes(65536))
                total += 65536
        finally:
            sent.append(total)

    with pytest.raises(TooLarge) as caught:
        fetch(peer(handler).url, max_size=100_000)
    assert (caught.value.limit, caught.value.size) == (100_000, None)
    assert list(folder.iterdir()) == []


def test_content_of_exactly_the_limit_passes(peer: StartPeer, folder: Path) -> None:
    assert fetch(peer(saying(response(LONG))).url, max_size=300_000).size == 300_000
    with pytest.raises(TooLarge):
        fetch(peer(saying(response(LONG))).url, "other", max_size=299_999)


def test_the_callers_digest_decides(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(LONG, ETag='"v"')))
    with pytest.raises(IntegrityError):
        fetch(server.url, sha256="0" * 64)
    assert list(folder.iterdir()) == []
    assert fetch(server.url, sha256=LONG_SHA256.upper()).sha256 == LONG_SHA256


def test_the_callers_digest_wins_over_the_servers(peer: StartPeer, folder: Path) -> None:
    wrong = "sha-256=:" + "A" * 43 + "=:"
    server = peer(saying(response(LONG, Repr_Digest=wrong)))
    assert fetch(server.url, sha256=LONG_SHA256).size == 300_000


# --- the call ------------------------------------------------------------------------------

WRONG_CALLS: dict[str, dict[str, object]] = {
    "connections": {"connections": 17},
    "digest": {"sha256": "abc"},
    "size": {"max_size": "much"},
    "policy": {"policy": "images"},
    "expect": {"expect": "nonsense"},
    "empty expect": {"expect": []},
    "timeout": {"timeout": 0},
    "timeout not a number": {"timeout": float("nan")},
    "retries": {"retries": -1},
    "auth": {"auth": ("user", "pass", "more")},
    "empty token": {"auth": ""},
    "two credentials": {"auth": "token", "headers": {"Authorization": "Bearer x"}},
    "range": {"headers": {"Range": "bytes=0-"}},
    "host": {"headers": {"Host": "example.com"}},
    "header injection": {"headers": {"X-A": "b\r\nX-C: d"}},
    "header name": {"headers": {"X A": "b"}},
    "header value": {"headers": {"X-A": "\u20ac"}},
    "header type": {"headers": {"X-A": 1}},
    "text stream": {"dest": io.StringIO()},
    "no destination": {"dest": ""},
    "NUL in the destination": {"dest": "a\0b"},
    "destination type": {"dest": 7},
}  # fmt: skip


@pytest.mark.parametrize("options", WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
def test_a_wrong_call_is_a_usage_error(
    options: dict[str, object], peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(b"x")))
    with pytest.raises(UsageError):
        fetch(server.url, **{"dest": "out", **options})
    assert server.exchanges == []


def test_credentials_and_headers_are_sent(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"x")))
    fetch(server.url, auth=("user", "pässword"), headers={"X-Mine": "1", "User-Agent": "me"})
    sent = server.last.headers
    assert sent["authorization"] == "Basic dXNlcjpww6Rzc3dvcmQ="
    assert (sent["x-mine"], sent["user-agent"]) == ("1", "me")
    fetch(server.url, "two", auth="token")
    assert server.last.headers["authorization"] == "Bearer token"


def test_the_environment_is_not_asked(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = peer(saying(response(b"x")))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    (folder / ".netrc").write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("HOME", str(folder))
    monkeypatch.setenv("NETRC", str(folder / ".netrc"))
    fetch(server.url)
    assert "authorization" not in server.last.headers


def test_a_client_reuses_its_connection(folder: Path) -> None:
    accepted: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        import threading

        def serve() -> None:
            sock, _ = listener.accept()
            accepted.append(sock)
            for _ in range(2):
                while b"\r\n\r\n" not in sock.recv(65536):
                    pass
                sock.sendall(response(b"hello"))

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/x"
        with Client(allow_private=True, retries=0) as client:
            client.download(url, "one")
            client.download(url, "two")
        thread.join(10)
        accepted[0].close()
    assert len(accepted) == 1


def test_a_closed_idle_connection_is_replaced_without_an_error(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(b"hello")))  # keeps alive by its words, closes by its deeds
    with Client(allow_private=True, retries=0) as client:
        for name in ("one", "two", "three"):
            assert client.download(server.url, name).size == 5
    assert server.connections >= 3


def test_progress_is_told_from_the_start_to_the_end(peer: StartPeer, folder: Path) -> None:
    events: list[Progress] = []
    fetch(peer(saying(response(LONG))).url, progress=events.append)
    assert events[0].stage == "connecting"
    assert (events[-1].stage, events[-1].done, events[-1].total) == ("done", 300_000, 300_000)
    received = [event.done for event in events if event.stage == "receiving"]
    assert received == sorted(received)


def test_an_interruption_by_the_user_leaves_a_resumable_part(peer: StartPeer, folder: Path) -> None:
    def interrupt(event: Progress) -> None:
        if event.stage == "receiving" and event.done > 0:
            raise KeyboardInterrupt

    def handler(exchange: Exchange) -> None:
        exchange.send(response(LONG, length=600_000, ETag='"v1"'))
        time.sleep(0.3)
        exchange.send(LONG)

    with pytest.raises(KeyboardInterrupt) as caught:
        fetch(peer(handler).url, progress=interrupt)
    assert "out.bin.part" in caught.value.__notes__[0]
    assert (folder / "out.bin.part").stat().st_size > 0
    assert not (folder / "out.bin").exists()


def test_a_private_address_needs_permission(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"x")))
    with pytest.raises(wharfinger.WharfingerError) as caught:
        wharfinger.download(server.url, "out")
    assert caught.value.code == "address-refused"
    assert server.connections == 0


def test_a_refused_connection_is_an_error_of_the_network(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening
        with pytest.raises(WharfingerError) as caught:
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/")
    assert (caught.value.code, caught.value.exit_code) == ("connect-failed", 6)
    assert isinstance(caught.value, ConnectionError)


def test_the_real_peer_serves_images(httpbin: str, folder: Path) -> None:
    got = fetch(f"{httpbin}/image/png", "a.png", expect="image/*")
    assert got.type == "image/png"
    assert (folder / "a.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ContentTypeMismatch):
        fetch(f"{httpbin}/html", "b.png", expect="image/*")
    with pytest.raises(ResponseError):
        fetch(f"{httpbin}/status/404", "c.png")
    with pytest.raises(BadResponse):
        fetch(f"{httpbin}/gzip", "d.json")
    assert fetch(f"{httpbin}/basic-auth/u/p", "e.json", auth=("u", "p")).type == "application/json"
    assert sorted(listing(folder)) == ["a.png", "e.json"]


def test_a_guard_that_trusts_a_name_connects_to_the_checked_address_only(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(b"x")))
    guard = AddressGuard(allow_hosts=("trusted.test",), resolver=lambda _h, _p: ["127.0.0.1"])
    with Client(guard=guard, retries=0) as client:
        client.download(f"http://trusted.test:{server.port}/x", "out")
    assert server.last.headers["host"] == f"trusted.test:{server.port}"


def test_the_second_address_is_tried_when_the_first_does_not_answer(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(b"x")))
    guard = AddressGuard(allow_private=True, resolver=lambda _h, _p: ["127.0.0.9", "127.0.0.1"])
    with Client(guard=guard, retries=0) as client:
        assert client.download(f"http://two.test:{server.port}/x", "out").size == 1


def test_an_interrupted_stream_is_not_begun_anew(peer: StartPeer) -> None:
    stream = io.BytesIO()
    server = peer(saying(response(LONG, length=400_000)))
    waits: list[float] = []
    with (
        Client(allow_private=True, retries=2, sleep=waits.append) as client,
        pytest.raises(Interrupted),
    ):
        client.download(server.url, stream)
    assert stream.getvalue() == LONG
    assert (waits, len(server.exchanges)) == ([], 1)
