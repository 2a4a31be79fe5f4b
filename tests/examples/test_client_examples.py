"""The examples run, against a real echo server, as their docstrings say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from support.content import HTML, JPEG, PNG
from support.folders import listing
from support.processes import free_port
from support.samples import PDF

EXAMPLES = Path(__file__).parents[2] / "examples"


def run(example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(EXAMPLES / example), *arguments],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_first_upload(httpbin: str, folder: Path) -> None:
    (folder / "notes.txt").write_text("hello, echo\n")
    done = run("first_upload.py", "notes.txt", f"{httpbin}/post")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "status: 200\nfile: 12 characters came back\n"


def test_upload_with_fields(httpbin: str, folder: Path) -> None:
    (folder / "report.pdf").write_bytes(PDF)
    done = run("upload_with_fields.py", "report.pdf", f"{httpbin}/post")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "sent report.pdf with tags, user_id\n"


def test_upload_with_fields_refuses_before_it_connects(folder: Path) -> None:
    (folder / "report.pdf").write_bytes(HTML)
    done = run("upload_with_fields.py", "report.pdf", f"http://127.0.0.1:{free_port()}/post")
    assert done.returncode == 1
    assert done.stderr.startswith("not sent: ")


def test_profile_picture_and_its_refused_cases(httpbin: str, folder: Path) -> None:
    cases = {
        "me.jpg": (JPEG, "ok"),
        "me.png": (PNG, "ok"),
        "text.txt": (b"hello", "refused"),
        "fake.jpg": (HTML, "refused"),
        "wrong.png": (JPEG, "refused"),
        "large.png": (PNG.ljust(6_000_000, b"\0"), "refused"),
    }
    for name, (content, _) in cases.items():
        (folder / name).write_bytes(content)
    done = run("profile_picture.py", "12345", f"{httpbin}/post", *cases, "absent.jpg")
    assert (done.returncode, done.stderr) == (1, "")
    verdicts = [line.partition(":")[0] for line in done.stdout.splitlines()]
    assert verdicts == [*(verdict for _, verdict in cases.values()), "refused"]
    assert "Uploaded user_12345_profile.jpg" in done.stdout


DOWNLOADS = [
    ("/image/png", True, 0, "photo: image/png"),
    ("/html", True, 1, "not an image, nothing was written"),
    ("/image/png", False, 1, "not a public address"),
    ("/bytes/100", True, 1, "not an image"),
]


@pytest.mark.parametrize(("path", "private", "code", "says"), DOWNLOADS)
def test_safe_download(
    path: str, *, private: bool, code: int, says: str, httpbin: str, folder: Path
) -> None:
    flags = ["--private"] if private else []
    done = run("safe_download.py", *flags, f"{httpbin}{path}", "photo")
    assert done.returncode == code
    assert says in done.stdout + done.stderr
    assert listing(folder) == (["photo"] if code == 0 else [])
