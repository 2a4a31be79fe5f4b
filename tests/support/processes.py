"""Real peers as processes: started on a free port, waited for, stopped by their pid."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from support.require import module


def free_port() -> int:
    """Return a port of the loopback interface that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@contextlib.contextmanager
def running(
    command: Sequence[str | os.PathLike[str]],
    port: int,
    log: Path,
    *,
    environment: Mapping[str, str] | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server in a process group of its own until the block ends."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            _wait_until_it_listens(process, port, log)
            yield process
        finally:
            _stop(process)


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.02)
    raise RuntimeError(f"no server on port {port}: {log.read_text('utf-8', 'replace')[-2000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)


@contextlib.contextmanager
def httpbin_server(folder: Path) -> Iterator[str]:
    """Run httpbin under gunicorn and yield its address."""
    module("httpbin")
    module("gunicorn")
    port = free_port()
    command = [sys.executable, "-W", "ignore", "-m", "gunicorn", "--workers", "1", "--threads", "4",
               "--bind", f"127.0.0.1:{port}", "httpbin:app"]  # fmt: skip
    with running(command, port, folder / "httpbin.log"):
        yield f"http://127.0.0.1:{port}"
