"""A pace: how long to wait before the next bytes, for everybody who shares it."""

from __future__ import annotations

import pytest

from wharfinger.service.pacing import Pace


class Time:
    def __init__(self) -> None:
        self.now = 50.0

    def __call__(self) -> float:
        return self.now


def test_after_what_was_saved_up_each_piece_waits_for_its_turn() -> None:
    time = Time()
    pace = Pace(1000, clock=time)
    waits = [pace.wait_for(250) for _ in range(5)]
    assert waits == pytest.approx([0, 0, 0.25, 0.5, 0.75])


def test_a_second_later_a_second_s_worth_has_gone_out() -> None:
    time = Time()
    pace = Pace(1000, clock=time)
    sent = 0
    for _ in range(1000):
        wait = pace.wait_for(100)
        time.now += wait
        sent += 100
    assert sent / (time.now - 50) == pytest.approx(1000, rel=0.01)


def test_a_long_silence_saves_up_no_more_than_a_moment() -> None:
    time = Time()
    pace = Pace(1000, clock=time)
    pace.wait_for(10_000)
    time.now += 86_400
    assert pace.wait_for(250) == 0
    assert pace.wait_for(250) == 0
    assert pace.wait_for(250) == pytest.approx(0.25)


@pytest.mark.parametrize(
    ("rate", "piece"), [(1024, 16_384), (1_048_576, 32_768), (104_857_600, 3_276_800)]
)
def test_pieces_are_small_beside_the_rate(rate: int, piece: int) -> None:
    assert Pace(rate).piece == piece
