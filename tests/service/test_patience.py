"""How long is waited for a sender: by its pace and in all, and never for what takes us long."""

from __future__ import annotations

import pytest

from wharfinger.errors import ConfigError, TooSlow
from wharfinger.service import WharfSettings
from wharfinger.service.patience import Patience, Wait


def send(wait: Wait, pieces: list[tuple[float, int]]) -> None:
    """Tell of bytes that came at these moments."""
    for at, size in pieces:
        wait.came(size, at)
        wait.goes_on(at)


def test_a_sender_that_keeps_the_pace_is_waited_for() -> None:
    send(Wait(Patience(), 100.0), [(100.0 + second, 500) for second in range(1, 3600)])


def test_a_sender_below_it_is_cut_after_half_a_minute() -> None:
    wait = Wait(Patience(), 0.0)
    send(wait, [(float(second), 400) for second in range(1, 30)])
    with pytest.raises(
        TooSlow, match="12000 bytes in the last 30 s; at least 500 per second"
    ) as it:
        wait.came(400, 30.0)
    assert (it.value.http_status, it.value.retryable) == (408, True)


def test_a_lull_is_made_good_by_what_comes_after_it() -> None:
    send(Wait(Patience(), 0.0), [(25.0, 1), (29.0, 1), (30.0, 20_000), (59.0, 1), (61.0, 20_000)])


def test_each_half_minute_counts_for_itself() -> None:
    wait = Wait(Patience(), 0.0)
    send(wait, [(30.0, 10_000_000)])
    with pytest.raises(TooSlow):
        send(wait, [(45.0, 100), (60.0, 100)])


def test_what_takes_the_service_long_is_not_the_senders_fault() -> None:
    wait = Wait(Patience(), 0.0)
    for number in range(100):
        at = number * 61.0
        wait.came(500, at + 1)
        wait.goes_on(at + 61)  # a minute on a slow disk


def test_no_request_takes_longer_than_a_day() -> None:
    wait = Wait(Patience(), 0.0)
    send(wait, [(86_399.0, 10**9)])
    with pytest.raises(TooSlow, match="longer than the 86400 s"):
        wait.came(10**9, 86_401.0)


def test_any_pace_will_do_where_it_is_told_so() -> None:
    send(Wait(Patience(min_rate=0), 0.0), [(80_000.0, 1)])


def test_a_table_sets_it() -> None:
    table = {"receiving": {"min_rate": "2 KiB/s", "max_duration": "2 h"}}
    assert WharfSettings.from_tables(table).patience.describe() == {
        "min_rate": 2048,
        "max_duration": 7200,
    }
    assert WharfSettings.from_tables({"receiving": {"min_rate": 0}}).patience.min_rate == 0


@pytest.mark.parametrize(
    "table",
    [{"min_rate": "fast"}, {"min_rate": "1 KiB/minute"}, {"max_duration": 0}, {"min_rat": 1},
     {"max_duration": "long"}, {"min_rate": True}],
)  # fmt: skip
def test_a_wrong_table_is_an_error(table: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        WharfSettings.from_tables({"receiving": table})
