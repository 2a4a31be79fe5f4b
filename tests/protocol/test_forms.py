"""What honest programs send: recordings of browsers and clients, byte for byte."""

from __future__ import annotations

import pytest

from wharfinger.protocol.forms import (
    FileData,
    FilePart,
    FormEvent,
    FormField,
    FormLimits,
    FormParser,
    PartEnd,
)


def merged(events: list[FormEvent]) -> list[FormEvent]:
    """Join neighbouring pieces of file data, so that only the content is compared."""
    result: list[FormEvent] = []
    for event in events:
        last = result[-1] if result else None
        if isinstance(event, FileData) and isinstance(last, FileData):
            result[-1] = FileData(last.data + event.data)
        else:
            result.append(event)
    return result


def parse(content_type: str, *pieces: bytes, limits: FormLimits | None = None) -> list[FormEvent]:
    parser = FormParser(content_type) if limits is None else FormParser(content_type, limits=limits)
    events = [event for piece in pieces for event in parser.feed(piece)]
    parser.finish()
    return merged(events)


def file(field: str, name: str, media_type: str | None, data: bytes) -> list[tuple[object, ...]]:
    content: list[tuple[object, ...]] = [("data", data)] if data else []
    return [("file", field, name, media_type), *content, ("end",)]


def flat(events: list[FormEvent]) -> list[tuple[object, ...]]:
    result: list[tuple[object, ...]] = []
    for event in events:
        match event:
            case FilePart(field, name, media_type):
                result.append(("file", field, name, media_type))
            case FileData(data):
                result.append(("data", data))
            case PartEnd():
                result.append(("end",))
            case FormField(name, value):
                result.append(("field", name, value))
    return result


