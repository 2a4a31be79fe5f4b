"""Stand-alone under uvicorn, in a process of its own: flat memory, clients that leave."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.hosts import uvicorn
from support.measure import (
    MIB,
    Process,
    connection,
    eventually,
    fetch_digest,
    noise_digest,
    send_noise,
)
from support.shells import Browser


@dataclass(frozen=True)
class Host:
    url: str
    data: Path
    process: Process

    @property
    def browser(self) -> Browser:
        return Browser(self.url)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("hosted")
    environment = {"DATA_FOLDER": str(folder / "data")}
    here = Path(__file__).parent
    with uvicorn("hosted:make", here, folder / "log", environment) as (url, process):
        yield Host(url, folder / "data", Process(process.pid))


def test_memory_stays_flat_up_and_down(host: Host) -> None:
    headers = {"Content-Type": "text/plain"}
    assert host.browser.ask("POST", "/uploads/files", b"x", headers).status == 201
    with host.process.memory_growth_below(32 * MIB):
        status, body = send_noise(host.url, "/uploads/files", 256)
        assert status == 201
        record = json.loads(body)
        assert fetch_digest(host.url, record["url"]) == (256 * MIB, record["sha256"])
    assert record["sha256"] == noise_digest(256)


def test_a_client_that_leaves_in_the_middle_of_a_download_frees_the_file(host: Host) -> None:
    _, body = send_noise(host.url, "/uploads/files", 16)
    with connection(host.url) as talk:
        talk.request("GET", json.loads(body)["url"])
        talk.getresponse().read(1000)
        assert host.process.open_below(host.data) != []
    assert eventually(lambda: host.process.open_below(host.data) == [])


@pytest.mark.parametrize(
    "request_of",
    [
        b"Content-Length: 9000000\r\n\r\n" + b"\1" * 3_000_000,
        b"Transfer-Encoding: chunked\r\n\r\n300000\r\n" + b"\1" * 0x300000 + b"\r\n",
    ],
    ids=["with a length", "chunked"],
)
def test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing(
    host: Host, request_of: bytes
) -> None:
    before = host.browser.ask("GET", "/files").json()["files"]
    head = b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Type:\r\n"
    answer = host.browser.raw(head + request_of, half_close=True)
    # uvicorn closes without a word once the client has; it must not say that it worked.
    assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0]
    assert eventually(lambda: host.process.open_below(host.data) == [])
    assert host.browser.ask("GET", "/files").json()["files"] == before
