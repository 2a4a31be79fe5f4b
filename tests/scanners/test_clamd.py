"""clamd, a real one: what it finds, what it cannot read, and what happens when it is away."""

from __future__ import annotations

import gzip
import io
import socket
import threading
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import pytest

from support.clamd import EICAR, NAME, ClamdPeer, clamd_server
from wharfinger.errors import ConfigError, Unavailable
from wharfinger.scanners import Clean, Infected, Unscannable, Verdict
from wharfinger.scanners.clamd import Clamd
from wharfinger.units import MIB


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClamdPeer]:
    with clamd_server(tmp_path_factory.mktemp("clamd")) as clamd:
        yield clamd


def zipped(content: bytes, name: str = "inner.bin") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


def nested(content: bytes, times: int) -> bytes:
    for _ in range(times):
        content = zipped(content)
    return content


def scan(scanner: Clamd, content: bytes) -> Verdict:
    return scanner.scan(io.BytesIO(content), len(content))


def a_document(content: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>")
        archive.writestr("word/document.xml", "<w:document/>")
        archive.writestr("word/media/image1.png", content)
    return packed.getvalue()


@pytest.mark.parametrize("kind", ["unix", "tcp"])
@pytest.mark.parametrize(
    "pack",
    [bytes, lambda content: b"x" * 5000 + content, zipped, lambda c: nested(c, 2), gzip.compress, a_document],
    ids=["raw", "behind other bytes", "in zip", "in zip in zip", "in gzip", "in docx"],
)  # fmt: skip
def test_the_test_string_is_found(
    peer: ClamdPeer, kind: str, pack: Callable[[bytes], bytes]
) -> None:
    scanner = Clamd(address=getattr(peer, kind))
    assert scan(scanner, pack(EICAR)) == Infected(NAME)
    assert scan(scanner, pack(b"nothing")) == Clean()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (nested(EICAR, 12), "exceeds a limit of clamd (MaxRecursion)"),
        (gzip.compress(bytes(120 * MIB) + EICAR), "exceeds a limit of clamd (MaxScanSize)"),
        (bytes(11 * MIB) + EICAR, "StreamMaxLength"),
    ],
    ids=["deeper than it looks", "larger unpacked", "larger than a stream"],
)
def test_what_is_over_a_limit_cannot_be_scanned_and_is_never_clean(
    peer: ClamdPeer, content: bytes, reason: str
) -> None:
    for address in (peer.unix, peer.tcp):
        verdict = scan(Clamd(address=address), content)
        assert isinstance(verdict, Unscannable)
        assert reason in verdict.reason


def test_more_files_than_it_reads_cannot_be_scanned(tmp_path: Path) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(40):
            archive.writestr(f"{number}.txt", f"file {number}" * 20)
        archive.writestr("last.txt", EICAR * 3)
    with clamd_server(tmp_path, MaxFiles="10") as low:
        verdict = scan(Clamd(address=low.unix), packed.getvalue())
    assert isinstance(verdict, Unscannable)


def test_a_daemon_that_is_silent_about_its_limits_is_found_out(
    peer: ClamdPeer, tmp_path: Path
) -> None:
    assert Clamd(address=peer.unix).exceeds_max_is_told()
    with clamd_server(tmp_path, AlertExceedsMax="no") as silent:
        assert not Clamd(address=silent.unix).exceeds_max_is_told()
        # This is why it matters.
        assert scan(Clamd(address=silent.unix), nested(EICAR, 12)) == Clean()


def test_a_file_over_our_own_limit_is_not_sent_at_all() -> None:
    nobody = Clamd(address="unix:///nowhere/clamd.sock", max_size=10)
    verdict = scan(nobody, b"elf letters")
    assert verdict == Unscannable("11 bytes are more than the 10 bytes that are scanned")


def test_a_daemon_that_is_away_says_nothing_of_the_file(tmp_path: Path) -> None:
    with clamd_server(tmp_path) as clamd:
        scanner = Clamd(address=clamd.unix)
        clamd.stop()
        with pytest.raises(Unavailable, match="cannot be reached"):
            scan(scanner, EICAR)
        clamd.start()
        assert scan(scanner, EICAR) == Infected(NAME)
        assert scanner.version().startswith("ClamAV")
        scanner.ping()


class Fake:
    """A daemon that does what a function says with each connection."""

    def __init__(self, serve: Callable[[socket.socket], None]) -> None:
        self._serve = serve
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._accept)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.join(10)
        self._listener.close()

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            self._serve(connection)


def takes_all(connection: socket.socket, answer: bytes) -> None:
    received = bytearray()
    while not received.endswith(b"\0\0\0\0"):
        received += connection.recv(65536)
    connection.sendall(answer)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (b"stream: lookup failed. ERROR\0", "clamd answers 'lookup failed. ERROR'."),
        (b"", "clamd closed the connection without an answer."),
        (b"stream: OK", "clamd closed the connection without an answer."),
        (b"OK maybe\0", "clamd answers 'OK maybe'."),
        (b"x" * 5000, "clamd closed the connection without an answer."),
    ],
    ids=["an error", "nothing", "no end", "other words", "endless"],
)
def test_an_answer_that_is_none_concludes_nothing(answer: bytes, text: str) -> None:
    fake = Fake(lambda connection: takes_all(connection, answer))
    with fake, pytest.raises(Unavailable) as caught:
        scan(Clamd(address=fake.address), b"content")
    assert str(caught.value) == text


def test_a_daemon_that_dies_in_the_middle_concludes_nothing() -> None:
    with Fake(lambda connection: connection.close()) as fake, pytest.raises(Unavailable):
        scan(Clamd(address=fake.address), bytes(20 * MIB))


def test_a_silent_daemon_is_waited_for_no_longer_than_said() -> None:
    may = threading.Event()

    def stay_silent(_: socket.socket) -> None:
        may.wait(10)

    with Fake(stay_silent) as fake:
        with pytest.raises(Unavailable, match=r"did not answer within 0\.3 s"):
            scan(Clamd(address=fake.address, timeout=0.3), b"content")
        may.set()


@pytest.mark.parametrize(
    "address",
    ["", "clamd", "unix://relative", "unix://host/path", "tcp://", "tcp://a:b", "http://a:1", "tcp://a:1/x"],
)  # fmt: skip
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="is no address of clamd"):
        Clamd(address=address)


def test_a_port_need_not_be_written() -> None:
    assert Clamd(address="tcp://[::1]").address == "tcp://[::1]"
