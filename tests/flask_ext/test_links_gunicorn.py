"""Limited links under gunicorn, which could send files itself: what it sent is still known."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.hosts import gunicorn
from support.shells import Browser
from support.waiting import soon
from wharfinger import StoredFile, Wharf

SIZE = 16 * 1024 * 1024


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with Wharf.open(tmp_path / "data") as wharf:
        yield wharf


@pytest.fixture
def browser(wharf: Wharf, tmp_path: Path) -> Iterator[Browser]:
    assert wharf.collections
    target = f"hosted:make({str(tmp_path)!r})"
    with gunicorn(target, Path(__file__).parent, tmp_path / "log") as (url, _):
        yield Browser(url)


@pytest.fixture
def stored(wharf: Wharf) -> StoredFile:
    return wharf.receive([os.urandom(SIZE)], collection="files", name="noise.bin")


def test_whole_downloads_count_and_broken_ones_are_given_back(
    browser: Browser, wharf: Wharf, stored: StoredFile
) -> None:
    link = wharf.share(stored.id, max_downloads=1)
    path = f"/storage{urlsplit(link.url).path}"
    with socket.create_connection((browser.host, browser.port), timeout=20) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        assert wharf.links.find(link.id).downloads == 1
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    assert soon(lambda: wharf.links.find(link.id).downloads == 0)
    first = browser.ask("GET", path, headers={"Range": "bytes=0-99"})
    assert first.status == 206
    rest = {"Range": "bytes=100-", "If-Range": first.headers["etag"]}
    assert len(browser.ask("GET", path, headers=rest).body) == SIZE - 100
    assert soon(lambda: wharf.links.of_file(stored.id) == [])
    gone = browser.ask("GET", path)
    assert (gone.status, json.loads(gone.body)["code"]) == (404, "not-found")
