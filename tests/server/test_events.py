"""The running server posts events to the webhook, without being asked, from one process of many."""

from __future__ import annotations

import json
from pathlib import Path

from support.peer import Exchange, Peer, response, saying
from support.served import eventually, serve

TEXT = {"Content-Type": "text/plain"}
OK = response()
# The waits of a second would only make this slow.
FAST = "import wharfinger.server.worker as w; w._DELIVER_SECONDS = 0.05"


def configured(tmp_path: Path, url: str) -> tuple[str, str]:
    path = tmp_path / "wharfinger.toml"
    path.write_text(f'[events]\nwebhook = "{url}"\nallow_private = true\n')
    return "--config", str(path)


def kinds(peer: Peer) -> list[str]:
    return [json.loads(exchange.body)["type"] for exchange in peer.exchanges]


def test_what_happens_is_posted(tmp_path: Path) -> None:
    with (
        Peer(saying(OK)) as peer,
        serve(tmp_path / "data", *configured(tmp_path, peer.url), before=FAST) as served,
    ):
        assert served.browser.ask("POST", "/uploads/files", b"text", TEXT).status == 201
        eventually(lambda: len(peer.exchanges) == 2, "both events are posted")
        assert kinds(peer) == ["file.received", "file.ready"]
        assert served.stop() == 0


def test_what_a_killed_server_had_not_posted_the_next_one_posts(tmp_path: Path) -> None:
    with Peer(saying(response(status="503 Service Unavailable"))) as peer:
        configuration = configured(tmp_path, peer.url)
        with serve(tmp_path / "data", *configuration, before=FAST) as served:
            served.browser.ask("POST", "/uploads/files", b"text", TEXT)
            eventually(lambda: peer.exchanges, "it was tried")
            served.process.kill()
        peer.handler = saying(OK)

        with serve(tmp_path / "data", *configuration, before=FAST):
            eventually(lambda: len(kinds(peer)) >= 3, "the rest is posted", seconds=20)
    assert kinds(peer)[-2:] == ["file.received", "file.ready"]


def test_several_processes_post_each_event_once(tmp_path: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(OK)

    with (
        Peer(handler) as peer,
        serve(
            tmp_path / "data", *configured(tmp_path, peer.url), "--workers", "3", before=FAST
        ) as served,
    ):
        for _ in range(10):
            served.browser.ask("POST", "/uploads/files", b"text", TEXT)
        eventually(lambda: len(peer.exchanges) >= 20, "all events are posted")
        ids = [json.loads(exchange.body)["id"] for exchange in peer.exchanges]
    assert len(ids) == len(set(ids)) == 20


def test_a_webhook_that_hangs_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    def hang(exchange: Exchange) -> None:
        exchange.sock.recv(1)

    with (
        Peer(hang) as peer,
        serve(tmp_path / "data", *configured(tmp_path, peer.url), before=FAST) as served,
    ):
        served.browser.ask("POST", "/uploads/files", b"text", TEXT)
        eventually(lambda: peer.exchanges, "it is tried")
        assert served.browser.ask("GET", "/health/ready").status == 200
        assert served.stop(patience=25) == 0
