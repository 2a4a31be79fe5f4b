"""The options of `wharf get` and `wharf put` about places to trust and the way there."""

from __future__ import annotations

from pathlib import Path

import pytest

from conftest import StartPeer
from support.command import wharf
from support.peer import response, saying
from support.proxy import Proxy
from support.tls import Authority

HELLO = saying(response(b"hello"))


@pytest.mark.parametrize("command", [["get"], ["put", "--raw"]], ids=["get", "put"])
def test_a_proxy_is_used_when_it_is_named_and_not_because_of_the_environment(
    command: list[str], peer: StartPeer, folder: Path
) -> None:
    (folder / "file").write_bytes(b"content")
    server = peer(HELLO)
    url = f"http://files.test:{server.port}/x"
    arguments = [*command, url] if command == ["get"] else [*command, "file", url]
    with Proxy() as proxy:
        environment = {"http_proxy": proxy.url}
        ran = wharf(*arguments, "--retries", "0", env=environment)
        assert (ran.code, proxy.heads) == (6, [])
        ran = wharf(*arguments, "--proxy", proxy.url)
        assert ran.code == 0, ran.err
        ran = wharf(*arguments, "--proxy", "environment", *FORCE[command[0]], env=environment)
        assert ran.code == 0, ran.err
        assert len(proxy.heads) == 2


FORCE = {"get": ["--force"], "put": []}


def test_an_authority_of_ones_own_is_trusted_when_named(folder: Path) -> None:
    authority = Authority()
    authority.write(folder / "ca.pem")
    with authority.peer(HELLO) as server:
        ran = wharf("get", f"{server.url}/a", "--retries", "0")
        assert ran.code == 6
        assert "not to be trusted" in ran.err
        assert wharf("get", f"{server.url}/a", "--cacert", "ca.pem").code == 0


def test_a_file_that_is_no_certificate_is_an_error(folder: Path) -> None:
    (folder / "no.pem").write_text("nonsense")
    ran = wharf("get", "https://files.test/", "--cacert", "no.pem")
    assert (ran.code, "no PEM file" in ran.err) == (10, True)
    assert wharf("get", "https://files.test/", "--cacert", "absent").code == 10


def test_netrc_is_read_on_request(peer: StartPeer, folder: Path) -> None:
    (folder / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (folder / ".netrc").chmod(0o600)
    server = peer(HELLO)
    home = {"HOME": str(folder)}
    assert wharf("get", f"{server.url}/a", env=home).code == 0
    assert "authorization" not in server.last.headers
    assert wharf("get", f"{server.url}/b", "--netrc", env=home).code == 0
    assert server.last.headers["authorization"] == "Basic YWRhOnNlY3JldA=="


def test_a_place_that_is_no_network_is_wrong_usage(folder: Path) -> None:
    assert wharf("get", "http://files.test/", "--allow-network", "10.0.0.1/8").code == 2
    assert wharf("get", "http://files.test/", "--allow-host", "a b").code == 2


def test_a_link_of_the_server_gets_what_netrc_says_and_no_token(
    peer: StartPeer, folder: Path
) -> None:
    (folder / ".netrc").write_text("machine 127.0.0.1 login ada password secret\n")
    (folder / ".netrc").chmod(0o600)
    server = peer(HELLO)
    env = {"HOME": str(folder), "WHARFINGER_TOKEN": "whf_abc", "WHARFINGER_SERVER": server.url}
    assert wharf("get", f"{server.url}/files/a", "a", env=env).code == 0
    assert server.last.headers["authorization"] == "Bearer whf_abc"
    assert wharf("get", f"{server.url}/d/link", "b", env=env).code == 0
    assert "authorization" not in server.last.headers
    assert wharf("get", f"{server.url}/d/link", "c", "--netrc", env=env).code == 0
    assert server.last.headers["authorization"] == "Basic YWRhOnNlY3JldA=="
