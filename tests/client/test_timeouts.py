"""Time limits hold against a peer that drips."""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.peer import Exchange, response
from wharfinger import Client, Timeout
from wharfinger.errors import ResponseError, TransferTimeout, UsageError
from wharfinger.net import patience as patience_module
from wharfinger.net.patience import Patience


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Ends the waiting of a handler when the test is over."""
    event = threading.Event()
    yield event
    event.set()


def drip(exchange: Exchange, stop: threading.Event, data: bytes) -> None:
    for byte in data:
        if stop.wait(0.05):
            return
        with contextlib.suppress(OSError):
            exchange.send(bytes([byte]))


def fetch(url: str, timeout: float | Timeout) -> float:
    started = time.monotonic()
    with pytest.raises(TransferTimeout) as caught:
        wharfinger.download(url, "out.bin", allow_private=True, retries=0, timeout=timeout)
    assert isinstance(caught.value, TimeoutError)
    assert caught.value.exit_code == 6
    return time.monotonic() - started


def test_a_dripping_head_is_given_up(peer: StartPeer, folder: Path, stop: threading.Event) -> None:
    server = peer(lambda exchange: drip(exchange, stop, b"HTTP/1.1 200 OK\r\nX: " + b"a" * 400))
    assert fetch(server.url, Timeout(head=0.5, idle=30)) < 3


def test_dripping_interim_answers_are_given_up(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    server = peer(lambda exchange: drip(exchange, stop, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 19))
    assert fetch(server.url, Timeout(head=0.5, idle=30)) < 3


def test_a_silent_head_is_given_up(peer: StartPeer, folder: Path, stop: threading.Event) -> None:
    server = peer(lambda _exchange: stop.wait(20) and None)
    assert fetch(server.url, 0.4) < 3


def test_a_dripping_body_ends_at_the_total(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n")
        drip(exchange, stop, b"x" * 400)

    assert fetch(peer(handler).url, Timeout(total=0.6)) < 3


def test_dripping_chunk_sizes_end_at_the_total(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        drip(exchange, stop, b"5;" + b"x" * 400)

    assert fetch(peer(handler).url, Timeout(total=0.6)) < 3


def test_silence_in_a_body_is_given_up_and_what_came_is_kept(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"x" * 20_000, length=50_000, ETag='"v"'))
        stop.wait(20)

    assert fetch(peer(handler).url, Timeout(idle=0.4)) < 3
    assert (folder / "out.bin.part").stat().st_size == 20_000


def test_a_server_that_takes_nothing_in_is_given_up(peer: StartPeer, stop: threading.Event) -> None:
    server = peer(lambda _exchange: stop.wait(20) and None, reads_body=False)
    started = time.monotonic()
    with pytest.raises(TransferTimeout):
        wharfinger.upload(
            bytes(64_000_000), server.url, allow_private=True, timeout=Timeout(idle=0.5), retries=0
        )
    assert time.monotonic() - started < 10  # the question what it can is given up after 5 s


def test_retries_end_at_the_total(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"", status="503 Busy", Retry_After="60"))

    waits: list[float] = []
    with (
        Client(
            allow_private=True, timeout=Timeout(total=10), retries=5, sleep=waits.append
        ) as client,
        pytest.raises(wharfinger.WharfingerError),
    ):
        client.download(peer(handler).url, "out.bin")
    assert waits == []


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_wait_is_the_silence_or_what_is_left() -> None:
    clock = Clock()
    patience = Patience("X", silence=30, until=150.0, clock=clock)
    assert patience.wait() == 30
    clock.now = 140.0
    assert patience.wait() == 10
    clock.now = 150.0
    with pytest.raises(TransferTimeout, match=r"took longer than 50\.0 s"):
        patience.wait()


@pytest.mark.parametrize(
    ("limits", "later", "message"),
    [
        (Timeout(total=60), 60.0, "The body of the answer took longer than 60 s in total."),
        (Timeout(head=5), 5.0, "The head of the answer took longer than 5 s."),
        (
            Timeout(head=30, total=12.5),
            12.5,
            "The head of the answer took longer than 12.5 s in total.",
        ),
    ],
    ids=["body", "head", "head within the total"],
)
def test_a_limit_is_named_as_the_caller_gave_it(
    limits: Timeout, later: float, message: str
) -> None:
    clock = Clock()
    watch = limits.start(clock)
    if "body" in message:
        clock.now += 40  # the phase begins late
        patience = watch.body()
    else:
        patience = watch.head()
    clock.now = 100.0 + later
    with pytest.raises(TransferTimeout) as caught:
        patience.wait()
    assert str(caught.value).startswith(message)


def test_without_an_end_only_silence_counts() -> None:
    patience = Patience("X", silence=7, clock=Clock())
    assert patience.wait() == 7
    assert "nothing moved for 7 s" in str(patience.over())


def test_the_minimum_rate_is_measured_over_half_a_minute() -> None:
    clock = Clock()
    patience = Patience("X", silence=30, min_rate=100, clock=clock)
    for seconds in (0, 29):
        patience.wait()
        clock.now += seconds
        patience.got(1)
    patience.wait()
    clock.now += 1
    with pytest.raises(TransferTimeout, match="at least 100"):
        patience.got(1)


def test_a_peer_that_is_fast_enough_begins_a_new_window() -> None:
    clock = Clock()
    patience = Patience("X", silence=30, min_rate=100, clock=clock)
    for _ in range(10):
        patience.wait()
        clock.now += 15
        patience.got(1500)


def test_only_the_time_in_which_the_peer_is_waited_for_counts() -> None:
    clock = Clock()
    patience = Patience("X", silence=30, min_rate=100, clock=clock)
    for _ in range(10):
        clock.now += 60  # the disk, or whoever writes into our pipe
        patience.wait()
        patience.wait()  # asked twice, waited once
        clock.now += 0.001
        patience.got(1)


def test_a_pipe_that_fills_slowly_is_not_the_servers_fault(
    peer: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience_module, "RATE_WINDOW", 0.2)
    server = peer(lambda exchange: exchange.send(response(b"{}")))
    read, write = os.pipe()

    def fill() -> None:
        with os.fdopen(write, "wb", buffering=0) as pipe:
            for _ in range(5):
                time.sleep(0.1)
                pipe.write(b"x")

    thread = threading.Thread(target=fill)
    thread.start()
    with os.fdopen(read, "rb", buffering=0) as stream:
        wharfinger.upload(stream, server.url, protocol="raw", allow_private=True, retries=0)
    thread.join()
    assert server.last.body.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("seconds", [3e6, 1e10, 1e300])
def test_a_limit_that_is_meant_as_none_is_one(
    seconds: float, host: str, peer: StartPeer, folder: Path
) -> None:
    server = peer(lambda exchange: exchange.send(response(b"hello")))
    url = server.url.replace("127.0.0.1", host)
    for timeout in (seconds, Timeout(total=seconds)):
        got = wharfinger.download(url, "out", allow_private=True, timeout=timeout, overwrite=True)
        assert got.size == 5


def test_the_text_of_an_error_is_not_waited_for_longer_than_a_head(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    def handler(exchange: Exchange) -> None:
        fields = {"Content-Type": "application/problem+json"}
        exchange.send(response(b"", status="404 No", length=60_000, fields=fields))
        drip(exchange, stop, b"x" * 400)

    started = time.monotonic()
    with pytest.raises(ResponseError, match="answered 404"):
        wharfinger.download(
            peer(handler).url, "out", allow_private=True, retries=0, timeout=Timeout(head=0.5)
        )
    assert time.monotonic() - started < 3


def test_a_number_means_connect_head_and_silence() -> None:
    assert Timeout.of(7) == Timeout(connect=7, head=7, idle=7)
    assert Timeout.of(Timeout(total=5)) == Timeout(total=5)
    assert Timeout() == Timeout(connect=30, head=30, idle=30, total=None, min_rate=30)


WRONG = [{"connect": 0}, {"head": -1}, {"idle": float("inf")}, {"total": 0}, {"connect": True},
         {"idle": "5"}, {"min_rate": -1}, {"min_rate": 1.5}, {"min_rate": True}, {"connect": None}]  # fmt: skip


@pytest.mark.parametrize("limits", WRONG, ids=map(str, WRONG))
def test_a_limit_that_is_none_is_a_usage_error(limits: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        Timeout(**limits)  # type: ignore[arg-type]
