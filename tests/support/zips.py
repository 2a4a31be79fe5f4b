"""ZIP archives built field by field, so that a test can make any of them lie (APPNOTE 4.3)."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One member. A value that is None is the true one; `local_...` lie in the local header."""

    name: bytes = b"a.txt"
    data: bytes = b"hello"
    method: int = 0
    packed: bytes | None = None
    flags: int = 0
    crc: int | None = None
    announced: int | None = None
    extra: bytes = b""
    attributes: int = 0
    made_by: int = 3
    offset: int | None = None
    disk: int = 0
    local_name: bytes | None = None
    local_method: int | None = None
    local_flags: int | None = None
    local_crc: int | None = None
    local_sizes: tuple[int, int] | None = None
    local_extra: bytes = b""
    magic: bytes = b"PK\1\2"
    local_magic: bytes = b"PK\3\4"
    told_sizes: tuple[int, int] | None = None

    @property
    def stored(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.method == 8 else self.data

    @property
    def numbers(self) -> tuple[int, int, int]:
        """Checksum, packed and unpacked size."""
        crc = zlib.crc32(self.data) if self.crc is None else self.crc
        unpacked = len(self.data) if self.announced is None else self.announced
        return crc, len(self.stored), unpacked


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-15)
    return packer.compress(data) + packer.flush()


def local(entry: Entry) -> bytes:
    """Return a member's local header and data."""
    crc, packed, unpacked = entry.numbers
    packed, unpacked = entry.local_sizes or (packed, unpacked)
    name = entry.name if entry.local_name is None else entry.local_name
    method = entry.method if entry.local_method is None else entry.local_method
    flags = entry.flags if entry.local_flags is None else entry.local_flags
    crc = crc if entry.local_crc is None else entry.local_crc
    header = struct.pack("<4s5H", entry.local_magic, 20, flags, method, 0, 0)
    header += struct.pack("<3L2H", crc, packed, unpacked, len(name), len(entry.local_extra))
    return header + name + entry.local_extra + entry.stored


def central(entry: Entry, offset: int) -> bytes:
    """Return a member's entry in the directory."""
    crc, packed, unpacked = entry.numbers
    packed, unpacked = entry.told_sizes or (packed, unpacked)
    offset = offset if entry.offset is None else entry.offset
    version = entry.made_by << 8 | 20
    header = struct.pack("<4s6H", entry.magic, version, 20, entry.flags, entry.method, 0, 0)
    header += struct.pack("<3L", crc, packed, unpacked)
    header += struct.pack("<5H", len(entry.name), len(entry.extra), 0, entry.disk, 0)
    header += struct.pack("<2L", entry.attributes, offset)
    return header + entry.name + entry.extra


def end_record(
    count: int,
    length: int,
    offset: int,
    *,
    comment: bytes = b"",
    disk: int = 0,
    here: int | None = None,
) -> bytes:
    here = count if here is None else here
    return (
        struct.pack("<4s4H2LH", b"PK\5\6", disk, disk, here, count, length, offset, len(comment))
        + comment
    )


def zip64_end(count: int, length: int, offset: int, at: int, *, disks: int = 1) -> bytes:
    """Return the zip64 end record and its locator, which says that the record lies at `at`."""
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, length, offset)
    return record + struct.pack("<4sLQL", b"PK\6\7", 0, at, disks)


def built(*entries: Entry, comment: bytes = b"", before: bytes = b"") -> bytes:
    """Return an archive of these members; `before` shifts it without its offsets knowing."""
    data = b""
    records = b""
    for entry in entries:
        records += central(entry, len(data))
        data += local(entry)
    end = end_record(len(entries), len(records), len(data), comment=comment)
    return before + data + records + end


def packed(
    members: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED, stored: str = ""
) -> bytes:
    """Return an archive as Python's own writer makes it; `stored` names a member not packed."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_STORED if name == stored else method
            archive.writestr(info, data)
    return file.getvalue()
