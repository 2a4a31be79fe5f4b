"""What no honest program sends: the rules of RFC 7578 and RFC 2046, and attacks on other parsers."""

from __future__ import annotations

import random
import time
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wharfinger.errors import (
    MalformedMultipart,
    TooLarge,
    UnsupportedEncoding,
    WharfingerError,
)
from wharfinger.protocol.forms import (
    FileData,
    FilePart,
    FormEvent,
    FormField,
    FormLimits,
    FormParser,
    PartEnd,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

TYPE = "multipart/form-data; boundary=Bnd"
NAMED = b'Content-Disposition: form-data; name="a"'
FILE = b'Content-Disposition: form-data; name="f"; filename="x.bin"'
# A quadratic parser needs minutes for what these tests feed it; a linear one a second or so.
BUDGET_SECONDS = 20.0


def part(*header: bytes, data: bytes = b"x", end: bytes = b"\r\n--Bnd--\r\n") -> bytes:
    return b"--Bnd\r\n" + b"".join(line + b"\r\n" for line in header) + b"\r\n" + data + end


def run(pieces: Iterable[bytes], limits: FormLimits | None = None) -> list[FormEvent]:
    parser = FormParser(TYPE) if limits is None else FormParser(TYPE, limits=limits)
    events = [event for piece in pieces for event in parser.feed(piece)]
    parser.finish()
    return events


def singly(body: bytes) -> Iterator[bytes]:
    return (body[index : index + 1] for index in range(len(body)))


def cut_into(body: bytes, size: int) -> Iterator[bytes]:
    return (body[index : index + size] for index in range(0, len(body), size))


@pytest.mark.parametrize(
    "content_type",
    [
        "",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        "multipart/form-data; boundary=" + "a" * 71,
        'multipart/form-data; boundary="a "',
        'multipart/form-data; boundary="a\\"b"',
        "multipart/form-data; boundary=a%b",
        "multipart/form-data; boundary=a{b}",
        'multipart/form-data; boundary="a;b"',
        'multipart/form-data; boundary="ä"',
        'multipart/form-data; boundary="a\r\nb"',
        "multipart/form-data; boundary=a; boundary=b",
        "multipart/form-data; boundary=a b",
        "multipart/mixed; boundary=a",
        "application/x-www-form-urlencoded; boundary=a",
        "multipart/form-data;" + "\\" * 100_000,
    ],
    ids=lambda value: repr(value[:60]),
)
def test_a_wrong_type_or_boundary_is_refused_before_the_body(content_type: str) -> None:
    with pytest.raises(MalformedMultipart):
        FormParser(content_type)


def test_the_longest_boundary_is_accepted() -> None:
    parser = FormParser("multipart/form-data; boundary=" + "a" * 70)
    parser.feed(b"--" + b"a" * 70 + b"--")
    parser.finish()


BROKEN = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"--Bnd", id="only a beginning"),
    pytest.param(b"--Bnd\r\n", id="only a delimiter"),
    pytest.param(part(NAMED, end=b""), id="no closing delimiter"),
    pytest.param(part(NAMED, end=b"\r\n--Bnd\r\n"), id="a delimiter instead of the closing one"),
    pytest.param(part(NAMED, end=b"\r\n--Bnd-"), id="half a closing delimiter"),
    pytest.param(part(NAMED, end=b"\r\n--Bnd--\r"), id="a closing line cut short"),
    pytest.param(part(NAMED, end=b"\r\n--Bnd--\n"), id="a bare LF after the end"),
    pytest.param(part(NAMED, end=b"\r\n--Bnd--x\r\n"), id="rubbish after the end"),
    pytest.param(part(NAMED, end=b"\r\n--BndX\r\n"), id="rubbish after a delimiter"),
    pytest.param(part(NAMED, end=b"\r\n--Bnd \r\n\r\n--Bnd--"), id="a padded delimiter"),
    pytest.param(b"--Bnd\n" + NAMED + b"\n\nx\n--Bnd--\n", id="bare LF everywhere"),
    pytest.param(b"--Bnd \r\n" + NAMED + b"\r\n\r\nx\r\n--Bnd--", id="a padded first delimiter"),
    pytest.param(b"--Bnd\r\n" + NAMED + b"\n\r\nx\r\n--Bnd--\r\n", id="bare LF in the header"),
    pytest.param(b"--Bnd\r\n" + NAMED + b"\n\nx\r\n--Bnd--\r\n", id="bare LF ends the header"),
    pytest.param(b"x--Bnd--\r\n", id="the delimiter does not begin its line"),
    pytest.param(b"--Bnd\r\n" + NAMED + b"\r\n--Bnd--", id="the end inside a header"),
    pytest.param(b"--Bnd\r\n" + NAMED + b"\r\n--Bnd--\r\n\r\n", id="the end as a header line"),
    pytest.param(part(NAMED, end=b"\r\n--Bnd\r\n" + NAMED + b"\r\n--Bnd--"), id="the end in a later header"),
    pytest.param(part(NAMED, b"--Bnd--: x"), id="the end as the name of a header"),
    pytest.param(part(NAMED) + b"x" + part(NAMED, data=b"y" * 1024), id="another form in the epilogue"),
    pytest.param(part(NAMED, end=b"\r\n") + part(NAMED, b"--Bnd--: x"), id="the end as a later header's name"),
    pytest.param(part(NAMED, data=b"--Bnd--"), id="the end right after a header"),
    pytest.param(part(NAMED, data=b"--Bnd--\r\n", end=b""), id="only the end after a header"),
    pytest.param(part(FILE, data=b"--Bnd\r\n"), id="a delimiter right after a header"),
    pytest.param(part(NAMED, end=b"\r\n") + part(FILE, data=b"--Bnd--y"), id="the end begins a file"),
    pytest.param(part(), id="no header"),
    pytest.param(part(b"Content-Type: text/plain"), id="no disposition"),
    pytest.param(part(b'Content-Disposition: attachment; name="a"'), id="another disposition"),
    pytest.param(part(b'Content-Disposition: form-data-x; name="a"'), id="nearly form-data"),
    pytest.param(part(b'Content-Disposition: "form-data"; name="a"'), id="quoted form-data"),
    pytest.param(part(b"Content-Disposition: form-data"), id="no name"),
    pytest.param(part(b'Content-Disposition: form-data; filename="a"'), id="a file without a field"),
    pytest.param(part(b'Content-Disposition: form-data; name=""'), id="an empty name"),
    pytest.param(part(b"Content-Disposition: form-data; name="), id="a name without a value"),
    pytest.param(part(b'Content-Disposition: form-data; name="a'), id="a quote without an end"),
    pytest.param(part(b'Content-Disposition: form-data; name="a" filename="b"'), id="no semicolon"),
    pytest.param(part(b'Content-Disposition: form-data, name="a"'), id="a comma"),
    pytest.param(part(b'Content-Disposition: form-data; name="a"; name="b"'), id="two names"),
    pytest.param(part(FILE + b'; filename="b.php"'), id="two file names"),
    pytest.param(part(FILE + b'; FILENAME="x.bin"'), id="the same file name twice"),
    pytest.param(part(NAMED + b"; filename*=UTF-8''b.php"), id="filename* alone"),
    pytest.param(part(FILE, b'Content-Disposition: form-data; name="b"'), id="two dispositions"),
    pytest.param(part(FILE, FILE), id="the same disposition twice"),
    pytest.param(part(FILE, b'content-disposition : form-data; name="b"'), id="two, one with a space"),
    pytest.param(part(FILE, b"Content-Type: a/b", b"content-type: c/d"), id="two types"),
    pytest.param(part(FILE, b"Content-Type: png"), id="a type that is none"),
    pytest.param(part(FILE, b"Content-Type: a/b; c=d; c=e"), id="a type that contradicts itself"),
    pytest.param(part(FILE, b"Content-Type: multipart/mixed; boundary=c"), id="a nested form"),
    pytest.param(part(NAMED, b" folded"), id="a folded line"),
    pytest.param(part(b" folded", NAMED), id="a folded first line"),
    pytest.param(part(NAMED, b"X-A: b\rc"), id="a CR in the header"),
    pytest.param(part(NAMED, b"X-A: b\x00c"), id="a NUL in the header"),
    pytest.param(part(b'Content-Disposition: form-data; name="f"; filename="a\x00b"'), id="a NUL in a name"),
    pytest.param(part(b'Content-Disposition: form-data; name="f"; filename="a\x1bb"'), id="an escape in a name"),
    pytest.param(part(b'Content-Disposition: form-data; name="a\xff"'), id="a name that is not UTF-8"),
    pytest.param(part(NAMED, data=b"\xff"), id="a value that is not UTF-8"),
    pytest.param(part(NAMED, b"nonsense"), id="a line without a colon"),
    pytest.param(part(NAMED, b"X(Y): z"), id="a header name that is none"),
    pytest.param(part(NAMED, b": z"), id="an empty header name"),
    pytest.param(part(FILE, b"Content-Length: 2"), id="a length that is too large"),
    pytest.param(part(FILE, b"Content-Length: 0"), id="a length that is too small"),
    pytest.param(part(FILE, b"Content-Length: -1"), id="a negative length"),
    pytest.param(part(FILE, b"Content-Length: " + b"9" * 5000), id="a length of 5000 digits"),
    pytest.param(part(FILE, b"Content-Length: 1", b"Content-Length: 1"), id="two lengths"),
    pytest.param(part(NAMED, *[b"X-%d: y" % index for index in range(8)]), id="nine header lines"),
    pytest.param(part(NAMED, b"\nX-A: b"), id="a bare LF before a header name"),
    pytest.param(part(b"\n" + NAMED), id="a bare LF before the first header name"),
    pytest.param(part(NAMED, b"X-A\x0b: b"), id="a control character after a header name"),
    pytest.param(part(NAMED, b"X-A : b"), id="a space before the colon"),
    pytest.param(part(NAMED, b"X: " + b" " * 8160), id="a long header of white space"),
    pytest.param(part(NAMED, b"X: " + b"y" * 8192), id="a long header line"),
    pytest.param(part(NAMED, b"X: " + b"y" * 4096, b"Y: " + b"z" * 4096), id="a long header"),
    pytest.param(b"y" * 1025 + b"\r\n" + part(NAMED), id="a long preamble"),
    pytest.param(b"y" * 5000, id="only a preamble"),
    pytest.param(part(NAMED) + b"y" * 1025, id="a long epilogue"),
]  # fmt: skip


