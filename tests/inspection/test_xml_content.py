"""SVG and other XML under policies that name them: what runs, what fetches, what is honest."""

from __future__ import annotations

import gzip
import io

import pytest

from support.content import SCRIPT
from wharfinger.errors import ContentDamaged, ContentRefused, TooComplex
from wharfinger.inspection import style_sheets
from wharfinger.inspection.content import examine
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.xml_content import look
from wharfinger.policy import Policy

SVG = 'xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink"'
XHTML = 'xmlns:h="http://www.w3.org/1999/xhtml"'
JS = "java" + "script:alert(1)"
PNG = "data:image/png;base64,iVBORw0KGgo="


def svg(inside: str, root: str = "") -> bytes:
    return f"<svg {SVG} {root}>{inside}</svg>".encode()


def found(data: bytes, media_type: str = "image/svg+xml") -> tuple[str, ...]:
    """Return what is found in a file where nothing of it is refused."""
    findings = Findings(Policy(types=[media_type], refuse=[]))
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    return findings.words


RUNS = {
    "a script": svg(SCRIPT.decode()),
    "a script from elsewhere": svg('<script href="#x"/>'),
    "a script under another prefix": svg(
        '<s:script xmlns:s="http://www.w3.org/2000/svg">x()</s:script>'
    ),
    "a script without a namespace": b"<svg>" + SCRIPT + b"</svg>",
    "a script in capitals": svg("<SCR" + "IPT>x()</SCRIPT>"),
    "a script of a web page": svg(f"<h:script {XHTML}>x()</h:script>"),
    "an event handler": svg("", root='onload="x()"'),
    "an event handler of a shape": svg('<circle r="1" onclick="x()"/>'),
    "an event handler in capitals": svg('<circle r="1" onMouseOver="x()"/>'),
    "a handler element": svg('<handler type="application/ecmascript">x()</handler>'),
    "a link to a script": svg(f'<a xlink:href="{JS}"><text>x</text></a>'),
    "a link to a script, newer": svg(f'<a href="{JS}"><text>x</text></a>'),
    "a tab within the scheme": svg('<a href="java&#9;script:x()"/>'),
    "a line end within the scheme": svg('<a href="java&#10;script:x()"/>'),
    "control characters before the scheme": svg('<a href="&#x20;\u200bJaVaScRiPt:x()"/>'),
    "a link to a page within": svg('<a href="data:text/html,x"/>'),
    "a drawing within a drawing": svg('<image href="data:image/svg+xml;base64,PHN2Zz4="/>'),
    "a web page within": svg("<foreignObject><x/></foreignObject>"),
    "a frame": svg(f'<h:iframe {XHTML} srcdoc="x"/>'),
    "an animated address": svg(
        f'<a><animate attributeName="href" values="#a;{JS}"/><text>x</text></a>'
    ),
    "an animated address, older": svg('<set attributeName="xlink:href" to="#x"/>'),
    "an animated handler": svg('<set attributeName="onclick" to="x()"/>'),
    "a style that runs": svg('<circle style="width: expression(x())"/>'),
    "a style sheet that binds": svg("<style>a{-moz-binding: url(#x)}</style>"),
    "code for a server": svg("<?php x(); ?>"),
}
FETCHES = {
    "an entity": b'<!DOCTYPE svg [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + svg("&x;"),
    "entities that grow": b'<!DOCTYPE svg [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]>' + svg("&b;"),
    "a picture from elsewhere": svg('<image xlink:href="http://x.test/a.png"/>'),
    "a picture next to it": svg('<image href="a.png"/>'),
    "a part from elsewhere": svg('<use href="other.svg#x"/>'),
    "a filter from elsewhere": svg('<feImage href="//x.test/a"/>'),
    "a paint from elsewhere": svg('<circle fill="url(http://x.test/#a)"/>'),
    "a style from elsewhere": svg("<style>@import 'http://x.test/a.css';</style>"),
    "an escaped style": svg('<circle style="fill: u\\72l(//x.test/a)"/>'),
    "a picture of a set": svg(
        "<style>a{background: image-set('http://x.test/a.png' 1x, &quot;#&quot; 2x)}</style>"
    ),
    "a style sheet's picture": svg('<style>a{fill: URL( "http://x.test/#a" )}</style>'),
    "a style sheet beside it": b'<?xml-stylesheet href="http://x.test/a.css"?>' + svg(""),
    "another base": svg('<a href="x"/>', root='xml:base="http://x.test/"'),
    "pictures of a web page": svg(f'<h:img {XHTML} srcset="http://x.test/a.png 1x"/>'),
}


