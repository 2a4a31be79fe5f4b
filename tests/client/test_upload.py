"""Uploads: judged before a connection is made, streamed, and never half reported."""

from __future__ import annotations

import io
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import HTML, JPEG, PNG
from support.peer import Exchange, response, saying
from support.processes import free_port
from support.require import program
from support.samples import png_of
from wharfinger import Client, Policy, Progress
from wharfinger.errors import (
    ActiveContent,
    BadResponse,
    ContentMismatch,
    Interrupted,
    LocalFileError,
    Rejected,
    ResponseError,
    SourceMissing,
    TooLarge,
    UsageError,
    WharfingerError,
)

CREATED = saying(response(b"{}", status="201 Created"))


def send(file: object, url: str, **options: object) -> wharfinger.Reply:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.upload(file, url, **options)  # type: ignore[arg-type]


def test_the_real_peer_gets_file_fields_and_type(httpbin: str, folder: Path) -> None:
    (folder / "profile.jpg").write_bytes(JPEG)
    reply = send("profile.jpg", f"{httpbin}/post", field="profile_image", fields={"user_id": "7"})
    echo = reply.json()
    assert isinstance(echo, dict)
    assert echo["form"] == {"user_id": "7"}
    assert list(echo["files"]) == ["profile_image"]
    assert echo["files"]["profile_image"].startswith("data:image/jpeg;base64,/9j/")
    assert echo["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")
    assert int(echo["headers"]["Content-Length"]) > len(JPEG)
    assert reply.url is None  # the echo names the address that was posted to


def test_the_real_peer_gets_a_raw_body(httpbin: str, folder: Path) -> None:
    (folder / "note.txt").write_text("hello")
    options = {"protocol": "raw", "method": "PUT", "type": "text/plain"}
    echo = send("note.txt", f"{httpbin}/put", **options).json()
    assert isinstance(echo, dict)
    assert echo["data"] == "hello"
    assert echo["headers"]["Content-Type"] == "text/plain"


def test_a_form_is_framed_byte_for_byte(peer: StartPeer, folder: Path) -> None:
    (folder / 'ü "a".txt').write_bytes(b"hello")
    server = peer(CREATED)
    send('ü "a".txt', f"{server.url}/form?x=1", field="up", fields={"a": "b", "n": 5})
    sent = server.last
    boundary = sent.headers["content-type"].removeprefix("multipart/form-data; boundary=")
    expected = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="a"\r\n\r\nb\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="n"\r\n\r\n5\r\n'
        f'--{boundary}\r\nContent-Disposition: form-data; name="up"; '
        'filename="ü %22a%22.txt"\r\nContent-Type: text/plain\r\n\r\nhello\r\n'
        f"--{boundary}--\r\n"
    ).encode()
    assert sent.body == expected
    assert sent.line == "POST /form?x=1 HTTP/1.1"
    assert int(sent.headers["content-length"]) == len(expected)


def test_several_files_go_in_one_form(peer: StartPeer, folder: Path) -> None:
    (folder / "a.txt").write_bytes(b"first")
    server = peer(CREATED)
    send(["a.txt", b"second", io.BytesIO(b"third")], server.url)
    assert server.last.body.count(b'name="file"') == 3
    assert server.last.body.index(b"first") < server.last.body.index(b"second")
    assert b"third" in server.last.body


def test_a_file_object_is_sent_from_where_it_stands(peer: StartPeer) -> None:
    server = peer(CREATED)
    stream = io.BytesIO(b"0123456789")
    stream.seek(4)
    send(stream, server.url, protocol="raw")
    assert server.last.body == b"456789"
    assert server.last.headers["content-length"] == "6"


