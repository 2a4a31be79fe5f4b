"""Limits, paces and trusted proxies over the wire: alike from every shell."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from werkzeug.wsgi import FileWrapper

from support.served import serve
from support.services import COLLECTIONS, make_wharf, token
from support.shells import SHELLS, Browser, running
from wharfinger import Collection, Policy, Wharf
from wharfinger.asgi import create_app
from wharfinger.errors import ConfigError
from wharfinger.flask import Wharfinger
from wharfinger.service.limits import LimitSettings
from wharfinger.service.rates import Rate

TEXT = b"counted\n" * 100
PACE = 2_000_000
SLOW = Collection(name="slow", policy=Policy.anything(), bandwidth=PACE)


@contextmanager
def limited(shell: str, folder: Path, **limits: object) -> Iterator[tuple[Browser, Wharf]]:
    wharf = make_wharf(
        folder,
        collections=(*COLLECTIONS, SLOW),
        limits=LimitSettings(**limits),  # type: ignore[arg-type]
    )
    with wharf, running(shell, wharf) as url:
        yield Browser(url, token(wharf, "read", "write", "share", "admin")), wharf


def test_a_refusal_is_the_same_from_every_shell(tmp_path: Path) -> None:
    refusals = []
    for shell in SHELLS:
        limits = {"requests_per_token": Rate(3, 86_400), "headers": True}
        with limited(shell, tmp_path / shell, **limits) as (browser, wharf):
            stored = wharf.receive([TEXT], collection="files", name="a.txt")
            answers = [browser.ask("GET", f"/files/{stored.id}") for _ in range(3)]
            assert [answer.status for answer in answers] == [200] * 3
            assert answers[2].headers["ratelimit"].startswith('"requests-per-token";r=0;t=')
            refusal = browser.ask("GET", f"/files/{stored.id}")
            assert 86_300 < int(refusal.headers["retry-after"]) <= 86_400
            document = refusal.json()
            assert document.pop("hint") == f"Try again in {refusal.headers['retry-after']} s."
            refusals.append((refusal.status, document, refusal.headers["ratelimit-policy"]))
            assert browser.ask("HEAD", f"/files/{stored.id}").status == 429
            assert browser.ask("GET", "/health/ready", token="").status == 200
    assert (
        refusals
        == [
            (
                429,
                {
                    "type": "urn:wharfinger:error:too-many-requests",
                    "title": "Too many requests",
                    "status": 429,
                    "detail": "This token has had what it may: 3 requests per day.",
                    "code": "too-many-requests",
                },
                '"requests-per-token";q=3;w=86400',
            )
        ]
        * 3
    )


def test_the_peer_s_address_is_what_is_counted(shell: str, tmp_path: Path) -> None:
    limits = {"requests_per_address": Rate(3, 86_400)}
    with limited(shell, tmp_path / "data", **limits) as (browser, _):
        # Nobody is trusted: what a stranger says of itself changes nothing. (uvicorn itself
        # believes whoever asks from this machine, unless --forwarded-allow-ips says otherwise.)
        name = "X-Real-IP" if shell == "asgi" else "X-Forwarded-For"
        lies = [{name: f"203.0.113.{number}"} for number in range(4)]
        found = [browser.ask("GET", "/policy/files", headers=lie).status for lie in lies]
        assert found == [200, 200, 200, 429]


def test_a_refused_upload_is_not_taken_in(shell: str, tmp_path: Path) -> None:
    limits = {"bytes_per_token": Rate(1000, 86_400, "bytes")}
    with limited(shell, tmp_path / "data", **limits) as (browser, wharf):
        kind = {"Content-Type": "text/plain"}
        assert browser.ask("POST", "/uploads/files", b"x" * 1000, kind).status == 201
        assert browser.ask("POST", "/uploads/files", b"x" * 1000, kind).status == 429
        assert len(wharf.list_files()[0]) == 1


def test_fifty_at_once_pass_as_often_as_the_rate_says(shell: str, tmp_path: Path) -> None:
    limits = {"requests_per_token": Rate(20, 86_400)}
    with limited(shell, tmp_path / "data", **limits) as (browser, wharf):
        stored = wharf.receive([TEXT], collection="files", name="a.txt")
        barrier = threading.Barrier(50)
        found: list[int] = []

        def ask() -> None:
            barrier.wait()
            found.append(browser.ask("GET", f"/files/{stored.id}").status)

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found) == [200] * 20 + [429] * 30


# --- paces --------------------------------------------------------------------------------


def test_a_pace_holds_for_all_transfers_together(shell: str, tmp_path: Path) -> None:
    content = bytes(PACE // 2)
    with limited(shell, tmp_path / "data") as (browser, wharf):
        stored = wharf.receive([content], collection="slow", name="a.bin")
        link = wharf.share(stored.id).url
        found: list[bytes] = []

        def get(path: str) -> None:
            found.append(browser.ask("GET", path).body)

        threads = [
            threading.Thread(target=get, args=(path,)) for path in (f"/files/{stored.id}", link)
        ]
        began = time.monotonic()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took = time.monotonic() - began
        assert found == [content, content]
        # A second's worth, of which the first quarter may go out at once. No upper bound: the
        # machine may be slow.
        assert took > 0.7


def test_a_pace_holds_for_many_small_files(shell: str, tmp_path: Path) -> None:
    content = bytes(100_000)
    with limited(shell, tmp_path / "data") as (browser, wharf):
        stored = wharf.receive([content], collection="slow", name="a.bin")
        began = time.monotonic()
        for _ in range(PACE // len(content)):
            assert browser.ask("GET", f"/files/{stored.id}").body == content
        assert time.monotonic() - began > 0.7


def test_who_leaves_while_waiting_for_its_turn_is_let_go(shell: str, tmp_path: Path) -> None:
    with limited(shell, tmp_path / "data") as (browser, wharf):
        stored = wharf.receive([bytes(40 * PACE)], collection="slow", name="a.bin")
        with socket.create_connection((browser.host, browser.port), 10) as sock:
            sock.sendall(
                f"GET /files/{stored.id} HTTP/1.1\r\nHost: x\r\n"
                f"Authorization: Bearer {browser.token}\r\n\r\n".encode()
            )
            assert sock.recv(1000).startswith(b"HTTP/1.1 200")
        assert browser.ask("GET", "/policy/files").status == 200


# --- trusted proxies ----------------------------------------------------------------------

FORWARDED = {
    "X-Forwarded-For": "198.51.100.9, 203.0.113.5",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "files.example.org",
}
WHO = [{**FORWARDED, "X-Forwarded-For": f"1.2.3.4, 203.0.113.{number}"} for number in (5, 5, 6)]


def test_the_stand_alone_server_believes_the_proxies_of_its_configuration(tmp_path: Path) -> None:
    (tmp_path / "wharfinger.toml").write_text(
        '[server]\ntrusted_proxies = ["127.0.0.1"]\n[limits]\nrequests_per_address = "1/day"\n'
    )
    with serve(tmp_path / "data", "--access-log") as served:
        browser = served.browser
        found = [browser.ask("GET", "/policy/files", headers=who).status for who in WHO]
        assert found == [200, 429, 200]
        assert served.log.read_text("utf-8").count("203.0.113.5 GET /policy/files") == 2
    (tmp_path / "wharfinger.toml").write_text('[server]\ntrusted_proxies = ["127.0.0.1"]\n')
    with serve(tmp_path / "data") as served:
        made = served.browser.ask("POST", "/uploads/files", TEXT, {"Content-Type": "text/plain"})
        url = f"{made.json()['url']}/links"
        link = served.browser.ask("POST", url, b"{}", FORWARDED).json()["url"]
        assert link.startswith("https://files.example.org/d/")
        link = served.browser.ask("POST", url, b"{}").json()["url"]
        assert link.startswith(f"{served.url}/d/")


def test_the_short_way_counts_the_client_behind_a_proxy(tmp_path: Path) -> None:
    (tmp_path / "wharfinger.toml").write_text(
        '[server]\ntrusted_proxies = ["127.0.0.1"]\n[limits]\nrequests_per_address = "3/day"\n'
    )
    with serve(tmp_path / "data") as served:
        made = served.browser.ask("POST", "/uploads/files", TEXT, {"Content-Type": "text/plain"})
        path = made.json()["url"]
        found = [served.browser.ask("GET", path, headers=WHO[0]).status for _ in range(4)]
        assert found == [200, 200, 200, 429]
        assert served.browser.ask("GET", path, headers=WHO[2]).status == 200


def test_flask_believes_the_proxies_of_its_configuration(tmp_path: Path) -> None:
    limits = LimitSettings(requests_per_address=Rate(1, 86_400))
    with make_wharf(tmp_path / "data", limits=limits) as wharf:
        app = Flask("app")
        app.config["WHARFINGER_TRUSTED_PROXIES"] = ["127.0.0.1"]
        app.register_blueprint(Wharfinger(app, wharf=wharf).blueprint())
        client = app.test_client()
        found = [client.get("/policy/files", headers=who).status_code for who in WHO]
        assert found == [200, 429, 200]


def test_asgi_believes_the_proxies_that_it_is_given(tmp_path: Path) -> None:
    limits = LimitSettings(requests_per_address=Rate(1, 86_400))
    with make_wharf(tmp_path / "data", limits=limits) as wharf:
        app = create_app(wharf, trusted_proxies=["10.0.0.0/8"])

        def status(who: dict[str, str]) -> int:
            sent: list[Any] = []

            async def receive() -> dict[str, object]:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Any) -> None:
                sent.append(message)

            headers = [(name.lower().encode(), value.encode()) for name, value in who.items()]
            scope = {
                "type": "http", "http_version": "1.1", "method": "GET", "path": "/policy/files",
                "headers": headers, "client": ("10.2.3.4", 5000),
            }  # fmt: skip
            asyncio.run(app(scope, receive, send))
            return int(sent[0]["status"])

        assert [status(who) for who in WHO] == [200, 429, 200]


@pytest.mark.parametrize("value", ["127.0.0.1", [1], ["everybody"]])
def test_what_is_no_list_of_proxies_is_an_error(tmp_path: Path, value: object) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        app = Flask("app")
        app.config["WHARFINGER_TRUSTED_PROXIES"] = value
        with pytest.raises(ConfigError):
            Wharfinger(app, wharf=wharf)


# --- several processes --------------------------------------------------------------------


def test_flask_warns_once_of_processes_that_count_for_themselves(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    limits = LimitSettings(requests_per_address=Rate(100, 86_400))
    with make_wharf(tmp_path / "data", limits=limits) as wharf:
        app = Flask("app")
        app.register_blueprint(Wharfinger(app, wharf=wharf).blueprint())
        client = app.test_client()
        assert client.get("/policy/files").status_code == 200
        assert caplog.text == ""
        for _ in range(2):
            several = {"wsgi.multiprocess": True}
            assert client.get("/policy/files", environ_overrides=several).status_code == 200
        assert caplog.text.count("each counts for itself") == 1


def test_serve_warns_of_workers_that_count_for_themselves(tmp_path: Path) -> None:
    warning = "limits in memory:// with 2 processes: each counts for itself"
    given = '[limits]\nrequests_per_address = "100/day"\n'
    for text, arguments, warned in (
        (given, ["--workers", "2"], True),
        (given, ["--workers", "1"], False),
        ("", ["--workers", "2"], False),
    ):
        (tmp_path / "wharfinger.toml").write_text(text)
        with serve(tmp_path / "data", *arguments) as served:
            served.stop()
            log = served.log
        assert (warning in log.read_text("utf-8")) is warned
        log.unlink()


# --- nobody else sends what keeps to a pace -----------------------------------------------


def test_an_asgi_server_that_could_send_by_path_is_not_asked_to(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data", collections=(*COLLECTIONS, SLOW)) as wharf:
        app = create_app(wharf)
        bearer = f"Bearer {token(wharf, 'read', 'admin')}".encode()
        kinds = {}
        for collection in ("files", "slow"):
            stored = wharf.receive([bytes(300_000)], collection=collection, name="a.bin")
            sent: list[Any] = []

            async def receive() -> dict[str, object]:
                await asyncio.sleep(60)
                return {"type": "http.disconnect"}

            async def send(message: Any, sent: list[Any] = sent) -> None:
                sent.append(message)

            scope = {
                "type": "http", "http_version": "1.1", "method": "GET",
                "path": f"/files/{stored.id}", "headers": [(b"authorization", bearer)],
                "extensions": {"http.response.pathsend": {}},
            }  # fmt: skip
            asyncio.run(app(scope, receive, send))
            kinds[collection] = {message["type"] for message in sent}
        assert kinds == {
            "files": {"http.response.start", "http.response.pathsend"},
            "slow": {"http.response.start", "http.response.body"},
        }


def test_a_wsgi_server_s_own_sendfile_is_not_used(tmp_path: Path) -> None:
    wrapped: list[Any] = []

    def wrapper(file: Any, size: int) -> FileWrapper:
        wrapped.append(file)
        return FileWrapper(file, size)

    with make_wharf(tmp_path / "data", collections=(*COLLECTIONS, SLOW)) as wharf:
        app = Flask("app")
        files = Wharfinger(app, wharf=wharf)

        @app.get("/<file_id>")
        def view(file_id: str) -> Any:
            return files.deliver(file_id)

        for collection, times in (("slow", 0), ("files", 1)):
            stored = wharf.receive([bytes(300_000)], collection=collection, name="a.bin")
            environ = {"wsgi.file_wrapper": wrapper}
            with app.test_client().get(f"/{stored.id}", environ_overrides=environ) as answer:
                assert answer.data == bytes(300_000)
            assert len(wrapped) == times
