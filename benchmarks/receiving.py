"""Taking in: large bodies against nginx and Python frameworks, small ones against a bare loop.

What is kept differs: `serve` judges, hashes, syncs, publishes and records before it answers;
nginx writes to a temporary file and renames it, the frameworks write twice, and none of them
syncs. The bare loop syncs as `serve` does, and does nothing else.
"""

from __future__ import annotations

import importlib.util
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from benchmarks import peers
from benchmarks.loader import load
from benchmarks.measure import GB, MIB, cpu_seconds, memory, timed
from benchmarks.peers import Service, find
from benchmarks.rounds import Plan, medians
from benchmarks.table import Row

SMALL = 8 * 1024
CLIENTS = 16
SLOW = 500
_HASHED = 256 * MIB


def rows(plan: Plan, service: Service, folder: Path, large: Path) -> Iterator[Row]:
    """Yield every row about receiving."""
    folder.mkdir()
    yield from large_bodies(plan, service, folder, large)
    yield from small_bodies(plan, service, folder)
    yield slow_uploads(service)


def large_bodies(plan: Plan, service: Service, folder: Path, large: Path) -> Iterator[Row]:
    """Yield GB/s and server CPU seconds per GB for one large file, raw and in a form."""
    kept = folder / "kept"
    kept.mkdir()
    with ExitStack() as running:
        dav = running.enter_context(peers.nginx_dav(folder / "dav", kept))
        flask = running.enter_context(
            peers.receiving_app(kept, "gunicorn", "benchmarks.receiving_apps:make_flask()")
        )
        ours = ("-H", f"@{service.header}", service.uploads)
        raw = ("-X", "POST", "-T", str(large), "-H", "Content-Type: application/octet-stream")
        form = ("-F", f"f=@{large}")
        bodies = {
            "raw": _Body(service.pid, plan, (*raw, *ours)),
            "form": _Body(service.pid, plan, (*form, *ours)),
            "nginx DAV PUT": _Body(dav.pid, plan, ("-T", str(large), f"{dav.url}/put.bin")),
            "Flask request.files": _Body(flask.pid, plan, (*form, flask.url)),
        }
        if importlib.util.find_spec("python_multipart") is None:
            print("benchmarks: no python-multipart, no Starlette form", file=sys.stderr)
        else:
            starlette = running.enter_context(
                peers.receiving_app(kept, "uvicorn", "benchmarks.receiving_apps:make_starlette")
            )
            bodies["Starlette form()"] = _Body(starlette.pid, plan, (*form, starlette.url))

        def clear() -> None:
            service.clear()
            for path in kept.iterdir():
                path.unlink()

        speed = medians(bodies, plan.rounds, after_each=clear)
    size = f"{plan.size // MIB} MiB"
    yield _speed_row(f"take in {size}, raw", speed["raw"], "nginx DAV PUT", speed["nginx DAV PUT"])
    yield Row(
        measure="server CPU",
        unit="s/GB",
        ours=bodies["raw"].cpu / bodies["raw"].gigabytes,
        against="nginx and a SHA-256",
        theirs=bodies["nginx DAV PUT"].cpu / bodies["nginx DAV PUT"].gigabytes + _hashing(),
        lower_is_better=True,
    )
    against = {"our raw": "raw", "Flask request.files": "Flask request.files"}
    if "Starlette form()" in speed:
        against["Starlette form()"] = "Starlette form()"
    for name, key in against.items():
        yield _speed_row(f"take in {size}, a form", speed["form"], name, speed[key])


