"""Several connections for one file: the same file as over one, or an error and a sound beginning."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import HTML
from support.folders import listing
from support.peer import Exchange, response
from wharfinger import Client
from wharfinger.client.contents import Contents
from wharfinger.client.folder import Folder
from wharfinger.errors import (
    ActiveContent,
    IntegrityError,
    Interrupted,
    StorageFull,
    UsageError,
)

MIB = 1024 * 1024
CONTENT = bytes((i * 31 + i // 509) % 256 for i in range(1 << 16)) * 97 + b"an odd end"
SHA256 = hashlib.sha256(CONTENT).hexdigest()

Answering = Callable[[Exchange, int, int], bool]


@dataclass
class Site:
    """A server with ranges; `instead` may answer a request for a range in its own way."""

    content: bytes = CONTENT
    fields: dict[str, str] = field(
        default_factory=lambda: {"ETag": '"v1"', "Accept-Ranges": "bytes"}
    )
    instead: Answering = lambda _exchange, _first, _last: False
    honours_ranges: bool = True
    hold_first: threading.Event = field(default_factory=threading.Event)
    asked: list[str] = field(default_factory=list)

    def __call__(self, exchange: Exchange) -> None:
        wanted = exchange.headers.get("range")
        self.asked.append(wanted or "whole")
        size = len(self.content)
        if wanted is None or not self.honours_ranges:
            reply = response(self.content, fields=self.fields)
            exchange.send(reply[:600_000])
            self.hold_first.wait(5)
            exchange.send(reply[600_000:])
            return
        assert exchange.headers["if-range"] == '"v1"'
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), int(last or size - 1)
        if not self.instead(exchange, start, end):
            exchange.send(part(self.content, start, end, self.fields))
        self.hold_first.set()


def part(content: bytes, start: int, end: int, fields: dict[str, str]) -> bytes:
    return response(
        content[start : end + 1],
        status="206 Partial Content",
        Content_Range=f"bytes {start}-{end}/{len(content)}",
        fields=fields,
    )


def fetch(url: str, dest: str = "out.bin", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, "connections": 4, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


def test_the_parts_make_the_same_file(peer: StartPeer, folder: Path) -> None:
    site = Site()
    got = fetch(peer(site).url, sha256=SHA256)
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert (got.size, got.sha256, got.length_verified) == (len(CONTENT), SHA256, True)
    assert site.asked[0] == "whole"
    assert site.asked.count("whole") == 1
    assert len(site.asked) <= 4
    assert listing(folder) == ["out.bin"]


WITHOUT: dict[str, dict[str, str]] = {
    "no word about ranges": {"ETag": '"v1"'},
    "no ranges": {"ETag": '"v1"', "Accept-Ranges": "none"},
    "no validator": {"Accept-Ranges": "bytes"},
    "a weak validator": {"ETag": 'W/"v1"', "Accept-Ranges": "bytes"},
}


@pytest.mark.parametrize("fields", WITHOUT.values(), ids=WITHOUT.keys())
def test_one_connection_does_it_where_the_server_cannot_promise_more(
    fields: dict[str, str], peer: StartPeer, folder: Path
) -> None:
    site = Site(fields=fields)
    site.hold_first.set()
    assert fetch(peer(site).url).sha256 == SHA256
    assert site.asked == ["whole"]


def test_one_connection_does_it_where_the_length_is_unknown(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        head = b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nAccept-Ranges: bytes\r\n\r\n'
        exchange.send(head + CONTENT)

    server = peer(handler)
    assert fetch(server.url).sha256 == SHA256
    assert server.connections == 1


def test_a_small_file_is_not_split(peer: StartPeer, folder: Path) -> None:
    site = Site(content=CONTENT[: 2 * MIB - 1])
    site.hold_first.set()
    assert fetch(peer(site).url).size == 2 * MIB - 1
    assert site.asked == ["whole"]


def refuse(exchange: Exchange, *_: int) -> bool:
    exchange.send(response(b"", status="503 No more connections"))
    return True


def changed(exchange: Exchange, start: int, end: int) -> bool:
    exchange.send(part(CONTENT[::-1], start, end, {"ETag": '"v2"'}))
    return True


def off_by_one(exchange: Exchange, start: int, end: int) -> bool:
    exchange.send(part(CONTENT, start + 1, end, {"ETag": '"v1"'}))
    return True


def whole(exchange: Exchange, *_: int) -> bool:
    exchange.send(response(CONTENT, ETag='"v1"'))
    return True


def reset(exchange: Exchange, *_: int) -> bool:
    exchange.reset()
    return True


REFUSALS = {f.__name__: f for f in (refuse, changed, off_by_one, whole, reset)}


@pytest.mark.parametrize("answering", REFUSALS.values(), ids=REFUSALS.keys())
def test_when_the_others_are_refused_the_first_connection_goes_on(
    answering: Answering, peer: StartPeer, folder: Path
) -> None:
    site = Site(instead=answering)
    got = fetch(peer(site).url)
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert got.sha256 == SHA256
    assert site.asked.count("whole") == 1
    assert listing(folder) == ["out.bin"]


def test_a_part_that_breaks_is_fetched_again_from_where_it_broke(
    peer: StartPeer, folder: Path
) -> None:
    cut: list[int] = []

    def once(exchange: Exchange, start: int, end: int) -> bool:
        if not cut:
            cut.append(start)
            reply = part(CONTENT, start, end, {"ETag": '"v1"'})
            exchange.send(reply[: reply.index(b"\r\n\r\n") + 4 + 300_000])
            return True
        return False

    site = Site(instead=once)
    with Client(allow_private=True, retries=1, sleep=lambda _seconds: None) as client:
        got = client.download(peer(site).url, "out.bin", connections=3)
    assert got.sha256 == SHA256
    assert any(asked.startswith(f"bytes={cut[0] + 300_000}-") for asked in site.asked)


def late(site: Site) -> Answering:
    """Answer the second segment, and fail at the third only when the first one is whole."""

    def answering(exchange: Exchange, start: int, _end: int) -> bool:
        if start < len(CONTENT) // 2 or site.asked.count("whole") > 1:
            return False
        site.hold_first.set()
        exchange.sock.settimeout(0.5)
        try:
            exchange.sock.recv(1)
        except TimeoutError:
            exchange.send(response(b"", status="500 Sorry"))
        return True

    return answering


def test_when_a_part_fails_late_the_first_connection_reads_on(
    peer: StartPeer, folder: Path
) -> None:
    site = Site()
    site.instead = late(site)
    got = fetch(peer(site).url, connections=3)
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert got.sha256 == SHA256
    assert got.resumed_from == 0
    assert site.asked.count("whole") == 1
    assert not any(asked.endswith("-") for asked in site.asked)
    assert listing(folder) == ["out.bin"]


@pytest.mark.parametrize("resume", [True, False])
def test_when_the_first_connection_is_gone_by_then_another_one_does_the_rest(
    resume: bool, peer: StartPeer, folder: Path
) -> None:
    site = Site()
    failing = late(site)
    gone = threading.Event()

    def handler(exchange: Exchange) -> None:
        if "range" not in exchange.headers and not gone.is_set():
            reply = response(CONTENT, fields=site.fields)
            exchange.send(reply[: len(CONTENT) // 2])
            gone.set()
            site.hold_first.wait(5)
            return  # the server closes it in the middle
        site(exchange)

    site.instead = lambda exchange, start, end: (
        not site.asked[-1].endswith("-") and failing(exchange, start, end)
    )
    got = fetch(peer(handler).url, connections=3, resume=resume)
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert got.sha256 == SHA256
    if resume:
        assert got.resumed_from >= len(CONTENT) // 3
        assert site.asked[-1] == f"bytes={got.resumed_from}-"
    else:
        assert got.resumed_from == 0
        assert site.asked[-1] == "whole"


def test_a_server_that_counts_connections_is_not_asked_again_by_a_helper(
    peer: StartPeer, folder: Path
) -> None:
    waits: list[float] = []
    refused = response(b"", status="429 Too Many Requests", fields={"Retry-After": "7"})

    def busy(exchange: Exchange, *_: int) -> bool:
        exchange.send(refused)
        return True

    site = Site(instead=busy)
    with Client(allow_private=True, retries=3, sleep=waits.append, timeout=5) as client:
        got = client.download(peer(site).url, "out.bin", connections=4)
    assert got.sha256 == SHA256
    assert waits == []
    assert site.asked.count("whole") == 1
    assert len(site.asked) <= 4


def test_the_first_bytes_are_judged_before_anything_else_is_fetched(
    peer: StartPeer, folder: Path
) -> None:
    site = Site(content=HTML.ljust(4 * MIB))
    site.fields["Content-Type"] = "image/png"
    server = peer(site)
    site.hold_first.set()
    with pytest.raises(ActiveContent):
        fetch(server.url)
    assert site.asked == ["whole"]
    assert listing(folder) == []


def test_the_digest_is_of_the_whole(peer: StartPeer, folder: Path) -> None:
    def lying(exchange: Exchange, start: int, end: int) -> bool:
        exchange.send(
            part(CONTENT[:start] + bytes(len(CONTENT) - start), start, end, {"ETag": '"v1"'})
        )
        return True

    with pytest.raises(IntegrityError):
        fetch(peer(Site(instead=lying)).url, sha256=SHA256)
    assert listing(folder) == []


def test_what_an_interruption_leaves_is_an_unbroken_beginning(
    peer: StartPeer, folder: Path
) -> None:
    first_dies = Site()

    def handler(exchange: Exchange) -> None:
        if "range" in exchange.headers:
            first_dies(exchange)
            return
        exchange.send(response(CONTENT, fields=first_dies.fields)[:700_000])
        first_dies.hold_first.wait(5)

    server = peer(handler)
    with pytest.raises(Interrupted) as caught:
        fetch(server.url)
    assert "same call again" in caught.value.hint
    left = (folder / "out.bin.part").read_bytes()
    assert left == CONTENT[: len(left)]
    assert 0 < len(left) < 700_000
    assert json.loads((folder / "out.bin.part.json").read_text())["validator"] == '"v1"'
    got = fetch(server.url)
    assert (got.resumed_from, got.sha256) == (len(left), SHA256)


def test_a_file_with_holes_that_a_crash_left_is_begun_anew(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    records: list[str] = []
    real, sync = Contents.write_at, Folder.sync

    def synced(self: Folder) -> None:
        sync(self)
        records.append("synced")

    def look(self: Contents, block: memoryview, offset: int) -> None:
        records.append(json.loads((folder / "out.bin.part.json").read_text())["validator"])
        real(self, block, offset)

    monkeypatch.setattr(Contents, "write_at", look)
    monkeypatch.setattr(Folder, "sync", synced)
    site = Site()
    fetch(peer(site).url)
    assert records[0] == records[-1] == "synced"  # the record's name is durable before the holes
    assert set(records[1:-1]) == {""}


def test_a_full_disk_under_a_part_is_that_error(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise StorageFull("The disk is full.")

    monkeypatch.setattr(Contents, "write_at", full)
    with pytest.raises(StorageFull):
        fetch(peer(Site()).url)
    assert listing(folder) == []


def test_an_interruption_by_the_user_stops_all_connections(peer: StartPeer, folder: Path) -> None:
    def interrupt(event: wharfinger.Progress) -> None:
        if event.done > 700_000:
            raise KeyboardInterrupt

    before = threading.active_count()
    site = Site()
    with pytest.raises(KeyboardInterrupt):
        fetch(peer(site).url, progress=interrupt)
    left = (folder / "out.bin.part").read_bytes()
    assert left == CONTENT[: len(left)]
    assert not [t for t in threading.enumerate()[before:] if "_fetch" in t.name]


@pytest.mark.parametrize("connections", [0, -1, 17, True, 2.0, "4"])
def test_a_number_of_connections_is_from_1_to_16(connections: object, folder: Path) -> None:
    with pytest.raises(UsageError):
        fetch("http://127.0.0.1:1/", connections=connections)


def test_a_chunked_part_that_runs_over_reaches_no_other_segment(
    peer: StartPeer, folder: Path
) -> None:
    evil = b"X" * 300_000

    def too_much(exchange: Exchange, first: int, last: int) -> bool:
        if first == 0 or last == len(CONTENT) - 1:
            return False
        body = CONTENT[first : last + 1] + evil
        exchange.send(
            b"HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\n"
            b'ETag: "v1"\r\nContent-Range: bytes %d-%d/%d\r\n\r\n'
            % (first, last, len(CONTENT))
            + b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        )
        return True

    got = fetch(peer(Site(instead=too_much)).url, sha256=SHA256)
    assert got.sha256 == SHA256
    assert hashlib.sha256((folder / "out.bin").read_bytes()).hexdigest() == SHA256
    assert listing(folder) == ["out.bin"]


def in_chunks(body: bytes, first: int, last: int) -> bytes:
    return (
        b"HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\n"
        b'ETag: "v1"\r\nContent-Range: bytes %d-%d/%d\r\n\r\n'
        % (first, last, len(CONTENT))
        + (b"%x\r\n%s\r\n" % (len(body), body) if body else b"")
        + b"0\r\n\r\n"
    )


@pytest.mark.parametrize("count", [0, 1000])
def test_a_chunked_part_that_ends_early_is_not_asked_for_again_for_ever(
    count: int, peer: StartPeer, folder: Path
) -> None:
    def too_little(exchange: Exchange, first: int, last: int) -> bool:
        exchange.send(in_chunks(CONTENT[first : first + count], first, last))
        return True

    site = Site(instead=too_little)
    with Client(allow_private=True, retries=2, sleep=lambda _seconds: None, timeout=5) as client:
        got = client.download(peer(site).url, "out.bin", connections=2)
    assert got.sha256 == SHA256
    assert len(site.asked) == 4


def test_a_first_connection_that_ends_early_in_chunks_is_not_read_for_ever(
    peer: StartPeer, folder: Path
) -> None:
    """It is a resumed one: the first answer of a download that is split has a length."""
    site = Site()
    ended = threading.Event()

    def handler(exchange: Exchange) -> None:
        wanted = exchange.headers.get("range", "")
        if exchange.number == 0:
            exchange.send(response(CONTENT, fields=site.fields)[:700_000])
        elif exchange.number == 1:
            first = int(wanted[6:-1])
            reply = in_chunks(CONTENT[first : len(CONTENT) // 2], first, len(CONTENT) - 1)
            exchange.send(reply.removesuffix(b"0\r\n\r\n"))
            ended.wait(5)
            exchange.send(b"0\r\n\r\n")
        elif wanted.endswith(f"-{len(CONTENT) - 1}"):
            time.sleep(0.3)  # the other helper is done by then
            exchange.send(response(b"", status="500 Sorry"))
            ended.set()
        else:
            site(exchange)

    server = peer(handler)
    with pytest.raises(Interrupted):
        fetch(server.url, connections=1)
    got = fetch(server.url, connections=3)
    assert got.sha256 == SHA256
