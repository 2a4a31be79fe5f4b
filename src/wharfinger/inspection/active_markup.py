"""What in an XML document runs or fetches: the rules for SVG, and HTML, XSLT and Office inside XML.

The question is never "is this allowed?" but "would any reader act on it?": an element counts by
its local name in every namespace that browsers, XSLT processors or Office act on, an address
after the characters that browsers drop are dropped. Section numbers are those of SVG 2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from wharfinger.errors import TooComplex
from wharfinger.inspection import style_sheets
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.strict_xml import split_name

__all__ = ["Markup"]

_SVG: Final = "http://www.w3.org/2000/svg"
_XHTML: Final = "http://www.w3.org/1999/xhtml"
_MATHML: Final = "http://www.w3.org/1998/Math/MathML"
_XLINK: Final = "http://www.w3.org/1999/xlink"
_XSLT: Final = "http://www.w3.org/1999/XSL/Transform"
_XINCLUDE: Final = "http://www.w3.org/2001/XInclude"
_XML: Final = "http://www.w3.org/XML/1998/namespace"
_DRAWN: Final = frozenset({_SVG, _XHTML, _MATHML})

# Elements that run something, or show a document of their own which may.
_RUNNING: Final = frozenset(
    {"script", "handler", "listener", "foreignobject", "iframe", "frame", "frameset", "embed"}
    | {"object", "applet", "portal", "meta", "base", "link"}
)
_ANIMATING: Final = frozenset({"set", "animate", "animatetransform", "animatemotion"})
# Attributes whose address is fetched without a click.
_FETCHED: Final = frozenset({"href", "src", "poster", "background", "data", "codebase", "base"})
# Elements whose address waits for a click: only what it would run counts (16.1).
_CLICKED: Final = frozenset({"a", "area"})
_EVENT: Final = re.compile(r"on[a-z]+")
# URL Standard section 4.4: leading and trailing C0 controls and blanks, and every tab and line
# end are dropped. Zero-width characters are dropped by some readers.
_DROPPED: Final = re.compile("[\x00-\x20\x7f-\xa0\xad\u200b-\u200f\u2028\u2029\u2060\ufeff]")
_SCRIPT_SCHEME: Final = re.compile(r"(?:javascript|vbscript|livescript):", re.IGNORECASE)
_DATA: Final = re.compile(r"data:(?!image/svg)(?:text/plain|image/|audio/|video/)", re.IGNORECASE)
# Pictures and fonts within the document: decoded by the reader, and never run.
_INSIDE: Final = re.compile(
    r"#|\Z|data:(?:image/(?:png|jpe?g|gif|webp|avif|bmp)|font/[\w+-]+|application/octet-stream"
    r"|application/(?:x-)?font-[\w+-]+|application/vnd\.ms-fontobject)[;,]",
    re.IGNORECASE,
)
# Values of an attribute are looked into when they have one of these; most have none.
_CSS: Final = re.compile(r"url|src|image-set|\\|import|expression|binding|behavior", re.IGNORECASE)
_LONGEST_STYLE: Final = 8 * 1024 * 1024
# Office 2003 XML and the one-file forms of Office and LibreOffice.
_OFFICE_MACROS: Final = re.compile(r"vbaproject|editdata\.mso", re.IGNORECASE)


class Markup:
    """Reads along with `read_xml` and reports; `drawing` says that the file is an SVG."""

    __slots__ = ("_drawing", "_findings", "_first", "_held", "_style", "_templates")

    def __init__(self, findings: Findings, *, drawing: bool) -> None:
        self._findings = findings
        # Without a namespace the elements of an SVG count all the same: pasted into a page they do.
        self._drawing = drawing
        self._templates = False
        self._first = True
        self._style: list[str] | None = None
        self._held = 0

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Judge an element and its attributes."""
        namespace, local = split_name(name)
        if self._first:
            self._first = False
            self._templates = namespace == _XSLT or f"{{{_XSLT}}}version" in attributes
        lower = local.lower()
        plain = not namespace and (self._drawing or self._templates)
        drawn = plain or namespace in _DRAWN
        if drawn:
            self._judge_drawn(lower, attributes)
        elif namespace and lower == "script":
            # Of Microsoft's and Apache's XSLT, of OpenDocument, of XUL, ...
            self._scripts(f"a <{local}> element")
        elif namespace == _XINCLUDE:
            self._elsewhere("XInclude")
        elif namespace == _XSLT:
            self._judge_template(lower, attributes)
        for key, value in attributes.items():
            if ":" in value:
                self._judge_scheme(value, drawn=drawn)
            self._judge_office(key, value)
        if lower == "style" and drawn:
            self._style = []

    def end(self, name: str) -> None:
        """Judge a style sheet, now that it is whole."""
        if self._style is not None and split_name(name)[1].lower() == "style":
            self._judge_style("".join(self._style))
            self._style = None
            self._held = 0

    def data(self, text: str) -> None:
        """Gather a style sheet."""
        if self._style is None:
            return
        self._held += len(text)
        if self._held > _LONGEST_STYLE:
            raise TooComplex(
                f"The XML has a style sheet of more than {_LONGEST_STYLE} characters.",
                what="characters of a style sheet",
                limit=_LONGEST_STYLE,
            )
        self._style.append(text)

    def pi(self, target: str, text: str) -> None:  # noqa: ARG002 - the target is enough
        """Judge a processing instruction."""
        lower = target.lower()
        if lower == "xml-stylesheet":
            self._elsewhere("a style sheet")
        elif lower.startswith(("php", "import")):
            self._scripts("a processing instruction that servers run")

    def _judge_drawn(self, lower: str, attributes: Mapping[str, str]) -> None:
        if lower in _RUNNING:
            self._scripts(f"a <{lower}> element")
        for key, value in attributes.items():
            namespace, local = split_name(key)
            attribute = local.lower()
            if not namespace and _EVENT.fullmatch(attribute):
                self._scripts(f"an event handler, {attribute}")
            elif attribute == "attributename" and lower in _ANIMATING:
                changed = value.strip().lower().rpartition(":")[2]
                if changed == "href" or _EVENT.fullmatch(changed):
                    self._scripts(f"an animation that changes {changed}")
            elif attribute in _FETCHED and namespace in {"", _XLINK, _XML}:
                if lower not in _CLICKED or attribute != "href":
                    self._judge_address(value)
            elif attribute in {"srcset", "imagesrcset"}:
                self._elsewhere("a picture")
            elif not namespace and _CSS.search(value):
                self._judge_style(value)

    def _judge_template(self, lower: str, attributes: Mapping[str, str]) -> None:
        """XSLT 1.0 sections 2.6 and 12.1: what a style sheet reads from elsewhere."""
        reads = lower in {
            "include",
            "import",
            "import-schema",
            "result-document",
            "source-document",
        }
        if reads or any("document(" in value for value in attributes.values()):
            self._elsewhere("XSLT")

    def _judge_office(self, key: str, value: str) -> None:
        local = split_name(key)[1]
        if (local == "macrosPresent" and value == "yes") or (
            local == "name" and _OFFICE_MACROS.search(value)
        ):
            self._findings.report("macros", "The XML is an office document with macros.")

    def _judge_style(self, text: str) -> None:
        if style_sheets.runs(text):
            self._scripts("a style that runs a script")
        for address in style_sheets.fetched_addresses(text):
            self._judge_address(address)

    def _judge_scheme(self, value: str, *, drawn: bool) -> None:
        address = _DROPPED.sub("", value)
        if _SCRIPT_SCHEME.match(address):
            self._scripts("an address that runs a script")
        elif drawn and address[:5].lower() == "data:" and not _DATA.match(address):
            # A document within the document; fonts are named by style sheets alone.
            self._scripts("an address that holds a document of its own")

    def _judge_address(self, address: str) -> None:
        if not _INSIDE.match(_DROPPED.sub("", address)):
            self._elsewhere("an address")

    def _scripts(self, what: str) -> None:
        self._findings.report("scripts", f"The XML has {what}.")

    def _elsewhere(self, what: str) -> None:
        self._findings.report("external-references", f"The XML fetches from elsewhere: {what}.")