@pytest.mark.parametrize("body", BROKEN)
def test_a_broken_form_is_the_same_error_however_it_is_cut(body: bytes) -> None:
    for pieces in ([body], singly(body), cut_into(body, 7)):
        with pytest.raises(MalformedMultipart):
            run(pieces)


@pytest.mark.parametrize(
    "encoding", [b"base64", b"quoted-printable", b"x-gzip", b"", b"binary, 7bit"]
)
def test_a_part_that_is_encoded_is_refused(encoding: bytes) -> None:
    body = part(FILE, b"Content-Transfer-Encoding: " + encoding)
    for pieces in ([body], singly(body)):
        with pytest.raises(UnsupportedEncoding):
            run(pieces)


@pytest.mark.parametrize("encoding", [b"7bit", b"8bit", b"Binary "])
def test_an_encoding_that_changes_nothing_is_accepted(encoding: bytes) -> None:
    events = run([part(FILE, b"Content-Transfer-Encoding: " + encoding)])
    assert FileData(b"x") in events


SMALL = FormLimits(
    max_files=2,
    max_fields=2,
    max_field_size=4,
    max_fields_total=8,
    max_header_size=100,
    max_header_count=3,
    max_preamble=5,
    max_epilogue=6,
)


def several(*parts: tuple[bytes, bytes]) -> bytes:
    return b"".join(b"--Bnd\r\n%b\r\n\r\n%b\r\n" % pair for pair in parts) + b"--Bnd--\r\n"


