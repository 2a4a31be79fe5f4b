from __future__ import annotations

import pytest

from wharfinger.errors import UsageError
from wharfinger.names import ClaimedName, ClaimedType
from wharfinger.protocol.form_body import FormFile, frame
from wharfinger.protocol.forms import FileData, FilePart, FormField, FormParser, PartEnd

PICTURE = FormFile("photo", "me.png", "image/png", 3)


def test_fields_come_first_and_each_file_has_its_place() -> None:
    unknown = FormFile("notes", "a.txt", "text/plain; charset=utf-8")
    framed = frame([("user_id", "12345"), ("x", "")], [PICTURE, unknown], boundary="Bound")
    assert framed.content_type == "multipart/form-data; boundary=Bound"
    assert framed.pieces == (
        (
            b"--Bound\r\n"
            b'Content-Disposition: form-data; name="user_id"\r\n'
            b"\r\n"
            b"12345\r\n"
            b"--Bound\r\n"
            b'Content-Disposition: form-data; name="x"\r\n'
            b"\r\n"
            b"\r\n"
            b"--Bound\r\n"
            b'Content-Disposition: form-data; name="photo"; filename="me.png"\r\n'
            b"Content-Type: image/png\r\n"
            b"\r\n"
        ),
        PICTURE,
        (
            b"\r\n"
            b"--Bound\r\n"
            b'Content-Disposition: form-data; name="notes"; filename="a.txt"\r\n'
            b"Content-Type: text/plain; charset=utf-8\r\n"
            b"\r\n"
        ),
        unknown,
        b"\r\n--Bound--\r\n",
    )
    assert framed.length is None


def test_the_length_is_exact_when_every_length_is_known() -> None:
    framed = frame([("a", "ü")], [PICTURE, PICTURE], boundary="Bound")
    literal = sum(len(piece) for piece in framed.pieces if isinstance(piece, bytes))
    assert framed.length == literal + 6


def test_no_file_and_no_field_is_only_the_end() -> None:
    framed = frame([], [], boundary="Bound")
    assert framed.pieces == (b"--Bound--\r\n",)
    assert framed.length == 11


def test_names_are_written_as_browsers_write_them() -> None:
    odd = FormFile('f"1', 'ü "100%"\r\n\\.png', "image/png", 0)
    framed = frame([('n"', "v")], [odd], boundary="Bound")
    assert isinstance(framed.pieces[0], bytes)
    assert b'name="n%22"' in framed.pieces[0]
    expected = 'name="f%221"; filename="ü %22100%%22%0D%0A\\.png"'
    assert expected.encode() in framed.pieces[0]


@pytest.mark.parametrize(
    "name",
    [
        "a.txt",
        "ü.txt",
        'a"b.txt',
        "a\\b.txt",
        "a\\",
        "a;b=c.txt",
        "日本語 😀.png",
        "a\r\nb",
        "it's.txt",
    ],
)
def test_our_own_parser_reads_the_same_names_back(name: str) -> None:
    framed = frame([(name, "v")], [FormFile(name, name, "image/png", 3)], boundary="Bound")
    body = b"".join(piece if isinstance(piece, bytes) else b"123" for piece in framed.pieces)
    assert len(body) == framed.length
    parser = FormParser(framed.content_type)
    assert parser.feed(body) == [
        FormField(name, "v"),
        FilePart(name, ClaimedName(name), ClaimedType("image/png")),
        FileData(b"123"),
        PartEnd(),
    ]
    parser.finish()


@pytest.mark.parametrize(
    "boundary", ["", "a" * 71, "a b", "a ", "a\r\nb", 'a"b', "a/b", "a:b", "ü", "a;b"]
)
def test_a_boundary_that_needs_quotes_or_is_none_is_refused(boundary: str) -> None:
    with pytest.raises(UsageError, match="boundary"):
        frame([], [], boundary=boundary)


def test_a_boundary_that_occurs_in_a_field_is_refused() -> None:
    with pytest.raises(UsageError, match="choose another"):
        frame([("a", "x\r\n--Bound--")], [], boundary="Bound")


@pytest.mark.parametrize("name", ["", "a\0b", "a\tb", "a\x1bb", "a\x7f", "a\ud800"])
def test_a_name_that_no_reader_accepts_is_refused(name: str) -> None:
    with pytest.raises(UsageError):
        frame([(name, "v")], [], boundary="Bound")
    with pytest.raises(UsageError):
        frame([], [FormFile("f", name, "image/png", 1)], boundary="Bound")


def test_a_value_that_utf_8_cannot_write_is_refused() -> None:
    with pytest.raises(UsageError, match="UTF-8"):
        frame([("a", "\ud800")], [], boundary="Bound")


@pytest.mark.parametrize("media_type", ["", "png", "image/png\r\nX: y", "image/*; q=\0"])
def test_a_type_that_is_none_is_refused(media_type: str) -> None:
    with pytest.raises(UsageError, match="media type"):
        frame([], [FormFile("f", "a", media_type, 1)], boundary="Bound")
