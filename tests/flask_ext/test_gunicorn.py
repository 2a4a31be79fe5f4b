"""The extension under gunicorn with threads: sendfile, flat memory, clients that leave."""

from __future__ import annotations

import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import samples
from support.hosts import gunicorn
from support.measure import (
    MIB,
    Process,
    connection,
    eventually,
    fetch_digest,
    noise_digest,
    send_noise,
)
from support.require import program, require
from support.shells import Browser

SPARSE_SIZE = 200 * 1000 * 1000
MARK = b"the mark near the end"
MARK_AT = SPARSE_SIZE - 1000


@dataclass(frozen=True)
class Host:
    url: str
    folder: Path
    worker: Process
    token: str

    @property
    def browser(self) -> Browser:
        return Browser(self.url)


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("hosted")
    (folder / "public").mkdir()
    with (folder / "public" / "sparse.bin").open("wb") as file:
        file.truncate(SPARSE_SIZE)
        file.seek(MARK_AT)
        file.write(MARK)
    target = f"hosted:make({str(folder)!r})"
    with gunicorn(target, Path(__file__).parent, folder / "log") as (url, _):
        pid = int(Browser(url).ask("GET", "/pid").body)
        secret = Browser(url).ask("GET", "/token").body.decode()
        yield Host(url, folder, Process(pid), secret)


def curl(*arguments: str, stdin: bytes | None = None) -> bytes:
    done = subprocess.run(
        [program("curl"), "-sS", "--max-time", "30", *arguments],
        input=stdin, capture_output=True, check=True,
    )  # fmt: skip
    return done.stdout


def test_curl_sends_a_chunked_body_because_gunicorn_shows_its_end(host: Host) -> None:
    for more in ([], ["-F", "note=hello"]):
        if more:
            arguments = [*more, "-F", "file=@-;filename=a.txt", "-H", "Transfer-Encoding: chunked"]
        else:
            arguments = ["-X", "POST", "-T", "-", "-H", "Content-Type: text/plain"]
        answer = curl(*arguments, f"{host.url}/receive", stdin=samples.TEXT)
        assert json.loads(answer)["size"] == len(samples.TEXT), answer


@pytest.mark.parametrize(
    "request_of",
    [
        b"Content-Length: 1000000\r\n\r\n" + b"\1" * 500_000,
        b"Transfer-Encoding: chunked\r\n\r\n80000\r\n" + b"\1" * 0x80000 + b"\r\n80000\r\n\1\1",
        b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
    ],
    ids=["with a length", "in the middle of a chunk", "without the last chunk"],
)
def test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing(
    host: Host, request_of: bytes
) -> None:
    before = host.browser.ask("GET", "/count").body
    head = b"POST /receive HTTP/1.1\r\nHost: x\r\nContent-Type:\r\nConnection: close\r\n"
    answer = host.browser.raw(head + request_of, half_close=True)
    assert answer.split(b" ")[1] == b"400"
    assert b"length-mismatch" in answer
    assert host.browser.ask("GET", "/count").body == before
    assert eventually(lambda: host.worker.open_below(host.folder / "data") == [])


@pytest.mark.parametrize(
    "body",
    [
        b"zz\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhelloXX0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nno trailer\r\n\r\n",
        b"5;" + b"a" * 20_000 + b"\r\nhello\r\n0\r\n\r\n",
    ],
    ids=["no number", "no end of a chunk", "a malformed trailer", "a long extension"],
)
@pytest.mark.parametrize("path", [b"/receive", b"/storage/uploads/files"])
def test_malformed_chunks_are_400_and_leave_nothing(host: Host, path: bytes, body: bytes) -> None:
    before = host.browser.ask("GET", "/count").body
    answer = host.browser.raw(
        b"POST %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: text/plain\r\n"
        b"Authorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n%s"
        % (path, host.token.encode(), body)
    )
    assert answer.split(b" ")[1] == b"400"
    assert b"\r\nContent-Type: application/problem+json\r\n" in answer
    assert host.browser.ask("GET", "/count").body == before


