"""Our own client against our own server by tus: it resumes after kills on either side."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import command, environment
from support.processes import free_port
from support.served import Served, eventually, serve
from wharfinger import Client

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(os.urandom(6 * MIB + 7))
    return path


@pytest.fixture(params=[1, 2], ids=["one process", "two workers"])
def served(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "data", "--workers", str(request.param)) as served:
        yield served


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digests(served: Served) -> list[str]:
    return [one["sha256"] for one in served.browser.ask("GET", "/files").json()["files"]]


@pytest.mark.parametrize("connections", [1, 4])
def test_a_file_arrives(served: Served, file: Path, connections: int) -> None:
    with Client(allow_private=True, headers={"Authorization": f"Bearer {served.token}"}) as client:
        reply = client.upload(
            file, f"{served.url}/uploads/files", protocol="tus", connections=connections
        )
    assert reply.status in {201, 204}
    assert digests(served) == [sha256(file)]


def test_a_client_that_was_killed_goes_on_where_it_was(served: Served, tmp_path: Path) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(os.urandom(48 * MIB))
    run = [
        *command(),
        "put",
        "--json",
        "--protocol",
        "tus",
        str(file),
        f"{served.url}/uploads/files",
    ]
    told = environment({"WHARFINGER_TOKEN": served.token, "WHARFINGER_SERVER": served.url})
    first = subprocess.Popen(run, env=told, stdout=subprocess.DEVNULL)
    staging = served.data / "staging"
    eventually(
        lambda: any(one.stat().st_size > 4 * MIB for one in staging.glob("*.upload")),
        "some bytes arrived",
    )
    first.send_signal(signal.SIGKILL)
    first.wait(20)
    done = subprocess.run(run, env=told, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert digests(served) == [sha256(file)]
    assert json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_server_that_went_away_in_the_middle_is_waited_for(
    tmp_path: Path, number: signal.Signals
) -> None:
    file = tmp_path / "large.bin"
    file.write_bytes(os.urandom(48 * MIB))
    port, data = str(free_port()), tmp_path / "data"
    with serve(data, "--port", port) as served:
        run = [
            *command(), "put", "--retries", "50", "--protocol", "tus", str(file), f"{served.url}/uploads/files",
        ]  # fmt: skip
        told = environment({"WHARFINGER_TOKEN": served.token, "WHARFINGER_SERVER": served.url})
        process = subprocess.Popen(run, env=told, stdout=subprocess.DEVNULL)
        try:
            eventually(
                lambda: any(
                    one.stat().st_size > 4 * MIB for one in (data / "staging").glob("*.upload")
                ),
                "some bytes arrived",
            )
            served.stop(number)
            time.sleep(0.2)
            with serve(data, "--port", port) as again:
                assert process.wait(120) == 0
                assert digests(again) == [sha256(file)]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
