"""Word, Excel, PowerPoint and OpenDocument files: what in them runs, hides or fetches."""

from __future__ import annotations

import io
import time

import pytest

from support import require
from support.documents import changed, docx, open_document, pptx, related, typed, xlsx
from wharfinger.errors import ContentRefused, TooComplex, UnsafeArchive, WharfingerError
from wharfinger.inspection import strict_xml
from wharfinger.inspection.content import examine
from wharfinger.inspection.documents import look
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.office import is_remote
from wharfinger.policy import Policy

for library in ("docx", "openpyxl", "pptx", "odf"):
    require.module(library)

OOXML = "application/vnd.openxmlformats-officedocument"
WORD = f"{OOXML}.wordprocessingml.document"
EXCEL = f"{OOXML}.spreadsheetml.sheet"
SLIDES = f"{OOXML}.presentationml.presentation"
DOCM = "application/vnd.ms-word.document.macroenabled.12"
ODF = "application/vnd.oasis.opendocument"
WORD_RELS = "word/_rels/document.xml.rels"
DDE = "DDE" + 'AUTO c:\\\\windows\\\\system32\\\\cmd.exe "/k calc"'


def found(data: bytes, media_type: str, policy: Policy | None = None) -> tuple[str, ...]:
    findings = Findings(policy or Policy(types=[media_type], refuse=[]))
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    return findings.words


def in_word(xml: str) -> bytes:
    """Return a Word document with this in its first paragraph."""
    return changed(docx(), replace={"word/document.xml": ("<w:p>", f"<w:p>{xml}")})


def in_text(xml: str) -> bytes:
    """Return an OpenDocument text with this in its first paragraph."""
    names = "".join(
        f' xmlns:{prefix}="{name}"'
        for prefix, name in (("draw", "urn:draw"), ("xlink", "http://www.w3.org/1999/xlink"))
    )
    text = f"<text:p><text:span{names}>{xml}</text:span>"
    return changed(open_document("text"), replace={"content.xml": ("<text:p>", text)})


def run(text: str) -> str:
    return f"<w:r><w:instrText>{text}</w:instrText></w:r>"


BEGIN = '<w:r><w:fldChar w:fldCharType="begin"/></w:r>'
UTF_16 = '<?xml version="1.0" encoding="UTF-16"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'