def small_bodies(plan: Plan, service: Service, folder: Path) -> Iterator[Row]:
    """Yield durable 8 KiB uploads per second from 16 clients, against a bare loop in 16 threads."""
    lua = (
        f'wrk.method = "POST"\nwrk.body = string.rep("\\1", {SMALL})\n'
        'wrk.headers["Content-Type"] = "application/octet-stream"\n'
    )
    header = service.header.read_text(encoding="ascii")
    before = cpu_seconds(service.pid)
    answered = 0

    def ours() -> float:
        nonlocal answered
        rate, count = load(
            service.uploads, plan.load_seconds, header=header, connections=CLIENTS, lua=lua
        )
        answered += count
        return rate

    figures = medians(
        {"serve": ours, "loop": lambda: _bare_loop(folder / "loop", plan.load_seconds)},
        plan.rounds,
        after_each=lambda: None,
    )
    yield Row(
        measure=f"{SMALL // 1024} KiB uploads, durable, {CLIENTS} clients",
        unit="files/s",
        ours=figures["serve"],
        against=f"write, sync, rename, sync in {CLIENTS} threads",
        theirs=figures["loop"],
    )
    yield Row(
        measure="server CPU",
        unit="us/file",
        ours=(cpu_seconds(service.pid) - before) / answered * 1e6,
        against="one core, evenly",
        theirs=1e6 / figures["serve"],
        lower_is_better=True,
    )


def slow_uploads(service: Service) -> Row:
    """Return what many slow uploads at once take in memory."""
    port = int(service.url.rpartition(":")[2])
    authorization = service.header.read_text(encoding="ascii").strip()
    head = (
        "POST /uploads/files HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n"
        f"Content-Type: application/octet-stream\r\n{authorization}\r\n\r\n"
    ).encode()
    before = memory(service.pid, "VmRSS")
    with ExitStack() as held:
        slow = [
            held.enter_context(socket.create_connection(("127.0.0.1", port), 30))
            for _ in range(SLOW)
        ]
        for sock in slow:
            sock.sendall(head + b"\1" * 20_000)
        for _ in range(10):
            time.sleep(0.3)
            for sock in slow:
                sock.sendall(b"\1" * 2_000)
        grown = memory(service.pid, "VmRSS") - before
    return Row(
        measure=f"{SLOW} slow uploads at once: memory above idle",
        unit="MiB",
        ours=grown / MIB,
        against="our bound",
        theirs=96,
        lower_is_better=True,
    )


class _Body:
    """One large upload; the server's CPU time is added up over the rounds."""

    def __init__(self, pid: int, plan: Plan, arguments: Sequence[str]) -> None:
        self._pid, self._size = pid, plan.size
        self._command = [find("curl"), "-fsS", "-o", "/dev/null", *arguments]
        self.cpu = 0.0
        self.gigabytes = 0.0

    def __call__(self) -> float:
        before = cpu_seconds(self._pid)
        seconds = timed(self._command).seconds
        self.cpu += cpu_seconds(self._pid) - before
        self.gigabytes += self._size / GB
        return self._size / GB / seconds


def _speed_row(measure: str, ours: float, against: str, theirs: float) -> Row:
    return Row(measure=measure, unit="GB/s", ours=ours, against=against, theirs=theirs)


def _hashing() -> float:
    """Return the CPU seconds that the SHA-256 of a GB takes, in a process of its own."""
    program = (
        "import hashlib, time\n"
        f"block = bytes({MIB}); found = hashlib.sha256(); began = time.process_time()\n"
        f"for _ in range({_HASHED // MIB}): found.update(block)\n"
        "print(time.process_time() - began)"
    )
    runs = [
        float(
            subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
        )
        for _ in range(3)
    ]
    return statistics.median(runs) / (_HASHED / GB)


def _bare_loop(folder: Path, seconds: float) -> float:
    """Return how many small files per second threads keep durably that do nothing else."""
    folder.mkdir(exist_ok=True)
    content = b"\1" * SMALL
    counts = [0] * CLIENTS
    until = time.perf_counter() + seconds

    def work(thread: int) -> None:
        while time.perf_counter() < until:
            name = folder / f"{thread}-{counts[thread]}"
            fd = os.open(f"{name}.part", os.O_CREAT | os.O_WRONLY, 0o600)
            os.write(fd, content)
            os.fdatasync(fd)
            os.close(fd)
            os.rename(f"{name}.part", name)  # noqa: PTH104 - nothing but the call
            fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
            os.fsync(fd)
            os.close(fd)
            counts[thread] += 1

    began = time.perf_counter()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    rate = sum(counts) / (time.perf_counter() - began)
    for path in folder.iterdir():
        path.unlink()
    return rate
