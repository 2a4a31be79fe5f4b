"""Events: one for each thing that happened, written with it, told after it."""

from __future__ import annotations

import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from support.command import environment
from support.content import PNG
from support.services import Clock, make_wharf
from support.waiting import soon
from wharfinger import Event, Wharf
from wharfinger.errors import NotFound, Rejected, TooLarge, UsageError
from wharfinger.service import Reception


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data", clock=clock) as wharf:
        yield wharf


def receive(wharf: Wharf, collection: str = "files", content: bytes = b"text") -> str:
    return wharf.receive([content], collection=collection, name="a.txt", owner="user:7").id


def told(wharf: Wharf) -> list[tuple[str, object]]:
    return [(event.type, event.file["id"]) for event in wharf.events.since(0)]


def test_an_accepted_file_was_received_and_is_ready(wharf: Wharf) -> None:
    file_id = receive(wharf)
    assert told(wharf) == [("file.received", file_id), ("file.ready", file_id)]
    event = wharf.events.since(0)[1]
    assert event.at == wharf.now()
    assert event.file == {
        "id": file_id,
        "name": "a.txt",
        "size": 4,
        "type": "text/plain",
        "sha256": "982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1",
        "state": "ready",
        "collection": "files",
        "owner": "user:7",
        "created_at": "2026-03-01T12:00:00.000Z",
        "expires_at": None,
        "url": f"/files/{file_id}",
    }


def test_the_end_of_a_file_is_an_event(wharf: Wharf, clock: Clock) -> None:
    removed, expired = receive(wharf), receive(wharf, "brief")
    wharf.remove(removed)
    with pytest.raises(NotFound):
        wharf.remove(removed)
    clock.forward(61)
    wharf.sweep()
    wharf.sweep()
    ended = wharf.events.since(4)
    assert [(event.type, event.file["id"], event.file["state"]) for event in ended] == [
        ("file.removed", removed, "removed"),
        ("file.expired", expired, "expired"),
    ]


@pytest.mark.parametrize(
    ("content", "code"),
    [(PNG, "content-mismatch"), (b"x" * 100_001, "too-large")],
    ids=["by its content", "by its length"],
)
def test_refused_content_is_an_event_that_says_why(wharf: Wharf, content: bytes, code: str) -> None:
    with pytest.raises(Rejected):
        receive(wharf, "small", content)
    (event,) = wharf.events.since(0)
    assert (event.type, event.file["state"], event.file["name"]) == (
        "file.refused", "refused", "a.txt",
    )  # fmt: skip
    assert event.problem is not None
    assert event.problem["code"] == code


def test_what_is_refused_by_its_head_is_no_event_because_nothing_came(wharf: Wharf) -> None:
    with pytest.raises(TooLarge):
        wharf.begin("small", name="a.txt", length=1_000_000)
    assert wharf.events.since(0) == []


def test_a_refused_upload_of_several_requests_is_an_event(wharf: Wharf) -> None:
    upload = wharf.uploads.create("files", protocol="tus", owner="user:7", name="a.txt", length=100)
    with wharf.uploads.take(upload.id) as turn:
        turn.write(PNG + bytes(100 - len(PNG)))
        with pytest.raises(Rejected):
            turn.complete()
    (event,) = wharf.events.since(0)
    assert (event.type, event.file["id"]) == ("file.refused", upload.id)


def test_a_limited_link_is_spent_with_its_last_download(wharf: Wharf) -> None:
    file_id = receive(wharf)
    link = wharf.share(file_id, max_downloads=2)
    wharf.links.claims.take(link, size=4, allotted=4)
    assert len(wharf.events.since(0)) == 2
    wharf.links.claims.take(link, size=4, allotted=4)
    (event,) = wharf.events.since(2)
    assert (event.type, event.file["id"]) == ("link.spent", file_id)
    assert event.link == {"id": link.id, "max_downloads": 2, "downloads": 2}


def test_since_goes_on_where_it_ended(wharf: Wharf) -> None:
    for _ in range(3):
        receive(wharf)
    first = wharf.events.since(0, limit=4)
    rest = wharf.events.since(first[-1].seq, limit=4)
    assert [len(first), len(rest)] == [4, 2]
    assert wharf.events.since(rest[-1].seq) == []
    for limit in (0, 1001):
        with pytest.raises(UsageError):
            wharf.events.since(0, limit=limit)


def test_events_are_forgotten_after_a_week(wharf: Wharf, clock: Clock) -> None:
    receive(wharf)
    clock.forward(7 * 86400 - 1)
    wharf.sweep()
    assert len(wharf.events.since(0)) == 2
    clock.forward(2)
    wharf.sweep()
    assert wharf.events.since(0) == []


# --- callbacks ----------------------------------------------------------------------------


def test_a_callback_is_called_after_the_commit_on_a_thread_of_its_own(wharf: Wharf) -> None:
    seen: list[tuple[str, str, str]] = []

    @wharf.events.subscribe
    def note(event: Event) -> None:
        there = wharf.info(str(event.file["id"])).state.value  # by another connection
        seen.append((event.type, there, threading.current_thread().name))

    receive(wharf)
    assert soon(lambda: len(seen) == 2)
    assert seen == [
        ("file.received", "ready", "wharfinger-events"),
        ("file.ready", "ready", "wharfinger-events"),
    ]