OFFICE = {
    "a VBA project": (changed(docx(), {"word/vbaProject.bin": b"\xd0\xcf"}), WORD, "macros"),
    "a VBA project in capitals": (changed(xlsx(), {"XL/VBAPROJECT.BIN": b"x"}), EXCEL, "macros"),
    "a VBA project behind backslashes": (
        changed(docx(), {"word\\vbaProject.bin": b"x"}),
        WORD,
        "macros",
    ),
    "a VBA project under another name": (
        typed(docx(), "word/styles2.bin", "application/vnd.ms-office.vbaProject"),
        WORD,
        "macros",
    ),
    "a VBA project by its relationship alone": (
        related(docx(), WORD_RELS, "vbaProject", "data.bin", external=False),
        WORD,
        "macros",
    ),
    "a document with macros in other clothes": (
        changed(
            docx(),
            replace={
                "[Content_Types].xml": (
                    f"{WORD}.main+xml",
                    "application/vnd.ms-word.document.macroEnabled.main+xml",
                )
            },
        ),
        WORD,
        "macros",
    ),
    "a macro sheet of Excel 4": (
        changed(xlsx(), {"xl/macrosheets/sheet1.xml": "<x/>"}),
        EXCEL,
        "macros",
    ),
    "a macro sheet under another name": (
        typed(xlsx(), "xl/worksheets/sheet9.xml", "application/vnd.ms-excel.macrosheet+xml"),
        EXCEL,
        "macros",
    ),
    "an ActiveX control": (changed(docx(), {"word/activeX/activeX1.xml": "<x/>"}), WORD, "macros"),
    "an ActiveX control by its relationship": (
        related(docx(), WORD_RELS, "control", "x.xml", external=False),
        WORD,
        "macros",
    ),
    "an ActiveX control by its type": (
        typed(docx(), "word/x.xml", "application/vnd.ms-office.activeX+xml"),
        WORD,
        "macros",
    ),
    "a field that starts a program": (in_word(BEGIN + run(DDE)), WORD, "macros"),
    "such a field, cut into runs": (
        in_word(BEGIN + run(" D") + run("DE") + run("AUTO") + run(" c:\\\\cmd.exe")),
        WORD,
        "macros",
    ),
    "such a field, spelled with numbers": (
        in_word(BEGIN + run("&#68;&#x44;E c:\\\\cmd.exe")),
        WORD,
        "macros",
    ),
    "a simple field that starts a program": (
        in_word('<w:fldSimple w:instr=" DDE cmd x"/>'),
        WORD,
        "macros",
    ),
    "a workbook that asks another program": (
        changed(
            xlsx(),
            {"xl/externalLinks/externalLink1.xml": '<x><ddeLink ddeService="cmd"/></x>'},
        ),
        EXCEL,
        "macros",
    ),
    "a slide that starts a program": (
        changed(pptx(), {"ppt/slides/x.xml": '<a action="ppaction://program?file=x"/>'}),
        SLIDES,
        "macros",
    ),
    "a template from elsewhere": (
        related(docx(), WORD_RELS, "attachedTemplate", "https://x.test/a.dotm"),
        WORD,
        "external-references",
    ),
    "a template on a share": (
        related(docx(), WORD_RELS, "attachedTemplate", "file:///\\\\192.0.2.1\\s\\a.dotx"),
        WORD,
        "external-references",
    ),
    "an object from elsewhere": (
        related(docx(), WORD_RELS, "oleObject", "mhtml:http://x.test/a.html!x-usc:http://x.test"),
        WORD,
        "external-references",
    ),
    "an object from elsewhere without the mode": (
        related(docx(), WORD_RELS, "oleObject", "http://x.test/a.html!", external=False),
        WORD,
        "external-references",
    ),
    "a frame from elsewhere": (
        related(docx(), WORD_RELS, "frame", "http://x.test/"),
        WORD,
        "external-references",
    ),
    "a part with a document type": (
        changed(docx(), {"word/x.xml": '<!DOCTYPE a SYSTEM "http://x.test/a.dtd"><a/>'}),
        WORD,
        "external-references",
    ),
    "a part with entities in UTF-16": (
        changed(docx(), {"word/x.xml": UTF_16.encode("utf-16")}),
        WORD,
        "external-references",
    ),
    "relationships with a document type": (
        changed(docx(), replace={WORD_RELS: ("<Relationships", "<!DOCTYPE a [ ]><Relationships")}),
        WORD,
        "external-references",
    ),
    "a template on this machine": (
        related(docx(), WORD_RELS, "attachedTemplate", "file:///C:\\Templates\\Report.dotx"),
        WORD,
        "external-links",
    ),
    "a picture from elsewhere": (
        related(docx(), WORD_RELS, "image", "https://x.test/a.png"),
        WORD,
        "external-links",
    ),
    "another workbook": (
        changed(
            xlsx(),
            {
                "xl/externalLinks/_rels/externalLink1.xml.rels": '<Relationships><Relationship Id="a"'
                ' Type="x/externalLinkPath" Target="other.xlsx" TargetMode="External"/>'
                "</Relationships>"
            },
        ),
        EXCEL,
        "external-links",
    ),
    "an object of another program": (
        changed(docx(), {"word/embeddings/oleObject1.bin": b"x"}),
        WORD,
        "embedded-objects",
    ),
    "such an object under another name": (
        typed(docx(), "word/x.dat", f"{OOXML}.oleObject"),
        WORD,
        "embedded-objects",
    ),
    "such an object by its relationship": (
        related(docx(), WORD_RELS, "oleObject", "x.dat", external=False),
        WORD,
        "embedded-objects",
    ),
    "a web page within": (
        related(docx(), WORD_RELS, "aFChunk", "x.html", external=False),
        WORD,
        "embedded-objects",
    ),
    "relationships that are not XML to their end": (
        changed(docx(), replace={WORD_RELS: ("</Relationships>", "")}),
        WORD,
        "damaged",
    ),
    "half a document": (docx()[:4000], WORD, "damaged"),
}

