"""curl as a second client: what people type works, and what it saves is right."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from support import samples
from support.require import program
from support.served import Served


class Curl:
    """curl with the token of a server, in a folder."""

    def __init__(self, served: Served, folder: Path) -> None:
        self.served = served
        self.folder = folder
        self.path = program("curl")

    def __call__(self, path: str, *arguments: str, stdin: bytes = b"") -> bytes:
        url = path if path.startswith("http") else self.served.url + path
        config = f'header = "Authorization: Bearer {self.served.token}"\n'
        secret = self.folder / ".curlrc"
        secret.write_text(config)
        done = subprocess.run(
            [self.path, "--disable", "-sS", "-K", str(secret), "--max-time", "30", *arguments, url],
            input=stdin, capture_output=True, check=False, cwd=self.folder,
        )  # fmt: skip
        assert done.returncode == 0, done
        return done.stdout

    def json(self, path: str, *arguments: str, stdin: bytes = b"") -> Any:
        return json.loads(self(path, *arguments, stdin=stdin))


@pytest.fixture
def curl(served: Served, tmp_path: Path) -> Curl:
    (tmp_path / "notes.txt").write_bytes(samples.TEXT)
    (tmp_path / "me.png").write_bytes(samples.image("PNG"))
    return Curl(served, tmp_path)


def test_a_form_of_two_files_and_a_field(curl: Curl) -> None:
    answer = curl.json(
        "/uploads/files", "-F", "user_id=12345", "-F", "a=@notes.txt", "-F", "b=@me.png"
    )
    assert answer["fields"] == {"user_id": "12345"}
    assert [(file["name"], file["type"], file["size"]) for file in answer["files"]] == [
        ("notes.txt", "text/plain", len(samples.TEXT)),
        ("me.png", "image/png", len(samples.image("PNG"))),
    ]
    assert curl(answer["files"][0]["url"]) == samples.TEXT


def test_a_form_from_a_pipe_without_a_length(curl: Curl) -> None:
    content = os.urandom(300_000)
    answer = curl.json(
        "/uploads/files",
        "-F",
        "file=@-;filename=noise.bin;type=application/octet-stream",
        "-H",
        "Transfer-Encoding: chunked",
        stdin=content,
    )
    assert answer["files"][0]["sha256"] == hashlib.sha256(content).hexdigest()
    assert answer["files"][0]["name"] == "noise.bin"


def test_raw_bytes_with_their_type(curl: Curl) -> None:
    answer = curl.json(
        "/uploads/images", "--data-binary", "@me.png", "-H", "Content-Type: image/png"
    )
    assert (answer["type"], answer["size"]) == ("image/png", len(samples.image("PNG")))


def test_raw_bytes_with_the_type_that_curl_claims_by_itself_are_explained(curl: Curl) -> None:
    answer = curl.json("/uploads/images", "--data-binary", "@me.png")
    assert (answer["status"], answer["code"]) == (415, "unsupported-encoding")
    assert "Content-Type" in answer["hint"]


def test_a_stream_from_a_pipe(curl: Curl) -> None:
    """-T sends chunks, and asks for a 100 first."""
    content = os.urandom(3_000_000)
    answer = curl.json("/uploads/files", "-T", "-", "-X", "POST", stdin=content)
    assert answer["sha256"] == hashlib.sha256(content).hexdigest()


def test_a_large_file_is_announced_and_a_refused_one_is_never_sent(curl: Curl) -> None:
    with (curl.folder / "large.bin").open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    written = curl(
        "/uploads/images", "--data-binary", "@large.bin", "-H", "Content-Type: image/png",
        "-H", "Expect: 100-continue", "--expect100-timeout", "20",
        "-o", "answer.json", "-w", "%{http_code} %{size_upload}",
    )  # fmt: skip
    assert written == b"413 0"
    assert json.loads((curl.folder / "answer.json").read_bytes())["code"] == "too-large"


def test_a_broken_download_is_resumed(curl: Curl) -> None:
    content = os.urandom(2_000_000)
    record = curl.json("/uploads/files", "-T", "-", "-X", "POST", stdin=content)
    (curl.folder / "part").write_bytes(content[:1_234_567])
    written = curl(record["url"], "-C", "-", "-o", "part", "-w", "%{http_code} %{size_download}")
    assert written == b"206 765433"
    assert (curl.folder / "part").read_bytes() == content


def test_the_proposed_name_is_the_one_it_was_sent_with(curl: Curl) -> None:
    sent = curl.json("/uploads/files", "-F", "file=@notes.txt")["files"][0]
    (curl.folder / "notes.txt").unlink()
    assert curl(sent["url"], "-OJ", "-w", "%{filename_effective}").endswith(b"notes.txt")
    assert (curl.folder / "notes.txt").read_bytes() == samples.TEXT


def test_a_link_needs_no_token(curl: Curl) -> None:
    record = curl.json("/uploads/files", "-F", "file=@notes.txt")["files"][0]
    link = curl.json(f"/files/{record['id']}/links", "-d", '{"max_downloads": 1}')
    plain = [curl.path, "--disable", "-sS", "--max-time", "20"]
    first = subprocess.run([*plain, link["url"]], capture_output=True, check=True)
    assert first.stdout == samples.TEXT
    second = subprocess.run([*plain, "-f", link["url"]], capture_output=True, check=False)
    assert second.returncode == 22


def test_head_and_conditional_requests(curl: Curl) -> None:
    record = curl.json("/uploads/files", "-F", "file=@notes.txt")["files"][0]
    head = curl(record["url"], "-I").decode().lower()
    assert head.startswith("http/1.1 200")
    assert f"content-length: {len(samples.TEXT)}\r\n" in head
    (curl.folder / "etag").write_text(f'"{record["sha256"]}"')
    assert curl(record["url"], "--etag-compare", "etag", "-o", "x", "-w", "%{http_code}") == b"304"


def test_several_files_over_one_connection(curl: Curl) -> None:
    record = curl.json("/uploads/files", "-F", "file=@notes.txt")["files"][0]
    url = curl.served.url + record["url"]
    written = curl(url, url, "-o", "1", "-o", "2", "-w", "%{num_connects} ")
    assert written == b"1 0 "
    assert (curl.folder / "1").read_bytes() == (curl.folder / "2").read_bytes() == samples.TEXT
