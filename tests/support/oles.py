"""OLE compound files laid out sector by sector ([MS-CFB]), so that their directory may lie anywhere."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from support.content import ole_entry

_FREE = 0xFFFFFFFF
_END = 0xFFFFFFFE


def compound(
    *streams: str,
    entries: Sequence[bytes] = (),
    directory_at: Sequence[int] = (20,),
    large: bool = False,
    follows: Mapping[int, int] | None = None,
    table_in_list: bool = False,
    size: int | None = None,
    class_id: bytes = b"",
) -> bytes:
    """Return a compound file whose root has these streams.

    Args:
        streams: names of the root's streams; a list, each right of the one before.
        entries: the whole directory instead.
        directory_at: the sectors of the directory, in the order of their chain.
        large: sectors of 4096 bytes.
        follows: what follows a sector, other than the chain of the directory.
        table_in_list: whether the allocation table is found by the list outside the header.
        size: where the file is cut.
        class_id: of the root.
    """
    sector = 4096 if large else 512
    rows = list(entries)
    if not rows:
        rows = [ole_entry("Root Entry", 5, child=1 if streams else _FREE)]
        for at, name in enumerate(streams, 1):
            rows.append(ole_entry(name, 2, right=at + 1 if at < len(streams) else _FREE))
    rows[0] = rows[0][:80] + class_id.ljust(16, b"\0") + rows[0][96:]
    directory = b"".join(rows)
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[30:32] = b"\x0c\0" if large else b"\x09\0"
    header[48:52] = struct.pack("<L", directory_at[0])
    header[68:512] = struct.pack("<L", _END) + bytes(4) + b"\xff" * 436
    last = max(*directory_at, 3) + 1
    table = [_FREE] * (sector // 4)
    table[0] = 0xFFFFFFFD
    for at, following in zip(directory_at, [*directory_at[1:], _END], strict=True):
        table[at] = following
    for at, following in (follows or {}).items():
        table[at] = following
    file = bytearray(sector * (last + 1))
    file[: len(header)] = header
    if table_in_list:
        # 109 sectors of an empty table, then the list in sector 1, and again for what follows.
        file[76:512] = struct.pack("<L", 2) * 109
        file[68:72] = struct.pack("<L", 1)
        file[sector * 2 : sector * 3] = struct.pack("<L", 0) * (sector // 4 - 1) + struct.pack(
            "<L", _END
        )
    else:
        file[76:80] = struct.pack("<L", 0)
    file[sector : sector * 2] = struct.pack(f"<{sector // 4}L", *table)
    for number, at in enumerate(directory_at):
        part = directory[number * sector : (number + 1) * sector].ljust(sector, b"\0")
        file[(at + 1) * sector : (at + 2) * sector] = part
    return bytes(file[:size])
