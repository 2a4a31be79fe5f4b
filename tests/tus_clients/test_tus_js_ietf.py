"""tus-js-client in its two modes for the IETF's drafts, against the server as people run it.

It sends the interop versions 5 and 6, ignores interim answers, and needs Location in the answer to a
creation and Upload-Offset in that to every append. Of metadata it has none in these modes.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support import samples
from support.processes import free_port
from support.served import Served, serve
from support.tus_js import upload, uploading

MIB = 1024 * 1024
MODES = {"5": "ietf-draft-03", "6": "ietf-draft-05"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "data") as served:
        yield served


@pytest.fixture(params=MODES.values(), ids=[f"interop version {number}" for number in MODES])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(os.urandom(5 * MIB + 123))
    return path


def check(served: Served, file: Path, lines: list[dict[str, object]]) -> None:
    """The last line says success, and there is one record, with the digest of the file."""
    assert "url" in lines[-1], lines
    (record,) = served.browser.ask("GET", "/files").json()["files"]
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(lines[-1]["location"]) == record["url"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": MIB},
        {"uploadDataDuringCreation": True, "chunkSize": 2 * MIB},
        {"overridePatchMethod": True, "chunkSize": 3 * MIB},
    ],
    ids=["plain", "in chunks", "with the creation", "by POST"],
)
def test_a_file_arrives(served: Served, file: Path, mode: str, options: dict[str, object]) -> None:
    lines = upload(file, f"{served.url}/uploads/files", served.token, protocol=mode, **options)
    check(served, file, lines)


def test_a_picture_whose_first_bytes_come_with_the_creation_is_a_picture(
    served: Served, tmp_path: Path, mode: str
) -> None:
    """It calls them `application/partial-upload`, which is no type of a file."""
    picture = tmp_path / "me.png"
    picture.write_bytes(samples.image("PNG"))
    lines = upload(
        picture, f"{served.url}/uploads/images", served.token, protocol=mode,
        uploadDataDuringCreation=True, chunkSize=20,
    )  # fmt: skip
    check(served, picture, lines)


def test_a_client_that_died_goes_on_where_it_was(
    served: Served, file: Path, tmp_path: Path, mode: str
) -> None:
    endpoint = f"{served.url}/uploads/files"
    options = {"chunkSize": MIB, "store": str(tmp_path / "urls.json"), "protocol": mode}
    died = upload(file, endpoint, served.token, stop_at=3 * MIB, **options)
    assert "stopped" in died[-1]
    lines = upload(file, endpoint, served.token, **options)
    assert "resumed" in lines[0]
    accepted = [one["accepted"] for one in lines if "accepted" in one]
    assert int(str(accepted[0])) >= 3 * MIB  # what had arrived was not sent again
    check(served, file, lines)


def test_an_upload_that_is_given_up_is_gone(served: Served, file: Path, mode: str) -> None:
    lines = upload(
        file, f"{served.url}/uploads/files", served.token, protocol=mode, chunkSize=MIB,
        abort_at=2 * MIB,
    )  # fmt: skip
    path = "/uploads/" + str(lines[-1]["aborted"]).rpartition("/uploads/")[2]
    assert served.browser.ask("HEAD", path).status == 404


def test_what_is_refused_is_an_error_at_its_last_byte_and_ever_after(
    served: Served, tmp_path: Path, mode: str
) -> None:
    page = tmp_path / "me.png"
    page.write_bytes(b"<html><script>alert(1)</script></html>")
    store = str(tmp_path / "urls.json")
    for options in ({}, {"chunkSize": 10}):
        lines = upload(
            page,
            f"{served.url}/uploads/images",
            served.token,
            protocol=mode,
            store=store,
            **options,
        )
        assert lines[-1]["error"] == 415, lines
        assert json.loads(str(lines[-1]["body"]))["code"] in {
            "content-mismatch", "active-content", "type-not-allowed",
        }  # fmt: skip
    assert served.browser.ask("GET", "/files").json()["files"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_server_that_goes_away_in_the_middle_is_waited_for(
    tmp_path: Path, file: Path, mode: str, number: signal.Signals
) -> None:
    port, data = str(free_port()), tmp_path / "data"
    with serve(data, "--port", port) as served:
        endpoint, token = f"{served.url}/uploads/files", served.token
        options = {"protocol": mode, "chunkSize": 256 * 1024}
        with uploading(file, endpoint, token, **options) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert "accepted" in first
            served.stop(number)
            with serve(data, "--port", port) as again:
                out, _ = process.communicate(timeout=120)
                lines = [json.loads(line) for line in (first + out).splitlines()]
                check(again, file, lines)
                assert any("retry" in one for one in lines)
