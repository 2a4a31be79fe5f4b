"""`wharf share --password`: where a password may come from, and where it never appears."""

from __future__ import annotations

import os
import pty
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from support.command import Ran, command, environment, wharf
from support.services import make_wharf
from support.shells import running
from wharfinger import Wharf
from wharfinger.errors import PasswordRequired

RIGHT = "correct horse"
NOWHERE = "0" * 32


class Harbour:
    """A service, the token of its one user, and a file of that user."""

    def __init__(self, service: Wharf, url: str) -> None:
        self.service = service
        token, secret = service.tokens.create("me", ("read", "write", "share"))
        self.env = {"WHARFINGER_SERVER": url, "WHARFINGER_TOKEN": secret}
        self.file = service.receive(
            [b"text"], collection="files", name="a.txt", owner=token.principal
        )

    def share(self, *words: str, stdin: bytes = b"", **env: str) -> Ran:
        return wharf("share", self.file.id, *words, stdin=stdin, env={**self.env, **env})

    def asks_for(self, password: str) -> bool:
        """Return whether the one link there is has this password."""
        (link,) = self.service.links.of_file(self.file.id)
        try:
            self.service.links.passwords.check(link, password)
        except PasswordRequired:
            return False
        return link.has_password


@pytest.fixture
def harbour(tmp_path: Path) -> Iterator[Harbour]:
    with make_wharf(tmp_path / "data") as service, running("asgi", service) as url:
        yield Harbour(service, url)


def test_from_the_environment(harbour: Harbour) -> None:
    said = harbour.share("--password", WHARFINGER_LINK_PASSWORD=RIGHT)
    assert (said.code, said.err) == (0, "")
    assert harbour.asks_for(RIGHT)
    assert RIGHT not in said.text


