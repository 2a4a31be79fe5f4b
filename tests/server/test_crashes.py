"""A crash at each step of receiving: nothing acknowledged is lost, no orphan outlives a sweep."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.command import environment
from support.services import blobs_on_disk
from wharfinger import Wharf
from wharfinger.service import WharfSettings

# Ends its own process by SIGKILL right after (or before) the named step.
DYING = """
import os, signal, sys
from pathlib import Path
from wharfinger import Wharf
from wharfinger.catalog import Catalog
from wharfinger.stores.local import LocalStaging, LocalStore

def die(owner, name, *, after):
    original = getattr(owner, name)
    def dying(*arguments, **more):
        result = original(*arguments, **more) if after else None
        os.kill(os.getpid(), signal.SIGKILL)
        return result
    setattr(owner, name, dying)

data, step = sys.argv[1:]
with Wharf.open(data) as wharf:
    print(wharf.receive([b"acknowledged"], collection="files", name="first.txt").id, flush=True)
    match step:
        case "after the first write": die(LocalStaging, "write", after=True)
        case "before the sync": die(LocalStaging, "sync", after=False)
        case "after the sync": die(LocalStaging, "sync", after=True)
        case "before the link": die(LocalStaging, "link", after=False)
        case "after the link": die(LocalStaging, "link", after=True)
        case "after publishing": die(LocalStore, "publish", after=True)
        case "before the commit": die(Catalog, "write", after=False)
        case "after the commit": die(Catalog, "write", after=True)
    wharf.receive([b"second " * 1000], collection="files", name="second.txt")
print("it did not die")
"""
# As on a file system that has none: opening a folder for writing is EISDIR (open(2)).
WITHOUT_UNNAMED_FILES = "import os; os.O_TMPFILE = os.O_DIRECTORY"
# Where the second file is after the crash: (in the store, with a record).
STEPS = {
    "after the first write": (False, False),
    "before the sync": (False, False),
    "after the sync": (False, False),
    "before the link": (False, False),
    "after the link": (True, False),
    "after publishing": (True, False),
    "before the commit": (True, False),
    "after the commit": (True, True),
}


@pytest.mark.parametrize("unnamed", [True, False], ids=["O_TMPFILE", "named staging"])
@pytest.mark.parametrize("step", STEPS)
def test_a_crash_at_a_step_leaves_the_whole_file_or_none(
    tmp_path: Path, step: str, *, unnamed: bool
) -> None:
    data = tmp_path / "data"
    program = DYING if unnamed else f"{WITHOUT_UNNAMED_FILES}{DYING}"
    ran = subprocess.run(
        [sys.executable, "-c", program, str(data), step],
        capture_output=True, text=True, check=False, timeout=30, env=environment(),
    )  # fmt: skip
    assert ran.returncode == -signal.SIGKILL, ran
    first = ran.stdout.strip()
    stored, recorded = STEPS[step]
    in_store = [path for path in blobs_on_disk(data) if path.parent.parent.name == "files"]
    assert len(in_store) == 1 + stored

    later = datetime.now(UTC) + timedelta(days=2)
    with Wharf(WharfSettings(data=data), now=lambda: later) as wharf:
        with wharf.open_file(first) as file:
            assert file.read() == b"acknowledged"
        listed, _ = wharf.list_files()
        assert [one.name for one in listed] == ["second.txt"] * recorded + ["first.txt"]
        report = wharf.sweep()
        assert report.orphans == (stored and not recorded)
        assert sorted(path.name for path in blobs_on_disk(data)) == sorted(one.id for one in listed)
        for one in listed:
            with wharf.open_file(one) as file:
                assert len(file.read()) == one.size
        assert wharf.sweep().orphans == 0


def test_a_sweep_right_after_a_crash_leaves_what_others_may_be_publishing(tmp_path: Path) -> None:
    data = tmp_path / "data"
    ran = subprocess.run(
        [sys.executable, "-c", DYING, str(data), "after publishing"],
        capture_output=True, check=False, timeout=30, env=environment(),
    )  # fmt: skip
    assert ran.returncode == -signal.SIGKILL
    with Wharf.open(data) as wharf:
        assert wharf.sweep().orphans == 0
    assert len(blobs_on_disk(data)) == 2


# Pieces of an upload, each acknowledged with its offset; the last one meets the end.
DYING_UPLOAD = """
import os, signal, sys
from wharfinger import Wharf
from wharfinger.catalog import Catalog, uploads
from wharfinger.service.at_hand import AtHand
from wharfinger.stores.local import LocalPart

def die(*arguments, **more):
    os.kill(os.getpid(), signal.SIGKILL)

data, step = sys.argv[1:]
with Wharf.open(data) as wharf:
    upload = wharf.uploads.create("files", protocol="tus", owner="user:1", length=20)
    print(upload.id, flush=True)
    for piece in (b"first,", b"second"):
        with wharf.uploads.take(upload.id) as turn:
            turn.write(piece)
            print(turn.keep().offset, flush=True)
    match step:
        case "before the bytes": LocalPart.write_at = die
        case "before the record": Catalog.submit = die
        case "in the transaction": uploads.advance = die
        case "after the commit": AtHand.settle = lambda hand: hand.under_way and (
            hand.under_way.result(), die())
        case "before the sync": LocalPart.sync = die
        case "before publishing": LocalPart.link = die
    with wharf.uploads.take(upload.id) as turn:
        turn.write(b",third!!")
        print(turn.keep().offset, flush=True)
        turn.complete()
print("it did not die")
"""


@pytest.mark.parametrize(
    ("step", "acknowledged", "stands_at"),
    [
        ("before the bytes", 12, 12),
        ("before the record", 12, 12),
        ("in the transaction", 12, 12),
        ("after the commit", 12, 20),
        ("before the sync", 20, 20),
        ("before publishing", 20, 20),
    ],
)
def test_small_pieces_that_were_acknowledged_outlive_a_crash(
    tmp_path: Path, step: str, acknowledged: int, stands_at: int
) -> None:
    data = tmp_path / "data"
    ran = subprocess.run(
        [sys.executable, "-c", DYING_UPLOAD, str(data), step],
        capture_output=True, text=True, check=False, timeout=30, env=environment(),
    )  # fmt: skip
    assert ran.returncode == -signal.SIGKILL, ran
    upload_id, *offsets = ran.stdout.split()
    assert int(offsets[-1]) == acknowledged
    with Wharf.open(data) as wharf, wharf.uploads.take(upload_id) as turn:
        assert turn.offset == stands_at
        turn.write(b"first,second,third!!"[stands_at:])
        stored = turn.complete()
        with wharf.open_file(stored.id) as file:
            assert file.read() == b"first,second,third!!"
