"""Connections and bodies that keep the server waiting: bounded in number and in time."""

from __future__ import annotations

import contextlib
import socket
from pathlib import Path

import pytest

from support.served import eventually
from support.services import blobs_on_disk, make_wharf, token
from support.shells import stand_alone
from wharfinger.server import connections, shell


def connect(url: str) -> socket.socket:
    host, port = url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_a_connection_without_a_head_is_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_HEAD_SECONDS", 0.2)
    with make_wharf(tmp_path) as wharf, stand_alone(wharf) as url, connect(url) as mute:
        mute.sendall(b"GET /health/live HTTP/1.1\r\nHost:")
        assert mute.recv(100) == b""


def test_a_connection_that_has_asked_once_is_not_taken_for_mute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "FIRST_HEAD_SECONDS", 0.2)
    with make_wharf(tmp_path) as wharf, stand_alone(wharf) as url, connect(url) as client:
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")
        client.settimeout(0.6)
        with pytest.raises(TimeoutError):
            client.recv(1)
        client.settimeout(10)
        client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 200")


def test_too_many_connections_are_turned_away_and_room_comes_back(tmp_path: Path) -> None:
    with make_wharf(tmp_path) as wharf, stand_alone(wharf, most=3) as url:
        with contextlib.ExitStack() as held:
            three = [held.enter_context(connect(url)) for _ in range(3)]
            for client in three:
                client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
                assert client.recv(1000).startswith(b"HTTP/1.1 200")
            assert is_turned_away(url)
        eventually(lambda: not is_turned_away(url), "there is room again")


def is_turned_away(url: str) -> bool:
    with connect(url) as client:
        try:
            client.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            return client.recv(1000) == b""
        except ConnectionError:
            return True


def test_a_body_that_falls_silent_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "SILENCE_SECONDS", 0.2)
    with make_wharf(tmp_path) as wharf, stand_alone(wharf) as url, connect(url) as client:
        client.sendall(
            b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n"
            b"Content-Length: 100000\r\n\r\n" % token(wharf).encode() + b"\1" * 50_000
        )
        answer = client.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"length-mismatch" in answer
        assert blobs_on_disk(tmp_path) == []
