"""`.netrc`: only on request, for the host that a call names, and for no other."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.peer import response, saying
from wharfinger import Client
from wharfinger.client.netrc_file import auth_for
from wharfinger.client.request import Request, redirected
from wharfinger.errors import LocalFileError, SourceMissing
from wharfinger.net.urls import parse
from wharfinger.protocol.headers import Headers

ADA = "Basic YWRhOnNlY3JldA=="  # RFC 7617: "ada:secret"
FILE = "machine 127.0.0.1 login ada password secret\n"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text)
    path.chmod(mode)
    return path


def test_it_is_not_read_unless_asked_for(home: Path, peer: StartPeer, folder: Path) -> None:
    write(home / ".netrc", FILE)
    server = peer(saying(response(b"hello")))
    wharfinger.download(server.url, "one", allow_private=True)
    assert "authorization" not in server.last.headers
    wharfinger.download(server.url, "two", allow_private=True, netrc=True)
    assert server.last.headers["authorization"] == ADA
    wharfinger.upload(b"x", server.url, allow_private=True, netrc=True)
    assert server.last.headers["authorization"] == ADA


def test_another_file_can_be_named(home: Path, peer: StartPeer, folder: Path) -> None:
    path = write(folder / "mine", FILE)
    server = peer(saying(response(b"hello")))
    with Client(allow_private=True, netrc=path) as client:
        client.download(server.url, "out")
    assert server.last.headers["authorization"] == ADA


@pytest.mark.parametrize(
    "options", [{"auth": "token"}, {"headers": {"authorization": "Bearer token"}}]
)
def test_what_the_call_says_wins(
    options: dict[str, object], home: Path, peer: StartPeer, folder: Path
) -> None:
    write(home / ".netrc", FILE)
    server = peer(saying(response(b"hello")))
    wharfinger.download(server.url, "out", allow_private=True, netrc=True, **options)  # type: ignore[arg-type]
    assert server.last.headers["authorization"] == "Bearer token"


def test_a_redirect_to_another_origin_gets_neither_this_nor_its_own_entry(
    home: Path, peer: StartPeer, folder: Path
) -> None:
    write(home / ".netrc", FILE + "machine localhost login eve password other\n")
    target = peer(saying(response(b"hello")))
    for location in (f"{target.url}/x", f"http://localhost:{target.port}/x"):
        first = peer(saying(response(b"", status="302 Found", Location=location)))
        wharfinger.download(first.url, "out", allow_private=True, netrc=True, overwrite=True)
        assert first.last.headers["authorization"] == ADA
        assert "authorization" not in target.last.headers


HOSTS = [
    ("http://127.0.0.1/", ("ada", "secret")),
    ("http://files.test/", ("bob", "pass word")),
    ("http://FILES.test./", ("bob", "pass word")),
    ("https://files.test:8443/", ("bob", "pass word")),
    ("http://a.files.test/", None),
    ("http://test/", None),
    ("http://default/", None),
    ("http://other.test/", None),
    ("http://[::1]/", ("six", "")),
]


@pytest.mark.parametrize(("url", "auth"), HOSTS, ids=[row[0] for row in HOSTS])
def test_an_entry_is_for_its_host_alone_and_the_default_for_none(
    url: str, auth: tuple[str, str] | None, tmp_path: Path
) -> None:
    path = write(
        tmp_path / "netrc",
        FILE
        + 'machine Files.test login bob password "pass word"\n'
        + "machine ::1 login six\n"
        + "default login anybody password leaks\n",
    )
    assert auth_for(parse(url), path) == auth


def test_no_file_at_home_is_no_error_and_a_named_one_is(home: Path) -> None:
    url = parse("http://files.test/")
    assert auth_for(url, where=True) is None
    assert auth_for(url, where=False) is None
    with pytest.raises(SourceMissing):
        auth_for(url, home / "absent")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o644, 0o660])
def test_a_file_that_others_can_read_is_refused(mode: int, home: Path) -> None:
    write(home / ".netrc", FILE, mode)
    with pytest.raises(LocalFileError, match="read by others") as caught:
        auth_for(parse("http://files.test/"), where=True)
    assert "chmod 600" in caught.value.hint


@pytest.mark.parametrize("text", ["machine", "nonsense\n", "\x00"])
def test_a_file_that_is_no_netrc_is_an_error_without_its_content(text: str, tmp_path: Path) -> None:
    path = write(tmp_path / "netrc", f"machine a login b password secret\n{text}")
    with pytest.raises(LocalFileError) as caught:
        auth_for(parse("http://a/"), path)
    assert "secret" not in str(caught.value)


def test_a_folder_is_no_netrc(tmp_path: Path) -> None:
    with pytest.raises(LocalFileError):
        auth_for(parse("http://a/"), tmp_path)


# --- credentials of any kind: every change of origin ---------------------------------------

SCHEMES, HOST_NAMES, PORTS = ("http", "https"), ("a.test", "b.test", "sub.a.test"), (80, 443, 8080)
ORIGINS = list(itertools.product(SCHEMES, HOST_NAMES, PORTS))
SECRETS = ("Authorization", "Cookie", "X-Api-Key", "Private-Token", "WWW-Authenticate")


@pytest.mark.parametrize("first", ORIGINS, ids=map(str, ORIGINS))
def test_nothing_that_tells_who_asks_leaves_its_scheme_host_and_port(
    first: tuple[str, str, int],
) -> None:
    def url(origin: tuple[str, str, int]) -> str:
        return "{}://{}:{}/".format(*origin)

    theirs = tuple((name, "secret") for name in SECRETS)
    request = Request(method="GET", url=parse(url(first)), theirs=(*theirs, ("Accept", "*/*")))
    for second, status in itertools.product(ORIGINS, (301, 302, 303, 307, 308)):
        if (first[0], second[0]) == ("https", "http"):
            continue  # refused altogether
        following = redirected(request, status, Headers([("Location", url(second))]))
        assert following is not None
        kept = {name for name, _ in following.theirs}
        assert kept == ({*SECRETS, "Accept"} if first == second else {"Accept"})
