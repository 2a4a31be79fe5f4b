"""After a power cut the sidecar of a partial file vouches for nothing that is not on the disk."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.command import command, environment
from support.peer import Exchange, Handler, response
from support.tracing import finished, tracing
from support.waiting import soon
from wharfinger.client import partial
from wharfinger.errors import Interrupted

CONTENT = bytes((i * 7 + i // 251) % 256 for i in range(3_000_000))
OTHER = CONTENT[::-1]
HERE = Path("/proc/sys/kernel/random/boot_id")


def serving(cut: int | None, asked: list[str | None], *, etag: str = '"v"') -> Handler:
    """Serve ranges of the content; the whole is cut after so many bytes, ranges never are."""

    def handler(exchange: Exchange) -> None:
        wanted = exchange.headers.get("range")
        asked.append(wanted)
        fields = {"ETag": etag, "Accept-Ranges": "bytes"}
        if wanted is None:
            head = response(b"", length=len(CONTENT), fields=fields)
            exchange.send(head + CONTENT[:cut])
            return
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        start, end = int(first), int(last or len(CONTENT) - 1) + 1
        span = f"bytes {start}-{end - 1}/{len(CONTENT)}"
        exchange.send(
            response(
                CONTENT[start:end], status="206 Partial Content", Content_Range=span, fields=fields
            )
        )

    return handler


def fetch(url: str, **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, "out.bin", **options)  # type: ignore[arg-type]


SIDECAR = Path("out.bin.part.json")


def record() -> dict[str, object]:
    """Return what the sidecar says."""
    said: dict[str, object] = json.loads(SIDECAR.read_text())
    return said


def test_what_a_failure_leaves_is_on_the_disk_and_recorded_so(
    peer: StartPeer, folder: Path
) -> None:
    with pytest.raises(Interrupted):
        fetch(peer(serving(1_000_000, [])).url)
    said = record()
    assert (said["synced"], said["validator"]) == (1_000_000, '"v"')
    assert said["boot"] == HERE.read_text().strip()


@pytest.mark.parametrize(
    ("synced", "asked_for"),
    [(1_000_000, "bytes=1000000-"), (400_000, "bytes=400000-"), (2_000_000, "bytes=1000000-"), (0, None)],
)  # fmt: skip
def test_after_the_machine_was_started_anew_only_what_was_synced_is_believed(
    synced: int, asked_for: str | None, peer: StartPeer, folder: Path
) -> None:
    asked: list[str | None] = []
    url = peer(serving(1_000_000, asked)).url
    with pytest.raises(Interrupted):
        fetch(url)
    SIDECAR.write_text(json.dumps(record() | {"synced": synced, "boot": "that of yesterday"}))
    with Path("out.bin.part").open("r+b") as part:  # what the power cut left behind it
        part.seek(synced)
        part.write(bytes(max(1_000_000 - synced, 0)))
    if asked_for is None:
        with pytest.raises(Interrupted):
            fetch(url)
    else:
        fetch(url)
        assert Path("out.bin").read_bytes() == CONTENT
    assert asked[1] == asked_for


def test_after_kill_9_all_that_was_written_is_believed(peer: StartPeer, folder: Path) -> None:
    asked: list[str | None] = []
    held = threading.Event()

    def handler(exchange: Exchange) -> None:
        serving(1_000_000, asked)(exchange)
        if exchange.number == 0:
            held.wait(20)

    url = f"{peer(handler).url}/out.bin"
    process = subprocess.Popen(command("get", url), env=environment())
    part = folder / "out.bin.part"
    assert soon(lambda: part.exists() and part.stat().st_size == 1_000_000)
    process.kill()
    assert process.wait(20) == -signal.SIGKILL
    held.set()
    assert record()["synced"] == 0
    fetch(url)
    assert asked == [None, "bytes=1000000-"]
    assert Path("out.bin").read_bytes() == CONTENT


def test_a_long_download_is_made_durable_on_its_way(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "_SYNCED_EVERY", 1_000_000)
    recorded: list[object] = []

    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"", length=len(CONTENT), ETag='"v"'))
        exchange.send(CONTENT[:2_500_000])
        soon(lambda: SIDECAR.exists() and bool(record()["synced"]))
        recorded.append(record()["synced"])

    with pytest.raises(Interrupted):
        fetch(peer(handler).url)
    on_its_way = recorded[-1]
    assert isinstance(on_its_way, int)
    assert 1_000_000 < on_its_way <= 2_500_000


def test_another_content_is_not_vouched_for_by_the_record_of_the_first(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Interrupted):
        fetch(peer(serving(1_000_000, [])).url)
    before_cut: list[dict[str, object]] = []
    real = os.ftruncate

    def ftruncate(descriptor: int, length: int) -> None:
        before_cut.append(record())
        real(descriptor, length)

    monkeypatch.setattr(os, "ftruncate", ftruncate)
    with pytest.raises(Interrupted):
        fetch(peer(serving(500_000, [], etag='"w"')).url)  # another address: nothing is resumed
    assert (before_cut[0]["validator"], before_cut[0]["synced"]) == ("", 0)


DOWN = """
import sys, wharfinger
try:
    wharfinger.download(sys.argv[1], "out.bin", allow_private=True, retries=0,
                        connections=int(sys.argv[2]))
except wharfinger.WharfingerError as error:
    sys.exit(type(error).__name__)
"""


@pytest.mark.parametrize("connections", [1, 3])
def test_the_data_is_synced_before_the_record_that_vouches_for_it(
    connections: int, peer: StartPeer, folder: Path
) -> None:
    def handler(exchange: Exchange) -> None:
        if "range" in exchange.headers:
            exchange.send(response(status="429 Too Many Requests"))
        else:
            serving(1_100_000, [])(exchange)

    trace = folder / "trace"
    ran = subprocess.run(
        [*tracing(), str(trace), sys.executable, "-c", DOWN, peer(handler).url, str(connections)],
        env=environment(), capture_output=True, check=False, timeout=60,
    )  # fmt: skip
    assert ran.stderr.strip().endswith(b"Interrupted")
    assert soon(lambda: "+++ exited" in trace.read_text())
    calls = [
        re.sub(r"\.wharfinger-[0-9a-f]{16}", "TEMPORARY", line)
        for line in finished(trace.read_text().splitlines())
    ]
    steps = [
        name
        for line in calls
        for pattern, name in (
            (r"^fsync\(\d+<.*/out\.bin\.part>\)", "data synced"),
            (r"^fsync\(\d+<.*/TEMPORARY>\)", "record synced"),
            (r"^rename.*TEMPORARY.*out\.bin\.part\.json", "record there"),
        )
        if re.search(pattern, line)
    ]
    assert steps[-3:] == ["data synced", "record synced", "record there"]
    assert steps.count("data synced") == 1
    assert record()["synced"] == 1_100_000
