"""`wharf sweep` removes what has expired and says so."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.called import Caller
from support.services import blobs_on_disk, make_wharf


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a service with a file and an upload whose time is over."""

    def long_ago() -> datetime:
        return datetime.now(UTC) - timedelta(days=2)

    with make_wharf(tmp_path / "data", clock=long_ago) as wharf:  # type: ignore[arg-type]
        wharf.receive([b"old"], collection="brief", name="old.txt")
        wharf.uploads.create("files", protocol="tus", owner="user:1")
    return tmp_path / "data"


def test_people_read_what_was_done(data: Path, wharf: Caller) -> None:
    said = wharf("sweep", "--data", str(data))
    assert (said.code, said.err) == (0, "")
    assert said.text.splitlines() == [
        "     1  files expired",
        "     1  uploads ended that nobody went on with",
        "     0  files without a record removed",
        "     0  parts without an upload removed",
        "     0  leftovers in staging removed",
        "     0  old links forgotten",
        "     0  stored answers forgotten",
    ]
    assert blobs_on_disk(data) == []


def test_as_json_it_is_one_object(data: Path, wharf: Caller) -> None:
    said = wharf("sweep", "--data", str(data), "--json")
    assert said.records == [
        {"expired": 1, "uploads": 1, "orphans": 0, "parts": 0, "leftovers": 0, "links": 0,
         "replies": 0}
    ]  # fmt: skip


def test_a_folder_without_a_service_is_10_and_none_is_made(tmp_path: Path, wharf: Caller) -> None:
    said = wharf("sweep", "--data", str(tmp_path / "none"))
    assert (said.code, said.out) == (10, b"")
    assert list(tmp_path.iterdir()) == []
