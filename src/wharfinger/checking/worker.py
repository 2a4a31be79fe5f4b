"""The process that decodes: it answers one question at a time, until nobody asks any more.

It ends when the other end of its line is closed (also by `kill -9`), when nobody asked for a
while, and after a number of files: decoders keep memory. Started by `process.Process`.
"""

from __future__ import annotations

import importlib
import os
import signal
import socket
from collections.abc import Callable, Mapping
from typing import cast

from wharfinger.checking import limits
from wharfinger.checking.jobs import Request
from wharfinger.checking.messages import TAKEN, Message, receive, send

__all__ = ["main"]


def main(descriptor: int, jobs: Mapping[str, str], idle: float, most: int) -> None:
    """Answer questions that come in by a socket.

    Args:
        descriptor: of the socket.
        jobs: names of jobs, and where their functions are ("module:function").
        idle: seconds without a question after which the process ends.
        most: questions after which it ends.
    """
    limits.confine()
    with socket.socket(fileno=descriptor) as line:
        for _ in range(most):
            line.settimeout(idle)
            try:
                question, files = receive(line)
            except TimeoutError:
                return
            if question is None:
                return
            line.settimeout(None)
            line.sendall(TAKEN)
            limits.allow_time(cast("int", question["seconds"]))
            try:
                answer = _answer(jobs, question, files)
            finally:
                for file in files:
                    os.close(file)
            signal.alarm(0)
            limits.allow_memory()
            send(line, answer)
            if "memory" in answer:
                return


def _answer(jobs: Mapping[str, str], question: Message, files: tuple[int, ...]) -> Message:
    try:
        module, _, name = jobs[cast("str", question["job"])].partition(":")
        job = cast("Callable[[Request], Message]", getattr(importlib.import_module(module), name))
        return job(
            Request(
                descriptor=files[0],
                size=cast("int", question["size"]),
                options=cast("Mapping[str, object]", question["options"]),
                output=files[1] if len(files) > 1 else None,
            )
        )
    except MemoryError:
        return {"memory": True}
    except Exception as error:  # noqa: BLE001 - this process is a shell; decoders raise anything
        return {"raised": f"{type(error).__name__}: {error}"[:300]}