@pytest.mark.parametrize("case", RUNS)
def test_an_svg_that_runs_something_is_found(case: str) -> None:
    assert "scripts" in found(RUNS[case])


@pytest.mark.parametrize("case", FETCHES)
def test_an_svg_that_fetches_from_elsewhere_is_found(case: str) -> None:
    assert found(FETCHES[case]) == ("external-references",)


HONEST = {
    "shapes": svg('<circle r="1" fill="#fff" id="on"/><path d="M0 0"/>'),
    "the document type of matplotlib": (
        b'<?xml version="1.0" encoding="utf-8" standalone="no"?>\n'
        b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN"\n'
        b'  "http://www.w3.org/Graphics/SVG/1.1/DTD/svg11.dtd">\n'
    )
    + svg("<g/>"),
    "parts of its own": svg(
        '<use xlink:href="#a"/><circle fill="url(#g) none" clip-path="url(#c)"/>'
    ),
    "a photograph within": svg(f'<image href="{PNG}"/>'),
    "links": svg('<a href="https://example.org/?x=y"><text>x</text></a><a href="b.html"/>'),
    "a link to a mailbox": svg('<a xlink:href="mailto:me@example.org"/>'),
    "a style sheet": svg(
        "<style>@namespace url(http://www.w3.org/2000/svg);\n/* url(http://x.test) */"
        ' a{scroll-behavior: smooth} .a{fill:url("#g");stroke:red}'
        "@font-face{src:url(data:font/woff2;base64,d09GMg==) format('woff2')}</style>"
    ),
    "an escape in a style": svg('<text style="font-family: \\22 A\\0 \\&#10;"/>'),
    "an animation": svg('<circle><animate attributeName="r" to="2"/></circle>'),
    "what Inkscape notes": svg(
        '<i:view i:href="file:///srv/me/a.png" i:onload="no"/>', root='xmlns:i="urn:inkscape"'
    ),
    "text about scripts": svg("<text>&lt;scr" + "ipt&gt; javascript: onload=</text>"),
    "notes about it": svg(
        '<metadata><r:RDF xmlns:r="urn:rdf"><r:li r:resource="http://x.test/"/></r:RDF></metadata>'
    ),
    "an instruction": b'<?xpacket begin="x"?>' + svg(""),
}


@pytest.mark.parametrize("case", HONEST)
def test_an_honest_svg_has_no_findings(case: str) -> None:
    assert found(HONEST[case]) == ()


XSLT = '<x:stylesheet version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform"'


def template(inside: str, root: str = "") -> bytes:
    return f"{XSLT} {root}>{inside}</x:stylesheet>".encode()


ATOM = b'<rss xmlns:a="http://www.w3.org/2005/Atom"><channel><link>https://x.test/</link>'
XML = {
    "data": (b"<order on='x' online='yes' href='http://x.test/'><script/></order>", ()),
    "a feed": (
        ATOM + b'<a:link href="https://x.test/feed" rel="self"/></channel></rss>',
        (),
    ),
    "a script of a web page": (
        b'<a xmlns:h="http://www.w3.org/1999/xhtml"><h:script>x()</h:script></a>',
        ("scripts",),
    ),
    "a picture of a web page": (
        b'<a xmlns:h="http://www.w3.org/1999/xhtml"><h:img src="http://x.test/a.png"/></a>',
        ("external-references",),
    ),
    "a link to a script": (f'<a href=" {JS}"/>'.encode(), ("scripts",)),
    "a document type": (b'<!DOCTYPE a SYSTEM "http://x.test/"><a/>', ("external-references",)),
    "a style sheet": (
        b'<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#x"?><a/>',
        ("external-references",),
    ),
    "an inclusion": (
        b'<a xmlns:x="http://www.w3.org/2001/XInclude"><x:include href="/etc/passwd"/></a>',
        ("external-references",),
    ),
    "XSLT": (template('<x:template match="/"><p><x:value-of select="@a"/></p></x:template>'), ()),
    "XSLT with a script": (
        template("<m:script>x()</m:script>", 'xmlns:m="urn:schemas-microsoft-com:xslt"'),
        ("scripts",),
    ),
    "XSLT that writes a script": (
        template(f'<x:template match="/">{SCRIPT.decode()}</x:template>'),
        ("scripts",),
    ),
    "XSLT that reads a file": (
        template("<x:value-of select=\"document('/etc/passwd')\"/>"),
        ("external-references",),
    ),
    "XSLT that includes another": (template('<x:import href="a.xsl"/>'), ("external-references",)),
    "a page that is XSLT": (
        b'<page x:version="1.0" xmlns:x="http://www.w3.org/1999/XSL/Transform" onload="x()"/>',
        ("scripts",),
    ),
    "Word 2003 with macros": (
        b'<w:wordDocument xmlns:w="urn:word" w:macrosPresent="yes"/>',
        ("macros",),
    ),
    "Word 2003 without": (b'<w:wordDocument xmlns:w="urn:word" w:macrosPresent="no"/>', ()),
    "a Word package with macros": (
        b'<p:package xmlns:p="urn:package"><p:part p:name="/word/vbaProject.bin"/></p:package>',
        ("macros",),
    ),
    "OpenDocument with a script": (
        b'<o:document xmlns:o="urn:office"><o:script>x()</o:script></o:document>',
        ("scripts",),
    ),
    "not closed": (b"<?xml version='1.0'?><a>", ("damaged",)),
}


