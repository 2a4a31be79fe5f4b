"""What many aborted uploads and large files cost the process: no file, no descriptor, flat memory."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from support.served import Served, eventually, serve
from support.services import blobs_on_disk

MIB = 1024 * 1024
SIZE = 256 * MIB
BLOCK = bytes(range(256)) * 4096  # 1 MiB
FORM_HEAD = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="large.bin"\r\n'
    b"Content-Type: application/octet-stream\r\n\r\n"
)
FORM_END = b"\r\n--b--\r\n"


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("large") / "data") as served:
        yield served
        # The disks of developers are not ours to fill.
        for record in served.browser.ask("GET", "/files").json()["files"]:
            served.browser.ask("DELETE", record["url"])


def abort_one(served: Served, number: int) -> None:
    """Begin an upload and go away, each time at another place."""
    form = number % 2
    kind = b"multipart/form-data; boundary=b" if form else b"application/octet-stream"
    with served.connect() as sock:
        sock.sendall(
            b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\nContent-Type: "
            + kind + b"\r\n" + served.authorization + b"\r\n"
            + (FORM_HEAD if form else b"") + BLOCK[: (number * 97) % 100_000]
        )  # fmt: skip
        if number % 3 == 0:  # a reset instead of a close
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def lasting(served: Served) -> list[str]:
    """Return what is open, without the catalog: its pool grows with the threads, up to a bound."""
    return [path for path in served.open_files() if "/catalog.sqlite3" not in path]


def test_a_thousand_aborted_uploads_leave_no_file_and_no_descriptor(served: Served) -> None:
    served.browser.ask("POST", "/uploads/files", b"the first makes what lasts")
    blobs = blobs_on_disk(served.data)
    before = Counter(lasting(served))
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(lambda number: abort_one(served, number), range(1000)):
            pass
    eventually(lambda: not Counter(lasting(served)) - before, "the descriptors are closed")
    assert blobs_on_disk(served.data) == blobs
    assert len(served.browser.ask("GET", "/files").json()["files"]) == 1
    assert "Traceback" not in served.log.read_text("utf-8")


def upload(served: Served, *, form: bool) -> str:
    """Send 256 MiB without holding them; return the address of the file."""
    kind = b"multipart/form-data; boundary=b" if form else b"application/octet-stream"
    length = SIZE + (len(FORM_HEAD) + len(FORM_END) if form else 0)
    with served.connect(60) as sock:
        sock.sendall(
            b"POST /uploads/files HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: "
            + kind + b"\r\nContent-Length: " + str(length).encode() + b"\r\n"
            + served.authorization + b"\r\n" + (FORM_HEAD if form else b"")
        )  # fmt: skip
        for _ in range(SIZE // MIB):
            sock.sendall(BLOCK)
        sock.sendall(FORM_END if form else b"")
        answer = b""
        while piece := sock.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 201"), answer
    return answer.partition(b"\r\nLocation: ")[2].partition(b"\r\n")[0].decode()


def download(served: Served, url: str) -> None:
    buffer = bytearray(MIB)
    received = 0
    with served.connect(60) as sock:
        sock.sendall(
            f"GET {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
            + served.authorization
            + b"\r\n"
        )
        while count := sock.recv_into(buffer):
            received += count
    assert SIZE < received < SIZE + 2000


def growth(served: Served, work: Callable[[], object]) -> int:
    """Return by how much the peak of a work is above what was in use before it."""
    served.forget_the_peak()
    before = served.memory("VmRSS")
    work()
    return served.memory("VmHWM") - before


def test_an_idle_server_is_small(large: Served) -> None:
    large.browser.ask("POST", "/uploads/files", b"warm")
    assert large.memory("VmRSS") < 96 * MIB


def test_memory_is_flat_for_each_kind_of_transfer(large: Served) -> None:
    """Limits: 32 MiB a transfer, whatever its size."""
    found: list[str] = []
    for form in (False, True):
        assert growth(large, lambda form=form: found.append(upload(large, form=form))) < 32 * MIB  # type: ignore[misc]
    assert growth(large, lambda: download(large, found[0])) < 32 * MIB
    for url in found:
        assert large.browser.ask("DELETE", url).status == 204


def test_memory_is_flat_for_three_transfers_at_once(large: Served) -> None:
    url = upload(large, form=False)

    def together() -> None:
        with ThreadPoolExecutor(3) as pool:
            raw = pool.submit(upload, large, form=False)
            form = pool.submit(upload, large, form=True)
            pool.submit(download, large, url).result()
            assert raw.result() != form.result()

    assert growth(large, together) < 3 * 32 * MIB
