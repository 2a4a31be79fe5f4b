"""`wharf doctor` finds each broken thing, says what to do, and changes nothing."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.called import Caller
from support.command import command, environment
from support.require import require
from support.served import serve, unprivileged
from support.services import make_wharf
from wharfinger import Wharf
from wharfinger.service.doctor import folders, records

Finding = dict[str, str]


@pytest.fixture
def wharf(capsys: pytest.CaptureFixture[str]) -> Caller:
    return Caller(capsys)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """The folder of a service that was used and stopped."""
    with Wharf.open(tmp_path / "data") as wharf:
        for number in range(50):
            wharf.receive([b"content"], collection="files", name=f"{number}.txt")
        wharf.tokens.create("x", ["read"])
    return tmp_path / "data"


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    """Return mode and digest of everything below a folder, itself included."""
    found = {}
    for path in (folder, *folder.rglob("*")):
        content = path.read_bytes() if path.is_file() else b""
        found[str(path)] = (path.lstat().st_mode, hashlib.sha256(content).hexdigest())
    return found


def findings(lines: list[Finding]) -> dict[str, Finding]:
    return {line["check"]: line for line in lines}


def test_a_sound_installation_is_all_ok(data: Path, wharf: Caller) -> None:
    said = wharf("doctor", "--data", str(data), "--json")
    assert said.code == 0
    found = findings(said.records)
    assert list(found) == [
        "data folder", "store folder", "file system", "free space", "catalog", "key", "clock",
        "quotas", "limits", "events", "checks", "scanner", "aiohttp", "Flask",
        "pyvips", "pillow-heif", "pikepdf", "python-magic",
    ]  # fmt: skip
    assert {line["grade"] for name, line in found.items() if name != "free space"} == {"ok"}
    assert all(line["advice"] == "" for line in found.values() if line["grade"] == "ok")
    assert found["catalog"]["detail"] == "Revision 0006, sound."
    assert found["key"]["detail"] == "1 in the ring."


def test_people_read_a_mark_a_line_and_advice_below(data: Path, wharf: Caller) -> None:
    data.chmod(0o755)
    (data / "keys").write_text("damaged")
    said = wharf("doctor", "--data", str(data))
    assert said.code == 1
    assert (
        f"warn  data folder: {data} can be entered by other users.\n      chmod 700 {data}\n"
        in said.text
    )
    assert "FAIL  key: The key file 'keys' is damaged.\n      Restore it, or delete it" in said.text
    assert "ok    catalog: Revision 0006, sound.\n" in said.text
    assert said.err == ""


def nothing_yet(data: Path) -> None:
    for path in sorted(data.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    data.rmdir()


def a_file_instead(data: Path) -> None:
    nothing_yet(data)
    data.write_text("not a folder")


def entered_by_all(data: Path) -> None:
    data.chmod(0o755)


def key_read_by_all(data: Path) -> None:
    (data / "keys").chmod(0o644)


def damaged_key(data: Path) -> None:
    (data / "keys").write_text("0123")


def empty_key(data: Path) -> None:
    (data / "keys").write_text("")


def binary_key(data: Path) -> None:
    (data / "keys").write_bytes(b"\xff" * 64)


def no_database(data: Path) -> None:
    (data / "catalog.sqlite3").write_bytes(b"this is no database at all" * 100)


def empty_catalog(data: Path) -> None:
    (data / "catalog.sqlite3").write_bytes(b"")


def damaged_pages(data: Path) -> None:
    path = data / "catalog.sqlite3"
    content = bytearray(path.read_bytes())
    content[4096 * 2 :] = os.urandom(len(content) - 4096 * 2)
    path.write_bytes(content)


def foreign_database(data: Path) -> None:
    path = data / "catalog.sqlite3"
    path.unlink()
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE other (x)")


def revision(data: Path, number: str) -> None:
    with closing(sqlite3.connect(data / "catalog.sqlite3")) as database, database:
        database.execute("UPDATE alembic_version SET version_num = ?", (number,))


def newer_catalog(data: Path) -> None:
    revision(data, "9999")


def older_catalog(data: Path) -> None:
    revision(data, "0000")


def file_from_the_future(data: Path) -> None:
    def tomorrow() -> datetime:
        return datetime.now(UTC) + timedelta(days=1)

    with make_wharf(data, clock=tomorrow) as wharf:  # type: ignore[arg-type]
        wharf.receive([b"x"], collection="files")


def miscounted(data: Path) -> None:
    with closing(sqlite3.connect(data / "catalog.sqlite3")) as database, database:
        database.execute("UPDATE usage SET files = files + 1 WHERE kind = 'collection'")


# How it is broken, which check finds it, its grade, and words of detail and advice.
BROKEN: dict[str, tuple[Callable[[Path], None], str, str, str, str]] = {
    "nothing yet": (nothing_yet, "data folder", "ok", "the service will make it", ""),
    "a file instead": (a_file_instead, "data folder", "failure", "is a file", "--data"),
    "entered by all": (entered_by_all, "data folder", "warning", "other users", "chmod 700"),
    "key read by all": (key_read_by_all, "key", "failure", "read by others", "chmod 600"),
    "damaged key": (damaged_key, "key", "failure", "is damaged", "every link made so far ends"),
    "empty key": (empty_key, "key", "failure", "is damaged", "every link made so far ends"),
    "binary key": (binary_key, "key", "failure", "cannot be used", "wharf doctor"),
    "no database": (no_database, "catalog", "failure", "not a database", "backup"),
    "empty catalog": (empty_catalog, "catalog", "ok", "the next start fills it", ""),
    "damaged pages": (damaged_pages, "catalog", "failure", "", "backup"),
    "foreign database": (foreign_database, "catalog", "failure", "alembic_version", "backup"),
    "newer catalog": (newer_catalog, "catalog", "failure", "revision 9999", "newer version"),
    "older catalog": (older_catalog, "catalog", "ok", "brought to 0006 at the next start", ""),
    "miscounted": (miscounted, "quotas", "failure", "The count of files is not", "raise the quota"),
    "file from the future": (file_from_the_future, "clock", "warning", "newest file", "timedatectl"),
}  # fmt: skip


@pytest.mark.parametrize("case", BROKEN.values(), ids=list(BROKEN))
def test_each_broken_thing_is_found_and_nothing_is_changed(
    data: Path, wharf: Caller, case: tuple[Callable[[Path], None], str, str, str, str]
) -> None:
    break_it, check, grade, detail, advice = case
    break_it(data)
    before = snapshot(data.parent)
    said = wharf("doctor", "--data", str(data), "--json")
    assert snapshot(data.parent) == before
    found = findings(said.records)
    assert found[check]["grade"] == grade, found[check]
    assert detail in found[check]["detail"]
    assert advice in found[check]["advice"]
    assert bool(found[check]["advice"]) == (grade != "ok")
    assert said.code == (1 if grade == "failure" else 0)
    others = {name for name, line in found.items() if line["grade"] == "failure"} - {check}
    assert others == set()


@pytest.mark.parametrize("kind", ["the folder", "its parent", "below a file"])
def test_a_folder_that_cannot_be_written_is_found(tmp_path: Path, kind: str) -> None:
    parent = tmp_path / "parent"
    data = parent / "data"
    if kind == "below a file":
        parent.write_text("a file")
    else:
        (data if kind == "the folder" else parent).mkdir(parents=True)
        (data if kind == "the folder" else parent).chmod(0o500)
    said = subprocess.run(
        [*unprivileged(), *command("doctor", "--json", "--data", str(data))],
        capture_output=True, check=False, timeout=20, env=environment(),
    )  # fmt: skip
    finding = findings([json.loads(line) for line in said.stdout.splitlines()])["data folder"]
    assert (said.returncode, finding["grade"]) == (1, "failure")
    assert ("cannot be written" if kind == "the folder" else "cannot be made") in finding["detail"]
    assert finding["advice"]


def test_a_store_of_its_own_is_looked_at_too(folder: Path, data: Path, wharf: Caller) -> None:
    (folder / "store").write_text("a file")
    (folder / "wharfinger.toml").write_text(f'[store]\nurl = "file://{folder}/store"\n')
    said = wharf("doctor", "--data", str(data), "--json")
    finding = findings(said.records)["store folder"]
    assert (said.code, finding["grade"]) == (1, "failure")
    assert "[store] url" in finding["advice"]


def test_staging_on_another_file_system_is_found(data: Path, wharf: Caller) -> None:
    other = Path("/dev/shm")  # noqa: S108 - another file system is the point
    require(
        other.is_dir() and other.stat().st_dev != data.stat().st_dev,
        "this machine has no second file system",
    )
    (data / "staging").rmdir()
    (data / "staging").symlink_to(other)
    said = wharf("doctor", "--data", str(data), "--json")
    finding = findings(said.records)["file system"]
    assert (said.code, finding["grade"]) == (1, "failure")
    assert "mount both from one file system" in finding["advice"]


def test_a_clock_from_before_this_version_is_found(
    data: Path, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "_BUILT", datetime(2999, 1, 1, tzinfo=UTC))
    said = wharf("doctor", "--data", str(data), "--json")
    assert (said.code, findings(said.records)["clock"]["grade"]) == (1, "failure")


def test_little_room_is_a_warning(
    data: Path, wharf: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(folders, "_LITTLE_SPACE", 1 << 62)
    said = wharf("doctor", "--data", str(data), "--json")
    finding = findings(said.records)["free space"]
    assert (said.code, finding["grade"]) == (0, "warning")
    assert "507" in finding["advice"]


def test_beside_a_running_server_everything_is_ok(tmp_path: Path, wharf: Caller) -> None:
    with serve(tmp_path / "data") as served:
        served.browser.ask("POST", "/uploads/files", b"x")
        said = wharf("doctor", "--data", str(served.data), "--json")
        assert said.code == 0
        assert served.browser.ask("GET", "/health/ready").status == 200


def test_after_a_crash_the_log_is_read_and_left(tmp_path: Path, wharf: Caller) -> None:
    with serve(tmp_path / "data") as served:
        served.browser.ask("POST", "/uploads/files", b"x")
        served.stop(signal.SIGKILL)
    log = tmp_path / "data" / "catalog.sqlite3-wal"
    assert log.stat().st_size > 0
    before = {**snapshot(tmp_path / "data"), f"{tmp_path}/data/catalog.sqlite3-shm": None}
    said = wharf("doctor", "--data", str(tmp_path / "data"), "--json")
    assert (said.code, findings(said.records)["catalog"]["grade"]) == (0, "ok")
    # Its index (-shm) is memory that readers share, not content.
    after = {**snapshot(tmp_path / "data"), f"{tmp_path}/data/catalog.sqlite3-shm": None}
    assert after == before


LIMITS: dict[str, tuple[str, str, str]] = {
    "none given": ("[server]\nworkers = 4\n", "ok", "counted by each process"),
    "one process": ('[limits]\nrequests_per_token = "9/s"\n', "ok", "counted by each process"),
    "several processes": (
        '[server]\nworkers = 4\n[limits]\nrequests_per_token = "9/s"\n',
        "warning", "Each of 4 processes counts for itself.",
    ),
    "no Redis": (
        '[limits]\nurl = "redis://127.0.0.1:1/0"\n',
        "warning", "Until it does, each process counts for itself.",
    ),
    "no Redis, and refusing": (
        '[limits]\nurl = "redis://127.0.0.1:1/0"\nwhen_down = "refuse"\n',
        "failure", "Until it does, requests are answered 503.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("row", LIMITS.values(), ids=list(LIMITS))
def test_limits_that_would_not_hold_are_found(
    data: Path, tmp_path: Path, wharf: Caller, row: tuple[str, str, str]
) -> None:
    text, grade, detail = row
    (tmp_path / "limits.toml").write_text(text)
    arguments = ("--data", str(data), "--config", str(tmp_path / "limits.toml"), "--json")
    found = findings(wharf("doctor", *arguments).records)["limits"]
    assert found["grade"] == grade
    assert detail in found["detail"]
    assert bool(found["advice"]) is (grade != "ok")


@pytest.mark.parametrize(
    ("limit", "grade", "detail"),
    [
        ("max_files = 51", "warning", "files has 50 of 51 files."),
        ('max_bytes = "351"', "warning", "files has 350 bytes of 351 bytes."),
        ("max_files = 100", "ok", "There is room in files."),
        ("max_files_per_owner = 1", "ok", "No collection has one for its files."),
    ],
)
def test_a_quota_that_is_nearly_used_up_is_told(
    data: Path, wharf: Caller, limit: str, grade: str, detail: str
) -> None:
    config = data.parent / "wharfinger.toml"
    config.write_text(f"[collections.files]\n{limit}\n")
    said = wharf("doctor", "--data", str(data), "--config", str(config), "--json")
    found = findings(said.records)["quotas"]
    assert (found["grade"], found["detail"]) == (grade, detail)
    assert said.code == 0
