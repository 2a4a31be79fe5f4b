"""`http.response.pathsend`: a server that offers it gets the path of a whole file, and of nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from asgi_app.test_protocol import Talk, ask, bearer, scope_of
from support.hosts import granian
from support.services import make_wharf
from support.shells import Browser
from wharfinger import Wharf
from wharfinger.asgi import create_app
from wharfinger.stores import MemoryStore

CONTENT = bytes(range(256)) * 4000


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


def get(wharf: Wharf, path: str, *, offered: bool = True, **headers: str) -> Talk:
    extensions: dict[str, Any] = {"http.response.pathsend": {}} if offered else {"other": {}}
    scope = scope_of("GET", path, {**bearer(wharf), **headers}, extensions=extensions)
    return ask(create_app(wharf), scope)


def test_a_whole_file_is_handed_over_by_its_path(wharf: Wharf) -> None:
    stored = wharf.receive([CONTENT], collection="files", name="a.bin")
    talk = get(wharf, f"/files/{stored.id}")
    assert [message["type"] for message in talk.sent] == [
        "http.response.start",
        "http.response.pathsend",
    ]
    assert (b"content-length", b"1024000") in talk.sent[0]["headers"]
    assert Path(talk.sent[1]["path"]).read_bytes() == CONTENT


def test_it_is_not_used_unless_it_is_offered(wharf: Wharf) -> None:
    stored = wharf.receive([CONTENT], collection="files", name="a.bin")
    talk = get(wharf, f"/files/{stored.id}", offered=False)
    assert {message["type"] for message in talk.sent[1:]} == {"http.response.body"}
    assert talk.body == CONTENT


@pytest.mark.parametrize("asked", ["bytes=0-499999", "bytes=1-", "bytes=0-199999,500000-799999"])
def test_parts_are_sent_by_us(wharf: Wharf, asked: str) -> None:
    stored = wharf.receive([CONTENT], collection="files", name="a.bin")
    talk = get(wharf, f"/files/{stored.id}", Range=asked)
    assert talk.status == 206
    assert {message["type"] for message in talk.sent[1:]} == {"http.response.body"}


def test_a_small_file_goes_out_in_one_message(wharf: Wharf) -> None:
    stored = wharf.receive([CONTENT[:1000]], collection="files", name="a.bin")
    talk = get(wharf, f"/files/{stored.id}")
    assert [message["type"] for message in talk.sent] == [
        "http.response.start",
        "http.response.body",
    ]
    assert talk.body == CONTENT[:1000]


def test_what_has_no_path_is_sent_by_us(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", store=MemoryStore()) as wharf:
        stored = wharf.receive([CONTENT], collection="files", name="a.bin")
        assert get(wharf, f"/files/{stored.id}").body == CONTENT


def test_what_lost_its_path_is_sent_by_us(wharf: Wharf, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = wharf.receive([CONTENT], collection="files", name="a.bin")
    plain = Wharf.open_file

    def removed_meanwhile(self: Wharf, *args: Any, **more: Any) -> Any:
        file = plain(self, *args, **more)
        (path,) = (wharf.settings.data / "files").rglob(stored.id)
        path.unlink()
        return file

    monkeypatch.setattr(Wharf, "open_file", removed_meanwhile)
    assert get(wharf, f"/files/{stored.id}").body == CONTENT


def test_a_server_that_offers_it_sends_the_file_and_its_parts(tmp_path: Path) -> None:
    environment = {"DATA_FOLDER": str(tmp_path / "data")}
    here = Path(__file__).parent
    with granian("hosted:make", here, tmp_path / "log", environment) as (url, _):
        browser = Browser(url)
        headers = {"Content-Type": "application/octet-stream"}
        record = browser.ask("POST", "/uploads/files", CONTENT, headers).json()
        whole = browser.ask("GET", record["url"])
        assert (whole.status, whole.body) == (200, CONTENT)
        assert whole.headers["etag"] == f'"{record["sha256"]}"'
        part = browser.ask("GET", record["url"], headers={"Range": "bytes=500000-899999"})
        assert (part.status, part.body) == (206, CONTENT[500_000:900_000])
