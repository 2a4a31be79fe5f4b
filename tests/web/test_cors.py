"""Pages of other origins: nothing by default, exactly the named ones when it is on, in every shell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support import samples
from support.services import COLLECTIONS, token
from support.shells import SHELLS, Answered, Browser, running
from wharfinger import Wharf
from wharfinger.errors import ConfigError
from wharfinger.service import WharfSettings

APP = "https://app.example.org"
DEV = "http://localhost:3000"
ALLOWED = "access-control-allow-origin"


def settings(folder: Path, *origins: str) -> WharfSettings:
    return WharfSettings(
        data=folder, collections={one.name: one for one in COLLECTIONS}, cors_origins=origins
    )


@pytest.fixture(params=SHELLS)
def browser(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Browser]:
    with (
        Wharf(settings(tmp_path / "data", APP, DEV)) as wharf,
        running(str(request.param), wharf) as url,
    ):
        yield Browser(url, token(wharf))


def put(browser: Browser, collection: str = "files", **headers: str) -> Answered:
    sent = {"Content-Type": "text/plain", **headers}
    answer = browser.ask("POST", f"/uploads/{collection}", samples.TEXT, sent)
    assert answer.status == 201
    return answer


def varies(answer: Answered) -> set[str]:
    return {word.strip() for word in answer.headers.get("vary", "").split(",")}


def test_by_default_no_page_elsewhere_may_read_anything(tmp_path: Path) -> None:
    with Wharf(settings(tmp_path / "data")) as wharf, running("server", wharf) as url:
        browser = Browser(url, token(wharf))
        path = put(browser, Origin=APP).json()["url"]
        preflight = {"Origin": APP, "Access-Control-Request-Method": "GET"}
        for answer in (
            browser.ask("GET", path, headers={"Origin": APP}),
            browser.ask("OPTIONS", path, headers=preflight),
        ):
            assert not [name for name in answer.headers if name.startswith("access-control-")]
            assert "vary" not in answer.headers


@pytest.mark.parametrize("origin", [APP, DEV])
def test_a_named_origin_reads_what_its_token_opens(browser: Browser, origin: str) -> None:
    made = put(browser, Origin=origin)
    assert made.headers[ALLOWED] == origin
    path = made.json()["url"]
    # Also when it was handed out before, to somebody without an origin.
    for _ in range(3):
        browser.ask("GET", path)
    for method, headers, status in (
        ("GET", {}, 200),
        ("GET", {"Range": "bytes=0-3"}, 206),
        ("GET", {"If-None-Match": "*"}, 304),
        ("GET", {"Range": "bytes=999-"}, 416),
        ("HEAD", {}, 200),
    ):
        answer = browser.ask(method, path, headers={"Origin": origin, **headers})
        assert answer.status == status
        assert answer.headers[ALLOWED] == origin
        assert "Origin" in varies(answer)
        shown = {
            word.strip() for word in answer.headers["access-control-expose-headers"].split(",")
        }
        assert shown >= {
            "ETag", "Content-Range", "Accept-Ranges", "Content-Disposition", "Repr-Digest",
            "Location", "Upload-Offset", "Tus-Resumable",
        }  # fmt: skip
        assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://other.example.org",
        "https://app.example.org.evil.test",
        "https://evil.test/https://app.example.org",
        "http://app.example.org",
        "https://app.example.org:8443",
        "https://APP.example.org",
        "https://app.example.org/",
        "https://app.example.org, https://app.example.org",
        "null",
        "*",
        "",
    ],
)
def test_another_origin_is_told_nothing_but_that_it_matters(browser: Browser, origin: str) -> None:
    path = put(browser).json()["url"]
    preflight = {"Access-Control-Request-Method": "GET"}
    for method, more in (("GET", {}), ("OPTIONS", preflight)):
        answer = browser.ask(method, path, headers={"Origin": origin, **more})
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert "Origin" in varies(answer)


def test_a_preflight_needs_no_token_and_allows_what_clients_send(browser: Browser) -> None:
    path = put(browser).json()["url"]
    browser.token = None
    asked = {
        "Origin": APP,
        "Access-Control-Request-Method": "PATCH",
        "Access-Control-Request-Headers": "authorization,tus-resumable,upload-offset,content-type",
    }
    answer = browser.ask("OPTIONS", path, headers=asked)
    assert (answer.status, answer.body) == (204, b"")
    assert answer.headers[ALLOWED] == APP
    methods = answer.headers["access-control-allow-methods"].split(", ")
    assert {"GET", "HEAD", "POST", "PATCH", "DELETE"} <= set(methods)
    fields = answer.headers["access-control-allow-headers"].lower().split(", ")
    assert {"authorization", "range", "if-range", "content-type", "content-disposition"} <= set(
        fields
    )
    assert {"tus-resumable", "upload-offset", "upload-metadata", "upload-complete"} <= set(fields)
    assert int(answer.headers["access-control-max-age"]) > 0


def test_every_answer_varies_also_without_an_origin(browser: Browser) -> None:
    path = put(browser, "public").json()["url"]
    stranger = Browser(browser.url)
    for _ in range(3):  # the later ones come from what is remembered
        answer = stranger.ask("GET", path)
        assert varies(answer) == {"Origin"}
        assert ALLOWED not in answer.headers
    assert varies(stranger.ask("GET", "/nothing/here")) == {"Origin"}


def test_an_error_can_be_read_by_the_page_that_met_it(browser: Browser) -> None:
    for path, status in (("/nothing/here", 404), ("/files", 401)):
        answer = browser.ask("GET", path, headers={"Origin": APP}, token="whf_" + "A" * 43)
        assert (answer.status, answer.headers[ALLOWED]) == (status, APP)
    refused = browser.ask(
        "POST", "/uploads/images", samples.HTML, {"Origin": APP, "Content-Type": "image/png"}
    )
    assert (refused.status, refused.headers[ALLOWED]) == (415, APP)


@pytest.mark.parametrize(
    "origin",
    [
        "*",
        "null",
        "",
        "app.example.org",
        "https://",
        "https://app.example.org/",
        "https://app.example.org/path",
        "https://App.example.org",
        "https://app.example.org:443",
        "http://app.example.org:80",
        "https://user@app.example.org",
        "https://*.example.org",
        "ftp://app.example.org",
        "https://app.example.org\n",
    ],
)
def test_what_is_no_origin_is_refused_at_the_start(tmp_path: Path, origin: str) -> None:
    with pytest.raises(ConfigError, match="is not an origin"):
        settings(tmp_path, origin)


@pytest.mark.parametrize(
    "origin",
    [APP, DEV, "https://app.example.org:8443", "http://127.0.0.1:5173", "http://[::1]:8080",
     "https://xn--bcher-kva.example"],
)  # fmt: skip
def test_an_origin_is_taken_as_browsers_write_it(tmp_path: Path, origin: str) -> None:
    assert settings(tmp_path, origin).cors_origins == (origin,)


def test_the_configuration_file_names_them() -> None:
    tables = {"delivery": {"cors_origins": [APP, DEV], "revalidate_private": True}}
    found = WharfSettings.from_tables(tables)
    assert found.cors_origins == (APP, DEV)
    assert found.revalidate_private is True


@pytest.mark.parametrize(
    "table",
    [{"cors_origins": APP}, {"cors_origins": [1]}, {"revalidate_private": 1}, {"cors": []}],
)
def test_a_wrong_configuration_is_an_error(table: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        WharfSettings.from_tables({"delivery": table})


@pytest.mark.parametrize(
    ("revalidate", "caching"), [(False, "private, no-store"), (True, "private, no-cache")]
)
def test_private_files_may_be_kept_and_asked_for_again_by_option(
    tmp_path: Path, revalidate: bool, caching: str
) -> None:
    chosen = WharfSettings(data=tmp_path / "data", revalidate_private=revalidate)
    with Wharf(chosen) as wharf, running("server", wharf) as url:
        browser = Browser(url, token(wharf))
        path = put(browser).json()["url"]
        answer = browser.ask("GET", path)
        assert answer.headers["cache-control"] == caching
        again = browser.ask("GET", path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status, again.headers["cache-control"]) == (304, caching)
