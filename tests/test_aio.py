"""The client as coroutines: cancelled at once wherever it waits, and otherwise the same."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import hashlib
import inspect
import io
import os
import socket
import ssl
import statistics
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import PNG
from support.peer import Exchange, Peer, response, saying
from support.require import module
from wharfinger import Progress, Timeout, aio
from wharfinger.errors import DestinationExists, Interrupted, ResponseError, UsageError
from wharfinger.net.guard import AddressGuard

SOON = 0.5  # seconds; what is promised is 0.1 on a machine that is not busy
ETAG = {"ETag": '"v1"'}


@pytest.fixture
def stop() -> Iterator[threading.Event]:
    """Ends the waiting of a peer when the test is over."""
    event = threading.Event()
    yield event
    event.set()


async def seconds_to_cancel(
    call: Awaitable[object], begun: Callable[[], object], until: float = 10
) -> float:
    """Start a call, wait until it hangs where the test wants it, cancel it, and time that."""
    task = asyncio.ensure_future(call)
    latest = time.monotonic() + until
    while not begun():
        assert not task.done(), task
        assert time.monotonic() < latest, "the call did not come to where it should hang"
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.02)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    return time.monotonic() - started


# --- cancelling: wherever it waits ---------------------------------------------------------


def head_only(exchange: Exchange) -> None:
    exchange.send(response(b"x" * 300_000, length=1_000_000, fields=ETAG))


STALLS: dict[str, tuple[bytes, bool]] = {
    "before the head": (b"", False),
    "in the head": (b"HTTP/1.1 200 OK\r\nContent-Le", False),
    "after an interim answer": (b"HTTP/1.1 103 Early Hints\r\n\r\n", False),
    "before the body": (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", False),
    "in a sized body": (response(b"x" * 300_000, length=1_000_000, fields=ETAG), True),
    "in a chunk size": (
        b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nTransfer-Encoding: chunked\r\n\r\n493e0\r\n'
        + b"x" * 300_000 + b"\r\n4",
        True,
    ),
    "in a body without a length": (
        b'HTTP/1.1 200 OK\r\nETag: "v1"\r\nConnection: close\r\n\r\n' + b"x" * 300_000, True,
    ),
}  # fmt: skip


@pytest.mark.parametrize(("said", "keeps"), STALLS.values(), ids=STALLS.keys())
def test_a_download_that_hangs_is_cancelled_at_once(
    said: bytes, keeps: bool, peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(said)
        stop.wait(20)

    server = peer(handler)
    part = folder / "out.bin.part"

    def begun() -> object:
        return (part.exists() and part.stat().st_size == 300_000) if keeps else server.exchanges

    call = aio.download(server.url, "out.bin", allow_private=True)
    assert asyncio.run(seconds_to_cancel(call, begun)) < SOON
    assert len(server.exchanges) == 1
    assert not (folder / "out.bin").exists()
    assert part.exists() is keeps


def test_what_a_cancelled_download_left_is_resumed(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    content = os.urandom(1_000_000)

    def handler(exchange: Exchange) -> None:
        if exchange.number == 0:
            exchange.send(response(content[:300_000], length=len(content), fields=ETAG))
            stop.wait(20)
        else:
            offset = int(exchange.headers["range"].removeprefix("bytes=").removesuffix("-"))
            span = {"Content-Range": f"bytes {offset}-999999/1000000", **ETAG}
            exchange.send(response(content[offset:], status="206 Partial Content", fields=span))

    server = peer(handler)
    part = folder / "out.bin.part"

    async def twice() -> wharfinger.Download:
        first = aio.download(server.url, "out.bin", allow_private=True)
        await seconds_to_cancel(first, lambda: part.exists() and part.stat().st_size == 300_000)
        return await aio.download(server.url, "out.bin", allow_private=True)

    got = asyncio.run(twice())
    assert got.resumed_from == 300_000
    assert got.sha256 == hashlib.sha256(content).hexdigest()


def test_a_connection_that_is_not_accepted_is_cancelled_at_once(folder: Path) -> None:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):  # the queue is full: further connections get no answer
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        time.sleep(0.05)
        url = f"http://127.0.0.1:{full.getsockname()[1]}/x"
        begun = iter([False] * 10 + [True] * 1000)
        call = aio.download(url, "out.bin", allow_private=True)
        assert asyncio.run(seconds_to_cancel(call, lambda: next(begun))) < SOON


def test_a_tls_handshake_that_hangs_is_cancelled_at_once(folder: Path) -> None:
    greeted = threading.Event()

    def listen() -> None:
        sock, _ = server.accept()
        with sock:
            sock.recv(1)
            greeted.set()
            with contextlib.suppress(OSError):
                while sock.recv(65536):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen)
        thread.start()
        url = f"https://127.0.0.1:{server.getsockname()[1]}/x"
        call = aio.download(url, "out.bin", allow_private=True)
        assert asyncio.run(seconds_to_cancel(call, greeted.is_set)) < SOON
        thread.join(5)
        assert not thread.is_alive(), "the socket was not closed"


def test_a_body_over_tls_that_hangs_is_cancelled_at_once(
    folder: Path, stop: threading.Event
) -> None:
    module("trustme")
    import trustme

    authority = trustme.CA()
    secure = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(secure)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)

    def handler(exchange: Exchange) -> None:
        head_only(exchange)
        stop.wait(20)

    part = folder / "out.bin.part"
    with Peer(handler, tls=secure) as server:
        call = aio.download(server.url, "out.bin", allow_private=True, tls=trusting)
        taken = asyncio.run(seconds_to_cancel(call, part.exists))
    assert taken < SOON


def test_a_download_over_several_connections_is_cancelled_at_once(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    size = 64 << 20

    def handler(exchange: Exchange) -> None:
        spans = exchange.headers.get("range", "bytes=0-").removeprefix("bytes=").split("-")
        begin, end = int(spans[0]), int(spans[1] or size - 1)
        fields = {"Content-Range": f"bytes {begin}-{end}/{size}", "Accept-Ranges": "bytes", **ETAG}
        partial = "range" in exchange.headers
        status = "206 Partial Content" if partial else "200 OK"
        if not partial:
            del fields["Content-Range"]
        exchange.send(
            response(b"x" * 300_000, status=status, length=end + 1 - begin, fields=fields)
        )
        stop.wait(20)

    server = peer(handler)
    call = aio.download(server.url, "out.bin", connections=4, allow_private=True)
    assert asyncio.run(seconds_to_cancel(call, lambda: len(server.exchanges) >= 4)) < SOON
    assert not (folder / "out.bin").exists()


def test_many_downloads_are_cancelled_at_once(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    server = peer(lambda _exchange: stop.wait(20) and None)
    urls = [f"{server.url}/{number}" for number in range(20)]
    call = aio.download_many(urls, folder, concurrency=8, allow_private=True)
    assert asyncio.run(seconds_to_cancel(call, lambda: len(server.exchanges) == 8)) < SOON
    assert len(server.exchanges) == 8


def test_many_downloads_are_reported_on_the_thread_of_the_loop(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(b"hello")))
    told: list[tuple[str, int]] = []

    async def main() -> int:
        report = await aio.download_many(
            [f"{server.url}/{number}" for number in range(5)],
            folder,
            allow_private=True,
            on_result=lambda result: told.append((result.name, threading.get_ident())),
        )
        return report.size

    assert asyncio.run(main()) == 25
    assert sorted(name for name, _ in told) == ["0", "1", "2", "3", "4"]
    assert {thread for _, thread in told} == {threading.get_ident()}


def test_a_server_that_takes_nothing_in_is_left_at_once(
    peer: StartPeer, stop: threading.Event
) -> None:
    server = peer(lambda _exchange: stop.wait(20) and None, reads_body=False)
    call = aio.upload(bytes(64_000_000), server.url, allow_private=True)
    assert asyncio.run(seconds_to_cancel(call, lambda: server.exchanges)) < SOON


@pytest.mark.parametrize("protocol", ["multipart", "raw", "tus"])
def test_a_reply_that_does_not_come_is_left_at_once(
    protocol: str, peer: StartPeer, stop: threading.Event, folder: Path
) -> None:
    (folder / "file").write_bytes(b"content")
    server = peer(lambda _exchange: stop.wait(20) and None)
    call = aio.upload("file", server.url, protocol=protocol, allow_private=True)
    assert asyncio.run(seconds_to_cancel(call, lambda: server.exchanges)) < SOON
    assert len(server.exchanges) == 1


def test_a_name_service_that_hangs_is_left_at_once(folder: Path, stop: threading.Event) -> None:
    asked = threading.Event()

    def resolver(_host: str, _port: int) -> list[str]:
        asked.set()
        stop.wait(20)
        return ["93.184.216.34"]

    async def main() -> float:
        async with aio.Client(guard=AddressGuard(resolver=resolver)) as client:
            return await seconds_to_cancel(
                client.download("http://slow.test/x", "out.bin"), asked.is_set
            )

    assert asyncio.run(main()) < SOON


def test_the_wait_before_another_attempt_ends_at_once(peer: StartPeer, folder: Path) -> None:
    busy = response(b"", status="503 Busy", fields={"Retry-After": "60"})
    server = peer(saying(busy))
    call = aio.download(server.url, "out.bin", allow_private=True)
    assert asyncio.run(seconds_to_cancel(call, lambda: server.exchanges)) < SOON
    assert len(server.exchanges) == 1


def test_a_proxy_that_does_not_answer_is_left_at_once(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    proxy = peer(lambda _exchange: stop.wait(20) and None)
    call = aio.download("https://files.test/x", "out.bin", proxy=proxy.url, trust_proxy=True)
    assert asyncio.run(seconds_to_cancel(call, lambda: proxy.exchanges)) < SOON


def test_a_kept_connection_is_cancelled_like_a_new_one(folder: Path, stop: threading.Event) -> None:
    seen: list[bytes] = []

    def serve() -> None:
        sock, _ = server.accept()
        with sock:
            for reply in (response(b"hello"), b""):
                seen.append(sock.recv(65536))
                sock.sendall(reply)
            stop.wait(20)

    async def main(port: int) -> float:
        async with aio.Client(allow_private=True) as client:
            await client.download(f"http://127.0.0.1:{port}/1", "one")
            return await seconds_to_cancel(
                client.download(f"http://127.0.0.1:{port}/2", "two"), lambda: len(seen) == 2
            )

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        taken = asyncio.run(main(server.getsockname()[1]))
        stop.set()
        thread.join(5)
    assert taken < SOON


def test_a_large_file_that_is_judged_is_cancelled_at_once(folder: Path) -> None:
    with (folder / "large.bin").open("wb") as file:
        file.truncate(40 << 30)
    begun = iter([False] * 20 + [True] * 10_000)
    call = aio.inspect("large.bin", policy=wharfinger.Policy.anything(max_size="50 GiB"))
    assert asyncio.run(seconds_to_cancel(call, lambda: next(begun))) < SOON


def test_what_waits_for_its_turn_is_cancelled_and_never_runs(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    server = peer(lambda _exchange: stop.wait(20) and None)

    async def main() -> None:
        running = [
            asyncio.ensure_future(aio.upload(b"x", server.url, allow_private=True))
            for _ in range(aio.MAX_THREADS)
        ]
        until = time.monotonic() + 10
        while len(server.exchanges) < aio.MAX_THREADS:
            assert time.monotonic() < until
            await asyncio.sleep(0.01)
        late = aio.upload(b"late", f"{server.url}/late", allow_private=True)
        assert await seconds_to_cancel(late, lambda: True) < SOON
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    asyncio.run(main())
    assert not any("late" in exchange.line for exchange in server.exchanges)


def test_cancelling_many_times_in_a_row_is_fast_and_leaves_nothing_open(
    peer: StartPeer, folder: Path, stop: threading.Event, record_property: Callable[..., None]
) -> None:
    def handler(exchange: Exchange) -> None:
        head_only(exchange)
        stop.wait(20)

    server = peer(handler)

    async def main() -> list[float]:
        taken = []
        for number in range(5):
            part = folder / f"{number}.part"
            call = aio.download(server.url, str(number), allow_private=True)
            taken.append(await seconds_to_cancel(call, part.exists))
        return taken

    taken = asyncio.run(main())
    record_property("median_seconds_to_cancel", statistics.median(taken))
    assert max(taken) < SOON
    ours = [thread.name for thread in threading.enumerate() if "resolve" in thread.name]
    assert ours == []
    for entry in os.scandir("/proc/self/fd"):
        with contextlib.suppress(FileNotFoundError):
            assert str(folder) not in str(Path(entry.path).readlink())


def test_a_second_cancellation_does_not_let_the_files_go_early(
    folder: Path, peer: StartPeer
) -> None:
    entered, release = threading.Event(), threading.Event()

    class Slow(io.BytesIO):
        def write(self, data: object, /) -> int:
            entered.set()
            release.wait(10)
            return super().write(data)  # type: ignore[arg-type]

    server = peer(saying(response(b"x" * 300_000)))

    async def main() -> bool:
        task = asyncio.ensure_future(aio.download(server.url, Slow(), allow_private=True))
        while not entered.is_set():  # noqa: ASYNC110 - set by a thread
            await asyncio.sleep(0.005)
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.05)
        still = not task.done()
        release.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        return still

    assert asyncio.run(main())


def test_a_thread_that_does_not_end_is_left_behind_after_a_bounded_time(
    peer: StartPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    class Hanging(io.BytesIO):
        def write(self, data: object, /) -> int:
            entered.set()
            release.wait(20)
            return super().write(data)  # type: ignore[arg-type]

    monkeypatch.setattr(aio, "LET_GO", 0.2)
    server = peer(saying(response(b"x" * 300_000)))
    call = aio.download(server.url, Hanging(), allow_private=True)
    try:
        taken = asyncio.run(seconds_to_cancel(call, entered.is_set))
    finally:
        release.set()
    assert 0.2 <= taken < 2


# --- asyncio's own tools -------------------------------------------------------------------


def test_asyncio_timeout_ends_a_transfer(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    server = peer(lambda _exchange: stop.wait(20) and None)

    async def main() -> None:
        async with asyncio.timeout(0.1):
            await aio.download(server.url, "out.bin", allow_private=True)

    started = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        asyncio.run(main())
    assert not isinstance(caught.value, wharfinger.WharfingerError)
    assert time.monotonic() - started < 0.1 + SOON


def test_a_task_group_takes_its_transfers_down_with_the_one_that_fails(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    hangs = peer(lambda _exchange: stop.wait(20) and None)
    fails = peer(saying(response(b"", status="404 Not Found")))

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(aio.download(hangs.url, "one", allow_private=True))
            while not hangs.exchanges:  # noqa: ASYNC110 - filled by a thread
                await asyncio.sleep(0.005)
            group.create_task(aio.download(fails.url, "two", allow_private=True))

    started = time.monotonic()
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(main())
    assert [type(error) for error in caught.value.exceptions] == [ResponseError]
    assert time.monotonic() - started < 5


def test_many_transfers_run_at_the_same_time(peer: StartPeer, folder: Path) -> None:
    together = threading.Barrier(8, timeout=10)

    def handler(exchange: Exchange) -> None:
        together.wait()
        exchange.send(response(b"hello"))

    server = peer(handler)

    async def main() -> list[wharfinger.Download]:
        async with aio.Client(allow_private=True) as client:
            return await asyncio.gather(
                *(client.download(f"{server.url}/{n}", str(n)) for n in range(8))
            )

    assert [got.size for got in asyncio.run(main())] == [5] * 8


# --- the same as the synchronous client ----------------------------------------------------


def test_a_download_and_an_upload_are_those_of_the_synchronous_client(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(PNG, fields={"Content-Type": "image/png"})))
    takes = peer(saying(response(b'{"url": "/files/7"}', status="201 Created")))

    async def main() -> None:
        got = await aio.download(server.url, "a.png", expect="image/*", allow_private=True)
        assert (got.size, got.type, got.path) == (len(PNG), "image/png", Path("a.png"))
        reply = await aio.upload(
            "a.png", takes.url, field="picture", fields={"user": "7"}, allow_private=True
        )
        assert (reply.status, reply.json()) == (201, {"url": "/files/7"})
        assert (await aio.inspect("a.png")).type == "image/png"

    asyncio.run(main())
    assert b'name="picture"; filename="a.png"' in takes.last.body


def test_errors_are_those_of_the_synchronous_client(peer: StartPeer, folder: Path) -> None:
    (folder / "there").write_bytes(b"old")
    cut = peer(saying(response(b"x" * 10, length=20)))

    async def main() -> None:
        with pytest.raises(DestinationExists):
            await aio.download(cut.url, "there", allow_private=True)
        with pytest.raises(Interrupted) as caught:
            await aio.download(cut.url, "out", allow_private=True, retries=0)
        assert (caught.value.received, caught.value.expected) == (10, 20)
        with pytest.raises(UsageError):
            await aio.download("not a url", "out")
        with pytest.raises(TypeError):
            await aio.download()  # type: ignore[call-arg]

    asyncio.run(main())


def test_a_time_limit_of_ours_is_an_error_of_ours(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    server = peer(lambda _exchange: stop.wait(20) and None)
    with pytest.raises(wharfinger.WharfingerError) as caught:
        asyncio.run(
            aio.download(server.url, "x", allow_private=True, retries=0, timeout=Timeout(head=0.2))
        )
    assert caught.value.code == "timeout"


def test_progress_is_told_on_the_thread_of_the_loop_and_before_the_end(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(b"x" * 300_000)))
    threads: list[int] = []
    stages: list[str] = []

    def progress(event: Progress) -> None:
        threads.append(threading.get_ident())
        stages.append(event.stage)

    asyncio.run(aio.download(server.url, "out", allow_private=True, progress=progress))
    assert set(threads) == {threading.get_ident()}
    assert (stages[0], stages[-1]) == ("connecting", "done")


def test_what_progress_raises_ends_the_transfer(
    peer: StartPeer, folder: Path, stop: threading.Event
) -> None:
    class Enough(Exception):
        pass

    def progress(event: Progress) -> None:
        if event.stage == "receiving":
            raise Enough

    def handler(exchange: Exchange) -> None:
        head_only(exchange)
        stop.wait(20)

    started = time.monotonic()
    with pytest.raises(Enough):
        asyncio.run(aio.download(peer(handler).url, "x", allow_private=True, progress=progress))
    assert time.monotonic() - started < 5


def test_what_progress_raises_at_the_very_end_is_not_lost(peer: StartPeer, folder: Path) -> None:
    def progress(event: Progress) -> None:
        if event.stage == "done":
            raise KeyError(event.stage)

    server = peer(saying(response(b"hello")))
    with pytest.raises(KeyError):
        asyncio.run(aio.download(server.url, "x", allow_private=True, progress=progress))


def test_context_variables_are_those_of_the_caller(peer: StartPeer) -> None:
    who: contextvars.ContextVar[str] = contextvars.ContextVar("who", default="nobody")
    seen: list[str] = []

    class Stream(io.BytesIO):
        def write(self, data: object, /) -> int:
            seen.append(who.get())
            return super().write(data)  # type: ignore[arg-type]

    server = peer(saying(response(b"hello")))

    async def main() -> None:
        who.set("ada")
        await aio.download(
            server.url, Stream(), allow_private=True, progress=lambda _: seen.append(who.get())
        )

    asyncio.run(main())
    assert set(seen) == {"ada"}
    assert who.get() == "nobody"


def test_a_synchronous_call_has_nothing_that_cancels_it(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"hello")))

    async def main() -> int:
        # In the loop's own thread, as people do in scripts: it blocks, and works.
        return wharfinger.download(server.url, "out", allow_private=True).size

    assert asyncio.run(main()) == 5


@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"hello")))
    asyncio.run(aio.download(server.url, "parent", allow_private=True))
    child = os.fork()
    if child == 0:
        code = 1
        with contextlib.suppress(BaseException):
            asyncio.run(aio.download(server.url, "child", allow_private=True))
            code = 0
        os._exit(code)
    until = time.monotonic() + 20
    while (done := os.waitpid(child, os.WNOHANG)) == (0, 0) and time.monotonic() < until:
        time.sleep(0.01)
    if done == (0, 0):
        os.kill(child, 9)
        os.waitpid(child, 0)
    assert done[1] == 0
    assert (folder / "child").read_bytes() == b"hello"


FUNCTIONS = [(name, getattr(wharfinger, name)) for name in aio.__all__ if name != "Client"]


@pytest.mark.parametrize(("name", "twin"), FUNCTIONS, ids=[name for name, _ in FUNCTIONS])
def test_arguments_are_those_of_the_synchronous_function(
    name: str, twin: Callable[..., object]
) -> None:
    assert inspect.iscoroutinefunction(getattr(aio, name))
    assert inspect.signature(getattr(aio, name)) == inspect.signature(twin)
    assert inspect.getdoc(getattr(aio, name))


def test_every_transfer_of_the_synchronous_client_has_its_twin() -> None:
    for name in ("download", "download_many", "upload", "close"):
        theirs = getattr(wharfinger.Client, name)
        ours = getattr(aio.Client, name)
        assert inspect.iscoroutinefunction(ours)
        assert list(inspect.signature(ours).parameters) == list(
            inspect.signature(theirs).parameters
        )
    assert inspect.signature(aio.Client) == inspect.signature(wharfinger.Client)
    public = {name for name in vars(wharfinger.Client) if not name.startswith("_")}
    assert public <= set(vars(aio.Client))
    verbs = {name for name in wharfinger.__all__ if name.split("_")[0] in {"download", "upload"}}
    assert verbs - {"download_file"} <= set(aio.__all__)
