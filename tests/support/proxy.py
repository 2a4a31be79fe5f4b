"""A small HTTP proxy of raw sockets: does what it is asked, and remembers what that was."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Proxy:
    """A proxy on a free port. Every name it is asked for is this machine.

    `refuses` is an answer to give instead of doing it.
    """

    refuses: bytes = b""
    greeting: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"
    heads: list[str] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
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
        return f"http://127.0.0.1:{self.port}"

    @property
    def lines(self) -> list[str]:
        return [head.split("\r\n", 1)[0] for head in self.heads]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self._open.append(sock)
            self._start(self._serve, sock)

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            data = b""
            while b"\r\n\r\n" not in data:
                more = sock.recv(65536)
                if not more:
                    return
                data += more
            self.heads.append(data.partition(b"\r\n\r\n")[0].decode("latin-1"))
            if self.refuses:
                sock.sendall(self.refuses)
                return
            method, target, _ = self.lines[-1].split(" ")
            if method == "CONNECT":
                origin = self._dial(target)
                sock.sendall(self.greeting)
            else:
                origin = self._dial(target.removeprefix("http://").partition("/")[0])
                origin.sendall(self._in_origin_form(data, target))
            self._start(self._pump, origin, sock)
            self._pump(sock, origin)

    def _dial(self, authority: str) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", int(authority.rpartition(":")[2])), 5)
        self._open.append(sock)
        return sock

    @staticmethod
    def _in_origin_form(data: bytes, target: str) -> bytes:
        path = "/" + target.removeprefix("http://").partition("/")[2]
        head, end, body = data.partition(b"\r\n\r\n")
        lines = head.replace(target.encode(), path.encode(), 1).split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(b"proxy-")]
        return b"\r\n".join(kept) + end + body

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def _start(self, target: object, *arguments: object) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
