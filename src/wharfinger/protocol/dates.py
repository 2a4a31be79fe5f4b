"""HTTP dates: three formats are understood, one is sent (RFC 9110 section 5.6.7)."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

__all__ = ["format_http_date", "parse_http_date"]

_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    "Jan",
    "Feb",
    "Mar",
    "Apr",
    "May",
    "Jun",
    "Jul",
    "Aug",
    "Sep",
    "Oct",
    "Nov",
    "Dec",
)

_DAY: Final = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)"
_LONG_DAY: Final = "(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day"
_MONTH: Final = f"(?P<month>{'|'.join(_MONTHS)})"
_CLOCK: Final = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})"
_FORMATS: Final = (
    # Sun, 06 Nov 1994 08:49:37 GMT
    re.compile(f"{_DAY}, (?P<day>[0-9]{{2}}) {_MONTH} (?P<year>[0-9]{{4}}) {_CLOCK} GMT"),
    # Sunday, 06-Nov-94 08:49:37 GMT
    re.compile(f"{_LONG_DAY}, (?P<day>[0-9]{{2}})-{_MONTH}-(?P<year>[0-9]{{2}}) {_CLOCK} GMT"),
    # Sun Nov  6 08:49:37 1994
    re.compile(f"{_DAY} {_MONTH} (?P<day>[0-9]{{2}}| [0-9]) {_CLOCK} (?P<year>[0-9]{{4}})"),
)
_LEAP_SECOND: Final = 60


def parse_http_date(text: str, *, now: datetime | None = None) -> datetime | None:
    """Return the moment that an HTTP date names, in UTC, or None when it is no HTTP date.

    The name of the day is not compared with the date. A leap second counts as the
    second before it.

    Args:
        text: a field value.
        now: the present moment. The two-digit year of the obsolete RFC 850 format is read
            by it: one that seems more than 50 years ahead lies in the past. Without it
            dates in that format are not understood.
    """
    for pattern in _FORMATS:
        match = pattern.fullmatch(text)
        if match is not None:
            break
    else:
        return None
    year = int(match["year"])
    if len(match["year"]) == 2:  # noqa: PLR2004 - the RFC 850 format
        if now is None:
            return None
        year += now.year - now.year % 100
    try:
        moment = datetime(
            year,
            _MONTHS.index(match["month"]) + 1,
            int(match["day"]),
            int(match["hour"]),
            int(match["minute"]),
            min(int(match["second"]), 59) if int(match["second"]) <= _LEAP_SECOND else 99,
            tzinfo=UTC,
        )
        if len(match["year"]) == 2 and now is not None and _more_than_50_years(now, moment):  # noqa: PLR2004
            moment = moment.replace(year=year - 100)
    except ValueError:  # no such day or hour
        return None
    return moment


def _more_than_50_years(now: datetime, moment: datetime) -> bool:
    ahead = moment.year - now.year
    return ahead > 50 or (ahead == 50 and moment.timetuple()[1:6] > now.timetuple()[1:6])  # noqa: PLR2004


def format_http_date(moment: datetime) -> str:
    """Return an aware moment as IMF-fixdate, the one format that is sent.

    Fractions of a second are cut off.
    """
    utc = moment.astimezone(UTC)
    return (
        f"{_DAYS[utc.weekday()]}, {utc.day:02} {_MONTHS[utc.month - 1]} {utc.year:04}"
        f" {utc.hour:02}:{utc.minute:02}:{utc.second:02} GMT"
    )