@pytest.mark.parametrize(
    ("body", "error", "number"),
    [
        pytest.param(several((FILE, b"x"), (FILE, b"x"), (FILE, b"x")), MalformedMultipart, "2 files", id="files"),
        pytest.param(several((NAMED, b"x"), (NAMED, b"x"), (NAMED, b"x")), MalformedMultipart, "2 fields", id="fields"),
        pytest.param(
            several((NAMED, b"x"), (FILE, b"x"), (NAMED, b"x"), (FILE, b"x"), (FILE, b"x")),
            MalformedMultipart, "4 parts", id="parts",
        ),
        pytest.param(several((NAMED, b"12345")), TooLarge, "4 bytes", id="one field"),
        pytest.param(several((NAMED, b"1234"), (NAMED, b"123")), TooLarge, "8 bytes", id="all fields"),
        pytest.param(several((NAMED + b"\r\nX: " + b"y" * 60, b"x")), MalformedMultipart, "100 bytes", id="header"),
        pytest.param(several((NAMED + b"\r\nX: " + b"y" * 200, b"x")), MalformedMultipart, "100 bytes", id="header line"),
        pytest.param(several((NAMED + b"\r\nX: y\r\nY: z\r\nZ: 0", b"x")), MalformedMultipart, "3 header lines", id="lines"),
        pytest.param(b"123456\r\n--Bnd--", MalformedMultipart, "5 bytes", id="preamble"),
        pytest.param(b"--Bnd--\r\n12345", MalformedMultipart, "6 bytes", id="epilogue"),
    ],
)  # fmt: skip
def test_over_a_limit_the_error_has_the_number(
    body: bytes, error: type[WharfingerError], number: str
) -> None:
    for pieces in ([body], singly(body)):
        with pytest.raises(error) as caught:
            run(pieces, SMALL)
        assert number in caught.value.detail
        if isinstance(caught.value, TooLarge):
            assert f"{caught.value.limit} bytes" == number


