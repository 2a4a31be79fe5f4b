"""OLE compound files with what is in their streams ([MS-CFB]): sectors of 512 bytes."""

from __future__ import annotations

import struct
from collections.abc import Mapping

from support.content import ole_entry

_END = 0xFFFFFFFE
_SECTOR = 512
_SMALL = 64
_CUTOFF = 4096


def _chained(table: list[int], count: int) -> int:
    """Add a chain of so many sectors to a table; return the first one's number."""
    first = len(table)
    table += [first + at + 1 for at in range(count)]
    if count:
        table[-1] = _END
    return first if count else _END


def ole_file(streams: Mapping[str, bytes], *storages: str) -> bytes:
    """Return a file whose root has these streams, and empty storages beside them."""
    table: list[int] = []
    small_table: list[int] = []
    small = b""
    body = b""
    rows: list[bytes] = []
    for name, data in streams.items():
        if len(data) < _CUTOFF:
            padded = data.ljust(-(-len(data) // _SMALL) * _SMALL, b"\0")
            start = _chained(small_table, len(padded) // _SMALL)
            small += padded
        else:
            padded = data.ljust(-(-len(data) // _SECTOR) * _SECTOR, b"\0")
            start = _chained(table, len(padded) // _SECTOR)
            body += padded
        rows.append(_row(name, 2, len(rows) + 2, start, len(data)))
    rows += [_row(name, 1, len(rows) + at + 2, _END, 0) for at, name in enumerate(storages)]
    if rows:
        rows[-1] = rows[-1][:72] + b"\xff" * 4 + rows[-1][76:]
    small_length = len(small)
    small = small.ljust(-(-small_length // _SECTOR) * _SECTOR, b"\0")
    root_start = _chained(table, len(small) // _SECTOR)
    packed = struct.pack(f"<{len(small_table)}L", *small_table)
    packed = packed.ljust(-(-len(packed) // _SECTOR) * _SECTOR, b"\xff")
    small_table_start = _chained(table, len(packed) // _SECTOR)
    root = ole_entry("Root Entry", 5, child=1)[:116] + struct.pack("<LQ", root_start, small_length)
    directory = b"".join([root, *rows])
    directory = directory.ljust(-(-len(directory) // _SECTOR) * _SECTOR, b"\0")
    directory_start = _chained(table, len(directory) // _SECTOR)
    body += small + packed + directory
    rows_of_table = -(-(len(table) + 1) // 128)
    rows_of_table = -(-(len(table) + rows_of_table) // 128)
    assert rows_of_table <= 109
    table_start = len(table)
    table += [0xFFFFFFFD] * rows_of_table
    table += [0xFFFFFFFF] * (rows_of_table * 128 - len(table))
    header = bytearray(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".ljust(76, b"\0"))
    header[30:34] = b"\x09\0\x06\0"
    header[44:52] = struct.pack("<2L", rows_of_table, directory_start)
    header[56:76] = struct.pack("<5L", _CUTOFF, small_table_start, len(packed) // _SECTOR, _END, 0)
    places = [table_start + at for at in range(rows_of_table)]
    places += [0xFFFFFFFF] * (109 - rows_of_table)
    header += struct.pack("<109L", *places)
    return bytes(header) + body + struct.pack(f"<{len(table)}L", *table)


def _row(name: str, kind: int, following: int, start: int, length: int) -> bytes:
    return ole_entry(name, kind, right=following)[:116] + struct.pack("<LQ", start, length)
