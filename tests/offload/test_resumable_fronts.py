"""IETF resumable uploads behind the real nginx, as the documentation configures it and with its own default.

With `proxy_request_buffering off` the service gets what comes while it comes. With `on` nginx keeps
a request until it is whole: what is cut off before never reaches the service, and nothing of it counts.
Either way nothing is lost that was acknowledged, and no interim answer is taken for the final one.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from shells.test_resumable import append, begin, content, head_of, heads, stands
from support import fronts
from support.cutting import Cutting
from support.services import make_wharf, token
from support.shells import SHELLS, Browser, running
from support.tus_js import upload
from support.waiting import soon
from wharfinger import Client, Wharf

MIB = 1024 * 1024


@dataclass(frozen=True)
class Front:
    """A service behind nginx. `browser` asks through it."""

    wharf: Wharf
    browser: Browser
    buffering: bool


@pytest.fixture(params=[False, True], ids=["buffering off", "buffering on"])
def buffering(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(params=SHELLS)
def front(request: pytest.FixtureRequest, tmp_path: Path, buffering: bool) -> Iterator[Front]:
    with (
        make_wharf(tmp_path / "data") as wharf,
        running(str(request.param), wharf, trusted=["127.0.0.1"]) as url,
        fronts.nginx(tmp_path / "nginx", url, buffering=buffering) as outside,
    ):
        yield Front(wharf, Browser(outside, token(wharf)), buffering)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.bin"
    path.write_bytes(os.urandom(12 * MIB + 1))
    return path


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_file_arrives_although_its_connections_are_cut(front: Front, file: Path) -> None:
    browser = front.browser
    with (
        Cutting(browser.url, cuts=[7 * MIB, 200_000, 3 * MIB]) as proxy,
        Client(allow_private=True, retries=5, timeout=20, sleep=lambda _: None) as client,
    ):
        reply = client.upload(
            file, f"{proxy.url}/uploads/files", protocol="resumable", auth=browser.token,
            chunk_size="4 MiB",
        )  # fmt: skip
        assert proxy.connections >= 3
    assert reply.json()["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(front.wharf.list_files()[0]) == 1


@pytest.mark.parametrize("version", ["5", "6", "8"])
def test_the_answer_is_the_final_one_and_names_the_address(front: Front, version: str) -> None:
    browser = front.browser
    head = head_of(
        browser, "/uploads/files", 3, method="POST", Upload_Complete="?0",
        Upload_Draft_Interop_Version=version, Connection="close",
    )  # fmt: skip
    ((status, fields),) = heads(browser.raw(head + b"abc"))
    assert (status, fields["upload-complete"], fields["upload-offset"]) == (201, "?0", "3")
    path = fields["location"]
    assert stands(browser, path) == ("?0", "3")
    assert append(browser, path, 2, b"cdef", "?1").status == 409
    done = append(browser, path, 3, b"def", "?1")
    assert (done.status, done.headers["upload-complete"]) == (201, "?1")
    assert content(browser, done.json()) == b"abcdef"


def test_what_is_cut_off_counts_as_far_as_the_service_got_it(front: Front) -> None:
    browser, size = front.browser, 2 * MIB
    path = begin(browser, Upload_Length=str(2 * size))
    assert append(browser, path, 0, b"a" * size).status == 204
    with socket.create_connection((browser.host, browser.port), timeout=20) as sock:
        sock.sendall(
            head_of(browser, path, size, Upload_Offset=str(size), Upload_Complete="?1")
            + b"b" * (size // 2)
        )
        time.sleep(0.5)  # so that it passes nginx before the end does
    upload_id = path.rpartition("/")[2]
    if front.buffering:
        offset = size
    else:
        assert soon(lambda: front.wharf.uploads.find(upload_id, None).offset > size)
        offset = int(stands(browser, path)[1])
        assert size < offset <= size + size // 2
    assert stands(browser, path) == ("?0", str(offset))
    done = append(browser, path, offset, b"b" * (2 * size - offset), "?1")
    assert (done.status, done.json()["size"]) == (201, 2 * size)
    assert content(browser, done.json()) == b"a" * size + b"b" * size


def test_an_upload_that_hangs_is_taken_over_at_once(front: Front) -> None:
    browser, size = front.browser, 2 * MIB
    path = begin(browser, Upload_Length=str(size))
    with socket.create_connection((browser.host, browser.port), timeout=20) as sock:
        sock.sendall(
            head_of(browser, path, size, Upload_Offset="0", Upload_Complete="?1") + b"a" * MIB
        )
        time.sleep(0.5)
        began = time.monotonic()
        offset = int(stands(browser, path)[1])
        assert time.monotonic() - began < 2
        assert offset == 0 if front.buffering else offset <= MIB
        done = append(browser, path, offset, b"b" * (size - offset), "?1")
        assert done.status == 201
        with contextlib.suppress(OSError):
            sock.sendall(b"a" * MIB)  # the older one ends, and changes nothing
            (status, fields), *_ = heads(sock.recv(65536))
            # What nginx kept back until now comes after the end: the answer to the whole, again,
            # or that its bytes are not wanted any more.
            assert status in ({201, 409, 410} if front.buffering else {409})
            assert "upload-offset" not in fields or fields["upload-complete"] == "?1"
    assert content(browser, done.json()) == b"a" * offset + b"b" * (size - offset)
    assert len(front.wharf.list_files()[0]) == 1


def test_an_nginx_that_nobody_told_the_service_of_breaks_nothing(tmp_path: Path) -> None:
    """Without `trusted_proxies`: it would take an interim answer for the final one."""
    with (
        make_wharf(tmp_path / "data") as wharf,
        running("server", wharf) as url,
        fronts.nginx(tmp_path / "nginx", url) as outside,
    ):
        browser = Browser(outside, token(wharf))
        fields = {"Upload-Complete": "?1", "Upload-Draft-Interop-Version": "8"}
        assert browser.ask("POST", "/uploads/files", b"abc", fields).status == 201


@pytest.mark.parametrize("mode", ["ietf-draft-03", "ietf-draft-05"])
def test_tus_js_client_completes(front: Front, file: Path, mode: str) -> None:
    browser = front.browser
    lines = upload(
        file, f"{browser.url}/uploads/files", str(browser.token), protocol=mode, chunkSize=5 * MIB
    )
    assert "url" in lines[-1], lines
    ((stored,), _) = front.wharf.list_files()
    assert stored.sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