OPEN = {
    "a module of Basic": (
        changed(open_document("text"), {"Basic/Standard/Module1.xml": "<x/>"}),
        "macros",
    ),
    "a script of Python": (
        changed(open_document("text"), {"Scripts/python/a.py": "x"}),
        "macros",
    ),
    "a macro of an object within": (
        changed(open_document("text"), {"Object 1/Basic/Standard/M.xml": "<x/>"}),
        "macros",
    ),
    "a macro when something happens": (
        in_text('<s:event-listener xmlns:s="urn:script" s:event-name="x"/>'),
        "macros",
    ),
    "a link to a macro": (
        in_text('<text:a xlink:href="vnd.sun.star.script:M.x?language=Basic">x</text:a>'),
        "macros",
    ),
    "an applet": (in_text('<draw:applet xlink:href="./x"/>'), "macros"),
    "data from another program": (
        in_text('<text:dde-connection-decl xmlns:o="urn:o" o:dde-application="cmd"/>'),
        "macros",
    ),
    "an object from elsewhere": (
        in_text('<draw:object xlink:href="http://x.test/a.odt"/>'),
        "external-references",
    ),
    "a frame from elsewhere": (
        in_text("<draw:floating-frame\n xlink:href = 'https://x.test/'/>"),
        "external-references",
    ),
    "a document type": (
        changed(open_document("text"), {"x.xml": "<!DOCTYPE a [ ]><a/>"}),
        "external-references",
    ),
    "a picture from elsewhere": (
        in_text('<draw:image xlink:href="http://x.test/a.png"/>'),
        "external-links",
    ),
    "a picture beside it": (in_text('<draw:image xlink:href="../a.png"/>'), "external-links"),
    "a password": (
        changed(
            open_document("text"),
            replace={
                "META-INF/manifest.xml": (
                    "</manifest:manifest>",
                    "<manifest:encryption-data/></manifest:manifest>",
                )
            },
        ),
        "encrypted",
    ),
    "half a document": (open_document("text")[:1000], "damaged"),
}


@pytest.mark.parametrize("case", OFFICE)
def test_what_an_office_document_does_is_found(case: str) -> None:
    data, media_type, word = OFFICE[case]
    assert found(data, media_type) == (word,)


@pytest.mark.parametrize("case", OPEN)
def test_what_an_opendocument_file_does_is_found(case: str) -> None:
    data, word = OPEN[case]
    assert found(data, f"{ODF}.text") == (word,)


