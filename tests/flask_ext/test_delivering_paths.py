"""`deliver_path`: the application's own files, and nothing outside their folder."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue
from werkzeug.utils import send_file

from flask_ext.conftest import Ask
from wharfinger import Wharf
from wharfinger.errors import UsageError
from wharfinger.flask import Wharfinger
from wharfinger.service import WharfSettings

CSV = b"a,b\n1,2\n"
SECRET = b"nobody may read this"


@pytest.fixture
def reports(app: Flask) -> Path:
    """A folder of the application with a file, a subfolder, and everything that leads astray."""
    root = Path(app.root_path)
    folder = root / "reports"
    (folder / "2026").mkdir(parents=True)
    (folder / "2026" / "march.csv").write_bytes(CSV)
    (folder / "summary.csv").write_bytes(CSV)
    (folder / ".env").write_bytes(SECRET)
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_bytes(SECRET)
    (folder / "latest.csv").symlink_to("2026/march.csv")
    (root / "secret.txt").write_bytes(SECRET)
    (root / "reports-private").mkdir()
    (root / "reports-private" / "secret.txt").write_bytes(SECRET)
    (folder / "leaf.txt").symlink_to(root / "secret.txt")
    (folder / "inside.csv").symlink_to(folder / "summary.csv")
    (folder / "parent").symlink_to(root / "reports-private")
    os.mkfifo(folder / "pipe")
    return folder


@pytest.fixture
def report(files: Wharfinger, reports: Path) -> Callable[[str], Callable[[], ResponseReturnValue]]:
    return lambda name: lambda: files.deliver_path("reports", name)


Report = Callable[[str], Callable[[], ResponseReturnValue]]


def test_a_file_is_sent_with_its_type_and_name(ask: Ask, report: Report) -> None:
    answer = ask(report("2026/march.csv"))
    assert (answer.status, answer.body) == (200, CSV)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].endswith('filename="march.csv"')
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-length"] == "8"


def test_a_link_that_stays_inside_is_followed(ask: Ask, report: Report) -> None:
    answer = ask(report("latest.csv"))
    assert (answer.status, answer.body) == (200, CSV)
    assert answer.headers["content-disposition"] == 'attachment; filename="latest.csv"'


def test_the_folder_is_the_applications_and_not_the_working_directory(
    ask: Ask, report: Report, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / "reports").mkdir(parents=True)
    (elsewhere / "reports" / "summary.csv").write_bytes(SECRET)
    (elsewhere / "reports" / "only-here.csv").write_bytes(SECRET)
    monkeypatch.chdir(elsewhere)
    assert ask(report("summary.csv")).body == CSV
    assert ask(report("only-here.csv")).status == 404


def test_an_absolute_folder_of_the_application_works(
    ask: Ask, files: Wharfinger, reports: Path
) -> None:
    assert ask(lambda: files.deliver_path(reports, "summary.csv")).body == CSV


ASTRAY = {
    "the parent": "../secret.txt",
    "the parent, later": "2026/../../secret.txt",
    "up and in again": "2026/../summary.csv",
    "a sibling with the same beginning": "../reports-private/secret.txt",
    "encoded": "..%2fsecret.txt",
    "encoded dots": "%2e%2e/secret.txt",
    "backslash": "..\\secret.txt",
    "backslash inside": "2026\\march.csv",
    "NUL": "summary.csv\0.txt",
    "absolute": "/etc/passwd",
    "doubled slash": "2026//march.csv",
    "here": "./summary.csv",
    "nothing": "",
    "a drive": "C:\\secret.txt",
    "slash at the end": "summary.csv/",
    "symlink as the file": "leaf.txt",
    "absolute symlink, also one that points inside": "inside.csv",
    "hidden file": ".env",
    "file in a hidden folder": ".git/config",
    "symlink as a folder": "parent/secret.txt",
    "FIFO": "pipe",
    "a folder": "2026",
    "a file as a folder": "summary.csv/x",
    "absent": "nothing.csv",
    "too long": "x" * 300,
    "lone surrogate": "\udc80",
    "not encodable": "\ud800",
}


@pytest.mark.parametrize("name", ASTRAY.values(), ids=list(ASTRAY))
def test_nothing_but_plain_files_inside_is_reached(ask: Ask, report: Report, name: str) -> None:
    answer = ask(report(name))
    assert (answer.status, answer.code) == (404, "not-found")
    assert SECRET not in answer.body


def test_every_absence_gets_one_answer(ask: Ask, report: Report) -> None:
    assert len({ask(report(name)).body for name in ASTRAY.values()}) == 1


@pytest.mark.parametrize(
    "path",
    [
        "/reports/../secret.txt",
        "/reports/..%2fsecret.txt",
        "/reports/%2e%2e%2fsecret.txt",
        "/reports/..%5csecret.txt",
        "/reports/%2fetc/passwd",
        "/reports/summary.csv%00",
        "/reports/2026/%2e%2e/%2e%2e/secret.txt",
    ],
)
def test_a_route_for_paths_cannot_be_led_out(
    app: Flask, ask: Ask, files: Wharfinger, reports: Path, path: str
) -> None:
    app.add_url_rule(
        "/reports/<path:name>", "reports", lambda name: files.deliver_path("reports", name)
    )
    assert ask("/reports/2026/march.csv").body == CSV
    answer = ask(path)
    assert answer.status in (308, 404)
    assert SECRET not in answer.body


def test_head_and_ranges_work(ask: Ask, report: Report) -> None:
    head = ask(report("summary.csv"), "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", "8")
    part = ask(report("summary.csv"), headers={"Range": "bytes=4-6"})
    assert (part.status, part.body) == (206, b"1,2")
    assert part.headers["content-range"] == "bytes 4-6/8"


def test_a_changed_file_is_another_file(ask: Ask, report: Report, reports: Path) -> None:
    etag = ask(report("summary.csv")).headers["etag"]
    # It changed a moment ago and could change again within the same tick of the clock: no
    # parts of two versions are mixed.
    assert etag.startswith('W/"')
    assert ask(report("summary.csv"), headers={"If-None-Match": etag}).status == 304
    guarded = {"Range": "bytes=0-1", "If-Range": etag}
    assert ask(report("summary.csv"), headers=guarded).status == 200
    (reports / "summary.csv").write_bytes(CSV + CSV)
    assert ask(report("summary.csv"), headers={"If-None-Match": etag}).status == 200


def test_a_file_that_lies_still_can_be_fetched_in_parts(app: Flask, ask: Ask) -> None:
    root = Path(app.root_path)
    (root / "old.csv").write_bytes(CSV)
    later = datetime.now(UTC) + timedelta(minutes=1)
    wharf = Wharf(WharfSettings(data=root / "data"), now=lambda: later)
    files = Wharfinger(app, wharf=wharf)

    def view() -> ResponseReturnValue:
        return files.deliver_path(".", "old.csv")

    etag = ask(view).headers["etag"]
    assert etag.startswith('"')
    guarded = {"Range": "bytes=4-", "If-Range": etag}
    part = ask(view, headers=guarded)
    assert (part.status, part.body) == (206, b"1,2\n")
    (root / "old.csv").write_bytes(CSV.upper())
    assert ask(view, headers=guarded).status == 200
    assert not (root / "data").exists()  # whoever only delivers paths needs no service


def test_last_modified_is_that_of_the_file(ask: Ask, report: Report, reports: Path) -> None:
    os.utime(reports / "summary.csv", (1709208000, 1709208000))
    answer = ask(report("summary.csv"))
    assert answer.headers["last-modified"] == "Thu, 29 Feb 2024 12:00:00 GMT"


def test_the_arguments_are_those_of_send_file(ask: Ask, files: Wharfinger, reports: Path) -> None:
    wishes = {
        "mimetype": "text/plain",
        "download_name": "Übersicht.txt",
        "as_attachment": True,
        "max_age": 60,
        "etag": "v1",
        "last_modified": 1709208000,
    }
    ours = ask(lambda: files.deliver_path("reports", "summary.csv", **wishes))  # type: ignore[arg-type]
    assert (
        ours.headers.items()
        >= {
            "content-type": "text/plain; charset=utf-8",
            "cache-control": "private, max-age=60",
            "etag": '"v1"',
            "last-modified": "Thu, 29 Feb 2024 12:00:00 GMT",
        }.items()
    )
    environ = {"REQUEST_METHOD": "GET"}
    theirs = send_file(reports / "summary.csv", environ, **wishes)  # type: ignore[arg-type]
    theirs.close()
    assert theirs.headers["ETag"] == ours.headers["etag"]
    assert theirs.headers["Last-Modified"] == ours.headers["last-modified"]
    assert "filename*=UTF-8''%C3%9Cbersicht.txt" in theirs.headers["Content-Disposition"]
    assert "filename*=UTF-8''%C3%9Cbersicht.txt" in ours.headers["content-disposition"]


@pytest.mark.parametrize(
    "wishes", [{"etag": 'a"b'}, {"last_modified": 1e30}], ids=["quote in the etag", "far future"]
)
def test_a_wish_that_cannot_be_sent_leaves_no_file_open(
    ask: Ask, files: Wharfinger, reports: Path, wishes: dict[str, Any]
) -> None:
    def view() -> ResponseReturnValue:
        try:
            return files.deliver_path("reports", "summary.csv", **wishes)
        except (UsageError, OverflowError, ValueError):
            return "refused"

    assert ask(view).body == b"refused"
    gc.collect()  # a file left open is a ResourceWarning here, and that an error
