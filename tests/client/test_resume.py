"""Going on where a download broke: only if it is certainly the same content."""

from __future__ import annotations

import base64
import fcntl
import hashlib
import itertools
import json
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.folders import listing
from support.peer import Exchange, response, saying
from wharfinger import Client
from wharfinger.client.contents import Contents
from wharfinger.errors import (
    BadResponse,
    ContentTypeMismatch,
    DestinationExists,
    DestinationUnsafe,
    IntegrityError,
    Interrupted,
    LocalFileError,
    TransferTimeout,
    WharfingerError,
)
from wharfinger.net.cancelling import Cancelled, Canceller

CONTENT = bytes((i * 7 + i // 251) % 256 for i in range(100_000))
OTHER = CONTENT[::-1]


@dataclass
class Site:
    """A server with ranges whose content can change; the first answers are cut."""

    content: bytes = CONTENT
    etag: str = '"v1"'
    cuts: list[int] = field(default_factory=lambda: [50_000])
    honours_ranges: bool = True
    honours_if_range: bool = True
    change: Callable[[bytes], bytes] = lambda reply: reply
    asked: list[dict[str, str]] = field(default_factory=list)

    def __call__(self, exchange: Exchange) -> None:
        headers = exchange.headers
        self.asked.append(headers)
        fields = {"ETag": self.etag} if self.etag else {}
        start = int(headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        same = headers.get("if-range") == self.etag or not self.honours_if_range
        if "range" in headers and self.honours_ranges and same:
            size = len(self.content)
            if start >= size:
                exchange.send(
                    response(b"", status="416 No", Content_Range=f"bytes */{size}", fields=fields)
                )
                return
            whole = response(
                self.content[start:],
                status="206 Partial Content",
                Content_Range=f"bytes {start}-{size - 1}/{size}",
                fields=fields,
            )
        else:
            whole = response(self.content, fields=fields)
        whole = self.change(whole)
        if self.cuts:
            end = whole.index(b"\r\n\r\n") + 4
            whole = whole[: end + self.cuts.pop(0)]
        exchange.send(whole)


def fetch(url: str, dest: str = "out.bin", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


def broken_once(site: Site, peer: StartPeer) -> str:
    url = f"{peer(site).url}/file?id=1"
    with pytest.raises(Interrupted):
        fetch(url)
    assert Path("out.bin.part").stat().st_size == 50_000
    return url


def test_the_same_call_resumes(peer: StartPeer, folder: Path) -> None:
    site = Site()
    got = fetch(broken_once(site, peer))
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert got.resumed_from == 50_000
    assert got.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert (site.asked[1]["range"], site.asked[1]["if-range"]) == ("bytes=50000-", '"v1"')
    assert sorted(listing(folder)) == ["out.bin"]


def test_a_changed_file_restarts(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.content, site.etag = OTHER, '"v2"'
    got = fetch(url)
    assert (folder / "out.bin").read_bytes() == OTHER
    assert got.resumed_from == 0


def test_a_server_that_ignores_ranges_restarts(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.honours_ranges = False
    assert fetch(url).resumed_from == 0
    assert (folder / "out.bin").read_bytes() == CONTENT


def test_a_server_that_ignores_if_range_is_found_out_by_its_etag(
    peer: StartPeer, folder: Path
) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.content, site.etag, site.honours_if_range = OTHER, '"v2"', False
    assert fetch(url).resumed_from == 0
    assert (folder / "out.bin").read_bytes() == OTHER
    assert len(site.asked) == 3


def test_a_content_of_another_total_restarts(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.content = CONTENT + b"more"
    assert fetch(url).resumed_from == 0
    assert (folder / "out.bin").read_bytes() == CONTENT + b"more"


def test_a_shorter_file_restarts(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.content = b"short"
    assert fetch(url).resumed_from == 0
    assert (folder / "out.bin").read_bytes() == b"short"


RANGES = {
    "one too early": b"bytes 49999-99999/100000",
    "one too late": b"bytes 50001-99999/100000",
    "not to the end": b"bytes 50000-99998/100000",
    "beyond the end": b"bytes 50000-100000/100000",
    "no total": b"bytes 50000-99999/*",
    "no range": b"bytes */100000",
    "backwards": b"bytes 99999-50000/100000",
    "other unit": b"lines 50000-99999/100000",
    "nonsense": b"50000",
    "huge": b"bytes 50000-99999/" + b"9" * 40,
}


@pytest.mark.parametrize("claimed", RANGES.values(), ids=RANGES.keys())
def test_a_wrong_content_range_is_an_error(claimed: bytes, peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.change = lambda reply: reply.replace(b"bytes 50000-99999/100000", claimed)
    with pytest.raises(BadResponse):
        fetch(url)
    assert not (folder / "out.bin").exists()


def test_several_ranges_at_once_are_an_error(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.change = lambda reply: reply.replace(
        b"Content-Range: bytes 50000-99999/100000",
        b"Content-Type: multipart/byteranges; boundary=x",
    )
    with pytest.raises(BadResponse):
        fetch(url)


@pytest.mark.parametrize("etag", ["", 'W/"v1"', "unquoted"])
def test_without_a_strong_validator_nothing_is_resumed(
    etag: str, peer: StartPeer, folder: Path
) -> None:
    site = Site(etag=etag)
    url = f"{peer(site).url}/file"
    with pytest.raises(Interrupted) as caught:
        fetch(url)
    assert "begins anew" in caught.value.hint
    assert fetch(url).resumed_from == 0
    assert "range" not in site.asked[1]
    assert (folder / "out.bin").read_bytes() == CONTENT


def test_a_date_that_is_old_enough_is_a_strong_validator(peer: StartPeer, folder: Path) -> None:
    modified = "Sun, 06 Nov 1994 08:49:37 GMT"
    fields = {"Last-Modified": modified, "Date": "Sun, 06 Nov 1994 09:49:37 GMT"}
    rest = response(
        CONTENT[50_000:],
        status="206 Partial Content",
        Content_Range="bytes 50000-99999/100000",
        fields=fields,
    )
    server = peer(saying(response(CONTENT, fields=fields)[:-50_000], rest))
    with pytest.raises(Interrupted):
        fetch(server.url)
    assert fetch(server.url).resumed_from == 50_000
    assert server.last.headers["if-range"] == modified
    assert (folder / "out.bin").read_bytes() == CONTENT


def test_a_date_of_just_now_is_not_strong(peer: StartPeer, folder: Path) -> None:
    now = "Sun, 06 Nov 1994 08:49:37 GMT"
    server = peer(saying(response(CONTENT, Last_Modified=now, Date=now)[:-50_000]))
    for _ in range(2):
        with pytest.raises(Interrupted):
            fetch(server.url)
    assert "range" not in server.last.headers


def test_another_address_does_not_continue_this_file(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.content = OTHER
    assert fetch(url.replace("id=1", "id=2")).resumed_from == 0
    assert (folder / "out.bin").read_bytes() == OTHER


def test_the_sidecar_does_not_hold_the_query(peer: StartPeer, folder: Path) -> None:
    broken_once(Site(), peer)
    record = json.loads((folder / "out.bin.part.json").read_text())
    assert record["url"].endswith("/file")
    assert "id=1" not in json.dumps(record)
    assert (record["validator"], record["size"]) == ('"v1"', 100_000)
    assert (folder / "out.bin.part").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "record", ["", "{", "[]", '"x"', "{}", '{"wharfinger": 2}', '{"wharfinger": 1, "url": 5}']
)
def test_a_broken_sidecar_is_not_trusted(record: str, peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    (folder / "out.bin.part.json").write_text(record)
    for in_the_way in ("out.bin.part", "out.bin.part.json"):
        with pytest.raises(DestinationExists, match=re.escape(in_the_way)):
            fetch(url)
        (folder / in_the_way).unlink()
    assert fetch(url).resumed_from == 0


def test_a_file_of_ones_own_called_like_the_sidecar_is_not_touched(
    peer: StartPeer, folder: Path
) -> None:
    mine = folder / "out.bin.part.json"
    mine.write_text('{"my": "notes"}')
    with pytest.raises(DestinationExists):
        fetch(f"{peer(Site()).url}/file?id=1")
    assert mine.read_text() == '{"my": "notes"}'
    assert sorted(path.name for path in folder.iterdir() if not path.name.endswith(".part")) == [
        "out.bin.part.json"
    ]


@pytest.mark.parametrize("mode", [0o6777, -1, 10**30])
def test_a_planted_sidecar_gives_no_strange_mode(mode: int, peer: StartPeer, folder: Path) -> None:
    url = broken_once(Site(), peer)
    sidecar = folder / "out.bin.part.json"
    sidecar.write_text(json.dumps(json.loads(sidecar.read_text()) | {"mode": mode}))
    fetch(url)
    assert stat.S_IMODE((folder / "out.bin").stat().st_mode) & ~0o666 == 0


def test_a_part_with_a_second_name_is_not_written(peer: StartPeer, folder: Path) -> None:
    url = broken_once(Site(), peer)
    os.link(folder / "out.bin.part", folder / "somebody-else")
    before = (folder / "somebody-else").read_bytes()
    with pytest.raises(DestinationUnsafe):
        fetch(url)
    assert (folder / "somebody-else").read_bytes() == before


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_part_of_another_user_is_not_resumed(peer: StartPeer, folder: Path) -> None:
    url = broken_once(Site(), peer)
    os.chown(folder / "out.bin.part", 65534, 65534)
    with pytest.raises(DestinationUnsafe):
        fetch(url)


@pytest.mark.parametrize("planted", ["fifo", "deep"])
def test_a_sidecar_to_wait_at_or_to_fall_into_is_passed_by(
    planted: str, peer: StartPeer, folder: Path
) -> None:
    url = broken_once(Site(), peer)
    sidecar = folder / "out.bin.part.json"
    sidecar.unlink()
    if planted == "fifo":
        os.mkfifo(sidecar)
    else:
        sidecar.write_text("[" * 60_000)
    with pytest.raises(DestinationExists):
        fetch(url)


def test_a_changed_part_is_found_out_by_the_digest(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    with (folder / "out.bin.part").open("r+b") as part:
        part.write(b"changed")
    with pytest.raises(IntegrityError):
        fetch(url, sha256=hashlib.sha256(CONTENT).hexdigest())
    assert list(folder.iterdir()) == []


def test_a_whole_part_is_proved_with_one_byte(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    (folder / "out.bin.part").write_bytes(CONTENT)
    assert fetch(url).resumed_from == 99_999
    assert (folder / "out.bin").read_bytes() == CONTENT


def test_a_part_that_is_too_long_is_cut(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    (folder / "out.bin.part").write_bytes(CONTENT + b"and more")
    fetch(url)
    assert (folder / "out.bin").read_bytes() == CONTENT


def test_no_resume_begins_anew_and_leaves_nothing(peer: StartPeer, folder: Path) -> None:
    site = Site(cuts=[50_000, 60_000])
    url = f"{peer(site).url}/file"
    with pytest.raises(Interrupted):
        fetch(url, resume=False)
    assert list(folder.iterdir()) == []
    with pytest.raises(Interrupted):
        fetch(url)
    assert fetch(url, resume=False).resumed_from == 0
    assert "range" not in site.asked[2]
    assert sorted(listing(folder)) == ["out.bin"]


def test_retries_resume_within_one_call(peer: StartPeer, folder: Path) -> None:
    site = Site(cuts=[30_000, 30_000, 30_000])
    waits: list[float] = []
    with Client(allow_private=True, retries=3, sleep=waits.append) as client:
        got = client.download(f"{peer(site).url}/file", "out.bin")
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert [headers.get("range") for headers in site.asked] == [
        None, "bytes=30000-", "bytes=60000-", "bytes=90000-",
    ]  # fmt: skip
    assert got.resumed_from == 90_000
    assert len(waits) == 3
    assert all(0 < wait <= 2 for wait in waits)


@pytest.mark.parametrize("cut", [0, 1, 8191, 8192, 8193, 99_999])
def test_a_cut_anywhere_is_made_good(cut: int, peer: StartPeer, folder: Path) -> None:
    site = Site(cuts=[cut])
    with Client(allow_private=True, retries=1, sleep=lambda _seconds: None) as client:
        client.download(f"{peer(site).url}/file", "out.bin")
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert sorted(listing(folder)) == ["out.bin"]


def test_a_content_that_changes_all_the_time_is_fetched_whole(
    peer: StartPeer, folder: Path
) -> None:
    site = Site()
    url = broken_once(site, peer)
    site.change = lambda reply: reply.replace(b"206 Partial Content", b"416 No")
    assert fetch(url).resumed_from == 0
    assert "range" not in site.asked[2]


def test_a_failure_before_the_body_says_how_to_go_on_too(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    with pytest.raises(WharfingerError) as caught:
        fetch(url, timeout=wharfinger.Timeout(total=0.000001))
    assert "out.bin.part" in caught.value.hint


def test_a_second_download_to_the_same_place_is_kept_off(peer: StartPeer, folder: Path) -> None:
    site = Site()
    url = broken_once(site, peer)
    with (folder / "out.bin.part").open("r+b") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(LocalFileError, match="Another download"):
            fetch(url)
    assert fetch(url).resumed_from == 50_000


def test_a_part_of_somebody_else_is_not_touched(peer: StartPeer, folder: Path) -> None:
    (folder / "out.bin.part").write_bytes(b"mine")
    with pytest.raises(DestinationExists):
        fetch(peer(Site(cuts=[])).url)
    assert (folder / "out.bin.part").read_bytes() == b"mine"


@pytest.mark.parametrize("planted", ["out.bin.part", "out.bin.part.json"])
def test_a_planted_symbolic_link_is_not_followed(
    planted: str, peer: StartPeer, folder: Path
) -> None:
    victim = folder / "victim"
    victim.write_bytes(b"precious")
    (folder / planted).symlink_to(victim)
    with pytest.raises((DestinationUnsafe, DestinationExists)):
        fetch(peer(Site(cuts=[])).url)
    assert victim.read_bytes() == b"precious"
    assert not (folder / "out.bin").exists()


def test_a_sign_in_page_instead_of_the_rest_costs_nothing(peer: StartPeer, folder: Path) -> None:
    site = Site(content=b"PK\x03\x04" + CONTENT)
    page = response(b"<html>Welcome to our hotel", Content_Type="text/html")

    def handler(exchange: Exchange) -> None:
        if exchange.number == 1:
            exchange.send(page)
        else:
            site(exchange)

    site.change = lambda reply: reply.replace(b"\r\n", b"\r\nContent-Type: application/zip\r\n", 1)
    url = peer(handler).url
    with pytest.raises(Interrupted):
        fetch(url, "out.zip", expect="application/zip")
    with pytest.raises(ContentTypeMismatch):
        fetch(url, "out.zip", expect="application/zip")
    assert Path("out.zip.part").stat().st_size == 50_000


@pytest.mark.parametrize(
    ("more", "error", "left"), [(-100, Interrupted, 99_900), (100, BadResponse, None)]
)
def test_a_chunked_rest_of_another_length_is_not_the_rest(
    more: int, error: type[WharfingerError], left: int | None, peer: StartPeer, folder: Path
) -> None:
    site = Site()

    def handler(exchange: Exchange) -> None:
        if exchange.number == 0:
            site(exchange)
            return
        first = int(exchange.headers["range"][6:-1])
        body = (CONTENT + bytes(100))[first : len(CONTENT) + more]
        exchange.send(
            b"HTTP/1.1 206 Partial Content\r\nTransfer-Encoding: chunked\r\n"
            b'ETag: "v1"\r\nContent-Range: bytes %d-%d/%d\r\n\r\n%x\r\n%s\r\n0\r\n\r\n'
            % (first, len(CONTENT) - 1, len(CONTENT), len(body), body)
        )

    url = peer(handler).url
    with pytest.raises(Interrupted):
        fetch(url)
    with pytest.raises(error):
        fetch(url)
    if left is None:
        assert listing(folder) == []
    else:
        assert Path("out.bin.part").stat().st_size == left


DAMAGED = [{"synced": -1}, {"synced": True}, {"synced": "1"}, {"boot": None}, {"size": ""}, {"size": False}, {"size": -5}, {"size": 0.5}, {"mode": "6"},
           {"validator": "a\r\nX: y"}, {"validator": "\u20ac"}, {"validator": None}]  # fmt: skip


@pytest.mark.parametrize("damage", DAMAGED, ids=map(str, DAMAGED))
def test_a_damaged_sidecar_is_none(
    damage: dict[str, object], peer: StartPeer, folder: Path
) -> None:
    url = broken_once(Site(), peer)
    record = folder / "out.bin.part.json"
    record.write_text(json.dumps(json.loads(record.read_text()) | damage))
    with pytest.raises(DestinationExists, match="no partial download of ours"):
        fetch(url)


# --- what is held is read before the server is asked -----------------------------------------

LARGE = bytes((i * 7 + i // 251) % 256 for i in range(2_000_000))


@dataclass
class Reads:
    """Notes each reading of a partial file, and how many requests the server had by then."""

    site: Site
    spans: list[tuple[int, int]] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        real = Contents.read_at

        def read_at(contents: Contents, buffer: memoryview, offset: int) -> int:
            count = real(contents, buffer, offset)
            self.spans.append((offset, offset + count))
            self.asked.append(len(self.site.asked))
            return count

        monkeypatch.setattr(Contents, "read_at", read_at)


def test_nothing_is_read_back_while_an_answer_waits(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(content=LARGE, cuts=[1_500_000])
    url = f"{peer(site).url}/file"
    with pytest.raises(Interrupted):
        fetch(url)
    reads = Reads(site)
    reads.watch(monkeypatch)
    got = fetch(url)
    assert got.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert (folder / "out.bin").read_bytes() == LARGE
    assert (reads.spans[0][0], reads.spans[-1][1]) == (0, 1_500_000)
    assert set(reads.asked) == {1}  # the second request went out after all of it


def test_a_retry_reads_only_what_came_since(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(content=LARGE, cuts=[600_000, 500_000, 400_000])
    reads = Reads(site)
    reads.watch(monkeypatch)
    with Client(allow_private=True, retries=3, sleep=lambda _seconds: None) as client:
        got = client.download(f"{peer(site).url}/file", "out.bin")
    assert got.sha256 == hashlib.sha256(LARGE).hexdigest()
    assert sum(end - start for start, end in reads.spans) == 1_500_000
    assert [start for start, _ in reads.spans[1:]] == [end for _, end in reads.spans[:-1]]


def test_what_was_read_of_a_content_that_changed_is_forgotten(
    peer: StartPeer, folder: Path
) -> None:
    site = Site(content=LARGE, cuts=[1_000_000, 1_100_000, 1_200_000])

    def change(reply: bytes) -> bytes:
        if len(site.asked) == 2:  # the first retry finds another file
            site.content, site.etag = LARGE[::-1], '"v2"'
            return response(site.content, fields={"ETag": site.etag})
        return reply

    site.change = change
    with Client(allow_private=True, retries=3, sleep=lambda _seconds: None) as client:
        got = client.download(f"{peer(site).url}/file", "out.bin")
    assert (folder / "out.bin").read_bytes() == LARGE[::-1]
    assert got.sha256 == hashlib.sha256(LARGE[::-1]).hexdigest()
    assert got.resumed_from == 1_100_000


@pytest.mark.parametrize("right", [True, False], ids=["right", "wrong"])
def test_a_digest_of_another_kind_is_verified_for_a_rest_too(
    right: bool, peer: StartPeer, folder: Path
) -> None:
    site = Site(content=LARGE, cuts=[1_500_000])
    url = f"{peer(site).url}/file"
    with pytest.raises(Interrupted):
        fetch(url)
    digest = base64.b64encode(hashlib.sha512(LARGE if right else OTHER).digest())
    site.change = lambda reply: reply.replace(
        b"\r\n", b"\r\nRepr-Digest: sha-512=:" + digest + b":\r\n", 1
    )
    if right:
        assert fetch(url).resumed_from == 1_500_000
        assert len(site.asked) == 3  # once more, after the held part was read for SHA-512
    else:
        with pytest.raises(IntegrityError, match="sha-512"):
            fetch(url)
        assert listing(folder) == []


def test_reading_what_is_held_ends_with_the_time_of_the_call(peer: StartPeer, folder: Path) -> None:
    site = Site(content=LARGE, cuts=[1_500_000])
    url = f"{peer(site).url}/file"
    with pytest.raises(Interrupted):
        fetch(url)
    ticks = itertools.count(0.0, 1.0)
    with (
        Client(allow_private=True, retries=0, clock=lambda: next(ticks)) as client,
        pytest.raises(TransferTimeout, match="Reading what is there already took longer") as caught,
    ):
        client.download(url, "out.bin", timeout=wharfinger.Timeout(total=3))
    assert "out.bin.part" in caught.value.hint
    assert len(site.asked) == 1
    assert (folder / "out.bin.part").stat().st_size == 1_500_000


def test_reading_what_is_held_can_be_cancelled(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Site(content=LARGE, cuts=[1_500_000])
    url = f"{peer(site).url}/file"
    with pytest.raises(Interrupted):
        fetch(url)
    canceller, real = Canceller(), Contents.read_at

    def read_at(contents: Contents, buffer: memoryview, offset: int) -> int:
        canceller.cancel()
        return real(contents, buffer, offset)

    monkeypatch.setattr(Contents, "read_at", read_at)
    with canceller.in_charge(), pytest.raises(Cancelled):
        fetch(url)
    assert len(site.asked) == 1
    assert (folder / "out.bin.part").stat().st_size == 1_500_000
