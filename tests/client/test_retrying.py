"""What is tried again, and when."""

from __future__ import annotations

import math
import socket
from pathlib import Path

import pytest

from conftest import StartPeer
from support.peer import Peer, response, saying
from wharfinger import Client
from wharfinger.client.retrying import Retrying, retry_after
from wharfinger.errors import (
    AddressRefused,
    BadResponse,
    ConnectFailed,
    IntegrityError,
    Interrupted,
    ResponseError,
    TransferTimeout,
    UsageError,
    WharfingerError,
)


def attempts(error: WharfingerError, *, retries: int = 3, left: float = math.inf) -> list[float]:
    waits: list[float] = []
    retrying = Retrying(retries=retries, sleep=waits.append, jitter=lambda: 1.0)
    while retrying.again(error, left):
        pass
    return waits


def test_waits_double_and_have_jitter() -> None:
    assert attempts(ConnectFailed("x")) == [0.5, 1.0, 2.0]
    waits: list[float] = []
    Retrying(retries=1, sleep=waits.append, jitter=lambda: 0.0).again(ConnectFailed("x"), 99)
    assert waits == [0.25]


def test_a_wait_has_an_end() -> None:
    assert max(attempts(ConnectFailed("x"), retries=20)) == 30.0


def by_default(*, answered: bool, jitter: float) -> list[float]:
    waits: list[float] = []
    retrying = Retrying(answered=lambda: answered, sleep=waits.append, jitter=lambda: jitter)
    while retrying.again(ConnectFailed("x"), math.inf):
        pass
    return waits


def test_by_default_the_restart_of_a_server_is_outlasted() -> None:
    assert by_default(answered=True, jitter=1.0) == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    assert by_default(answered=True, jitter=0.0) == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0]  # 15.75 s


def test_by_default_an_address_that_never_answered_fails_soon() -> None:
    assert by_default(answered=False, jitter=1.0) == [0.5, 1.0]


def test_a_number_of_retries_holds_also_before_the_first_answer() -> None:
    waits: list[float] = []
    retrying = Retrying(retries=4, answered=lambda: False, sleep=waits.append, jitter=lambda: 1.0)
    while retrying.again(ConnectFailed("x"), math.inf):
        pass
    assert waits == [0.5, 1.0, 2.0, 4.0]


def test_a_helper_does_not_wait_as_long_as_the_transfer_it_helps() -> None:
    assert Retrying().of_a_helper().retries == 2
    assert Retrying(retries=5).of_a_helper().retries == 5


WORTH = [ConnectFailed("x"), TransferTimeout("x"), Interrupted("x", received=1),
         *(ResponseError("x", status=status) for status in (429, 502, 503, 504))]  # fmt: skip
NOT_WORTH = [AddressRefused("x"), BadResponse("x"), IntegrityError("x"), UsageError("x"),
             *(ResponseError("x", status=status) for status in (400, 401, 404, 409, 500, 501))]  # fmt: skip


@pytest.mark.parametrize("error", WORTH, ids=map(repr, WORTH))
def test_worth_another_attempt(error: WharfingerError) -> None:
    assert len(attempts(error)) == 3


@pytest.mark.parametrize("error", NOT_WORTH, ids=map(repr, NOT_WORTH))
def test_not_worth_another_attempt(error: WharfingerError) -> None:
    assert attempts(error) == []


def test_retry_after_is_honoured_within_reason() -> None:
    assert attempts(ResponseError("x", status=503, retry_after=7)) == [7, 7, 7]
    assert attempts(ResponseError("x", status=503, retry_after=3600)) == []


def test_there_is_no_wait_beyond_the_total() -> None:
    assert attempts(ResponseError("x", status=503, retry_after=7), left=6) == []


VALUES = [("5", 5.0), (" 120 ", 120.0), ("0", 0.0), (None, None), ("soon", None), ("-5", None),
          ("Sun, 06 Nov 1994 08:49:37 GMT", 37.0), ("Sun, 06 Nov 1994 08:00:00 GMT", 0.0),
          ("9" * 50, 999999999.0),
          # Numbers that no date holds, and parts that no calendar has.
          ("Sun, 06 Nov 99999999999999999999 08:49:37 GMT", None),
          ("Sun, 06 Nov 1994 08:49:37 +99999999999999999999", None),
          ("Sun, 99 Nov 1994 08:49:37 GMT", None)]  # fmt: skip


@pytest.mark.parametrize(("value", "seconds"), VALUES)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=784111740.0) == seconds  # 08:49:00 of that day


def test_a_busy_server_is_asked_again(peer: StartPeer, folder: Path) -> None:
    busy = response(b"", status="503 Busy", Retry_After="2")
    waits: list[float] = []
    with Client(allow_private=True, retries=2, sleep=waits.append) as client:
        got = client.download(peer(saying(busy, busy, response(b"hello"))).url, "out")
    assert got.size == 5
    assert waits == [2, 2]


def test_a_server_that_stays_busy_is_an_error(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"", status="503 Busy")))
    with (
        Client(allow_private=True, retries=2, sleep=lambda _seconds: None) as client,
        pytest.raises(ResponseError),
    ):
        client.download(server.url, "out")
    assert len(server.exchanges) == 3


def unused() -> str:
    """Return an address where nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return f"http://127.0.0.1:{server.getsockname()[1]}/a"


def test_where_nobody_listens_a_client_gives_up_after_two_short_waits(folder: Path) -> None:
    waits: list[float] = []
    with Client(allow_private=True, sleep=waits.append) as client, pytest.raises(ConnectFailed):
        client.download(unused(), "out")
    assert len(waits) == 2
    assert sum(waits) <= 1.5


def test_a_server_that_goes_away_is_waited_for(folder: Path) -> None:
    waits: list[float] = []
    with Peer(saying(response(b"hello", length=9, ETag='"1"'))) as server:

        def sleep(seconds: float) -> None:
            server.__exit__()  # it answered once, and nobody listens from now on
            waits.append(seconds)

        with Client(allow_private=True, sleep=sleep) as client, pytest.raises(ConnectFailed):
            client.download(server.url, "out")
    assert len(waits) == 6
    assert 15.75 <= sum(waits) <= 31.5


def test_a_server_that_is_busy_from_the_start_is_waited_for(peer: StartPeer, folder: Path) -> None:
    waits: list[float] = []
    server = peer(saying(*[response(b"", status="502 Bad Gateway")] * 6, response(b"hello")))
    with Client(allow_private=True, sleep=waits.append) as client:
        assert client.download(server.url, "out").size == 5
    assert len(waits) == 6


def test_a_redirect_to_where_nobody_listens_is_no_answer(peer: StartPeer, folder: Path) -> None:
    waits: list[float] = []
    server = peer(saying(response(status="302 Found", Location=unused())))
    with Client(allow_private=True, sleep=waits.append) as client, pytest.raises(ConnectFailed):
        client.download(server.url, "out")
    assert len(waits) == 2
