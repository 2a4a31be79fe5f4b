"""Which connection is used again, and which is not."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from wharfinger.errors import AddressRefused
from wharfinger.net.connection import GuardedConnection
from wharfinger.net.guard import AddressGuard
from wharfinger.net.pool import Connections
from wharfinger.net.urls import parse
from wharfinger.net.wire import Wire

URL = parse("http://127.0.0.1:9/x")
ELSEWHERE = parse("http://127.0.0.1:8080/x")


class Made:
    """Open connections, with the far end of each."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self.far: dict[GuardedConnection, socket.socket] = {}

    def connection(self) -> GuardedConnection:
        near, far = socket.socketpair()
        self._stack.enter_context(far)
        connection = GuardedConnection(URL.host, URL.port)
        connection.sock = near
        connection.wire = Wire(near)
        self._stack.callback(connection.close)
        self.far[connection] = far
        return connection


@pytest.fixture
def made() -> Iterator[Made]:
    with ExitStack() as stack:
        yield Made(stack)


@pytest.fixture
def pool() -> Connections:
    # Nothing is connected to: a new connection is refused by the strict guard.
    return Connections(AddressGuard())


def test_the_one_that_was_used_last_is_taken_first(made: Made, pool: Connections) -> None:
    first, second = made.connection(), made.connection()
    pool.give(URL, first)
    pool.give(URL, second)
    assert pool.take(URL, 1) is second
    assert pool.take(URL, 1) is first
    with pytest.raises(AddressRefused):
        pool.take(URL, 1)


def test_another_origin_has_its_own(made: Made, pool: Connections) -> None:
    pool.give(URL, made.connection())
    with pytest.raises(AddressRefused):
        pool.take(ELSEWHERE, 1)


@pytest.mark.parametrize("what", ["closed", "spoke"])
def test_one_whose_server_closed_or_spoke_is_not_used(
    what: str, made: Made, pool: Connections
) -> None:
    good, bad = made.connection(), made.connection()
    pool.give(URL, good)
    pool.give(URL, bad)
    if what == "closed":
        made.far[bad].close()
    else:
        made.far[bad].sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert pool.take(URL, 1) is good
    assert bad.wire is None


def test_a_fresh_one_is_never_an_idle_one(made: Made, pool: Connections) -> None:
    pool.give(URL, made.connection())
    with pytest.raises(AddressRefused):
        pool.take(URL, 1, fresh=True)


def test_the_oldest_are_closed_when_there_are_too_many(made: Made, pool: Connections) -> None:
    given = [made.connection() for _ in range(66)]
    for connection in given:
        pool.give(URL, connection)
    assert [connection.wire is None for connection in given] == [True] * 2 + [False] * 64


def test_what_is_closed_is_not_kept(made: Made, pool: Connections) -> None:
    connection = made.connection()
    connection.close()
    pool.give(URL, connection)
    with pytest.raises(AddressRefused):
        pool.take(URL, 1)


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "forgotten"])
def test_idle_connections_end_with_the_client(closed: bool, made: Made) -> None:
    pool = Connections(AddressGuard())
    connection = made.connection()
    pool.give(URL, connection)
    if closed:
        pool.close()
    del pool
    assert made.far[connection].recv(1) == b""


def test_a_forked_process_has_connections_of_its_own(made: Made, pool: Connections) -> None:
    connection = made.connection()
    pool.give(URL, connection)
    child = os.fork()
    if child == 0:
        try:
            pool.take(URL, 1)
        except AddressRefused:
            os._exit(7)  # it wanted to make a new one
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert pool.take(URL, 1) is connection
    made.far[connection].setblocking(False)
    with pytest.raises(BlockingIOError):  # and it is still open
        made.far[connection].recv(1)