MANIFEST = (
    '<!DOCTYPE manifest:manifest PUBLIC "-//OpenOffice.org//DTD Manifest 1.0//EN" "Manifest.dtd">'
    '<manifest:manifest xmlns:manifest="urn:m"/>'
)
HONEST = {
    "Word": (docx(), WORD, "a.docx"),
    "Excel": (xlsx(), EXCEL, "a.xlsx"),
    "PowerPoint, with a workbook for its chart": (pptx(), SLIDES, "a.pptx"),
    "an OpenDocument text": (open_document("text"), f"{ODF}.text", "a.odt"),
    "an OpenDocument spreadsheet": (open_document("spreadsheet"), f"{ODF}.spreadsheet", "a.ods"),
    "an OpenDocument presentation": (
        open_document("presentation"),
        f"{ODF}.presentation",
        "a.odp",
    ),
    "fields": (
        in_word(BEGIN + run(" TOC \\o") + BEGIN + run("DATE") + '<w:fldSimple w:instr="PAGE"/>'),
        WORD,
        "a.docx",
    ),
    "a link": (
        related(docx(), WORD_RELS, "hyperlink", "https://example.org/?a=b"),
        WORD,
        "a.docx",
    ),
    "the words of a document type": (
        in_word("<w:t><![CDATA[<!DOCTYPE html>]]></w:t><!-- <!ENTITY -->"),
        WORD,
        "a.docx",
    ),
    "empty lists of macros": (
        changed(
            open_document("text"),
            {"Basic/script-lc.xml": "<x/>", "Basic/Standard/script-lb.xml": "<x/>"},
        ),
        f"{ODF}.text",
        "a.odt",
    ),
    "the document type of an old OpenOffice": (
        changed(open_document("text"), {"Configurations2/m.xml": MANIFEST}),
        f"{ODF}.text",
        "a.odt",
    ),
    "parts of its own": (
        in_text('<draw:image xlink:href="Pictures/a.png"/><draw:object xlink:href="./Object 1"/>'),
        f"{ODF}.text",
        "a.odt",
    ),
    "a picture named at length": (
        in_text('<draw:image xlink:href="charts/a.png"/><text:a xlink:href="../b.odt">x</text:a>'),
        f"{ODF}.text",
        "a.odt",
    ),
}


@pytest.mark.parametrize("case", HONEST)
def test_an_honest_document_has_no_findings(case: str) -> None:
    data, media_type, _ = HONEST[case]
    assert found(data, media_type) == ()


@pytest.mark.parametrize("case", HONEST)
def test_a_policy_for_documents_takes_an_honest_one(case: str) -> None:
    data, media_type, name = HONEST[case]
    told = examine(io.BytesIO(data), len(data), policy=Policy.documents(), name=name)
    assert told[0] == media_type
    assert told[1].findings == ()


@pytest.mark.parametrize(
    "case", [case for case, row in OFFICE.items() if row[2] in {"macros", "external-references"}]
)
def test_a_policy_for_documents_refuses_what_runs_or_loads(case: str) -> None:
    data, media_type, _ = OFFICE[case]
    extension = {WORD: "docx", EXCEL: "xlsx", SLIDES: "pptx"}[media_type]
    with pytest.raises(WharfingerError):
        examine(io.BytesIO(data), len(data), policy=Policy.documents(), name=f"a.{extension}")


@pytest.mark.parametrize("word", ["external-links", "embedded-objects"])
def test_links_and_objects_are_told_and_refused_where_the_policy_says_so(word: str) -> None:
    case = {"external-links": "a picture from elsewhere"}.get(word, "an object of another program")
    data, media_type, _ = OFFICE[case]
    assert found(data, media_type, Policy.documents()) == (word,)
    with pytest.raises(ContentRefused) as caught:
        found(data, media_type, Policy(types="documents", refuse=[word]))
    assert caught.value.finding == word


def test_a_document_with_macros_that_a_policy_names_has_them_told() -> None:
    data = changed(docx(), {"word/vbaProject.bin": b"x"})
    assert found(data, DOCM) == ("macros",)


