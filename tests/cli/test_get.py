"""`wharf get`."""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest

from conftest import StartPeer
from support.command import command, environment, wharf
from support.content import HTML, PNG
from support.folders import listing
from support.peer import Exchange, response, saying
from support.processes import free_port
from support.tls import Authority

CONTENT = bytes(i % 251 for i in range(200_000))
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def test_the_path_is_on_stdout_and_nothing_on_stderr(peer: StartPeer, folder: Path) -> None:
    ran = wharf("get", f"{peer(saying(response(CONTENT))).url}/a.bin")
    assert (ran.code, ran.text, ran.err) == (0, "a.bin\n", "")
    assert (folder / "a.bin").read_bytes() == CONTENT


def test_a_hyphen_is_stdout(peer: StartPeer, folder: Path) -> None:
    ran = wharf("get", peer(saying(response(CONTENT))).url, "-")
    assert (ran.code, ran.out, ran.err) == (0, CONTENT, "")
    assert listing(folder) == []


def test_json_is_one_object(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(CONTENT)))
    ran = wharf("get", "--json", f"{server.url}/a.bin?secret=1", "-o", "b.bin")
    (record,) = ran.records
    assert record.pop("seconds") >= 0
    assert record == {
        "path": "b.bin",
        "size": 200_000,
        "type": "application/octet-stream",
        "sha256": DIGEST,
        "name": "a.bin",
        "url": f"{server.url}/a.bin",
        "resumed_from": 0,
        "length_verified": True,
    }


def test_overwriting_is_refused_forced_or_avoided(peer: StartPeer, folder: Path) -> None:
    (folder / "a.bin").write_bytes(b"old")
    url = f"{peer(saying(response(CONTENT))).url}/a.bin"
    ran = wharf("get", url)
    assert (ran.code, ran.text) == (10, "")
    assert ran.err.startswith("error: a.bin exists already. (destination-exists)\nhint: ")
    assert "--force" in ran.err
    assert wharf("get", url, "--rename").text == "a (1).bin\n"
    assert wharf("get", url, ".", "--rename").text == "a (2).bin\n"
    assert (folder / "a.bin").read_bytes() == b"old"
    assert wharf("get", url, "--force").code == 0
    assert (folder / "a.bin").read_bytes() == CONTENT


EXITS = {
    "not found": (response(b"", status="404 No"), [], 5, "response"),
    "gone": (response(b"", status="410 No"), [], 5, "response"),
    "sign in": (response(b"", status="401 No"), [], 4, "response"),
    "server error": (response(b"", status="500 No"), [], 7, "response"),
    "cut short": (response(CONTENT, length=300_000), [], 6, "interrupted"),
    "unsound": (b"nonsense\r\n\r\n", [], 7, "bad-response"),
    "wrong type": (response(HTML, Content_Type="text/html"), ["--expect", "image/*"], 8,
                   "content-type-mismatch"),
    "active content": (response(HTML, Content_Type="image/png"), [], 8, "active-content"),
    "too large": (response(CONTENT), ["--max-size", "1 KiB"], 8, "too-large"),
    "policy": (response(CONTENT), ["--policy", "images"], 8, "type-not-allowed"),
    "digest": (response(CONTENT), ["--sha256", "0" * 64], 9, "integrity"),
    "no folder": (response(CONTENT), ["absent/x"], 10, "local-file"),
    "wrong size": (response(CONTENT), ["--max-size", "much"], 2, "usage"),
    "wrong option": (response(CONTENT), ["--nonsense"], 2, "usage"),
    "wrong header": (response(CONTENT), ["-H", "nonsense"], 2, "usage"),
    "two destinations": (response(CONTENT), ["a", "-o", "b"], 2, "usage"),
    "force and rename": (response(CONTENT), ["--force", "--rename"], 2, "usage"),
}  # fmt: skip


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(("reply", "options", "code", "error"), EXITS.values(), ids=EXITS)
def test_the_exit_code_tells_what_happened(
    reply: bytes,
    options: list[str],
    code: int,
    error: str,
    as_json: bool,
    peer: StartPeer,
    folder: Path,
) -> None:
    flags = ["--json"] if as_json else []
    ran = wharf("get", f"{peer(saying(reply)).url}/a", "--retries", "0", *flags, *options)
    assert ran.code == code
    assert "Traceback" not in ran.err
    if as_json:
        (record,) = ran.records
        assert (record["error"]["code"], record["error"]["exit_code"]) == (error, code)
        assert set(record["error"]) >= {"code", "detail", "hint", "exit_code"}
    else:
        assert ran.text == ""
        assert ran.err.startswith("error: ")
        assert f"({error})" in ran.err.splitlines()[0]
    assert not (folder / "a").exists()


