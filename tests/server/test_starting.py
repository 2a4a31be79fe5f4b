"""`wharf serve` from nothing: what it makes, what it says first, and how it refuses to start."""

from __future__ import annotations

import json
import re
import signal
import socket
import stat
import subprocess
from pathlib import Path

import pytest

from support.command import command, environment, wharf
from support.require import require
from support.served import serve, unprivileged
from support.shells import Browser


def test_the_first_start_makes_everything_and_tells_where_the_token_lies(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with serve(data) as served:
        token_file = data / "admin-token"
        assert served.line == {
            "event": "listening",
            "url": served.url,
            "data": str(data),
            "admin_token_file": str(token_file),
        }
        made = {path.name: stat.filemode(path.stat().st_mode) for path in data.iterdir()}
        assert made["admin-token"] == made["keys"] == "-rw-------"
        assert made["files"] == made["staging"] == "drwx------"
        assert stat.filemode(data.stat().st_mode) == "drwx------"
        assert "catalog.sqlite3" in made
        assert served.browser.ask("GET", "/files").json() == {"files": [], "next": None}
        assert Browser(served.url).ask("GET", "/files").status == 401
        assert Browser(served.url).ask("GET", "/health/ready").status == 200
        secret = served.token.encode()
        assert secret not in served.log.read_bytes()
        kept = [path for path in data.rglob("*") if path.is_file() and secret in path.read_bytes()]
        assert kept == [token_file]
        assert served.stop() == 0


def test_the_second_start_makes_no_new_token_and_knows_the_old_one(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with serve(data) as first:
        secret = first.token
        assert first.stop() == 0
    with serve(data) as second:
        assert second.token == secret
        assert second.browser.ask("GET", "/files").status == 200
        assert second.line["admin_token_file"] == str(data / "admin-token")
        listed = wharf("token", "ls", "--json", "--data", str(data))
        assert [record["name"] for record in listed.records] == ["first admin"]
        (data / "admin-token").unlink()
        second.stop()
    with serve(data) as third:
        assert third.line["admin_token_file"] is None
        assert not (data / "admin-token").exists()


def test_for_people_it_says_everything_on_stderr(folder: Path) -> None:
    words = command("serve", "--data", "data", "--port", "0")
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(words, text=True, env=environment(), **pipes) as process:  # type: ignore[call-overload]
        first, second = process.stderr.readline(), process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        out, rest = process.communicate(timeout=20)
    assert re.fullmatch(
        r"wharfinger listens on http://127\.0\.0\.1:[0-9]+ and keeps its files in data/\n", first
    )
    assert second == "The first token, for everything, lies in data/admin-token\n"
    assert (out, rest, process.returncode) == ("", "stopped\n", 0)


def test_a_port_in_use_is_told_with_a_way_out(folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        plain = wharf("serve", "--port", port)
        record = wharf("serve", "--port", port, "--json")
    assert (plain.code, plain.text) == (1, "")
    assert plain.err.splitlines() == [
        f"error: Another program listens on 127.0.0.1:{port}. (port-in-use)",
        "hint: Choose another with --port; --port 0 picks a free one.",
    ]
    (said,) = record.records
    assert (record.code, said["error"]["code"], said["error"]["exit_code"]) == (1, "port-in-use", 1)


WRONG_FILES = {
    "a section": ("[servr]\n", "Unknown key 'servr' in wharfinger.toml.", "Did you mean 'server'?"),
    "a server key": ("[server]\nprot = 1\n", "Unknown key 'prot' in [server].", "Did you mean 'port'?"),
    "a collection key": (
        "[collections.a]\nmax_sise = 1\n", "Unknown key 'max_sise' in [collections.a].", "Did you mean 'max_size'?",
    ),
    "a scanner that is none": ('[scan]\nclamd = "here"\n', "[scan] clamd = 'here' is no address of clamd.", "unix:///"),
    "a later key": ('[server]\noffload = "redirect"\n', 'offload = "redirect" is not part of this version yet.', "It comes with object stores."),
    "a port that is none": ("[server]\nport = 70000\n", "The port '70000' is not a number from 0 to 65535.", ""),
    "a size that is none": ('[collections.a]\nmax_size = "big"\n', "'big'", ""),
    "a type that is none": ("[collections.a]\ntypes = 3\n", "[collections.a]", ""),
    "an expiry that is none": ('[collections.a]\nexpires_in = "soon"\n', "'soon'", ""),
    "a visibility that is none": ('[collections.a]\nvisibility = "all"\n', "'all'", ""),
    "a collection name": ('[collections."A b"]\n', "'A b' is not a collection name.", ""),
    "a collection that is no table": ("[collections]\na = 1\n", "must be a table", ""),
    "an address that is none": ('[server]\npublic_url = "ftp://x"\n', "'ftp://x'", "https://"),
    "a store elsewhere": ('[store]\nurl = "s3://bucket"\n', "'s3://bucket'", "file:///"),
    "no TOML": ("[server\n", "is not valid TOML", ""),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG_FILES.values(), ids=list(WRONG_FILES))
def test_a_wrong_configuration_file_is_a_usage_error(
    tmp_path: Path, case: tuple[str, str, str], capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from wharfinger.cli import main
    from wharfinger.server import run

    text, detail, hint = case
    (tmp_path / "wharfinger.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "serve", None)
    with pytest.raises(SystemExit) as ended:
        main(["serve", "--json"])
    error = json.loads(capsys.readouterr().out)["error"]
    assert (ended.value.code, error["code"]) == (2, "config"), error
    assert detail in error["detail"]
    assert hint in error["hint"]
    assert not (tmp_path / "data").exists()


def test_an_unknown_variable_of_the_environment_is_a_usage_error() -> None:
    said = wharf("serve", "--json", env={"WHARFINGER_PROT": "1"})
    error = said.records[0]["error"]
    assert (said.code, error["code"]) == (2, "config")
    assert error["detail"] == "Unknown key 'WHARFINGER_PROT' in the environment."
    assert error["hint"] == "Did you mean 'WHARFINGER_PORT'?"


@pytest.mark.parametrize("kind", ["the folder", "its parent", "a folder inside", "a file instead"])
def test_a_data_folder_that_cannot_be_written_is_a_local_error(tmp_path: Path, kind: str) -> None:
    parent = tmp_path / "parent"
    data = parent / "data"
    locked = {"the folder": data, "its parent": parent, "a folder inside": data / "files"}
    if kind == "a file instead":
        parent.mkdir()
        data.write_text("not a folder")
    else:
        locked[kind].mkdir(parents=True)
        locked[kind].chmod(0o500)
        locked[kind].parent.chmod(0o500)
    words = command("serve", "--json", "--data", str(data), "--port", "0")
    said = subprocess.run(
        [*unprivileged(), *words], capture_output=True, check=False, timeout=20, env=environment()
    )
    assert said.returncode == 10, said
    error = json.loads(said.stdout)["error"]
    assert (error["code"], error["exit_code"]) == ("data-folder", 10)
    assert "wharf doctor" in error["hint"]
    assert b"Traceback" not in said.stderr
    for folder in (tmp_path, parent):
        folder.chmod(0o700)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["SIGTERM", "SIGINT"])
def test_an_idle_server_stops_at_once_and_in_good_order(tmp_path: Path, number: int) -> None:
    with serve(tmp_path / "data") as served:
        with served.connect() as idle:
            idle.sendall(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n")
            assert idle.recv(4096).startswith(b"HTTP/1.1 200")
            assert served.stop(number, patience=5) == 0
            assert idle.recv(1) == b""
        assert served.log.read_text("utf-8").splitlines()[-1] == "stopped"
        assert "Traceback" not in served.log.read_text("utf-8")


def test_two_servers_can_share_one_folder(tmp_path: Path) -> None:
    with serve(tmp_path / "data") as one, serve(tmp_path / "data") as two:
        record = one.browser.ask("POST", "/uploads/files", b"shared").json()
        assert two.browser.ask("GET", record["url"]).body == b"shared"
        assert two.browser.ask("DELETE", record["url"]).status == 204
        assert one.browser.ask("GET", record["url"]).status == 404


def test_an_address_of_another_machine_is_a_usage_error(folder: Path) -> None:
    said = wharf("serve", "--json", "--host", "192.0.2.1", "--port", "0")
    assert (said.code, said.records[0]["error"]["code"]) == (2, "config")


def test_a_server_on_ipv6_tells_an_address_that_works(tmp_path: Path) -> None:
    require(socket.has_ipv6 and Path("/proc/net/if_inet6").exists(), "this machine has no IPv6")
    with serve(tmp_path / "data", "--host", "::1") as served:
        assert served.url.startswith("http://[::1]:")
        assert Browser(served.url).ask("GET", "/health/live").status == 200


def test_a_public_address_is_in_records_and_links(tmp_path: Path) -> None:
    with serve(tmp_path / "data", "--public-url", "https://files.example.org/x/") as served:
        record = served.browser.ask("POST", "/uploads/files", b"shared").json()
        assert record["url"] == f"https://files.example.org/x/files/{record['id']}"
        link = served.browser.ask("POST", f"/files/{record['id']}/links", b"{}").json()
        assert link["url"].startswith("https://files.example.org/x/d/")


def test_the_access_log_has_a_line_a_request_and_no_address_of_a_link(tmp_path: Path) -> None:
    with serve(tmp_path / "data", "--access-log") as served:
        stored = served.browser.ask("POST", "/uploads/files", b"text").json()
        link = served.browser.ask("POST", f"{stored['url']}/links", b"").json()["url"]
        assert served.browser.ask("GET", link.removeprefix(served.url)).status == 200
        served.browser.ask("GET", "/x%1b[31m")
    log = served.log.read_text("utf-8")
    assert "POST /uploads/files 201" in log
    assert "GET /d/… 200" in log
    assert link.rpartition(".")[2] not in log
    assert "\x1b" not in log
