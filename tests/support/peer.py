"""A peer of raw bytes: says exactly what a test tells it to, and remembers what it was asked."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Self


@dataclass
class Exchange:
    """One request on one connection, and the socket to answer on."""

    sock: socket.socket
    number: int
    head: bytes = b""
    body: bytes = b""
    rest: bytes = b""

    @property
    def line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")

    @property
    def headers(self) -> dict[str, str]:
        lines = self.head.decode("latin-1").split("\r\n")[1:]
        pairs = (line.partition(":") for line in lines if line)
        return {name.lower(): value.strip() for name, _, value in pairs}

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def reset(self) -> None:
        """Close so that the other side sees a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        self.sock.close()


Handler = Callable[[Exchange], None]


@dataclass
class Peer:
    """A server on a free port; `handler` answers each request, one per connection.

    The body of a request is read when it has a Content-Length and `reads_body` is set.
    """

    handler: Handler
    reads_body: bool = True
    tls: ssl.SSLContext | None = None
    exchanges: list[Exchange] = field(default_factory=list)
    connections: int = 0

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        self._open: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._thread.join(10)
        for sock in self._open:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()

    @property
    def url(self) -> str:
        scheme = "http" if self.tls is None else "https"
        host = "127.0.0.1" if self.tls is None else "localhost"
        return f"{scheme}://{host}:{self.port}"

    @property
    def last(self) -> Exchange:
        return self.exchanges[-1]

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._server.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(sock)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError):
            sock.settimeout(20)
            if self.tls is not None:
                sock = self.tls.wrap_socket(sock, server_side=True)
                self._open.append(sock)
            exchange = Exchange(sock, len(self.exchanges))
            self._read(exchange)
            if exchange.head:
                self.exchanges.append(exchange)
                self.handler(exchange)
            sock.close()

    def _read(self, exchange: Exchange) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = exchange.sock.recv(65536)
            if not more:
                return
            data += more
        exchange.head, _, exchange.body = data.partition(b"\r\n\r\n")
        length = int(exchange.headers.get("content-length", "0"))
        if not self.reads_body:
            return
        chunked = exchange.headers.get("transfer-encoding") == "chunked"
        while not exchange.body.endswith(b"0\r\n\r\n") if chunked else len(exchange.body) < length:
            more = exchange.sock.recv(1 << 20)
            if not more:
                return
            exchange.body += more


def saying(*replies: bytes) -> Handler:
    """Answer the first request with the first reply and so on, the last one again and again."""

    def handler(exchange: Exchange) -> None:
        exchange.send(replies[min(exchange.number, len(replies) - 1)])

    return handler


def response(
    body: bytes = b"",
    *,
    status: str = "200 OK",
    length: int | None = None,
    fields: Mapping[str, str] | None = None,
    **more: str,
) -> bytes:
    """Return a whole response; fields by keyword are written with underscores for hyphens."""
    named = {**(fields or {}), **{name.replace("_", "-"): value for name, value in more.items()}}
    named.setdefault("Content-Length", str(len(body) if length is None else length))
    lines = "".join(f"{name}: {value}\r\n" for name, value in named.items())
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode("latin-1") + body
