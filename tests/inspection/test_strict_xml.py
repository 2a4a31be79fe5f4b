"""XML read as a stream: what is refused, and that nothing grows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Iterator, Mapping

import pytest

from wharfinger.errors import TooComplex
from wharfinger.inspection import strict_xml
from wharfinger.inspection.strict_xml import DtdFound, NotWellFormed, read_xml, split_name


class Recorder:
    """Writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[object, ...]] = []

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        self.heard.append(("start", name, dict(attributes)))

    def end(self, name: str) -> None:
        self.heard.append(("end", name))

    def data(self, text: str) -> None:
        self.heard.append(("data", text))

    def pi(self, target: str, text: str) -> None:
        self.heard.append(("pi", target, text))


class Silent:
    """Keeps nothing."""

    def start(self, name: str, attributes: Mapping[str, str]) -> None: ...
    def end(self, name: str) -> None: ...
    def data(self, text: str) -> None: ...
    def pi(self, target: str, text: str) -> None: ...


def endless(first: bytes, again: bytes, *, size: int = 80_000_000) -> Iterator[bytes]:
    """Yield XML that repeats itself, in pieces of about 64 KiB."""
    yield first
    piece = again * (65536 // len(again))
    for _ in range(size // len(piece)):
        yield piece


def numbered(first: bytes, form: bytes) -> Iterator[bytes]:
    """Yield XML in which a number grows."""
    yield first
    for start in range(0, 10_000_000, 1000):
        yield b"".join(form % number for number in range(start, start + 1000))


def test_elements_text_and_instructions_are_told_with_their_namespaces() -> None:
    recorder = Recorder()
    read_xml(
        [b'<?pi some text?><a xmlns="urn:x" xmlns:y="urn:y" b="1" y:', b'c="2">t<d/></a>'], recorder
    )
    assert recorder.heard == [
        ("pi", "pi", "some text"),
        ("start", "{urn:x}a", {"b": "1", "{urn:y}c": "2"}),
        ("data", "t"),
        ("start", "{urn:x}d", {}),
        ("end", "{urn:x}d"),
        ("end", "{urn:x}a"),
    ]


def test_a_name_is_split_into_namespace_and_local_name() -> None:
    assert split_name("{urn:x}a") == ("urn:x", "a")
    assert split_name("a") == ("", "a")


SUBSET = b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://www.w3.org/x.dtd" [%s]><svg/>'


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b'<!DOCTYPE a SYSTEM "http://x.test/a.dtd"><a/>', id="fetched"),
        pytest.param(b"<!DOCTYPE a><a/>", id="a name alone"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', id="an entity"),
        pytest.param(b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', id="XXE"),
        pytest.param(SUBSET % b"<!ENTITY a 'b'>", id="an entity behind a known name"),
        pytest.param(SUBSET % b"<!ATTLIST svg onload CDATA 'x()'>", id="a default attribute"),
        pytest.param(
            b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "http://x.test/www.w3.org/"><svg/>',
            id="a known name from elsewhere",
        ),
        pytest.param('<!DOCTYPE a SYSTEM "http://x.test/"><a/>'.encode("utf-16"), id="in UTF-16"),
    ],
)
def test_a_document_type_is_refused(document: bytes) -> None:
    with pytest.raises(DtdFound):
        read_xml([document], Silent())


@pytest.mark.parametrize(
    "doctype",
    [
        pytest.param(
            b'svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n'
            b'  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd"',
            id="of a drawing",
        ),
        pytest.param(
            b'plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" '
            b'"http://www.apple.com/DTDs/PropertyList-1.0.dtd"',
            id="of a property list",
        ),
        pytest.param(
            b'm:manifest PUBLIC "-//OpenOffice.org//DTD Manifest 1.0//EN" "Manifest.dtd"',
            id="of an old OpenDocument file",
        ),
    ],
)
def test_a_document_type_that_every_reader_knows_is_passed_over(doctype: bytes) -> None:
    recorder = Recorder()
    read_xml([b"<!DOCTYPE " + doctype + b"><a/>"], recorder)
    assert recorder.heard == [("start", "a", {}), ("end", "a")]


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"<a>", id="not closed"),
        pytest.param(b"<a/><b/>", id="two roots"),
        pytest.param(b"<a b='1' b='2'/>", id="an attribute twice"),
        pytest.param(b"<a>&nbsp;</a>", id="an unknown entity"),
        pytest.param(b"<a>\0</a>", id="a zero byte"),
        pytest.param(b"<a>\xff</a>", id="not UTF-8"),
        pytest.param(b"<?xml version='1.0' encoding='nonsense'?><a/>", id="an unknown encoding"),
        pytest.param(b"<?xml version='1.0' encoding='utf-7'?><a/>", id="a forbidden encoding"),
        pytest.param(b"<x:a/>", id="an undeclared prefix"),
    ],
)
def test_what_is_not_well_formed_is_an_error(document: bytes) -> None:
    with pytest.raises(NotWellFormed):
        read_xml([document], Silent())


@pytest.mark.parametrize(
    ("pieces", "what"),
    [
        pytest.param(lambda: endless(b"<a>", b"<b>"), "elements within one another", id="depth"),
        pytest.param(lambda: endless(b"<a><!--", b"x"), "bytes in one tag or comment", id="size"),
        pytest.param(lambda: endless(b"<a b='", b"x"), "bytes in one tag or comment", id="value"),
        pytest.param(
            lambda: numbered(b"<a ", b"b%d='' "), "quotes in one tag or comment", id="attributes"
        ),
        pytest.param(lambda: numbered(b"<a>", b"<b%d/>"), "names", id="names"),
        pytest.param(lambda: numbered(b"<a>", b"<b xmlns:c%d='d'/>"), "names", id="prefixes"),
        pytest.param(lambda: numbered(b"<a>", b"<b xmlns:c='d%d'/>"), "names", id="namespaces"),
    ],
)
def test_what_would_grow_without_end_is_too_complex(pieces: object, what: str) -> None:
    assert callable(pieces)
    tracemalloc.start()
    try:
        with pytest.raises(TooComplex) as caught:
            read_xml(pieces(), Silent())
        assert tracemalloc.get_traced_memory()[1] < 64_000_000
    finally:
        tracemalloc.stop()
    assert caught.value.what == what


def test_a_photograph_within_an_attribute_is_read() -> None:
    value = b"x" * 65536
    recorder = Recorder()
    read_xml([b"<a b='", *[value] * 100, b"'/>"], recorder)
    assert recorder.heard[0] == ("start", "a", {"b": "x" * 6_553_600})


def test_there_is_an_end_to_the_number_of_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strict_xml, "_MOST_ELEMENTS", 3)
    read_xml([b"<a><b/><c/></a>"], Silent())
    with pytest.raises(TooComplex, match="more than 3 elements"):
        read_xml([b"<a><b/><c/><d/></a>"], Silent())


def test_errors_of_whoever_reads_along_come_through() -> None:
    class Complaining(Silent):
        def end(self, name: str) -> None:
            raise TooComplex(name, what="x", limit=1)

    with pytest.raises(TooComplex, match="a"):
        read_xml([b"<a/>"], Complaining())
