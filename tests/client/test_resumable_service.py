"""Resumable uploads by our client to our service, in each shell, over networks that break."""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cutting import Cutting
from support.processes import free_port
from support.services import make_wharf, token
from support.shells import SHELLS, Browser, running
from wharfinger import Client, Reply, Wharf, aio
from wharfinger.errors import ResponseError, TooLarge, TransferError

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "wharfinger"


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


@pytest.fixture(params=SHELLS)
def browser(request: pytest.FixtureRequest, wharf: Wharf) -> Iterator[Browser]:
    with running(str(request.param), wharf) as url:
        yield Browser(url, token(wharf))


@pytest.fixture
def server(wharf: Wharf) -> Iterator[Browser]:
    """The stand-alone server, which sends interim answers."""
    with running("server", wharf) as url:
        yield Browser(url, token(wharf))


def make_file(folder: Path, size: int) -> Path:
    path = folder / "a.bin"
    path.write_bytes(os.urandom(size))
    return path


def put(
    file: Any, browser: Browser, *, via: str = "", retries: int = 3, protocol: str = "resumable",
    collection: str = "files", **options: Any,
) -> Reply:  # fmt: skip
    url = f"{via or browser.url}/uploads/{collection}"
    with Client(allow_private=True, retries=retries, timeout=10, sleep=lambda _: None) as client:
        return client.upload(file, url, protocol=protocol, auth=browser.token, **options)


def same(reply: Reply, file: Path) -> bool:
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return bool(reply.json()["sha256"] == sha256)


def kept(state: Path) -> list[Path]:
    return list(state.glob("*.upload.json")) if state.exists() else []


@pytest.mark.parametrize("size", [0, 1, MIB, 5 * MIB, 20 * MIB])
def test_a_file_arrives_whole_and_nothing_is_remembered(
    browser: Browser, tmp_path: Path, state: Path, size: int
) -> None:
    file = make_file(tmp_path, size)
    reply = put(file, browser, digest=True)
    assert reply.status == 201
    assert same(reply, file)
    assert reply.json()["name"] == "a.bin"
    assert reply.url == f"{browser.url}{reply.json()['url']}"
    assert kept(state) == []


def test_requests_can_be_small(browser: Browser, tmp_path: Path) -> None:
    file = make_file(tmp_path, 3 * MIB + 1)
    assert same(put(file, browser, chunk_size="1 MiB"), file)


def test_a_stream_is_sent_without_a_length(browser: Browser, tmp_path: Path) -> None:
    class Pipe(io.RawIOBase):
        def __init__(self, data: bytes) -> None:
            self._data = io.BytesIO(data)

        def readable(self) -> bool:
            return True

        def read(self, size: int = -1) -> bytes:
            return self._data.read(size)

    file = make_file(tmp_path, 5 * MIB)
    assert same(put(Pipe(file.read_bytes()), browser, chunk_size="2 MiB"), file)
    assert put(Pipe(b""), browser).json()["size"] == 0


def test_a_large_file_goes_on_where_it_was_cut_in_every_shell(
    browser: Browser, tmp_path: Path
) -> None:
    file = make_file(tmp_path, 20 * MIB)
    with Cutting(browser.url, cuts=[7 * MIB, 100 * 1024, 5 * MIB]) as proxy:
        assert same(put(file, browser, via=proxy.url), file)
        assert proxy.connections >= 4


def test_a_creation_that_is_cut_goes_on_where_its_interim_answer_said(
    server: Browser, tmp_path: Path
) -> None:
    file = make_file(tmp_path, 3 * MIB)
    moved = []
    with Cutting(server.url, cuts=[2 * MIB]) as proxy:
        reply = put(file, server, via=proxy.url, progress=lambda now: moved.append(now.done))
    assert same(reply, file)
    assert moved[-1] == 3 * MIB


def test_the_next_run_goes_on_with_what_the_last_one_left(
    browser: Browser, tmp_path: Path, state: Path, wharf: Wharf
) -> None:
    file = make_file(tmp_path, 12 * MIB)
    with Cutting(browser.url, cuts=[8 * MIB] * 3) as proxy:
        with pytest.raises(TransferError) as caught:
            put(file, browser, via=proxy.url, retries=0)
        assert "goes on" in caught.value.hint
        (left,) = kept(state)
        where = json.loads(left.read_text())["parts"][0]["url"]
        proxy.cuts.clear()
        reply = put(file, browser, via=proxy.url)
    assert same(reply, file)
    assert wharf.uploads.find(where.rpartition("/")[2], None).file_id == reply.json()["id"]
    assert kept(state) == []