@pytest.mark.parametrize(
    "content", [b"correct horse", b"correct horse\n", b"correct horse\r\nmore\n"]
)
def test_from_a_file_or_stdin(harbour: Harbour, tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "password"
    path.write_bytes(content)
    assert harbour.share("--password-file", str(path)).code == 0
    assert harbour.asks_for(RIGHT)
    (first,) = harbour.service.links.of_file(harbour.file.id)
    harbour.service.links.revoke(first.id)
    said = harbour.share("--password-file", "-", "--json", stdin=content)
    assert said.records[0]["has_password"] is True
    assert harbour.asks_for(RIGHT)


def test_the_environment_alone_is_no_wish(harbour: Harbour) -> None:
    link = harbour.share("--json", WHARFINGER_LINK_PASSWORD=RIGHT).records[0]
    assert link["has_password"] is False


def test_from_the_terminal_typed_twice_and_not_shown(harbour: Harbour) -> None:
    master, slave = pty.openpty()
    shown = bytearray()

    def read() -> None:
        try:
            while data := os.read(master, 1000):
                shown.extend(data)
                if data.rstrip().endswith(b":"):
                    os.write(master, RIGHT.encode() + b"\n")
        except OSError:  # the other side is closed
            return

    reader = threading.Thread(target=read)
    reader.start()
    process = subprocess.Popen(
        command("share", harbour.file.id, "--password"),
        stdin=slave, stdout=subprocess.PIPE, stderr=slave, env=environment(harbour.env),
        start_new_session=True,
    )  # fmt: skip
    output, _ = process.communicate(timeout=60)
    os.close(slave)
    reader.join(timeout=20)
    os.close(master)
    assert process.returncode == 0, bytes(shown)
    assert urlsplit(output.decode().strip()).path.startswith("/d/")
    assert b"Password of the link" in shown
    assert RIGHT.encode() not in shown
    assert harbour.asks_for(RIGHT)


REFUSED = {
    "nobody to ask": (["--password"], b"", 2, "no terminal"),
    "both": (["--password", "--password-file", "-"], b"", 2, "exclude each other"),
    "an empty file": (["--password-file", "-"], b"\n", 2, "no password"),
    "no such file": (["--password-file", "/nowhere/at/all"], b"", 10, "does not exist"),
    "a folder": (["--password-file", "/"], b"", 10, "cannot be read"),
    "not UTF-8": (["--password-file", "-"], b"\xff\xfe\n", 10, "cannot be read"),
    "a value for the flag": (["--password=correct horse"], b"", 2, "--password"),
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=list(REFUSED))
def test_what_is_no_password_is_said_before_anything_is_sent(
    case: tuple[list[str], bytes, int, str],
) -> None:
    words, stdin, code, text = case
    said = wharf(
        "share", NOWHERE, *words, stdin=stdin, env={"WHARFINGER_SERVER": "http://127.0.0.1:9"}
    )
    assert said.code == code, said.err
    assert text in said.err


def test_too_short_a_password_is_refused_by_the_service(harbour: Harbour) -> None:
    said = harbour.share("--password", WHARFINGER_LINK_PASSWORD="short")
    assert "8 to 256 characters" in said.err
    assert "short" not in said.err.replace("shorter", "")
    assert said.code == 1


# --- fetching by such a link ----------------------------------------------------------------


@pytest.fixture
def link(harbour: Harbour) -> str:
    return harbour.share("--password", WHARFINGER_LINK_PASSWORD=RIGHT).text.strip()


def test_get_says_which_option_a_link_with_a_password_wants(
    link: str, harbour: Harbour, folder: Path
) -> None:
    for env in ({}, harbour.env):
        ran = wharf("get", link, "a.txt", env=env)
        assert ran.code == 4
        assert "This link has a password. (response)" in ran.err
        assert "hint: Give --password to be asked for it, or --password-file FILE." in ran.err
    assert list(folder.glob("a.txt*")) == []


@pytest.mark.parametrize("with_token", [False, True], ids=["alone", "beside a token"])
@pytest.mark.parametrize("way", ["file", "stdin", "environment"])
def test_get_takes_the_password_where_share_does(
    way: str, with_token: bool, link: str, harbour: Harbour, folder: Path
) -> None:
    (folder / "secret").write_text(f"{RIGHT}\nanother line\n")
    env = dict(harbour.env) if with_token else {}
    words = {
        "file": ["--password-file", "secret"],
        "stdin": ["--password-file", "-"],
        "environment": ["--password"],
    }
    if way == "environment":
        env["WHARFINGER_LINK_PASSWORD"] = RIGHT
    ran = wharf("get", link, "a.txt", *words[way], env=env, stdin=f"{RIGHT}\n".encode())
    assert (ran.code, ran.text, ran.err) == (0, "a.txt\n", "")
    assert (folder / "a.txt").read_bytes() == b"text"


def test_get_asks_for_the_password_once(link: str, folder: Path) -> None:
    main, side = pty.openpty()
    process = subprocess.Popen(
        command("get", link, "a.txt", "--password"),
        stdin=side, stdout=side, stderr=side,
        env=environment(), start_new_session=True,
    )  # fmt: skip
    os.close(side)
    said = b""
    with os.fdopen(main, "r+b", buffering=0) as terminal:
        while b"Password of the link" not in said:
            said += terminal.read(100)
        terminal.write(f"{RIGHT}\n".encode())
        assert process.wait(30) == 0
    assert RIGHT.encode() not in said
    assert (folder / "a.txt").read_bytes() == b"text"


def test_a_wrong_password_is_named_and_never_shown(link: str, folder: Path) -> None:
    ran = wharf("get", link, "a.txt", "--password", env={"WHARFINGER_LINK_PASSWORD": "wrong one"})
    assert ran.code == 4
    assert "That is not the password of this link." in ran.err
    assert "wrong one" not in ran.err


def test_the_password_of_a_link_is_not_for_a_list(folder: Path) -> None:
    (folder / "list").write_text("")
    for words in (["--password"], ["--password-file", "secret"]):
        ran = wharf("get", "-i", "list", *words)
        assert ran.code == 2
        assert "--password and --password-file are for one link." in ran.err
