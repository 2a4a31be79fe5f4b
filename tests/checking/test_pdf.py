"""The walk through a PDF's objects: hostile and honest documents, made here object by object."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping

import pytest

from support import require
from wharfinger.checking import Checker
from wharfinger.errors import ContentDamaged, ContentRefused, TooComplex, UnsafeArchive
from wharfinger.inspection.facts import Details, Facts
from wharfinger.inspection.findings import Findings
from wharfinger.policy import Policy

require.module("pikepdf")

import pikepdf  # noqa: E402 - only where it is installed
from pikepdf import Array, Dictionary, Name, Pdf  # noqa: E402

from wharfinger.checking import pdf  # noqa: E402

Change = Callable[[Pdf], object]
JS = "app.al" + "ert(1)"


def document(
    change: Change = lambda _: None,
    *,
    objects: pikepdf.ObjectStreamMode = pikepdf.ObjectStreamMode.disable,
    encryption: pikepdf.Encryption | bool = False,
) -> bytes:
    """Return a PDF of one page, changed."""
    made = pikepdf.new()
    made.add_blank_page(page_size=(200, 200))
    change(made)
    file = io.BytesIO()
    made.save(file, object_stream_mode=objects, encryption=encryption)
    return file.getvalue()


def told(data: bytes) -> dict[str, object]:
    return pdf.walk(io.BytesIO(data))


def facts_of(data: bytes) -> Facts:
    return Facts(size=len(data), type="application/pdf", sha256="0" * 64)


def words(data: bytes) -> list[str]:
    pairs = told(data)["findings"]
    assert isinstance(pairs, list)
    return [word for word, _ in pairs]


def entries(parts: Mapping[str, object]) -> pikepdf.Object:
    return Dictionary({f"/{name}": value for name, value in parts.items()})


def on_open(**action: object) -> Change:
    def change(made: Pdf) -> None:
        made.Root.OpenAction = entries(action)

    return change


def on_page(**action: object) -> Change:
    def change(made: Pdf) -> None:
        link = Dictionary(Type=Name.Annot, Subtype=Name.Link, Rect=[0, 0, 9, 9], A=entries(action))
        made.pages[0].Annots = Array([made.make_indirect(link)])

    return change


def annotation(**parts: object) -> Change:
    def change(made: Pdf) -> None:
        made.pages[0].Annots = Array([entries({**parts, "Type": Name.Annot, "Rect": [0, 0, 9, 9]})])

    return change


def named_script(made: Pdf) -> None:
    script = made.make_indirect(Dictionary(S=Name.JavaScript, JS=JS))
    made.Root.Names = Dictionary(JavaScript=Dictionary(Names=["one", script]))


def chained(made: Pdf) -> None:
    following = Dictionary(S=Name.GoTo, D=[0], Next=Dictionary(S=Name.Launch, F="calc.exe"))
    made.Root.OpenAction = Dictionary(S=Name.GoTo, D=[0], Next=[following])


def indirect_name(made: Pdf) -> None:
    made.Root.OpenAction = Dictionary(S=made.make_indirect(Name.Launch), F="calc.exe")


def attached(made: Pdf) -> None:
    made.attachments["invoice.xml"] = b"<invoice/>"


def form(*parts: bytes) -> Change:
    def change(made: Pdf) -> None:
        xfa = Array([x for part in parts for x in ("part", made.make_stream(part))])
        made.Root.AcroForm = Dictionary(Fields=[], XFA=xfa if len(parts) > 1 else xfa[1])

    return change


def form_of_a_number(made: Pdf) -> None:
    made.Root.AcroForm = Dictionary(Fields=[], XFA=7)


# Without a table of its objects: readers find them all the same.
PLAIN_VALUES = (
    b"%PDF-1.4\n1 0 obj <</Type /Catalog /Pages 2 0 R /Some [4 0 R 5 0 R 6 0 R 7 0 R 8 0 R]>> endobj\n"
    b"2 0 obj <</Type /Pages /Kids [3 0 R] /Count 1>> endobj\n"
    b"3 0 obj <</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>> endobj\n"
    b"4 0 obj 7 endobj\n5 0 obj null endobj\n6 0 obj true endobj\n7 0 obj 1.5 endobj\n"
    b"8 0 obj (/JS) endobj\ntrailer <</Root 1 0 R /Size 9>>\n%%EOF\n"
)


def form_of_names(made: Pdf) -> None:
    made.Root.AcroForm = Dictionary(Fields=[], XFA=["template", 7])


HOSTILE: Mapping[str, tuple[bytes, str]] = {
    "a script that runs on opening": (document(on_open(S=Name.JavaScript, JS=JS)), "scripts"),
    "its name spelled with a number": (
        document(on_open(S=Name.JavaScript, JS=JS))
        .replace(b"/JavaScript", b"/J#61vaScript")
        .replace(b"/JS", b"/J#53"),
        "scripts",
    ),
    "the script in a compressed object stream": (
        document(on_open(S=Name.JavaScript, JS=JS), objects=pikepdf.ObjectStreamMode.generate),
        "scripts",
    ),
    "a script on a link of a page": (document(on_page(S=Name.JavaScript, JS=JS)), "scripts"),
    "a script among the named ones": (document(named_script), "scripts"),
    "a rendition with a script": (document(on_page(S=Name.Rendition, JS=JS)), "scripts"),
    "a link to a script": (document(on_page(S=Name.URI, URI="java\tscript:x()")), "scripts"),
    "rich media": (document(annotation(Subtype=Name.RichMedia)), "scripts"),
    "a 3D model with a script": (
        document(annotation(Subtype=Name("/3D"), OnInstantiate="x()")),
        "scripts",
    ),
    "an XFA form with a script": (
        document(form(b"<template>", b"<event><scr" + b"ipt>x()</script></event>")),
        "scripts",
    ),
    "an XFA form in one stream": (document(form(b"<f:scr" + b"ipt/>")), "scripts"),
    "an XFA form in UTF-16": (document(form("<template/>".encode("utf-16"))), "scripts"),
    "a program started on opening": (document(on_open(S=Name.Launch, F="calc.exe")), "launch"),
    "a program started after two jumps": (document(chained), "launch"),
    "an action named by another object": (document(indirect_name), "launch"),
    "another file opened": (
        document(on_open(S=Name.GoToR, F="\\\\198.51.100.7\\share\\x.pdf", D=[0])),
        "launch",
    ),
    "an attached file opened": (document(on_page(S=Name.GoToE, T=Dictionary())), "launch"),
    "a form sent elsewhere": (document(on_page(S=Name.SubmitForm, F="http://x.test/")), "launch"),
    "data read into a form": (document(on_page(S=Name.ImportData, F="x.fdf")), "launch"),
    "an attached file": (document(attached), "embedded-files"),
    "a password": (document(encryption=pikepdf.Encryption(user="one", owner="two")), "encrypted"),
    "objects that are none": (b"%PDF-1.7\n" + b"\0garbage" * 20 + b"\n%%EOF\n", "damaged"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_a_document_does_is_found(case: str) -> None:
    data, word = HOSTILE[case]
    assert words(data) == [word]


HONEST: Mapping[str, bytes] = {
    "one page": document(),
    "object streams": document(objects=pikepdf.ObjectStreamMode.generate),
    "a link to the web": document(on_page(S=Name.URI, URI="https://example.org/a?JS=/JS")),
    "a link to a mailbox": document(on_page(S=Name.URI, URI="mailto:me@example.org")),
    "a link to a place elsewhere": document(on_page(S=Name.URI, URI="page.html")),
    "a jump on opening": document(on_open(S=Name.GoTo, D=[0, Name.Fit])),
    "the words in a text": document(on_open(S=Name.GoTo, D="(/JS /Launch) \\/GoToR")),
    "the words in a strange text": document(on_open(S=Name.GoTo, D="\x01\x02\x03/Launch\x80")),
    "a form without scripts": document(form(b"<template>", b"<field/></template>")),
    "a form without content": document(form_of_names),
    "objects that are numbers, truths, texts and nothing": PLAIN_VALUES,
    "a form that is none": document(form_of_a_number),
    "only the right to change it is locked": document(
        encryption=pikepdf.Encryption(user="", owner="two")
    ),
}


@pytest.mark.parametrize("case", HONEST)
def test_an_honest_document_has_no_findings_and_its_pages_are_counted(case: str) -> None:
    assert told(HONEST[case]) == {"pages": 1, "findings": []}


def test_a_document_of_more_objects_than_are_looked_at_is_too_complex_whatever_is_refused() -> None:
    answer = pdf.walk(io.BytesIO(document()), most_objects=2)
    assert answer == {"pages": None, "findings": [], "most_objects": 2}
    with pytest.raises(TooComplex, match="more than 2 objects") as caught:
        pdf.report(answer, Findings(Policy(refuse=[])))
    assert (caught.value.what, caught.value.limit) == ("objects", 2)


def test_a_stream_that_inflates_without_end_is_not_decoded_to_its_end() -> None:
    bomb = document(form(b"<" + b"a" * (66 * 1024 * 1024)))
    assert len(bomb) < 200_000
    assert words(bomb) == ["damaged"]


def test_findings_are_refused_or_noted_as_the_policy_says() -> None:
    answer = told(document(on_open(S=Name.JavaScript, JS=JS)))
    with pytest.raises(ContentRefused, match="JavaScript") as caught:
        pdf.report(answer, Findings(Policy.documents()))
    assert caught.value.finding == "scripts"
    noted = Findings(Policy(types="documents", refuse=[]))
    assert pdf.report(answer, noted).pages == 1
    assert noted.words == ("scripts",)


@pytest.mark.parametrize(
    ("case", "error"),
    [("a password", UnsafeArchive), ("objects that are none", ContentDamaged)],
)
def test_what_cannot_be_read_is_refused_for_what_it_is(
    case: str, error: type[ContentRefused]
) -> None:
    with pytest.raises(error):
        pdf.report(told(HOSTILE[case][0]), Findings(Policy.documents()))


def test_attached_files_are_told_and_no_reason_to_refuse() -> None:
    findings = Findings(Policy.documents())
    pdf.report(told(document(attached)), findings)
    assert findings.words == ("embedded-files",)


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"findings": "scripts", "pages": 1},
        {"findings": [["scripts"]]},
        {"findings": [["unheard-of", "Words."]], "pages": -1},
        {"findings": [["scripts", 7]], "pages": "1"},
    ],
)
def test_an_answer_of_another_form_is_not_believed(answer: dict[str, object]) -> None:
    findings = Findings(Policy(types="documents", refuse=[]))
    assert pdf.report(answer, findings).pages in {None, 1}
    assert findings.words == ("damaged",)


def test_the_whole_check_reads_a_document_in_a_process_of_its_own() -> None:
    policy = Policy(types="documents", refuse=["launch"])
    noted = document(on_open(S=Name.JavaScript, JS=JS))
    refused = document(on_open(S=Name.Launch, F="calc.exe"))
    with Checker() as checker:
        told = checker.check(io.BytesIO(noted), facts_of(noted), policy=policy)
        assert told.details == Details(pages=1, findings=("scripts",))
        with pytest.raises(ContentRefused, match="starts a program"):
            checker.check(io.BytesIO(refused), facts_of(refused), policy=policy)


def test_an_encryption_of_a_kind_that_nobody_knows_is_encrypted() -> None:
    locked = document(encryption=pikepdf.Encryption(user="", owner="two"))
    assert words(locked.replace(b"/Standard", b"/Cert.XYZ")) == ["encrypted"]


def test_the_extra_is_there() -> None:
    assert pdf.available()
