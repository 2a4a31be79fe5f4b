"""Several processes over one address: they share what is revoked, are replaced, and stop together."""

from __future__ import annotations

import hashlib
import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.command import environment, wharf
from support.served import Served, eventually, serve

MIB = 1024 * 1024
TEXT = {"Content-Type": "text/plain"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "data", "--workers", "2") as served:
        eventually(lambda: len(workers(served)) == 2, "both workers run")
        yield served


def workers(served: Served) -> list[int]:
    listed = Path(f"/proc/{served.pid}/task/{served.pid}/children").read_text("ascii")
    return [int(pid) for pid in listed.split()]


def connections(served: Served, count: int) -> list[http.client.HTTPConnection]:
    """Open so many connections at once that both workers get some."""
    opened = [
        http.client.HTTPConnection("127.0.0.1", served.port, timeout=20) for _ in range(count)
    ]
    for connection in opened:
        connection.connect()
    return opened


def status(served: Served, connection: http.client.HTTPConnection, path: str) -> int:
    connection.request("GET", path, headers={"Authorization": f"Bearer {served.token}"})
    answer = connection.getresponse()
    answer.read()
    return answer.status


def sockets(pid: int) -> int:
    """Return how many sockets a process has open."""
    count = 0
    for entry in os.scandir(f"/proc/{pid}/fd"):
        count += str(Path(entry.path).readlink()).startswith("socket:")
    return count


def test_both_workers_serve_and_know_at_once_what_the_other_removed(served: Served) -> None:
    idle = [sockets(pid) for pid in workers(served)]
    path = served.browser.ask("POST", "/uploads/files", b"shared", TEXT).json()["url"]
    opened = connections(served, 40)
    try:
        assert {status(served, one, path) for one in opened for _ in range(3)} == {200}
        busy = [sockets(pid) for pid in workers(served)]
        assert all(now > before for now, before in zip(busy, idle, strict=True)), (idle, busy)
        assert served.browser.ask("DELETE", path).status == 204
        assert [status(served, one, path) for one in opened] == [404] * 40
    finally:
        for one in opened:
            one.close()


def test_a_worker_that_is_killed_is_replaced(served: Served) -> None:
    victim, other = workers(served)
    os.kill(victim, signal.SIGKILL)
    eventually(
        lambda: len(workers(served)) == 2 and victim not in workers(served), "another one works"
    )
    assert other in workers(served)
    for _ in range(10):
        assert served.browser.ask("GET", "/health/ready").status == 200
    assert "ended by itself" in served.log.read_text("utf-8")
    assert "SIGKILL" in served.log.read_text("utf-8")


def test_a_stop_lets_what_runs_in_the_workers_end_well(served: Served) -> None:
    content = os.urandom(MIB) * 32
    kind = {"Content-Type": "application/octet-stream"}
    record = served.browser.ask("POST", "/uploads/files", content, kind).json()
    pids = workers(served)
    with served.connect() as sock:
        request = f"GET {record['url']} HTTP/1.1\r\nHost: x\r\n".encode()
        sock.sendall(request + served.authorization + b"\r\n")
        received = bytearray(sock.recv(65536))
        served.process.send_signal(signal.SIGTERM)
        time.sleep(0.2)
        while piece := sock.recv(MIB):
            received += piece
    _, _, body = bytes(received).partition(b"\r\n\r\n")
    assert hashlib.sha256(body).hexdigest() == record["sha256"]
    assert served.process.wait(20) == 0
    assert not any(running(pid) for pid in pids)
    assert "Traceback" not in served.log.read_text("utf-8")


def test_workers_stop_when_their_parent_was_killed(served: Served) -> None:
    pids = workers(served)
    served.process.kill()
    served.process.wait(20)
    eventually(lambda: not any(running(pid) for pid in pids), "they stopped")


def test_a_ctrl_c_that_reaches_parent_and_workers_ends_them_quietly(tmp_path: Path) -> None:
    with serve(tmp_path / "data", "--workers", "3", wrapped_in=("setsid",)) as served:
        eventually(lambda: len(workers(served)) == 3, "the workers run")
        os.killpg(os.getpgid(served.pid), signal.SIGINT)
        assert served.process.wait(20) == 0
        assert "Traceback" not in served.log.read_text("utf-8")


def test_workers_that_cannot_even_start_end_the_server_with_an_error(tmp_path: Path) -> None:
    broken = (
        "import wharfinger.server.worker as w\n"
        "def fail(self, *_, **__): raise RuntimeError('cannot work')\n"
        "w.Worker.run = fail\n"
        "from wharfinger.cli import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", broken, "serve", "--data", str(tmp_path / "data"), "--port", "0",
         "--workers", "2"],
        capture_output=True, text=True, timeout=60, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 7
    assert "The workers end as soon as they start." in done.stderr


@pytest.mark.parametrize("number", ["0", "-1", "65", "two", "1.5", "", "99999999999999999999"])
def test_a_wrong_number_of_workers_is_a_usage_error(tmp_path: Path, number: str) -> None:
    said = wharf(
        "serve", "--data", str(tmp_path / "data"), "--workers", number, "--port", "0", "--json"
    )
    assert (said.code, said.records[0]["error"]["code"]) == (2, "config")
    assert "not a number from 1 to 64" in said.records[0]["error"]["detail"]


def running(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text("ascii")
    except FileNotFoundError:
        return False
