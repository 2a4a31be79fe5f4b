"""The programs that are measured and those they are compared with, started on free loopback ports.

Each is a context manager that stops what it started, by its pid.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.measure import BenchmarkError, timed

WHARFINGER = (str(Path(sys.executable).with_name("wharfinger")),)
_TUS = """
import { Server } from '@tus/server'
import { FileStore } from '@tus/file-store'
const [directory, port] = process.argv.slice(2)
new Server({ path: '/files', relativeLocation: true, datastore: new FileStore({ directory }) })
  .listen({ host: '127.0.0.1', port: Number(port) })
"""
_SBIN = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def find(program: str) -> str:
    """Return the path of a program; say what to install when it is missing."""
    path = shutil.which(program, path=_SBIN)
    if path is None:
        raise BenchmarkError(
            f"{program} is missing; on Debian: apt-get install nginx-light curl openssl wrk"
        )
    return path


def version(program: str) -> str:
    """Return name and version as the program prints them."""
    flag = "-v" if program == "nginx" else "--version"
    done = subprocess.run([find(program), flag], capture_output=True, text=True, check=True)
    number = re.search(r"\d+(?:\.\d+)+", done.stdout or done.stderr)
    return f"{program} {number[0] if number else '?'}"


@dataclass(frozen=True, slots=True)
class Server:
    """A running server: where it answers, which process it is, and its certificate."""

    url: str
    pid: int
    certificate: Path | None = None


@contextmanager
def nginx(folder: Path, root: Path) -> Iterator[tuple[Server, Server]]:
    """Serve `root` by nginx with sendfile, as a distribution would configure it: http and https."""
    port, secure = _free_port(), _free_port()
    folder.mkdir()
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [find("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
         "-keyout", str(key), "-out", str(certificate), "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost"],
        check=True, capture_output=True,
    )  # fmt: skip
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"""
daemon off;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/error.log warn;
{"user root;" if os.geteuid() == 0 else ""}
events {{ worker_connections 256; }}
http {{
  {temporary}
  access_log off;
  sendfile on;
  tcp_nopush on;
  keepalive_requests 1000000;
  default_type application/octet-stream;
  ssl_certificate {certificate};
  ssl_certificate_key {key};
  server {{ listen 127.0.0.1:{port}; root {root}; }}
  server {{ listen 127.0.0.1:{secure} ssl; root {root}; }}
}}
""",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [find("nginx"), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")],
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_until_open(port, process)
        yield (
            Server(f"http://127.0.0.1:{port}", process.pid),
            Server(f"https://localhost:{secure}", process.pid, certificate),
        )
    finally:
        _stop(process)


@contextmanager
def nginx_dav(folder: Path, root: Path) -> Iterator[Server]:
    """Let nginx keep what is PUT, by its DAV module (part of nginx-light)."""
    port = _free_port()
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nworker_processes 1;\npid {folder}/pid;\n"
        f"error_log {folder}/error.log warn;\n{'user root;' if os.geteuid() == 0 else ''}\n"
        "events { worker_connections 256; }\n"
        f"http {{ access_log off; client_max_body_size 0; client_body_temp_path {folder}/body;\n"
        + "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("proxy", "fastcgi", "uwsgi", "scgi")
        )
        + f"server {{ listen 127.0.0.1:{port}; root {root}; dav_methods PUT; }} }}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [find("nginx"), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")],
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_until_open(port, process)
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        _stop(process)


@contextmanager
def receiving_app(folder: Path, host: str, target: str) -> Iterator[Server]:
    """Run an application that saves the file of a form into a folder, on gunicorn or uvicorn."""
    port = _free_port()
    options = {
        "gunicorn": ["--worker-class", "gthread", "--threads", "8", "--log-level", "error",
                     "--bind", f"127.0.0.1:{port}", target],
        "uvicorn": ["--log-level", "error", "--port", str(port), "--factory", target],
    }  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", host, *options[host]],
        stdin=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "BENCH_FOLDER": str(folder), "TMPDIR": str(folder)},
    )
    try:
        _wait_until_open(port, process)
        yield Server(f"http://127.0.0.1:{port}/", process.pid)
    finally:
        _stop(process)


@contextmanager
def nginx_in_front(folder: Path, service: Service) -> Iterator[Server]:
    """Run nginx before a service, as docs/how-to/nginx.md has it take files over; plain HTTP, no log."""
    page = Path(__file__).parents[1] / "docs" / "how-to" / "nginx.md"
    shown = re.search(
        r"<!-- tested: taking over -->\s+```nginx\n(.*?)^```$",
        page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE,
    )  # fmt: skip
    if shown is None:
        raise BenchmarkError(f"{page} shows no configuration to measure")
    port = _free_port()
    folder.mkdir()
    server = shown[1]
    for said, here in (
        (r"127\.0\.0\.1:8080", service.url.removeprefix("http://")),
        (r"listen 443 ssl;", f"listen 127.0.0.1:{port};"),
        (r"ssl_certificate\w*\s[^;]*;", ""),
        (r"access_log [^;]*;", "access_log off;"),
        (r"/srv/wharfinger/files/", f"{service.files}/"),
    ):
        server, times = re.subn(said, here, server)
        if not times:
            raise BenchmarkError(f"{page} does not say {said}")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};\n"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off;\nworker_processes 1;\npid {folder}/pid;\n"
        f"error_log {folder}/error.log warn;\n{'user root;' if os.geteuid() == 0 else ''}\n"
        f"events {{ worker_connections 256; }}\n"
        f"http {{\n{temporary}keepalive_requests 1000000;\n{server}\n}}\n",
        encoding="utf-8",
    )
    process = subprocess.Popen(
        [find("nginx"), "-c", str(config), "-p", str(folder), "-e", str(folder / "error.log")],
        stdin=subprocess.DEVNULL,
    )
    try:
        _wait_until_open(port, process)
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        _stop(process)


@contextmanager
def sink() -> Iterator[Server]:
    """Run the server that throws bodies away."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.sink"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        yield Server(f"http://127.0.0.1:{port}", process.pid)
    finally:
        process.stdin.close()
        process.stdout.close()
        _stop(process)


