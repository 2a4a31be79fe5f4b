"""OLE compound files ([MS-CFB]): old Office documents and Windows installers.

In the head only the directory's first sector may be seen; when it lies elsewhere the answer
is the container alone. With the whole file the chain of directory sectors is followed, within
bounds: a chain that turns in circles or leaves the file ends there, without an error.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final, NamedTuple

__all__ = [
    "ENCRYPTED_TYPE",
    "OLE_TYPE",
    "AllocationTable",
    "Entry",
    "ole_entries",
    "ole_type",
    "read_directory",
    "whole_ole_type",
]

OLE_TYPE: Final = "application/x-ole-storage"
# A document of today (docx, xlsx, ...) behind a password ([MS-OFFCRYPTO] 1.3.3).
ENCRYPTED_TYPE: Final = "application/encrypted"
# Names of streams ([MS-DOC] 2.1, [MS-XLS] 2.1, [MS-PPT] 2.1, [MS-OXMSG] 2.2).
_STREAM_TYPES: Final[dict[str, str]] = {
    "WordDocument": "application/msword",
    "Workbook": "application/vnd.ms-excel",
    "Book": "application/vnd.ms-excel",
    "PowerPoint Document": "application/vnd.ms-powerpoint",
    "__properties_version1.0": "application/vnd.ms-outlook",
    "EncryptedPackage": ENCRYPTED_TYPE,
}
# {000C1084-0000-0000-C000-000000000046}, ...82 and ...86: the class of the root entry of an
# installer, and of the transforms and patches that are applied to one.
_INSTALLER_CLASSES: Final = frozenset(
    bytes([first]) + b"\x10\x0c\0\0\0\0\0\xc0\0\0\0\0\0\0\x46" for first in (0x84, 0x82, 0x86)
)
_INSTALLER: Final = "application/x-msi"
_ENTRY: Final = 128
_CLASS_AT: Final = 80
_ROOT: Final = 5
_STREAM: Final = 2
# 64 KiB entries are read at most; installers with thousands of streams have some hundreds of KB.
_MOST_ENTRIES: Final = 65_536
# The largest number of a sector; those above are marks ([MS-CFB] 2.1).
_LAST_SECTOR: Final = 0xFFFFFFFA
_IN_HEADER: Final = 109


class Entry(NamedTuple):
    """One storage or stream ([MS-CFB] 2.6.1): `start` is its first sector, `length` in bytes."""

    name: str
    kind: int
    left: int
    right: int
    child: int
    class_id: bytes
    start: int
    length: int


def ole_type(head: bytes) -> str:
    """Return what the directory's first sector tells, else "application/x-ole-storage"."""
    sector = _sector_size(head)
    start = (_number(head, 48) + 1) * sector
    directory = head[start : start + sector]
    entries = [_entry(directory, at) for at in range(0, len(directory) - _ENTRY + 1, _ENTRY)]
    if not entries:
        return OLE_TYPE
    if entries[0].class_id in _INSTALLER_CLASSES:
        return _INSTALLER
    return _type_of(entry.name for entry in entries) or OLE_TYPE


def whole_ole_type(file: BinaryIO, size: int) -> str:
    """Return what the whole directory tells, else "application/x-ole-storage".

    The streams of the root count; those in storages below it belong to embedded objects.
    """
    entries, _ = read_directory(file, size)
    if not entries:
        return OLE_TYPE
    if entries[0].class_id in _INSTALLER_CLASSES:
        return _INSTALLER
    return _type_of(_children(entries)) or OLE_TYPE


def ole_entries(file: BinaryIO, size: int) -> tuple[str, ...]:
    """Return the names of all storages and streams, in the order of the directory."""
    entries, _ = read_directory(file, size)
    return tuple(entry.name for entry in entries if entry.kind)


def _type_of(names: Iterator[str]) -> str:
    found = [_STREAM_TYPES[name] for name in names if name in _STREAM_TYPES]
    return found[0] if found else ""


def _children(entries: list[Entry]) -> Iterator[str]:
    """Yield the names in the tree of the root's children ([MS-CFB] 2.6.4)."""
    seen: set[int] = set()
    waiting = [entries[0].child]
    while waiting:
        number = waiting.pop()
        if number < len(entries) and number not in seen:
            seen.add(number)
            entry = entries[number]
            waiting += (entry.left, entry.right)
            if entry.kind == _STREAM:
                yield entry.name


# --- the directory ------------------------------------------------------------------------


def read_directory(file: BinaryIO, size: int) -> tuple[list[Entry], AllocationTable]:
    """Return all entries, unused ones among them, and the table that their chains stand in."""
    file.seek(0)
    header = file.read(512)
    sector = _sector_size(header)
    most = min(_MOST_ENTRIES * _ENTRY, size) // sector + 1
    table = AllocationTable(file, header, sector, size)
    entries: list[Entry] = []
    number = _number(header, 48)
    for _ in range(most):
        data = table.read(number)
        if len(data) < sector:
            break
        entries += (_entry(data, at) for at in range(0, sector, _ENTRY))
        number = table.following(number)
    return entries, table


class AllocationTable:
    """The allocation table: which sector follows which, looked up as needed."""

    def __init__(self, file: BinaryIO, header: bytes, sector: int, size: int) -> None:
        self._file = file
        self.header = header
        self.sector = sector
        self._size = size
        self._in_sector = sector // 4
        self._places = [_number(header, 76 + 4 * at) for at in range(_IN_HEADER)]
        self._next_places = _number(header, 68)
        self._cached: tuple[int, bytes] = (-1, b"")

    def read(self, number: int) -> bytes:
        """Return a sector, b"" when it does not lie in the file."""
        if number > _LAST_SECTOR or (number + 1) * self.sector > self._size:
            return b""
        self._file.seek((number + 1) * self.sector)
        return self._file.read(self.sector)

    def following(self, number: int) -> int:
        """Return the number of the sector that follows in the chain."""
        row, column = divmod(number, self._in_sector)
        if self._cached[0] != row:
            self._cached = row, self.read(self._place(row))
        return _number(self._cached[1], 4 * column)

    def _place(self, row: int) -> int:
        # 109 sectors of the table are listed in the header, the others in a chain of lists
        # whose last number is the next list (section 2.5).
        while row >= len(self._places):
            data = self.read(self._next_places)
            if not data:
                return 0xFFFFFFFF
            last = self.sector - 4
            self._places += (_number(data, at) for at in range(0, last, 4))
            self._next_places = _number(data, last)
        return self._places[row]


def _entry(data: bytes, at: int) -> Entry:
    length = min(int.from_bytes(data[at + 64 : at + 66], "little"), 64)
    name = data[at : at + max(length - 2, 0)].decode("utf-16-le", "replace")
    left, right, child = (_number(data, at + offset) for offset in (68, 72, 76))
    class_id = data[at + _CLASS_AT : at + _CLASS_AT + 16]
    # The upper half of the length counts in files of large sectors alone; none is that long.
    return Entry(
        *(name, data[at + 66], left, right, child, class_id),
        *(_number(data, at + 116), _number(data, at + 120)),
    )


def _sector_size(header: bytes) -> int:
    return 4096 if header[30:32] == b"\x0c\0" else 512


def _number(data: bytes, at: int) -> int:
    found = data[at : at + 4]
    return int.from_bytes(found, "little") if len(found) == 4 else 0xFFFFFFFF  # noqa: PLR2004
