"""Files leave the server by sendfile, from memory; a slow disk or a broken client is nobody else's matter."""

from __future__ import annotations

import asyncio
import os
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from support.served import Served, eventually, serve
from support.services import make_wharf
from support.shells import Browser, stand_alone
from wharfinger import Wharf
from wharfinger.server import sending
from wharfinger.stores import MemoryStore
from wharfinger.units import MIB

CONTENT = os.urandom(12 * MIB + 345)
PARTS = {
    "the whole": ("", [(0, len(CONTENT))]),
    "a range": ("bytes=1000000-9999999", [(1_000_000, 10_000_000)]),
    "parts": ("bytes=5000000-11999999,0-2999999", [(5_000_000, 12_000_000), (0, 3_000_000)]),
}


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


@pytest.fixture
def browser(wharf: Wharf) -> Iterator[Browser]:
    with stand_alone(wharf) as url:
        yield Browser(url)


def put(wharf: Wharf, content: bytes = CONTENT) -> str:
    return f"/files/{wharf.receive([content], collection='public', name='a.bin').id}"


def contents(browser: Browser, path: str, asked: str) -> list[bytes]:
    """Ask for a file and return the contents of its parts."""
    answer = browser.ask("GET", path, headers={"Range": asked} if asked else {})
    assert answer.headers["content-length"] == str(len(answer.body))
    found = re.fullmatch(r"multipart/byteranges; boundary=(\w+)", answer.headers["content-type"])
    if found is None:
        return [answer.body]
    parts = answer.body.split(f"--{found[1]}".encode())
    return [part.partition(b"\r\n\r\n")[2][:-2] for part in parts[1:-1]]


