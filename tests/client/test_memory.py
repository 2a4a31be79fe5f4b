"""The memory of a transfer is a constant: 256 MiB pass through a process of under 64 MiB."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import StartPeer
from support.peer import Exchange, response

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
UP = (
    "import sys, wharfinger\n"
    "wharfinger.upload('big', sys.argv[1], protocol=sys.argv[2], allow_private=True)\n" + PEAK
)


def peak_mib(code: str, *arguments: str) -> int:
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], check=True, capture_output=True, text=True
    )
    return int(done.stdout)


def test_a_download_of_256_mib(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"", length=SIZE))
        for _ in range(SIZE // MIB):
            exchange.send(BLOCK)

    assert peak_mib(DOWN, peer(handler).url) < 64
    with (folder / "big").open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == (
            "a6d72ac7690f53be6ae46ba88506bd97302a093f7108472bd9efc3cefda06484"
        )


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
