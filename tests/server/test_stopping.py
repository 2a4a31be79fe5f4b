"""Stops and crashes of the process: what runs is finished, what was acknowledged is there."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import http.client
import os
import signal
import socket
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web

from support.served import Served, eventually, serve
from support.services import blobs_on_disk
from wharfinger.server.worker import stop_accepting

MIB = 1024 * 1024
BINARY = {"Content-Type": "application/octet-stream"}


def begin_upload(served: Served, length: int) -> http.client.HTTPConnection:
    """Send a head and the first MiB of a longer body."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    connection.putrequest("POST", "/uploads/files")
    connection.putheader("Authorization", f"Bearer {served.token}")
    connection.putheader("Content-Type", "application/octet-stream")
    connection.putheader("Content-Length", str(length))
    connection.endheaders(bytes(MIB))
    return connection


def test_a_download_that_runs_when_the_server_is_stopped_is_finished(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as served:
        content = os.urandom(MIB) * 32
        record = served.browser.ask("POST", "/uploads/files", content, BINARY).json()
        with served.connect() as sock:
            sock.sendall(
                f"GET {record['url']} HTTP/1.1\r\nHost: x\r\n".encode()
                + served.authorization
                + b"\r\n"
            )
            received = bytearray(sock.recv(65536))
            served.process.send_signal(signal.SIGTERM)
            eventually(lambda: refuses_connections(served), "the listener is closed")
            while piece := sock.recv(MIB):
                received += piece
        _, _, body = bytes(received).partition(b"\r\n\r\n")
        assert hashlib.sha256(body).hexdigest() == record["sha256"]
        assert served.process.wait(20) == 0
        assert "Traceback" not in served.log.read_text("utf-8")


def refuses_connections(served: Served) -> bool:
    try:
        served.connect(1).close()
    except ConnectionRefusedError:
        return True
    return False


def test_an_upload_that_runs_when_the_server_is_stopped_can_still_end_well(
    tmp_path: Path,
) -> None:
    with serve(tmp_path / "data") as served:
        connection = begin_upload(served, 2 * MIB)
        eventually(lambda: staged(served), "the upload has begun")
        served.process.send_signal(signal.SIGTERM)
        eventually(lambda: refuses_connections(served), "the listener is closed")
        connection.send(bytes(MIB))
        answer = connection.getresponse()
        assert answer.status == 201
        answer.read()
        connection.close()
        assert served.process.wait(20) == 0
    assert len(blobs_on_disk(tmp_path / "data")) == 1


def staged(served: Served) -> list[str]:
    return [path for path in served.open_files() if "/staging/" in path]


SHORT_PATIENCE = "import wharfinger.server.worker as r; r._STOP_SECONDS = 0.2"


def test_an_upload_that_never_ends_does_not_keep_the_server_and_leaves_nothing(
    tmp_path: Path,
) -> None:
    with serve(tmp_path / "data", before=SHORT_PATIENCE) as served:
        connection = begin_upload(served, 64 * MIB)
        eventually(lambda: staged(served), "the upload has begun")
        assert served.stop(patience=20) == 0
        connection.close()
    assert blobs_on_disk(tmp_path / "data") == []
    with serve(tmp_path / "data") as served:
        assert served.browser.ask("GET", "/files").json()["files"] == []


def test_after_kill_9_among_many_uploads_everything_acknowledged_is_there(tmp_path: Path) -> None:
    """Eight senders, raw and form in turn; the process dies while all of them are sending."""
    data = tmp_path / "data"
    acknowledged: list[tuple[Mapping[str, object], bytes]] = []
    dead = threading.Event()
    with serve(data) as served:

        def send(sender: int) -> None:
            number = 0
            while not dead.is_set():
                number += 1
                content = bytes([sender]) * 7 + number.to_bytes(4, "big") + os.urandom(200_000)
                try:
                    answer = served.browser.ask("POST", "/uploads/files", content, BINARY)
                except (OSError, http.client.HTTPException):
                    return
                assert answer.status == 201, answer
                acknowledged.append((answer.json(), content))

        threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        eventually(lambda: len(acknowledged) >= 60, "enough uploads were acknowledged")
        os.kill(served.pid, signal.SIGKILL)
        assert served.process.wait(10) == -signal.SIGKILL
        dead.set()
        for thread in threads:
            thread.join()
    with serve(data) as served:
        assert [path for path in (data / "staging").iterdir() if path.is_file()] == []
        for record, content in acknowledged:
            assert served.browser.ask("GET", str(record["url"])).body == content
        listed = served.browser.ask("GET", "/files?limit=1000").json()["files"]
        known = {str(record["id"]) for record, _ in acknowledged}
        # A file whose answer was lost on the way may be there, whole; nothing else.
        extra = [record for record in listed if record["id"] not in known]
        assert len(listed) - len(extra) == len(known)
        assert len(extra) <= 8
        for record in extra:
            body = served.browser.ask("GET", record["url"]).body
            assert hashlib.sha256(body).hexdigest() == record["sha256"]
            assert len(body) == record["size"] == 200_011


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["kill -9", "stop"])
def test_after_the_end_of_a_process_nothing_of_an_unfinished_upload_is_left(
    tmp_path: Path, number: int
) -> None:
    with serve(tmp_path / "data", before=SHORT_PATIENCE) as served:
        connection = begin_upload(served, 8 * MIB)
        eventually(lambda: staged(served), "the upload has begun")
        served.stop(number)
        connection.close()
    assert blobs_on_disk(tmp_path / "data") == []


@pytest.mark.parametrize("turns", range(5))
def test_a_connection_that_is_accepted_while_the_server_stops_is_not_lost(turns: int) -> None:
    """Each turn of the loop is a step of accepting; stopping in any of them leaks no socket."""

    async def answer(_: web.BaseRequest) -> web.Response:
        return web.Response()

    async def stop_while_accepting(listener: socket.socket) -> None:
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        site = web.SockSite(runner, listener)
        await site.start()
        await asyncio.sleep(0.02)
        with socket.create_connection(listener.getsockname()):
            for _ in range(turns):
                await asyncio.sleep(0)
            await stop_accepting(listener)
            await site.stop()
            await asyncio.sleep(0.02)
            await runner.cleanup()

    with socket.create_server(("127.0.0.1", 0)) as listener, warnings.catch_warnings():
        listener.setblocking(False)
        warnings.simplefilter("error", ResourceWarning)
        asyncio.run(stop_while_accepting(listener))
        gc.collect()
