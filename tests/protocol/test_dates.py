from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger.protocol.dates import format_http_date, parse_http_date

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EXAMPLE = datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("Sun, 06 Nov 1994 08:49:37 GMT", id="IMF-fixdate"),
        pytest.param("Sunday, 06-Nov-94 08:49:37 GMT", id="RFC 850"),
        pytest.param("Sun Nov  6 08:49:37 1994", id="asctime"),
        pytest.param("Sun Nov 06 08:49:37 1994", id="asctime with two digits"),
        pytest.param("Mon, 06 Nov 1994 08:49:37 GMT", id="wrong name of the day"),
    ],
)
def test_the_example_of_the_rfc_is_understood_in_all_three_formats(text: str) -> None:
    assert parse_http_date(text, now=NOW) == EXAMPLE


@pytest.mark.parametrize(
    "text",
    [
        "",
        "0",
        "yesterday",
        "Sun, 06 Nov 1994 08:49:37",
        "Sun, 06 Nov 1994 08:49:37 UTC",
        "Sun, 06 Nov 1994 08:49:37 +0000",
        "Sun, 6 Nov 1994 08:49:37 GMT",
        "sun, 06 nov 1994 08:49:37 gmt",
        " Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT\n",
        "Sun, 06 Nov 94 08:49:37 GMT",
        "Sun, 31 Feb 1994 08:49:37 GMT",
        "Sun, 06 Nov 0000 08:49:37 GMT",
        "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, 06 Nov 1994 08:60:37 GMT",
        "Sun, 06 Nov 1994 08:49:61 GMT",
        "Sun, ٠٦ Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:37 GMT, Sun, 06 Nov 1994 08:49:37 GMT",
    ],
)
def test_what_is_no_http_date_is_none(text: str) -> None:
    assert parse_http_date(text, now=NOW) is None


def test_a_leap_second_counts_as_the_second_before_it() -> None:
    expected = datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)
    assert parse_http_date("Sat, 31 Dec 2016 23:59:60 GMT") == expected


@pytest.mark.parametrize(
    ("text", "year"),
    [
        pytest.param("Sunday, 21-Nov-26 12:00:00 GMT", 2026, id="this year"),
        pytest.param("Sunday, 21-Nov-75 12:00:00 GMT", 2075, id="49 years ahead"),
        pytest.param("Sunday, 21-Nov-76 12:00:00 GMT", 2076, id="exactly 50 years ahead"),
        pytest.param("Sunday, 21-Nov-76 12:00:01 GMT", 1976, id="a second more than 50 years"),
        pytest.param("Sunday, 21-Nov-77 12:00:00 GMT", 1977, id="51 years ahead"),
        pytest.param("Sunday, 21-Nov-99 12:00:00 GMT", 1999, id="1999"),
        pytest.param("Sunday, 29-Feb-96 12:00:00 GMT", 1996, id="a leap day of the past"),
    ],
)
def test_a_two_digit_year_more_than_50_years_ahead_lies_in_the_past(text: str, year: int) -> None:
    parsed = parse_http_date(text, now=NOW)
    assert parsed is not None
    assert parsed.year == year


def test_a_leap_day_that_the_past_century_does_not_have_is_no_date() -> None:
    assert (
        parse_http_date("Monday, 29-Feb-00 12:00:00 GMT", now=datetime(1910, 1, 1, tzinfo=UTC))
        is None
    )


def test_without_now_a_two_digit_year_is_not_understood() -> None:
    assert parse_http_date("Sunday, 06-Nov-94 08:49:37 GMT") is None


def test_imf_fixdate_is_sent_in_utc_without_fractions() -> None:
    moment = datetime(1994, 11, 6, 9, 49, 37, 999999, tzinfo=timezone(timedelta(hours=1)))
    assert format_http_date(moment) == "Sun, 06 Nov 1994 08:49:37 GMT"


@given(st.datetimes(min_value=datetime(1000, 1, 1), timezones=st.just(UTC)))  # noqa: DTZ001
def test_every_moment_survives_the_round_trip_to_the_second(moment: datetime) -> None:
    assert parse_http_date(format_http_date(moment)) == moment.replace(microsecond=0)
