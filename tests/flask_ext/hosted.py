"""The application that test_gunicorn.py and test_sending.py run in a process of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from flask import Flask, Response
from flask.typing import ResponseReturnValue

from wharfinger.flask import Wharfinger


def make(folder: str) -> Flask:
    app = Flask("hosted", root_path=folder)
    app.config["WHARFINGER_DATA"] = "data"
    files = Wharfinger(app)
    app.register_blueprint(files.blueprint(), url_prefix="/storage")
    state = {"made": 0, "closed": 0}

    @app.after_request
    def uncached(answer: Response) -> Response:
        if "Cache-Control" not in answer.headers:  # the application's own answers
            answer.headers["Cache-Control"] = "no-store"
        return answer

    @app.get("/pid")
    def pid() -> ResponseReturnValue:
        return str(os.getpid())

    @app.get("/token")
    def token() -> ResponseReturnValue:
        return files.wharf.tokens.create("test", {"read", "write"})[1]

    @app.post("/receive")
    def receive() -> ResponseReturnValue:
        stored = files.receive("files")
        return {"id": stored.id, "size": stored.size, "sha256": stored.sha256}

    @app.get("/count")
    def count() -> ResponseReturnValue:
        return str(len(files.wharf.list_files()[0]))

    @app.get("/files/<file>")
    def show(file: str) -> ResponseReturnValue:
        return files.deliver(file)

    @app.get("/sparse")
    def sparse() -> ResponseReturnValue:
        return files.deliver_path("public", "sparse.bin")

    @app.get("/memory")
    def memory() -> ResponseReturnValue:
        return files.deliver_data(b"0123456789", mimetype="text/plain")

    @app.get("/opened")
    def opened() -> ResponseReturnValue:
        file = (Path(folder) / "public" / "sparse.bin").open("rb")
        return files.deliver_data(file, download_name="sparse.bin")

    @app.get("/endless")
    def endless() -> ResponseReturnValue:
        def pieces() -> Iterator[bytes]:
            try:
                while True:
                    state["made"] += 65536
                    yield bytes(65536)
            finally:
                state["closed"] += 1

        return files.deliver_data(pieces(), mimetype="application/octet-stream")

    @app.get("/path")
    def path() -> ResponseReturnValue:
        return files.deliver_path("public", "cut.bin")

    @app.get("/file")
    def file() -> ResponseReturnValue:
        opened = (Path(folder) / "public" / "cut.bin").open("rb")
        return files.deliver_data(opened, download_name="cut.bin")

    @app.get("/stored")
    def stored() -> ResponseReturnValue:
        return files.deliver(files.wharf.list_files()[0][0])

    @app.get("/pipe")
    def pipe() -> ResponseReturnValue:
        reading, writing = os.pipe()
        with os.fdopen(writing, "wb") as end:
            end.write(b"through a pipe")
        return files.deliver_data(os.fdopen(reading, "rb"), mimetype="text/plain")

    @app.get("/async")
    async def asynchronous() -> ResponseReturnValue:
        return files.deliver_path("public", "cut.bin")

    @app.get("/failing/<int:after>")
    def failing(after: int) -> ResponseReturnValue:
        def pieces() -> Iterator[bytes]:
            try:
                for _ in range(after):
                    yield b"x" * 1000
                raise RuntimeError("the source went away")
            finally:
                state["closed"] += 1

        return files.deliver_data(pieces(), mimetype="text/plain")

    @app.get("/state")
    def show_state() -> ResponseReturnValue:
        return dict(state)

    return app
