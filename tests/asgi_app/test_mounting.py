"""Mounted in Starlette and FastAPI, behind a root path, and alone: under uvicorn."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.routing import Mount

from support import samples
from support.services import make_wharf, token
from support.shells import Browser, asgi_server
from wharfinger import Wharf
from wharfinger.asgi import create_app

TEXT = {"Content-Type": "text/plain", "Content-Disposition": 'attachment; filename="notes.txt"'}


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


def alone(wharf: Wharf) -> Any:
    return create_app(wharf)


def starlette(wharf: Wharf) -> Any:
    return Starlette(routes=[Mount("/storage", create_app(wharf))])


def fastapi(wharf: Wharf) -> Any:
    app = FastAPI()
    app.mount("/storage", create_app(wharf))
    return app


def nested(wharf: Wharf) -> Any:
    return Starlette(routes=[Mount("/deep", starlette(wharf))])


MOUNTED = {
    "alone": (alone, ""),
    "Starlette": (starlette, "/storage"),
    "FastAPI": (fastapi, "/storage"),
    "Starlette in Starlette": (nested, "/deep/storage"),
}


@pytest.mark.parametrize("case", MOUNTED.values(), ids=list(MOUNTED))
def test_the_whole_way_of_a_file_under_a_mount_point(wharf: Wharf, case: tuple[Any, str]) -> None:
    make, prefix = case
    with asgi_server(make(wharf)) as url:
        browser = Browser(url, token(wharf))
        answer = browser.ask("POST", f"{prefix}/uploads/files", samples.TEXT, TEXT)
        record = answer.json()
        assert answer.status == 201
        assert record["url"] == f"{prefix}/files/{record['id']}" == answer.headers["location"]
        part = browser.ask("GET", record["url"], headers={"Range": "bytes=0-3"})
        assert (part.status, part.body) == (206, samples.TEXT[:4])
        listed = browser.ask("GET", f"{prefix}/files").json()["files"]
        assert [file["url"] for file in listed] == [record["url"]]
        link = browser.ask("POST", f"{record['url']}/links", b"").json()["url"]
        assert link.startswith(f"{url}{prefix}/d/")
        assert Browser(url).ask("GET", urlsplit(link).path).body == samples.TEXT
        servers = browser.ask("GET", f"{prefix}/openapi.json").json()["servers"]
        assert servers == [{"url": prefix or "/"}]
        assert browser.ask("GET", f"{prefix}/nothing").code == "not-found"
        assert browser.ask("DELETE", record["url"]).status == 204


@pytest.mark.parametrize("case", MOUNTED.values(), ids=list(MOUNTED))
def test_what_a_proxy_took_off_is_in_every_address(wharf: Wharf, case: tuple[Any, str]) -> None:
    make, prefix = case
    with asgi_server(make(wharf), root_path="/api") as url:
        browser = Browser(url, token(wharf))
        # The proxy serves us at /api and asks without it.
        record = browser.ask("POST", f"{prefix}/uploads/files", samples.TEXT, TEXT).json()
        link = browser.ask("POST", f"{prefix}/files/{record['id']}/links", b"").json()["url"]
    assert record["url"] == f"/api{prefix}/files/{record['id']}"
    assert link.startswith(f"{url}/api{prefix}/d/")


def test_the_lifespan_of_the_application_around_it_stays_its_own(wharf: Wharf) -> None:
    seen: list[str] = []

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        seen.append("started")
        yield
        seen.append("stopped")

    app = FastAPI(lifespan=lifespan)
    app.mount("/storage", create_app(wharf))
    with asgi_server(app) as url:
        assert Browser(url).ask("GET", "/storage/health/live").status == 200
    assert seen == ["started", "stopped"]
