"""What goes over the wire under gunicorn and under Werkzeug's own server, also when things break."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import samples
from support.hosts import gunicorn
from support.measure import MIB, eventually
from support.processes import free_port, running
from support.require import module
from support.shells import Browser

HERE = Path(__file__).parent
CUT_SIZE = 64 * MIB
MARK = b"the mark near the end"
MARK_AT = CUT_SIZE - 1000


@dataclass(frozen=True)
class Host:
    name: str
    url: str
    folder: Path

    @property
    def browser(self) -> Browser:
        return Browser(self.url)

    @property
    def cut(self) -> Path:
        return self.folder / "public" / "cut.bin"

    def log(self) -> str:
        return (self.folder / "log").read_text("utf-8", "replace")

    @property
    def one_more(self) -> tuple[str, ...]:
        """A request that may follow on the same connection; Werkzeug closes after each answer."""
        return ("/pid",) if self.name == "gunicorn" else ()

    def state(self) -> dict[str, int]:
        found: dict[str, int] = self.browser.ask("GET", "/state").json()
        return found

    @contextlib.contextmanager
    def asking(self, *paths: str) -> Iterator[socket.socket]:
        """Send requests on one connection, as a proxy does that trusts every length."""
        parts = urlsplit(self.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=20) as sock:
            for path in paths:
                sock.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            yield sock


@contextlib.contextmanager
def werkzeug(target: str, log: Path) -> Iterator[str]:
    """Run the application by `flask run`, as people do while they write it."""
    port = free_port()
    command = [sys.executable, "-m", "flask", "--app", target, "run", "--port", str(port)]
    path = os.pathsep.join(filter(None, (str(HERE), os.environ.get("PYTHONPATH"))))
    with running(command, port, log, environment={"PYTHONPATH": path}):
        yield f"http://127.0.0.1:{port}"


@contextlib.contextmanager
def under_gunicorn(target: str, log: Path) -> Iterator[str]:
    with gunicorn(target, HERE, log) as (url, _):
        yield url


SERVERS: dict[str, Callable[[str, Path], AbstractContextManager[str]]] = {
    "gunicorn": under_gunicorn,
    "werkzeug": werkzeug,
}


@pytest.fixture(scope="module", params=list(SERVERS))
def host(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Host]:
    folder = tmp_path_factory.mktemp("sending")
    (folder / "public").mkdir()
    with SERVERS[request.param](f"hosted:make({str(folder)!r})", folder / "log") as url:
        Browser(url).ask("POST", "/receive", samples.TEXT, {"Content-Type": "text/plain"})
        yield Host(request.param, url, folder)


@pytest.fixture(autouse=True)
def whole_file(host: Host) -> None:
    with host.cut.open("wb") as file:
        file.truncate(CUT_SIZE)
        file.seek(MARK_AT)
        file.write(MARK)


def everything(sock: socket.socket) -> bytes:
    """Read until the server ends the connection."""
    received = bytearray()
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(MIB):
            received += data
    return bytes(received)


@pytest.mark.parametrize("path", ["/path", "/file", "/async"])
def test_whole_files_and_ranges_arrive(host: Host, path: str) -> None:
    if path == "/async":
        module("asgiref")
    whole = host.browser.ask("GET", path)
    assert (whole.status, len(whole.body)) == (200, CUT_SIZE)
    assert whole.body[MARK_AT : MARK_AT + len(MARK)] == MARK
    last = MARK_AT + len(MARK) - 1
    part = host.browser.ask("GET", path, headers={"Range": f"bytes={MARK_AT}-{last}"})
    assert (part.status, part.body) == (206, MARK)
    two = host.browser.ask("GET", path, headers={"Range": f"bytes=0-4,{MARK_AT}-{last}"})
    assert two.status == 206
    assert two.headers["content-type"].startswith("multipart/byteranges; boundary=")
    assert b"\r\n\r\n" + bytes(5) + b"\r\n" in two.body
    assert b"\r\n\r\n" + MARK + b"\r\n" in two.body
    assert host.browser.ask("GET", path, headers={"Range": f"bytes={CUT_SIZE}-"}).status == 416
    head = host.browser.ask("HEAD", path)
    assert (head.body, head.headers["content-length"]) == (b"", str(CUT_SIZE))
    same = {"If-None-Match": whole.headers["etag"]}
    assert host.browser.ask("GET", path, headers=same).status == 304


def test_stored_files_and_pipes_arrive(host: Host) -> None:
    assert host.browser.ask("GET", "/stored").body == samples.TEXT
    assert host.browser.ask("GET", "/pipe").body == b"through a pipe"
    head = host.browser.ask("HEAD", "/pipe")
    assert (head.status, head.body) == (200, b"")
    assert "content-length" not in head.headers


@pytest.mark.parametrize("path", ["/path", "/file"])
def test_a_file_cut_short_while_it_is_sent_ends_the_connection(host: Host, path: str) -> None:
    # A second answer after half a body would be taken for the rest of it.
    with host.asking(path, *host.one_more) as sock:
        first = sock.recv(65536)
        os.truncate(host.cut, MIB)
        received = first + everything(sock)
    assert received.startswith(b"HTTP/1.1 200")
    assert f"\r\nContent-Length: {CUT_SIZE}\r\n".encode() in received
    assert len(received) < CUT_SIZE
    assert received.count(b"HTTP/1.1 ") == 1
    assert eventually(lambda: "The file became shorter while it was sent." in host.log())


def test_a_generator_that_fails_midway_ends_the_connection_without_the_last_chunk(
    host: Host,
) -> None:
    closed = host.state()["closed"]
    with host.asking("/failing/3", *host.one_more) as sock:
        received = everything(sock)
    assert b"\r\nTransfer-Encoding: chunked\r\n" in received
    assert received.count(b"x" * 1000) == 3
    assert not received.endswith(b"0\r\n\r\n")
    assert received.count(b"HTTP/1.1 ") == 1
    assert host.state()["closed"] == closed + 1
    assert eventually(lambda: "the source went away" in host.log())


def test_a_generator_that_fails_at_once_is_500(host: Host) -> None:
    closed = host.state()["closed"]
    with host.asking("/failing/0") as sock:
        assert everything(sock).startswith(b"HTTP/1.1 500 ")
    assert host.state()["closed"] == closed + 1


def test_a_generator_waits_for_a_slow_client_and_is_closed_when_it_leaves(host: Host) -> None:
    closed = host.state()["closed"]
    with host.asking("/endless") as sock:
        assert sock.recv(65536).startswith(b"HTTP/1.1 200")
        seen = [-1, -2]

        def stands_still() -> bool:
            seen.append(host.state()["made"])
            return seen[-1] == seen[-2] == seen[-3]

        assert eventually(stands_still)
    assert eventually(lambda: host.state()["closed"] == closed + 1)
