"""Applications in processes of their own, under the hosts that people really use."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from support.measure import connection
from support.processes import free_port, running
from support.require import module


@contextlib.contextmanager
def gunicorn(target: str, folder: Path, log: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run a WSGI application of the module in `folder`; yield its address and the master."""
    module("gunicorn")
    port = free_port()
    command = [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--workers", "1",
               "--threads", "8", "--graceful-timeout", "1", "--pythonpath", str(folder),
               "--bind", f"127.0.0.1:{port}", target]  # fmt: skip
    with running(command, port, log) as process:
        url = f"http://127.0.0.1:{port}"
        with connection(url) as talk:  # the master listens before its worker has the application
            talk.request("GET", "/")
            talk.getresponse().read()
        yield url, process


@contextlib.contextmanager
def uvicorn(
    target: str, folder: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run an ASGI application made by a function of the module in `folder`."""
    module("uvicorn")
    port = free_port()
    command = [sys.executable, "-m", "uvicorn", "--app-dir", str(folder), "--port", str(port),
               "--timeout-graceful-shutdown", "1", "--factory", target]  # fmt: skip
    with running(command, port, log, environment=environment) as process:
        yield f"http://127.0.0.1:{port}", process


@contextlib.contextmanager
def granian(
    target: str, folder: Path, log: Path, environment: Mapping[str, str]
) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Run an ASGI application made by a function of the module in `folder`."""
    module("granian")
    port = free_port()
    command = [sys.executable, "-m", "granian", "--interface", "asgi", "--factory", "--workers", "1",
               "--working-dir", str(folder), "--host", "127.0.0.1", "--port", str(port), target]  # fmt: skip
    with running(command, port, log, environment=environment) as process:
        yield f"http://127.0.0.1:{port}", process