def read_by_us(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list that grows by the size of each block that is read instead of sent by the system."""
    sizes: list[int] = []
    plain = sending._read_at

    def counted(file: Any, position: int, size: int) -> bytes:
        sizes.append(size)
        return plain(file, position, size)

    monkeypatch.setattr(sending, "_read_at", counted)
    return sizes


@pytest.mark.parametrize(("asked", "spans"), PARTS.values(), ids=list(PARTS))
def test_whole_files_ranges_and_parts_leave_by_sendfile(
    wharf: Wharf,
    browser: Browser,
    monkeypatch: pytest.MonkeyPatch,
    asked: str,
    spans: list[tuple[int, int]],
) -> None:
    blocks = read_by_us(monkeypatch)
    assert contents(browser, put(wharf), asked) == [CONTENT[start:end] for start, end in spans]
    assert blocks == []


@pytest.mark.parametrize(("asked", "spans"), PARTS.values(), ids=list(PARTS))
@pytest.mark.parametrize("why", ["TLS", "a file system without sendfile", "no file at all"])
def test_what_cannot_be_sent_so_is_read_in_blocks_of_at_most_a_mebibyte(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    why: str,
    asked: str,
    spans: list[tuple[int, int]],
) -> None:
    blocks = read_by_us(monkeypatch)

    async def unavailable(*_: object, **__: object) -> int:
        raise asyncio.SendfileNotAvailableError

    if why == "TLS":
        monkeypatch.setattr(sending, "_is_plain", lambda _: False)
    elif why == "a file system without sendfile":
        monkeypatch.setattr(asyncio.SelectorEventLoop, "sendfile", unavailable)
    store = MemoryStore() if why == "no file at all" else None
    with make_wharf(tmp_path / "other", store=store) as wharf, stand_alone(wharf) as url:
        found = contents(Browser(url), put(wharf), asked)
    assert found == [CONTENT[start:end] for start, end in spans]
    assert sum(blocks) == sum(end - start for start, end in spans)
    assert max(blocks) <= MIB


def test_what_is_not_in_memory_is_read_by_a_thread_before_it_is_sent(
    wharf: Wharf, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As if the disk were so slow, and the memory so small, that nothing is ever there.
    monkeypatch.setattr(sending, "is_in_memory", lambda *_: False)
    plain, read = sending._bring_in, set[tuple[int, int]]()
    threads = set[str]()

    def watched(descriptor: int, start: int, length: int) -> None:
        plain(descriptor, start, length)
        threads.add(threading.current_thread().name)
        read.add((start, start + length))

    sent: list[tuple[int, int]] = []
    system = asyncio.SelectorEventLoop.sendfile

    async def checked(self: Any, transport: Any, file: Any, at: int, size: int, **more: Any) -> int:
        assert any(start <= at and at + size <= end for start, end in read), (at, size, read)
        sent.append((at, at + size))
        return await system(self, transport, file, at, size, **more)

    monkeypatch.setattr(sending, "_bring_in", watched)
    monkeypatch.setattr(asyncio.SelectorEventLoop, "sendfile", checked)
    assert contents(browser, put(wharf), "") == [CONTENT]
    assert sent[0][0] == 0
    assert sent[-1][1] == len(CONTENT)
    assert len(sent) > 2
    assert all(name.startswith("ThreadPool") for name in threads)


def test_a_disk_that_does_not_answer_holds_up_nobody_else(
    wharf: Wharf, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = CONTENT[:3_000_000]
    plain_look, plain_read = sending.is_in_memory, sending._bring_in
    answers, waiting = threading.Event(), threading.Semaphore(0)

    def look(descriptor: int, start: int, length: int) -> bool:
        is_slow = os.fstat(descriptor).st_size == len(slow) and not answers.is_set()
        return not is_slow and plain_look(descriptor, start, length)

    def read(descriptor: int, start: int, length: int) -> None:
        waiting.release()
        assert answers.wait(30)
        plain_read(descriptor, start, length)

    monkeypatch.setattr(sending, "is_in_memory", look)
    monkeypatch.setattr(sending, "_bring_in", read)
    stuck, fast, small = put(wharf, slow), put(wharf), put(wharf, b"small")
    with ThreadPoolExecutor(4) as clients:
        held = [clients.submit(contents, browser, stuck, "") for _ in range(4)]
        for _ in held:
            assert waiting.acquire(timeout=30)
        # All of them wait for the disk, and these do not.
        assert contents(browser, fast, "") == [CONTENT]
        assert contents(browser, small, "") == [b"small"]
        assert browser.ask("GET", "/health/ready").status == 200
        assert not any(one.done() for one in held)
        answers.set()
        assert [one.result(30) for one in held] == [[slow]] * 4


def test_what_is_in_memory_is_told_from_what_is_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    with path.open("rb") as file:
        descriptor = file.fileno()
        os.fsync(descriptor)
        if not sending.is_in_memory(descriptor, 0, len(CONTENT)):
            pytest.skip("this file system does not tell")
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if sending.is_in_memory(descriptor, 0, len(CONTENT)):
            pytest.skip("this file system keeps everything in memory")
        sending._bring_in(descriptor, 0, len(CONTENT))
        assert sending.is_in_memory(descriptor, 0, len(CONTENT))
        assert sending.is_in_memory(descriptor, len(CONTENT) - 1, 1)


def test_a_file_that_becomes_shorter_while_it_is_sent_ends_the_connection(
    wharf: Wharf, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    import http.client

    path = put(wharf)
    (stored,) = (wharf.settings.data / "files").rglob(path.rpartition("/")[2])
    plain = sending.is_in_memory

    def shortening(descriptor: int, start: int, length: int) -> bool:
        if start:
            os.truncate(stored, start + 1000)
        return plain(descriptor, start, length)

    monkeypatch.setattr(sending, "is_in_memory", shortening)
    with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
        browser.ask("GET", path)


# --- clients that break ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("sending") / "data") as served:
        yield served


def leave_at_once(sock: socket.socket) -> None:
    """Close with a reset instead of a farewell."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def say_goodbye(sock: socket.socket) -> None:
    sock.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("leave", [leave_at_once, say_goodbye])
@pytest.mark.parametrize("asked", ["", "Range: bytes=1000000-9999999\r\n", "Range: bytes=0-3999999,5000000-\r\n"],
                         ids=["whole", "range", "parts"])  # fmt: skip
def test_a_broken_client_costs_nothing_but_its_socket(
    served: Served, leave: Callable[[socket.socket], None], asked: str
) -> None:
    headers = {"Content-Type": "application/octet-stream"}
    url = served.browser.ask("POST", "/uploads/files", CONTENT, headers).json()["url"]
    request = f"GET {url} HTTP/1.1\r\nHost: x\r\n{asked}".encode() + served.authorization + b"\r\n"

    def held() -> list[str]:
        return [name for name in served.open_files() if "/files/" in name or "socket" in name]

    before = len(held())
    for read in (0, 1, 100_000, 2_000_000) * 3:
        with served.connect() as sock:
            sock.sendall(request)
            left = read
            while left and (piece := sock.recv(left)):
                left -= len(piece)
            leave(sock)
    eventually(lambda: len(held()) <= before, "files and sockets are closed")
    assert served.browser.ask("GET", url).body == CONTENT
    log = served.log.read_text("utf-8")
    assert "Traceback" not in log
    assert "rror" not in log


def test_a_client_that_never_reads_is_not_kept_for_ever(tmp_path: Path) -> None:
    soon = "import wharfinger.server.worker as w; w._UNREAD_SECONDS = 2"
    with serve(tmp_path / "data", before=soon) as served:
        kind = {"Content-Type": "application/octet-stream"}
        path = served.browser.ask("POST", "/uploads/files", CONTENT, kind).json()["url"]
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n".encode() + served.authorization + b"\r\n"

        def asking() -> socket.socket:
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8192)
            sock.connect(("127.0.0.1", served.port))
            sock.settimeout(10)
            sock.sendall(request)
            return sock

        def held() -> int:
            return sum("/data/files/" in name for name in served.open_files())

        with asking(), asking() as slow:
            eventually(lambda: held() == 2, "both get the file")
            for _ in range(40):  # who reads, however slowly, is served
                assert slow.recv(65536)
                time.sleep(0.1)
            eventually(lambda: held() == 1, "the other one is given up", seconds=20)
            assert slow.recv(65536)
