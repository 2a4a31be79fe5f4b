"""Uploads by tus to servers of other people, over bad networks, and across crashes."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import pytest

from support.command import command, environment
from support.processes import free_port, running
from support.require import module
from support.tus_server import tus_server
from wharfinger import Client, Reply

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


@pytest.fixture
def endpoint(tmp_path: Path) -> Iterator[str]:
    with tus_server(tmp_path, free_port()) as url:
        yield url


def put(file: object, url: str, **options: object) -> Reply:
    options = {"retries": 3, "timeout": 10, **options}
    retries, timeout = options.pop("retries"), options.pop("timeout")
    with Client(
        allow_private=True,
        retries=retries,  # type: ignore[arg-type]
        timeout=timeout,  # type: ignore[arg-type]
        sleep=lambda seconds: time.sleep(min(seconds, 0.2)),
    ) as client:
        return client.upload(file, url, protocol="tus", **options)  # type: ignore[arg-type]


def kept(folder: Path, reply: Reply) -> bytes:
    assert reply.url is not None
    return (folder / "tus" / reply.url.rpartition("/")[2]).read_bytes()


class Cutter:
    """A proxy that breaks each connection after some bytes, up to a number of times."""

    def __init__(self, port: int, *, after: int, times: int) -> None:
        self._target, self._after, self.left = port, after, times
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(10)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            back = threading.Thread(target=self._pump, args=(server, client, None), daemon=True)
            back.start()
            self._pump(client, server, self._after)
            back.join(10)

    def _pump(self, source: socket.socket, target: socket.socket, limit: int | None) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                passed += len(data)
                if limit is not None and passed > limit and self.left > 0:
                    self.left -= 1
                    break
        for sock in (source, target):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)


def test_the_reference_server_gets_a_file_with_its_metadata(endpoint: str, folder: Path) -> None:
    (folder / "Übersicht.bin").write_bytes(os.urandom(5 * MIB))
    reply = put("Übersicht.bin", endpoint, fields={"user": "7"})
    assert kept(folder, reply) == (folder / "Übersicht.bin").read_bytes()
    assert reply.url is not None
    info = json.loads((folder / "tus" / f"{reply.url.rpartition('/')[2]}.json").read_text())
    assert info["metadata"]["filename"] == "Übersicht.bin"
    assert info["metadata"]["user"] == "7"
    assert base64.b64encode(b"7") == b"Nw=="


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1])
def test_the_reference_server_gets_every_size(size: int, endpoint: str, folder: Path) -> None:
    content = os.urandom(size)
    assert kept(folder, put(content, endpoint)) == content


def test_the_reference_server_gets_chunks_and_streams(endpoint: str, folder: Path) -> None:
    content = os.urandom(3 * MIB + 7)
    assert kept(folder, put(content, endpoint, chunk_size=MIB, connections=4)) == content
    read, write = os.pipe()
    feeder = threading.Thread(target=lambda: _feed(write, content))
    feeder.start()
    with os.fdopen(read, "rb") as stream:
        assert kept(folder, put(stream, endpoint, chunk_size=MIB)) == content
    feeder.join()


def _feed(descriptor: int, content: bytes) -> None:
    with os.fdopen(descriptor, "wb") as pipe:
        pipe.write(content)


def test_a_network_that_cuts_every_connection_only_slows_it_down(
    endpoint: str, folder: Path
) -> None:
    (folder / "a.bin").write_bytes(os.urandom(8 * MIB))
    port = int(endpoint.removesuffix("/files").rpartition(":")[2])
    with Cutter(port, after=MIB, times=5) as cutter:
        reply = put("a.bin", f"http://127.0.0.1:{cutter.port}/files")
        assert cutter.left == 0
    assert kept(folder, reply) == (folder / "a.bin").read_bytes()


def test_a_server_that_restarts_in_the_middle_gets_the_rest(folder: Path) -> None:
    content = os.urandom(6 * MIB)
    (folder / "a.bin").write_bytes(content)
    port = free_port()
    restarted = threading.Event()
    with contextlib.ExitStack() as stack:
        first = stack.enter_context(contextlib.ExitStack())
        url = first.enter_context(tus_server(folder, port))

        def restart(event: object) -> None:
            if getattr(event, "done", 0) >= 2 * MIB and not restarted.is_set():
                restarted.set()
                first.close()
                stack.enter_context(tus_server(folder, port))

        reply = put("a.bin", url, chunk_size=MIB, progress=restart, retries=5)
    assert restarted.is_set()
    assert kept(folder, reply) == content


def test_after_kill_9_the_next_run_sends_only_the_rest(endpoint: str, folder: Path) -> None:
    content = os.urandom(24 * MIB)
    (folder / "a.bin").write_bytes(content)
    words = command("put", "--protocol", "tus", "--chunk-size", "1 MiB", "a.bin", endpoint)
    process = subprocess.Popen(words, env=environment(), stdout=subprocess.DEVNULL)
    files = folder / "tus"
    until = time.monotonic() + 30
    while time.monotonic() < until and process.poll() is None:
        if any(path.stat().st_size > 2 * MIB for path in files.iterdir()):
            break
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait(10) == -signal.SIGKILL
    (arrived,) = [path for path in files.iterdir() if path.suffix != ".json"]
    before = arrived.stat().st_size
    assert 0 < before < len(content)
    again = subprocess.run(
        [*words, "--json"], env=environment(), capture_output=True, check=True, timeout=60
    )
    assert json.loads(again.stdout)["url"].endswith(arrived.name)
    assert arrived.read_bytes() == content
    assert len([path for path in files.iterdir() if path.suffix != ".json"]) == 1
    assert list((folder / "state" / "wharfinger").iterdir()) == []


def test_a_python_server_gets_a_file(folder: Path) -> None:
    module("tuspyserver")
    module("uvicorn")
    (folder / "app.py").write_text(
        "from fastapi import FastAPI\nfrom tuspyserver import create_tus_router\n"
        "app = FastAPI()\napp.include_router(create_tus_router(files_dir='kept', prefix='files'))\n"
    )
    content = os.urandom(3 * MIB)
    (folder / "a.bin").write_bytes(content)
    port = free_port()
    words = [sys.executable, "-W", "ignore", "-m", "uvicorn", "app:app", "--port", str(port)]
    with running(words, port, folder / "log"):
        reply = put("a.bin", f"http://127.0.0.1:{port}/files/", chunk_size=MIB)
    assert reply.url is not None
    assert (folder / "kept" / reply.url.rpartition("/")[2]).read_bytes() == content
