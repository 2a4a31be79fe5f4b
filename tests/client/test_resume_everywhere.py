"""A break at every byte of a small file, against servers that do everything wrong afterwards.

Whatever happens: the destination holds one of the two contents that the server ever had,
whole, or it is not there. Longer than the head that is judged, so that breaks fall before,
in and behind it.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.peer import Exchange, response
from wharfinger import Client, Timeout
from wharfinger.errors import Rejected, WharfingerError

SIZE = 8192 + 300
OLD = bytes((i * 7 + i // 251) % 256 for i in range(SIZE))
NEW = OLD[::-1]
# Every byte around the beginning, the judged head and the end, and every 97th in between.
CUTS = sorted({*range(40), *range(40, SIZE, 97), *range(8180, 8200), *range(SIZE - 40, SIZE)})

Second = Callable[[Exchange, int], None]


def rest(content: bytes, start: int, etag: str = '"v1"', span: str = "") -> bytes:
    span = span or f"{start}-{len(content) - 1}/{len(content)}"
    return response(
        content[start:], status="206 Partial Content", ETag=etag, Content_Range=f"bytes {span}"
    )


def honest(exchange: Exchange, start: int) -> None:
    exchange.send(rest(OLD, start))


def changed(exchange: Exchange, _start: int) -> None:
    exchange.send(response(NEW, ETag='"v2"'))


def changed_and_spliced(exchange: Exchange, start: int) -> None:
    exchange.send(rest(NEW, start, '"v2"'))


def ignores_ranges(exchange: Exchange, _start: int) -> None:
    exchange.send(response(OLD, ETag='"v1"'))


def resets(exchange: Exchange, _start: int) -> None:
    exchange.reset()


def resets_in_the_body(exchange: Exchange, start: int) -> None:
    whole = rest(OLD, start)
    exchange.send(whole[: -((SIZE - start) // 2 or 1)])
    exchange.reset()


def stalls(exchange: Exchange, start: int) -> None:
    exchange.send(rest(OLD, start)[:-1])
    with contextlib.suppress(TimeoutError):
        exchange.sock.settimeout(0.3)
        exchange.sock.recv(1)


def begins_too_early(exchange: Exchange, start: int) -> None:
    early = max(start - 1, 0)
    exchange.send(rest(OLD, early, span=f"{early}-{SIZE - 1}/{SIZE}"))


def claims_the_right_place_with_other_bytes(exchange: Exchange, start: int) -> None:
    exchange.send(rest(OLD, min(start + 1, SIZE - 1), span=f"{start}-{SIZE - 1}/{SIZE}"))


def claims_another_total(exchange: Exchange, start: int) -> None:
    exchange.send(rest(OLD, start, span=f"{start}-{SIZE}/{SIZE + 1}"))


def has_no_such_range(exchange: Exchange, _start: int) -> None:
    exchange.send(response(b"", status="416 No", Content_Range=f"bytes */{SIZE}"))


SECONDS = [
    honest, changed, changed_and_spliced, ignores_ranges, resets, resets_in_the_body,
    begins_too_early, claims_the_right_place_with_other_bytes, claims_another_total,
    has_no_such_range,
]  # fmt: skip


class Breaking:
    """Sends so many bytes of the old content, then answers ranges with `second`."""

    def __init__(self, second: Second) -> None:
        self.second = second
        self.cut = 0
        self.later = False

    def __call__(self, exchange: Exchange) -> None:
        asked = re.fullmatch(r"bytes=(\d+)-", exchange.headers.get("range", ""))
        if asked is not None:
            self.second(exchange, int(asked[1]))
        elif self.later:
            content, etag = (NEW, '"v2"') if "changed" in self.second.__name__ else (OLD, '"v1"')
            exchange.send(response(content, ETag=etag))
        else:
            self.later = True
            whole = response(OLD, ETag='"v1"')
            exchange.send(whole[: whole.index(b"\r\n\r\n") + 4 + self.cut])


def attempt(client: Client, url: str, **options: object) -> wharfinger.Download | None:
    with contextlib.suppress(WharfingerError):
        return client.download(url, "out.bin", **options)  # type: ignore[arg-type]
    return None


@pytest.mark.parametrize("second", SECONDS, ids=lambda second: second.__name__)
def test_after_a_break_at_any_byte_the_file_is_whole_or_absent(
    second: Second, peer: StartPeer, folder: Path
) -> None:
    server = Breaking(second)
    url = f"{peer(server).url}/file"
    target = folder / "out.bin"
    with Client(allow_private=True, retries=0, timeout=5) as client:
        for cut in CUTS:
            server.cut, server.later = cut, False
            assert attempt(client, url) is None
            assert not target.exists()
            for _ in range(2):
                got = attempt(client, url)
                if got is not None:
                    break
                assert not target.exists()
            if got is not None:
                expected = NEW if "changed" in second.__name__ else OLD
                assert target.read_bytes() == expected, cut
                assert got.sha256 == hashlib.sha256(expected).hexdigest()
                target.unlink()
            for left in folder.iterdir():
                left.unlink()


@pytest.mark.parametrize("cut", [8192, 8193, 8300, SIZE - 1])
def test_a_server_that_stalls_after_a_break_leaves_what_came(
    cut: int, peer: StartPeer, folder: Path
) -> None:
    server = Breaking(stalls)
    server.cut = cut
    url = f"{peer(server).url}/file"
    with Client(allow_private=True, retries=0, timeout=Timeout(idle=0.2)) as client:
        assert attempt(client, url) is None
        assert attempt(client, url) is None
        assert not (folder / "out.bin").exists()
        server.second = honest
        assert attempt(client, url) is not None
    assert (folder / "out.bin").read_bytes() == OLD


def test_a_rest_that_breaks_the_policy_is_refused_like_the_whole(
    peer: StartPeer, folder: Path
) -> None:
    server = Breaking(honest)
    server.cut = SIZE // 2
    url = f"{peer(server).url}/file"
    with Client(allow_private=True, retries=0) as client:
        assert attempt(client, url) is None
        with pytest.raises(Rejected):
            client.download(url, "out.bin", max_size=SIZE - 1)
    assert not (folder / "out.bin").exists()
