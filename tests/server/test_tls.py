"""TLS in the stand-alone server: what it speaks, how its certificate is renewed, what it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import http.client
import json
import os
import re
import socket
import ssl
import struct
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from support.command import wharf
from support.require import program
from support.served import Served, eventually, serve
from support.tls import Authority
from wharfinger.errors import ConfigError
from wharfinger.server import certificates
from wharfinger.server.certificates import Certificate

MIB = 1024 * 1024


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


@pytest.fixture
def files(authority: Authority, tmp_path: Path) -> Certificate:
    return authority.files(tmp_path, "localhost")


@pytest.fixture
def served(files: Certificate, tmp_path: Path) -> Iterator[Served]:
    options = ("--tls-cert", str(files.chain), "--tls-key", str(files.key))
    often = "import wharfinger.server.certificates as c; c._LOOK_EVERY = 0.05"
    with serve(tmp_path / "data", *options, before=often) as served:
        yield served


def ask(
    served: Served, trusting: ssl.SSLContext, method: str, path: str, body: bytes | None = None,
    fields: Mapping[str, str] | None = None,
) -> tuple[int, http.client.HTTPMessage, bytes]:  # fmt: skip
    connection = http.client.HTTPSConnection("localhost", served.port, timeout=20, context=trusting)
    named = {"Authorization": f"Bearer {served.token}", **(fields or {})}
    try:
        connection.request(method, path, body, named)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def common_name(served: Served, trusting: ssl.SSLContext) -> int:
    """Return the serial number of the certificate that a new connection gets."""
    with (
        socket.create_connection(("127.0.0.1", served.port), 10) as plain,
        trusting.wrap_socket(plain, server_hostname="localhost") as sock,
    ):
        found = sock.getpeercert()
        assert found is not None
        return int(str(found["serialNumber"]), 16)


def test_files_come_and_go_over_tls(served: Served, authority: Authority) -> None:
    assert served.url.startswith("https://")
    content = os.urandom(3 * MIB)
    kind = {"Content-Type": "application/octet-stream"}
    status, _, body = ask(served, authority.trusting, "POST", "/uploads/files", content, kind)
    assert status == 201
    digest = hashlib.sha256(content).hexdigest()
    assert digest.encode() in body
    path = "/files/" + body.partition(b'"id":"')[2][:32].decode()
    for fields, status, expected in (
        ({}, 200, content),
        ({"Range": "bytes=1000000-1999999"}, 206, content[1_000_000:2_000_000]),
        ({"Range": "bytes=-1"}, 206, content[-1:]),
    ):
        found, _, got = ask(served, authority.trusting, "GET", path, None, fields)
        assert (found, hashlib.sha256(got).digest()) == (status, hashlib.sha256(expected).digest())


def test_ranges_parts_and_broken_clients_are_no_other_over_tls(
    served: Served, authority: Authority
) -> None:
    content = os.urandom(9 * MIB)
    kind = {"Content-Type": "application/octet-stream"}
    _, _, body = ask(served, authority.trusting, "POST", "/uploads/files", content, kind)
    url = str(json.loads(body)["url"])
    asked = {"Range": "bytes=1000000-7999999"}
    status, _, part = ask(served, authority.trusting, "GET", url, fields=asked)
    assert (status, part == content[1_000_000:8_000_000]) == (206, True)
    asked = {"Range": "bytes=5000000-7999999,0-2999999"}
    status, headers, parts = ask(served, authority.trusting, "GET", url, fields=asked)
    boundary = str(headers["Content-Type"]).partition("boundary=")[2]
    found = [
        one.partition(b"\r\n\r\n")[2][:-2] for one in parts.split(f"--{boundary}".encode())[1:-1]
    ]
    assert (status, found == [content[5_000_000:8_000_000], content[:3_000_000]]) == (206, True)

    request = f"GET {url} HTTP/1.1\r\nHost: localhost\r\n".encode() + served.authorization + b"\r\n"
    for read in (1, 100_000, 2_000_000):
        with socket.create_connection(("127.0.0.1", served.port), 10) as plain:
            sock = authority.trusting.wrap_socket(plain, server_hostname="localhost")
            sock.sendall(request)
            left = read
            while left and (piece := sock.recv(left)):
                left -= len(piece)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.close()
    eventually(
        lambda: not [name for name in served.open_files() if "/data/files/" in name],
        "the files are closed",
    )
    assert "Traceback" not in served.log.read_text("utf-8")


def test_a_link_made_over_tls_is_an_https_address(served: Served, authority: Authority) -> None:
    _, _, body = ask(
        served,
        authority.trusting,
        "POST",
        "/uploads/files",
        b"text",
        {"Content-Type": "text/plain"},
    )
    path = "/files/" + body.partition(b'"id":"')[2][:32].decode()
    status, _, link = ask(served, authority.trusting, "POST", f"{path}/links", b"{}")
    assert status == 201
    assert f'"url":"https://localhost:{served.port}/d/'.encode() in link


@pytest.mark.parametrize(("version", "code"), [("1.1", 35), ("1.2", 0), ("1.3", 0)])
def test_tls_is_spoken_from_version_1_2_on(served: Served, version: str, code: int) -> None:
    done = subprocess.run(
        [program("curl"), "-sk", "--tlsv1.0", "--tls-max", version, "--ciphers", "DEFAULT@SECLEVEL=0",
         f"{served.url}/health/live"],
        check=False, timeout=20, capture_output=True,
    )  # fmt: skip
    assert done.returncode == code


def test_plain_http_to_the_tls_port_harms_nobody(served: Served, authority: Authority) -> None:
    with served.connect(10) as sock:
        sock.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
        while sock.recv(1000):
            pass
    assert ask(served, authority.trusting, "GET", "/health/live")[0] == 200
    assert "Traceback" not in served.log.read_text("utf-8")


def test_a_renewed_certificate_is_used_without_a_restart(
    served: Served, authority: Authority, files: Certificate
) -> None:
    before = common_name(served, authority.trusting)
    connection = http.client.HTTPSConnection(
        "localhost", served.port, timeout=20, context=authority.trusting
    )
    connection.request("GET", "/health/live")
    assert connection.getresponse().read()
    authority.files(files.chain.parent, "localhost")
    eventually(lambda: common_name(served, authority.trusting) != before, "the new one is used")
    connection.request("GET", "/health/live")  # one that was open goes on
    assert connection.getresponse().status == 200
    connection.close()


def test_a_certificate_that_does_not_fit_its_key_leaves_the_old_one_in_use(
    served: Served, authority: Authority, files: Certificate, tmp_path: Path
) -> None:
    before = common_name(served, authority.trusting)
    (tmp_path / "other").mkdir()
    other = authority.files(tmp_path / "other", "localhost")
    files.chain.write_bytes(other.chain.read_bytes())  # and not yet the key
    eventually(lambda: "the old certificate stays in use" in served.log.read_text("utf-8"), "seen")
    assert common_name(served, authority.trusting) == before
    files.key.write_bytes(other.key.read_bytes())
    eventually(lambda: common_name(served, authority.trusting) != before, "the new one is used")


def test_files_that_vanish_for_a_while_change_nothing(
    files: Certificate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "_LOOK_EVERY", 0.01)

    async def vanish() -> None:
        context = files.context()
        task = asyncio.create_task(certificates.keep_fresh(files, context))
        await asyncio.sleep(0.03)
        files.chain.unlink()
        await asyncio.sleep(0.05)
        assert not task.done()
        task.cancel()

    asyncio.run(vanish())


WRONG = {
    "no such chain": ("absent.pem", "key.pem", "There is no file"),
    "no such key": ("chain.pem", "absent.pem", "There is no file"),
    "the two mixed up": ("key.pem", "chain.pem", "its key: they are the wrong way round."),
    "no PEM": ("text.pem", "key.pem", "its key: there is no certificate in PEM in the first."),
    "twice the key": ("key.pem", "key.pem", "the first is a private key, too."),
    "twice the certificate": ("chain.pem", "chain.pem", "the second is a certificate, too."),
    "no key in PEM": ("chain.pem", "text.pem", "there is no private key in PEM in the second."),
    "the key of another": ("chain.pem", "other.pem", "the key is that of another certificate."),
    "a locked key": ("chain.pem", "locked.pem", "the key has a password."),
    "a key that OpenSSL locked long ago": ("chain.pem", "old.pem", "the key has a password."),
    "a folder": (".", "key.pem", "cannot be read|are not a certificate"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_certificate_that_cannot_be_used_is_a_clear_error(
    files: Certificate, authority: Authority, tmp_path: Path, name: str
) -> None:
    (tmp_path / "of another").mkdir()
    (tmp_path / "text.pem").write_text("no certificate", "ascii")
    authority.files(tmp_path / "of another", "localhost").key.rename(tmp_path / "other.pem")
    key_text = files.key.read_text("ascii")
    (tmp_path / "locked.pem").write_text(re.sub("[A-Z]+ PRIVATE", "ENCRYPTED PRIVATE", key_text))
    (tmp_path / "old.pem").write_text(
        key_text.replace(
            "KEY-----\n", "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\n", 1
        )
    )
    chain, key, words = WRONG[name]
    with pytest.raises(ConfigError, match=words):
        Certificate(chain=tmp_path / chain, key=tmp_path / key).context()
    assert files.context() is not None


def test_a_wrong_certificate_keeps_the_server_from_starting_and_makes_nothing(
    tmp_path: Path,
) -> None:
    done = wharf(
        "serve", "--data", str(tmp_path / "data"), "--port", "0",
        "--tls-cert", str(tmp_path / "absent.pem"), "--tls-key", str(tmp_path / "absent.pem"),
    )  # fmt: skip
    assert done.code == 2
    assert "There is no file" in done.err
    assert not (tmp_path / "data").exists()


SILENT = 300


def test_the_silent_shut_out_nobody_and_cost_little(
    files: Certificate, authority: Authority, tmp_path: Path
) -> None:
    options = ("--tls-cert", str(files.chain), "--tls-key", str(files.key))
    fewer = "import wharfinger.server.accepting as a; a.MOST_HANDSHAKES = 150"
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serve(tmp_path / "data", *options, before=fewer))
        before = served.memory("VmRSS")
        silent = []
        for _ in range(SILENT):
            sock = stack.enter_context(served.connect(10))
            silent.append(sock)
            if not len(silent) % 50:  # as many as are accepted in one go, or fewer
                time.sleep(0.1)
        assert ask(served, authority.trusting, "GET", "/health/live")[0] == 200
        assert sum(name.startswith("socket:") for name in served.open_files()) < 170
        # It was 300 KiB each.
        assert served.memory("VmRSS") - before < 150 * 150 * 1024
        silent[0].settimeout(5)
        with contextlib.suppress(ConnectionResetError):
            assert silent[0].recv(1) == b""  # the oldest made room
        silent[-1].setblocking(False)
        with pytest.raises(BlockingIOError):
            silent[-1].recv(1)
        assert "Traceback" not in served.log.read_text("utf-8")


def test_without_descriptors_accepting_goes_on_a_little_later(
    files: Certificate, authority: Authority, tmp_path: Path
) -> None:
    options = ("--tls-cert", str(files.chain), "--tls-key", str(files.key))
    few = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))"
    with serve(tmp_path / "data", *options, before=few) as served:
        silent = [served.connect(10) for _ in range(80)]
        eventually(
            lambda: "no connection can be accepted now" in served.log.read_text("utf-8"),
            "it says so",
        )
        for sock in silent:
            sock.close()
        assert ask(served, authority.trusting, "GET", "/health/live")[0] == 200
        assert served.log.read_text("utf-8").count("no connection can be accepted") < 10


def test_a_slow_reader_gets_the_whole_of_the_last_answer_of_a_connection(
    files: Certificate, authority: Authority, tmp_path: Path
) -> None:
    options = ("--tls-cert", str(files.chain), "--tls-key", str(files.key))
    # What asyncio leaves for it by itself: 30 s, which is too long for a test.
    hasty = "import asyncio.constants as c; c.SSL_SHUTDOWN_TIMEOUT = 0.5"
    with contextlib.ExitStack() as stack:
        served = stack.enter_context(serve(tmp_path / "data", *options, before=hasty))
        kind = {"Content-Type": "application/octet-stream"}
        waiting = []
        # About as much as the system takes, and what is over: that is what waits for the end.
        for size in range(3_000_000, 6_000_000, 200_000):
            content = os.urandom(size)
            _, _, body = ask(served, authority.trusting, "POST", "/uploads/files", content, kind)
            plain = stack.enter_context(socket.socket())
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16384)
            plain.settimeout(10)
            plain.connect(("127.0.0.1", served.port))
            sock = stack.enter_context(
                authority.trusting.wrap_socket(plain, server_hostname="localhost")
            )
            url = json.loads(body)["url"]
            lines = f"GET {url} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n".encode()
            sock.sendall(lines + served.authorization + b"\r\n")
            waiting.append((sock, content))
        time.sleep(2)
        for sock, content in waiting:
            received = bytearray()
            while piece := sock.recv(65536):
                received += piece
            assert received.partition(b"\r\n\r\n")[2] == content