def test_a_broken_download_says_how_to_resume_and_resumes(peer: StartPeer, folder: Path) -> None:
    rest = response(
        CONTENT[150_000:],
        status="206 Partial Content",
        ETag='"v"',
        Content_Range="bytes 150000-199999/200000",
    )
    server = peer(saying(response(CONTENT, ETag='"v"')[:-50_000], rest))
    ran = wharf("get", f"{server.url}/a.bin", "--retries", "0")
    assert ran.code == 6
    assert "hint: Run the same command again: it resumes from a.bin.part (150000 bytes)." in ran.err
    ran = wharf("get", f"{server.url}/a.bin")
    assert (ran.code, ran.text) == (0, "a.bin\n")
    assert "resumed at 146.5 KiB" in ran.err
    assert (folder / "a.bin").read_bytes() == CONTENT


ENDED = {
    "Ctrl-C": ([signal.SIGINT], 130, b"Interrupted."),
    "SIGTERM": ([signal.SIGTERM], 143, b"Stopped by SIGTERM."),
    "SIGTERM twice, as timeout(1) sends it": ([signal.SIGTERM] * 2, 143, b"Stopped by SIGTERM."),
    "a closed terminal": ([signal.SIGHUP], 129, b"Stopped by SIGHUP."),
}


@pytest.mark.parametrize("as_json", [False, True], ids=["text", "json"])
@pytest.mark.parametrize(("signals", "code", "text"), ENDED.values(), ids=ENDED.keys())
def test_whoever_ends_it_finds_a_part_and_is_told_so(
    signals: list[signal.Signals],
    code: int,
    text: bytes,
    as_json: bool,
    peer: StartPeer,
    folder: Path,
) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(CONTENT, length=400_000, ETag='"v"'))
        exchange.sock.recv(1)

    flags = ["--json"] if as_json else []
    process = subprocess.Popen(
        command("get", f"{peer(handler).url}/a.bin", *flags),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    part = folder / "a.bin.part"
    until = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size == 200_000) and time.monotonic() < until:
        time.sleep(0.02)
    for each in signals:
        os.kill(process.pid, each)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    said = out if as_json else err
    assert text in said
    assert b"interrupted-by-user" in said
    assert b"it resumes from a.bin.part (200000 bytes)" in said
    assert b"Traceback" not in err
    assert part.stat().st_size == 200_000
    assert not (folder / "a.bin").exists()


def test_a_signal_that_is_ignored_stays_so(peer: StartPeer, folder: Path) -> None:
    going_on = threading.Event()

    def handler(exchange: Exchange) -> None:
        exchange.send(response(CONTENT, length=400_000))
        going_on.wait(20)
        exchange.send(CONTENT)

    process = subprocess.Popen(
        command("get", f"{peer(handler).url}/a.bin"),
        stderr=subprocess.PIPE,
        env=environment(),
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509 - as nohup
    )
    part, until = folder / "a.bin.part", time.monotonic() + 20
    while not part.exists() and time.monotonic() < until:
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGHUP)
    going_on.set()
    process.communicate(timeout=20)
    assert process.returncode == 0
    assert (folder / "a.bin").stat().st_size == 400_000


