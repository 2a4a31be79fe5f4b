"""How bytes leave: by sendfile from files, in pieces elsewhere, and always listening."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from wharfinger.errors import LocalFileError, TransferTimeout
from wharfinger.net.patience import Patience
from wharfinger.net.sending import send_file
from wharfinger.net.spans import FileSpan
from wharfinger.net.wire import Wire

MIB = 1024 * 1024


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        right.settimeout(10)
        yield left, right


def patience(silence: float = 5.0) -> Patience:
    return Patience("Sending", silence=silence)


def span(
    descriptor: int, length: int, *, start: int = 0, sent: list[int] | None = None
) -> FileSpan:
    def check() -> None:
        if os.fstat(descriptor).st_size != start + length:
            raise LocalFileError("it changed")

    def failed(error: OSError) -> Exception:
        return LocalFileError(f"unreadable: {error.strerror}")

    counts = [] if sent is None else sent
    return FileSpan(
        descriptor=descriptor,
        start=start,
        length=length,
        check=check,
        failed=failed,
        sent=counts.append,
    )


@pytest.fixture
def file(tmp_path: Path) -> Iterator[tuple[int, bytes]]:
    content = os.urandom(3 * MIB + 17)
    (tmp_path / "file").write_bytes(content)
    descriptor = os.open(tmp_path / "file", os.O_RDWR)
    yield descriptor, content
    os.close(descriptor)


def receive(sock: socket.socket, into: bytearray) -> threading.Thread:
    def run() -> None:
        while more := sock.recv(MIB):
            into.extend(more)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.parametrize("sendfile_works", [True, False])
def test_a_span_arrives_byte_for_byte(
    sendfile_works: bool,
    pair: tuple[socket.socket, socket.socket],
    file: tuple[int, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not sendfile_works:

        def refuse(*_: object) -> int:
            raise OSError(errno.EINVAL, "not here")

        monkeypatch.setattr(os, "sendfile", refuse)
    got, sent = bytearray(), []  # type: ignore[var-annotated]
    thread = receive(pair[1], got)
    part = span(file[0], len(file[1]) - 100, start=100, sent=sent)
    assert send_file(Wire(pair[0]), part, patience(), heard=lambda: False) is True
    pair[0].close()
    thread.join(10)
    assert bytes(got) == file[1][100:]
    assert sum(sent) == len(file[1]) - 100


@pytest.mark.parametrize("change", [-5, 5], ids=["shorter", "longer"])
def test_a_file_that_changes_its_length_never_arrives_whole(
    change: int, pair: tuple[socket.socket, socket.socket], file: tuple[int, bytes]
) -> None:
    got = bytearray()
    thread = receive(pair[1], got)
    part = span(file[0], len(file[1]))
    os.ftruncate(file[0], len(file[1]) + change)
    with pytest.raises(LocalFileError, match="it changed"):
        send_file(Wire(pair[0]), part, patience(), heard=lambda: False)
    pair[0].close()
    thread.join(10)
    assert 0 < len(got) < len(file[1]) - 5


def test_a_peer_that_takes_nothing_is_given_up(
    pair: tuple[socket.socket, socket.socket], file: tuple[int, bytes]
) -> None:
    with pytest.raises(TransferTimeout):
        send_file(Wire(pair[0]), span(file[0], len(file[1])), patience(0.2), heard=lambda: False)


def test_an_answer_in_the_middle_ends_the_sending(
    pair: tuple[socket.socket, socket.socket], file: tuple[int, bytes]
) -> None:
    pair[1].sendall(b"HTTP/1.1 413 Too Large\r\n\r\n")
    sent: list[int] = []
    part = span(file[0], len(file[1]), sent=sent)
    assert send_file(Wire(pair[0]), part, patience(), heard=lambda: True) is False
    assert sent == []


def test_a_disk_that_cannot_be_read_is_a_local_error(
    pair: tuple[socket.socket, socket.socket],
    file: tuple[int, bytes],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> int:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(os, "sendfile", fail)
    with pytest.raises(LocalFileError, match="unreadable"):
        send_file(Wire(pair[0]), span(file[0], len(file[1])), patience(), heard=lambda: False)
