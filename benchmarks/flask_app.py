"""The application that gunicorn runs for flask_delivery.py: the same file by each function."""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, send_file

from wharfinger.flask import Wharfinger


def make(data: str, path: str) -> Flask:
    """Return the application over a data folder and one file."""
    app = Flask(__name__, root_path=data)
    app.config["WHARFINGER_DATA"] = data
    files = Wharfinger(app)
    file = Path(path)

    @app.get("/deliver_path")
    def deliver_path() -> Response:
        return files.deliver_path(file.parent, file.name)

    @app.get("/deliver/<stored>")
    def deliver(stored: str) -> Response:
        return files.deliver(stored)

    @app.get("/send_file")
    def theirs() -> Response:
        return send_file(file, conditional=True)

    return app
