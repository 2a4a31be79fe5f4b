"""Several scanners are asked as one."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import BinaryIO

import pytest

from wharfinger.errors import Unavailable
from wharfinger.scanners import Clean, Infected, Unscannable, Verdict
from wharfinger.scanners.several import Several
from wharfinger.testing import DownScanner


@dataclass
class Says:
    """A scanner that reads the file and says one thing."""

    verdict: Verdict

    def scan(self, file: BinaryIO, size: int) -> Verdict:
        assert len(file.read()) == size
        return self.verdict


@pytest.mark.parametrize(
    ("verdicts", "together"),
    [
        ([Clean(), Clean()], Clean()),
        ([Clean(), Infected("b")], Infected("b")),
        ([Unscannable("a"), Infected("b")], Infected("b")),
        ([Unscannable("a"), Clean()], Unscannable("a")),
        ([Clean(), Unscannable("b")], Unscannable("b")),
        ([Unscannable("a"), Unscannable("b")], Unscannable("a")),
    ],
    ids=str,
)
def test_each_has_to_say_that_a_file_is_clean(verdicts: list[Verdict], together: Verdict) -> None:
    several = Several([Says(verdict) for verdict in verdicts])
    assert several.scan(io.BytesIO(b"content"), 7) == together


def test_one_that_is_away_makes_nothing_clean() -> None:
    with pytest.raises(Unavailable):
        Several([Says(Clean()), DownScanner()]).scan(io.BytesIO(b"content"), 7)


def test_what_another_finds_does_not_wait_for_one_that_is_away() -> None:
    several = Several([Says(Infected("a")), DownScanner()])
    assert several.scan(io.BytesIO(b"content"), 7) == Infected("a")
