"""A full disk: 507, nothing left behind, and the service goes on."""

from __future__ import annotations

import http.client
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.require import require
from support.served import Served, serve
from support.services import blobs_on_disk
from support.shells import Answered, form

MIB = 1024 * 1024
BINARY = {"Content-Type": "application/octet-stream"}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 48 MiB, mounted for one test."""
    require(os.geteuid() == 0, "only root can mount a small file system")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=48m", "tmpfs", str(folder)],
        check=False, capture_output=True,
    )  # fmt: skip
    require(mounted.returncode == 0, "this machine does not let root mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def chunked(served: Served, size: int) -> Answered:
    """Send a body whose length nobody declares; read the answer even when it comes early."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=20)
    pieces = (bytes(MIB) for _ in range(size // MIB))
    headers = {**BINARY, "Authorization": f"Bearer {served.token}"}
    try:
        connection.request("POST", "/uploads/files", pieces, headers, encode_chunked=True)
        answer = connection.getresponse()
        return Answered(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def check_that_it_goes_on(served: Served, before: list[Path]) -> None:
    assert served.browser.ask("GET", "/files").json()["files"] == []
    assert blobs_on_disk(served.data) == before
    assert [path for path in served.open_files() if "/staging/" in path] == []
    small = served.browser.ask("POST", "/uploads/files", b"small")
    assert small.status == 201
    assert served.browser.ask("GET", small.json()["url"]).body == b"small"
    assert served.browser.ask("GET", "/health/ready").status == 200
    assert "Traceback" not in served.log.read_text("utf-8")


def test_uploads_that_do_not_fit_are_507_and_a_small_one_passes_afterwards(
    small_disk: Path,
) -> None:
    with serve(small_disk / "data") as served:
        declared = served.browser.ask("POST", "/uploads/files", bytes(60 * MIB), BINARY)
        assert (declared.status, declared.code) == (507, "storage-full")
        undeclared = chunked(served, 60 * MIB)
        assert (undeclared.status, undeclared.code) == (507, "storage-full")
        body, headers = form(
            ("a", "fits.bin", bytes(2 * MIB), "application/octet-stream"),
            ("b", "does-not.bin", bytes(60 * MIB), "application/octet-stream"),
        )
        both = served.browser.ask("POST", "/uploads/files", body, headers)
        assert (both.status, both.code) == (507, "storage-full")
        assert str(small_disk).encode() not in declared.body + undeclared.body + both.body
        check_that_it_goes_on(served, before=[])


def test_many_small_uploads_until_it_is_full_then_room_is_made(small_disk: Path) -> None:
    with serve(small_disk / "data") as served:
        kept: list[dict[str, object]] = []
        for _ in range(40):
            answer = served.browser.ask("POST", "/uploads/files", bytes(2_000_000), BINARY)
            if answer.status != 201:
                break
            kept.append(answer.json())
        assert answer.status == 507, answer
        assert 8 <= len(kept) <= 24
        for record in kept:
            assert served.browser.ask("GET", str(record["url"])).body == bytes(2_000_000)
        # A full disk must not keep anybody from making room.
        for record in kept[:6]:
            assert served.browser.ask("DELETE", str(record["url"])).status == 204
        again = served.browser.ask("POST", "/uploads/files", bytes(2_000_000), BINARY)
        assert again.status == 201
        assert len(blobs_on_disk(served.data)) == len(kept) - 6 + 1


LIMITED = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (4194304, 4194304))"


def test_a_limit_on_the_size_of_files_is_507_too(tmp_path: Path) -> None:
    """RLIMIT_FSIZE needs no root: writing beyond it is EFBIG (Python ignores SIGXFSZ)."""
    with serve(tmp_path / "data", before=LIMITED) as served:
        declared = served.browser.ask("POST", "/uploads/files", bytes(12 * MIB), BINARY)
        assert (declared.status, declared.code) == (507, "storage-full")
        undeclared = chunked(served, 12 * MIB)
        assert (undeclared.status, undeclared.code) == (507, "storage-full")
        check_that_it_goes_on(served, before=[])
