"""The running server removes what has expired, without being asked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from support.served import eventually, serve
from support.services import blobs_on_disk, make_wharf
from wharfinger import Wharf

OFTEN = "import wharfinger.server.worker as r; r._SWEEP_SECONDS = 0.1"


def put_long_ago(data: Path) -> str:
    """Put a file into a collection whose files live a minute, an hour ago."""
    with make_wharf(data, clock=lambda: datetime.now(UTC) - timedelta(hours=1)) as wharf:  # type: ignore[arg-type]
        return wharf.receive([b"old"], collection="brief", name="old.txt").id


def test_the_first_sweep_removes_what_expired_while_nobody_ran(tmp_path: Path) -> None:
    data = tmp_path / "data"
    put_long_ago(data)
    with Wharf.open(data) as wharf:
        kept = wharf.receive([b"kept"], collection="files", name="kept.txt").id
    assert len(blobs_on_disk(data)) == 2
    with serve(data) as served:
        eventually(lambda: len(blobs_on_disk(data)) == 1, "the expired file is removed")
        assert served.browser.ask("GET", f"/files/{kept}").body == b"kept"


def test_it_sweeps_again_and_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve(data, before=OFTEN) as served:
        for _ in range(2):
            old = put_long_ago(data)
            eventually(lambda: blobs_on_disk(data) == [], "the expired file is removed")
            assert served.browser.ask("GET", f"/files/{old}").status == 404
        eventually(lambda: "swept:" in served.log.read_text("utf-8"), "the log tells")


def test_a_sweep_that_fails_is_tried_again(tmp_path: Path) -> None:
    data = tmp_path / "data"
    failing = (
        f"{OFTEN}\nfrom wharfinger import Wharf\nfrom wharfinger.errors import Unavailable\n"
        "sweep, calls = Wharf.sweep, []\n"
        "def once(self):\n"
        "    calls.append(1)\n"
        "    if len(calls) < 3: raise Unavailable('busy')\n"
        "    return sweep(self)\n"
        "Wharf.sweep = once"
    )
    put_long_ago(data)
    with serve(data, before=failing) as served:
        eventually(lambda: blobs_on_disk(data) == [], "the expired file is removed")
        assert served.log.read_text("utf-8").count("the sweep failed and is tried again") == 2
