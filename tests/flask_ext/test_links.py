"""`link`: an address that whoever has it may fetch."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.typing import ResponseReturnValue

from flask_ext.conftest import Ask
from support import samples
from support.services import make_wharf
from support.shells import Browser, wsgi
from wharfinger import Principal, StoredFile, Wharf
from wharfinger.errors import ConfigError, NotFound
from wharfinger.flask import Wharfinger


@pytest.fixture
def stored(wharf: Wharf) -> StoredFile:
    return wharf.receive([samples.TEXT], collection="files", name="notes.txt")


def test_a_link_needs_the_blueprint_and_says_how(
    app: Flask, files: Wharfinger, stored: StoredFile, wharf: Wharf
) -> None:
    with app.test_request_context(), pytest.raises(ConfigError) as raised:
        files.link(stored)
    assert raised.value.hint == 'app.register_blueprint(files.blueprint(), url_prefix="/storage")'
    assert wharf.links.of_file(stored.id) == []


@pytest.mark.parametrize("prefix", [None, "/storage", "/deep/er"])
def test_a_link_is_an_absolute_address_that_works(
    app: Flask, files: Wharfinger, stored: StoredFile, prefix: str | None
) -> None:
    app.register_blueprint(files.blueprint(), url_prefix=prefix)
    uncached = {"Cache-Control": "no-store"}
    app.add_url_rule(
        "/share", "share", lambda: (files.link(stored, download_name="für dich.txt"), uncached)
    )
    with wsgi(app) as url:
        link = Browser(url).ask("GET", "/share").body.decode()
        assert link.startswith(f"{url}{prefix or ''}/d/")
        answer = Browser(url).ask("GET", urlsplit(link).path)
    assert (answer.status, answer.body) == (200, samples.TEXT)
    assert "f%C3%BCr%20dich.txt" in answer.headers["content-disposition"]


def test_a_link_counts_expires_and_belongs_to_who_made_it(
    app: Flask, ask: Ask, files: Wharfinger, stored: StoredFile, wharf: Wharf
) -> None:
    app.register_blueprint(files.blueprint(), url_prefix="/storage")
    files.authorize(lambda: Principal(id="user:7", scopes=frozenset({"share"})))
    link = ask(lambda: files.link(stored.id, expires_in=60, max_downloads=1)).body.decode()
    made = wharf.links.of_file(stored.id)[0]
    assert (made.owner, made.max_downloads) == ("user:7", 1)
    assert (made.expires_at - made.created_at).total_seconds() == 60
    assert ask(urlsplit(link).path).body == samples.TEXT
    assert ask(urlsplit(link).path).status == 404


def test_a_link_to_nothing_is_not_found(app: Flask, files: Wharfinger) -> None:
    app.register_blueprint(files.blueprint())
    with app.test_request_context(), pytest.raises(NotFound):
        files.link("0" * 32)


def test_the_root_of_the_host_server_is_part_of_the_link(
    app: Flask, files: Wharfinger, stored: StoredFile
) -> None:
    app.register_blueprint(files.blueprint(), url_prefix="/storage")
    with app.test_request_context(base_url="https://example.org/app"):
        assert files.link(stored).startswith("https://example.org/app/storage/d/")


def test_outside_a_request_a_link_needs_an_address_from_the_configuration(
    app: Flask, files: Wharfinger, stored: StoredFile, wharf: Wharf
) -> None:
    app.register_blueprint(files.blueprint(), url_prefix="/storage")
    with app.app_context(), pytest.raises(ConfigError, match="Outside a request") as raised:
        files.link(stored)
    assert raised.value.hint == "Set WHARFINGER_PUBLIC_URL, or SERVER_NAME."
    assert wharf.links.of_file(stored.id) == []
    app.config["SERVER_NAME"] = "example.org"
    with app.app_context():
        assert files.link(stored).startswith("http://example.org/storage/d/")


def test_a_public_address_wins(tmp_path: Path) -> None:
    public = "https://example.org/storage"
    app = Flask("app")
    with make_wharf(tmp_path / "public", public_url=public) as wharf:
        files = Wharfinger(app, wharf=wharf)
        app.register_blueprint(files.blueprint(), url_prefix="/storage")
        stored = wharf.receive([samples.TEXT], collection="files")
        with app.app_context():
            link = files.link(stored)
        assert link.startswith(f"{public}/d/")
        with app.test_client().get(urlsplit(link).path) as answer:
            assert answer.data == samples.TEXT


def test_a_view_can_return_a_link(
    app: Flask, ask: Ask, files: Wharfinger, stored: StoredFile
) -> None:
    app.register_blueprint(files.blueprint(), url_prefix="/storage")

    def view() -> ResponseReturnValue:
        return {"url": files.link(stored)}

    assert ask(view).json()["url"].startswith("http://localhost/storage/d/")
