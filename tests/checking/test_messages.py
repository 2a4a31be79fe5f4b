"""Lines between a decoder and the program that asks."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from wharfinger.checking.messages import MAX_LINE, receive, send


@pytest.fixture
def line() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_message_comes_with_its_files(line: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = line
    with tempfile.TemporaryFile() as file:
        file.write(b"content")
        file.flush()
        send(ours, {"job": "image", "size": 7}, (file.fileno(),))
        message, (came,) = receive(theirs)
        assert message == {"job": "image", "size": 7}
        assert os.pread(came, 10, 0) == b"content"
        os.close(came)


def test_the_end_is_no_message(line: tuple[socket.socket, socket.socket]) -> None:
    line[0].close()
    assert receive(line[1]) == (None, ())


@pytest.mark.parametrize(
    "said",
    [b"[1]\n", b"nonsense\n", b"\xff\n", b'"text"\n', b'{"a": 1}'],
    ids=["a list", "no JSON", "no UTF-8", "a text", "no end"],
)
def test_anything_else_is_an_error_and_leaves_no_file_open(
    line: tuple[socket.socket, socket.socket], said: bytes
) -> None:
    ours, theirs = line
    with tempfile.TemporaryFile() as file:
        before = open_files()
        socket.send_fds(ours, [said], [file.fileno()])
        ours.shutdown(socket.SHUT_WR)
        with pytest.raises(ValueError, match=r"."):
            receive(theirs)
        assert open_files() == before


def test_a_line_has_an_end(line: tuple[socket.socket, socket.socket]) -> None:
    ours, theirs = line
    ours.setblocking(False)
    sent = 0
    theirs.settimeout(5)
    while sent <= 2 * MAX_LINE:
        try:
            sent += ours.send(b"x" * 4096)
        except BlockingIOError:
            break
    assert sent > MAX_LINE
    ours.shutdown(socket.SHUT_WR)
    with pytest.raises(ValueError, match="no end"):
        receive(theirs)


def test_silence_is_a_timeout(line: tuple[socket.socket, socket.socket]) -> None:
    line[1].settimeout(0.01)
    with pytest.raises(TimeoutError):
        receive(line[1])
