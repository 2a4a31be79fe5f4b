"""Heads, lines and blocks from a socket, however the bytes are cut on their way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from wharfinger.errors import BadResponse, Interrupted, TransferTimeout
from wharfinger.net.patience import Patience
from wharfinger.net.wire import Wire


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    left, right = socket.socketpair()
    with left, right:
        yield left, right


def patience(silence: float = 5.0) -> Patience:
    return Patience("The answer", silence=silence)


HEADS = [
    (b"A\r\nB: c\r\n\r\n", b"A\r\nB: c"),
    (b"A\nB: c\n\n", b"A\nB: c"),
    (b"A\r\nB: c\n\r\n", b"A\r\nB: c"),
    (b"A\r\n\r\r\n", b"A"),
    (b"\r\n", b""),
    (b"\n", b""),
]
IDS = ["CRLF", "LF", "mixed", "two CRs", "nothing", "nothing, LF"]


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(("sent", "head"), HEADS, ids=IDS)
def test_a_head_ends_at_the_empty_line_and_what_follows_is_kept(
    sent: bytes, head: bytes, size: int, pair: tuple[socket.socket, socket.socket]
) -> None:
    wire = Wire(pair[0])
    data = sent + b"\nbody\n\n"

    def drip() -> None:
        for start in range(0, len(data), size):
            pair[1].sendall(data[start : start + size])
        pair[1].shutdown(socket.SHUT_WR)

    thread = threading.Thread(target=drip)
    thread.start()
    assert wire.head(1000, patience()) == head
    rest = bytearray(100)
    filled = 0
    while count := wire.readinto(memoryview(rest)[filled:], patience()):
        filled += count
    thread.join(10)
    assert bytes(rest[:filled]) == b"\nbody\n\n"


@pytest.mark.parametrize("end", [b"", b"\r\n\r\n"], ids=["no end", "an end too late"])
def test_a_head_may_be_as_long_as_its_limit(
    end: bytes, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[1].sendall(b"A" * 100 + b"\r\n\r\n" + b"B" * 102 + end)
    wire = Wire(pair[0])
    assert wire.head(101, patience()) == b"A" * 100
    with pytest.raises(BadResponse, match="longer than 101 bytes"):
        wire.head(101, patience())


def test_a_head_that_is_cut_off_says_whether_anything_came(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    pair[1].sendall(b"A: b\r\n\r\nC")
    pair[1].shutdown(socket.SHUT_WR)
    wire = Wire(pair[0])
    wire.head(100, patience())
    with pytest.raises(Interrupted, match="in the middle of its answer"):
        wire.head(100, patience())


def test_lines_and_blocks_follow_each_other(pair: tuple[socket.socket, socket.socket]) -> None:
    pair[1].sendall(b"5\r\nhello\r\n" + b"x" * 30)
    wire = Wire(pair[0])
    assert wire.line(10, patience()) == b"5\r\n"
    block = bytearray(5)
    assert wire.readinto(memoryview(block), patience()) == 5
    assert bytes(block) == b"hello"
    assert wire.line(10, patience()) == b"\r\n"
    with pytest.raises(BadResponse, match="more than 10 bytes"):
        wire.line(10, patience())


def test_nothing_for_too_long_is_given_up(pair: tuple[socket.socket, socket.socket]) -> None:
    wire = Wire(pair[0])
    with pytest.raises(TransferTimeout, match=r"nothing moved for 0\.05 s"):
        wire.readinto(memoryview(bytearray(1)), patience(0.05))
    assert wire.quiet


@pytest.mark.parametrize("more", [True, False])
def test_what_nobody_asked_for_is_noticed(
    more: bool, pair: tuple[socket.socket, socket.socket]
) -> None:
    pair[1].sendall(b"12345" + b"6" * more)
    wire = Wire(pair[0])
    assert wire.readinto(memoryview(bytearray(5)), patience()) == 5
    assert wire.has_more() is more
    assert wire.quiet is not more


def test_a_send_waits_for_room_but_not_for_ever(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    wire = Wire(pair[0])
    with pytest.raises(TransferTimeout, match="nothing moved"):
        wire.send(bytes(50_000_000), patience(0.05), heard=None)
