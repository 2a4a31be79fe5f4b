"""`wharf doctor` tells of a webhook that takes nothing, and of a secret that is none."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from support.called import Caller
from wharfinger import Wharf


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The configuration of a service with a webhook, and three events of one file."""
    path = tmp_path / "wharfinger.toml"
    path.write_text('[events]\nwebhook = "https://hooks.example.org/"\n')
    with Wharf.open(tmp_path / "data", config=path) as service:
        service.remove(service.receive([b"text"], collection="files").id)
    return path


def found(wharf: Caller, config: Path) -> dict[str, str]:
    said = wharf("doctor", "--data", str(config.parent / "data"), "--config", str(config), "--json")
    (finding,) = [line for line in said.records if line["check"] == "events"]
    return dict(finding)


def tried(config: Path, tries: int) -> None:
    with closing(sqlite3.connect(config.parent / "data" / "catalog.sqlite3")) as database:
        database.execute("UPDATE events SET tries = ? WHERE seq = 1", (tries,))
        database.commit()


@pytest.mark.parametrize(
    ("tries", "grade", "said"),
    [
        (0, "ok", "The webhook takes them."),
        (1, "warning", "The webhook did not take 1 so far"),
        (10, "warning", "The webhook did not take 1 so far"),
        (11, "failure", "1 were given up"),
    ],
)
def test_what_was_tried_is_told(
    wharf: Caller, config: Path, tries: int, grade: str, said: str
) -> None:
    tried(config, tries)
    finding = found(wharf, config)
    assert finding["grade"] == grade
    assert finding["detail"].startswith(said)
    assert bool(finding["advice"]) is (grade != "ok")


def test_a_secret_that_cannot_be_read_is_a_failure(wharf: Caller, config: Path) -> None:
    with config.open("a") as file:
        file.write('secret_file = "/nowhere/secret"\n')
    finding = found(wharf, config)
    assert finding["grade"] == "failure"
    assert "cannot be read" in finding["detail"]


def test_a_secret_that_is_too_short_is_a_failure(wharf: Caller, config: Path) -> None:
    (config.parent / "data" / "webhook-secret").write_text("short\n")
    assert "at least 16 characters" in found(wharf, config)["detail"]


def test_nothing_is_made_by_looking(wharf: Caller, config: Path) -> None:
    found(wharf, config)
    assert not (config.parent / "data" / "webhook-secret").exists()


def test_without_a_webhook_all_is_well(wharf: Caller, config: Path) -> None:
    config.write_text("")
    assert found(wharf, config)["detail"] == "No webhook is set."
