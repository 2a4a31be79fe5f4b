"""A server that reads request bodies and throws them away: the far end for upload figures.

Run as a process of its own (`python -m benchmarks.sink`), so that its CPU time is not the
measured client's. It prints its port, answers every request with 200 and ends with its stdin.
Loopback only; one thread a connection; no more HTTP than curl and wharfinger need.
"""

from __future__ import annotations

import re
import socket
import sys
import threading

_BUFFER = 1024**2


def main() -> None:
    """Listen until stdin is closed."""
    listener = socket.create_server(("127.0.0.1", 0))
    print(listener.getsockname()[1], flush=True)
    threading.Thread(target=_accept, args=(listener,), daemon=True).start()
    sys.stdin.read()


def _accept(listener: socket.socket) -> None:
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_serve, args=(connection,), daemon=True).start()


def _serve(connection: socket.socket) -> None:
    with connection:
        while _answer_one(connection):
            pass


def _answer_one(connection: socket.socket) -> bool:
    head = bytearray()
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            return False
        head += data
    fields, _, start = bytes(head).partition(b"\r\n\r\n")
    if re.search(rb"(?im)^expect:\s*100-continue", fields):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
    declared = re.search(rb"(?im)^content-length:\s*(\d+)", fields)
    if declared:
        _discard(connection, int(declared[1]) - len(start))
    elif re.search(rb"(?im)^transfer-encoding:\s*chunked", fields):
        _discard_chunked(connection, start)
    connection.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
    )
    return True


def _discard(connection: socket.socket, left: int) -> None:
    view = memoryview(bytearray(_BUFFER))
    while left > 0:
        # MSG_TRUNC: the kernel drops the bytes uncopied (tcp(7)), so that what is measured is the
        # sender and not this program.
        got = connection.recv_into(view, min(left, _BUFFER), socket.MSG_TRUNC)
        if not got:
            return
        left -= got


def _discard_chunked(connection: socket.socket, tail: bytes) -> None:
    # The end of the last chunk is enough to look for: senders here wait for the answer.
    while not tail.endswith(b"0\r\n\r\n"):
        data = connection.recv(_BUFFER)
        if not data:
            return
        tail = (tail + data)[-5:]


if __name__ == "__main__":
    main()
