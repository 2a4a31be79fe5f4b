"""The ASGI application spoken to by hand: every message, and every moment to leave."""

from __future__ import annotations

import asyncio
import gc
import json
import threading
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest

from support import samples
from support.services import blobs_on_disk, make_wharf, token
from support.waiting import soon
from wharfinger import Principal, Wharf
from wharfinger.asgi import create_app
from wharfinger.errors import Unavailable

Message = MutableMapping[str, Any]
SIGNED_IN = Principal(id="user:7", scopes=frozenset({"read", "write"}))


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


def scope_of(
    method: str = "GET",
    path: str = "/health/live",
    headers: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    pairs = [(k.lower().encode(), v.encode()) for k, v in {"Host": "x", **(headers or {})}.items()]
    return {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method,
            "scheme": "http", "path": path, "root_path": "", "query_string": b"",
            "headers": pairs, **more}  # fmt: skip


class Talk:
    """One request: gives the application its messages, then waits; keeps what it sends."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)
        self.sent: list[Message] = []
        self.waiting = asyncio.Event()

    async def receive(self) -> Message:
        if self._messages:
            return self._messages.pop(0)
        self.waiting.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    @property
    def status(self) -> int:
        return int(self.sent[0]["status"])

    @property
    def body(self) -> bytes:
        return b"".join(message["body"] for message in self.sent[1:])

    @property
    def code(self) -> str:
        return str(json.loads(self.body)["code"])


def body(data: bytes, *, more: bool = False) -> Message:
    return {"type": "http.request", "body": data, "more_body": more}


GONE: Message = {"type": "http.disconnect"}
App = Callable[..., Awaitable[None]]


def ask(app: App, scope: Message, *messages: Message) -> Talk:
    talk = Talk(*(messages or (body(b""),)))

    async def whole() -> None:
        async with asyncio.timeout(20):
            await app(scope, talk.receive, talk.send)

    asyncio.run(whole())
    return talk


def bearer(wharf: Wharf) -> dict[str, str]:
    return {"Authorization": f"Bearer {token(wharf, 'admin')}"}


def upload_scope(wharf: Wharf, **headers: str) -> dict[str, Any]:
    more = {name.replace("_", "-"): value for name, value in headers.items()}
    return scope_of("POST", "/uploads/files", {**bearer(wharf), **more})


# --- bodies -------------------------------------------------------------------------------


def test_a_body_comes_in_any_pieces(wharf: Wharf) -> None:
    pieces = [body(b"hel", more=True), body(b"", more=True), body(b"lo"), GONE]
    scope = upload_scope(wharf, Content_Length="5", Content_Type="text/plain")
    talk = ask(create_app(wharf), scope, *pieces)
    assert (talk.status, json.loads(talk.body)["size"]) == (201, 5)


def test_a_message_without_body_and_more_body_is_the_empty_end(wharf: Wharf) -> None:
    pieces = [body(b"hello", more=True), {"type": "http.request"}]
    scope = upload_scope(wharf, Transfer_Encoding="chunked", Content_Type="text/plain")
    talk = ask(create_app(wharf), scope, *pieces)
    assert (talk.status, json.loads(talk.body)["size"]) == (201, 5)


def test_http_2_needs_no_length(wharf: Wharf) -> None:
    scope = upload_scope(wharf, Content_Type="text/plain") | {"http_version": "2"}
    assert ask(create_app(wharf), scope, body(b"hello")).status == 201


def test_no_length_and_no_framing_is_411(wharf: Wharf) -> None:
    talk = ask(create_app(wharf), upload_scope(wharf), body(b"hello"))
    assert (talk.status, talk.code) == (411, "length-required")


def test_a_length_that_came_twice_is_the_servers_to_judge(wharf: Wharf) -> None:
    scope = upload_scope(wharf, Content_Type="text/plain", Content_Length="5")
    scope["headers"].append((b"content-length", b"5"))
    assert ask(create_app(wharf), scope, body(b"hello")).status == 201


@pytest.mark.parametrize("length", ["4", "6"])
def test_a_body_of_another_length_leaves_nothing(wharf: Wharf, length: str) -> None:
    scope = upload_scope(wharf, Content_Length=length, Content_Type="text/plain")
    talk = ask(create_app(wharf), scope, body(b"hello"))
    assert 400 <= talk.status < 500
    assert wharf.list_files() == ([], None)
    assert blobs_on_disk(wharf.settings.data) == []


def test_a_refusal_in_the_middle_stops_reading(wharf: Wharf) -> None:
    scope = upload_scope(wharf, Transfer_Encoding="chunked") | {"path": "/uploads/small"}
    read: list[int] = []

    class Sender(Talk):
        async def receive(self) -> Message:
            read.append(1_000_000)
            return body(b"x" * 1_000_000, more=True)

    talk = Sender()
    asyncio.run(create_app(wharf)(scope, talk.receive, talk.send))
    assert (talk.status, talk.code) == (413, "too-large")
    assert sum(read) < 5_000_000
    assert blobs_on_disk(wharf.settings.data) == []


# --- leaving ------------------------------------------------------------------------------


def test_what_came_is_handed_on_although_nothing_follows(wharf: Wharf) -> None:
    upload = wharf.uploads.create("files", protocol="resumable", owner="user:7", length=100)
    scope = scope_of("PATCH", f"/uploads/files/{upload.id}", {
        "Upload-Offset": "0", "Upload-Complete": "?1", "Content-Length": "100",
        "Content-Type": "application/partial-upload",
    })  # fmt: skip

    async def main() -> int:
        app = create_app(wharf, authorize=lambda _: SIGNED_IN)
        talk = Talk(body(b"x" * 40, more=True), body(b"x" * 7, more=True))
        running = asyncio.create_task(app(scope, talk.receive, talk.send))
        await asyncio.wait_for(talk.waiting.wait(), 5)
        await asyncio.sleep(0.6)  # three times as long as bytes wait for more
        offset = (await asyncio.to_thread(wharf.uploads.state, upload.id)).offset
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return offset

    assert asyncio.run(main()) == 47


def test_a_client_that_leaves_in_the_middle_of_an_upload_leaves_nothing(wharf: Wharf) -> None:
    scope = upload_scope(wharf, Content_Length="3000000", Content_Type="")
    talk = ask(create_app(wharf), scope, body(b"\1" * 2_000_000, more=True), GONE)
    assert (talk.status, talk.code) == (400, "length-mismatch")
    assert wharf.list_files() == ([], None)
    assert blobs_on_disk(wharf.settings.data) == []


def open_files(folder: Path) -> list[str]:
    found = []
    for entry in Path("/proc/self/fd").iterdir():
        target = str(entry.readlink()) if entry.is_symlink() else ""
        if target.startswith(str(folder)) and "catalog" not in target:
            found.append(target)
    return found


def test_cancelling_an_upload_leaves_nothing(wharf: Wharf) -> None:
    scope = upload_scope(wharf, Content_Length="3000000", Content_Type="")

    async def cancelled() -> None:
        talk = Talk(body(b"\1" * 2_000_000, more=True))
        task = asyncio.create_task(_run(create_app(wharf), scope, talk))
        assert await asyncio.to_thread(soon, lambda: open_files(wharf.settings.data) != [])
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    assert wharf.list_files() == ([], None)
    assert blobs_on_disk(wharf.settings.data) == []
    assert open_files(wharf.settings.data) == []


async def _run(app: App, scope: Message, talk: Talk) -> None:
    await app(scope, talk.receive, talk.send)


def test_a_client_that_leaves_in_the_middle_of_a_download_frees_the_file(wharf: Wharf) -> None:
    stored = wharf.receive([b"\1" * 8_000_000], collection="files")

    async def leaving() -> int:
        gone = asyncio.Event()

        class Leaver(Talk):
            async def receive(self) -> Message:
                if self._messages:
                    return self._messages.pop(0)
                await gone.wait()
                return GONE

            async def send(self, message: Message) -> None:
                self.sent.append(message)
                if len(self.sent) == 3:
                    assert open_files(wharf.settings.data) != []
                    gone.set()

        talk = Leaver(body(b""))
        async with asyncio.timeout(20):
            await _run(
                create_app(wharf), scope_of(path=f"/files/{stored.id}", headers=bearer(wharf)), talk
            )
        assert talk.status == 200
        return len(talk.body)

    assert 1_000_000 <= asyncio.run(leaving()) < 8_000_000
    assert open_files(wharf.settings.data) == []


def test_cancelling_a_download_frees_the_file(wharf: Wharf) -> None:
    stored = wharf.receive([b"\1" * 8_000_000], collection="files")

    async def cancelled() -> None:
        stuck = asyncio.Event()

        class Slow(Talk):
            async def send(self, message: Message) -> None:
                if message["type"] == "http.response.body":
                    stuck.set()
                    await asyncio.Event().wait()

        scope = scope_of(path=f"/files/{stored.id}", headers=bearer(wharf))
        task = asyncio.create_task(_run(create_app(wharf), scope, Slow(body(b""))))
        await stuck.wait()
        assert open_files(wharf.settings.data) != []
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    gc.collect()
    assert open_files(wharf.settings.data) == []


def test_a_send_that_fails_frees_the_file(wharf: Wharf) -> None:
    # Larger than what is remembered, whose files stay open for the next request.
    stored = wharf.receive([samples.TEXT * 20_000], collection="files")

    class Broken(Talk):
        async def send(self, message: Message) -> None:
            raise OSError(f"the client left before {message['type']}")

    scope = scope_of(path=f"/files/{stored.id}", headers=bearer(wharf))
    assert ask(create_app(wharf), scope).status == 200
    talk = Broken(body(b""))
    with pytest.raises(OSError, match="the client left"):
        asyncio.run(_run(create_app(wharf), scope, talk))
    assert open_files(wharf.settings.data) == []


# --- the application's own sign-in --------------------------------------------------------


def plain(scope: Message) -> Principal | None:
    return SIGNED_IN if dict(scope["headers"]).get(b"x-user") == b"7" else None


async def coroutine(scope: Message) -> Principal | None:
    await asyncio.sleep(0)
    return plain(scope)


@pytest.mark.parametrize(
    "authorize",
    [plain, coroutine, lambda scope: coroutine(scope)],  # noqa: PLW0108 - plain, but awaitable
    ids=["plain", "async", "plain that returns an awaitable"],
)
def test_the_application_says_who_asks(wharf: Wharf, authorize: Any) -> None:
    app = create_app(wharf, authorize=authorize)
    upload = {"X-User": "7", "Content-Length": "5", "Content-Type": "text/plain"}
    assert ask(app, scope_of("POST", "/uploads/files", upload), body(b"hello")).status == 201
    assert wharf.list_files()[0][0].owner == "user:7"
    assert ask(app, scope_of(path="/files", headers={"X-User": "7"})).status == 200
    assert ask(app, scope_of(path="/files")).status == 401


def test_a_plain_sign_in_may_block_without_stopping_the_others(wharf: Wharf) -> None:
    release = threading.Event()

    def slow(scope: Message) -> Principal | None:
        if scope["path"] == "/files":
            assert release.wait(10)
        return SIGNED_IN

    async def both() -> list[int]:
        app = create_app(wharf, authorize=slow)
        waiting, quick = Talk(body(b"")), Talk(body(b""))
        task = asyncio.create_task(_run(app, scope_of(path="/files"), waiting))
        await asyncio.sleep(0)
        await _run(app, scope_of(), quick)
        assert not task.done()
        release.set()
        await task
        return [quick.status, waiting.status]

    assert asyncio.run(both()) == [200, 200]


async def broken_async(_: Message) -> Principal | None:
    raise ZeroDivisionError("password hunter2")


def broken_plain(_: Message) -> Principal | None:
    raise ZeroDivisionError("password hunter2")


@pytest.mark.parametrize("authorize", [broken_plain, broken_async])
def test_a_sign_in_that_fails_shows_a_reference_and_nothing_else(
    wharf: Wharf, authorize: Any, caplog: pytest.LogCaptureFixture
) -> None:
    talk = ask(create_app(wharf, authorize=authorize), scope_of(path="/files"))
    assert (talk.status, talk.code) == (500, "internal")
    assert b"hunter2" not in talk.body
    assert json.loads(talk.body)["reference"] in caplog.text
    assert "hunter2" in caplog.text


def test_a_sign_in_may_raise_an_error_of_ours(wharf: Wharf) -> None:
    def away(_: Message) -> Principal | None:
        raise Unavailable("The directory at ldap://secret is down.")

    talk = ask(create_app(wharf, authorize=away), scope_of(path="/files"))
    assert (talk.status, talk.code) == (503, "unavailable")
    assert b"secret" not in talk.body


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin"}, 201),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://x"}, 201),
        ({"Origin": "http://evil.example"}, 403),
        ({}, 403),
    ],
)
def test_a_change_that_rests_on_a_cookie_needs_a_proof_of_its_page(
    wharf: Wharf, headers: dict[str, str], status: int
) -> None:
    app = create_app(wharf, authorize=lambda _: SIGNED_IN)
    sent = {"Cookie": "session=abc", "Content-Length": "5", "Content-Type": "text/plain", **headers}
    assert ask(app, scope_of("POST", "/uploads/files", sent), body(b"hello")).status == status


# --- everything else ----------------------------------------------------------------------


def test_a_websocket_is_refused(wharf: Wharf) -> None:
    scope: Message = {"type": "websocket", "path": "/", "headers": []}
    talk = ask(create_app(wharf), scope, {"type": "websocket.connect"})
    assert [message["type"] for message in talk.sent] == ["websocket.close"]


def test_the_lifespan_is_followed(wharf: Wharf) -> None:
    messages: list[Message] = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    talk = ask(create_app(wharf), {"type": "lifespan"}, *messages)
    assert [message["type"] for message in talk.sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]
    assert wharf.list_files() == ([], None)  # the service stays the caller's to close


def test_a_scope_from_the_future_is_an_error(wharf: Wharf) -> None:
    with pytest.raises(RuntimeError, match="'carrier-pigeon'"):
        ask(create_app(wharf), {"type": "carrier-pigeon"})


@pytest.mark.parametrize(
    ("root_path", "path"),
    [
        ("/storage", "/storage/uploads/files"),
        ("/storage", "/uploads/files"),
        ("/storage/", "/storage/uploads/files"),
        ("/deep/er", "/deep/er/uploads/files"),
    ],
    ids=["mount point kept in the path", "mount point taken off", "slash at the end", "deeper"],
)
def test_addresses_carry_the_mount_point(wharf: Wharf, root_path: str, path: str) -> None:
    headers = {"Content-Length": "5", "Content-Type": "text/plain", **bearer(wharf)}
    scope = scope_of("POST", path, headers, root_path=root_path)
    talk = ask(create_app(wharf), scope, body(b"hello"))
    record = json.loads(talk.body)
    root = root_path.rstrip("/")
    assert record["url"] == f"{root}/files/{record['id']}"
    assert (b"location", record["url"].encode()) in talk.sent[0]["headers"]


def test_a_path_that_only_begins_like_the_mount_point_is_whole(wharf: Wharf) -> None:
    scope = scope_of(path="/files", root_path="/file")
    assert ask(create_app(wharf), scope).status == 401


@pytest.mark.parametrize("path", ["/files/\udcff", "/d/\ud800", "/\udfff"])
def test_half_a_character_is_nowhere(wharf: Wharf, path: str) -> None:
    # Some servers decode what is no UTF-8 into these.
    assert ask(create_app(wharf), scope_of(path=path, headers=bearer(wharf))).status == 404
