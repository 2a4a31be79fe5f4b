"""The order of system calls behind a 201: synced, published, published durably, recorded, answered."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.served import eventually, serve
from support.tracing import finished, tracing


@pytest.mark.parametrize("form", [False, True], ids=["raw", "form"])
def test_the_answer_comes_after_everything_that_makes_it_true(
    tmp_path: Path, *, form: bool
) -> None:
    trace = tmp_path / "trace"
    boundary = (
        b"--b\r\nContent-Disposition: form-data; name=f; filename=a.txt\r\n\r\n%s\r\n--b--\r\n"
    )
    with serve(tmp_path / "data", wrapped_in=[*tracing(), str(trace)]) as served:
        # The first upload also makes folders; the one that counts comes after it.
        served.browser.ask("POST", "/uploads/files", b"warm")
        if form:
            answer = served.browser.ask(
                "POST", "/uploads/files", boundary % b"content",
                {"Content-Type": "multipart/form-data; boundary=b"},
            )  # fmt: skip
        else:
            answer = served.browser.ask("POST", "/uploads/files", b"content")
        assert answer.status == 201
        record = answer.json()["files"][0] if form else answer.json()
        pid = served.pid
    ended = re.compile(rf"^{pid} +\+\+\+ exited with 0", re.MULTILINE)
    eventually(lambda: ended.search(trace.read_text("utf-8", "replace")), "the trace is complete")
    lines = finished(trace.read_text("utf-8", "replace").splitlines())
    began = next(number for number, line in enumerate(lines) if "201 Created" in line)
    steps = [name for line in lines[began + 1 :] if (name := step(line, record["id"]))]
    wanted = [
        "data synced",
        "published",
        "folder synced",
        "record written",
        "record synced",
        "answered",
    ]
    found = [name for name in wanted if name in steps]
    assert found == wanted, steps
    first = [steps.index(name) for name in wanted]
    assert first == sorted(first), steps
    # Nothing about the file is written after the answer, and there is one answer.
    answered = steps.index("answered")
    assert "published" not in steps[answered:]
    assert steps.count("published") == steps.count("answered") == 1


def step(line: str, file_id: str) -> str:
    """Return what one line of the trace means, "" for nothing of interest."""
    if re.search(r"fdatasync\(\d+<[^>]*/staging/", line) and line.endswith("= 0"):
        return "data synced"
    if "linkat(" in line and file_id in line:
        return "published"
    if re.search(rf"fsync\(\d+<[^>]*/files/{file_id[:3]}>", line) and line.endswith("= 0"):
        return "folder synced"
    if "pwrite" in line or re.search(r"write\(\d+<[^>]*-wal>", line):
        return "record written"
    if re.search(r"f(data)?sync\(\d+<[^>]*-wal>", line) and line.endswith("= 0"):
        return "record synced"
    if (
        re.search(r"(sendto|write|writev|sendmsg)\(\d+<(socket|TCP)", line)
        and "201 Created" in line
    ):
        return "answered"
    return ""
