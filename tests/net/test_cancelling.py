"""What stops a call from another thread."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from wharfinger.net import cancelling
from wharfinger.net.cancelling import Cancelled, Canceller, Stopcock
from wharfinger.net.patience import Patience


def test_without_a_canceller_nothing_is_stopped() -> None:
    assert cancelling.current() is None
    cancelling.check()
    cancelling.sleep(0)


def test_a_block_has_its_own_canceller_and_gives_it_back() -> None:
    outer, inner = Canceller(), Canceller()
    with outer.in_charge():
        with inner.in_charge():
            assert cancelling.current() is inner
        assert cancelling.current() is outer
    assert cancelling.current() is None


def test_another_thread_does_not_inherit_it() -> None:
    seen: list[object] = []
    with Canceller().in_charge():
        thread = threading.Thread(target=lambda: seen.append(cancelling.current()))
        thread.start()
        thread.join()
    assert seen == [None]


def test_after_cancelling_nothing_goes_on() -> None:
    canceller = Canceller()
    canceller.check()
    canceller.cancel()
    canceller.cancel()
    assert canceller.cancelled
    with canceller.in_charge():
        for step in (cancelling.check, lambda: cancelling.sleep(60), canceller.check):
            with pytest.raises(Cancelled):
                step()
    with pytest.raises(Cancelled):
        canceller.when_cancelled(lambda: None)


def test_a_sleep_ends_when_the_call_is_stopped() -> None:
    canceller = Canceller()
    timer = threading.Timer(0.05, canceller.cancel)
    timer.start()
    started = time.monotonic()
    with pytest.raises(Cancelled):
        canceller.sleep(30)
    assert time.monotonic() - started < 5
    timer.join()


def test_actions_run_once_and_can_be_taken_back() -> None:
    canceller = Canceller()
    done: list[int] = []
    canceller.when_cancelled(lambda: done.append(1))
    take_back = canceller.when_cancelled(lambda: done.append(2))
    take_back()
    take_back()
    canceller.cancel()
    assert done == [1]


def test_a_socket_that_is_waited_for_is_shut_down() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        canceller = Canceller()
        stopcock = Stopcock(ours)
        canceller.when_cancelled(stopcock.shut)
        threading.Timer(0.05, canceller.cancel).start()
        ours.settimeout(10)
        assert ours.recv(1) == b""
        stopcock.close()


def test_a_socket_that_was_let_go_is_left_alone_and_really_closed() -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        canceller = Canceller()
        stopcock = Stopcock(ours)
        release = canceller.when_cancelled(stopcock.shut)
        release()
        canceller.cancel()
        theirs.sendall(b"x")
        assert ours.recv(1) == b"x"
        ours.close()
        stopcock.close()
        theirs.settimeout(10)
        assert theirs.recv(1) == b""  # no second descriptor keeps it open


def test_a_socket_that_is_gone_already_is_no_error() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        ours = socket.create_connection(server.getsockname())
        theirs, _ = server.accept()
        with ours:
            stopcock = Stopcock(ours)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
            theirs.close()
            with pytest.raises(ConnectionResetError):
                ours.recv(1)
            stopcock.shut()
            stopcock.close()
            stopcock.shut()


def test_patience_ends_before_a_wait_and_after_it() -> None:
    canceller = Canceller()
    patience = Patience("X", silence=30, canceller=canceller)
    assert patience.wait() == 30
    patience.got(1)
    canceller.cancel()
    with pytest.raises(Cancelled):
        patience.wait()
    with pytest.raises(Cancelled):
        patience.got(0)  # a socket that was shut down looks like one that the peer closed