RECORDINGS = [
    pytest.param(
        "multipart/form-data; boundary=----WebKitFormBoundaryE19zNvXGzXaLvS5C",
        b"------WebKitFormBoundaryE19zNvXGzXaLvS5C\r\n"
        b'Content-Disposition: form-data; name="user_id"\r\n\r\n12345\r\n'
        b"------WebKitFormBoundaryE19zNvXGzXaLvS5C\r\n"
        b'Content-Disposition: form-data; name="photo"; filename="\xc3\x9cber %22x%22.png"\r\n'
        b"Content-Type: image/png\r\n\r\n\x89PNG\r\n\x1a\n\r\n"
        b"------WebKitFormBoundaryE19zNvXGzXaLvS5C--\r\n",
        [
            ("field", "user_id", "12345"),
            *file("photo", 'Über "x".png', "image/png", b"\x89PNG\r\n\x1a\n"),
        ],
        id="Chromium: UTF-8 name with quotes",
    ),
    pytest.param(
        "multipart/form-data; boundary=----WebKitFormBoundaryAAAAAAAAAAAAAAAA",
        b"------WebKitFormBoundaryAAAAAAAAAAAAAAAA\r\n"
        b'Content-Disposition: form-data; name="photo"; filename=""\r\n'
        b"Content-Type: application/octet-stream\r\n\r\n\r\n"
        b"------WebKitFormBoundaryAAAAAAAAAAAAAAAA--\r\n",
        file("photo", "", "application/octet-stream", b""),
        id="Chromium: an empty file input",
    ),
    pytest.param(
        "multipart/form-data; boundary=---------------------------186454651713519341951581030105",
        b"-----------------------------186454651713519341951581030105\r\n"
        b'Content-Disposition: form-data; name="file1"; filename="anchor.png"\r\n'
        b"Content-Type: image/png\r\n\r\n--\r\n--\r\n"
        b"-----------------------------186454651713519341951581030105\r\n"
        b'Content-Disposition: form-data; name="text"\r\n\r\n'
        b"ihr da oben \xe2\x80\x94 line\r\ntwo\r\n"
        b"-----------------------------186454651713519341951581030105--\r\n",
        [
            *file("file1", "anchor.png", "image/png", b"--\r\n--"),
            ("field", "text", "ihr da oben — line\r\ntwo"),
        ],
        id="Firefox: hyphens in the data",
    ),
    pytest.param(
        "multipart/form-data; boundary=----geckoformboundary8b4d2cb2c3ed2f8ad7b0b9f5b1d6a9c7",
        b"------geckoformboundary8b4d2cb2c3ed2f8ad7b0b9f5b1d6a9c7\r\n"
        b'Content-Disposition: form-data; name="a"; filename="back\\slash.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nx\r\n"
        b"------geckoformboundary8b4d2cb2c3ed2f8ad7b0b9f5b1d6a9c7--\r\n",
        file("a", "back\\slash.txt", "text/plain", b"x"),
        id="Firefox: a backslash in the name",
    ),
    pytest.param(
        "multipart/form-data; boundary=------------------------d74496d66958873e",
        b"--------------------------d74496d66958873e\r\n"
        b'Content-Disposition: form-data; name="file"; filename="hello.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhello\n\r\n"
        b"--------------------------d74496d66958873e\r\n"
        b'Content-Disposition: form-data; name="user"\r\n\r\n7\r\n'
        b"--------------------------d74496d66958873e--\r\n",
        [*file("file", "hello.txt", "text/plain", b"hello\n"), ("field", "user", "7")],
        id="curl -F",
    ),
    pytest.param(
        "multipart/form-data; boundary=------------------------d74496d66958873e",
        b"--------------------------d74496d66958873e\r\n"
        b'Content-Disposition: form-data; name="file"; filename="a\\"b.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nx\r\n"
        b"--------------------------d74496d66958873e--\r\n",
        file("file", 'a"b.txt', "text/plain", b"x"),
        id="curl before 7.81: a backslash before the quote",
    ),
    pytest.param(
        "multipart/form-data; boundary=0d2a6d5d0c5e1b6c2f3e4d5c6b7a8990",
        b"--0d2a6d5d0c5e1b6c2f3e4d5c6b7a8990\r\n"
        b'Content-Disposition: form-data; name="k"\r\n\r\nv\r\n'
        b"--0d2a6d5d0c5e1b6c2f3e4d5c6b7a8990\r\n"
        b'Content-Disposition: form-data; name="file"; filename="f.bin"\r\n\r\n'
        b"\x00\x01\r\n"
        b"--0d2a6d5d0c5e1b6c2f3e4d5c6b7a8990--\r\n",
        [("field", "k", "v"), *file("file", "f.bin", None, b"\x00\x01")],
        id="requests: no part type",
    ),
    pytest.param(
        "multipart/form-data; boundary=2ab5f0e3b8f84b0b9e6c4a1c0f9d8e7b",
        b"--2ab5f0e3b8f84b0b9e6c4a1c0f9d8e7b\r\n"
        b'Content-Disposition: form-data; name="file"; filename="f.txt"\r\n'
        b"Content-Type: text/plain\r\n\r\nhi\r\n"
        b"--2ab5f0e3b8f84b0b9e6c4a1c0f9d8e7b--\r\n",
        file("file", "f.txt", "text/plain", b"hi"),
        id="httpx",
    ),
    pytest.param(
        "multipart/form-data; boundary=b8b9f0d1",
        b"--b8b9f0d1\r\n"
        b"Content-Type: application/octet-stream\r\n"
        b"Content-Disposition: form-data; name=\"file\"; filename=\"f%20x.txt\"; filename*=utf-8''f%20x.txt\r\n"
        b"\r\nhi\r\n--b8b9f0d1--\r\n",
        file("file", "f%20x.txt", "application/octet-stream", b"hi"),
        id="aiohttp: filename* beside filename is ignored",
    ),
    pytest.param(
        "multipart/form-data; boundary=f5c2a7d0-1d2e-4f3a-8b4c-5d6e7f8a9b0c",
        b"--f5c2a7d0-1d2e-4f3a-8b4c-5d6e7f8a9b0c\r\n"
        b'Content-Disposition: form-data; name="file"; filename="f.txt"\r\n'
        b"Content-Type: text/plain\r\n"
        b"Content-Length: 2\r\n\r\nhi\r\n"
        b"--f5c2a7d0-1d2e-4f3a-8b4c-5d6e7f8a9b0c--\r\n",
        file("file", "f.txt", "text/plain", b"hi"),
        id="OkHttp: parts with a length",
    ),
    pytest.param(
        'multipart/form-data; boundary="3a1c5b7d-9e2f-4a6b-8c0d-1e3f5a7b9c2d"',
        b"--3a1c5b7d-9e2f-4a6b-8c0d-1e3f5a7b9c2d\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Disposition: form-data; name=k\r\n\r\nv\r\n"
        b"--3a1c5b7d-9e2f-4a6b-8c0d-1e3f5a7b9c2d\r\n"
        b"Content-Disposition: form-data; name=file; filename=f.bin; filename*=utf-8''f.bin\r\n\r\n"
        b"\x00\r\n--3a1c5b7d-9e2f-4a6b-8c0d-1e3f5a7b9c2d--\r\n",
        [("field", "k", "v"), *file("file", "f.bin", None, b"\x00")],
        id=".NET: tokens, a quoted boundary, the type before the disposition",
    ),
    pytest.param(
        'Multipart/Form-Data; charset=utf-8; Boundary="-x \'()+_,./:=?y"',
        b"---x '()+_,./:=?y\r\n"
        b"content-disposition: FORM-DATA; NAME=a\r\n"
        b"content-transfer-encoding: 8BIT\r\n"
        b"content-length: 2\r\n"
        b"content-type:\r\n"
        b"\r\nhi\r\n---x '()+_,./:=?y--",
        [("field", "a", "hi")],
        id="every character a boundary may have, no line after the end",
    ),
    pytest.param(
        "multipart/form-data; boundary=b",
        b"preamble --b\r\nof --b-- two lines\r\n--b\r\n"
        b'Content-Disposition: form-data; name="a"\r\n\r\n\r\n--b--  \t\r\nepilogue\n--b\r\n',
        [("field", "a", "")],
        id="preamble and epilogue are ignored",
    ),
    pytest.param("multipart/form-data; boundary=b", b"--b--\r\n", [], id="no part at all"),
    pytest.param("multipart/form-data; boundary=b", b"\r\n--b--", [], id="no part, a CRLF before"),
]  # fmt: skip


