"""OpenDocument texts, sheets, slides and drawings: macros, encryption, what is fetched.

Section numbers are those of OpenDocument 1.3, part 3 unless another is named. What runs there
is what LibreOffice would run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from wharfinger.inspection.findings import Findings
from wharfinger.inspection.office import is_remote
from wharfinger.inspection.package_parts import DTD_MARKS, Parts
from wharfinger.inspection.strict_xml import split_name

__all__ = ["look_into"]

# Modules of Basic, each a part; the lists of libraries beside them are there without any.
_MACRO_NAMES: Final = re.compile(
    r"(?:^|/)(?:basic/.*(?<!/script-lb)(?<!/script-lc)(?<!/dialog-lb)(?<!/dialog-lc)\.xml"
    r"|scripts/.+)$"
)
_MARKS: Final = re.compile(
    DTD_MARKS + rb"|encryption-data|event-listener|dde-|applet"
    # References into the package are honest.
    rb"""|href\s{0,9}=\s{0,9}["'](?!#|\./|Object|Pictures/|media/|Fonts/|["'])"""
)
# 10.4.6, 10.4.10 and 5.4.2: opened as documents of their own (CVE-2023-2255).
_LOADED: Final = frozenset({"object", "object-ole", "floating-frame", "section-source"})
# They wait for a click, or name where the document itself comes from (4.3.2.10).
_CLICKED: Final = frozenset({"a", "form", "button", "template", "image-map", "area-rectangle"})
_MACRO_ADDRESS: Final = re.compile(
    r"\s*(?:vnd\.sun\.star\.(?:script|expand)|macro|script):", re.IGNORECASE
)
_XLINK: Final = "{http://www.w3.org/1999/xlink}href"


def look_into(parts: Parts, findings: Findings) -> None:
    """Report macros, encryption and what is fetched from elsewhere."""
    if any(_MACRO_NAMES.search(name) for name in parts.names):
        findings.report("macros", "The document has macros.")
    for part, marks in parts.marked(_MARKS):
        if part.name == "meta-inf/manifest.xml" and b"encryption-data" in marks:
            # Part 2 section 3.4.1.
            findings.report("encrypted", "The document cannot be read without its password.")
        if marks - {b"encryption-data"}:
            parts.read(part, _Content(findings))


class _Content:
    """Any part of the document that is XML."""

    def __init__(self, findings: Findings) -> None:
        self._findings = findings

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        """Judge an element by its local name and its address."""
        local = split_name(name)[1]
        address = attributes.get(_XLINK, "")
        report = self._findings.report
        if local == "event-listener" or _MACRO_ADDRESS.match(address):
            report("macros", "The document runs a macro when something happens.")
        elif local == "applet":
            report("macros", "The document has a Java applet.")
        elif local.startswith("dde-"):
            report("macros", "The document asks other programs for data (DDE).")
        elif local not in _CLICKED and _is_outside(address):
            if local in _LOADED and is_remote(address):
                report("external-references", "The document opens another from elsewhere.")
            else:
                report("external-links", "The document shows content that lies outside of it.")

    def end(self, name: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """Text."""

    def pi(self, target: str, text: str) -> None:
        """A processing instruction."""


def _is_outside(address: str) -> bool:
    """Whether an address leaves the package (part 2 section 3.7: "../" does)."""
    return address.startswith(("../", "/")) or ":" in address or is_remote(address)
