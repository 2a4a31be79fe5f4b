"""What Python applications take a form in with: Flask's `request.files`, Starlette's `form()`."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

from flask import Flask, request


def make_flask() -> Flask:
    """Return a Flask application that saves the file of a form."""
    app = Flask(__name__)

    @app.post("/")
    def take() -> str:
        request.files["f"].save(Path(os.environ["BENCH_FOLDER"]) / "flask.bin")
        return "kept"

    return app


def make_starlette() -> Any:
    """Return a Starlette application that does the same."""
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.requests import Request
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    async def take(asked: Request) -> PlainTextResponse:
        async with asked.form() as form:
            file: Any = form["f"]
            await run_in_threadpool(_save, file.file)
        return PlainTextResponse("kept")

    return Starlette(routes=[Route("/", take, methods=["POST"])])


def _save(file: Any) -> None:
    with (Path(os.environ["BENCH_FOLDER"]) / "starlette.bin").open("wb") as out:
        shutil.copyfileobj(file, out, 1024 * 1024)
