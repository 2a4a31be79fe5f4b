"""The memory of a transfer is a constant: 256 MiB pass through a process of under 64 MiB."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from conftest import StartPeer
from support.peer import Exchange, response, saying
from wharfinger import Client

MIB = 1024 * 1024
SIZE = 256 * MIB
BLOCK = bytes(MIB)

# VmHWM is the peak of this program alone; getrusage would count the parent that forked it.
PEAK = """
def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) // 1024 for line in status if line.startswith("VmHWM"))
print(peak())
"""
DOWN = (
    "import sys, wharfinger\nwharfinger.download(sys.argv[1], 'big', allow_private=True)\n" + PEAK
)
MANY = (
    "import sys, wharfinger\n"
    "urls = [f'{sys.argv[1]}/{n}' for n in range(8)]\n"
    "assert not wharfinger.download_many(urls, '.', allow_private=True).failed\n" + PEAK
)
SPLIT = (
    "import sys, wharfinger\n"
    "wharfinger.download(sys.argv[1], 'big', connections=8, allow_private=True)\n" + PEAK
)
UP = (
    "import sys, wharfinger\n"
    "wharfinger.upload('big', sys.argv[1], protocol=sys.argv[2], allow_private=True)\n" + PEAK
)


def peak_mib(code: str, *arguments: str) -> int:
    # Without the coverage that the suite may run under: its own memory is not ours.
    environment = {name: value for name, value in os.environ.items() if "COVERAGE" not in name}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return int(done.stdout)


def test_a_download_of_256_mib(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"", length=SIZE))
        for _ in range(SIZE // MIB):
            exchange.send(BLOCK)

    assert peak_mib(DOWN, peer(handler).url) < 40
    with (folder / "big").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == (
            "a6d72ac7690f53be6ae46ba88506bd97302a093f7108472bd9efc3cefda06484"
        )


def test_eight_downloads_at_once(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"", length=32 * MIB))
        for _ in range(32):
            exchange.send(BLOCK)

    assert peak_mib(MANY, peer(handler).url) < 40


def test_one_download_over_eight_connections(peer: StartPeer, folder: Path) -> None:
    size = 64 * MIB
    fields = {"ETag": '"v"', "Accept-Ranges": "bytes"}

    def handler(exchange: Exchange) -> None:
        first, _, last = (
            exchange.headers.get("range", "bytes=0-").removeprefix("bytes=").partition("-")
        )
        start, end = int(first), int(last or size - 1)
        span = {"Content-Range": f"bytes {start}-{end}/{size}"} if last else {}
        status = "206 Partial Content" if last else "200 OK"
        exchange.send(
            response(b"", status=status, length=end - start + 1, fields={**fields, **span})
        )
        left = end - start + 1
        while left > 0:
            exchange.send(BLOCK[:left])
            left -= MIB

    assert peak_mib(SPLIT, peer(handler).url) < 40


@pytest.mark.parametrize("protocol", ["raw", "multipart"])
def test_an_upload_of_256_mib(protocol: str, peer: StartPeer, folder: Path) -> None:
    received: list[int] = []

    def handler(exchange: Exchange) -> None:
        left = int(exchange.headers["content-length"]) - len(exchange.body)
        while left > 0:
            left -= len(exchange.sock.recv(MIB))
        received.append(int(exchange.headers["content-length"]))
        exchange.send(response(b"{}"))

    with (folder / "big").open("wb") as file:
        file.truncate(SIZE)
    assert peak_mib(UP, peer(handler, reads_body=False).url, protocol) < 64
    assert received[0] >= SIZE


def test_a_short_reply_takes_little_memory(peer: StartPeer) -> None:
    url = peer(saying(response(b"{}"))).url
    with Client(allow_private=True) as client:
        client.upload(b"x", url)
        tracemalloc.start()
        try:
            client.upload(b"x", url)
            assert tracemalloc.get_traced_memory()[1] < 3 * MIB  # the peer is in here, too
        finally:
            tracemalloc.stop()
