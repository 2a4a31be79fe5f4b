"""Counting: exact among threads, in windows, in bounded memory; in Redis for all, and when it is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.redis import Redis, redis_server
from wharfinger import Wharf
from wharfinger.errors import ConfigError, TooManyRequests, Unavailable
from wharfinger.service.counters import Key, MemoryCounters, RedisCounters
from wharfinger.service.limits import Limiter, LimitSettings
from wharfinger.service.rates import Rate

KEY = Key("requests_per_token", "me")
OTHER = Key("requests_per_token", "you")


class Time:
    """Seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


# --- in memory ----------------------------------------------------------------------------


def test_a_window_begins_with_the_first_and_ends_after_its_time(time: Time) -> None:
    counters = MemoryCounters(time)
    assert (counters.value(KEY), counters.left(KEY)) == (0, 0)
    assert counters.add(KEY, 1, 60) == 1
    time.now += 59
    assert counters.add(KEY, 5, 60) == 6
    assert (counters.value(KEY), counters.left(KEY)) == (6, 1)
    assert counters.value(OTHER) == 0
    time.now += 1
    assert (counters.value(KEY), counters.left(KEY)) == (0, 0)
    assert counters.add(KEY, 2, 60) == 2


def test_a_clock_that_is_set_back_makes_no_window_longer(time: Time) -> None:
    counters = MemoryCounters(time)
    counters.add(KEY, 9, 60)
    time.now -= 86_400
    assert counters.value(KEY) == 0
    assert counters.add(KEY, 1, 60) == 1


def test_what_is_kept_is_bounded_and_the_oldest_goes_first(time: Time) -> None:
    counters = MemoryCounters(time, most=100)
    for number in range(1000):
        counters.add(Key("x", str(number)), 1, 60)
        assert len(counters) <= 100
    assert counters.value(Key("x", "999")) == 1
    assert counters.value(Key("x", "0")) == 0


def test_what_has_ended_makes_room_before_anything_that_has_not(time: Time) -> None:
    counters = MemoryCounters(time, most=100)
    counters.add(KEY, 7, 3600)
    for number in range(99):
        counters.add(Key("x", str(number)), 1, 60)
    time.now += 60
    counters.add(OTHER, 1, 60)
    assert len(counters) == 2
    assert counters.value(KEY) == 7


def passed(limiters: list[Limiter], rate: Rate, threads: int, each: int) -> int:
    """Return how many of many takes at once pass; each thread uses one of the limiters."""
    barrier = threading.Barrier(threads)
    lucky: list[int] = []

    def work(limiter: Limiter) -> None:
        barrier.wait()
        for _ in range(each):
            try:
                limiter.take("requests_per_token", rate, "me")
            except TooManyRequests:
                continue
            lucky.append(1)

    running = [
        threading.Thread(target=work, args=(limiters[number % len(limiters)],))
        for number in range(threads)
    ]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    return len(lucky)


def test_of_fifty_threads_exactly_as_many_pass_as_the_rate_says(time: Time) -> None:
    limiter = Limiter(LimitSettings(), time)
    assert passed([limiter], Rate(77, 60), threads=50, each=4) == 77
    time.now += 60
    assert passed([limiter], Rate(77, 60), threads=50, each=4) == 77


def test_a_refusal_says_when_to_come_again_rounded_up(time: Time) -> None:
    limiter = Limiter(LimitSettings(), time)
    rate = Rate(1, 60)
    limiter.take("requests_per_token", rate, "me")
    time.now += 12.2
    with pytest.raises(TooManyRequests, match="This token has had what it may: 1 request") as found:
        limiter.take("requests_per_token", rate, "me")
    assert found.value.retry_after == 48


# --- in Redis -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Redis]:
    with redis_server(tmp_path_factory.mktemp("redis")) as redis:
        yield redis


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Redis]:
    with redis_server(tmp_path / "redis") as redis:
        yield redis


def in_redis(redis: Redis, time: Time, **more: str) -> Limiter:
    return Limiter(LimitSettings(url=redis.url, **more), time)  # type: ignore[arg-type]


def test_several_processes_count_together_in_redis(shared: Redis, time: Time) -> None:
    limiters = [in_redis(shared, time) for _ in range(5)]
    assert passed(limiters, Rate(77, 600), threads=50, each=4) == 77
    with pytest.raises(TooManyRequests) as found:
        in_redis(shared, time).take("requests_per_token", Rate(77, 600), "me")
    assert 590 <= found.value.retry_after <= 600


def test_a_window_in_redis_ends(shared: Redis, time: Time) -> None:
    counters = RedisCounters(shared.url, None)
    counters.add(Key("x", "brief"), 3, 1)
    assert counters.value(Key("x", "brief")) == 3
    gone = threading.Event()
    for _ in range(60):
        if counters.value(Key("x", "brief")) == 0:
            break
        gone.wait(0.05)  # the clock is that of Redis
    assert counters.add(Key("x", "brief"), 2, 1) == 2


def test_redis_holds_no_address_and_no_name(shared: Redis, time: Time) -> None:
    import redis

    limiter = in_redis(shared, time)
    limiter.take("requests_per_address", Rate(5, 60), "203.0.113.77")
    limiter.take("requests_per_token", Rate(5, 60), "user:me@example.org")
    with redis.Redis.from_url(shared.url) as client:
        names = b" ".join(client.keys("*"))
    assert b"wharfinger:requests_per_address:" in names
    assert b"203.0.113.77" not in names
    assert b"example.org" not in names