@pytest.mark.parametrize("case", XML)
def test_other_xml_runs_and_fetches_only_where_readers_act_on_it(case: str) -> None:
    data, expected = XML[case]
    assert found(data, "application/xml") == expected


@pytest.mark.parametrize(
    ("data", "media_type", "policy"),
    [
        pytest.param(RUNS["a script"], "image/svg+xml", Policy.anything(), id="any type"),
        pytest.param(
            RUNS["a script"],
            "application/xhtml+xml",
            Policy(types=["application/xhtml+xml"]),
            id="XHTML",
        ),
        pytest.param(b"", "application/xml", Policy(types=["application/xml"]), id="an empty file"),
        pytest.param(RUNS["a script"], "text/plain", Policy(types=["text/plain"]), id="a text"),
    ],
)
def test_other_files_and_policies_are_left_alone(
    data: bytes, media_type: str, policy: Policy
) -> None:
    findings = Findings(policy)
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    assert findings.words == ()


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (RUNS["an event handler"], "scripts"),
        (FETCHES["a picture from elsewhere"], "external-references"),
        (b"<svg>", "damaged"),
    ],
)
def test_a_policy_that_names_svg_refuses_what_runs_and_fetches(data: bytes, word: str) -> None:
    with pytest.raises(ContentRefused) as caught:
        examine(io.BytesIO(data), len(data), policy=Policy(types="image/svg+xml"), name="a.svg")
    assert caught.value.finding == word
    assert isinstance(caught.value, ContentDamaged) == (word == "damaged")


def test_a_policy_that_names_svg_takes_an_honest_one() -> None:
    data = HONEST["a style sheet"]
    assert examine(
        io.BytesIO(data), len(data), policy=Policy(types="image/svg+xml"), name="a.svg"
    ) == ("image/svg+xml", Details())


SVGZ = "application/x-svgz"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        pytest.param(gzip.compress(RUNS["a script"]), ("scripts",), id="a script"),
        pytest.param(
            gzip.compress(b"<svg>") + gzip.compress(SCRIPT + b"</svg>"),
            ("scripts",),
            id="a script in the second part",
        ),
        pytest.param(gzip.compress(HONEST["a style sheet"]), (), id="honest"),
        pytest.param(gzip.compress(svg("<g/>" * 100_000)), (), id="honest and long"),
        pytest.param(gzip.compress(HONEST["shapes"])[:-4], ("damaged",), id="cut off"),
        pytest.param(
            gzip.compress(HONEST["shapes"])[:15] + b"\xff" * 40, ("damaged",), id="overwritten"
        ),
        pytest.param(HONEST["shapes"], ("damaged",), id="not compressed"),
    ],
)
def test_a_compressed_svg_is_read_as_well(data: bytes, expected: tuple[str, ...]) -> None:
    assert found(data, SVGZ) == expected


def test_a_compressed_svg_holds_no_more_than_the_policy_says() -> None:
    data = gzip.compress(svg(" " * 200_000))
    findings = Findings(Policy(types=[SVGZ], max_unpacked=100_000))
    with pytest.raises(TooComplex, match="100000 bytes"):
        look(io.BytesIO(data), len(data), SVGZ, findings)


def test_a_style_sheet_without_end_is_too_complex() -> None:
    data = svg("<style>" + "a{b:c}" * 1_500_000 + "</style>")
    with pytest.raises(TooComplex, match="style sheet of more than 8388608 characters"):
        found(data)


def test_addresses_of_a_style_sheet_are_found_behind_escapes_and_comments() -> None:
    text = "@\\69mport url(a); b{c: URL('d'), u\\r\\6c (e), /* url(f) */ url( \\67 ); \\110000 x"
    assert list(style_sheets.fetched_addresses(text)) == ["a", "d", "e", "g", "a"]
