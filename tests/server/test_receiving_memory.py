"""What uploads cost in memory: one large one a constant, a slow one a socket and a small buffer."""

from __future__ import annotations

import contextlib
import http.client
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.served import Served, eventually, serve

MIB = 1024 * 1024
SLOW = 500


def idle(served: Served) -> int:
    """Return the memory of the server once it has done everything for the first time."""
    for _ in range(3):
        assert served.browser.ask("POST", "/uploads/files", bytes(3 * MIB)).status == 201
    return served.memory("VmRSS")


FORM = b"--b\r\nContent-Disposition: form-data; name=f; filename=a.bin\r\n\r\n"
END = b"\r\n--b--\r\n"


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_one_upload_of_a_gib_takes_less_than_32_mib(tmp_path: Path, *, form: bool) -> None:
    piece = os.urandom(MIB)
    size = 1024 * MIB

    def body() -> Iterator[bytes]:
        if form:
            yield FORM
        for _ in range(size // MIB):
            yield piece
        if form:
            yield END

    length = size + (len(FORM) + len(END) if form else 0)
    kind = "multipart/form-data; boundary=b" if form else "application/octet-stream"
    with serve(tmp_path / "data") as served:
        before = idle(served)
        served.forget_the_peak()
        connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=120)
        headers = {
            "Authorization": f"Bearer {served.token}",
            "Content-Length": str(length),
            "Content-Type": kind,
        }
        connection.request("POST", "/uploads/files", body(), headers)
        answer = connection.getresponse()
        answer.read()
        connection.close()
        assert answer.status == 201
        above = served.memory("VmHWM") - before
        assert above < 32 * MIB, above / MIB


def test_500_slow_uploads_at_once_take_less_than_96_mib(tmp_path: Path) -> None:
    head = (
        b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        b"Content-Type: application/octet-stream\r\n%s\r\n"
    )
    with serve(tmp_path / "data") as served, contextlib.ExitStack() as held:
        before = idle(served)
        served.forget_the_peak()
        begun = head % served.authorization
        slow: list[socket.socket] = []
        for _ in range(SLOW):
            slow.append(held.enter_context(served.connect()))
            slow[-1].sendall(begun + b"\1" * 20_000)

        def staged() -> int:
            return sum("/staging/" in path for path in served.open_files())

        eventually(lambda: staged() == SLOW, "every upload is being received", 60)
        for _ in range(5):
            for sock in slow:
                sock.sendall(b"\1" * 2_000)
        above = served.memory("VmHWM") - before
        assert above < 96 * MIB, above / MIB
        # And they hold up nobody.
        assert served.browser.ask("POST", "/uploads/files", b"quick").status == 201
        for sock in slow[:3]:
            sock.sendall(b"\1" * (1_000_000 - 30_000))
            assert sock.recv(100).startswith(b"HTTP/1.1 201 ")
        held.close()
        eventually(lambda: staged() == 0, "what was left is given up", 60)
