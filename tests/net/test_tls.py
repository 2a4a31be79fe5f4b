"""TLS: a certificate is always verified, against the name in the URL, and a failure says what to do."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

import wharfinger
from support.peer import Exchange, Peer, response, saying
from support.tls import Authority
from wharfinger import Client
from wharfinger.errors import ConnectFailed, TransferTimeout, UsageError
from wharfinger.net.guard import AddressGuard
from wharfinger.net.tls import checked

HELLO = saying(response(b"hello"))


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


# --- verification cannot be turned off ----------------------------------------------------


def unverified() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def optional() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


def any_name() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    return context


BLIND: list[Callable[[], ssl.SSLContext]] = [
    unverified, optional, any_name, lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
    ssl._create_unverified_context,
]  # fmt: skip


@pytest.mark.parametrize("make", BLIND)
def test_a_context_that_does_not_verify_is_refused_before_a_connection(
    make: Callable[[], ssl.SSLContext], authority: Authority, folder: Path
) -> None:
    with authority.peer(HELLO) as server:
        with pytest.raises(UsageError, match="cannot be turned off"):
            Client(tls=make())
        with pytest.raises(UsageError, match="cannot be turned off"):
            wharfinger.download(server.url, "out", tls=make(), allow_private=True)
        with pytest.raises(UsageError, match="cannot be turned off"):
            wharfinger.upload(b"x", server.url, tls=make(), allow_private=True)
        assert server.connections == 0


@pytest.mark.parametrize("value", [False, True, "/etc/ssl", 0])
def test_something_that_is_no_context_is_refused(value: object) -> None:
    with pytest.raises(UsageError):
        Client(tls=value)  # type: ignore[arg-type]


def test_a_context_that_is_blinded_later_is_refused_at_the_next_request(
    authority: Authority, folder: Path
) -> None:
    context = authority.trusting
    assert checked(context) is context
    own = Authority()
    with own.peer(HELLO) as server, Client(allow_private=True, tls=own.trusting) as client:
        client.download(server.url, "first")
        own.trusting.check_hostname = False
        own.trusting.verify_mode = ssl.CERT_NONE
        with pytest.raises(UsageError, match="cannot be turned off"):
            client.download(server.url, "second")
        assert server.connections == 1


# --- what is wrong with it ----------------------------------------------------------------


def test_a_certificate_of_another_name_says_so(authority: Authority, folder: Path) -> None:
    fails(
        authority, authority.peer(HELLO, "other.test"), "[Hh]ostname mismatch", "the name that the"
    )


def test_an_expired_certificate_says_so(authority: Authority, folder: Path) -> None:
    context = authority.server(valid_days=(-20, -10))
    fails(authority, Peer(HELLO, tls=context), "expired", "renew")


def test_a_certificate_of_the_future_says_so(authority: Authority, folder: Path) -> None:
    context = authority.server(valid_days=(10, 20))
    fails(authority, Peer(HELLO, tls=context), "not yet valid", "clock of this machine")


def test_an_unknown_authority_says_how_to_trust_it(authority: Authority, folder: Path) -> None:
    fails(Authority(), authority.peer(HELLO), "certificate", "create_default_context")


def test_a_self_signed_certificate_says_so(
    authority: Authority, folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    context = self_signed(tmp_path_factory.mktemp("self-signed"))
    fails(authority, Peer(HELLO, tls=context), "self.signed", "self-signed. If you run the server")


def fails(authority: Authority, server: Peer, says: str, hint: str) -> None:
    with (
        server,
        Client(allow_private=True, tls=authority.trusting, retries=3, sleep=never) as client,
    ):
        with pytest.raises(ConnectFailed, match=f"not to be trusted: .*{says}") as caught:
            client.download(server.url, "out")
        assert hint in caught.value.hint
        assert not caught.value.retryable
        assert isinstance(caught.value, ConnectionError)
        assert server.exchanges == []
        assert server.connections == 1


def never(_seconds: float) -> None:
    raise AssertionError("tried again")


def self_signed(folder: Path) -> ssl.SSLContext:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(tz=UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "pair.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return context


# --- the name is that of the URL, the address the checked one ------------------------------


def named(authority: Authority, certificate: str, seen: list[str | None]) -> Peer:
    context = authority.server(certificate)

    def servername(_sock: object, name: str | None, _context: object) -> None:
        seen.append(name)

    context.sni_callback = servername
    return Peer(HELLO, tls=context)


@pytest.mark.parametrize(
    ("host", "certificate", "sni"),
    [
        ("files.test", "files.test", "files.test"),
        ("FILES.test", "files.test", "files.test"),
        ("files.test.", "files.test", "files.test"),
        ("bücher.test", "xn--bcher-kva.test", "xn--bcher-kva.test"),
        ("a.files.test", "*.files.test", "a.files.test"),
        ("127.0.0.1", "127.0.0.1", None),  # RFC 6066 section 3: no address is sent
    ],
)
def test_sni_and_certificate_name_come_from_the_url(
    host: str, certificate: str, sni: str | None, authority: Authority, folder: Path
) -> None:
    seen: list[str | None] = []
    guard = AddressGuard(allow_private=True, resolver=lambda _host, _port: ["127.0.0.1"])
    with (
        named(authority, certificate, seen) as server,
        Client(guard=guard, tls=authority.trusting) as client,
    ):
        assert client.download(f"https://{host}:{server.port}/x", "out").size == 5
        assert server.last.headers["host"].startswith(certificate.replace("*", "a"))
    assert seen == [sni]


@pytest.mark.parametrize(
    ("host", "certificate"),
    [
        ("files.test", "127.0.0.1"),  # where it leads is nobody's name
        ("files.test", "localhost"),
        ("a.b.files.test", "*.files.test"),  # RFC 9525 section 6.3: one label
        ("files.test", "*.test.files.test"),
    ],
)
def test_a_certificate_for_where_the_name_leads_is_not_enough(
    host: str, certificate: str, authority: Authority, folder: Path
) -> None:
    guard = AddressGuard(allow_private=True, resolver=lambda _host, _port: ["127.0.0.1"])
    with (
        authority.peer(HELLO, certificate) as server,
        Client(guard=guard, tls=authority.trusting, retries=0) as client,
    ):
        with pytest.raises(ConnectFailed, match="not to be trusted"):
            client.download(f"https://{host}:{server.port}/x", "out")
        assert server.exchanges == []


def test_each_hop_of_a_redirect_is_verified(authority: Authority, folder: Path) -> None:
    with authority.peer(HELLO, "other.test") as target:
        location = f"https://localhost:{target.port}/"
        first = authority.peer(saying(response(b"", status="302 Go", Location=location)))
        with (
            first as server,
            Client(allow_private=True, tls=authority.trusting, retries=0) as client,
            pytest.raises(ConnectFailed, match="not to be trusted"),
        ):
            client.download(server.url, "out")
        assert target.exchanges == []


def test_no_other_protocol_than_http_1_1_is_offered(authority: Authority, folder: Path) -> None:
    context = authority.server()
    context.set_alpn_protocols(["h2", "http/1.1"])
    agreed: list[str | None] = []

    def handler(exchange: Exchange) -> None:
        assert isinstance(exchange.sock, ssl.SSLSocket)
        agreed.append(exchange.sock.selected_alpn_protocol())
        exchange.send(response(b"hello"))

    with (
        Peer(handler, tls=context) as server,
        Client(allow_private=True, tls=authority.trusting) as client,
    ):
        client.download(server.url, "out")
    assert agreed == ["http/1.1"]


def test_the_handshake_loads_no_other_client(authority: Authority, folder: Path) -> None:
    """They take longer to load than the whole transfer takes."""
    authority.write(folder / "authority.pem")
    code = (
        "import sys, wharfinger\n"
        "wharfinger.download(sys.argv[1], 'out', allow_private=True)\n"
        "print([m for m in ('urllib3', 'http', 'email', 'logging') if m in sys.modules])\n"
    )
    with authority.peer(HELLO) as server:
        done = subprocess.run(
            [sys.executable, "-c", code, server.url],
            env={**os.environ, "SSL_CERT_FILE": str(folder / "authority.pem")},
            capture_output=True, check=True, text=True,
        )  # fmt: skip
    assert done.stdout == "[]\n"


# --- time ---------------------------------------------------------------------------------


def test_a_handshake_that_hangs_ends_at_the_limit(folder: Path) -> None:
    def listen() -> None:
        sock, _ = server.accept()
        with sock, contextlib.suppress(OSError):
            while sock.recv(65536):
                pass

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=listen)
        thread.start()
        with pytest.raises(TransferTimeout):
            wharfinger.download(
                f"https://127.0.0.1:{server.getsockname()[1]}/",
                "out",
                allow_private=True,
                timeout=0.3,
                retries=0,
            )
        thread.join(5)


def test_a_second_download_uses_the_first_handshake(authority: Authority, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        exchange.send(response(b"hello"))
        exchange.sock.recv(65536)
        exchange.send(response(b"again"))

    with (
        authority.peer(handler) as server,
        Client(allow_private=True, tls=authority.trusting) as client,
    ):
        client.download(server.url, "one")
        client.download(server.url, "two")
        assert server.connections == 1
    assert (folder / "two").read_bytes() == b"again"
