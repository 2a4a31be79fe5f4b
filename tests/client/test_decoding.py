"""Content codings: refused, or on request decoded to a sound end within the limit."""

from __future__ import annotations

import base64
import gzip
import hashlib
import zlib
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import HTML, PNG
from support.folders import listing
from support.peer import response, saying
from wharfinger.errors import (
    ActiveContent,
    BadResponse,
    IntegrityError,
    Interrupted,
    TooLarge,
    WharfingerError,
)

TEXT = b"All work and no play makes Jack a dull boy.\n" * 5000
CODED = gzip.compress(TEXT, mtime=0)


def fetch(url: str, dest: str = "out.txt", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, "decode": True, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


def coded(content: bytes, coding: str = "gzip", **more: str) -> bytes:
    fields = {name.replace("_", "-"): value for name, value in more.items()}
    return response(content, fields={"Content-Encoding": coding, **fields})


SOUND = {
    "gzip": (CODED, "gzip"),
    "its other name": (CODED, "x-gzip"),
    "in capitals": (CODED, "GZIP"),
    "several members": (gzip.compress(TEXT[:100]) + gzip.compress(TEXT[100:]), "gzip"),
    "deflate": (zlib.compress(TEXT), "deflate"),
    "none": (TEXT, "identity"),
}


@pytest.mark.parametrize(("content", "coding"), SOUND.values(), ids=SOUND.keys())
def test_on_request_what_it_stands_for_is_kept(
    content: bytes, coding: str, peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(coded(content, coding)))
    got = fetch(server.url, sha256=hashlib.sha256(TEXT).hexdigest())
    assert (folder / "out.txt").read_bytes() == TEXT
    assert got.size == len(TEXT)
    assert server.last.headers["accept-encoding"] == "gzip, deflate"


UNSOUND = {
    "cut": (CODED[:-12], "gzip"),
    "cut by one byte": (CODED[:-1], "gzip"),
    "a wrong checksum": (CODED[:-8] + b"\0\0\0\0" + CODED[-4:], "gzip"),
    "a wrong length": (CODED[:-4] + b"\0\0\0\0", "gzip"),
    "something behind it": (CODED + b"more", "gzip"),
    "zeros behind it": (CODED + bytes(100), "gzip"),
    "nothing": (b"", "gzip"),
    "no gzip": (TEXT, "gzip"),
    "a cut second member": (CODED + CODED[:-3], "gzip"),
    "deflate, cut": (zlib.compress(TEXT)[:-1], "deflate"),
    "deflate with something behind it": (zlib.compress(TEXT) + b"x", "deflate"),
    "deflate without its header": (zlib.compress(TEXT)[2:-4], "deflate"),
    "two codings": (gzip.compress(CODED), "gzip, gzip"),
    "brotli": (b"\x8b\x02\x80hello\x03", "br"),
}


@pytest.mark.parametrize(("content", "coding"), UNSOUND.values(), ids=UNSOUND.keys())
def test_an_unsound_coding_leaves_nothing(
    content: bytes, coding: str, peer: StartPeer, folder: Path
) -> None:
    with pytest.raises(BadResponse):
        fetch(peer(saying(coded(content, coding))).url)
    assert listing(folder) == []


BOMBS = {
    "zeros": gzip.compress(bytes(50_000_000)),
    "empty members": gzip.compress(b"", mtime=0) * 60_000,
    "of gzip in gzip": gzip.compress(gzip.compress(bytes(1000)) * 40_000),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS.keys())
def test_a_bomb_ends_at_the_limit(bomb: bytes, peer: StartPeer, folder: Path) -> None:
    with pytest.raises(TooLarge):
        fetch(peer(saying(coded(bomb))).url, max_size=1_000_000)
    assert listing(folder) == []


def test_the_limit_counts_decoded_bytes(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(coded(CODED)))
    assert fetch(server.url, max_size=len(TEXT)).size == len(TEXT)
    with pytest.raises(TooLarge):
        fetch(server.url, "second", max_size=len(TEXT) - 1)


def test_what_it_stands_for_is_judged(peer: StartPeer, folder: Path) -> None:
    hidden = gzip.compress(HTML)
    with pytest.raises(ActiveContent):
        fetch(peer(saying(coded(hidden, Content_Type="image/png"))).url)
    got = fetch(peer(saying(coded(gzip.compress(PNG)))).url, "a.png", expect=None)
    assert got.type == "image/png"


def digest_of(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


@pytest.mark.parametrize("field", ["Content_Digest", "Repr_Digest"])
def test_the_servers_digests_are_of_the_coded_content(
    field: str, peer: StartPeer, folder: Path
) -> None:
    right = coded(CODED, **{field: digest_of(CODED)})
    assert fetch(peer(saying(right)).url, "right").size == len(TEXT)
    for wrong in (digest_of(TEXT), digest_of(b"")):
        with pytest.raises(IntegrityError):
            fetch(peer(saying(coded(CODED, **{field: wrong}))).url, "wrong")
    assert listing(folder) == ["right"]


def test_nothing_of_it_is_resumed(peer: StartPeer, folder: Path) -> None:
    cut = coded(CODED, ETag='"v"')[:-50]
    server = peer(saying(cut, coded(CODED, ETag='"v"')))
    with pytest.raises(Interrupted):
        fetch(server.url)
    assert listing(folder) == []
    assert fetch(server.url).resumed_from == 0
    assert "range" not in server.last.headers


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_unasked_every_coding_is_refused(coding: str, peer: StartPeer, folder: Path) -> None:
    with pytest.raises(WharfingerError) as caught:
        fetch(peer(saying(coded(CODED, coding))).url, decode=False)
    assert caught.value.code == "bad-response"
    assert listing(folder) == []
