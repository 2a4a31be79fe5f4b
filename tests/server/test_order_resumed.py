"""The order of system calls behind a 204: synced, the offset recorded, answered; at the end published."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest

from support.served import eventually, serve
from support.tracing import finished, tracing

TUS = {"Tus-Resumable": "1.0.0"}
PATCH = {**TUS, "Content-Type": "application/offset+octet-stream"}


@pytest.mark.parametrize("large", [True, False], ids=["synced", "kept in the record"])
def test_each_answer_comes_after_what_makes_it_true(tmp_path: Path, *, large: bool) -> None:
    one = b"0123456789" * (2000 if large else 1)
    size = len(one)
    trace = tmp_path / "trace"
    with serve(tmp_path / "data", wrapped_in=[*tracing(), str(trace)]) as served:
        browser = served.browser
        name = base64.b64encode(b"a.txt").decode()
        made = browser.ask(
            "POST", "/uploads/files", b"",
            {**TUS, "Upload-Length": str(2 * size), "Upload-Metadata": f"filename {name}"},
        )  # fmt: skip
        assert made.status == 201
        address = made.headers["location"]
        first = browser.ask("PATCH", address, one, {**PATCH, "Upload-Offset": "0"})
        assert (first.status, first.headers["upload-offset"]) == (204, str(size))
        last = browser.ask("PATCH", address, one, {**PATCH, "Upload-Offset": str(size)})
        assert (last.status, last.headers["upload-offset"]) == (204, str(2 * size))
        upload_id = address.rpartition("/")[2]
        file_id = last.headers["content-location"].rpartition("/")[2]
        assert browser.ask("GET", f"/files/{file_id}").body == 2 * one
        pid = served.pid
    ended = re.compile(rf"^{pid} +\+\+\+ exited with 0", re.MULTILINE)
    eventually(lambda: ended.search(trace.read_text("utf-8", "replace")), "the trace is complete")
    lines = finished(trace.read_text("utf-8", "replace").splitlines())
    steps = [name for line in lines if (name := step(line, upload_id, file_id))]
    # Each step of the list, in this order; others may come between.
    wanted = [
        "folder of parts synced",
        "record synced",
        "answered 201",
        "part written",
        *(["part synced"] if large else []),  # else the record has these bytes, too
        "record synced",
        "answered 204",
        "part written",
        "part synced",
        "published",
        "folder synced",
        "record synced",
        "answered 204",
    ]
    left = iter(steps)
    assert all(name in left for name in wanted), steps
    # Nothing is written to the part, and nothing published, after the last answer.
    last_answer = len(steps) - steps[::-1].index("answered 204")
    assert not {"part written", "published"} & set(steps[last_answer:])


def step(line: str, upload_id: str, file_id: str) -> str:
    """Return what one line of the trace means, "" for nothing of interest."""
    synced = line.endswith("= 0")
    if re.search(r"fsync\(\d+<[^>]*/staging>", line) and synced:
        return "folder of parts synced"
    if re.search(rf"pwrite64\(\d+<[^>]*{upload_id}\.upload", line):
        return "part written"
    if re.search(rf"fdatasync\(\d+<[^>]*{upload_id}\.upload", line) and synced:
        return "part synced"
    if "link" in line and file_id in line and synced:
        return "published"
    if re.search(rf"fsync\(\d+<[^>]*/files/{file_id[:3]}>", line) and synced:
        return "folder synced"
    if re.search(r"f(data)?sync\(\d+<[^>]*-wal>", line) and synced:
        return "record synced"
    for status in ("201", "204"):
        if (
            re.search(r"(sendto|write|writev|sendmsg)\(\d+<(socket|TCP)", line)
            and f"HTTP/1.1 {status}" in line
        ):
            return f"answered {status}"
    return ""
