"""What a whole ZIP archive is: told by its directory, its declared type and its content types.

The head shows only the first members; here all are seen. An Office document is one when its
content types name a main part and that part is there: an archive that was only renamed stays
an archive. Closed on doubt: a macro project anywhere makes a document with macros, programs
in a document's clothes are a Java archive.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, Final

from wharfinger.errors import TooComplex
from wharfinger.inspection.strict_xml import DtdFound, NotWellFormed, read_xml, split_name
from wharfinger.inspection.zip_directory import (
    BadZip,
    Directory,
    Member,
    MemberTooLong,
    open_member,
)
from wharfinger.inspection.zips import (
    APK_TYPE,
    JAR_TYPE,
    OFFICE_TYPES,
    ZIP_TYPE,
    declared_type,
)

__all__ = ["package_type"]

_CONTENT_TYPES: Final = "[content_types].xml"
# The largest honest one measured, of a presentation with 2,000 slides, has 600 KB.
_MOST_CONTENT_TYPES: Final = 4 * 1024 * 1024
_LONGEST_TYPE: Final = 256
# ECMA-376 part 1 sections 11.3.10, 12.3.23 and 13.3.6, and [MS-OFFMACRO2] 2.2.1: how the content
# type of a main part begins, and where it belongs. What follows says template, slide show, add-in.
_MAIN_PARTS: Final[tuple[tuple[str, str], ...]] = (
    ("application/vnd.openxmlformats-officedocument.wordprocessingml.", "word"),
    ("application/vnd.ms-word.", "word"),
    ("application/vnd.openxmlformats-officedocument.spreadsheetml.", "xl"),
    ("application/vnd.ms-excel.", "xl"),
    ("application/vnd.openxmlformats-officedocument.presentationml.", "ppt"),
    ("application/vnd.ms-powerpoint.", "ppt"),
)
_BINARY_WORKBOOK: Final = "application/vnd.ms-excel.sheet.binary.macroenabled.main"
_XLSB: Final = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
# What makes programs of a document: VBA projects, and the macro sheets of Excel 4.
_MACRO_TYPES: Final = ("macroenabled", "vbaproject", "macrosheet")


def package_type(file: BinaryIO, directory: Directory) -> str:
    """Return the media type of an archive; it never raises for what is in it."""
    members = {member.name.lower(): member for member in directory.members}
    programs = any(name.endswith(".class") for name in members)
    if "androidmanifest.xml" in members or "classes.dex" in members:
        return APK_TYPE
    office = _office_type(file, members) if _CONTENT_TYPES in members else ""
    declares = members.get("mimetype")
    found = office or (declared_type(_content(file, declares, _LONGEST_TYPE)) if declares else "")
    if found:
        return JAR_TYPE if programs else found
    return JAR_TYPE if programs or "meta-inf/manifest.mf" in members else ZIP_TYPE


def _office_type(file: BinaryIO, members: Mapping[str, Member]) -> str:
    types = _ContentTypes()
    try:
        read_xml([_content(file, members[_CONTENT_TYPES], _MOST_CONTENT_TYPES)], types)
    except (DtdFound, NotWellFormed, TooComplex):
        # No office program would open it either.
        return ""
    macros = any(mark in media_type for media_type in types.all for mark in _MACRO_TYPES)
    macros = macros or any(name.endswith("vbaproject.bin") for name in members)
    for media_type in types.of_parts(members):
        if media_type == _BINARY_WORKBOOK:
            return _XLSB
        for beginning, folder in _MAIN_PARTS:
            if media_type.startswith(beginning) and media_type.endswith(".main+xml"):
                plain, with_macros = OFFICE_TYPES[folder]
                return with_macros if macros else plain
    return ""


class _ContentTypes:
    """The content types of a package (ECMA-376 part 2 section 7.2), in lower case."""

    def __init__(self) -> None:
        self._parts: dict[str, str] = {}
        self._extensions: dict[str, str] = {}
        self.all: set[str] = set()

    def start(self, name: str, attributes: Mapping[str, str]) -> None:
        media_type = attributes.get("ContentType", "").lower()
        self.all.add(media_type)
        if split_name(name)[1] == "Override":
            self._parts[attributes.get("PartName", "").lower().lstrip("/")] = media_type
        else:
            self._extensions[attributes.get("Extension", "").lower()] = media_type

    def of_parts(self, names: Iterable[str]) -> Iterator[str]:
        """Yield the types of parts that are there; their own one comes before their extension's."""
        for name in names:
            extension = name.rpartition(".")[2]
            yield self._parts.get(name) or self._extensions.get(extension, "")

    def end(self, name: str) -> None:
        """Elements have no content."""

    def data(self, text: str) -> None:
        """Nor text."""

    def pi(self, target: str, text: str) -> None:
        """Nor instructions."""


def _content(file: BinaryIO, member: Member, most: int) -> bytes:
    """Return what a small member holds, b"" when it is longer, damaged or encrypted."""
    try:
        return b"".join(open_member(file, member, limit=most))
    except (BadZip, MemberTooLong):
        return b""
