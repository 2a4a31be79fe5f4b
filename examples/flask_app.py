"""Files in a Flask application: every way to hand them out, and two ways to take them in.

    python examples/flask_app.py [PORT]

On first start it makes its folder data/flask-example with a file to hand out and a token.
In production: gunicorn --threads 100 --pythonpath examples "flask_app:create_app()"
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from flask import Blueprint, Flask, Response, current_app, request
from flask.typing import ResponseReturnValue

from wharfinger import WharfingerError
from wharfinger.errors import Unauthenticated
from wharfinger.flask import Wharfinger

DATA = Path("data/flask-example")

files = Wharfinger()
site = Blueprint("site", __name__)


def create_app(data: Path | str = DATA) -> Flask:
    """Return the application over a data folder."""
    app = Flask(__name__)
    app.config["WHARFINGER_DATA"] = Path(data).absolute()
    app.config["WHARFINGER_COLLECTIONS"] = {"avatars": {"types": "images", "max_size": "5 MiB"}}
    app.config["PUBLIC_FOLDER"] = Path(data).absolute() / "public"
    files.init_app(app)
    app.register_blueprint(files.blueprint(), url_prefix="/storage")  # links need it
    app.register_blueprint(site)
    with app.app_context():
        prepare(Path(data).absolute())
    return app


def prepare(data: Path) -> None:
    """Make a file to hand out and a token, unless they are there."""
    (data / "public").mkdir(parents=True, exist_ok=True)
    (data / "public" / "terms.txt").write_text("Be kind.\n", "utf-8")
    if not (data / "token").exists():
        _, secret = files.wharf.tokens.create("example", {"read", "write", "share"})
        (data / "token").touch(mode=0o600)
        (data / "token").write_text(secret, "utf-8")


# --- out: seven kinds ---------------------------------------------------------------------


@site.get("/path/<path:name>")
def by_path(name: str) -> Response:
    """A file of our own, from a folder that no name can lead out of."""
    return files.deliver_path(current_app.config["PUBLIC_FOLDER"], name)


@site.get("/attachment/<file>")
def attachment(file: str) -> Response:
    """A received file, saved under a name of our choice."""
    return files.deliver(file, as_attachment=True, download_name="Übersicht.png")


@site.get("/memory")
def memory() -> Response:
    """Bytes that were made just now; with ranges and an entity-tag all the same."""
    return files.deliver_data(b"name,score\nAda,3\n", download_name="scores.csv")


@site.get("/typed")
def typed() -> Response:
    """A chosen media type."""
    places = b'{"type": "FeatureCollection", "features": []}'
    return files.deliver_data(
        places, mimetype="application/geo+json", download_name="places.geojson"
    )


@site.get("/large/<file>")
def large(file: str) -> Response:
    """A large file: sent by the kernel under gunicorn, at flat memory anywhere."""
    return files.deliver(file)


@site.get("/protected/<file>")
def protected(file: str) -> Response:
    """Only for whoever holds a token, and kept by no cache."""
    scheme, _, secret = request.headers.get("Authorization", "").partition(" ")
    principal = files.wharf.tokens.authenticate(secret) if scheme == "Bearer" else None
    if principal is None or not principal.may("read"):
        raise Unauthenticated
    return files.deliver(file)  # Cache-Control: private, no-store, unless max_age says else


@site.get("/generated")
def generated() -> Response:
    """Rows that are made while they are sent, as fast as the client takes them."""

    def rows() -> Iterator[bytes]:
        yield b"n,square\n"
        for number in range(100_000):
            yield f"{number},{number * number}\n".encode()

    return files.deliver_data(rows(), download_name="squares.csv", as_attachment=True)


# --- in -----------------------------------------------------------------------------------


@site.post("/avatar")
def avatar() -> ResponseReturnValue:
    """One picture, streamed from this request's body: a form or the bytes themselves."""
    stored = files.receive("avatars")
    return {"id": stored.id, "type": stored.type, "url": files.link(stored, expires_in=3600)}


@site.post("/album")
def album() -> ResponseReturnValue:
    """Several files and the other fields of a form; all of them are kept or none."""
    try:
        form = files.receive_form("files")
    except WharfingerError as error:
        return {"sorry": str(error)}, error.http_status
    return {"title": form.fields.get("title"), "ids": [stored.id for stored in form.files]}


if __name__ == "__main__":
    application = create_app()
    print(f"The token for /protected is in {DATA / 'token'}.")
    application.run(port=int(sys.argv[1]) if len(sys.argv) > 1 else 5000, threaded=True)