@pytest.mark.parametrize("path", ["/sparse", "/opened"])
def test_a_late_range_of_a_large_file_reads_only_what_was_asked(host: Host, path: str) -> None:
    asked = {"Range": f"bytes={MARK_AT}-{MARK_AT + len(MARK) - 1}"}
    host.browser.ask("GET", path, headers=asked)
    before = host.worker.bytes_read()
    answer = host.browser.ask("GET", path, headers=asked)
    read = host.worker.bytes_read() - before
    assert (answer.status, answer.body) == (206, MARK)
    assert read < MIB, f"{read} bytes read to send {len(MARK)}"


def test_an_early_range_of_a_large_file_reads_only_what_was_asked(host: Host) -> None:
    before = host.worker.bytes_read()
    answer = host.browser.ask("GET", "/sparse", headers={"Range": "bytes=10-19"})
    read = host.worker.bytes_read() - before
    assert (answer.status, answer.body) == (206, bytes(10))
    assert read < MIB, f"{read} bytes read to send 10"


def test_a_range_of_memory_is_sent(host: Host) -> None:
    answer = host.browser.ask("GET", "/memory", headers={"Range": "bytes=2-3"})
    assert (answer.status, answer.body) == (206, b"23")


def test_head_sends_nothing(host: Host) -> None:
    answer = host.browser.ask("HEAD", "/sparse")
    assert (answer.body, answer.headers["content-length"]) == (b"", str(SPARSE_SIZE))


def test_ranges_and_whole_files_are_sent_by_the_kernel(host: Host, tmp_path: Path) -> None:
    strace = program("strace")
    trace = tmp_path / "trace"
    worker = host.browser.ask("GET", "/pid").body.decode()
    tracer = subprocess.Popen(
        [strace, "-f", "-qq", "-e", "trace=sendfile", "-o", str(trace), "-p", worker],
        stderr=subprocess.PIPE,
    )
    try:
        attached = Path("/proc") / worker / "status"
        traced = eventually(lambda: f"TracerPid:\t{tracer.pid}" in attached.read_text(), 5)
        require(traced, "this machine does not let one process trace another")
        part = host.browser.ask("GET", "/sparse", headers={"Range": "bytes=100000000-149999999"})
        whole = fetch_digest(host.url, "/sparse")
    finally:
        tracer.terminate()
        tracer.communicate(timeout=10)
    assert (len(part.body), whole[0]) == (50_000_000, SPARSE_SIZE)
    calls = [line for line in trace.read_text().splitlines() if "sendfile" in line]
    sent = sum(int(line.rpartition("= ")[2].split()[0]) for line in calls if "= -" not in line)
    assert sent == 50_000_000 + SPARSE_SIZE


def test_memory_stays_flat_up_and_down(host: Host) -> None:
    host.browser.ask("POST", "/receive", b"x", {"Content-Type": "text/plain"})
    with host.worker.memory_growth_below(32 * MIB):
        status, body = send_noise(host.url, "/receive", 256)
        assert status == 200
        record = json.loads(body)
        assert fetch_digest(host.url, f"/files/{record['id']}") == (
            256 * MIB,
            record["sha256"],
        )
    assert record["sha256"] == noise_digest(256)


def test_a_generator_waits_for_a_slow_client_and_is_closed_when_it_leaves(host: Host) -> None:
    parts = urlsplit(host.url)

    def state() -> dict[str, int]:
        found: dict[str, int] = host.browser.ask("GET", "/state").json()
        return found

    closed = state()["closed"]
    with socket.create_connection((parts.hostname, parts.port), timeout=20) as sock:
        sock.sendall(b"GET /endless HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        seen = [-1, -2]

        def stands_still() -> bool:
            seen.append(state()["made"])
            return seen[-1] == seen[-2] == seen[-3]

        assert eventually(stands_still)
        # What the sockets hold between them, and no more.
        assert seen[-1] < 16 * MIB
    assert eventually(lambda: state()["closed"] == closed + 1)


def test_a_client_that_leaves_in_the_middle_of_a_download_frees_the_file(host: Host) -> None:
    with connection(host.url) as talk:
        talk.request("GET", "/sparse")
        talk.getresponse().read(1000)
        assert host.worker.open_below(host.folder / "public") != []
    assert eventually(lambda: host.worker.open_below(host.folder / "public") == [])