def test_a_reader_that_leaves_ends_it_quietly(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(bytes(4_000_000))))
    process = subprocess.Popen(
        command("get", server.url, "-"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.stderr.read() == b""
    process.stderr.close()
    assert process.wait(20) == 1


def test_what_a_server_says_cannot_move_the_cursor(peer: StartPeer, folder: Path) -> None:
    problem = b'{"detail": "\\u001b[2J\\u202egone\\u0007"}'
    fields = {"Content-Type": "application/problem+json"}
    ran = wharf("get", peer(saying(response(problem, status="404 No", fields=fields))).url, "x")
    assert "\x1b" not in ran.err
    assert "\u202e" not in ran.err
    assert "\\x1b[2J" in ran.err
    name = "attachment; filename*=UTF-8''a%1B%5B31m%E2%80%AEb.txt"
    ran = wharf(
        "get",
        f"{peer(saying(response(PNG, Content_Disposition=name))).url}/x",
        "--remote-name",
    )
    assert ran.code == 0
    assert "\x1b" not in ran.text + ran.err
    assert listing(folder) == ["a[31mb.txt"]


def test_the_servers_name_is_used_only_when_asked_for(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(PNG, Content_Disposition='attachment; filename="../b.png"')))
    assert wharf("get", f"{server.url}/a.png").text == "a.png\n"
    assert wharf("get", f"{server.url}/a.png", "--remote-name").text == "b.png\n"


def test_an_unverified_length_is_remarked(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(b"HTTP/1.1 200 OK\r\n\r\nhello"))
    assert "did not say how long" in wharf("get", server.url, "a").err
    digest = hashlib.sha256(b"hello").hexdigest()
    assert wharf("get", server.url, "b", "--sha256", digest).err == ""


def test_the_token_goes_to_the_server_and_to_no_other(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"x")))
    other = peer(saying(response(b"x")))
    env = {"WHARFINGER_TOKEN": "secret-token", "WHARFINGER_SERVER": server.url}
    assert wharf("get", f"{server.url}/files/1", "a", env=env).code == 0
    assert server.last.headers["authorization"] == "Bearer secret-token"
    assert wharf("get", f"{other.url}/files/1", "b", env=env).code == 0
    assert "authorization" not in other.last.headers
    assert wharf("get", f"{server.url}/x", "c", env={"WHARFINGER_TOKEN": "secret-token"}).code == 0
    assert "authorization" not in server.last.headers


def test_the_token_does_not_follow_a_redirect(peer: StartPeer, folder: Path) -> None:
    other = peer(saying(response(b"x")))
    server = peer(saying(response(b"", status="302 Found", Location=f"{other.url}/")))
    env = {"WHARFINGER_TOKEN": "secret-token", "WHARFINGER_SERVER": server.url}
    assert wharf("get", f"{server.url}/files/1", "a", env=env).code == 0
    assert server.last.headers["authorization"] == "Bearer secret-token"
    assert "authorization" not in other.last.headers


def test_a_token_file_and_its_faults(peer: StartPeer, folder: Path) -> None:
    (folder / "token").write_text("from-file\n")
    server = peer(saying(response(b"x")))
    options = ["--server", server.url, "--token-file", "token"]
    assert wharf("get", f"{server.url}/1", "a", *options).code == 0
    assert server.last.headers["authorization"] == "Bearer from-file"
    (folder / "token").write_text("two words")
    assert wharf("get", f"{server.url}/1", "b", *options).code == 2
    (folder / "token").unlink()
    assert wharf("get", f"{server.url}/1", "b", *options).code == 10


def test_a_policy_file_is_read_and_its_faults_are_named(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(PNG, Content_Type="image/png")))
    (folder / "p.toml").write_text('types = "images"\nmax_size = "1 KiB"\n')
    assert wharf("get", f"{server.url}/a.png", "--policy", "p.toml").code == 0
    (folder / "p.toml").write_text('typos = "images"\n')
    ran = wharf("get", f"{server.url}/b.png", "--policy", "p.toml")
    assert ran.code == 2
    assert "Did you mean 'types'?" in ran.err
    (folder / "p.toml").write_text("types = \n")
    assert wharf("get", f"{server.url}/b.png", "--policy", "p.toml").code == 2
    assert wharf("get", f"{server.url}/b.png", "--policy", "absent").code == 10


def test_nobody_there_is_a_network_error(folder: Path) -> None:
    ran = wharf("get", f"http://127.0.0.1:{free_port()}/a", "--retries", "0")
    assert ran.code == 6
    assert "cannot be reached" in ran.err


@pytest.mark.parametrize(
    "url",
    ["http://169.254.169.254/latest", "http://127.1/", "file:///etc/passwd", "http://[::1]:25/"],
)
def test_even_a_person_does_not_get_there(url: str, folder: Path) -> None:
    ran = wharf("get", url, "a", "--retries", "0")
    assert ran.code == 8
    assert "(address-refused)" in ran.err


