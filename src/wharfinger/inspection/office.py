"""Word, Excel and PowerPoint documents of today (OOXML): what in them runs, hides or fetches.

Content types and relationships say what a part is; its name may say anything. Section numbers
are those of ECMA-376 part 1 unless another document is named.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final
from urllib.parse import unquote

from wharfinger.inspection.findings import Findings
from wharfinger.inspection.package_parts import DTD_MARKS, Parts
from wharfinger.inspection.strict_xml import split_name

__all__ = ["is_remote", "look_into"]

# [MS-OFFMACRO2] 2.2: projects, their data, the macro sheets of Excel 4; [MS-OAUT] controls.
_MACRO_TYPES: Final = re.compile(r"macroenabled|vbaproject|vbadata|macrosheet", re.IGNORECASE)
_MACRO_NAMES: Final = re.compile(r"(?:^|/)(?:vbaproject|vbadata)\w*\.\w+$|(?:^|/)macrosheets/")
_CONTROL_NAMES: Final = re.compile(r"(?:^|/)activex\d*\.(?:xml|bin)$|(?:^|/)activex/")
_OBJECT_NAMES: Final = re.compile(r"(?:^|/)embeddings/[^/]+\.bin$")
# Relationships whose target is opened as a document or program of its own, without a click:
# Word's template (15.2.1, "template injection"), linked objects (15.2.11, CVE-2017-0199 and
# CVE-2022-30190), frames (17.15.2.22) and parts of a master document (17.17.2.1).
_LOADED: Final = frozenset({"attachedtemplate", "oleobject", "frame", "subdocument", "afchunk"})
# Another document put into this one (17.17.2.1): Word reads HTML and old formats there.
_OBJECTS: Final = frozenset({"oleobject", "afchunk"})
_MACROS: Final = frozenset({"vbaproject", "wordvbadata", "xlmacrosheet", "xlintlmacrosheet"})

_FIELDS: Final = (b"instrText", b"fldSimple")
_MARKS: Final = re.compile(
    DTD_MARKS + rb"|instrText|fldSimple|<(?:\w+:)?ddeLink|ppaction://(?:program|macro)"
)
# 17.16.5.16 in the first edition; the field starts the program that it names.
_DDE: Final = re.compile(r"\W*DDE(?:AUTO)?\b", re.IGNORECASE)
_NO_WORD: Final = re.compile(r"\W+")
# Enough of the instructions to tell: of a field in a thousand pieces each one is looked at.
_FIRST_WORD: Final = 32

# Readers of addresses drop these, wherever they stand (URL Standard section 4.4).
_DROPPED: Final = re.compile(r"[\x00-\x20]")
_SCHEME: Final = re.compile(r"[a-z][a-z0-9+.-]+:", re.IGNORECASE)
_LOCAL: Final = re.compile(
    r"(?:file:/*)?[a-z][:|](?:[/\\]|\Z)|file:(?:///|/(?!/))?[^/\\]", re.IGNORECASE
)


def look_into(parts: Parts, findings: Findings) -> None:
    """Report macros, objects and what is fetched from elsewhere."""
    for name in parts.names:
        if _MACRO_NAMES.search(name):
            findings.report("macros", "The document has macros.")
        if _CONTROL_NAMES.search(name):
            findings.report("macros", "The document has ActiveX controls.")
        if _OBJECT_NAMES.search(name):
            findings.report("embedded-objects", "The document has objects of other programs.")
    for part, marks in parts.marked(_MARKS):
        if part.name == "[content_types].xml":
            parts.read(part, _ContentTypes(findings))
        elif part.name.endswith(".rels"):
            parts.read(part, _Relationships(findings))
        elif not marks.isdisjoint(_FIELDS):
            parts.read(part, _Fields(findings))
        elif any(mark.startswith(b"<!") for mark in marks):
            parts.read(part, _Nothing())
        if any(mark.endswith(b"ddeLink") for mark in marks):
            findings.report("macros", "The workbook asks other programs for data (DDE).")
        if any(mark.startswith(b"ppaction") for mark in marks):
            findings.report("macros", "The presentation starts programs or macros.")


def is_remote(target: str) -> bool:
    """Return whether a target is reached over the network: by a URL or on a share."""
    plain = _DROPPED.sub("", unquote(target))
    if _LOCAL.match(plain):
        return False
    return plain.startswith(("\\\\", "//")) or _SCHEME.match(plain) is not None


class _Nothing:
    """Hears, and says nothing: the strict reader has the say."""

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """An element begins."""

    def end(self, name: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """Text."""

    def pi(self, target: str, text: str) -> None:
        """A processing instruction."""


class _ContentTypes(_Nothing):
    """[Content_Types].xml (part 2 section 7.2)."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Judge the content type of an extension or part."""
        if split_name(name)[1] not in {"Default", "Override"}:
            return
        media_type = attributes.get("ContentType", "").lower()
        if _MACRO_TYPES.search(media_type):
            self._findings.report("macros", "The document has macros, says its list of parts.")
        if "activex" in media_type:
            self._findings.report("macros", "The document has ActiveX controls.")
        if "oleobject" in media_type and "PartName" in attributes:
            self._findings.report("embedded-objects", "The document has objects of other programs.")


class _Relationships(_Nothing):
    """A .rels part (part 2 section 6.5)."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Judge a relationship."""
        if split_name(name)[1] != "Relationship":
            return
        kind = attributes.get("Type", "").rpartition("/")[2].lower()
        target = attributes.get("Target", "")
        report = self._findings.report
        if kind == "hyperlink":
            # It waits for a click, as links do.
            return
        if attributes.get("TargetMode", "").lower() == "external" or is_remote(target):
            if kind in _LOADED and is_remote(target):
                report("external-references", "The document opens another from elsewhere.")
            else:
                report("external-links", "The document shows content that lies outside of it.")
        elif kind in _OBJECTS:
            report("embedded-objects", "The document has objects of other programs.")
        elif kind in _MACROS:
            report("macros", "The document has macros.")
        elif kind == "control":
            report("macros", "The document has ActiveX controls.")


class _Fields(_Nothing):
    """The fields of a Word document (17.16): their instructions may be cut into many runs."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._text = ""
        self._within = False

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Judge a simple field; begin a complex one."""
        local = split_name(name)[1]
        self._within = local == "instrText"
        told = {split_name(key)[1]: value for key, value in attributes.items()}
        if local == "fldSimple":
            self._judge(told.get("instr", ""))
        elif local == "fldChar" and told.get("fldCharType") == "begin":
            self._text = ""

    def end(self, name: str) -> None:
        """Judge the instructions so far."""
        if split_name(name)[1] == "instrText":
            self._judge(self._text)
        self._within = False

    def data(self, text: str) -> None:
        """Gather the instructions of a field."""
        if self._within and len(self._text) < _FIRST_WORD:
            blank = _NO_WORD.match(text) if not self._text else None
            self._text += text[blank.end() if blank else 0 :][:_FIRST_WORD]

    def _judge(self, instructions: str) -> None:
        if _DDE.match(instructions):
            self._findings.report("macros", "The document has a field that starts a program (DDE).")