@pytest.mark.parametrize(("content_type", "body", "expected"), RECORDINGS)
def test_what_browsers_and_clients_send_is_read(
    content_type: str, body: bytes, expected: list[tuple[object, ...]]
) -> None:
    assert flat(parse(content_type, body)) == expected


@pytest.mark.parametrize(("content_type", "body", "expected"), RECORDINGS)
def test_events_do_not_depend_on_how_the_body_was_cut(
    content_type: str, body: bytes, expected: list[tuple[object, ...]]
) -> None:
    single_bytes = [body[index : index + 1] for index in range(len(body))]
    assert flat(parse(content_type, *single_bytes)) == expected
    for cut in range(len(body) + 1):
        assert flat(parse(content_type, body[:cut], b"", body[cut:])) == expected, cut


@pytest.mark.parametrize(
    "near",
    [
        b"\r--Bnd", b"\n--Bnd", b"\r\n-Bnd", b"\r\n--Bn", b"\r\n--bnd", b"x--Bnd--\r\n", b"\r\n --Bnd",
        b"\r\r--Bnd", b"\r\n-\r\n--Bn\r\n--B", b"\r\n--", b"\r\n", b"\r", b"\r\r\r", b"\r\n--Bn\r",
    ],
)  # fmt: skip
def test_near_misses_of_the_delimiter_are_data(near: bytes) -> None:
    head = b'--Bnd\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n'
    body = head + near + b"\r\n--Bnd--\r\n"
    expected = file("f", "x", None, near)
    assert flat(parse("multipart/form-data; boundary=Bnd", body)) == expected
    for cut in range(len(head), len(body)):
        pieces = (body[:cut], body[cut:])
        assert flat(parse("multipart/form-data; boundary=Bnd", *pieces)) == expected


def test_a_part_without_a_name_of_a_file_is_text_in_utf_8_whatever_charset_it_claims() -> None:
    body = (
        b'--b\r\nContent-Disposition: form-data; name="_charset_"\r\n\r\niso-8859-1\r\n'
        b'--b\r\nContent-Disposition: form-data; name="\xc3\xa4"\r\n'
        b"Content-Type: text/plain; charset=iso-8859-1\r\n\r\n\xc3\xa4\r\n--b--\r\n"
    )
    assert flat(parse("multipart/form-data; boundary=b", body)) == [
        ("field", "_charset_", "iso-8859-1"),
        ("field", "ä", "ä"),
    ]


def test_nested_field_names_are_plain_text() -> None:
    body = b'--b\r\nContent-Disposition: form-data; name="a[b][c]"\r\n\r\nx\r\n--b--\r\n'
    assert flat(parse("multipart/form-data; boundary=b", body)) == [("field", "a[b][c]", "x")]


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "a.txt::$DATA", "C:\\x\\y.txt", "\\\\h\\s"])
def test_a_hostile_file_name_is_handed_on_as_a_claim(name: str) -> None:
    body = (
        f'--b\r\nContent-Disposition: form-data; name="f"; filename="{name}"\r\n\r\nx\r\n--b--\r\n'
    ).encode()
    assert flat(parse("multipart/form-data; boundary=b", body)) == file("f", name, None, b"x")


def test_file_data_leaves_in_the_call_in_which_it_came() -> None:
    parser = FormParser("multipart/form-data; boundary=b")
    parser.feed(b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\n')
    assert parser.feed(b"x" * 100_000) == [FileData(b"x" * 100_000)]
    assert parser.feed(b"y\r\n--") == [FileData(b"y")]
    assert parser.feed(b"z") == [FileData(b"\r\n--z")]


def test_a_bytearray_that_is_used_again_does_no_harm() -> None:
    buffer = bytearray(b'--b\r\nContent-Disposition: form-data; name="f"; filename="x"\r\n\r\nabc')
    parser = FormParser("multipart/form-data; boundary=b")
    events = parser.feed(buffer)
    buffer[:] = b"\0" * len(buffer)
    assert events[-1] == FileData(b"abc")