@pytest.mark.parametrize(
    "body",
    [
        several((FILE, b"x" * 100), (FILE, b"x" * 100), (NAMED, b"123"), (NAMED, b"123")),
        several((NAMED, b"1234")),
        several((NAMED + b"\r\nX: " + b"y" * 53, b"x")),
        several((NAMED + b"\r\nX: y\r\nY: z", b"x")),
        b"12345\r\n--Bnd--",
        b"--Bnd--\r\n1234",
    ],
)
def test_at_the_limit_the_form_is_accepted(body: bytes) -> None:
    assert shape(run([body], SMALL)) == shape(run(singly(body), SMALL))


def test_after_an_error_every_call_raises_it_again() -> None:
    parser = FormParser(TYPE)
    with pytest.raises(MalformedMultipart) as first:
        parser.feed(b"--Bnd\nx")
    for again in (lambda: parser.feed(b"--Bnd--"), lambda: parser.feed(b""), parser.finish):
        with pytest.raises(MalformedMultipart) as caught:
            again()
        assert caught.value is first.value


def test_a_form_that_was_finished_too_early_stays_refused() -> None:
    parser = FormParser(TYPE)
    with pytest.raises(MalformedMultipart, match="cut short"):
        parser.finish()
    with pytest.raises(MalformedMultipart, match="cut short"):
        parser.feed(part(NAMED))


