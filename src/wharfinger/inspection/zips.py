"""ZIP and what is built on it: told apart by the members whose headers lie in the head.

Only local headers are visible here, so the answer serves to refuse early. What may be
accepted is settled on the whole file, where the central directory is.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from typing import Final

__all__ = ["APK_TYPE", "JAR_TYPE", "OFFICE_TYPES", "ZIP_TYPE", "declared_type", "zip_type"]

ZIP_TYPE: Final = "application/zip"
JAR_TYPE: Final = "application/java-archive"
APK_TYPE: Final = "application/vnd.android.package-archive"
_OOXML: Final = "application/vnd.openxmlformats-officedocument"
_LOCAL_HEADER: Final = b"PK\3\4"
_MOST_MEMBERS: Final = 32
# [Content_Types].xml of a document with a thousand parts; inflation stops there.
_MOST_CONTENT_TYPES: Final = 64 * 1024

# ECMA-376 part 1: the folder of each application's parts, and its types without and with macros.
OFFICE_TYPES: Final[dict[str, tuple[str, str]]] = {
    "word": (
        f"{_OOXML}.wordprocessingml.document",
        "application/vnd.ms-word.document.macroenabled.12",
    ),
    "xl": (
        f"{_OOXML}.spreadsheetml.sheet",
        "application/vnd.ms-excel.sheet.macroenabled.12",
    ),
    "ppt": (
        f"{_OOXML}.presentationml.presentation",
        "application/vnd.ms-powerpoint.presentation.macroenabled.12",
    ),
}
# OpenDocument 1.3 part 2 section 3.3 and EPUB 3.3 section 4.3: the first member is
# stored, is called "mimetype" and holds the media type.
_DECLARED_TYPES: Final = frozenset(
    {
        "application/vnd.oasis.opendocument.text",
        "application/vnd.oasis.opendocument.spreadsheet",
        "application/vnd.oasis.opendocument.presentation",
        "application/vnd.oasis.opendocument.graphics",
        "application/vnd.oasis.opendocument.formula",
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
            declared = declared_type(found[0]) if found else ""
            if declared:
                return declared
        if name == "[Content_Types].xml":
            content_types = _inflate(head[start:end]) if deflated else head[start:end]
        names.append(name)
    return _by_names(names, content_types)


def declared_type(content: bytes) -> str:
    """Return the type that the content of the member "mimetype" means, or ""; templates are documents."""
    media_type = content.decode("latin-1").strip().removesuffix("-template")
    return media_type if media_type in _DECLARED_TYPES else ""


def _by_names(names: list[str], content_types: bytes) -> str:
    if not names:
        return ZIP_TYPE
    if "AndroidManifest.xml" in names or "classes.dex" in names:
        return APK_TYPE
    if names[0].startswith("META-INF/"):
        return JAR_TYPE
    if "[Content_Types].xml" not in names and "_rels/.rels" not in names:
        return ZIP_TYPE
    if any(name.endswith(".class") for name in names):
        # A Java archive in the clothes of an Office document.
        return JAR_TYPE
    macros = b"macroEnabled.main" in content_types or b"vbaProject" in content_types
    macros = macros or any(name.endswith("vbaProject.bin") for name in names)
    for folder, (plain, with_macros) in OFFICE_TYPES.items():
        part = f"/{folder}/".encode()
        if part in content_types or any(name.startswith(f"{folder}/") for name in names):
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
