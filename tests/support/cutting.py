"""A TCP proxy that cuts connections: after so many bytes of the client's, by a reset."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import urlsplit

_PIECE = 16 * 1024


@dataclass
class Cutting:
    """A proxy to one server on a free port.

    `cuts` are bytes of the client after which each connection in turn is reset; when they are
    used up, connections live. `pause` seconds lie between pieces of 16 KiB.
    """

    target: str
    cuts: list[int] = field(default_factory=list)
    pause: float = 0.0
    connections: int = 0

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        for sock in (self._server, *self._open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
        for thread in self._threads:
            thread.join(5)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.getsockname()[1]}"

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            parts = urlsplit(self.target)
            server = socket.create_connection((parts.hostname, parts.port), 5)
            self._open += [client, server]
            left = self.cuts.pop(0) if self.cuts else None
            for target, arguments in (
                (self._forward, (client, server, left)),
                (self._back, (server, client)),
            ):
                thread = threading.Thread(target=target, args=arguments, daemon=True)
                self._threads.append(thread)
                thread.start()

    def _forward(self, client: socket.socket, server: socket.socket, left: int | None) -> None:
        with contextlib.suppress(OSError):
            while left is None or left > 0:
                data = client.recv(_PIECE if left is None else min(_PIECE, left))
                if not data:
                    break
                server.sendall(data)
                left = None if left is None else left - len(data)
                if self.pause:
                    time.sleep(self.pause)
            if left == 0:
                time.sleep(0.3)  # what was answered meanwhile gets through
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
                client.shutdown(socket.SHUT_RDWR)
                client.close()
        with contextlib.suppress(OSError):
            server.shutdown(socket.SHUT_RDWR)

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(65536):
                client.sendall(data)
        with contextlib.suppress(OSError):
            client.shutdown(socket.SHUT_WR)