class Service:
    """Our own `serve` over a fresh folder, with an admin token."""

    def __init__(self, url: str, pid: int, token: str, folder: Path) -> None:
        self.url = url
        self.pid = pid
        self.env = {**os.environ, "WHARFINGER_TOKEN": token, "WHARFINGER_SERVER": url}
        # curl reads the header from a file: no token in a list of processes.
        self.header = folder / "header"
        self.header.write_text(f"Authorization: Bearer {token}\n", encoding="ascii")
        self.header.chmod(0o600)
        self.files = folder / "data" / "files"
        self._token = token

    @property
    def uploads(self) -> str:
        """The address that takes files in."""
        return f"{self.url}/uploads/files"

    def add(self, path: Path) -> str:
        """Store a file and return the address that delivers it."""
        done = subprocess.run(
            [find("curl"), "-fsS", "-H", f"@{self.header}", "-F", f"file=@{path}", self.uploads],
            capture_output=True,
            text=True,
            check=True,
        )
        return f"{self.url}/files/{json.loads(done.stdout)['files'][0]['id']}"

    def clear(self) -> None:
        """Remove every file, so that a run's disk use is bounded by one round."""
        for record in json.loads(self._ask("GET", "/files?limit=1000"))["files"]:
            self._ask("DELETE", f"/files/{record['id']}")

    def _ask(self, method: str, path: str) -> bytes:
        request = urllib.request.Request(  # noqa: S310 - our own loopback address
            self.url + path, method=method, headers={"Authorization": f"Bearer {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            body: bytes = answer.read()
        return body


@contextmanager
def service(folder: Path, *, workers: int = 1, offload: bool = False) -> Iterator[Service]:
    """Run `wharfinger serve` on a free port over a fresh data folder.

    With `offload` it hands files over to an nginx in front.
    """
    folder.mkdir()
    data = folder / "data"
    log = (folder / "log").open("wb")
    process = subprocess.Popen(
        [*WHARFINGER, "serve", "--data", str(data), "--port", "0", "--json",
         "--workers", str(workers)],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True,
        env={**os.environ, **({"WHARFINGER_OFFLOAD": "nginx"} if offload else {})},
    )  # fmt: skip
    assert process.stdout is not None
    try:
        first = process.stdout.readline()
        if not first:
            raise BenchmarkError(f"serve did not start:\n{(folder / 'log').read_text()[-800:]}")
        token = subprocess.run(
            [*WHARFINGER, "token", "create", "--data", str(data), "--name", "bench",
             "--scopes", "read,write,share,admin"],
            capture_output=True, text=True, check=True,
        ).stdout.strip()  # fmt: skip
        yield Service(json.loads(first)["url"], process.pid, token, folder)
    finally:
        process.stdout.close()
        log.close()
        _stop(process)


def can_run_tus() -> bool:
    """Whether `tus` has what it needs."""
    return all(shutil.which(program) for program in ("node", "npm"))


@contextmanager
def tus(folder: Path) -> Iterator[Server]:
    """Run `@tus/server` with its file store, which npm installs into a cache folder once."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    home = Path(cache) / "wharfinger-benchmarks" / "tus-server-2"
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "node_modules" / "@tus" / "server").exists():
        timed(
            [find("npm"), "install", "--no-save", "--no-audit", "--no-fund", "--prefix", str(home),
             "@tus/server@2", "@tus/file-store@2"]
        )  # fmt: skip
    (home / "serve.mjs").write_text(_TUS, encoding="utf-8")
    port = _free_port()
    folder.mkdir()
    process = subprocess.Popen(
        [find("node"), str(home / "serve.mjs"), str(folder), str(port)], stdin=subprocess.DEVNULL
    )
    try:
        _wait_until_open(port, process)
        yield Server(f"http://127.0.0.1:{port}/files", process.pid)
    finally:
        _stop(process)


@contextmanager
def gunicorn(folder: Path, target: str) -> Iterator[Server]:
    """Run a WSGI application with threads, as a small deployment would; it logs into `folder`."""
    port = _free_port()
    with (folder / "gunicorn.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "--worker-class", "gthread", "--threads", "8",
             "--pythonpath", str(Path(__file__).parents[1]), "--bind", f"127.0.0.1:{port}", target],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        )  # fmt: skip
        try:
            _wait_until_open(port, process)
            yield Server(f"http://127.0.0.1:{port}", process.pid)
        finally:
            _stop(process)


@contextmanager
def starlette(host: str, file: Path) -> Iterator[Server]:
    """Serve one file by Starlette's `FileResponse` on uvicorn or granian."""
    port = _free_port()
    options = {
        "uvicorn": ["--log-level", "error", "--port", str(port)],
        "granian": ["--interface", "asgi", "--log-level", "error", "--port", str(port)],
    }
    process = subprocess.Popen(
        [sys.executable, "-m", host, *options[host], "benchmarks.starlette_app:app"],
        stdin=subprocess.DEVNULL,
        cwd=Path(__file__).parents[1],
        env={**os.environ, "BENCH_FILE": str(file)},
    )
    try:
        _wait_until_open(port, process)
        yield Server(f"http://127.0.0.1:{port}/", process.pid)
    finally:
        _stop(process)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
    return port


def _wait_until_open(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except ConnectionRefusedError:
            time.sleep(0.02)
        else:
            return
    raise BenchmarkError(f"nothing answers on port {port}")


def _stop(process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(timeout=20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