def test_a_part_that_is_encrypted_cannot_be_judged() -> None:
    data = bytearray(docx())
    # General purpose bit 0 of the first entry, in the directory and before the member.
    data[6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    assert found(bytes(data), WORD) == ("encrypted",)
    with pytest.raises(UnsafeArchive):
        found(bytes(data), WORD, Policy.documents())


def test_a_part_that_is_too_long_is_too_complex_whatever_is_refused() -> None:
    policy = Policy(types="documents", refuse=[], max_unpacked=1024)
    with pytest.raises(TooComplex, match="part of the document is longer") as caught:
        found(docx(), WORD, policy)
    assert caught.value.limit == 1024


def test_a_part_that_is_damaged_is_told() -> None:
    data = bytearray(docx())
    data[data.index(b"word/document.xml") + 40] ^= 0xFF
    assert "damaged" in found(bytes(data), WORD)


def test_what_stands_at_the_border_of_two_pieces_is_found() -> None:
    for length in range(65_500, 65_540, 3):
        part = f"<a>{' ' * length}<!DOCTYPE x></a>"
        assert found(changed(docx(), {"word/x.xml": part}), WORD) == ("damaged",)


def test_other_types_are_left_alone() -> None:
    assert found(b"", "application/pdf") == ()


def test_an_honest_document_has_no_details_of_its_own() -> None:
    findings = Findings(Policy.documents())
    assert look(io.BytesIO(docx()), len(docx()), WORD, findings) in (None, Details())


@pytest.mark.parametrize(
    ("target", "remote"),
    [
        ("http://x.test/a", True),
        ("HTTPS://x.test/a", True),
        ("ftp://x.test/a", True),
        ("mhtml:http://x.test!x", True),
        ("ht\ntp://x.test/a", True),
        (" \t//server/share", True),
        ("\\\\server\\share\\a.dotx", True),
        ("//server/share", True),
        ("file://server/share/a.dotx", True),
        ("file:///\\\\server\\share\\a.dotx", True),
        ("file:///%5C%5Cserver/share", True),
        ("file:////server/share", True),
        ("file:\\\\server\\share", True),
        ("C:\\a.dotx", False),
        ("file:///C:/a.dotx", False),
        ("file:///C|/a.dotx", False),
        ("file:///srv/me/a.ott", False),
        ("a.dotx", False),
        ("../a/b.xlsx", False),
        ("", False),
    ],
)
def test_a_target_is_told_to_be_remote(target: str, remote: bool) -> None:
    assert is_remote(target) is remote


def test_a_field_in_thousands_of_pieces_takes_no_time() -> None:
    # 3 KB once packed: judged anew with each piece, the long beginning took 45 s.
    pieces = BEGIN + run("!" * 60_000) + run("!") * 30_000
    began = time.process_time()
    assert found(in_word(pieces), WORD) == ()
    assert time.process_time() - began < 5
    assert found(in_word(pieces + run("D") + run("DE x")), WORD) == ("macros",)


def test_the_elements_of_all_parts_count_together(monkeypatch: pytest.MonkeyPatch) -> None:
    part = f"<a>{'<instrText/>' * 100}</a>"
    honest = changed(docx(), {"word/1.xml": part})
    monkeypatch.setattr(strict_xml, "_MOST_ELEMENTS", 150)
    assert found(honest, WORD) == ()
    with pytest.raises(TooComplex, match="150 elements"):
        found(changed(honest, {"word/2.xml": part}), WORD)


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("utf-8", "external-references"),
        ("utf-16", "external-references"),
        ("iso-8859-1", "external-references"),
        # EBCDIC, which is for office programs as little as for us.
        ("cp037", "damaged"),
    ],
)
def test_relationships_count_in_any_encoding(encoding: str, word: str) -> None:
    kind = "http://schemas.openxmlformats.org/officeDocument/2006/relationships/attachedTemplate"
    one = f'<Relationship Id="r1" Type="{kind}" Target="http://x.test/a" TargetMode="External"/>'
    part = f'<?xml version="1.0" encoding="{encoding}"?><Relationships>{one}</Relationships>'
    data = changed(docx(), {"word/_rels/settings.xml.rels": part.encode(encoding)})
    assert found(data, WORD) == (word,)


def test_relationships_that_are_no_xml_are_damage() -> None:
    assert found(changed(docx(), {"word/_rels/x.rels": b"nothing"}), WORD) == ("damaged",)
    assert found(changed(docx(), {"word/_rels/x.rels": b""}), WORD) == ()
