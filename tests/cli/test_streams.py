"""Standard streams that are full or closed: an error that says so, and no silent loss."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from support.command import command, environment


def shell(redirections: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run wharf with a shell's redirections."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {redirections}', "sh", *command(*arguments)],
        check=False, capture_output=True, text=True, timeout=60, env=environment(),
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> str:
    path = tmp_path / "notes.txt"
    path.write_text("some notes\n")
    return str(path)


@pytest.mark.parametrize("flags", [[], ["--json"]], ids=["text", "json"])
def test_a_full_disk_behind_stdout_is_said(flags: list[str], file: str) -> None:
    done = shell("> /dev/full", "inspect", file, *flags)
    assert done.returncode == 10
    assert "Standard output cannot be written: No space left on device." in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


def test_a_closed_stdout_is_said(file: str) -> None:
    done = shell(">&-", "inspect", file)
    assert done.returncode == 10
    assert "Standard output cannot be written: Bad file descriptor." in done.stderr


def test_a_closed_stdin_is_no_empty_file() -> None:
    done = shell("<&-", "inspect", "-")
    assert done.returncode == 10
    assert done.stderr == "error: Standard input is closed. (local-file)\n"


def test_a_closed_stderr_costs_the_remarks_and_nothing_else(file: str) -> None:
    done = shell("2>&-", "inspect", "--json", file)
    assert done.returncode == 0
    assert '"type":' in done.stdout


def test_a_reader_that_has_enough_is_no_error_to_talk_of(file: str) -> None:
    done = shell("| true", "inspect", *[file] * 50)
    assert done.stderr == ""
