from __future__ import annotations

import email.message
import re
import unicodedata

import pyrfc6266
import pytest
import werkzeug.http
from aiohttp.multipart import content_disposition_filename, parse_content_disposition
from hypothesis import given
from hypothesis import strategies as st

from wharfinger.errors import RequestError
from wharfinger.protocol.disposition import Disposition, format_disposition, parse_disposition

# What anybody may call a file, and what is to arrive. None: the same as was given.
NAMES: list[tuple[str, str | None]] = [
    ("report.pdf", None),
    ("a b.txt", None),
    ("a;b.txt", None),
    ("a,b.txt", None),
    ("a=b.txt", None),
    ("a'b.txt", None),
    ('a"b.txt', None),
    ('"', None),
    ('""""', None),
    ("a%22b.txt", None),
    ("a%b.txt", None),
    ("100%.txt", None),
    ("%41.txt", None),
    ("%2e%2e%2fetc%2fpasswd", None),
    ("a*b.txt", None),
    ("a<b>.html", None),
    ("a:b.txt", None),
    ("a|b?c.txt", None),
    ("a.php::$DATA", None),
    ("CON", None),
    ("NUL.txt", None),
    ("-rf", None),
    ("--help.txt", None),
    (".htaccess", None),
    ("..", None),
    ("...", None),
    ("=cmd()|x.csv", None),
    ("`id`.txt", None),
    ("$(id).txt", None),
    ("<script>alert(1)</script>.png", "<script>alert(1)<_script>.png"),
    ("x' OR 1=1 --.txt", None),
    ("=?utf-8?q?x?=.txt", None),
    ("=?utf-8?q?evil=2Eexe?=", None),
    ("=?utf-8?b?ZXZpbC5leGU=?=", None),
    ("filename*=UTF-8''evil.exe", None),
    ('x"; filename="evil.exe', None),
    ("x; filename=evil.exe", None),
    ("Übersicht.pdf", None),
    ("naïve café.txt", None),
    ("€ rates.txt", None),
    ("日本語.txt", None),
    ("файл.doc", None),
    ("ملف.txt", None),
    ("😀.png", None),
    ("👩‍👩‍👧.png", None),
    ("e\u0301.txt", None),
    ("ﬁle.txt", None),
    ("\u00e4" * 100 + ".txt", None),
    ("../../etc/cron.d/x", ".._.._etc_cron.d_x"),
    ("..\\..\\windows\\x", ".._.._windows_x"),
    ("C:\\temp\\x.txt", "C:_temp_x.txt"),
    ("//host/share", "__host_share"),
    ("a\r\nSet-Cookie: x=y.txt", "aSet-Cookie: x=y.txt"),
    ("a\rb\nc.txt", "abc.txt"),
    ("a\0b.txt", "ab.txt"),
    ("a\x1b[31mb.txt", "a[31mb.txt"),
    ("a\tb.txt", "ab.txt"),
    ("a\x7fb.txt", "ab.txt"),
    ("a\x85b.txt", "ab.txt"),
    ("a\u2028b\u2029c.txt", "abc.txt"),
    ("photo\u202egpj.exe", "photogpj.exe"),
    ("\u2066a\u2069.txt", "a.txt"),
    ("a\ud800b.txt", "ab.txt"),
    ("  spaces  ", "spaces"),
    ("x" * 300 + ".txt", "x" * 251 + ".txt"),
    ("日" * 100 + ".txt", "日" * 83 + ".txt"),
]
ids = [
    f"{index}-{name[:20].encode('unicode_escape').decode()}"
    for index, (name, _) in enumerate(NAMES)
]


def by_stdlib(value: str) -> str | None:
    message = email.message.Message()
    message["Content-Disposition"] = value
    return message.get_filename()


def by_werkzeug(value: str) -> str | None:
    return werkzeug.http.parse_options_header(value)[1].get("filename")


def by_aiohttp(value: str) -> str | None:
    kind, parameters = parse_content_disposition(value)
    assert kind == "attachment"
    return content_disposition_filename(parameters)


def by_us(value: str) -> str | None:
    return parse_disposition(value).name


def fallback(value: str) -> str:
    match = re.fullmatch(
        r"""attachment; filename="([^"\\]*)"(; filename\*=UTF-8''[!-~]*)?""", value
    )
    assert match is not None, value
    return match[1]


def test_the_table_has_more_than_sixty_names() -> None:
    assert len({name for name, _ in NAMES}) > 60


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=ids)
def test_a_name_arrives_at_every_reader_and_ends_no_field(name: str, expected: str | None) -> None:
    value = format_disposition("attachment", name)
    assert value.isascii()
    assert value.isprintable()
    assert not re.search(r"%[0-9A-Fa-f]{2}|=\?", fallback(value))
    assert by_us(value) == (name if expected is None else expected)
    assert by_werkzeug(value) == (name if expected is None else expected)
    assert by_aiohttp(value) == (name if expected is None else expected)
    assert pyrfc6266.parse_filename(value) == (name if expected is None else expected)
    # A reader of RFC 2183 takes the first of the two.
    assert by_stdlib(value) == fallback(value)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.txt", 'attachment; filename="a.txt"'),
        ("a b;c.txt", 'attachment; filename="a b;c.txt"'),
        ("Übersicht.pdf", "attachment; filename=\"Ubersicht.pdf\"; filename*=UTF-8''%C3%9Cbersicht.pdf"),
        ("€.txt", "attachment; filename=\"_.txt\"; filename*=UTF-8''%E2%82%AC.txt"),
        ('a"b.txt', "attachment; filename=\"a_b.txt\"; filename*=UTF-8''a%22b.txt"),
        ("%41.txt", "attachment; filename=\"_41.txt\"; filename*=UTF-8''%2541.txt"),
        ("=?utf-8?q?x?=", "attachment; filename=\"=_utf-8?q?x?=\"; filename*=UTF-8''%3D%3Futf-8%3Fq%3Fx%3F%3D"),
        ("½.txt", "attachment; filename=\"12.txt\"; filename*=UTF-8''%C2%BD.txt"),
        ("ä(*',).txt", "attachment; filename=\"a(*',).txt\"; filename*=UTF-8''%C3%A4%28%2A%27%2C%29.txt"),
        ("\r\n", "attachment"),
        ("", "attachment"),
    ],
)  # fmt: skip
def test_the_ascii_name_comes_first_and_the_real_one_only_when_needed(
    name: str, expected: str
) -> None:
    assert format_disposition("attachment", name) == expected