WHOLE = (
    b"--Bnd\r\n" + NAMED + b"\r\n\r\nvalue\r\n"
    b"--Bnd\r\n" + FILE + b"\r\nContent-Type: image/png\r\n\r\n\r\n--Bn\r\nd\r\n--Bnd--\r\n"
)  # fmt: skip
EVENTS: list[FormEvent] = [FormField("a", "value")]


def test_a_form_cut_at_any_byte_is_never_complete() -> None:
    for length in range(len(WHOLE) - 2):
        with pytest.raises(MalformedMultipart):
            run([WHOLE[:length]])
        with pytest.raises(MalformedMultipart):
            run(singly(WHOLE[:length]))
    run([WHOLE[:-2]])  # the line break after the end is not needed
    run([WHOLE])


def shape(events: list[FormEvent]) -> tuple[list[FormEvent], bytes]:
    data = b"".join(event.data for event in events if isinstance(event, FileData))
    return [event for event in events if not isinstance(event, FileData)], data


def test_a_form_split_twice_at_any_bytes_gives_the_same_events() -> None:
    expected = (
        [FormField("a", "value"), *run([part(FILE, b"Content-Type: image/png", data=b"")])],
        b"\r\n--Bn\r\nd",
    )
    for first in range(0, len(WHOLE), 3):
        for second in range(first, len(WHOLE), 2):
            pieces = (WHOLE[:first], WHOLE[first:second], WHOLE[second:])
            assert shape(run(pieces)) == expected


def test_a_form_with_any_byte_flipped_is_read_or_refused() -> None:
    outcomes = {"read": 0, "refused": 0}
    for index in range(len(WHOLE)):
        for bit in (0x01, 0x20, 0x80):
            body = WHOLE[:index] + bytes([WHOLE[index] ^ bit]) + WHOLE[index + 1 :]
            results: list[object] = []
            for pieces in ([body], singly(body)):
                try:
                    results.append(shape(run(pieces)))
                except WharfingerError as error:
                    results.append(type(error))
            assert results[0] == results[1], body
            outcomes["refused" if isinstance(results[0], type) else "read"] += 1
    assert min(outcomes.values()) > 10


FRAGMENTS = [
    b"--Bnd", b"--Bnd--", b"\r\n", b"\r", b"\n", b"--", b"-", b" ", b"\0", b"\x0b", b"\xc2\x85",
    NAMED, FILE, b"Content-Type: a/b", b'; name="x"', b"x", b":", b";", b'"',
]  # fmt: skip


@given(
    st.lists(st.tuples(st.integers(0, len(WHOLE)), st.integers(0, 4), st.sampled_from(FRAGMENTS))),
    st.lists(st.integers(0, len(WHOLE)), max_size=6),
)
@settings(max_examples=500)
def test_a_damaged_form_is_read_or_refused_alike_however_it_is_cut(
    damage: list[tuple[int, int, bytes]], cuts: list[int]
) -> None:
    body = WHOLE
    for index, removed, added in damage:
        body = body[:index] + added + body[index + removed :]
    edges = [0, *sorted(min(cut, len(body)) for cut in cuts), len(body)]
    pieces = [body[first:last] for first, last in pairwise(edges)]
    results: list[object] = []
    for variant in ([body], pieces, singly(body)):
        try:
            results.append(shape(run(variant)))
        except WharfingerError as error:
            results.append(type(error))
    assert results[0] == results[1] == results[2]


# --- attacks that other parsers fell to --------------------------------------------------


def refused_within_budget(pieces: Iterable[bytes]) -> None:
    begin = time.perf_counter()
    with pytest.raises((MalformedMultipart, TooLarge)):
        run(pieces)
    assert time.perf_counter() - begin < BUDGET_SECONDS


def test_200_000_parts_are_refused_at_the_first_too_many() -> None:  # CVE-2023-25577, -30798
    refused_within_budget([several(*[(NAMED, b"")] * 200_000)])


