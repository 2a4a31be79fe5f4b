"""`wharf doctor` looks whether the scanner does what is relied on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.called import Caller
from support.clamd import ClamdPeer, clamd_server
from support.services import make_wharf
from wharfinger.testing import DownScanner


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdPeer]:
    with clamd_server(tmp_path_factory.mktemp("clamd")) as clamd:
        yield clamd


def examined(wharf: Caller, folder: Path, scan: str) -> dict[str, dict[str, object]]:
    config = folder / "wharfinger.toml"
    config.write_text(f"[scan]\n{scan}\n")
    said = wharf("doctor", "--data", str(folder / "data"), "--config", str(config), "--json")
    return {str(record["check"]): record for record in said.records}


def test_a_daemon_that_does_what_is_relied_on_is_ok(
    peer: ClamdPeer, wharf: Caller, tmp_path: Path
) -> None:
    found = examined(wharf, tmp_path, f'clamd = "{peer.unix}"\nmax_size = "10 MiB"')
    assert found["clamd"]["grade"] == "ok"
    assert str(found["clamd"]["detail"]).startswith("ClamAV ")


def test_one_that_takes_no_file_as_large_is_warned_of(
    peer: ClamdPeer, wharf: Caller, tmp_path: Path
) -> None:
    found = examined(wharf, tmp_path, f'clamd = "{peer.tcp}"\nmax_size = "20 MiB"')
    assert found["clamd"]["grade"] == "warning"
    assert "StreamMaxLength" in str(found["clamd"]["advice"])


def test_one_that_is_silent_about_its_limits_is_a_failure(wharf: Caller, tmp_path: Path) -> None:
    with clamd_server(tmp_path / "clamd", AlertExceedsMax="no") as silent:
        found = examined(wharf, tmp_path, f'clamd = "{silent.unix}"')
    assert found["clamd"]["grade"] == "failure"
    assert "AlertExceedsMax yes" in str(found["clamd"]["advice"])


def test_one_that_is_away_is_a_failure_that_says_what_happens(
    wharf: Caller, tmp_path: Path
) -> None:
    found = examined(wharf, tmp_path, f'clamd = "unix://{tmp_path}/none"')
    assert found["clamd"]["grade"] == "failure"
    assert str(found["clamd"]["detail"]).endswith("Until it answers, what comes is held.")
    found = examined(wharf, tmp_path, f'clamd = "unix://{tmp_path}/none"\nwhen_down = "refuse"')
    assert str(found["clamd"]["detail"]).endswith("Until it answers, uploads are refused.")


def test_files_that_are_held_are_told(wharf: Caller, tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", scanner=DownScanner()) as service:
        service.receive([b"text"], collection="files", name="a.txt")
    found = examined(wharf, tmp_path, "")
    assert found["checks"]["grade"] == "warning"
    assert found["checks"]["detail"] == "1 files are held."