def test_inline_is_said_as_such() -> None:
    assert format_disposition("inline", "a.png") == 'inline; filename="a.png"'


@given(st.text(max_size=60))
def test_any_name_arrives_without_what_may_not_be_sent(name: str) -> None:
    value = format_disposition("attachment", name)
    assert value.isascii()
    assert value.isprintable()
    arrived = by_us(value)
    assert by_werkzeug(value) == arrived
    assert by_aiohttp(value) == arrived
    if arrived is not None:
        assert not {unicodedata.category(character) for character in arrived} & {"Cc", "Cs"}
        assert "/" not in arrived


@pytest.mark.parametrize(
    ("value", "kind", "name"),
    [  # cases of http://test.greenbytes.de/tech/tc2231/, written anew
        pytest.param("inline", "inline", None, id="no name"),
        pytest.param('"attachment"', None, None, id="quoted kind"),
        pytest.param('attachment; filename="foo.html"', "attachment", "foo.html", id="quoted"),
        pytest.param("ATTACHMENT; FileName=foo.html", "attachment", "foo.html", id="case"),
        pytest.param(r'attachment; filename="f\oo.html"', "attachment", "foo.html", id="quoted pair"),
        pytest.param(r'attachment; filename="\"q\".html"', "attachment", '"q".html', id="quotes"),
        pytest.param('attachment; filename=""', "attachment", "", id="empty name"),
        pytest.param("attachment; filename=foo bar.html", None, None, id="space without quotes"),
        pytest.param("attachment; filename=foo[1].html", None, None, id="brackets without quotes"),
        pytest.param("attachment; filename=f.html; filename=g.html", None, None, id="two names"),
        pytest.param("attachment; filename*=UTF-8''a; filename*=UTF-8''b", None, None, id="two extended names"),
        pytest.param("filename=foo.html", None, None, id="no kind"),
        pytest.param("; filename=foo.html", None, None, id="empty kind"),
        pytest.param("attachment, inline", None, None, id="two kinds"),
        pytest.param('attachment; filename="foo.html"x', None, None, id="rubbish after the quote"),
        pytest.param("attachment; filename=foo.html ;", "attachment", "foo.html", id="last semicolon"),
        pytest.param("attachment; filename*=UTF-8''foo-%c3%a4.html", "attachment", "foo-ä.html", id="UTF-8"),
        pytest.param("attachment; filename*=utf-8'en'%e2%82%ac", "attachment", "€", id="language"),
        pytest.param("attachment; filename*=iso-8859-1''foo-%E4.html", "attachment", "foo-ä.html", id="latin-1"),
        pytest.param("attachment; filename*=UTF-8''a.html; filename=b.html", "attachment", "a.html", id="extended first"),
        pytest.param("attachment; filename=b.html; filename*=UTF-8''a.html", "attachment", "a.html", id="extended last"),
        pytest.param("attachment; filename*=UTF-8''%; filename=b.html", "attachment", "b.html", id="broken percent"),
        pytest.param("attachment; filename*=UTF-8''%e4; filename=b.html", "attachment", "b.html", id="broken UTF-8"),
        pytest.param("attachment; filename*=utf-16''a; filename=b.html", "attachment", "b.html", id="other charset"),
        pytest.param("attachment; filename*=''a; filename=b.html", "attachment", "b.html", id="no charset"),
        pytest.param("attachment; filename*=UTF-8''%E4", "attachment", None, id="only a broken name"),
        pytest.param("attachment; filename*=\"UTF-8''a.html\"", "attachment", "a.html", id="quoted extended value"),
        pytest.param("attachment; filename*0=foo; filename*1=bar", "attachment", None, id="continuations"),
        pytest.param('attachment; filename="=?utf-8?q?a?="', "attachment", "=?utf-8?q?a?=", id="encoded word"),
        pytest.param("attachment; filename*=UTF-8''..%2F..%2Fx", "attachment", "../../x", id="a claim, not a path"),
        pytest.param("attachment; filename*=UTF-8''%00", "attachment", "\0", id="a claim, not cleaned"),
        pytest.param("attachment; filename=a\r\nX: y", None, None, id="line break"),
    ],
)  # fmt: skip
def test_a_disposition_is_read_strictly(value: str, kind: str | None, name: str | None) -> None:
    if kind is None:
        with pytest.raises(RequestError, match="Content-Disposition"):
            parse_disposition(value)
    else:
        parsed = parse_disposition(value)
        assert (parsed.kind, parsed.name) == (kind, name)


def test_a_field_name_is_read_too() -> None:
    parsed = parse_disposition('form-data; name="upload"; filename="a.txt"')
    assert parsed.field == "upload"
    assert isinstance(parsed, Disposition)


@given(st.text(max_size=60))
def test_any_text_is_a_disposition_or_a_typed_error(value: str) -> None:
    try:
        parsed = parse_disposition(value)
    except RequestError:
        return
    assert parsed.kind == parsed.kind.lower() != ""
