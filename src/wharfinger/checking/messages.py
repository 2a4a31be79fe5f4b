"""What is said between a process that checks and the one that asks: lines of JSON.

Descriptors of open files travel beside a question (SCM_RIGHTS). Both sides take a line for
what it claims only after looking at it: a decoder that was taken over may say anything.
"""

from __future__ import annotations

import array
import json
import os
import socket
from collections.abc import Mapping
from typing import Final, TypeAlias

__all__ = ["MAX_LINE", "TAKEN", "Message", "receive", "send"]

Message: TypeAlias = dict[str, object]

MAX_LINE: Final = 64 * 1024
# Said before a job begins: whoever hears nothing may ask another process.
TAKEN: Final = b"+"
_MOST_FILES: Final = 2


def send(line: socket.socket, message: Mapping[str, object], files: tuple[int, ...] = ()) -> None:
    """Send a message, with the descriptors of open files. Raises OSError: nobody listens."""
    data = json.dumps(message).encode("ascii") + b"\n"
    if files:
        socket.send_fds(line, [data[:1]], list(files))
        data = data[1:]
    line.sendall(data)


def receive(line: socket.socket) -> tuple[Message | None, tuple[int, ...]]:
    """Return the next message and the descriptors that came with it; None at the end.

    Raises:
        OSError: the line is broken, or (TimeoutError) its time is over.
        ValueError: this is not a message.
    """
    files = array.array("i")
    try:
        message = _message(_read(line, files))
    except BaseException:
        for file in files:
            os.close(file)
        raise
    return message, tuple(files)


def _read(line: socket.socket, files: array.array[int]) -> bytes:
    data, came, _, _ = socket.recv_fds(line, MAX_LINE, _MOST_FILES)
    files.extend(came)
    # Each side waits for the other's answer, so that nothing follows a line.
    while data and not data.endswith(b"\n"):
        piece = line.recv(MAX_LINE)
        if not piece or len(data) > MAX_LINE:
            raise ValueError("This line has no end.")
        data += piece
    return data


def _message(data: bytes) -> Message | None:
    if not data:
        return None
    message = json.loads(data)
    if not isinstance(message, dict):
        raise ValueError("This is not a message.")  # noqa: TRY004 - data of another process
    return message