def test_an_unknown_command_gets_a_suggestion(folder: Path) -> None:
    ran = wharf("gte", "x")
    assert ran.code == 2
    assert "Did you mean 'get'?" in ran.err


def test_help_and_version() -> None:
    assert wharf("--help").code == 0
    assert wharf("get", "--help").text.startswith("Usage: wharf get [OPTIONS] [URL] [DEST]\n")
    assert wharf("--version").text.startswith("wharfinger ")
    assert wharf().code == 2
    assert wharf("get").code == 2


def test_a_token_that_was_not_sent_is_named_by_the_hint(peer: StartPeer, folder: Path) -> None:
    url = f"{peer(saying(response(b'', status='401 No'))).url}/a"
    env = {"WHARFINGER_TOKEN": "secret-token"}
    ran = wharf("get", url, env=env)
    assert (ran.code, ran.err.splitlines()[1].partition(": no --server")[0]) == (
        4,
        "hint: A token is set, but it was not sent",
    )
    ran = wharf("get", url, "--server", "http://elsewhere.example", env=env)
    assert "but it was not sent: it is for http://elsewhere.example" in ran.err


def test_a_name_that_is_too_long_is_a_local_error(peer: StartPeer, folder: Path) -> None:
    url = f"{peer(saying(response(CONTENT))).url}/a"
    for more in ([], ["--rename"], ["--remote-name"]):
        ran = wharf("get", url, "x" * 300, *more)
        assert (ran.code, "File name too long. (local-file)" in ran.err) == (10, True), more


def test_a_free_name_and_the_servers_name_exclude_each_other(folder: Path) -> None:
    ran = wharf("get", "http://127.0.0.1:1/a", "--rename", "--remote-name")
    assert ran.code == 2
    assert ran.err.startswith("error: --rename needs the name beforehand")


def test_https_to_a_port_without_tls_says_so(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            with listener.accept()[0] as connection:
                connection.recv(65536)
                connection.sendall(response(status="400 Bad Request"))

        plain = threading.Thread(target=answer)
        plain.start()
        port = listener.getsockname()[1]
        ran = wharf("get", f"https://127.0.0.1:{port}/a")  # tried once: it will not learn it
        plain.join()
    assert ran.code == 6
    assert f"127.0.0.1:{port} does not speak TLS. (connect-failed)" in ran.err
    assert "hint: If it should be so, write the address with http://" in ran.err


TO_TLS = {
    "nginx": response(b"<center>The plain HTTP request was sent to HTTPS port</center>", status="400 Bad Request"),
    "Apache": response(b"You're speaking plain HTTP to an SSL-enabled server port.", status="400 Bad Request"),
    "Go": b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n",
    "an alert": b"\x15\x03\x01\x00\x02\x02\x46",
    "without a word": b"",
}  # fmt: skip


@pytest.mark.parametrize("reply", TO_TLS.values(), ids=TO_TLS.keys())
def test_plain_http_to_a_port_with_tls_says_so(reply: bytes, peer: StartPeer, folder: Path) -> None:
    ran = wharf("get", f"{peer(saying(reply)).url}/a", "--retries", "0")
    assert ran.code != 0
    assert "speaks TLS" in ran.err
    assert "rite the address with https://" in ran.err


def test_plain_http_to_a_real_server_with_tls_says_so(folder: Path) -> None:
    with Authority().peer(saying(response(CONTENT))) as server:
        ran = wharf("get", f"http://127.0.0.1:{server.port}/a", "--retries", "0")
    assert ran.code == 6
    assert "If that port speaks TLS, write the address with https://" in ran.err


def test_an_empty_destination_is_a_wrong_call(folder: Path) -> None:
    ran = wharf("get", "http://127.0.0.1:9/a", "")
    assert ran.code == 2
    assert "DEST is empty" in ran.err


def test_content_of_no_type_is_told_how_to_be_judged(peer: StartPeer, folder: Path) -> None:
    ran = wharf("get", peer(saying(response(PNG))).url, "a.png", "--expect", "images")
    assert ran.code == 8
    assert "serves content without a Content-Type, not images." in ran.err
    assert "hint: To go by the content alone, give a --policy, such as images." in ran.err
