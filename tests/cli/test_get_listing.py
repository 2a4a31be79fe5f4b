"""`wharf get -i`: a list of files."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path

import pytest

from conftest import StartPeer
from support.command import command, environment, wharf
from support.folders import listing
from support.peer import Exchange, response, saying
from wharfinger.cli.listing import items_of


def answer(exchange: Exchange) -> None:
    path = exchange.line.split()[1]
    status = "404 Not Found" if "missing" in path else "200 OK"
    exchange.send(response(path.encode(), status=status))


def test_a_list_has_addresses_names_and_comments() -> None:
    text = (
        "# the first line\n\nhttp://a/1\nhttp://a/2\tsecond name.txt  # why\r\n  http://a/3#part \n"
    )
    assert list(items_of(text)) == [
        "http://a/1",
        ("http://a/2", "second name.txt"),
        "http://a/3#part",
    ]


def test_all_files_of_a_list_lie_in_the_folder(peer: StartPeer, folder: Path) -> None:
    url = peer(answer).url
    (folder / "list").write_text(f"{url}/a\n{url}/b other\n")
    (folder / "into").mkdir()
    ran = wharf("get", "-i", "list", "into")
    assert (ran.code, ran.err) == (0, "")
    assert sorted(ran.text.splitlines()) == ["into/a", "into/other"]
    assert listing(folder / "into") == ["a", "other"]


def test_a_list_comes_from_stdin_too(peer: StartPeer, folder: Path) -> None:
    url = peer(answer).url
    assert wharf("get", "-i", "-", stdin=f"{url}/a\n".encode()).text == "a\n"


def test_some_failed_is_exit_code_3_and_says_which(peer: StartPeer, folder: Path) -> None:
    url = peer(answer).url
    (folder / "list").write_text(f"{url}/missing?token=secret\n{url}/a\n")
    ran = wharf("get", "-i", "list")
    assert (ran.code, ran.text) == (3, "a\n")
    assert f"error: line 1, missing: {url}/missing: " in ran.err
    assert "secret" not in ran.err
    assert "1 of 2 files failed." in ran.err


def test_json_has_one_object_a_file(peer: StartPeer, folder: Path) -> None:
    url = peer(answer).url
    (folder / "list").write_text(f"{url}/missing\n{url}/a\n")
    ran = wharf("get", "--json", "-i", "list")
    assert ran.code == 3
    by_outcome = {"error" in record: record for record in ran.records}
    assert by_outcome[False]["path"] == "a"
    assert by_outcome[True]["error"]["code"] == "response"
    assert by_outcome[True]["url"] == f"{url}/missing"
    assert (by_outcome[True]["line"], by_outcome[True]["name"]) == (1, "missing")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["-i", "list", "a", "b"], 2),
        (["-i", "list", "--sha256", "0" * 64], 2),
        (["-i", "list", "--rename"], 2),
        (["-i", "absent"], 10),
        (["-i", "bad"], 2),
        (["-i", "list", "nowhere"], 10),
        (["-i", "list", "http://127.0.0.1:1/y"], 2),
        ([], 2),
    ],
    ids=["two folders", "digest", "rename", "no list", "not text", "no folder", "a url", "nothing"],
)
def test_a_wrong_call_is_refused(arguments: list[str], code: int, folder: Path) -> None:
    (folder / "list").write_text("http://127.0.0.1:1/x\n")
    (folder / "bad").write_bytes(b"\xff\xfe\x00")
    ran = wharf("get", *arguments)
    assert ran.code == code
    assert "Traceback" not in ran.err


def test_a_url_beside_a_list_is_told_to_go_into_it(folder: Path) -> None:
    (folder / "list").write_text("http://127.0.0.1:1/x\n")
    ran = wharf("get", "-i", "list", "http://127.0.0.1:1/y")
    assert "the argument is a folder, and http://127.0.0.1:1/y is none" in ran.err


def test_what_is_wrong_with_a_line_is_told_with_its_number_and_name(
    peer: StartPeer, folder: Path
) -> None:
    url = peer(answer).url
    lines = [f"{url}/a one", "# two", f"{url}/a ../up", f"{url}/a ONE", "nonsense", f"{url}/a one"]
    (folder / "list").write_text("\n".join(lines))
    ran = wharf("get", "-i", "list")
    assert (ran.code, ran.text) == (3, "one\n")
    told = sorted(line for line in ran.err.splitlines() if line.startswith("error: "))
    assert [line.split(":")[1] for line in told] == [" line 3", " line 4", " line 5", " line 6"]
    assert "'../up' cannot be the name of a file here." in told[0]
    assert "is called ONE, too." in told[1]
    assert "nonsense" in told[2]
    assert "is called one, too." in told[3]


def test_what_helps_is_said_once_for_a_list_and_names_options(
    peer: StartPeer, folder: Path
) -> None:
    url = peer(answer).url
    for name in ("a", "b"):
        (folder / name).write_bytes(b"old")
    (folder / "list").write_text(f"{url}/x a\n{url}/x b\n{url}/missing c\n")
    ran = wharf("get", "-i", "list", "--at-once", "1")
    assert ran.err.splitlines() == [
        f"error: line 1, a: {url}/x: a exists already. (destination-exists)",
        "hint: Choose another name, or ask for it: --force.",
        f"error: line 2, b: {url}/x: b exists already. (destination-exists)",
        f"error: line 3, c: {url}/missing: answered 404. (response)",
        "hint: Check the address; links also expire and get revoked.",
        "3 of 3 files failed.",
    ]
    told = wharf("get", "--json", "-i", "list").records
    assert {one["error"]["hint"] for one in told if one["name"] in {"a", "b"}} == {
        "Choose another name, or ask for it: --force."
    }


def test_a_list_may_lead_elsewhere_while_a_token_is_set(peer: StartPeer, folder: Path) -> None:
    server, other = peer(saying(response(b"own"))), peer(saying(response(b"other")))
    (folder / "list").write_text(f"{server.url}/a one\n{other.url}/b two\n")
    env = {"WHARFINGER_TOKEN": "secret-token", "WHARFINGER_SERVER": server.url}
    ran = wharf("get", "-i", "list", env=env)
    assert (ran.code, sorted(ran.text.split())) == (0, ["one", "two"])
    assert "authorization" not in other.last.headers


def test_ctrl_c_in_a_list_says_how_to_go_on(peer: StartPeer, folder: Path) -> None:
    reached = threading.Event()

    def stall(exchange: Exchange) -> None:
        exchange.send(response(b"x" * 1000, length=2000))
        reached.set()
        exchange.sock.recv(1)

    (folder / "list").write_text(f"{peer(stall).url}/a\n")
    process = subprocess.Popen(
        command("get", "-i", "list"), stderr=subprocess.PIPE, env=environment()
    )
    assert reached.wait(20)
    process.send_signal(signal.SIGINT)
    err = process.communicate(timeout=20)[1]
    assert process.returncode == 130
    assert b"hint: Run the same command again: what is there already stays as it is" in err
    assert b"Traceback" not in err


def test_when_every_file_failed_the_exit_code_says_how_the_first_did(folder: Path) -> None:
    listing = folder / "list"
    listing.write_text("http://127.0.0.1:1/a\nhttp://127.0.0.1:1/b\n", "ascii")
    done = wharf("get", "-i", str(listing), str(folder), "--retries", "0")
    assert done.code == 8, done.err  # port 1 is one that the Fetch standard blocks
