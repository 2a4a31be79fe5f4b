"""The headers of a tar archive: numbers, names, and the extended ones that replace them.

Sources: POSIX.1-2017 pax, ustar and pax interchange formats; the GNU tar manual, "Basic Tar
Format" and "Storing Sparse Files"; tar(5) of libarchive for the older ones.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from wharfinger.inspection.archives.place import Damaged

__all__ = ["BLOCK", "Header", "is_header", "parse_header", "parse_number", "parse_records"]

BLOCK: Final = 512
_ENCODING: Final = ("utf-8", "surrogateescape")


class Header(NamedTuple):
    """One header block. `size` is that of the data that follows, in bytes.

    `other_name` is what the member is called by programs that look for the beginning of a name
    in any format, "" where that is the same.
    """

    name: str
    other_name: str
    size: int
    kind: bytes
    block: bytes


def is_header(block: bytes) -> bool:
    """Return whether a block is the header of a tar archive: its checksum says so."""
    # Most other content has something else than digits there.
    if len(block) < BLOCK or block[148:156].strip(b"01234567 \0"):
        return False
    try:
        parse_header(block)
    except Damaged:
        return False
    return True


def parse_header(block: bytes) -> Header:
    """Return what a block says.

    Raises:
        Damaged: its checksum or a number is wrong.
    """
    told = parse_number(block[148:156], "checksum")
    # The field itself counts as eight blanks.
    unsigned = sum(block) - sum(block[148:156]) + 8 * 0x20
    if told != unsigned and told != unsigned - _signs(block):
        raise Damaged("The checksum of a header is wrong.")
    name = _text(block[:100])
    other_name = ""
    if prefix := _text(block[345:500]):
        # GNU's own format has other fields where ustar has the beginning of the name.
        if block[257:263] == b"ustar\0":
            name = f"{prefix}/{name}"
        else:
            other_name = f"{prefix}/{name}"
    return Header(name, other_name, parse_number(block[124:136], "size"), block[156:157], block)


def _signs(block: bytes) -> int:
    """Return by how much less old systems count, which added the bytes up as signed ones."""
    return 256 * sum(byte > 0x7F for byte in block[:148] + block[156:])  # noqa: PLR2004


def parse_number(field: bytes, what: str) -> int:
    """Return a number in octal digits, or in base 256 as GNU and others write larger ones.

    Raises:
        Damaged: it is neither, or negative.
    """
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise Damaged(f"A header has a negative {what}.")
        return int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise Damaged(f"A header has a {what} that is no number.")
    return int(digits or b"0", 8)


def parse_records(body: bytes) -> dict[str, str]:
    """Return the records of a pax extended header: "LENGTH KEY=VALUE" and a line feed each.

    Raises:
        Damaged: they are not of that form.
    """
    records: dict[str, str] = {}
    at = 0
    while at < len(body):
        blank = body.find(b" ", at, at + 8)
        digits = body[at:blank] if blank >= 0 else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, equals, value = body[blank + 1 : end - 1].partition(b"=")
        if not equals or end > len(body) or body[end - 1 : end] != b"\n":
            raise Damaged("An extended header is malformed.")
        records[key.decode(*_ENCODING)] = value.decode(*_ENCODING)
        at = end
    return records


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(*_ENCODING)
