"""Many uploads at once: each is told of, and none ends the others."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import wharfinger
from conftest import StartPeer
from support.content import HTML, PNG
from support.peer import Exchange, response, saying
from support.tus_peer import TusPeer
from wharfinger import Policy, UploadResult, aio
from wharfinger.errors import ActiveContent, SourceMissing, UsageError

CREATED = response(b"{}", status="201 Created")


def send(files: Any, url: str, **options: Any) -> wharfinger.UploadReport:
    return wharfinger.upload_many(files, url, **{"allow_private": True, "retries": 0, **options})


def test_each_file_is_a_request_of_its_own_and_the_report_keeps_their_order(
    peer: StartPeer, folder: Path
) -> None:
    names = [f"{number}.txt" for number in range(9)]
    for name in names:
        (folder / name).write_text(name)
    server = peer(saying(CREATED))
    told: list[UploadResult] = []
    report = send([*names, b"bytes"], server.url, protocol="raw", on_result=told.append)
    assert [result.file for result in report.results] == [*names, b"bytes"]
    assert all(result.reply is not None for result in report.results)
    assert report.failed == ()
    assert len(told) == 10
    assert {exchange.body for exchange in server.exchanges} == {
        b"bytes",
        *(name.encode() for name in names),
    }


def test_what_goes_wrong_with_one_file_is_in_the_report(peer: StartPeer, folder: Path) -> None:
    (folder / "good.png").write_bytes(PNG)
    (folder / "bad.png").write_bytes(HTML)
    server = peer(saying(CREATED))
    report = send(
        ["bad.png", "good.png", "absent.png"], server.url, policy=Policy.images(), concurrency=1
    )
    kinds = [type(result.error) for result in report.results]
    assert kinds == [ActiveContent, type(None), SourceMissing]
    assert [result.file for result in report.failed] == ["bad.png", "absent.png"]
    assert len(server.exchanges) == 1


def test_as_many_are_sent_at_a_time_as_was_said(peer: StartPeer) -> None:
    lock, now, most = threading.Lock(), 0, 0

    def handler(exchange: Exchange) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.1)
        with lock:
            now -= 1
        exchange.send(CREATED)

    server = peer(handler)
    send([b"x"] * 9, server.url, concurrency=3)
    assert most == 3


def test_tus_uploads_many_as_well(folder: Path) -> None:
    with TusPeer() as server:
        report = send([b"first", b"second"], server.url, protocol="tus", resume=False)
        assert report.failed == ()
        assert {bytes(one.data) for one in server.uploads.values()} == {b"first", b"second"}


@pytest.mark.parametrize(
    "options",
    [{"concurrency": 0}, {"concurrency": 65}, {"concurrency": True}, {"protocol": "ftp"},
     {"method": "PUT"}, {"files": "a.txt"}, {"files": b"abc"}, {"retries": -1},
     {"fields": [("a", "b")]}, {"on_result": 3}],
    ids=str,
)  # fmt: skip
def test_a_wrong_call_is_raised_and_not_reported(options: dict[str, Any], peer: StartPeer) -> None:
    server = peer(saying(CREATED))
    with pytest.raises(UsageError):
        send(options.pop("files", [b"x"]), server.url, **options)
    assert server.connections == 0


def test_a_callback_that_fails_stops_what_runs(peer: StartPeer) -> None:
    def handler(exchange: Exchange) -> None:
        if exchange.number:
            time.sleep(10)
        exchange.send(CREATED)

    def fail(_result: UploadResult) -> None:
        raise ZeroDivisionError

    server = peer(handler)
    started = time.monotonic()
    with pytest.raises(ZeroDivisionError):
        send([b"x"] * 20, server.url, concurrency=2, on_result=fail)
    assert time.monotonic() - started < 5
    assert len(server.exchanges) < 5


def test_the_twin_uploads_many_as_well(peer: StartPeer) -> None:
    server = peer(saying(CREATED))
    report = asyncio.run(aio.upload_many([b"a", b"b"], server.url, allow_private=True))
    assert len(report.results) == 2
    assert report.failed == ()
