"""The webhook: each event at least once, in order per file, signed, and never inside a network."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from support.command import environment
from support.peer import Exchange, Handler, Peer, response, saying
from support.services import Clock
from wharfinger import Wharf
from wharfinger.errors import ConfigError
from wharfinger.service import WharfSettings
from wharfinger.service.event_settings import EventSettings
from wharfinger.service.leases import lease
from wharfinger.service.webhooks import WAITS, Delivered

OK = response(b"thanks")
FAILS = response(b"no", status="500 Internal Server Error")


@pytest.fixture
def clock() -> Clock:
    return Clock()


def opened(folder: Path, url: str, clock: Clock, **wishes: object) -> Wharf:
    settings = EventSettings(webhook=url, **{"allow_private": True, **wishes})  # type: ignore[arg-type]
    return Wharf(WharfSettings(data=folder, events=settings), now=clock)


def receive(wharf: Wharf) -> str:
    return wharf.receive([b"text"], collection="files", name="a.txt", owner="user:7").id


def posted(peer: Peer) -> list[tuple[str, str]]:
    documents = [json.loads(exchange.body) for exchange in peer.exchanges]
    return [(document["type"], document["file"]["id"]) for document in documents]


def test_an_event_is_posted_as_json(tmp_path: Path, clock: Clock) -> None:
    with Peer(saying(OK)) as peer, opened(tmp_path, f"{peer.url}/hook?a=1", clock) as wharf:
        file_id = receive(wharf)
        assert wharf.events.deliver() == Delivered(delivered=2)
        assert wharf.events.deliver() == Delivered()
    assert posted(peer) == [("file.received", file_id), ("file.ready", file_id)]
    exchange = peer.last
    document = json.loads(exchange.body)
    assert exchange.line == "POST /hook?a=1 HTTP/1.1"
    assert set(document) == {"id", "seq", "type", "at", "file"}
    assert (document["seq"], document["at"]) == (2, "2026-03-01T12:00:00.000Z")
    assert document["file"]["owner"] == "user:7"
    assert exchange.headers["content-type"] == "application/json"
    assert exchange.headers["wharfinger-event"] == "file.ready"
    assert exchange.headers["wharfinger-event-id"] == document["id"]


def independent_check(header: str, body: bytes, secret: str, now: float) -> bool:
    """As a receiver would write it with the standard library alone."""
    pairs = [part.split("=", 1) for part in header.split(",")]
    (timestamp,) = [value for key, value in pairs if key == "t"]
    expected = hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256)
    good = [hmac.compare_digest(expected.hexdigest(), value) for key, value in pairs if key == "v1"]
    return any(good) and abs(now - int(timestamp)) <= 300


def test_the_signature_is_what_a_receiver_computes(tmp_path: Path, clock: Clock) -> None:
    with Peer(saying(OK)) as peer, opened(tmp_path, peer.url, clock) as wharf:
        receive(wharf)
        wharf.events.deliver()
    secret = (tmp_path / "webhook-secret").read_text().strip()
    header, body = peer.last.headers["wharfinger-signature"], peer.last.body
    now = clock().timestamp()
    assert len(secret) == 64
    assert stat.S_IMODE((tmp_path / "webhook-secret").stat().st_mode) == 0o600
    assert independent_check(header, body, secret, now)
    assert not independent_check(header, body + b" ", secret, now)
    assert not independent_check(header, body, secret[:-1] + "x", now)
    assert not independent_check(header, body, secret, now + 301)


def test_two_secrets_sign_while_one_replaces_the_other(tmp_path: Path, clock: Clock) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text("the-new-secret-of-today\nthe-old-secret-of-before\n")
    with (
        Peer(saying(OK)) as peer,
        opened(tmp_path / "data", peer.url, clock, secret_file=secrets) as wharf,
    ):
        receive(wharf)
        wharf.events.deliver()
    header, body = peer.last.headers["wharfinger-signature"], peer.last.body
    for secret in ("the-new-secret-of-today", "the-old-secret-of-before"):
        assert independent_check(header, body, secret, clock().timestamp())


def test_the_environment_can_hold_the_secret(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WHARFINGER_WEBHOOK_SECRET", "a-secret-from-outside")
    with Peer(saying(OK)) as peer, opened(tmp_path, peer.url, clock) as wharf:
        receive(wharf)
        wharf.events.deliver()
    header, body = peer.last.headers["wharfinger-signature"], peer.last.body
    assert independent_check(header, body, "a-secret-from-outside", clock().timestamp())
    assert not (tmp_path / "webhook-secret").exists()


@pytest.mark.parametrize("text", ["", "short", "\n".join(["long-enough-as-it-is"] * 5)])
def test_a_secret_that_is_none_is_an_error(tmp_path: Path, clock: Clock, text: str) -> None:
    secrets = tmp_path / "secrets"
    secrets.write_text(text)
    with (
        opened(tmp_path / "data", "https://example.org/", clock, secret_file=secrets) as wharf,
        pytest.raises(ConfigError),
    ):
        wharf.events.deliver()


def cut(exchange: Exchange) -> None:
    exchange.reset()


def never_ends(exchange: Exchange) -> None:
    exchange.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


FAILURES: dict[str, Handler] = {
    "an error": saying(FAILS),
    "a redirect": saying(response(status="302 Found", location="http://127.0.0.1:1/")),
    "a permanent redirect": saying(response(status="308 Permanent Redirect", location="/other")),
    "not modified": saying(response(status="304 Not Modified")),
    "no HTTP": saying(b"hello\r\n\r\n"),
    "a reset": cut,
    "half an answer": never_ends,
}


@pytest.mark.parametrize("handler", FAILURES.values(), ids=FAILURES)
def test_what_is_no_success_is_tried_again_with_the_same_id(
    tmp_path: Path, clock: Clock, handler: Handler, caplog: pytest.LogCaptureFixture
) -> None:
    with Peer(handler) as peer, opened(tmp_path, peer.url, clock) as wharf:
        receive(wharf)
        with caplog.at_level(logging.WARNING, "wharfinger"):
            assert wharf.events.deliver() == Delivered(failed=1)
        assert "was not delivered (try 1), next in 5 s" in caplog.text
        clock.forward(4.9)
        assert wharf.events.deliver() == Delivered()
        peer.handler = saying(OK)
        clock.forward(0.2)
        assert wharf.events.deliver() == Delivered(delivered=2)
    first, second, third = (json.loads(exchange.body) for exchange in peer.exchanges)
    assert first["id"] == second["id"] != third["id"]
    assert first == second


def test_a_redirect_is_not_followed(tmp_path: Path, clock: Clock) -> None:
    with Peer(saying(OK)) as other:
        redirect = saying(response(status="307 Temporary Redirect", location=other.url))
        with Peer(redirect) as peer, opened(tmp_path, peer.url, clock) as wharf:
            receive(wharf)
            assert wharf.events.deliver() == Delivered(failed=1)
        assert other.connections == 0


def test_nothing_that_listens_is_a_failure_like_others(tmp_path: Path, clock: Clock) -> None:
    with Peer(saying(OK)) as peer:
        url = peer.url
    with opened(tmp_path, url, clock) as wharf:
        receive(wharf)
        assert wharf.events.deliver() == Delivered(failed=1)


@pytest.mark.parametrize(
    ("wishes", "reached"),
    [
        ({"allow_private": False}, False),
        ({"allow_private": False, "allow_networks": ("10.0.0.0/8",)}, False),
        ({"allow_private": False, "allow_networks": ("127.0.0.0/8",)}, True),
        ({"allow_private": True}, True),
    ],
    ids=["closed", "another network", "this network", "all private ones"],
)
def test_a_private_address_is_reached_only_where_that_is_allowed(
    tmp_path: Path, clock: Clock, wishes: dict[str, object], reached: bool
) -> None:
    with Peer(saying(OK)) as peer, opened(tmp_path, peer.url, clock, **wishes) as wharf:
        receive(wharf)
        came = wharf.events.deliver()
        assert came == (Delivered(delivered=2) if reached else Delivered(failed=1))
        assert peer.connections == (2 if reached else 0)


def test_a_later_event_of_a_file_waits_for_the_earlier_and_other_files_do_not(
    tmp_path: Path, clock: Clock
) -> None:
    stubborn: list[str] = []

    def handler(exchange: Exchange) -> None:
        exchange.send(FAILS if json.loads(exchange.body)["file"]["id"] in stubborn else OK)

    with Peer(handler) as peer, opened(tmp_path, peer.url, clock) as wharf:
        held, other = receive(wharf), receive(wharf)
        stubborn.append(held)
        wharf.remove(held)
        wharf.remove(other)
        assert wharf.events.deliver() == Delivered(delivered=3, failed=1)
        stubborn.clear()
        clock.forward(6)
        assert wharf.events.deliver() == Delivered(delivered=3)
    kinds = ["file.received", "file.ready", "file.removed"]
    assert [kind for kind, file in posted(peer) if file == other] == kinds
    assert [kind for kind, file in posted(peer) if file == held] == ["file.received", *kinds]


def test_order_holds_under_a_slow_receiver_that_fails_now_and_then(
    tmp_path: Path, clock: Clock
) -> None:
    taken: list[tuple[str, str]] = []
    lock = threading.Lock()

    def handler(exchange: Exchange) -> None:
        document = json.loads(exchange.body)
        time.sleep(0.002 * (exchange.number % 3))
        if exchange.number % 5 == 2:
            exchange.send(FAILS)
            return
        with lock:
            taken.append((document["file"]["id"], document["type"]))
        exchange.send(OK)

    with Peer(handler) as peer, opened(tmp_path, peer.url, clock) as wharf:
        ids = [receive(wharf) for _ in range(12)]
        for file_id in ids:
            wharf.remove(file_id)
        for _ in range(30):
            wharf.events.deliver()
            clock.forward(86_400)
    for file_id in ids:
        assert [kind for file, kind in taken if file == file_id] == [
            "file.received", "file.ready", "file.removed",
        ]  # fmt: skip


def test_an_address_that_is_down_is_not_tried_for_every_event(tmp_path: Path, clock: Clock) -> None:
    with Peer(saying(FAILS)) as peer, opened(tmp_path, peer.url, clock) as wharf:
        for _ in range(30):
            receive(wharf)
        assert wharf.events.deliver().failed == 8
        assert peer.connections == 8


def test_after_three_days_an_event_is_parked_and_holds_up_no_other(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    with Peer(saying(FAILS)) as peer, opened(tmp_path, peer.url, clock) as wharf:
        file_id = receive(wharf)
        for wait in WAITS:
            assert wharf.events.deliver() == Delivered(failed=1)
            clock.forward(wait)
        with caplog.at_level(logging.ERROR, "wharfinger"):
            # The second event of the file has its turn in the same round.
            assert wharf.events.deliver() == Delivered(failed=2, parked=1)
        assert "given up after 11 tries" in caplog.text
        assert sum(WAITS) == 272_135  # seconds: a little more than three days
        peer.handler = saying(OK)
        clock.forward(6)
        assert wharf.events.deliver() == Delivered(delivered=1)
        assert wharf.events.deliver(parked=True) == Delivered(delivered=1)
        assert posted(peer)[-2:] == [("file.ready", file_id), ("file.received", file_id)]


DYING = """
import os, sys
from pathlib import Path
from wharfinger import Wharf
from wharfinger.catalog import events
from wharfinger.service import WharfSettings
from wharfinger.service.event_settings import EventSettings
settings = EventSettings(webhook=sys.argv[2], allow_private=True)
with Wharf(WharfSettings(data=Path(sys.argv[1]), events=settings)) as wharf:
    wharf.receive([b"text"], collection="files")
    events.delivered = lambda *_: os.kill(os.getpid(), 9)
    wharf.events.deliver()
