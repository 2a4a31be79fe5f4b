"""OLE compound files ([MS-CFB]): old Office documents and Windows installers.

The directory may lie anywhere in the file; when it is not within the head the answer
is the container alone.
"""

from __future__ import annotations

from typing import Final

__all__ = ["ole_type"]

_UNDECIDED: Final = "application/x-ole-storage"
# Names of streams, UTF-16LE in the directory ([MS-DOC] 2.1, [MS-XLS] 2.1, [MS-PPT] 2.1, [MS-OXMSG] 2.2).
_STREAMS: Final[tuple[tuple[bytes, str], ...]] = tuple(
    (name.encode("utf-16-le"), media_type)
    for name, media_type in (
        ("WordDocument", "application/msword"),
        ("Workbook", "application/vnd.ms-excel"),
        ("Book\0", "application/vnd.ms-excel"),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
    )
)
# {000C1084-0000-0000-C000-000000000046}, the class of the root entry of an installer.
_INSTALLER_CLASS: Final = b"\x84\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46"
_ENTRY: Final = 128
_CLASS_AT: Final = 80


def ole_type(head: bytes) -> str:
    """Return what the directory's first sector tells, else "application/x-ole-storage"."""
    sector = 4096 if head[30:32] == b"\x0c\0" else 512
    start = (int.from_bytes(head[48:52], "little") + 1) * sector
    directory = head[start : start + sector]
    if len(directory) < _ENTRY:
        return _UNDECIDED
    if directory[_CLASS_AT : _CLASS_AT + 16] == _INSTALLER_CLASS:
        return "application/x-msi"
    for name, media_type in _STREAMS:
        if name in directory:
            return media_type
    return _UNDECIDED
