"""A crash at each step of a check: what was acknowledged is checked again, and unread until then."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from support.command import environment
from support.services import blobs_on_disk, make_wharf
from wharfinger.errors import Infected, NotReady
from wharfinger.service import FileState
from wharfinger.testing import WordScanner

# Takes a file in that is checked later, tells its id, and ends its own process by SIGKILL right
# before or after the named step.
DYING = """
import os, signal, sys
from pathlib import Path
from wharfinger.catalog import Catalog
from wharfinger.service import FileState, Wharf, WharfSettings
from wharfinger.service.checking_settings import CheckingSettings
from wharfinger.service.settling import Settling
from wharfinger.stores.local import LocalStore
from wharfinger.testing import WordScanner

def die(owner, name, *, after):
    original = getattr(owner, name)
    def dying(*arguments, **more):
        if after:
            original(*arguments, **more)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, dying)

data, step, content = sys.argv[1:]
settings = WharfSettings(data=Path(data), checking=CheckingSettings(workers=0, wait=0))
with Wharf(settings, scanner=WordScanner(b"evil")) as wharf:
    wharf.list_files()
    match step:
        case "before it is kept": die(LocalStore, "keep", after=False)
        case "after it is kept": die(LocalStore, "keep", after=True)
    stored = wharf.receive([content.encode()], collection="files", name="a.txt")
    assert stored.state is FileState.CHECKING
    print(stored.id, flush=True)
    match step:
        case "before publishing": die(LocalStore, "publish", after=False)
        case "after publishing": die(LocalStore, "publish", after=True)
        case "before it is settled": die(Settling, "_make_ready", after=False)
        case "before it is refused": die(Settling, "refused", after=False)
        case "after it is settled": die(LocalStore, "delete_part", after=False)
    wharf.checking.run()
print("it did not die")
"""


def died(data: Path, step: str, content: str) -> str:
    """Run it and return the id that it told, if it came to that."""
    ran = subprocess.run(
        [sys.executable, "-c", DYING, str(data), step, content],
        capture_output=True, text=True, check=False, timeout=60, env=environment(),
    )  # fmt: skip
    assert ran.returncode == -signal.SIGKILL, ran
    return ran.stdout.strip()


@pytest.mark.parametrize("step", ["before it is kept", "after it is kept"])
def test_what_was_not_acknowledged_leaves_no_record(tmp_path: Path, step: str) -> None:
    assert died(tmp_path, step, "good") == ""
    with make_wharf(tmp_path) as wharf:
        assert wharf.list_files() == ([], None)


@pytest.mark.parametrize(
    "step", ["before publishing", "after publishing", "before it is settled", "after it is settled"]
)
def test_what_was_acknowledged_is_checked_again_and_kept(tmp_path: Path, step: str) -> None:
    file_id = died(tmp_path, step, "good")
    with make_wharf(tmp_path, scanner=WordScanner(b"evil")) as wharf:
        if step != "after it is settled":
            with pytest.raises(NotReady):
                wharf.open_file(file_id)
            assert wharf.checking.run() == 1
        assert wharf.info(file_id).state is FileState.READY
        with wharf.open_file(file_id) as file:
            assert file.read() == b"good"
        assert wharf.checking.counts() == (0, 0)


@pytest.mark.parametrize("step", ["before it is refused", "after it is settled"])
def test_what_is_infected_is_never_read_whenever_the_process_dies(
    tmp_path: Path, step: str
) -> None:
    file_id = died(tmp_path, step, "evil")
    with make_wharf(tmp_path, scanner=WordScanner(b"evil")) as wharf:
        wharf.checking.run()
        assert wharf.info(file_id).state is FileState.REFUSED
        with pytest.raises(Infected):
            wharf.open_file(file_id)
        assert [
            path for path in blobs_on_disk(tmp_path) if path.parent.parent.name == "files"
        ] == []