def test_while_redis_is_away_each_process_counts_for_itself(
    own: Redis, time: Time, caplog: pytest.LogCaptureFixture
) -> None:
    limiter, rate = in_redis(own, time), Rate(3, 600)
    limiter.take("requests_per_token", rate, "me")
    own.stop()
    with caplog.at_level(logging.WARNING, "wharfinger"):
        assert passed([limiter], rate, threads=5, each=2) == 3
    assert [record.message.partition(":")[0] for record in caplog.records] == [
        "Redis, which counts for the limits, is away"
    ]


def test_where_the_settings_refuse_nothing_passes_without_redis(own: Redis, time: Time) -> None:
    limiter = in_redis(own, time, when_down="refuse")
    limiter.take("requests_per_token", Rate(3, 600), "me")
    own.stop()
    for _ in range(3):
        with pytest.raises(Unavailable, match="Redis"):
            limiter.take("requests_per_token", Rate(3, 600), "me")


def test_redis_that_is_back_counts_again(
    own: Redis, time: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("wharfinger.service.counters._PAUSE", 0.0)
    counters = RedisCounters(own.url, None)
    counters.add(KEY, 1, 600)
    own.stop()
    with pytest.raises(Unavailable):
        counters.add(KEY, 1, 600)
    own.start()
    with caplog.at_level(logging.WARNING, "wharfinger"):
        assert counters.add(KEY, 1, 600) == 1
    assert "is back" in caplog.text
    counters.check()


def test_a_redis_that_is_not_there_is_asked_once_and_then_left_alone_for_a_while(
    own: Redis, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    own.stop()
    counters = RedisCounters(own.url, MemoryCounters(time))
    asked: list[int] = []
    opened = counters._opened

    def counted() -> object:
        asked.append(1)
        return opened()

    monkeypatch.setattr(counters, "_opened", counted)
    for _ in range(100):
        counters.add(KEY, 1, 60)
    assert counters.value(KEY) == 100
    assert len(asked) == 1


# --- settings -----------------------------------------------------------------------------


def test_the_defaults_limit_wrong_credentials_alone() -> None:
    settings = LimitSettings.from_mapping({})
    assert settings == LimitSettings()
    assert settings.wrong_credentials_per_address == Rate(60, 60)
    assert not settings.is_given
    assert not settings.is_shared


def test_every_key_is_read() -> None:
    settings = LimitSettings.from_mapping(
        {
            "url": "redis://127.0.0.1:6379/0",
            "requests_per_token": "1/s",
            "requests_per_address": "2/s",
            "requests_per_link": "3/s",
            "bytes_per_token": "1 KiB/s",
            "bytes_per_address": "2 KiB/s",
            "bytes_per_link": "3 KiB/s",
            "wrong_credentials_per_address": "off",
            "when_down": "refuse",
            "headers": True,
        }
    )
    assert settings == LimitSettings(
        url="redis://127.0.0.1:6379/0",
        requests_per_token=Rate(1, 1),
        requests_per_address=Rate(2, 1),
        requests_per_link=Rate(3, 1),
        bytes_per_token=Rate(1024, 1, "bytes"),
        bytes_per_address=Rate(2048, 1, "bytes"),
        bytes_per_link=Rate(3072, 1, "bytes"),
        wrong_credentials_per_address=None,
        when_down="refuse",
        headers=True,
    )
    assert settings.is_given
    assert settings.is_shared


WRONG: dict[str, tuple[dict[str, object], str]] = {
    "an unknown key": ({"request_per_token": "1/s"}, "Unknown key 'request_per_token'"),
    "a rate that is none": ({"requests_per_token": "many"}, "requests_per_token: 'many'"),
    "another url": ({"url": "memcached://127.0.0.1"}, "url is neither"),
    "no url": ({"url": 5}, "url is neither"),
    "redis nowhere": ({"url": "redis://"}, "url is neither"),
    "when_down": ({"when_down": "allow"}, "when_down is 'local' or 'refuse', not 'allow'"),
    "headers": ({"headers": "yes"}, "headers must be true or false"),
}


@pytest.mark.parametrize("row", WRONG.values(), ids=list(WRONG))
def test_a_wrong_setting_is_an_error_that_names_it(row: tuple[dict[str, object], str]) -> None:
    with pytest.raises(ConfigError) as found:
        LimitSettings.from_mapping(row[0])
    assert row[1] in str(found.value)


def test_an_error_does_not_show_the_password_of_redis() -> None:
    with pytest.raises(ConfigError) as found:
        LimitSettings.from_mapping({"url": "reddis://:hunter22@127.0.0.1"})
    assert "hunter22" not in str(found.value) + found.value.hint


def test_limits_are_described_without_the_password_of_redis() -> None:
    settings = LimitSettings(
        url="redis://me:hunter22@db.example:6379/0?password=hunter22", requests_per_link=Rate(5, 60)
    )
    assert settings.describe() == {
        "url": "redis://db.example:6379/0",
        "requests_per_token": "off",
        "requests_per_address": "off",
        "requests_per_link": "5 requests per minute",
        "bytes_per_token": "off",
        "bytes_per_address": "off",
        "bytes_per_link": "off",
        "wrong_credentials_per_address": "60 requests per minute",
        "when_down": "local",
        "headers": False,
    }
    assert LimitSettings().describe()["url"] == "memory://"


def test_a_service_takes_limits_as_an_argument(tmp_path: Path) -> None:
    with Wharf.open(tmp_path / "data", limits={"requests_per_token": "3/minute"}) as wharf:
        assert wharf.settings.limits.requests_per_token == Rate(3, 60)
    with pytest.raises(ConfigError, match="Unknown key"):
        Wharf.open(tmp_path / "data", limits={"request_per_token": "3/minute"})
