"""One strict meaning for every URL."""

from __future__ import annotations

import pytest

from wharfinger.errors import AddressRefused, UsageError
from wharfinger.net.urls import Origin, parse

ACCEPTED = [
    ("http://example.com", "http", "example.com", 80, "/"),
    ("HTTP://EXAMPLE.com/A", "http", "example.com", 80, "/A"),
    ("https://example.com:8443/a?b=c#frag", "https", "example.com", 8443, "/a?b=c"),
    ("https://example.com?q=1", "https", "example.com", 443, "/?q=1"),
    ("http://example.com:/x", "http", "example.com", 80, "/x"),
    ("http://192.0.2.1/", "http", "192.0.2.1", 80, "/"),
    ("http://[2001:DB8::1]:8080/", "http", "2001:db8::1", 8080, "/"),
    ("http://bücher.example/", "http", "xn--bcher-kva.example", 80, "/"),
    ("http://example.com/ä?ö=1", "http", "example.com", 80, "/%C3%A4?%C3%B6=1"),
    ("http://example.com/a%20b%2Fc", "http", "example.com", 80, "/a%20b%2Fc"),
    ("http://example.com./", "http", "example.com.", 80, "/"),
    ("http://a_b.example.com/", "http", "a_b.example.com", 80, "/"),
    ("http://127。0。0。1/", "http", "127.0.0.1", 80, "/"),
    ("http://１２７.0.0.1/", "http", "127.0.0.1", 80, "/"),
    ("http://ⓔxample.com/", "http", "example.com", 80, "/"),
    ("http://example.com/<x>", "http", "example.com", 80, "/%3Cx%3E"),
]


@pytest.mark.parametrize(
    ("text", "scheme", "host", "port", "target"), ACCEPTED, ids=[row[0] for row in ACCEPTED]
)
def test_a_sound_url_has_one_meaning(
    text: str, scheme: str, host: str, port: int, target: str
) -> None:
    url = parse(text)
    assert (url.scheme, url.host, url.port, url.target) == (scheme, host, port, target)
    assert url.origin == Origin(scheme, host, port)


UNSOUND = {
    "no scheme": "example.com/x",
    "empty": "",
    "scheme only": "http:",
    "one slash": "http:/example.com",
    "no host": "http:///x",
    "port without host": "http://:80/",
    "user name": "http://user@example.com/",
    "user and password": "http://user:pw@example.com/",
    "confused host": "http://example.com@127.0.0.1/",
    "encoded at sign before it": "http://a%40b@127.0.0.1/",
    "backslash": "http://example.com\\@127.0.0.1/",
    "backslash in the path": "http://example.com/\\evil",
    "space": "http://exa mple.com/",
    "space in the path": "http://example.com/a b",
    "leading space": " http://example.com/",
    "newline": "http://example.com/\nHost: x",
    "carriage return": "http://example.com/\r\nX: y",
    "tab": "http://exam\tple.com/",
    "NUL": "http://example.com/\0",
    "DEL": "http://example.com/\x7f",
    "no-break space": "http://example.com\u00a0/",
    "line separator": "http://example.com/\u2028",
    "surrogate": "http://example.com/\ud800",
    "percent in the host": "http://exam%70le.com/",
    "port zero": "http://example.com:0/",
    "port too large": "http://example.com:65536/",
    "port with a sign": "http://example.com:+80/",
    "port with foreign digits": "http://example.com:８０/",
    "two ports": "http://example.com:80:81/",
    "port with letters": "http://example.com:80a/",
    "brackets around IPv4": "http://[127.0.0.1]/",
    "zone id": "http://[fe80::1%25eth0]/",
    "bare zone id": "http://[fe80::1%eth0]/",
    "open bracket": "http://[::1/",
    "text after the bracket": "http://[::1]x/",
    "empty label": "http://example..com/",
    "leading dot": "http://.example.com/",
    "long label": f"http://{'a' * 64}.com/",
    "long host": f"http://{'a.' * 130}com/",
    "hyphen first": "http://-example.com/",
    "deviation character": "http://faß.de/",
    "zero width joiner": "http://exa\u200dmple.com/",
    "bidi override": "http://exa\u202emple.com/",
    "too long": f"http://example.com/{'a' * 8000}",
    "semicolon in the host": "http://example.com;evil.com/",
    "bang in the host": "http://exam!ple.com/",
}


@pytest.mark.parametrize("text", UNSOUND.values(), ids=UNSOUND.keys())
def test_what_parsers_disagree_about_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse(text)


REFUSED = {
    "file": "file:///etc/passwd",
    "file with host": "file://localhost/etc/passwd",
    "ftp": "ftp://example.com/",
    "gopher": "gopher://example.com/",
    "dict": "dict://127.0.0.1:11211/",
    "data-like": "data://text/plain,x",
    "unix socket": "http+unix://var/run/docker.sock",
    "decimal number": "http://2130706433/",
    "hexadecimal number": "http://0x7f000001/",
    "octal number": "http://017700000001/",
    "two parts": "http://127.1/",
    "three parts": "http://127.0.1/",
    "hexadecimal part": "http://0x7f.0.0.1/",
    "octal part": "http://0177.0.0.1/",
    "leading zero": "http://127.0.0.01/",
    "hexadecimal end": "http://127.0.0.0x1/",
    "overflow": "http://127.0.0.256/",
    "five parts": "http://1.127.0.0.1/",
    "final dot": "http://127.0.0.1./",
    "bare 0x": "http://127.0x/",
    "fullwidth number": "http://２１３０７０６４３３/",
}


@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_other_schemes_and_disguised_numbers_are_refused_by_the_guard(text: str) -> None:
    with pytest.raises(AddressRefused):
        parse(text)


JOINED = [
    ("/b", "http://example.com/b"),
    ("c?d", "http://example.com/a/c?d"),
    ("../x", "http://example.com/x"),
    ("//other.example/y", "http://other.example/y"),
    ("https://other.example:444/", "https://other.example:444/"),
    ("?only", "http://example.com/a/b?only"),
]


@pytest.mark.parametrize(("reference", "whole"), JOINED, ids=[row[0] for row in JOINED])
def test_a_reference_is_resolved_as_rfc_3986_says(reference: str, whole: str) -> None:
    assert str(parse("http://example.com/a/b").join(reference)) == whole


@pytest.mark.parametrize("reference", ["\\\\evil.example/", "/a b", "//user@evil.example/"])
def test_an_unsound_reference_is_refused(reference: str) -> None:
    with pytest.raises(UsageError):
        parse("http://example.com/").join(reference)


def test_the_host_field_leaves_out_the_usual_port_and_keeps_brackets() -> None:
    assert parse("http://example.com:80/").authority == "example.com"
    assert parse("https://example.com:80/").authority == "example.com:80"
    assert parse("http://[::1]:81/").authority == "[::1]:81"


def test_what_is_shown_has_no_query() -> None:
    assert parse("https://example.com/a?token=secret").shown == "https://example.com/a"


def test_the_last_segment_is_decoded_and_not_cleaned() -> None:
    assert parse("http://example.com/a/b%2Fc%20d.jpg?x").last_segment == "b/c d.jpg"
    assert parse("http://example.com/").last_segment == ""


def test_something_that_is_no_text_is_a_usage_error() -> None:
    with pytest.raises(UsageError):
        parse(b"http://example.com/")  # type: ignore[arg-type]