def test_what_the_server_forgot_is_begun_anew(
    server: Browser, tmp_path: Path, wharf: Wharf
) -> None:
    file = make_file(tmp_path, 12 * MIB)
    state = tmp_path / "state" / "wharfinger"
    with Cutting(server.url, cuts=[8 * MIB] * 3) as proxy:
        with pytest.raises(TransferError):
            put(file, server, via=proxy.url, retries=0)
        (left,) = kept(state)
        wharf.uploads.end(json.loads(left.read_text())["parts"][0]["url"].rpartition("/")[2])
        assert same(put(file, server, via=proxy.url), file)


def test_a_lost_last_answer_is_asked_for_again(
    server: Browser, tmp_path: Path, state: Path
) -> None:
    file = make_file(tmp_path, 3 * MIB)
    begun = server.ask("POST", "/uploads/files", b"", {"Upload-Complete": "?0"})
    fields = {"Upload-Offset": "0", "Upload-Complete": "?1",
              "Content-Type": "application/partial-upload"}  # fmt: skip
    stored = server.ask("PATCH", begun.headers["location"], file.read_bytes(), fields).json()
    with Cutting(server.url, cuts=[MIB]) as proxy:
        with pytest.raises(TransferError):
            put(file, server, via=proxy.url, retries=0)
        # What a run leaves that was killed before the last answer: the address of a whole upload.
        (left,) = kept(state)
        record = json.loads(left.read_text())
        record["parts"][0]["url"] = proxy.url + begun.headers["location"]
        left.write_text(json.dumps(record))
        assert put(file, server, via=proxy.url).json() == stored


def test_what_is_too_large_is_not_sent(server: Browser, tmp_path: Path) -> None:
    with pytest.raises(TooLarge, match="the server takes"):
        put(make_file(tmp_path, 5 * MIB), server, collection="small")
    with pytest.raises(ResponseError) as caught:
        put(make_file(tmp_path, MIB), server, collection="small", retries=3)
    assert caught.value.status == 413


def test_a_refusal_is_final(browser: Browser, tmp_path: Path, state: Path) -> None:
    file = tmp_path / "a.png"
    file.write_bytes(b"%PDF-1.7\n" + bytes(5 * MIB))
    with pytest.raises(ResponseError) as caught:
        put(file, browser)
    assert caught.value.status == 415
    assert kept(state) == []


def test_auto_takes_the_resumable_protocol_for_a_large_file_alone(
    browser: Browser, tmp_path: Path
) -> None:
    large, small = make_file(tmp_path, 9 * MIB), tmp_path / "small.bin"
    small.write_bytes(b"small")
    assert "sha256" in put(large, browser, protocol="auto").json()
    assert "files" in put(small, browser, protocol="auto").json()
    assert put(large, browser, protocol="auto", fields={"a": "b"}).json()["fields"] == {"a": "b"}


async def _twin(file: Path, browser: Browser) -> Reply:
    return await aio.upload(
        file, f"{browser.url}/uploads/files", protocol="resumable", auth=browser.token,
        allow_private=True,
    )  # fmt: skip


def test_the_asynchronous_twin_does_the_same(server: Browser, tmp_path: Path) -> None:
    import asyncio

    file = make_file(tmp_path, 5 * MIB)
    assert same(asyncio.run(_twin(file, server)), file)


# --- processes that die -------------------------------------------------------------------


def serve(folder: Path, port: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-m", "wharfinger", "serve", "--json", "--data", str(folder),
         "--port", str(port)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    assert said.get("event") == "listening", said
    return process


def kill(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    if process.stdout is not None:
        process.stdout.close()


def test_client_and_server_are_killed_and_the_upload_goes_on(tmp_path: Path, state: Path) -> None:
    data, port = tmp_path / "served", free_port()
    server = serve(data, port)
    try:
        secret = (data / "admin-token").read_text().strip()
        file = make_file(tmp_path, 16 * MIB)
        with Cutting(f"http://127.0.0.1:{port}", pause=0.005) as proxy:
            command = [sys.executable, "-m", "wharfinger", "put", "--json", "--protocol",
                       "resumable", str(file), f"{proxy.url}/uploads/files"]  # fmt: skip
            environment = {**os.environ, "WHARFINGER_TOKEN": secret, "WHARFINGER_SERVER": proxy.url}
            client = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
            browser = Browser(f"http://127.0.0.1:{port}", secret)
            until = time.monotonic() + 20
            while not kept(state) or not kept(state)[0].read_text():
                assert time.monotonic() < until
                time.sleep(0.02)
            time.sleep(1.2)  # a part of it is on its way
            kill(client)
            kill(server)
            server = serve(data, port)
            path = json.loads(kept(state)[0].read_text())["parts"][0]["url"]
            path = "/uploads/" + path.partition("/uploads/")[2]
            offset = int(browser.ask("HEAD", path).headers["upload-offset"])
            assert 0 < offset < 16 * MIB
            proxy.pause = 0.0
            done = subprocess.run(
                command, env=environment, capture_output=True, timeout=60, check=True
            )
        record = json.loads(done.stdout)
        assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
        assert kept(state) == []
    finally:
        kill(server)