def test_10_000_files_are_refused_at_the_first_too_many() -> None:  # CVE-2023-24580
    parser = FormParser(TYPE)
    one = b"--Bnd\r\n" + FILE + b"\r\n\r\n\r\n"
    begun = [event for _ in range(100) for event in parser.feed(one) if isinstance(event, FilePart)]
    assert len(begun) == 100
    with pytest.raises(MalformedMultipart, match="100 files"):
        parser.feed(one * 9_900)


@pytest.mark.parametrize(
    "filler", [b"\r", b"\n", b"\r\n", b"\r\n-", b"\r\n--", b"\r\n--Bn", b"\r\r\n-"]
)
@pytest.mark.parametrize(("size", "chunk"), [(64 * 1024, 1), (2**20, 64), (8 * 2**20, 64 * 1024)])
def test_line_breaks_without_end_cost_linear_time(  # CVE-2023-46136
    filler: bytes, size: int, chunk: int
) -> None:
    body = part(FILE, data=filler * (size // len(filler)))
    begin = time.perf_counter()
    _, data = shape(run(cut_into(body, chunk)))
    assert time.perf_counter() - begin < BUDGET_SECONDS
    assert data == filler * (size // len(filler))


def test_a_field_of_64_mib_is_refused_at_its_limit() -> None:  # CVE-2024-49767, CVE-2024-47874
    parser = FormParser(TYPE)
    parser.feed(b"--Bnd\r\n" + NAMED + b"\r\n\r\n")
    parser.feed(b"x" * 65536)
    with pytest.raises(TooLarge) as caught:
        parser.feed(b"x")
    assert caught.value.limit == 65536


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"\r\n" * (4 * 2**20), id="preamble of line breaks"),  # CVE-2024-53981
        pytest.param(b"x" * (8 * 2**20), id="preamble"),  # CVE-2026-40347
        pytest.param(part(NAMED) + b"\r\n" * (4 * 2**20), id="epilogue of line breaks"),
        pytest.param(part(NAMED, b"X: " + b"y" * (8 * 2**20)), id="8 MB header"),  # CVE-2026-42561
        pytest.param(part(NAMED, *[b"X-%d: y" % n for n in range(300_000)]), id="300,000 header lines"),
        pytest.param(b"--Bnd\r\n" + b"y" * (8 * 2**20), id="a header line without end"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("chunk", [1000, 64 * 1024, 16 * 2**20])
def test_what_comes_without_end_is_refused_early(body: bytes, chunk: int) -> None:
    refused_within_budget(cut_into(body, chunk))


@pytest.mark.parametrize(
    "filler", [b"\\", b'\\"', b'";', b'; a="', b"; ", b";", b"=", b'; a="\\', b" "]
)
def test_a_header_of_8_kib_made_to_confuse_costs_no_time(filler: bytes) -> None:  # CVE-2026-8159
    line = b'Content-Disposition: form-data; name="a' + filler * (7000 // len(filler))
    begin = time.perf_counter()
    for _ in range(10):
        with pytest.raises(MalformedMultipart):
            run([part(line, b"X: " + line[-900:])])
    assert time.perf_counter() - begin < BUDGET_SECONDS


def test_a_large_file_passes_through_flat_memory() -> None:
    parser = FormParser(TYPE)
    parser.feed(b"--Bnd\r\n" + FILE + b"\r\n\r\n")
    piece = random.Random(7).randbytes(64 * 1024)  # noqa: S311 - not a secret
    passed = 0
    tracemalloc.start()
    try:
        for _ in range(512):
            passed += sum(len(e.data) for e in parser.feed(piece) if isinstance(e, FileData))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert parser.feed(b"\r\n--Bnd--\r\n")[-1] == PartEnd()
    parser.finish()
    assert passed == 32 * 2**20
    assert peak < 2**20


def test_without_its_hook_into_the_parser_every_form_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delattr("wharfinger.protocol.forms._LineKeeper._on_segment_headerline")
    with pytest.raises(MalformedMultipart):
        run([part(NAMED)])
