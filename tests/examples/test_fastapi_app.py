"""The FastAPI example under uvicorn, asked by curl and a plain HTTP client."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support import samples
from support.measure import MIB, fetch_digest, noise_digest, send_noise
from support.processes import free_port, running
from support.require import program
from support.shells import Browser, form

EXAMPLES = Path(__file__).parents[2] / "examples"
SAME_ORIGIN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fastapi-example")


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    port = free_port()
    script = f"cd {folder} && exec {sys.executable} {EXAMPLES / 'fastapi_app.py'} {port}"
    with running(["sh", "-c", script], port, folder / "log"):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def browser(url: str) -> Browser:
    return Browser(url, ours="/storage/")


def signed_in(browser: Browser, user: str) -> dict[str, str]:
    answer = browser.ask("POST", f"/sign-in?user={user}")
    assert answer.json() == {"welcome": user}
    assert "HttpOnly" in answer.headers["set-cookie"]
    return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}


def test_a_signed_in_user_has_files_of_its_own(browser: Browser) -> None:
    ada, bob = signed_in(browser, "ada"), signed_in(browser, "bob")
    body, headers = form(("file", "notes.txt", samples.TEXT, None))
    sent = {**headers, **ada, **SAME_ORIGIN}
    record = browser.ask("POST", "/storage/uploads/files", body, sent).json()["files"][0]
    assert record["url"] == f"/storage/files/{record['id']}"
    assert browser.ask("GET", record["url"], headers=ada).body == samples.TEXT
    assert browser.ask("GET", record["url"], headers=bob).status == 404
    assert browser.ask("GET", record["url"]).status == 401
    listed = browser.ask("GET", "/my-files", headers=ada).json()
    assert {"name": "notes.txt", "size": len(samples.TEXT)} in listed
    assert browser.ask("GET", "/my-files", headers=bob).json() == []
    assert browser.ask("GET", "/my-files").json() == []


@pytest.mark.parametrize("proof", [{}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "http://x"}])
def test_another_site_cannot_use_the_cookie(browser: Browser, proof: dict[str, str]) -> None:
    sent = {**signed_in(browser, "eve"), "Content-Type": "text/plain", **proof}
    answer = browser.ask("POST", "/storage/uploads/files", samples.TEXT, sent)
    assert (answer.status, answer.code) == (403, "forbidden")


@pytest.mark.parametrize("cookie", ["ada", "ada.", "ada." + "0" * 64, ".", "x=y", "größe.1"])
def test_a_forged_cookie_is_nobody(browser: Browser, cookie: str) -> None:
    headers = {"Cookie": f"signed_in={cookie}".encode().decode("latin-1")}
    assert browser.ask("GET", "/storage/files", headers=headers).status == 401


def test_a_link_goes_to_a_stranger(browser: Browser) -> None:
    ada = {**signed_in(browser, "ada"), **SAME_ORIGIN}
    record = browser.ask(
        "POST",
        "/storage/uploads/images",
        samples.image("PNG"),
        {**ada, "Content-Type": "image/png"},
    ).json()
    link = browser.ask("POST", f"{record['url']}/links", b'{"max_downloads": 1}', ada).json()["url"]
    assert link.startswith(f"{browser.url}/storage/d/")
    command = [program("curl"), "-sS", "--max-time", "20", link]
    assert subprocess.run(command, capture_output=True, check=True).stdout == samples.image("PNG")
    assert browser.ask("GET", urlsplit(link).path).status == 404


def test_a_large_file_is_streamed_in_and_out(browser: Browser) -> None:
    ada = {**signed_in(browser, "ada"), **SAME_ORIGIN}
    status, body = send_noise(browser.url, "/storage/uploads/files", 32, ada)
    assert status == 201
    assert fetch_digest(browser.url, json.loads(body)["url"], ada) == (32 * MIB, noise_digest(32))


def test_the_service_answers_under_its_mount_point_and_the_application_beside_it(
    browser: Browser,
) -> None:
    assert browser.ask("GET", "/storage/health/ready").json() == {"status": "ready"}
    assert browser.ask("GET", "/storage/openapi.json").json()["info"]["title"] == "wharfinger"
    assert browser.ask("GET", "/openapi.json").json()["info"]["title"] == "FastAPI"
    assert browser.ask("POST", "/sign-in?user=a.b").status == 422


def test_its_key_is_its_own(url: str, folder: Path) -> None:
    key = folder / "data" / "fastapi-example" / "cookie-key"
    assert (key.stat().st_mode & 0o777, key.stat().st_size) == (0o600, 32)
