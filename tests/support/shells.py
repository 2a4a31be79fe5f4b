"""The three shells, each really listening on a free port of the loopback interface."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from aiohttp import web as aiohttp_web
from flask import Flask
from werkzeug.serving import make_server

from support.linting import complaints
from wharfinger import Wharf
from wharfinger.asgi import create_app
from wharfinger.flask import Wharfinger
from wharfinger.server.connections import Server
from wharfinger.server.shell import Shell
from wharfinger.web import WebInterface
from wharfinger.web.proxies import Proxies

SHELLS = ("server", "flask", "asgi")


@dataclass(frozen=True)
class Answered:
    """One answer as a client saw it."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str:
        return str(self.json()["code"])


def listener() -> socket.socket:
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind(("127.0.0.1", 0))
    sock.listen(128)
    return sock


@contextlib.contextmanager
def running(kind: str, wharf: Wharf, trusted: Sequence[str] = ()) -> Iterator[str]:
    """Run one shell over the service, with trusted proxies; yield its address."""
    start: Callable[..., contextlib.AbstractContextManager[str]] = {
        "server": stand_alone,
        "flask": flask,
        "asgi": asgi,
    }[kind]
    with start(wharf, trusted=trusted) as url:
        yield url


@contextlib.contextmanager
def stand_alone(
    wharf: Wharf, *, most: int = 512, trusted: Sequence[str] = (), interim: bool | None = None
) -> Iterator[str]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    sock = listener()

    async def begin(pool: ThreadPoolExecutor) -> aiohttp_web.ServerRunner:
        interface = WebInterface(wharf, proxies=Proxies(trusted))
        shell = Shell(interface, pool, pool, interim=interim)
        server = Server(shell, most=most, access_log=None, auto_decompress=False)
        runner = aiohttp_web.ServerRunner(server, shutdown_timeout=1)
        await runner.setup()
        await aiohttp_web.SockSite(runner, sock).start()
        return runner

    with ThreadPoolExecutor(8) as pool:
        runner = asyncio.run_coroutine_threadsafe(begin(pool), loop).result()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
            loop.call_soon_threadsafe(loop.stop)
            thread.join()
            loop.close()
            sock.close()


@contextlib.contextmanager
def wsgi(app: Flask) -> Iterator[str]:
    """Run a Flask application in Werkzeug's server."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextlib.contextmanager
def flask(wharf: Wharf, *, trusted: Sequence[str] = ()) -> Iterator[str]:
    app = Flask("app")
    app.config["WHARFINGER_TRUSTED_PROXIES"] = list(trusted)
    files = Wharfinger(app, wharf=wharf)
    app.register_blueprint(files.blueprint())
    with wsgi(app) as url:
        yield url


@contextlib.contextmanager
def asgi_server(app: Any, *, root_path: str = "") -> Iterator[str]:
    """Run an ASGI application in uvicorn."""
    sock = listener()
    config = uvicorn.Config(
        app, log_level="error", lifespan="on", server_header=False, root_path=root_path
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{sock.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        sock.close()


@contextlib.contextmanager
def asgi(wharf: Wharf, *, trusted: Sequence[str] = ()) -> Iterator[str]:
    with asgi_server(create_app(wharf, trusted_proxies=trusted)) as url:
        yield url


class Browser:
    """A plain HTTP client that changes nothing: no redirects, no decoding, no retries.

    What lies under the path `ours` is judged as HTTP; the rest is another application's.
    """

    def __init__(self, url: str, token: str | None = None, *, ours: str = "/") -> None:
        parts = urlsplit(url)
        assert parts.hostname is not None
        self.host, self.port = parts.hostname, parts.port or 80
        self.url = url
        self.token = token
        self._ours = ours

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        token: str | None = None,
    ) -> Answered:
        connection = http.client.HTTPConnection(self.host, self.port, timeout=20)
        sent = dict(headers or {})
        token = self.token if token is None else token
        if token:
            sent.setdefault("Authorization", f"Bearer {token}")
        try:
            connection.request(method, path, body=body, headers=sent)
            answer = connection.getresponse()
            pairs = answer.getheaders()
            found = Answered(answer.status, _lower(pairs), answer.read())
        finally:
            connection.close()
        if path.startswith(self._ours):
            wrong = complaints(method, self.url + path, sent, found.status, pairs, found.body)
            assert not wrong, (method, path, found.status, pairs, wrong)
        return found

    def raw(self, data: bytes, *, half_close: bool = False) -> bytes:
        """Send bytes as they are and return everything that comes back until the end."""
        with socket.create_connection((self.host, self.port), timeout=20) as sock:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
            received = b""
            while piece := sock.recv(65536):
                received += piece
            return received


def _lower(pairs: list[tuple[str, str]]) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in pairs:
        key = name.lower()
        assert key not in found, f"{name} came twice"
        found[key] = value
    return found


def form(*parts: tuple[str, str | None, bytes, str | None]) -> tuple[bytes, dict[str, str]]:
    """Return a multipart body and its header from (field, filename, content, type) parts."""
    boundary = "----a-boundary-nobody-sends"
    body = bytearray()
    for field, filename, content, media_type in parts:
        name = "" if filename is None else f'; filename="{filename}"'
        body += f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"{name}\r\n'.encode()
        if media_type is not None:
            body += f"Content-Type: {media_type}\r\n".encode()
        body += b"\r\n" + content + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return bytes(body), {"Content-Type": f"multipart/form-data; boundary={boundary}"}
