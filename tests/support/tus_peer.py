"""A tus 1.0 server in memory that keeps to the protocol's text, and fails where a test says so.

It has the extensions that the servers of other projects lack: checksum, concatenation and
expiration, next to creation (also with content, also without a length) and termination.
"""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

ALL = (
    "creation", "creation-with-upload", "creation-defer-length", "checksum", "concatenation",
    "expiration", "termination",
)  # fmt: skip


@dataclass
class Asked:
    """One request as it came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Stored:
    """One upload."""

    length: int | None
    metadata: str = ""
    concat: str = ""
    data: bytearray = field(default_factory=bytearray)


# Gets the request and the handler; True means that it has answered (or broken) by itself.
Fault = Callable[["Asked", "Handler"], bool]


@dataclass
class TusPeer:
    """The server. `faults` are asked in turn for each request, before it is processed."""

    extensions: tuple[str, ...] = ALL
    max_size: int | None = None
    algorithms: str = "sha1,sha256"
    version: str = "1.0.0"
    absolute: bool = False
    expires: float | None = None
    prefix: str = "/files/"
    faults: list[Fault] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    uploads: dict[str, Stored] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        peer = self

        class Bound(Handler):
            pass

        Bound.peer = peer
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join(10)

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}"

    @property
    def url(self) -> str:
        return f"{self.origin}/files"

    def sent(self, method: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == method]

    @property
    def only(self) -> Stored:
        """The one upload that is no part of another."""
        (stored,) = [one for one in self.uploads.values() if one.concat != "partial"]
        return stored


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    peer: TusPeer
    asked: Asked

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except OSError:
            self.close_connection = True

    def handle_expect_100(self) -> bool:
        return True  # said when the body is wanted

    def __getattr__(self, name: str) -> object:
        if name.startswith("do_"):
            return self.respond
        raise AttributeError(name)

    def respond(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.asked = Asked(self.command, self.path, headers)
        self.peer.asked.append(self.asked)
        for fault in list(self.peer.faults):
            if fault(self.asked, self):
                return
        if self.command == "OPTIONS":
            self.options()
        elif headers.get("tus-resumable") != self.peer.version:
            self.answer(412, {"Tus-Version": self.peer.version})
        else:
            {"POST": self.create, "HEAD": self.head, "PATCH": self.patch, "DELETE": self.delete}[
                self.command
            ]()

    def answer(self, status: int, fields: dict[str, str] | None = None, body: bytes = b"") -> None:
        self.send_response(status)
        for name, value in {"Tus-Resumable": "1.0.0", **(fields or {})}.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if int(self.asked.headers.get("content-length", "0")) > len(self.asked.body):
            self.close_connection = True

    def body(self, limit: int | None = None) -> bytes:
        """Read the body, or the first bytes of it."""
        length = int(self.asked.headers.get("content-length", "0"))
        if self.asked.headers.get("expect") == "100-continue":
            self.wfile.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.wfile.flush()
        wanted = length if limit is None else min(limit, length)
        while len(self.asked.body) < wanted:
            more = self.rfile.read1(wanted - len(self.asked.body))
            if not more:
                break
            self.asked.body += more
        return self.asked.body

    def drop(self) -> None:
        """Break the connection without an answer."""
        self.close_connection = True
        self.wfile.flush()

    # --- the protocol ----------------------------------------------------------------------

    def options(self) -> None:
        fields = {"Tus-Version": self.peer.version}
        if self.peer.extensions:
            fields["Tus-Extension"] = ",".join(self.peer.extensions)
        if self.peer.max_size is not None:
            fields["Tus-Max-Size"] = str(self.peer.max_size)
        if "checksum" in self.peer.extensions:
            fields["Tus-Checksum-Algorithm"] = self.peer.algorithms
        self.answer(204, fields)

    def create(self) -> None:
        headers = self.asked.headers
        concat = headers.get("upload-concat", "")
        if concat.startswith("final;"):
            self.join(concat)
            return
        length = headers.get("upload-length")
        if (length is None) == (headers.get("upload-defer-length") is None):
            self.answer(400)
            return
        if (
            length is not None
            and self.peer.max_size is not None
            and int(length) > self.peer.max_size
        ):
            self.answer(413)
            return
        stored = Stored(
            None if length is None else int(length), headers.get("upload-metadata", ""), concat
        )
        fields = self.add(stored)
        if headers.get("content-length", "0") != "0":
            if headers.get("content-type") != "application/offset+octet-stream":
                self.answer(415)
                return
            stored.data += self.body()
            fields["Upload-Offset"] = str(len(stored.data))
        self.answer(201, fields)

    def add(self, stored: Stored) -> dict[str, str]:
        with self.peer.lock:
            path = f"{self.peer.prefix}{len(self.peer.uploads) + 1}"
            self.peer.uploads[path] = stored
        location = f"{self.peer.origin}{path}" if self.peer.absolute else path
        return {"Location": location, **self.expiry()}

    def expiry(self) -> dict[str, str]:
        if self.peer.expires is None:
            return {}
        return {"Upload-Expires": formatdate(self.peer.expires, usegmt=True)}

    def join(self, concat: str) -> None:
        if "upload-length" in self.asked.headers:
            self.answer(400)
            return
        paths = [url.removeprefix(self.peer.origin) for url in concat[6:].split(" ")]
        parts = [self.peer.uploads[path] for path in paths]
        data = b"".join(bytes(part.data) for part in parts)
        metadata = self.asked.headers.get("upload-metadata", "")
        self.answer(201, self.add(Stored(len(data), metadata, concat, bytearray(data))))

    def known(self) -> Stored | None:
        stored = self.peer.uploads.get(self.path)
        if stored is None:
            self.answer(404)
        return stored

    def head(self) -> None:
        if (stored := self.known()) is None:
            return
        fields = {"Upload-Offset": str(len(stored.data)), "Cache-Control": "no-store"}
        if stored.length is None:
            fields["Upload-Defer-Length"] = "1"
        else:
            fields["Upload-Length"] = str(stored.length)
        self.answer(200, {**fields, **self.expiry()})

    def patch(self) -> None:
        if (stored := self.known()) is None:
            return
        headers = self.asked.headers
        if headers.get("content-type") != "application/offset+octet-stream":
            self.answer(415)
            return
        if headers.get("upload-offset") != str(len(stored.data)):
            self.answer(409)
            return
        if "upload-length" in headers:
            if stored.length is not None:
                self.answer(400)
                return
            stored.length = int(headers["upload-length"])
        checksum = headers.get("upload-checksum")
        content = self.body()
        if checksum is None:
            stored.data += content  # also what was cut off
        if len(content) < int(headers["content-length"]):
            self.drop()
            return
        if checksum is not None:
            algorithm, _, digest = checksum.partition(" ")
            if hashlib.new(algorithm, content).digest() != base64.b64decode(digest):
                self.answer(460)
                return
            stored.data += content
        self.answer(204, {"Upload-Offset": str(len(stored.data)), **self.expiry()})

    def delete(self) -> None:
        if self.known() is not None:
            del self.peer.uploads[self.path]
            self.answer(204)
