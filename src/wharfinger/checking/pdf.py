"""What a PDF would do when it is opened: the objects of the document, read by qpdf (pikepdf).

Meant for a worker process with memory and time limits: qpdf is C++ and reads what strangers
wrote. `walk` answers plain JSON values there, `report` turns them into findings here. Names are
compared after qpdf has decoded them ("/J#53" is /JS) and inside object streams, where a search
of the bytes sees nothing. Section numbers are those of ISO 32000-2:2020.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from importlib.util import find_spec
from typing import TYPE_CHECKING, BinaryIO, Final

from wharfinger.errors import TooComplex
from wharfinger.inspection.facts import Details
from wharfinger.inspection.findings import Findings
from wharfinger.units import MIB

if TYPE_CHECKING:
    import pikepdf

__all__ = ["available", "report", "walk"]

# A drawing of a whole country has some 300,000 objects; each costs qpdf about 1 KiB.
_MOST_OBJECTS: Final = 1_000_000
# What one stream may decode to: object streams and forms are read, pictures never are.
_MOST_DECODED: Final = 64 * MIB

# Names that stand for something to be found, in a dictionary's keys or values alike.
_NAMES: Final[Mapping[bytes, tuple[str, str]]] = {
    **dict.fromkeys(
        (b"/JS", b"/JavaScript"), ("scripts", "The PDF has JavaScript in it.")
    ),  # 12.6.4.17
    **dict.fromkeys(
        (b"/RichMedia", b"/RichMediaExecute", b"/RichMediaContent"),
        ("scripts", "The PDF has rich media in it, which runs programs of its own."),
    ),  # 13.7
    b"/OnInstantiate": ("scripts", "The PDF has a 3D model with a script in it."),  # 13.6.4
    b"/Launch": ("launch", "The PDF starts a program."),  # 12.6.4.6
    b"/GoToR": ("launch", "The PDF opens another file."),  # 12.6.4.3
    b"/GoToE": ("launch", "The PDF opens a file inside another."),  # 12.6.4.4
    b"/ImportData": ("launch", "The PDF reads a file into its form."),  # 12.7.6.4
    b"/SubmitForm": ("launch", "The PDF sends what is typed into its form elsewhere."),  # 12.7.6.2
    **dict.fromkeys(
        (b"/EF", b"/EmbeddedFile", b"/EmbeddedFiles"),
        ("embedded-files", "The PDF has files attached to it."),
    ),  # 7.11.4
}
_WORDS: Final = frozenset({"damaged", "encrypted", *(word for word, _ in _NAMES.values())})
_LONGEST_SENTENCE: Final = 200
_XFA: Final = b"/XFA"
# As qpdf writes strings: every parenthesis inside is escaped.
_STRINGS: Final = re.compile(rb"\((?:[^\\()]|\\.)*+\)|<[0-9a-f]*+>", re.DOTALL)
_NAME: Final = re.compile(rb"/[^\s/<>()\[\]{}%]+")
_WORTH_A_LOOK: Final = re.compile(
    rb"/(?:JS|JavaScript|RichMedia|OnInstantiate|Launch|GoTo[RE]|ImportData|SubmitForm"
    # Links to the web are honest; other addresses are read once more.
    rb"|EF|EmbeddedFiles?|XFA|URI\s+(?!\((?:https?:|mailto:)))",
    re.IGNORECASE,
)
_SCRIPT_ADDRESS: Final = re.compile(r"(?:javascript|vbscript|data):", re.IGNORECASE)
_UNSEEN: Final = re.compile(r"[\x00-\x20\x7f]")
_SCRIPT_ELEMENT: Final = re.compile(rb"<(?:[\w.-]+:)?script\b")


def available() -> bool:
    """Return whether PDFs can be looked into: the extra `[pdf]` is installed."""
    return find_spec("pikepdf") is not None


def walk(file: BinaryIO, *, most_objects: int = _MOST_OBJECTS) -> dict[str, object]:
    """Return what a PDF holds, as plain JSON values for `report`.

    "pages" is their number or None; "findings" are pairs of word and sentence; with
    "most_objects" there were more objects than that, and nothing was looked at. What qpdf
    may decode is limited for the whole process from then on: call it in one of its own.

    Args:
        file: the PDF, open for reading and seekable.
        most_objects: how many objects are looked at.
    """
    import pikepdf
    from pikepdf import settings

    settings.set_qpdf_limits(
        flate_max_memory=_MOST_DECODED,
        png_max_memory=_MOST_DECODED,
        run_length_max_memory=_MOST_DECODED,
        tiff_max_memory=_MOST_DECODED,
    )
    try:
        with pikepdf.open(file) as pdf:
            objects = pdf.objects
            if len(objects) > most_objects:
                return {"pages": None, "findings": [], "most_objects": most_objects}
            found = dict(_findings(objects))
            return {"pages": len(pdf.pages), "findings": [[w, found[w]] for w in sorted(found)]}
    except pikepdf.PasswordError:
        return _unreadable("encrypted", "The PDF cannot be read without its password.")
    except (pikepdf.PdfError, pikepdf.DataDecodingError) as error:
        if "encryption" in str(error):
            return _unreadable("encrypted", "The PDF is encrypted in a way that cannot be read.")
        return _unreadable("damaged", "The PDF is damaged: its objects cannot be read.")


def report(told: Mapping[str, object], findings: Findings) -> Details:
    """Report what `walk` told, and return the details. An answer of another form is damage.

    Raises:
        ContentRefused: a finding that the policy refuses.
        TooComplex: there are more objects than are looked at.
    """
    most = told.get("most_objects")
    if isinstance(most, int):
        raise TooComplex(
            f"The PDF has more than {most} objects.",
            what="objects",
            limit=most,
            hint="Save it anew in several parts.",
        )
    pairs = told.get("findings")
    for pair in pairs if isinstance(pairs, list) else (pairs,):
        match pair:
            case [str(word), str(detail)] if word in _WORDS:
                findings.report(word, detail[:_LONGEST_SENTENCE])
            case _:
                findings.report("damaged", "The PDF cannot be read.")
    match told.get("pages"):
        case int(pages) if pages >= 0:
            return Details(pages=pages)
        case _:
            return Details()


def _unreadable(word: str, detail: str) -> dict[str, object]:
    return {"pages": None, "findings": [[word, detail]]}


def _findings(objects: Iterable[object]) -> Iterator[tuple[str, str]]:
    import pikepdf

    for thing in objects:
        if not isinstance(thing, pikepdf.Object):
            # Numbers, booleans and nothing come as Python's own.
            continue
        entry = thing.stream_dict if isinstance(thing, pikepdf.Stream) else thing
        written = entry.unparse(resolved=True)
        if not _WORTH_A_LOOK.search(written):
            continue
        names = set(_NAME.findall(_STRINGS.sub(b" ", written)))
        for name in names & _NAMES.keys():
            yield _NAMES[name]
        if _XFA in names and any(map(_has_script, _values(entry, "/XFA"))):
            yield "scripts", "The PDF has an XFA form with scripts in it."
        if b"/URI" in names and any(map(_runs_script, _values(entry, "/URI"))):
            yield "scripts", "The PDF has a link that runs a script."


def _values(entry: pikepdf.Object, key: str) -> Iterator[pikepdf.Object]:
    """Yield what stands under a key anywhere in one object; others that it names are not entered."""
    import pikepdf

    waiting = [entry]
    while waiting:
        thing = waiting.pop()
        inside: list[object] = []
        if isinstance(thing, pikepdf.Dictionary):
            for name, value in thing.items():
                if name != key:
                    inside.append(value)
                elif isinstance(value, pikepdf.Object):
                    yield value
        elif isinstance(thing, pikepdf.Array):
            inside = list(thing)
        waiting += [v for v in inside if isinstance(v, pikepdf.Object) and not v.is_indirect]


def _has_script(form: pikepdf.Object) -> bool:
    """Whether an XFA form (12.7.8), one stream or an array of names and streams, has scripts."""
    import pikepdf

    for part in form if isinstance(form, pikepdf.Array) else (form,):
        if isinstance(part, pikepdf.Stream):
            text = part.read_bytes()
            # Parts of one document, cut anywhere; other encodings than UTF-8 are not searched.
            if _SCRIPT_ELEMENT.search(text) or b"\0" in text:
                return True
    return False


def _runs_script(address: pikepdf.Object) -> bool:
    return _SCRIPT_ADDRESS.match(_UNSEEN.sub("", str(address))) is not None
