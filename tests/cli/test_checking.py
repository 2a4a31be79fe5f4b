"""`wharf worker`, `release` and `rescan`, and `wharf policy show`."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest

from support.called import Caller
from support.clamd import EICAR, clamd_server
from support.content import PNG
from support.services import make_wharf
from wharfinger import Collection, Policy, StoredFile
from wharfinger.scanners import Clean, Unscannable, Verdict
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.scan_settings import ScanSettings
from wharfinger.testing import DownScanner, WordScanner


class Says:
    """A scanner that says one thing."""

    def __init__(self, verdict: Verdict) -> None:
        self.verdict = verdict

    def scan(self, file: object, size: int) -> Verdict:  # noqa: ARG002
        return self.verdict


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


def received(
    data: Path, scanner: Says | WordScanner | DownScanner, content: bytes = b"content"
) -> StoredFile:
    """Take a file in as `scanner` has it; what it cannot read is held."""
    hold = ScanSettings(when_unscannable="hold")
    with make_wharf(data, scanner=scanner, scan=hold) as service:
        return service.receive([content], collection="files", name="a.txt")


def states(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / "catalog.sqlite3")) as database:
        return [state for (state,) in database.execute("SELECT state FROM files ORDER BY seq")]


def test_a_worker_does_what_waits(tmp_path: Path, wharf: Caller) -> None:
    checking = CheckingSettings(workers=0, wait=0)
    with make_wharf(tmp_path, checking=checking) as service:
        service.receive([PNG], collection="files", name="a.png")
    assert states(tmp_path) == ["checking"]
    said = wharf("worker", "--once", "--data", str(tmp_path))
    assert (said.code, said.text) == (0, "Checks done: 1; waiting: 0.\n")
    assert states(tmp_path) == ["ready"]
    said = wharf("worker", "--once", "--json", "--data", str(tmp_path))
    assert said.records == [{"done": 0, "waiting": 0, "parked": 0}]


def test_a_worker_without_a_scanner_makes_nothing_clean(tmp_path: Path, wharf: Caller) -> None:
    data, config, rules = (tmp_path / name for name in ("data", "wharfinger.toml", "rules.yar"))
    checking = CheckingSettings(workers=0, wait=0)
    received(data, DownScanner(), b"other content")
    with make_wharf(data, scanner=Says(Clean()), checking=checking) as service:
        service.receive([b"content"], collection="files", name="a.txt")
    said = wharf("worker", "--once", "--data", str(data))
    assert said.text == "Checks done: 0; waiting: 2.\n"
    assert "No scanner is named here" in said.err
    assert states(data) == ["held", "checking"]
    rules.write_text('rule Marked { strings: $a = "a mark" condition: $a }')
    config.write_text(f'[scan]\nyara = "{rules}"\n')
    wharf("rescan", "--data", str(data), "--config", str(config))
    said = wharf("worker", "--once", "--data", str(data), "--config", str(config))
    assert said.text == "Checks done: 2; waiting: 0.\n"
    assert states(data) == ["ready", "ready"]


def test_a_held_file_is_released_with_a_reason(tmp_path: Path, wharf: Caller) -> None:
    stored = received(tmp_path, Says(Unscannable("it is encrypted")))
    said = wharf("release", stored.id, "--data", str(tmp_path))
    assert said.code == 2
    assert "--reason" in said.err
    assert states(tmp_path) == ["held"]
    said = wharf("release", stored.id, "--reason", "ours", "--data", str(tmp_path))
    assert said.code == 0
    assert said.text == (
        "a.txt is handed out from now on. It was held: "
        "The scanner could not read the file: it is encrypted.\n"
    )
    assert states(tmp_path) == ["ready"]
    said = wharf("release", stored.id, "--reason", "ours", "--data", str(tmp_path), "--json")
    assert said.code == 1
    assert said.records[0]["error"]["code"] == "not-ready"


def test_a_file_of_a_collection_that_is_not_known_here_is_not_released(
    tmp_path: Path, wharf: Caller
) -> None:
    mine = Collection(name="mine", policy=Policy(types="text/plain", max_size=100))
    hold = ScanSettings(when_unscannable="hold")
    scanner = Says(Unscannable("it is encrypted"))
    with make_wharf(tmp_path, scanner=scanner, scan=hold, collections=(mine,)) as service:
        stored = service.receive([b"content"], collection="mine", name="a.txt")
    said = wharf("release", stored.id, "--reason", "ours", "--data", str(tmp_path))
    assert said.code == 5
    assert "The collection 'mine' is not known here" in said.err
    assert states(tmp_path) == ["held"]


def test_a_file_that_is_not_there_cannot_be_released(tmp_path: Path, wharf: Caller) -> None:
    received(tmp_path, Says(Clean()))
    said = wharf("release", "0" * 32, "--reason", "x", "--data", str(tmp_path))
    assert said.code == 5


def test_ready_files_are_scanned_again_by_the_scanner_of_the_configuration(
    tmp_path: Path, wharf: Caller
) -> None:
    data, config = tmp_path / "data", tmp_path / "wharfinger.toml"
    received(data, Says(Clean()), EICAR)
    received(data, Says(Clean()), b"harmless")
    with clamd_server(tmp_path / "clamd") as clamd:
        config.write_text(f'[scan]\nclamd = "{clamd.unix}"\n')
        where = ("--data", str(data), "--config", str(config))
        said = wharf("rescan", "--collection", "images", "--json", *where)
        assert said.records == [{"enqueued": 0, "done": 0, "waiting": 0, "parked": 0}]
        said = wharf("rescan", "--since", "2999-01-01", *where)
        assert said.text == "Files to be scanned again: 0.\n"
        said = wharf("rescan", "--now", *where)
        assert said.code == 0
        assert said.text == "Files to be scanned again: 2. Scans done: 2; waiting: 0.\n"
    assert states(data) == ["refused", "ready"]


def test_scans_whose_scanner_is_away_are_told_as_waiting(tmp_path: Path, wharf: Caller) -> None:
    data, config = tmp_path / "data", tmp_path / "wharfinger.toml"
    received(data, Says(Clean()))
    config.write_text(f'[scan]\nclamd = "unix://{tmp_path}/nobody.sock"\n')
    said = wharf("rescan", "--now", "--json", "--data", str(data), "--config", str(config))
    assert said.records == [{"enqueued": 1, "done": 1, "waiting": 1, "parked": 0}]
    assert states(data) == ["ready"]


def test_without_a_scanner_there_is_nothing_to_scan_with(tmp_path: Path, wharf: Caller) -> None:
    received(tmp_path, Says(Clean()))
    said = wharf("rescan", "--data", str(tmp_path))
    assert said.code == 2
    assert "no scanner" in said.err


def test_a_policy_is_shown_to_people_and_to_programs(tmp_path: Path, wharf: Caller) -> None:
    said = wharf("policy", "show", "images")
    assert said.code == 0
    assert "  image/png (PNG image)\n" in said.text
    assert "size: 0 bytes to 20.0 MiB\n" in said.text
    assert "refused:\n  damaged: cannot be decoded or parsed to its end\n" in said.text
    (record,) = wharf("policy", "show", "documents", "--json").records
    assert "formulas" not in record["refuse"]
    assert record["max_members"] == 10_000
    mine = tmp_path / "mine.toml"
    mine.write_text('types = "images"\nreencode = true\n')
    assert "our own encoder" in wharf("policy", "show", str(mine)).text


def test_a_policy_with_a_second_opinion_says_whether_it_can_be_had(
    tmp_path: Path, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "libmagic" not in wharf("policy", "show", "images").text
    mine = tmp_path / "mine.toml"
    mine.write_text('types = "images"\nsecond_opinion = true\n')
    monkeypatch.setitem(sys.modules, "magic", None)
    said = wharf("policy", "show", str(mine)).text
    assert (
        "libmagic is asked, too, and cannot be: the package python-magic is not installed; "
        "nothing passes\n"
    ) in said
    assert "  disputed: libmagic takes the content for something else, where it is asked\n" in said
    monkeypatch.delitem(sys.modules, "magic")
    monkeypatch.setattr("wharfinger.checking.second_opinion.missing", lambda: "")
    assert "libmagic is asked, too\n" in wharf("policy", "show", str(mine)).text


def test_the_policy_of_a_collection_says_what_becomes_of_bad_files(
    tmp_path: Path, wharf: Caller
) -> None:
    config = tmp_path / "wharfinger.toml"
    config.write_text('[scan]\nclamd = "tcp://127.0.0.1"\n[collections.a]\ntypes = "text/csv"\n')
    said = wharf("policy", "show", "--collection", "a", "--config", str(config))
    assert "  text/csv (CSV table)\n" in said.text
    assert "  what comes while it is away is held\n" in said.text
    said = wharf("policy", "show", "--collection", "b", "--config", str(config))
    assert (said.code, "There are a, files, images." in said.err) == (2, True)


@pytest.mark.parametrize("words", [(), ("images", "--collection", "images")])
def test_one_policy_is_named(words: tuple[str, ...], wharf: Caller) -> None:
    said = wharf("policy", "show", *words)
    assert (said.code, "Name one policy" in said.err) == (2, True)
