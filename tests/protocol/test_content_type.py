from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger.errors import RequestError
from wharfinger.protocol.content_type import essence, parse_content_type
from wharfinger.protocol.parameters import parse_browser_parameters


@pytest.mark.parametrize(
    ("value", "media_type", "parameters"),
    [
        ("text/plain", "text/plain", {}),
        (" Text/PLAIN ", "text/plain", {}),
        ("text/html;charset=UTF-8", "text/html", {"charset": "UTF-8"}),
        ('text/html; Charset="utf-8"', "text/html", {"charset": "utf-8"}),
        ("text/html ; charset=utf-8", "text/html", {"charset": "utf-8"}),
        ("text/html;", "text/html", {}),
        ("text/html; ; a=b;", "text/html", {"a": "b"}),
        (r'a/b; c="x\"y\\z; d=e"', "a/b", {"c": 'x"y\\z; d=e'}),
        ('a/b; c=""', "a/b", {"c": ""}),
        ("image/svg+xml", "image/svg+xml", {}),
        ('a/b; c="é"', "a/b", {"c": "é"}),
    ],
)
def test_a_media_type_and_its_parameters_are_read(
    value: str, media_type: str, parameters: dict[str, str]
) -> None:
    assert parse_content_type(value) == (media_type, parameters)
    assert essence(value) == media_type


@pytest.mark.parametrize(
    "value",
    [
        "",
        "text",
        "text/",
        "/plain",
        "text/plain/x",
        "text /plain",
        "text/plain, text/html",
        "text/plain; charset",
        "text/plain; charset=",
        "text/plain; charset = utf-8",
        "text/plain; charset=utf-8; CHARSET=latin-1",
        "text/plain; charset=utf-8; charset=utf-8",
        'text/plain; charset="utf-8',
        'text/plain; charset="utf-8"x',
        'text/plain; charset="utf-8\\"',
        "text/plain charset=utf-8",
        "text/plain; charset=utf 8",
        "text/plain\r\nX: y",
        "text/plain; a=b\r\n",
        'text/plain; a="b\rc"',
        'text/plain; a="b\0c"',
        "tëxt/plain",
        "text/plain;" + "\\" * 100_000,
        'text/plain; a="' + "\\" * 100_000,
        'text/plain; a="' + '\\"' * 100_000,
        "text/plain" + ";a" * 100_000,
        "text/plain" + "; " * 100_000 + "!=",
    ],
    ids=lambda value: repr(value[:40]),
)
def test_a_malformed_media_type_is_an_error_in_linear_time(value: str) -> None:
    with pytest.raises(RequestError):
        parse_content_type(value)
    assert essence(value) == ""


def test_no_media_type_has_no_essence() -> None:
    assert essence(None) == ""


@given(st.text(max_size=60))
def test_any_text_is_a_media_type_or_a_typed_error(value: str) -> None:
    try:
        media_type, _ = parse_content_type(value)
    except RequestError:
        return
    assert media_type == media_type.lower()
    assert media_type.count("/") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param('; name="a"; filename="b.txt"', {"name": "a", "filename": "b.txt"}, id="plain"),
        pytest.param('; filename="a%22b%0D%0Ac.txt"', {"filename": 'a"b\r\nc.txt'}, id="WHATWG escapes"),
        pytest.param('; filename="100%25.txt"', {"filename": "100%25.txt"}, id="other escapes stay"),
        pytest.param('; filename="a\\b.txt"', {"filename": "a\\b.txt"}, id="a backslash is one"),
        pytest.param('; filename="a\\"; x="b"', {"filename": "a\\", "x": "b"}, id="a backslash at the end"),
        pytest.param('; filename="a\\"b.txt"', {"filename": 'a"b.txt'}, id="an older program's quote"),
        pytest.param('; filename="a\\"; x=\\"b"', {"filename": 'a"; x="b'}, id="escaped quotes hide nothing"),
        pytest.param("; filename=a.txt", {"filename": "a.txt"}, id="a token"),
        pytest.param('; FileName="a;b=c"', {"filename": "a;b=c"}, id="separators inside"),
        pytest.param('; filename="a"; FILENAME="b"', None, id="twice"),
        pytest.param('; filename="a"b"', None, id="a stray quote"),
        pytest.param('; filename="a', None, id="no end"),
        pytest.param('; filename="a\nb"', None, id="a raw line feed"),
        pytest.param('filename="a"', None, id="no semicolon"),
    ],
)  # fmt: skip
def test_form_parameters_are_read_as_browsers_write_them(
    text: str, expected: dict[str, str] | None
) -> None:
    assert parse_browser_parameters(text) == expected
