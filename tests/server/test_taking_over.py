"""A request that hangs never locks anybody out of an upload, whichever worker holds it."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from support.served import Served, eventually, serve
from support.tus import Tus
from wharfinger import Wharf

STEP = 50_000


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "data", "--workers", "2") as served:
        yield served


def hanging(served: Served, path: str, offset: int, length: int) -> socket.socket:
    """Begin a PATCH on a connection of its own, send a little of it, and say no more."""
    sock = served.connect()
    sock.sendall(
        f"PATCH {path} HTTP/1.1\r\nHost: h\r\nTus-Resumable: 1.0.0\r\n".encode()
        + served.authorization
        + f"Upload-Offset: {offset}\r\nContent-Length: {length}\r\n".encode()
        + b"Content-Type: application/offset+octet-stream\r\n\r\n"
        + bytes(STEP)
    )
    return sock


def staged_somewhere(beside: Wharf, upload_id: str, size: int) -> bool:
    staging = beside.settings.data / "staging"
    return beside.uploads.find(upload_id, None).offset == size or any(
        one.stat().st_size >= size for one in staging.glob("*.upload")
    )


def test_requests_that_hang_are_taken_over_across_workers(served: Served, tmp_path: Path) -> None:
    size = 40 * STEP
    tus = Tus(served.browser)
    path = tus.create(size)
    upload_id = path.rpartition("/")[2]
    older: list[socket.socket] = []
    try:
        with Wharf.open(tmp_path / "data") as beside:
            for number in range(12):
                older.append(hanging(served, path, number * STEP, size - number * STEP))
                staged = (number + 1) * STEP
                eventually(partial(staged_somewhere, beside, upload_id, staged), "bytes are staged")
                began = time.monotonic()
                stands = tus.offset(path)
                assert time.monotonic() - began < 2
                if stands < staged:  # what another worker had not committed is sent again
                    assert tus.patch(path, stands, bytes(staged - stands)).status == 204
            # It went from worker to worker: the kernel deals connections out by chance.
            assert beside.uploads.find(upload_id, None).generation > 0
        began = time.monotonic()
        stands = tus.offset(path)
        answer = tus.patch(path, stands, bytes(size - stands))
        assert answer.status == 204
        assert time.monotonic() - began < 2
        for sock in older:
            sock.sendall(bytes(STEP))
            first = sock.recv(65536)
            assert first.startswith((b"HTTP/1.1 409", b"HTTP/1.1 410")), first
    finally:
        for sock in older:
            sock.close()
    assert tus.file(answer) == bytes(size)
