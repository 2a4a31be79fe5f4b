"""A sender below the pace is cut with 408 in every shell, and nothing of its file is kept."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path

import pytest

from support.services import blobs_on_disk, make_wharf, token
from support.shells import running
from wharfinger.flask import requests
from wharfinger.service import patience

TYPE = {"raw": b"", "form": b"Content-Type: multipart/form-data; boundary=b\r\n"}
START = {
    "raw": b"\1" * 10_000,
    "form": b"--b\r\nContent-Disposition: form-data; name=f; filename=a.bin\r\n\r\n"
    + b"\1" * 10_000,
}


@pytest.mark.parametrize("form", ["raw", "form"])
def test_a_slow_sender_is_408_and_nothing_is_kept(
    shell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    monkeypatch.setattr(patience, "WINDOW", 0.3)
    # A WSGI server hands bytes on once a batch is full: the pace is looked at then.
    monkeypatch.setattr(requests, "_BATCH", 4096)
    with make_wharf(tmp_path / "data") as wharf:
        object.__setattr__(wharf.settings, "patience", patience.Patience(min_rate=1_000_000))
        with running(shell, wharf) as url:
            host, port = url.removeprefix("http://").split(":")
            with socket.create_connection((host, int(port)), timeout=20) as sock:
                sock.sendall(
                    b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
                    + token(wharf).encode()
                    + b"\r\nContent-Length: 10000000\r\n"
                    + TYPE[form] + b"\r\n" + START[form]
                )  # fmt: skip
                received = b""
                sock.settimeout(0.02)
                until = time.monotonic() + 8
                while b"\r\n\r\n" not in received and time.monotonic() < until:
                    try:
                        sock.sendall(b"\1" * 1000)
                        received += sock.recv(65536)
                    except TimeoutError:
                        continue
                sock.settimeout(2)
                while piece := _received(sock):
                    received += piece
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408 ")
        assert json.loads(body[body.index(b"{") : body.rindex(b"}") + 1])["code"] == "too-slow"
        assert blobs_on_disk(tmp_path / "data") == []


def _received(sock: socket.socket) -> bytes:
    try:
        return sock.recv(65536)
    except (ConnectionError, TimeoutError):  # all is there
        return b""
