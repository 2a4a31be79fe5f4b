"""One process that decodes, seen from the program that asks it.

It is started as a new interpreter, never by forking a program that may have threads. It gets
the paths of modules and no other part of the environment that might hold a secret.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from wharfinger.checking.messages import TAKEN, Message, receive, send
from wharfinger.errors import Unavailable

__all__ = ["Gone", "Lost", "Process"]

_BOOT: Final = (
    "import sys, json; told = json.loads(sys.argv[1]); sys.path[:] = told.pop('path'); "
    "from wharfinger.checking.worker import main; main(**told)"
)
# What the loader and the decoders read.
_ENVIRONMENT: Final = (
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "DYLD_LIBRARY_PATH",
    "PATH",
    "TMPDIR",
)
_ENDING: Final = 2.0


class Gone(Exception):
    """The process had ended before it took the question: another one may be asked."""


class Lost(Exception):
    """The process ended, or was ended, while it was at work; a sentence says how."""


class Process:
    """A running process.

    Args:
        jobs: names of jobs, and where their functions are.
        idle: seconds without a question after which it ends by itself.
        most: questions after which it does.

    Raises:
        Unavailable: no process can be started.
    """

    def __init__(self, jobs: Mapping[str, str], *, idle: float, most: int) -> None:
        ours, theirs = socket.socketpair()
        told = {
            "descriptor": theirs.fileno(),
            "jobs": dict(jobs),
            "idle": idle,
            "most": most,
            # "" is the current folder, where anybody may have put a module.
            "path": [entry for entry in sys.path if entry],
        }
        try:
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 - our own interpreter
                    [_interpreter(), "-I", "-c", _BOOT, json.dumps(told)],
                    pass_fds=(theirs.fileno(),),
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    cwd="/",
                    env={key: os.environ[key] for key in _ENVIRONMENT if key in os.environ}
                    | {"VIPS_CONCURRENCY": "1", "G_SLICE": "always-malloc"},
                    start_new_session=True,
                )
        except OSError as error:
            ours.close()
            raise Unavailable(
                f"No process for decoding could be started: {error.strerror}.",
                hint="Look at the limits of processes and memory of this machine.",
            ) from error
        self._line = ours
        self.pid = self._process.pid

    def ask(
        self, question: Mapping[str, object], files: tuple[int, ...], seconds: float
    ) -> Message:
        """Return the answer to a question.

        Raises:
            Gone: it never took it.
                Lost: it crashed or took longer than `seconds`. It has ended.
            Unavailable: it did not even begin. It has ended.
        """
        until = time.monotonic() + seconds
        self._line.settimeout(seconds)
        try:
            send(self._line, question, files)
            taken = self._line.recv(1)
        except TimeoutError:
            self.end()
            raise Unavailable(
                f"A process for decoding did not begin within {seconds:.0f} seconds.",
                hint="This machine is too busy; try again later.",
            ) from None
        except OSError:
            taken = b""
        if taken != TAKEN:
            self.end()
            raise Gone
        try:
            self._line.settimeout(max(until - time.monotonic(), 0.001))
            answer, _ = receive(self._line)
        except TimeoutError:
            raise Lost(self._too_long(seconds)) from None
        except (OSError, ValueError):
            answer = None
        if answer is None:
            raise Lost(self._crashed())
        return answer

    def _too_long(self, seconds: float) -> str:
        self.end()
        return f"the decoder was not done after {seconds:.0f} seconds"

    def _crashed(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING)
        code = self._process.returncode
        self.end()
        if code is not None and -code in {signal.SIGXCPU, signal.SIGALRM}:
            return "the decoder used up its time"
        if code is not None and code < 0:
            return f"the decoder crashed (signal {-code})"
        return "the decoder ended without an answer"

    def leave(self) -> None:
        """Close the line without ending the process: it is another's, after a fork."""
        self._line.close()
        # Popen would complain about a process that is not its child's to wait for.
        self._process.returncode = 0

    def stop(self) -> None:
        """End the process while it waits for work: it notices that nobody asks any more."""
        self._line.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_ENDING)
        self.end()

    def end(self) -> None:
        """End the process now. Calling it again does nothing."""
        self._line.close()
        self._process.kill()
        self._process.wait()


def _interpreter() -> str:
    """Return the Python that runs this program, also where it is embedded (uWSGI, mod_wsgi)."""
    if "python" in Path(sys.executable or "").name:
        return sys.executable
    return str(Path(sys.exec_prefix) / "bin" / "python3")
