"""Archives built byte by byte: honest ones, and ones that lie in any of their fields."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MIB = 1024 * 1024
LINK = 0o120777 << 16
DEVICE = 0o020666 << 16
PIPE = 0o010644 << 16
_UTF8 = 1 << 11


@dataclass(frozen=True)
class Item:
    """One member of a zip. `local` and `central` replace what that header would say."""

    name: str | bytes
    data: bytes = b""
    deflate: bool = False
    flags: int = 0
    attributes: int = 0
    extra: bytes = b""
    method: int | None = None
    packed: bytes | None = None
    follows: bytes | None = None
    local: Mapping[str, int | bytes] = field(default_factory=dict)
    central: Mapping[str, int | bytes] = field(default_factory=dict)

    def raw_name(self) -> bytes:
        return self.name.encode() if isinstance(self.name, str) else self.name

    def content(self) -> bytes:
        if self.packed is not None:
            return self.packed
        return deflated(self.data) if self.deflate else self.data

    def told(self) -> dict[str, int | bytes]:
        method = 8 if self.deflate else 0
        return {
            "name": self.raw_name(),
            "flags": self.flags | (0 if self.raw_name().isascii() else _UTF8),
            "method": method if self.method is None else self.method,
            "crc": zlib.crc32(self.data),
            "packed": len(self.content()),
            "unpacked": len(self.data),
            "extra": self.extra,
        }


def deflated(data: bytes) -> bytes:
    packer = zlib.compressobj(9, wbits=-15)
    return packer.compress(data) + packer.flush()


def local_header(told: Mapping[str, int | bytes]) -> bytes:
    """Return a local file header (APPNOTE 4.3.7) of ten fields and the name."""
    name, extra = told["name"], told["extra"]
    assert isinstance(name, bytes)
    assert isinstance(extra, bytes)
    numbers = (told["flags"], told["method"], 0, 0x21, told["crc"], told["packed"])
    lengths = (told["unpacked"], len(name), len(extra))
    return struct.pack("<4s5H3L2H", b"PK\3\4", 20, *numbers, *lengths) + name + extra


def central_header(told: Mapping[str, int | bytes], offset: int, attributes: int) -> bytes:
    """Return an entry of the central directory (APPNOTE 4.3.12)."""
    name, extra = told["name"], told["extra"]
    assert isinstance(name, bytes)
    assert isinstance(extra, bytes)
    numbers = (told["flags"], told["method"], 0, 0x21, told["crc"], told["packed"])
    lengths = (told["unpacked"], len(name), len(extra), 0, 0, 0)
    where = (attributes, offset)
    return (
        struct.pack("<4s6H3L5H2L", b"PK\1\2", 0x0314, 20, *numbers, *lengths, *where) + name + extra
    )


def end_record(count: int, length: int, offset: int, comment: bytes = b"") -> bytes:
    return (
        struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, count, count, length, offset, len(comment))
        + comment
    )


def zip_of(*items: Item, gap: bytes = b"", comment: bytes = b"") -> bytes:
    """Return a zip with these members; `gap` stands between them and the directory."""
    body, records = bytearray(), bytearray()
    for item in items:
        told = item.told()
        records += central_header({**told, **item.central}, len(body), item.attributes)
        body += local_header({**told, **item.local}) + item.content() + (item.follows or b"")
    body += gap
    return bytes(body + records + end_record(len(items), len(records), len(body), comment))


def streamed(
    name: str, data: bytes, *, signature: bytes = b"PK\7\x08", width: int = 4, stored: bool = False
) -> Item:
    """Return a member whose sizes follow its data, as writers to a pipe leave it."""
    packed = data if stored else deflated(data)
    sizes = len(packed).to_bytes(width, "little") + len(data).to_bytes(width, "little")
    return Item(
        name,
        data,
        deflate=not stored,
        flags=8,
        packed=packed,
        follows=signature + zlib.crc32(data).to_bytes(4, "little") + sizes,
        local={"crc": 0, "packed": 0, "unpacked": 0},
    )


def noise(size: int) -> bytes:
    """Return bytes that nothing packs, the same for each size."""
    return random.Random(size).randbytes(size)  # noqa: S311 - no secret


def zeros(size: int) -> Iterator[bytes]:
    for at in range(0, size, MIB):
        yield bytes(min(MIB, size - at))


def bomb_item(name: str, size: int, **lies: int) -> Item:
    """Return a deflated member of zeros; the lies stand in both headers."""
    packer = zlib.compressobj(9, wbits=-15)
    crc, packed = 0, bytearray()
    for piece in zeros(size):
        crc = zlib.crc32(piece, crc)
        packed += packer.compress(piece)
    packed += packer.flush()
    told: dict[str, int | bytes] = {"crc": crc, "unpacked": size, **lies}
    return Item(name, method=8, packed=bytes(packed), local=told, central=told)


def full_overlap(count: int, size: int, *, one_name: bool = False) -> bytes:
    """Return a zip whose members are all the same bytes."""
    item = bomb_item("000", size)
    told = {**item.told(), **item.local}
    body = local_header(told) + item.content()
    records = b"".join(
        central_header({**told, "name": b"000" if one_name else b"%03d" % number}, 0, 0)
        for number in range(count)
    )
    return body + records + end_record(count, len(records), len(body))


def quoted_overlap(count: int, size: int) -> bytes:
    """Return a zip whose members quote the headers of those after them (Fifield, 2019)."""
    kernel = bomb_item("kernel", size)
    tail, length, plain = kernel.content(), size, [bytes(size)]
    crc = zlib.crc32(plain[0])
    headers: list[tuple[dict[str, int | bytes], int]] = []
    for number in reversed(range(count)):
        told: dict[str, int | bytes] = {
            **kernel.told(), "name": b"%d" % number, "crc": crc, "packed": len(tail),
            "unpacked": length,
        }  # fmt: skip
        header = local_header(told)
        tail = header + tail
        headers.append((told, len(tail)))
        if number:
            # A stored block of deflate (RFC 1951 section 3.2.4) holds the header that follows.
            tail = struct.pack("<BHH", 0, len(header), len(header) ^ 0xFFFF) + tail
            plain.insert(0, header)
            length += len(header)
            crc = 0
            for piece in plain:
                crc = zlib.crc32(piece, crc)
    whole = len(tail)
    records = b"".join(central_header(told, whole - at, 0) for told, at in reversed(headers))
    return tail + records + end_record(count, len(records), whole)


def nested(levels: int, data: bytes, *, name: str = "0.zip", deflate: bool = True) -> bytes:
    """Return data in a zip in a zip, as many as `levels` zips."""
    made = zip_of(Item("0.bin", data, deflate=deflate))
    for _ in range(levels - 1):
        made = zip_of(Item(name, made, deflate=deflate))
    return made


def gzip_of(size: int) -> bytes:
    packer = zlib.compressobj(9, wbits=31)
    return b"".join(packer.compress(piece) for piece in zeros(size)) + packer.flush()


def bzip2_of(size: int) -> bytes:
    packer = bz2.BZ2Compressor()
    return b"".join(packer.compress(piece) for piece in zeros(size)) + packer.flush()


def xz_of(size: int) -> bytes:
    packer = lzma.LZMACompressor(preset=0)
    return b"".join(packer.compress(piece) for piece in zeros(size)) + packer.flush()


def xz_with_dictionary(bits: int) -> bytes:
    """Return an xz file whose block says that it needs a dictionary of 2 ** bits bytes."""
    made = bytearray(lzma.compress(b"small"))
    # The .xz file format 1.2.1: block header behind 12 bytes, LZMA2's byte at its fifth,
    # CRC-32 in its last four bytes; 5.3.1: how the byte says the size.
    length = (made[12] + 1) * 4
    assert made[14:16] == b"\x21\x01"
    made[16] = (bits - 12) * 2
    made[12 + length - 4 : 12 + length] = zlib.crc32(made[12 : 12 + length - 4]).to_bytes(
        4, "little"
    )
    return bytes(made)


# --- tar -------------------------------------------------------------------------------------


def tar_header(name: bytes, size: int | bytes = 0, kind: bytes = b"0", **fields: bytes) -> bytes:
    """Return a ustar header; `size` as bytes is the field itself, so are the other fields."""
    block = bytearray(512)
    places = {"prefix": 345, "magic": 257, "link": 157, "realsize": 483, "extended": 482}
    block[:100] = name.ljust(100, b"\0")
    block[100:124] = b"0000644\0" + b"0000000\0" * 2
    block[124:136] = b"%011o\0" % size if isinstance(size, int) else size
    block[136:148] = b"00000000000\0"
    block[156:157] = kind
    block[257:265] = b"ustar\x0000"
    for field_name, value in fields.items():
        at = places[field_name]
        block[at : at + len(value)] = value
    block[148:156] = b" " * 8
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block)


def tar_file(name: bytes, data: bytes = b"", kind: bytes = b"0", **fields: bytes) -> bytes:
    return tar_header(name, len(data), kind, **fields) + data + bytes(-len(data) % 512)


def pax(kind: bytes = b"x", **records: str) -> bytes:
    """Return an extended header; "__" in a key stands for a dot."""
    body = b""
    for key, value in records.items():
        text = f" {key.replace('__', '.')}={value}\n".encode()
        length = len(text) + 1
        while len(b"%d" % length) + len(text) != length:
            length += 1
        body += b"%d" % length + text
    return tar_file(b"pax", body, kind)


def tar_of(*parts: bytes, end: bytes = bytes(1024)) -> bytes:
    return b"".join(parts) + end


def ar_of(*members: tuple[bytes, bytes]) -> bytes:
    made = b"!<arch>\n"
    for name, data in members:
        made += b"%-16s%-12d%-6d%-6d%-8s%-10d`\n" % (name, 0, 0, 0, b"100644", len(data))
        made += data + b"\n" * (len(data) % 2)
    return made


def gz(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)