def test_events_are_told_in_their_order_and_each_once(wharf: Wharf) -> None:
    seen: list[int] = []
    wharf.events.subscribe(lambda event: seen.append(event.seq))
    threads = [threading.Thread(target=receive, args=(wharf,)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert soon(lambda: len(seen) >= 40)
    assert seen == list(range(1, 41))


def test_a_callback_that_fails_is_in_the_log_and_harms_nobody(
    wharf: Wharf, caplog: pytest.LogCaptureFixture
) -> None:
    seen: list[str] = []

    def fail(event: Event) -> None:
        raise ValueError(f"no {event.type}")

    wharf.events.subscribe(fail)
    wharf.events.subscribe(lambda event: seen.append(event.type))
    with caplog.at_level(logging.ERROR, "wharfinger"):
        receive(wharf)
        assert soon(lambda: len(seen) == 2)
    assert "a subscriber failed on the event file.ready" in caplog.text
    wharf.events.unsubscribe(fail)


def test_what_was_taken_back_is_told_to_nobody(wharf: Wharf) -> None:
    seen: list[Event] = []
    wharf.events.subscribe(seen.append)
    link = wharf.request("files", max_files=1)
    with pytest.raises(NotFound):
        wharf.finish_all([
            _written(wharf, link_id) for link_id in (link.id, link.id)
        ])  # fmt: skip
    wharf.close()
    assert seen == []


def _written(wharf: Wharf, link_id: str) -> Reception:
    reception = wharf.begin("files", name="a.txt", link=wharf.upload_links.find(link_id))
    reception.write(b"text")
    return reception


def test_closing_waits_for_callbacks(tmp_path: Path) -> None:
    seen: list[str] = []
    go_on = threading.Event()
    with make_wharf(tmp_path / "data") as wharf:

        @wharf.events.subscribe
        def slow(event: Event) -> None:
            go_on.wait(10)
            seen.append(event.type)

        receive(wharf)
        threading.Timer(0.1, go_on.set).start()
    assert seen == ["file.received", "file.ready"]


def test_a_forked_process_calls_its_own_callbacks(tmp_path: Path) -> None:
    program = """
import os, sys
from wharfinger import Wharf
wharf = Wharf.open(sys.argv[1])
wharf.events.subscribe(lambda event: print(os.getpid() == child, event.type, flush=True))
child = os.getpid()
wharf.receive([b"in the parent"], collection="files")
if os.fork() == 0:
    child = os.getpid()
    wharf.receive([b"in the child"], collection="files")
    wharf.close()
    os._exit(0)
os.wait()
wharf.close()
"""
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", program, str(tmp_path)],
        capture_output=True, text=True, timeout=60, check=True, env=environment(),
    )  # fmt: skip
    assert sorted(done.stdout.split()) == sorted(
        ["True", "file.received", "True", "file.ready"] * 2
    )


@pytest.mark.parametrize("wrong", [None, "print"])
def test_only_functions_can_subscribe(wharf: Wharf, wrong: Callable[[Event], None]) -> None:
    with pytest.raises(UsageError):
        wharf.events.subscribe(wrong)


# --- the outbox ---------------------------------------------------------------------------

BUSY = """
import sys
from wharfinger import Wharf
wharf = Wharf.open(sys.argv[1])
print("ready", flush=True)
while True:
    stored = wharf.receive([b"text"], collection="files")
    print("received", stored.id, flush=True)
    wharf.remove(stored.id)
    print("removed", stored.id, flush=True)
"""


@pytest.mark.parametrize("lines", [2, 3, 17, 60])
def test_a_crash_leaves_no_event_without_its_cause_and_no_cause_without_its_event(
    tmp_path: Path, lines: int
) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", BUSY, str(tmp_path)],
        stdout=subprocess.PIPE, text=True, env=environment(),
    ) as process:  # fmt: skip
        assert process.stdout is not None
        acknowledged = [process.stdout.readline().split() for _ in range(lines)][1:]
        os.kill(process.pid, signal.SIGKILL)
        acknowledged += [line.split() for line in process.stdout.read().splitlines(keepends=True)
                         if line.endswith("\n")]  # fmt: skip
    with closing(sqlite3.connect(tmp_path / "catalog.sqlite3")) as database:
        files = dict(database.execute("SELECT id, state FROM files").fetchall())
    with make_wharf(tmp_path) as wharf:
        events = [event for page in (0, 1000) for event in wharf.events.since(page, limit=1000)]
    happened = {(event.type, event.file["id"]) for event in events}
    assert len(happened) == len(events)
    expected = {(kind, file) for file in files for kind in ("file.received", "file.ready")}
    expected |= {("file.removed", file) for file, state in files.items() if state == "removed"}
    assert happened == expected
    assert {(f"file.{verb}", file) for verb, file in acknowledged} <= happened
