"""Broken forms never leave a file that is not whole, a leftover in staging, or a bug.

The parser's own tests are in tests/protocol; here forms go through inspection into a store.
"""

from __future__ import annotations

import gc
import resource
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest

from support.services import blobs_on_disk, make_wharf
from support.shells import form
from wharfinger import Wharf
from wharfinger.errors import Rejected, RequestError
from wharfinger.protocol.headers import Headers
from wharfinger.web.intake import Intaken, begin_intake
from wharfinger.web.requests import RequestHead

FIRST, SECOND = b"first\r\n--file\x00", b"\r\nsecond"
BODY, HEADERS = form(
    ("a", "a.bin", FIRST, "application/octet-stream"),
    ("note", None, b"hello", None),
    ("b", "b.bin", SECOND, None),
)
CPU_SECONDS, MEMORY = 1.0, 20_000_000


@pytest.fixture(scope="module")
def wharf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wharf]:
    with make_wharf(tmp_path_factory.mktemp("forms")) as wharf:
        yield wharf


@pytest.fixture(autouse=True)
def nothing_left(wharf: Wharf) -> Iterator[None]:
    yield
    for stored in wharf.list_files(limit=1000)[0]:
        wharf.remove(stored.id)
    assert blobs_on_disk(wharf.settings.data) == []


def take(wharf: Wharf, *pieces: bytes) -> Intaken:
    """Take the form in, in these pieces."""
    return receive(wharf, pieces, HEADERS)


def receive(wharf: Wharf, pieces: Iterable[bytes], headers: dict[str, str]) -> Intaken:
    head = RequestHead(
        method="POST", path="/uploads/files", headers=Headers(headers.items()), length=None
    )
    intake = begin_intake(wharf, head, "files", "user:1")
    try:
        for piece in pieces:
            intake.write(piece)
        return intake.finish()
    finally:
        intake.abort()


def staged(wharf: Wharf) -> list[str]:
    """Return the files in staging that this process has open: they have no name."""
    found = [str(fd.readlink()) for fd in Path("/proc/self/fd").iterdir() if fd.is_symlink()]
    return [path for path in found if f"{wharf.settings.data}/staging" in path]


def contents(wharf: Wharf, intaken: Intaken) -> list[bytes]:
    found = []
    for stored in intaken.files:
        with wharf.open_file(stored) as file:
            found.append(file.read())
    return found


def test_cut_at_any_byte_nothing_is_kept(wharf: Wharf) -> None:
    whole = BODY.index(b"--\r\n", len(BODY) - 5) + 2  # the line break after the end may be missing
    for cut in range(whole):
        with pytest.raises((RequestError, Rejected)):
            take(wharf, BODY[:cut])
    assert wharf.list_files()[0] == []
    assert staged(wharf) == []
    assert contents(wharf, take(wharf, BODY[:whole])) == [FIRST, SECOND]


def test_split_at_any_byte_the_files_are_the_same(wharf: Wharf) -> None:
    for cut in range(len(BODY) + 1):
        intaken = take(wharf, BODY[:cut], BODY[cut:])
        assert contents(wharf, intaken) == [FIRST, SECOND], cut
        assert intaken.fields == {"note": "hello"}
        for stored in intaken.files:
            wharf.remove(stored.id)


def test_byte_by_byte_the_files_are_the_same(wharf: Wharf) -> None:
    intaken = take(wharf, *(BODY[at : at + 1] for at in range(len(BODY))))
    assert contents(wharf, intaken) == [FIRST, SECOND]


