"""Jobs that misbehave, for processes that decode."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
import time
from pathlib import Path

from wharfinger.checking.jobs import Request

JOBS = {
    name: f"support.decoders:{name}"
    for name in ("who", "crash", "hang", "hoard", "fill", "read", "babble", "reply")
}


def who(request: Request) -> dict[str, object]:
    """Tell about the process itself."""
    return {
        "pid": os.getpid(),
        "environment": sorted(os.environ),
        "files": sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()),
        "nice": os.nice(0),
        "folder": str(Path.cwd()),
        "core": resource.getrlimit(resource.RLIMIT_CORE)[0],
        "session": os.getsid(0),
    }


def crash(request: Request) -> dict[str, object]:
    os.kill(os.getpid(), signal.SIGSEGV)
    return {}


def hang(request: Request) -> dict[str, object]:
    while True:
        time.sleep(60)


def hoard(request: Request) -> dict[str, object]:
    return {"length": len(bytearray(8 * 1024**3))}


def fill(request: Request) -> dict[str, object]:
    """Write a file where nobody asked for one."""
    with Path(str(request.options["path"])).open("wb") as file:
        file.write(b"x")
    return {}


def read(request: Request) -> dict[str, object]:
    with request.open() as file:
        return {"content": file.read().decode("ascii"), "size": request.size}


def babble(request: Request) -> dict[str, object]:
    """Say something that is not an answer, in place of one."""
    for number in range(3, 64):
        with contextlib.suppress(OSError):
            # A copy of the one socket there is: its line.
            line = socket.socket(fileno=os.dup(number))
            line.sendall(b"[1, 2, 3]\n")
            line.close()
    os._exit(0)


def reply(request: Request) -> dict[str, object]:
    """Answer what the test says, as a decoder might that was taken over."""
    return dict(request.options["answer"])  # type: ignore[call-overload, no-any-return]
