from __future__ import annotations

import pytest

from wharfinger.errors import UsageError
from wharfinger.units import parse_duration, parse_size, show_exactly, show_size


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (0, 0),
        (812, 812),
        ("812", 812),
        ("812 B", 812),
        ("5 MiB", 5_242_880),
        ("5MiB", 5_242_880),
        (" 5 mib ", 5_242_880),
        ("5m", 5_242_880),
        ("1.5 KiB", 1536),
        ("2 GB", 2_000_000_000),
        ("300 kB", 300_000),
        ("1 TiB", 1_099_511_627_776),
        ("1 T", 1_099_511_627_776),
    ],
)
def test_a_size_is_understood(value: int | str, expected: int) -> None:
    assert parse_size(value) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [(90, 90), ("90", 90), ("90 s", 90), ("15 min", 900), ("15m", 900), ("1.5 h", 5400),
     ("30 d", 2_592_000), ("2 w", 1_209_600)],
)  # fmt: skip
def test_a_duration_is_understood(value: int | str, expected: int) -> None:
    assert parse_duration(value) == expected


@pytest.mark.parametrize(
    "value",
    ["", "MiB", "5 XiB", "-5", "5 5", "1e9", "5,5 MiB", "5  MiB", "٥ MiB", "9" * 16, "inf", "5 d"],
)
def test_what_is_not_a_size_is_refused_with_an_example(value: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_size(value)
    assert caught.value.hint == "Write it like 5 MiB, 300 kB or a number of bytes."


@pytest.mark.parametrize("value", ["5 MiB", "tomorrow", "-1 s"])
def test_what_is_not_a_duration_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="is not a duration"):
        parse_duration(value)


@pytest.mark.parametrize("value", [-1, True, 1.5, None, b"5"])
def test_a_size_is_a_whole_number_or_text(value: object) -> None:
    with pytest.raises(UsageError):
        parse_size(value)  # type: ignore[arg-type]  # that is what is tested


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (1_048_575, "1.0 MiB"),
        (5_242_880, "5.0 MiB"),
        (1_099_511_627_776, "1.0 TiB"),
        (2_251_799_813_685_248, "2048 TiB"),
    ],
)
def test_a_size_is_shown_for_people(size: int, expected: str) -> None:
    assert show_size(size) == expected


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        (8, "8 bytes"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB (1024 bytes)"),
        (5242881, "5.0 MiB (5242881 bytes)"),
    ],
)
def test_a_size_is_shown_to_the_byte_once(size: int, expected: str) -> None:
    assert show_exactly(size) == expected
