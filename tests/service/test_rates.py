"""Rates and bandwidths as people write them."""

from __future__ import annotations

import pytest

from wharfinger import Collection, Policy
from wharfinger.errors import ConfigError, UsageError
from wharfinger.service.rates import Rate, Unit, parse_bandwidth

GOOD: dict[str, tuple[str, Unit, Rate | None, str]] = {
    "a minute": ("600/minute", "requests", Rate(600, 60), "600 requests per minute"),
    "one": ("1/s", "requests", Rate(1, 1), "1 request per second"),
    "with blanks": (" 5 / hour ", "requests", Rate(5, 3600), "5 requests per hour"),
    "a duration": ("100/15 min", "requests", Rate(100, 900), "100 requests per 900 s"),
    "a day": ("7/day", "requests", Rate(7, 86_400), "7 requests per day"),
    "bytes": ("10 GiB/hour", "bytes", Rate(10_737_418_240, 3600, "bytes"), "10.0 GiB per hour"),
    "bare bytes": ("500/m", "bytes", Rate(500, 60, "bytes"), "500 bytes per minute"),
}
BAD: dict[str, tuple[object, Unit]] = {
    "no period": ("600", "requests"),
    "an empty period": ("600/", "requests"),
    "nothing": ("", "requests"),
    "no amount": ("/minute", "requests"),
    "zero": ("0/minute", "requests"),
    "negative": ("-1/minute", "requests"),
    "a unit of bytes for requests": ("5 MiB/minute", "requests"),
    "a fraction of a request": ("1.5/minute", "requests"),
    "other digits": ("６/minute", "requests"),
    "no time": ("5/0 s", "requests"),
    "an unknown period": ("5/fortnight", "requests"),
    "too long": ("5/32 d", "requests"),
    "too many": ("1000000000/minute", "requests"),
    "too many bytes": ("1000 TiB/minute", "bytes"),
    "a number": (600, "requests"),
    "true": (True, "requests"),
    "a list": (["600/minute"], "requests"),
}


@pytest.mark.parametrize("row", GOOD.values(), ids=list(GOOD))
def test_a_rate_is_read_and_shown(row: tuple[str, Unit, Rate, str]) -> None:
    text, unit, expected, shown = row
    found = Rate.parse(text, unit, "[limits] x")
    assert found == expected
    assert str(found) == shown


@pytest.mark.parametrize("row", BAD.values(), ids=list(BAD))
def test_what_is_no_rate_is_named_with_its_setting(row: tuple[object, Unit]) -> None:
    with pytest.raises(ConfigError, match=r"^\[limits\] x"):
        Rate.parse(row[0], row[1], "[limits] x")


def test_off_is_no_rate() -> None:
    assert Rate.parse("off", "requests", "x") is None


BANDWIDTHS: dict[str, tuple[object, int]] = {
    "per second": ("10 MiB/s", 10_485_760),
    "spelled": ("1 MB/second", 1_000_000),
    "a number": (4096, 4096),
}


@pytest.mark.parametrize("row", BANDWIDTHS.values(), ids=list(BANDWIDTHS))
def test_a_bandwidth_is_read(row: tuple[object, int]) -> None:
    assert parse_bandwidth(row[0]) == row[1]


@pytest.mark.parametrize(
    "value", ["", "fast", "2 KiB", "10 MiB/hour", "1023", 0, -5, 1.5, None, "5/", True]
)
def test_what_is_no_bandwidth_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        parse_bandwidth(value)


def test_a_collection_takes_a_bandwidth() -> None:
    assert Collection.from_mapping("a", {"bandwidth": "10 MiB/s"}).bandwidth == 10_485_760
    assert Collection.from_mapping("a", {}).bandwidth is None
    with pytest.raises(ConfigError, match=r"collections\.a"):
        Collection.from_mapping("a", {"bandwidth": "10 MiB/hour"})
    with pytest.raises(UsageError, match="bandwidth"):
        Collection(name="a", policy=Policy.anything(), bandwidth=1)
