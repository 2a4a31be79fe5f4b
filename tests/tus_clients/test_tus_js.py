"""tus-js-client against the server as people run it: it completes, resumes, retries, gives up."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.processes import free_port
from support.served import Served, serve
from support.tus_js import upload, uploading

MIB = 1024 * 1024
META = {"filename": "data.bin", "filetype": "application/octet-stream", "relativePath": "null"}


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    with serve(tmp_path / "data") as served:
        yield served


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "data.bin"
    path.write_bytes(os.urandom(5 * MIB + 123))
    return path


def check(served: Served, file: Path, lines: list[dict[str, object]]) -> None:
    """The last line says success, and the record has the digest of the file."""
    assert "url" in lines[-1], lines
    location = str(lines[-1]["location"])
    record = served.browser.ask("GET", f"{location}/info").json()
    assert record["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert len(served.browser.ask("GET", "/files").json()["files"]) == 1


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"chunkSize": MIB},
        {"uploadDataDuringCreation": True, "chunkSize": 2 * MIB},
        {"uploadLengthDeferred": True, "chunkSize": 2 * MIB},
        {"overridePatchMethod": True, "chunkSize": 3 * MIB},
        {"addRequestId": True},
    ],
    ids=["plain", "in chunks", "with the creation", "length deferred", "by POST", "request ids"],
)
def test_a_file_arrives(served: Served, file: Path, options: dict[str, object]) -> None:
    lines = upload(file, f"{served.url}/uploads/files", served.token, metadata=META, **options)
    check(served, file, lines)


def test_the_address_may_end_in_a_slash(served: Served, file: Path) -> None:
    check(served, file, upload(file, f"{served.url}/uploads/files/", served.token, metadata=META))


def test_a_file_in_parallel_parts_arrives_as_one(served: Served, file: Path) -> None:
    lines = upload(
        file, f"{served.url}/uploads/files", served.token, metadata=META, parallelUploads=3
    )
    assert "url" in lines[-1], lines
    listed = served.browser.ask("GET", "/files").json()["files"]
    assert [one["sha256"] for one in listed] == [hashlib.sha256(file.read_bytes()).hexdigest()]
    assert [one["name"] for one in listed] == ["data.bin"]


def test_a_client_that_died_goes_on_where_it_was(
    served: Served, file: Path, tmp_path: Path
) -> None:
    store = str(tmp_path / "urls.json")
    endpoint = f"{served.url}/uploads/files"
    options = {"metadata": META, "chunkSize": MIB, "store": store}
    died = upload(file, endpoint, served.token, stop_at=3 * MIB, **options)
    assert "stopped" in died[-1]
    lines = upload(file, endpoint, served.token, **options)
    assert "resumed" in lines[0]
    accepted = [one["accepted"] for one in lines if "accepted" in one]
    assert int(str(accepted[0])) >= 3 * MIB  # what had arrived was not sent again
    check(served, file, lines)


def test_an_upload_that_is_given_up_is_gone(served: Served, file: Path) -> None:
    lines = upload(
        file, f"{served.url}/uploads/files", served.token, chunkSize=MIB, abort_at=2 * MIB
    )
    path = "/uploads/" + str(lines[-1]["aborted"]).rpartition("/uploads/")[2]
    answer = served.browser.ask("HEAD", path, headers={"Tus-Resumable": "1.0.0"})
    assert answer.status == 404


def test_what_is_refused_is_an_error_at_its_last_byte_and_ever_after(
    served: Served, tmp_path: Path
) -> None:
    page = tmp_path / "me.png"
    page.write_bytes(b"<html><script>alert(1)</script></html>")
    store = str(tmp_path / "urls.json")
    for options in ({}, {"chunkSize": 10}, {"uploadDataDuringCreation": True}):
        lines = upload(
            page, f"{served.url}/uploads/images", served.token,
            metadata={"filename": "me.png", "filetype": "image/png"}, store=store, **options,
        )  # fmt: skip
        assert lines[-1]["error"] == 415, lines
        assert json.loads(str(lines[-1]["body"]))["code"] in {
            "content-mismatch", "active-content", "type-not-allowed",
        }  # fmt: skip
    assert served.browser.ask("GET", "/files").json()["files"] == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "killed"])
def test_a_server_that_goes_away_in_the_middle_is_waited_for(
    tmp_path: Path, file: Path, number: signal.Signals
) -> None:
    port = str(free_port())
    data = tmp_path / "data"
    with serve(data, "--port", port) as served:
        endpoint, token = f"{served.url}/uploads/files", served.token
        with uploading(file, endpoint, token, metadata=META, chunkSize=256 * 1024) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            assert "accepted" in first
            served.stop(number)
            with serve(data, "--port", port) as again:
                out, _ = process.communicate(timeout=120)
                lines = [json.loads(line) for line in (first + out).splitlines()]
                check(again, file, lines)
                assert any("retry" in one for one in lines)
