"""`wharf events` lists what the webhook did not take, and tries anew what was given up."""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.called import Caller
from support.command import Ran
from support.peer import Peer, response, saying
from wharfinger import Wharf

OK = response(b"thanks")
FAILS = response(b"no", status="500 Internal Server Error")


@pytest.fixture
def peer() -> Iterator[Peer]:
    with Peer(saying(OK)) as peer:
        yield peer


class Installation:
    """A service with a webhook, and three events of one file that nobody was told of."""

    def __init__(self, folder: Path, url: str, caller: Caller) -> None:
        self._folder = folder
        self._call = caller
        (folder / "wharfinger.toml").write_text(
            f'[events]\nwebhook = "{url}"\nallow_private = true\n'
        )
        with Wharf.open(folder / "data", config=folder / "wharfinger.toml") as wharf:
            stored = wharf.receive([b"text"], collection="files", name="a.txt")
            wharf.remove(stored.id)
            self.file_id = stored.id
            self.ids = [event.id for event in wharf.events.since(0)]

    def park(self, *numbers: int) -> None:
        with closing(sqlite3.connect(self._folder / "data" / "catalog.sqlite3")) as database:
            for number in numbers:
                database.execute("UPDATE events SET tries = 11 WHERE seq = ?", (number,))
            database.commit()

    def __call__(self, *words: str) -> Ran:
        data, config = str(self._folder / "data"), str(self._folder / "wharfinger.toml")
        return self._call("events", *words, "--data", data, "--config", config)


@pytest.fixture
def wharf(tmp_path: Path, peer: Peer, capsys: pytest.CaptureFixture[str]) -> Installation:
    return Installation(tmp_path, peer.url, Caller(capsys))


def test_events_that_wait_and_those_given_up_are_listed(wharf: Installation) -> None:
    wharf.park(2)
    said = wharf("ls")
    assert (said.code, said.err) == (0, "")
    lines = [re.split(" {2,}", line) for line in said.text.splitlines()]
    assert [line[0] for line in lines] == wharf.ids
    assert [line[2] for line in lines] == ["file.received", "file.ready", "file.removed"]
    assert {line[3] for line in lines} == {wharf.file_id}
    assert [line[-2] == "given up" for line in lines] == [False, True, False]
    assert [lines[0][4], lines[1][4]] == ["0 tries", "11 tries"]
    assert [line.split("  ")[0] for line in wharf("ls", "--parked").text.splitlines()] == [
        wharf.ids[1]
    ]


def test_as_json_each_is_an_object(wharf: Installation) -> None:
    wharf.park(1)
    first, second, _ = wharf("ls", "--json").records
    assert (first["id"], first["seq"], first["type"]) == (wharf.ids[0], 1, "file.received")
    assert (first["tries"], first["next_try_at"]) == (11, None)
    assert first["file"]["id"] == wharf.file_id
    assert second["tries"] == 0
    assert second["next_try_at"] == second["at"]


def test_what_was_given_up_is_posted_anew(wharf: Installation, peer: Peer) -> None:
    wharf.park(1, 2, 3)
    assert wharf("ls", "--parked", "--json").records != []
    said = wharf("retry", "--json")
    assert (said.code, said.records) == (0, [{"tried_anew": 3, "delivered": 3, "failed": 0}])
    assert [json.loads(exchange.body)["id"] for exchange in peer.exchanges] == wharf.ids
    assert wharf("ls").text == ""
    assert wharf("retry").text == ("0 to be tried anew; 0 delivered now, 0 tries failed\n")


def test_only_those_that_are_named_are_tried(wharf: Installation, peer: Peer) -> None:
    wharf.park(1, 2, 3)
    assert wharf("retry", wharf.ids[1]).code == 0
    assert [json.loads(exchange.body)["id"] for exchange in peer.exchanges] == [wharf.ids[1]]
    assert [line["seq"] for line in wharf("ls", "--json").records] == [1, 3]


def test_a_webhook_that_still_fails_is_1_and_the_event_waits_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Peer(saying(FAILS)) as peer:
        wharf = Installation(tmp_path, peer.url, Caller(capsys))
        wharf.park(1, 2, 3)
        said = wharf("retry", "--json")
    assert (said.code, said.records) == (1, [{"tried_anew": 3, "delivered": 0, "failed": 1}])
    assert [line["tries"] for line in wharf("ls", "--json").records] == [1, 0, 0]
    assert wharf("ls", "--parked").text == ""


def test_without_a_webhook_there_is_nobody_to_tell(wharf: Installation, tmp_path: Path) -> None:
    (tmp_path / "wharfinger.toml").write_text("")
    said = wharf("retry")
    assert (said.code, said.out) == (2, b"")
    assert "No webhook is set." in said.err


def test_a_folder_without_a_service_is_10(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    caller = Caller(capsys)
    for word in ("ls", "retry"):
        assert caller("events", word, "--data", str(tmp_path / "none")).code == 10
    assert list(tmp_path.iterdir()) == []
