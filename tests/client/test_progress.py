"""`Progress`: how far, how fast, how long still."""

from __future__ import annotations

from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.peer import response, saying
from wharfinger import Progress
from wharfinger.client import progress
from wharfinger.client.progress import Meter

ETAS = {
    "half a minute": (Progress(stage="receiving", done=700, total=1000, rate=10.0), 30.0),
    "nothing left": (Progress(stage="done", done=1000, total=1000, rate=10.0), 0.0),
    "more than was said": (Progress(stage="receiving", done=1001, total=1000, rate=10.0), 0.0),
    "no total": (Progress(stage="receiving", done=700, total=None, rate=10.0), None),
    "no rate yet": (Progress(stage="receiving", done=0, total=1000, rate=0.0), None),
}


@pytest.mark.parametrize(("event", "seconds"), ETAS.values(), ids=ETAS.keys())
def test_the_time_that_is_left(event: Progress, seconds: float | None) -> None:
    assert event.eta == seconds


def test_the_rate_is_of_what_moved_in_this_stage() -> None:
    now = [100.0]
    events: list[Progress] = []
    meter = Meter(events.append, lambda: now[0])
    meter.enter("receiving", done=5000, total=9000)
    now[0] += 2
    meter.add(1000)
    now[0] += 0.05
    meter.add(1)  # too soon after the last one to be told
    now[0] += 1.95
    meter.reach(9000)
    assert [(event.done, event.rate) for event in events] == [(5000, 0), (6000, 500), (9000, 1000)]
    assert events[1].eta == 6.0


def test_without_a_callback_nothing_is_told() -> None:
    meter = Meter(None, lambda: 0.0)
    meter.enter("receiving")
    meter.add(5)
    assert meter.done == 5


def test_bytes_in_memory_are_told_of_as_they_go(
    peer: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    told: list[Progress] = []
    url = peer(saying(response(b"{}"))).url
    content = bytes(3_000_000)
    wharfinger.upload(content, url, protocol="raw", allow_private=True, progress=told.append)
    halfway = {event.done for event in told if event.stage == "sending"}
    assert len(halfway) > 2


def test_what_a_callback_raises_is_not_taken_for_the_servers_doing(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress, "_EVERY", 0.0)
    (folder / "big").write_bytes(bytes(8_000_000))

    def bar(event: Progress) -> None:
        if event.stage == "sending" and event.done:
            raise BrokenPipeError("the terminal went away")

    url = peer(saying(response(b"{}"))).url
    with pytest.raises(BrokenPipeError, match="terminal"):
        wharfinger.upload("big", url, protocol="raw", allow_private=True, progress=bar)