"""


def test_what_was_not_marked_before_a_crash_is_delivered_again(tmp_path: Path) -> None:
    with Peer(saying(OK)) as peer:
        dead = subprocess.run(
            [sys.executable, "-c", DYING, str(tmp_path), peer.url], env=environment(), check=False
        )
        assert (dead.returncode, len(peer.exchanges)) == (-signal.SIGKILL, 1)
        settings = EventSettings(webhook=peer.url, allow_private=True)
        with Wharf(WharfSettings(data=tmp_path, events=settings)) as wharf:
            assert wharf.events.deliver() == Delivered(delivered=2)
    ids = [json.loads(exchange.body)["id"] for exchange in peer.exchanges]
    assert ids[0] == ids[1] != ids[2]


def test_one_process_at_a_time_delivers(tmp_path: Path, clock: Clock) -> None:
    with Peer(saying(OK)) as peer, opened(tmp_path, peer.url, clock) as wharf:
        receive(wharf)
        with lease(tmp_path / "webhook") as held:
            assert held
            assert wharf.events.deliver() == Delivered()
        assert wharf.events.deliver() == Delivered(delivered=2)


def test_without_a_webhook_nothing_waits_for_one(tmp_path: Path, clock: Clock) -> None:
    with Wharf(WharfSettings(data=tmp_path), now=clock) as wharf:
        receive(wharf)
        assert wharf.events.deliver() == Delivered()
    with Peer(saying(OK)) as peer, opened(tmp_path, peer.url, clock) as wharf:
        assert wharf.events.deliver() == Delivered()
        assert peer.connections == 0


WRONG = {
    "no address": {"webhook": "hooks"},
    "another scheme": {"webhook": "ftp://example.org/"},
    "a number": {"webhook": 7},
    "a user name": {"webhook": "https://me:secret@example.org/"},
    "a word for yes": {"allow_private": "yes"},
    "networks that are none": {"allow_networks": ["example.org"]},
    "one network": {"allow_networks": "10.0.0.0/8"},
    "an unknown key": {"web_hook": "https://example.org/"},
    "a secret in the open": {"secret": "abc"},
}


@pytest.mark.parametrize("table", WRONG.values(), ids=WRONG)
def test_wrong_settings_are_errors(table: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        EventSettings.from_mapping(table)


def test_settings_come_from_a_table() -> None:
    table = {
        "webhook": "https://example.org/hook",
        "secret_file": "/run/secret",
        "allow_networks": ["10.1.0.0/16"],
    }
    assert EventSettings.from_mapping(table) == EventSettings(
        webhook="https://example.org/hook",
        secret_file=Path("/run/secret"),
        allow_private=False,
        allow_networks=("10.1.0.0/16",),
    )
