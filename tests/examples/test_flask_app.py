"""The Flask example under gunicorn, asked by curl and a plain HTTP client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import samples
from support.hosts import gunicorn
from support.measure import MIB, fetch_digest, noise_digest, send_noise
from support.processes import free_port, running
from support.require import program
from support.shells import Browser, form

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("flask-example") / "data"


@pytest.fixture(scope="module")
def url(data: Path) -> Iterator[str]:
    target = f"flask_app:create_app({str(data)!r})"
    with gunicorn(target, EXAMPLES, data.with_name("log")) as (url, _):
        yield url


@pytest.fixture
def browser(url: str) -> Browser:
    return Browser(url)


@pytest.fixture
def picture(browser: Browser) -> dict[str, str]:
    answer = browser.ask("POST", "/avatar", *form(("me", "me.png", samples.image("PNG"), None)))
    assert answer.status == 200, answer
    record: dict[str, str] = answer.json()
    return record


def test_a_file_by_its_path(browser: Browser) -> None:
    assert browser.ask("GET", "/path/terms.txt").body == b"Be kind.\n"
    assert browser.ask("GET", "/path/..%2ftoken").status == 404
    assert browser.ask("GET", "/path/../token").status == 404


def test_an_attachment_with_a_name(browser: Browser, picture: dict[str, str]) -> None:
    answer = browser.ask("GET", f"/attachment/{picture['id']}")
    assert answer.body == samples.image("PNG")
    assert answer.headers["content-disposition"].startswith("attachment; ")
    assert "filename*=UTF-8''%C3%9Cbersicht.png" in answer.headers["content-disposition"]


def test_bytes_from_memory(browser: Browser) -> None:
    whole = browser.ask("GET", "/memory")
    assert (whole.body, whole.headers["content-type"]) == (
        b"name,score\nAda,3\n",
        "text/csv; charset=utf-8",
    )
    assert browser.ask("GET", "/memory", headers={"Range": "bytes=0-3"}).body == b"name"
    etag = {"If-None-Match": whole.headers["etag"]}
    assert browser.ask("GET", "/memory", headers=etag).status == 304


def test_a_chosen_type(browser: Browser) -> None:
    assert browser.ask("GET", "/typed").headers["content-type"] == "application/geo+json"


def test_a_token_opens_what_is_protected_and_no_cache_keeps_it(
    browser: Browser, picture: dict[str, str], data: Path
) -> None:
    path = f"/protected/{picture['id']}"
    secret = (data / "token").read_text("utf-8")
    assert (data / "token").stat().st_mode & 0o777 == 0o600
    refused = browser.ask("GET", path)
    assert (refused.status, refused.code) == (401, "unauthenticated")
    assert refused.headers["www-authenticate"].startswith("Bearer")
    assert browser.ask("GET", path, token=secret[:-1]).status == 401
    answer = browser.ask("GET", path, token=secret)
    assert (answer.status, answer.body) == (200, samples.image("PNG"))
    assert answer.headers["cache-control"] == "private, no-store"


def test_a_large_file_is_streamed_in_and_out(url: str, data: Path) -> None:
    secret = {"Authorization": f"Bearer {(data / 'token').read_text('utf-8')}"}
    status, body = send_noise(url, "/storage/uploads/files", 32, secret)
    assert status == 201
    path = f"/large/{json.loads(body)['id']}"
    assert fetch_digest(url, path) == (32 * MIB, noise_digest(32))
    part = Browser(url).ask("GET", path, headers={"Range": f"bytes={32 * MIB - 10}-"})
    assert (part.status, len(part.body)) == (206, 10)


def test_a_generator(browser: Browser) -> None:
    answer = browser.ask("GET", "/generated")
    assert answer.body.startswith(b"n,square\n0,0\n1,1\n2,4\n")
    assert answer.body.endswith(b"\n99999,9999800001\n")
    assert answer.headers["content-disposition"] == 'attachment; filename="squares.csv"'


def test_an_avatar_by_curl_and_its_link(url: str, tmp_path: Path) -> None:
    (tmp_path / "me.jpg").write_bytes(samples.image("JPEG"))
    command = [program("curl"), "-sS", "--max-time", "20", "-F", f"me=@{tmp_path}/me.jpg",
               f"{url}/avatar"]  # fmt: skip
    answer = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert answer["type"] == "image/jpeg"
    assert answer["url"].startswith(f"{url}/storage/d/")
    linked = Browser(url).ask("GET", urlsplit(answer["url"]).path)
    assert linked.body == samples.image("JPEG")


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (samples.HTML, 415, "active-content"),
        (samples.PDF, 415, "content-mismatch"),
        (samples.png_of(5 * MIB + 1), 413, "too-large"),
    ],
    ids=["html", "a pdf", "too large"],
)
def test_what_is_no_avatar_is_refused(
    browser: Browser, content: bytes, status: int, code: str
) -> None:
    answer = browser.ask("POST", "/avatar", *form(("me", "me.png", content, "image/png")))
    assert (answer.status, answer.code) == (status, code)


def test_a_form_with_files_and_fields(browser: Browser) -> None:
    body = form(
        ("title", None, "Größe".encode(), None),
        ("a", "a.txt", samples.TEXT, None),
        ("b", "b.png", samples.image("PNG"), None),
    )
    answer = browser.ask("POST", "/album", *body).json()
    assert answer["title"] == "Größe"
    assert len(answer["ids"]) == 2
    refused = browser.ask("POST", "/album", *form(("a", "a.png", samples.HTML, None)))
    assert (refused.status, list(refused.json())) == (415, ["sorry"])


def test_it_runs_as_a_program(folder: Path) -> None:
    port = free_port()
    command = [sys.executable, str(EXAMPLES / "flask_app.py"), str(port)]
    with running(command, port, folder / "log"):
        answer = Browser(f"http://127.0.0.1:{port}").ask("GET", "/path/terms.txt")
    assert answer.body == b"Be kind.\n"
    assert (folder / "data" / "flask-example" / "token").is_file()
