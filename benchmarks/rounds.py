"""Fairness in one place: competitors take turns, in a new order each round; the median counts."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """How much is measured: bytes of the large file, rounds, seconds of the small-file load."""

    size: int
    rounds: int
    load_seconds: float


def medians(
    competitors: Mapping[str, Callable[[], float]],
    rounds: int,
    *,
    after_each: Callable[[], None] = lambda: None,
) -> dict[str, float]:
    """Return the median of each competitor's figures over some rounds.

    Each round begins with another competitor, so that none always has the warm cache or
    the writeback of the one before. `after_each` cleans up and is not measured.
    """
    names = list(competitors)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            figures[name].append(competitors[name]())
            after_each()
    return {name: statistics.median(values) for name, values in figures.items()}
