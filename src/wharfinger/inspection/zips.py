"""ZIP and what is built on it: told apart by the members whose headers lie in the head.

Only local headers are visible here, so the answer serves to refuse early. What may be
accepted is settled on the whole file, where the central directory is.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

__all__ = ["zip_type"]

_ZIP: Final = "application/zip"
_JAR: Final = "application/java-archive"
_APK: Final = "application/vnd.android.package-archive"
_OOXML: Final = "application/vnd.openxmlformats-officedocument"
_LOCAL_HEADER: Final = b"PK\3\4"
_MOST_MEMBERS: Final = 32
# [Content_Types].xml of a document with a thousand parts; inflation stops there.
_MOST_CONTENT_TYPES: Final = 64 * 1024

# ECMA-376 part 1: the folder of each application's parts, and its type without and with macros.
_OFFICE: Final[tuple[tuple[str, bytes, str, str], ...]] = (
    (
        "word/",
        b"/word/",
        f"{_OOXML}.wordprocessingml.document",
        "application/vnd.ms-word.document.macroenabled.12",
    ),
    (
        "xl/",
        b"/xl/",
        f"{_OOXML}.spreadsheetml.sheet",
        "application/vnd.ms-excel.sheet.macroenabled.12",
    ),
    (
        "ppt/",
        b"/ppt/",
        f"{_OOXML}.presentationml.presentation",
        "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    ),
)
# OpenDocument 1.3 part 2 section 3.3 and EPUB 3.3 section 4.3: the first member is
# stored, is called "mimetype" and holds the media type.
_DECLARED: Final = frozenset(
    {
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.graphics",
        "application/epub+zip",
    }
)
_MEDIA_TYPE: Final = re.compile(rb"[a-z]+/[a-z0-9.+-]+", re.ASCII)


def zip_type(head: bytes) -> str:
    """Return the media type of an archive that begins with a local file header."""
    names: list[str] = []
    content_types = b""
    for name, start, end, deflated in _members(head):
        if not names and name == "mimetype":
            found = _MEDIA_TYPE.match(head, start, end)
            declared = found[0].decode("ascii") if found else ""
            if declared in _DECLARED:
                return declared
        if name == "[Content_Types].xml":
            content_types = _inflate(head[start:end]) if deflated else head[start:end]
        names.append(name)
    return _by_names(names, content_types)


def _by_names(names: list[str], content_types: bytes) -> str:
    if not names:
        return _ZIP
    if "AndroidManifest.xml" in names or "classes.dex" in names:
        return _APK
    if names[0].startswith("META-INF/"):
        return _JAR
    if "[Content_Types].xml" not in names and "_rels/.rels" not in names:
        return _ZIP
    if any(name.endswith(".class") for name in names):
        # A Java archive in the clothes of an Office document.
        return _JAR
    macros = b"macroEnabled.main" in content_types or b"vbaProject" in content_types
    macros = macros or any(name.endswith("vbaProject.bin") for name in names)
    for folder, part, plain, with_macros in _OFFICE:
        if part in content_types or any(name.startswith(folder) for name in names):
            return with_macros if macros else plain
    return _OOXML


def _members(head: bytes) -> Iterator[tuple[str, int, int, bool]]:
    """Yield name, start and end of the data within the head, and whether it is deflated."""
    at = 0
    for _ in range(_MOST_MEMBERS):
        header = head[at : at + 30]
        if len(header) < 30 or not header.startswith(_LOCAL_HEADER):  # noqa: PLR2004 - APPNOTE 4.3.7
            return
        name_end = at + 30 + int.from_bytes(header[26:28], "little")
        start = name_end + int.from_bytes(header[28:30], "little")
        end = start + int.from_bytes(header[18:22], "little")
        if header[6] & 8:
            # The size follows the data (APPNOTE 4.4.4 bit 3): look for the next header.
            following = head.find(_LOCAL_HEADER, start)
            end = following if following >= 0 else len(head)
        yield head[at + 30 : name_end].decode("utf-8", "replace"), start, end, header[8] == 8  # noqa: PLR2004
        at = end


def _inflate(data: bytes) -> bytes:
    try:
        return zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, _MOST_CONTENT_TYPES)
    except zlib.error:
        # Damaged or not deflate at all: the names alone decide.
        return b""
