"""What people write who come from requests or httpx is explained in one sentence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

import wharfinger
from wharfinger import Client
from wharfinger.errors import UsageError

URL = "http://127.0.0.1:9/a"


def download(**words: object) -> object:
    return wharfinger.download(URL, "a", **words)  # type: ignore[arg-type]


def upload(**words: object) -> object:
    return wharfinger.upload(b"x", URL, **words)  # type: ignore[arg-type]


def by_a_client(**words: object) -> object:
    with Client() as client:
        return client.download(URL, "a", **words)  # type: ignore[arg-type]


def made(**words: object) -> object:
    return Client(**words)  # type: ignore[arg-type]


def by_coroutine(**words: object) -> object:
    return asyncio.run(wharfinger.aio.download(URL, "a", **words))  # type: ignore[arg-type]


EVERYWHERE = [
    ("verify", False, "tls="),
    ("cert", "me.pem", "load_cert_chain"),
    ("params", {"a": "1"}, "urlencode"),
    ("cookies", {"a": "1"}, 'headers={"Cookie"'),
    ("allow_redirects", False, "Leave it out"),
    ("follow_redirects", True, "Leave it out"),
    ("proxies", {"http": "x"}, "proxy="),
]
DOWN = [
    *EVERYWHERE,
    ("stream", True, "dest="),
    ("data", b"x", "call upload"),
    ("json", {}, "call upload"),
    ("files", {}, "call upload"),
]
UP = [
    *EVERYWHERE,
    ("stream", True, "Leave it out"),
    ("data", {"a": "1"}, "fields="),
    ("files", {"file": b"x"}, "field="),
]
CASES = [
    *((download, *case) for case in DOWN),
    *((upload, *case) for case in UP),
    *((by_a_client, *case) for case in DOWN),
    *((made, *case) for case in EVERYWHERE),
    (by_coroutine, "verify", False, "tls="),
]


@pytest.mark.parametrize(
    ("call", "word", "value", "instead"), CASES, ids=[f"{c[0].__name__}-{c[1]}" for c in CASES]
)
def test_a_word_of_another_client_is_explained(
    call: Callable[..., object], word: str, value: object, instead: str, folder: Path
) -> None:
    with pytest.raises(UsageError, match=f"There is no {word}= here") as caught:
        call(**{word: value})
    assert instead in caught.value.hint
    assert list(folder.iterdir()) == []


def test_a_word_that_nobody_knows_stays_a_type_error() -> None:
    with pytest.raises(TypeError, match="nonsense"):
        download(nonsense=1)
