"""The stand-alone server as users run it: a process, told from by its first line, ended by its pid."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

from support.command import environment as command_environment
from support.require import program
from support.shells import Browser


@dataclass(frozen=True)
class Served:
    """A running server: where it listens, where it keeps its things, and its process."""

    url: str
    data: Path
    line: Mapping[str, object]
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def port(self) -> int:
        return urlsplit(self.url).port or 0

    @cached_property
    def token(self) -> str:
        return (self.data / "admin-token").read_text("ascii").strip()

    @property
    def browser(self) -> Browser:
        return Browser(self.url, self.token)

    @property
    def authorization(self) -> bytes:
        return f"Authorization: Bearer {self.token}\r\n".encode()

    def connect(self, timeout: float = 30) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout)

    def stop(self, number: int = signal.SIGTERM, patience: float = 20) -> int:
        """Send a signal and return the exit code the process ended with."""
        self.process.send_signal(number)
        return self.process.wait(patience)

    def open_files(self) -> list[str]:
        """Return what the descriptors of the process point to."""
        found = []
        for entry in os.scandir(f"/proc/{self.pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                found.append(str(Path(entry.path).readlink()))
        return found

    def memory(self, key: str) -> int:
        """Return a line of /proc/PID/status, such as VmRSS, in bytes."""
        for line in Path(f"/proc/{self.pid}/status").read_text("ascii").splitlines():
            name, _, value = line.partition(":")
            if name == key:
                return int(value.split()[0]) * 1024
        raise KeyError(key)

    def forget_the_peak(self) -> None:
        """Make VmHWM start again from what is in use now (proc(5), clear_refs)."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5", "ascii")


@contextlib.contextmanager
def serve(
    data: Path,
    *arguments: str,
    before: str = "",
    wrapped_in: Sequence[str] = (),
    environment: Mapping[str, str] | None = None,
) -> Iterator[Served]:
    """Run `wharf serve --json --port 0` over a data folder until the block ends.

    `before` is Python that runs first in its process, `wrapped_in` a command in front of it.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    log = data.with_name(f"{data.name}.log")
    main = f"{before}\nfrom wharfinger.cli import main; main()"
    command = [*wrapped_in, sys.executable, "-W", "error", "-c", main]
    command += ["serve", "--json", "--port", "0"]
    with log.open("ab") as errors:
        process = subprocess.Popen(
            [*command, "--data", str(data), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=data.parent,
            env=command_environment(environment),
        )
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        assert first, f"it did not start: {log.read_text('utf-8', 'replace')[-2000:]}"
        line = json.loads(first)
        yield Served(url=str(line["url"]), data=data, line=line, process=process, log=log)
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            if process.poll() is None:
                process.send_signal(number)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(10)
        process.stdout.close()


def unprivileged() -> list[str]:
    """Return the command to put in front of another so that permissions hold for root, too.

    Without these capabilities root is a user like any other (capabilities(7)).
    """
    if os.geteuid() != 0:
        return []
    return [program("setpriv"), "--inh-caps=-all", "--bounding-set=-dac_override,-dac_read_search"]


def eventually(true: Callable[[], object], what: str, seconds: float = 15) -> None:
    """Wait until something that another process does has happened."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, f"it did not happen: {what}"
        time.sleep(0.02)