class Pipe(io.RawIOBase):
    """A stream without a length, as stdin is."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(min(size, 5000) if size >= 0 else 5000)


@pytest.mark.parametrize("protocol", ["raw", "multipart"])
def test_a_stream_without_a_length_is_sent_in_chunks(protocol: str, peer: StartPeer) -> None:
    server = peer(CREATED)
    content = bytes(i % 253 for i in range(20_000))
    send(Pipe(content), server.url, protocol=protocol)
    assert server.last.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in server.last.headers
    body = b""
    rest = server.last.body
    while True:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        if length == 0:
            break
        body += rest[:length]
        assert rest[length : length + 2] == b"\r\n"
        rest = rest[length + 2 :]
    assert content in body
    assert (body == content) is (protocol == "raw")


def test_raw_uploads_carry_their_name(peer: StartPeer, folder: Path) -> None:
    (folder / "Übersicht.pdf").write_bytes(b"%PDF-1.7\n")
    server = peer(CREATED)
    send("Übersicht.pdf", server.url, protocol="raw", headers={"X-Amz-Acl": "private"})
    sent = server.last.headers
    assert sent["content-disposition"] == (
        "attachment; filename=\"Ubersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf"
    )
    assert (sent["content-type"], sent["x-amz-acl"]) == ("application/pdf", "private")


# --- the policy ----------------------------------------------------------------------------

REFUSED: dict[str, tuple[str, bytes, Policy, type[Rejected]]] = {
    "too large": ("a.png", PNG + bytes(5000), Policy.images(max_size=1000), TooLarge),
    "HTML as JPEG": ("a.jpg", HTML, Policy.images(), ActiveContent),
    "HTML whatever the policy": ("a.jpg", HTML, Policy.anything(), ActiveContent),
    "PNG as JPEG": ("a.jpg", PNG, Policy.images(), ContentMismatch),
    "text": ("a.txt", b"hello", Policy.images(), Rejected),
}


@pytest.mark.parametrize(("name", "content", "policy", "error"), REFUSED.values(), ids=REFUSED)
def test_no_refused_file_opens_a_connection(
    name: str,
    content: bytes,
    policy: Policy,
    error: type[Rejected],
    peer: StartPeer,
    folder: Path,
) -> None:
    (folder / name).write_bytes(content)
    server = peer(CREATED)
    with pytest.raises(error):
        send(name, server.url, policy=policy)
    with pytest.raises(error):
        send([PNG, name], server.url, policy=policy)
    assert server.connections == 0


def test_a_file_that_passes_is_sent(peer: StartPeer, folder: Path) -> None:
    (folder / "a.png").write_bytes(PNG)
    server = peer(CREATED)
    send("a.png", server.url, policy=Policy.images(), protocol="raw")
    assert server.last.body == PNG


def test_a_stream_is_judged_while_it_is_sent_and_never_completed_when_refused(
    peer: StartPeer,
) -> None:
    server = peer(CREATED)
    policy = Policy.anything(max_size=50_000)
    with pytest.raises(TooLarge):
        send(Pipe(bytes(60_000)), server.url, policy=policy, protocol="raw", name="a.bin")
    for exchange in server.exchanges:
        assert not exchange.body.endswith(b"0\r\n\r\n")


WRONG_CALLS: dict[str, dict[str, object]] = {
    "json": {"json": {"a": 1}},
    "empty json": {"json": {}},
    "tus by PUT": {"protocol": "tus", "method": "PUT"},
    "tus with two files": {"protocol": "tus", "file": [b"a", b"b"]},
    "connections of a form": {"connections": 2},
    "chunks of a form": {"chunk_size": "1 MiB"},
    "no connections": {"protocol": "tus", "connections": 0},
    "no chunks": {"protocol": "tus", "chunk_size": 0},
    "a chunk that is no size": {"protocol": "tus", "chunk_size": "much"},
    "resumable by PUT": {"protocol": "resumable", "method": "PUT"},
    "unknown protocol": {"protocol": "ftp"},
    "form by PUT": {"method": "PUT"},
    "raw by PATCH": {"protocol": "raw", "method": "PATCH"},
    "raw with fields": {"protocol": "raw", "fields": {"a": "b"}},
    "raw with two files": {"protocol": "raw", "file": [b"a", b"b"]},
    "no files": {"file": []},
    "name of two": {"file": [b"a", b"b"], "name": "x"},
    "field value": {"fields": {"a": ["b"]}},
    "fields in a list": {"fields": [("a", "b")]},
    "fields as text": {"fields": "a=b"},
    "headers in a list": {"headers": [("A", "b")]},
    "progress that is no function": {"progress": 3},
    "text stream": {"file": io.StringIO("x")},
    "number": {"file": 5},
    "content type": {"headers": {"Content-Type": "text/plain"}},
    "media type": {"type": "nonsense"},
    "control character in the name": {"name": "a\0b"},
}


@pytest.mark.parametrize("options", WRONG_CALLS.values(), ids=WRONG_CALLS.keys())
def test_a_wrong_call_is_a_usage_error(options: dict[str, object], peer: StartPeer) -> None:
    server = peer(CREATED)
    with pytest.raises(UsageError):
        send(options.pop("file", b"x"), server.url, **options)
    assert server.exchanges == []


def test_json_beside_a_file_points_to_fields(peer: StartPeer) -> None:
    with pytest.raises(UsageError) as caught:
        send(b"x", peer(CREATED).url, json={"user": 1})
    assert "fields=" in caught.value.hint


def test_a_file_that_is_missing_or_no_file_opens_no_connection(
    peer: StartPeer, folder: Path
) -> None:
    server = peer(CREATED)
    with pytest.raises(SourceMissing) as caught:
        send("absent.txt", server.url)
    assert isinstance(caught.value, FileNotFoundError)
    with pytest.raises(LocalFileError):
        send(".", server.url)
    assert server.connections == 0


def test_a_file_that_becomes_shorter_is_an_error(peer: StartPeer, folder: Path) -> None:
    (folder / "log").write_bytes(bytes(2_000_000))
    server = peer(CREATED)

    def shrink(event: Progress) -> None:
        if event.stage == "sending" and event.done == 0:
            os.truncate(folder / "log", 1000)

    with pytest.raises(LocalFileError, match="shorter"):
        send("log", server.url, progress=shrink)


def test_a_file_that_grows_is_an_error_and_never_arrives_whole(
    peer: StartPeer, folder: Path
) -> None:
    (folder / "log").write_bytes(b"x" * 3_000_000)
    server = peer(CREATED)

    def grow(event: Progress) -> None:
        if event.stage == "sending" and event.done == 0:
            with (folder / "log").open("ab") as file:
                file.write(b"more")

    with pytest.raises(LocalFileError, match="4 bytes longer"):
        send("log", server.url, progress=grow, protocol="raw")
    assert all(len(exchange.body) < 3_000_000 for exchange in server.exchanges)


def test_a_file_that_is_replaced_after_it_was_judged_is_not_sent(
    peer: StartPeer, folder: Path
) -> None:
    (folder / "a.png").write_bytes(PNG)
    server = peer(CREATED)

    def swap(event: Progress) -> None:
        if event.stage == "connecting":
            (folder / "other").write_bytes(HTML[:1].ljust(len(PNG)))
            (folder / "other").replace(folder / "a.png")

    with pytest.raises(LocalFileError, match="was changed"):
        send("a.png", server.url, progress=swap, policy=Policy.images(), protocol="raw")
    assert all(exchange.body == b"" for exchange in server.exchanges)


# --- the answer ----------------------------------------------------------------------------


def refuse_early(exchange: Exchange) -> None:
    body = b'{"detail": "5 MiB at most", "code": "too-large"}'
    exchange.send(response(body, status="413 Too Large", Content_Type="application/problem+json"))


def test_an_early_refusal_is_read_while_the_body_is_being_sent(peer: StartPeer) -> None:
    def handler(exchange: Exchange) -> None:
        refuse_early(exchange)
        time.sleep(3)  # neither reads nor closes: only listening finds the answer

    started = time.monotonic()
    with pytest.raises(ResponseError) as caught:
        send(bytes(64_000_000), peer(handler, reads_body=False).url, timeout=20)
    assert (caught.value.status, caught.value.exit_code) == (413, 8)
    assert caught.value.problem == {"detail": "5 MiB at most", "code": "too-large"}
    assert time.monotonic() - started < 3


def test_an_early_refusal_that_closes_is_not_lost_as_a_broken_pipe(peer: StartPeer) -> None:
    with pytest.raises(ResponseError) as caught:
        send(bytes(64_000_000), peer(refuse_early, reads_body=False).url)
    assert caught.value.status == 413


def test_interim_answers_in_the_middle_do_not_end_the_upload(peer: StartPeer) -> None:
    content = bytes(8_000_000)

    def handler(exchange: Exchange) -> None:
        exchange.send(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 104 Upload Resumption Supported\r\n\r\n"
        )
        while len(exchange.body) < len(content):
            exchange.body += exchange.sock.recv(1 << 20)
        exchange.send(response(b"", status="201 Created"))

    server = peer(handler, reads_body=False)
    assert send(content, server.url, protocol="raw").status == 201
    assert server.last.body == content


def test_a_success_before_the_whole_body_is_not_believed(peer: StartPeer) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"{}", status="200 OK"))
        time.sleep(1)

    with pytest.raises(BadResponse, match="before it had the whole content"):
        send(bytes(64_000_000), peer(handler, reads_body=False).url)


def test_a_connection_that_breaks_is_an_interruption(peer: StartPeer) -> None:
    with pytest.raises(Interrupted):
        send(bytes(64_000_000), peer(Exchange.reset, reads_body=False).url)
    with pytest.raises(Interrupted):
        send(b"small", peer(lambda _exchange: None).url)


def test_nothing_is_sent_twice_after_a_break(peer: StartPeer) -> None:
    server = peer(lambda _exchange: None)
    with pytest.raises(Interrupted):
        send(b"x", server.url, retries=3)
    assert len(server.exchanges) == 1


def test_a_server_that_is_not_up_yet_is_tried_again(folder: Path) -> None:
    waits: list[float] = []
    url = f"http://127.0.0.1:{free_port()}/"
    with (
        Client(allow_private=True, retries=2, sleep=waits.append) as client,
        pytest.raises(WharfingerError),
    ):
        client.upload(b"x", url)
    assert len(waits) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 415, 422, 429, 500, 503, 507])
def test_an_error_status_is_an_error(status: int, peer: StartPeer) -> None:
    with pytest.raises(ResponseError) as caught:
        send(b"x", peer(saying(response(b"no", status=f"{status} No"))).url)
    assert caught.value.status == status
    assert caught.value.problem is None


def test_progress_tells_of_both_stages(peer: StartPeer, folder: Path) -> None:
    events: list[Progress] = []
    (folder / "a.png").write_bytes(png_of(600_077))
    send(
        "a.png",
        peer(CREATED).url,
        protocol="raw",
        policy=Policy(types="image/png", require_agreement=False),
        progress=events.append,
    )
    stages = list(dict.fromkeys(event.stage for event in events))
    assert stages == ["checking", "connecting", "sending", "waiting", "done"]
    assert events[-1].done == 600_077


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """nginx that keeps what is put into it."""
    nginx = program("nginx")
    port = free_port()
    files = tmp_path / "files"
    files.mkdir()
    files.chmod(0o777)
    (tmp_path / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {tmp_path}/pid; error_log {tmp_path}/error.log;\n"
        "events {}\n"
        f"http {{ access_log off; client_max_body_size 1m; client_body_temp_path {tmp_path}/b;\n"
        f"proxy_temp_path {tmp_path}/p; fastcgi_temp_path {tmp_path}/f;\n"
        f"uwsgi_temp_path {tmp_path}/u; scgi_temp_path {tmp_path}/s;\n"
        f"server {{ listen 127.0.0.1:{port}; root {files}; location / {{ dav_methods PUT; }} }} }}\n"
    )
    from support.processes import running

    command = [nginx, "-c", str(tmp_path / "nginx.conf"), "-p", str(tmp_path), "-e",
               str(tmp_path / "error.log")]  # fmt: skip
    with running(command, port, tmp_path / "nginx.log"):
        yield f"http://127.0.0.1:{port}", files


def test_nginx_takes_a_put_gives_it_back_with_ranges_and_refuses_early(
    sink: tuple[str, Path], folder: Path
) -> None:
    url, files = sink
    content = os.urandom(500_000)
    reply = send(content, f"{url}/a.bin", protocol="raw", method="PUT", name="a.bin")
    assert reply.status == 201
    assert (files / "a.bin").read_bytes() == content
    got = wharfinger.download(f"{url}/a.bin", "back.bin", allow_private=True)
    assert (folder / "back.bin").read_bytes() == content
    assert got.length_verified
    with pytest.raises(ResponseError) as caught:
        send(bytes(32_000_000), f"{url}/b.bin", protocol="raw", method="PUT")
    assert caught.value.status == 413


def test_curl_and_we_agree_about_a_form(httpbin: str, folder: Path) -> None:
    curl = program("curl")
    (folder / "a.txt").write_bytes(b"hello")
    theirs = subprocess.run(
        [curl, "-sS", "-F", "user=7", "-F", "file=@a.txt", f"{httpbin}/post"],
        check=True,
        capture_output=True,
    ).stdout
    import json

    ours = send("a.txt", f"{httpbin}/post", fields={"user": "7"}).json()
    assert isinstance(ours, dict)
    echo = json.loads(theirs)
    assert (ours["files"], ours["form"]) == (echo["files"], echo["form"])