def test_with_any_byte_flipped_files_are_whole_or_nothing_is_kept(wharf: Wharf) -> None:
    first, second = BODY.index(FIRST), BODY.index(SECOND, BODY.index(b"b.bin"))
    accepted = 0
    for at in range(len(BODY)):
        flipped = bytearray(BODY)
        flipped[at] ^= 0x55
        try:
            intaken = take(wharf, bytes(flipped))
        except (RequestError, Rejected):
            assert wharf.list_files()[0] == []
            continue
        accepted += 1
        for content, stored in zip(contents(wharf, intaken), intaken.files, strict=True):
            assert len(content) == stored.size
            # Every file is what the form says between two boundaries: its bytes, or a part of
            # the form whose boundary was the byte that flipped.
            assert content in bytes(flipped)
            wharf.remove(stored.id)
        if first <= at < first + len(FIRST) or second <= at < second + len(SECOND):
            assert len(intaken.files) == 2
    assert accepted > 20  # what lies in content, names and fields
    assert staged(wharf) == []


def part(name: bytes, content: bytes, more: bytes = b"") -> bytes:
    return b"--b\r\nContent-Disposition: form-data; " + name + b"\r\n" + more + b"\r\n" + content


def endless(piece: bytes, size: int, *, chunk: int = 65_536) -> Iterator[bytes]:
    block = (piece * (chunk // len(piece) + 1))[:chunk]
    for _ in range(size // chunk):
        yield block


def with_start(start: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield start
    yield from rest


FILE = b"name=f; filename=a.bin"
ATTACKS: dict[str, Callable[[], Iterator[bytes]]] = {
    "200,000 parts (CVE-2023-25577, CVE-2023-30798)": (lambda: (part(b"name=f", b"x\r\n") * 1000 for _ in range(200))),
    "10,000 files (CVE-2023-24580)": (lambda: (part(FILE, b"x\r\n") * 100 for _ in range(100))),
    "8 MB of CR in a file (CVE-2023-46136)": (lambda: with_start(part(FILE, b""), endless(b"\r", 8_000_000))),
    "8 MB of LF in a file": (lambda: with_start(part(FILE, b""), endless(b"\n", 8_000_000))),
    "8 MB of almost boundaries in a file": (lambda: with_start(part(FILE, b""), endless(b"\r\n-", 8_000_000))),
    "64 MB without a file name (CVE-2024-49767, CVE-2024-47874)": (lambda: with_start(part(b"name=f", b""), endless(b"x", 64_000_000))),
    "a header without end": (lambda: with_start(b"--b\r\nContent-Disposition: ", endless(b"x", 64_000_000))),
    "headers without end": (lambda: with_start(b"--b\r\n", endless(b"X-A: b\r\n", 64_000_000))),
    "a preamble without end": (lambda: endless(b"x", 64_000_000)),
    "a name of 8 KB of backslashes (CVE-2026-8159)": (lambda: iter([part(b'name=f; filename="' + b"\\" * 8000 + b'"', b"x\r\n--b--\r\n")])),
    "an empty field name (CVE-2025-7338)": (lambda: iter([part(b'name=""; filename=a.bin', b"x\r\n--b--\r\n")])),
    "two names for one file": (lambda: iter([part(b"name=f; filename=a; filename=b", b"x\r\n--b--\r\n")])),
    "a file in base64": (lambda: iter([part(FILE, b"eA==\r\n--b--\r\n", b"Content-Transfer-Encoding: base64\r\n")])),
}  # fmt: skip


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_an_attack_costs_little_and_leaves_nothing(
    wharf: Wharf, attack: Callable[[], Iterator[bytes]]
) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF)
    with pytest.raises((RequestError, Rejected)):
        receive(wharf, attack(), headers)
    after = resource.getrusage(resource.RUSAGE_SELF)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    assert spent < CPU_SECONDS, spent
    assert staged(wharf) == []


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=list(ATTACKS))
def test_an_attack_needs_little_memory(wharf: Wharf, attack: Callable[[], Iterator[bytes]]) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    tracemalloc.start()
    try:
        with pytest.raises((RequestError, Rejected)):
            receive(wharf, attack(), headers)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < MEMORY, peak


def test_after_a_thousand_aborted_forms_nothing_is_open(wharf: Wharf) -> None:  # CVE-2025-47935
    for _ in range(1000):
        with pytest.raises(RequestError):
            take(wharf, BODY[: len(BODY) // 2])
    assert staged(wharf) == []
