"""`request_link`: an address at which others may send files into the application's collections."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from flask import Flask

from support.shells import Browser, form, wsgi
from wharfinger import Event, Principal, Wharf
from wharfinger.errors import ConfigError
from wharfinger.flask import Wharfinger


def test_it_needs_the_blueprint_and_says_how(app: Flask, files: Wharfinger, wharf: Wharf) -> None:
    with app.test_request_context(), pytest.raises(ConfigError) as raised:
        files.request_link("files")
    assert raised.value.hint == 'app.register_blueprint(files.blueprint(), url_prefix="/storage")'
    assert wharf.upload_links.of_collection("files") == []


@pytest.mark.parametrize("prefix", [None, "/storage", "/deep/er"])
def test_it_is_an_absolute_address_that_takes_files(
    app: Flask, files: Wharfinger, wharf: Wharf, prefix: str | None
) -> None:
    app.register_blueprint(files.blueprint(), url_prefix=prefix)
    files.authorize(lambda: Principal(id="user:7", scopes=frozenset({"share"})))
    uncached = {"Cache-Control": "no-store"}
    app.add_url_rule("/ask", "ask", lambda: (files.request_link("files", max_files=2), uncached))
    seen: list[Event] = []
    with app.app_context():
        files.wharf.events.subscribe(seen.append)
    with wsgi(app) as url:
        link = Browser(url).ask("GET", "/ask").body.decode()
        assert link.startswith(f"{url}{prefix or ''}/u/")
        path, sender = urlsplit(link).path, Browser(url)
        sent = sender.ask("POST", path, *form(("file", "a.txt", b"text", None)))
        tus = {"Tus-Resumable": "1.0.0", "Upload-Length": "4"}
        begun = sender.ask("POST", path, b"", tus)
    assert (sent.status, begun.status) == (201, 201)
    assert begun.headers["location"].startswith(f"{path}/")
    (stored,) = wharf.list_files()[0]
    assert (stored.owner, stored.name) == ("user:7", "a.txt")
    wharf.close()
    assert [event.type for event in seen] == ["file.received", "file.ready"]


def test_without_an_address_no_link_stays_behind(
    app: Flask, files: Wharfinger, wharf: Wharf
) -> None:
    app.register_blueprint(files.blueprint())
    with app.app_context(), pytest.raises(ConfigError):
        files.request_link("files")
    assert wharf.upload_links.of_collection("files") == []
