"""Formats that are known by their first bytes: one row each, with the source of the row.

A row without a check is certain by its magic alone; a check looks further into the
head and returns the media type, or "" when the magic was a coincidence (text that
begins with "BM"). Rows are tried in order among those with the same first byte.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from wharfinger.inspection import containers, mpeg, programs
from wharfinger.inspection.ole import ole_type
from wharfinger.inspection.zips import zip_type

__all__ = ["FORMATS", "signature_type"]


class Signature(NamedTuple):
    """The first bytes of a format, its media type (or the check that tells it), and the source."""

    magic: bytes
    type: str
    source: str
    check: Callable[[bytes], str] | None = None


# DIB header sizes: BITMAPCOREHEADER, OS/2 2.x short and long, BITMAPINFOHEADER and
# its versions 2 to 5. "BM" alone would make an image of many a text.
_DIB_HEADER_SIZES: Final = frozenset({12, 16, 40, 52, 56, 64, 108, 124})


def _bmp(head: bytes) -> str:
    return "image/bmp" if int.from_bytes(head[14:18], "little") in _DIB_HEADER_SIZES else ""


def _icon(head: bytes) -> str:
    # ICONDIR: at least one image, whose reserved byte is zero.
    return "image/vnd.microsoft.icon" if head[4:6] > b"\0\0" and head[9:10] == b"\0" else ""


def _bzip2(head: bytes) -> str:
    # A level digit, then the magic of a block or, for empty content, of the end.
    follows = head[4:10]
    known = follows in {b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"}
    return "application/x-bzip2" if known and head[3:4] in b"123456789" else ""


def _zstd_skippable(head: bytes) -> str:
    return "application/zstd" if head[1:4] == b"\x2a\x4d\x18" else ""


def _truetype(head: bytes) -> str:
    tables = int.from_bytes(head[4:6], "big")
    return "font/ttf" if 0 < tables < 256 and head[12:16].strip().isascii() else ""  # noqa: PLR2004 - no font has more tables


def _flash(head: bytes) -> str:
    # A version up to 50, and a length whose high byte is zero as that of any honest film.
    plausible = head[3:4] <= b"\x32" and b"\0" in head[4:8]
    return "application/vnd.adobe.flash.movie" if plausible else ""


_ISOBMFF: Final = "ISO/IEC 14496-12 section 4.3, the ftyp box; MP4RA list of brands"
FORMATS: Final[tuple[Signature, ...]] = (
    Signature(b"\xff\xd8\xff", "image/jpeg", "ITU-T T.81 annex B, SOI and the next marker"),
    Signature(b"\x89PNG\r\n\x1a\n", "image/png", "W3C PNG section 5.2"),
    Signature(b"GIF87a", "image/gif", "GIF87a specification"),
    Signature(b"GIF89a", "image/gif", "GIF89a specification section 17"),
    Signature(b"BM", "", "Microsoft BITMAPFILEHEADER", _bmp),
    Signature(b"II*\0", "image/tiff", "TIFF 6.0 section 2"),
    Signature(b"MM\0*", "image/tiff", "TIFF 6.0 section 2"),
    Signature(b"II+\0", "image/tiff", "BigTIFF"),
    Signature(b"MM\0+", "image/tiff", "BigTIFF"),
    Signature(b"\0\0\1\0", "", "Microsoft ICONDIR, icons", _icon),
    Signature(b"\0\0\2\0", "", "Microsoft ICONDIR, cursors", _icon),
    Signature(b"8BPS\0", "image/vnd.adobe.photoshop", "Adobe Photoshop file format"),
    Signature(b"\xff\x0a", "image/jxl", "ISO/IEC 18181-1, bare codestream"),
    Signature(b"\0\0\0\x0cJXL \r\n\x87\n", "image/jxl", "ISO/IEC 18181-2"),
    Signature(b"\0\0\0\x0cjP  \r\n\x87\n", "image/jp2", "ISO/IEC 15444-1 annex I"),
    Signature(b"\xffO\xffQ", "image/jp2", "ISO/IEC 15444-1 annex A.4, bare codestream"),
    Signature(b"%PDF-", "application/pdf", "ISO 32000-2 section 7.5.2, at offset 0"),
    Signature(b"%!PS", "application/postscript", "Adobe DSC 3.0"),
    Signature(b"\xc5\xd0\xd3\xc6", "application/postscript", "Adobe EPSF 3.0 section 5.2, DOS EPS"),
    Signature(b"{\\rtf", "application/rtf", "RTF 1.9.1"),
    Signature(b"PK\3\4", "", "PKWARE APPNOTE 4.3.7, local file header", zip_type),
    Signature(b"PK\5\6", "application/zip", "PKWARE APPNOTE 4.3.16, empty archive"),
    Signature(b"PK\7\x08PK", "application/zip", "PKWARE APPNOTE 8.5.3, spanned archive"),
    Signature(b"\x1f\x8b\x08", "application/gzip", "RFC 1952 section 2.3.1"),
    Signature(b"BZh", "", "bzip2 file format", _bzip2),
    Signature(b"\xfd7zXZ\0", "application/x-xz", "The .xz file format 1.2.1"),
    Signature(b"\x28\xb5\x2f\xfd", "application/zstd", "RFC 8878 section 3.1.1"),
    *(
        Signature(bytes([first]), "", "RFC 8878 section 3.1.2, skippable frame", _zstd_skippable)
        for first in range(0x50, 0x60)
    ),
    Signature(b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed", "7zFormat.txt"),
    Signature(b"Rar!\x1a\7\0", "application/vnd.rar", "RAR 4 technote"),
    Signature(b"Rar!\x1a\7\1\0", "application/vnd.rar", "RAR 5 technote"),
    Signature(b"MSCF\0\0\0\0", "application/vnd.ms-cab-compressed", "[MS-CAB] 2.1"),
    Signature(b"!<arch>\n", "application/x-archive", "ar(5)"),
    Signature(b"\xed\xab\xee\xdb", "application/x-rpm", "RPM file format, the lead"),
    Signature(b"\0", "", _ISOBMFF, containers.isobmff_type),
    Signature(b"\x1a\x45\xdf\xa3", "", "RFC 8794 section 8, EBML header", containers.ebml_type),
    Signature(b"RIFF", "", "Microsoft RIFF", containers.riff_type),
    Signature(b"RF64", "", "EBU Tech 3306", containers.riff_type),
    Signature(b"FORM", "", "AIFF 1.3", containers.iff_type),
    Signature(b"OggS\0", "", "RFC 3533 section 6", containers.ogg_type),
    Signature(b"fLaC", "audio/flac", "RFC 9639 section 8"),
    Signature(b"ID3", "", "ID3v2.4 section 3.1", mpeg.id3_type),
    Signature(b"\xff", "", "ISO/IEC 11172-3 section 2.4.2.3, 13818-7 ADTS", mpeg.frames_type),
    Signature(b"ADIF", "audio/aac", "ISO/IEC 13818-7 section 6.2, ADIF"),
    Signature(b"MThd\0\0\0\6", "audio/midi", "Standard MIDI files 1.0"),
    Signature(b"\0\0\1\xba", "video/mpeg", "ISO/IEC 13818-1 section 2.5.3.3, pack header"),
    Signature(b"\0\0\1\xb3", "video/mpeg", "ISO/IEC 13818-2 section 6.2.2.1, sequence header"),
    Signature(b"\x47", "", "ISO/IEC 13818-1 section 2.4.3.2", mpeg.transport_type),
    Signature(b"FLV\1", "video/x-flv", "Adobe FLV 10.1 annex E"),
    Signature(b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "video/x-ms-asf", "ASF header object"),
    Signature(b"wOFF", "font/woff", "W3C WOFF 1.0 section 3"),
    Signature(b"wOF2", "font/woff2", "W3C WOFF 2.0 section 4"),
    Signature(b"OTTO\0", "font/otf", "OpenType, CFF outlines"),
    Signature(b"\0\1\0\0", "", "OpenType, TrueType outlines", _truetype),
    Signature(b"ttcf\0", "font/collection", "OpenType, font collections"),
    Signature(b"SQLite format 3\0", "application/vnd.sqlite3", "SQLite file format 1.3.1"),
    Signature(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "", "[MS-CFB] 2.2", ole_type),
    Signature(b"\x7fELF", "application/x-elf", "System V ABI, ELF header"),
    Signature(b"MZ", "", "Microsoft PE format", programs.mz_type),
    Signature(b"\xfe\xed\xfa\xce", "application/x-mach-binary", "mach-o/loader.h, 32 bit"),
    Signature(b"\xfe\xed\xfa\xcf", "application/x-mach-binary", "mach-o/loader.h, 64 bit"),
    Signature(b"\xce\xfa\xed\xfe", "application/x-mach-binary", "mach-o/loader.h, swapped"),
    Signature(b"\xcf\xfa\xed\xfe", "application/x-mach-binary", "mach-o/loader.h, swapped"),
    Signature(
        b"\xca\xfe\xba\xbe", "", "mach-o/fat.h; JVM specification 4.1", programs.cafebabe_type
    ),
    Signature(b"\0asm", "application/wasm", "WebAssembly core 5.5.16"),
    Signature(b"dex\n", "application/vnd.android.dex", "Dalvik executable format"),
    Signature(b"L\0\0\0\1\x14\2\0", "application/x-ms-shortcut", "[MS-SHLLINK] 2.1"),
    Signature(b"FWS", "", "Adobe SWF 19, plain", _flash),
    Signature(b"CWS", "", "Adobe SWF 19, zlib", _flash),
    Signature(b"ZWS", "", "Adobe SWF 19, LZMA", _flash),
    Signature(b"ITSF\3\0\0\0", "application/vnd.ms-htmlhelp", "compiled HTML help"),
)


def _by_first_byte() -> tuple[tuple[Signature, ...], ...]:
    rows: list[list[Signature]] = [[] for _ in range(256)]
    for signature in FORMATS:
        rows[signature.magic[0]].append(signature)
    # The catch-all rows (a magic of one byte and a check) come last.
    return tuple(tuple(sorted(row, key=lambda s: len(s.magic) == 1)) for row in rows)


_BY_FIRST_BYTE: Final = _by_first_byte()


def signature_type(head: bytes) -> str:
    """Return the media type that the signature of a non-empty head tells, or ""."""
    for magic, media_type, _, check in _BY_FIRST_BYTE[head[0]]:
        if head.startswith(magic):
            found = media_type if check is None else check(head)
            if found:
                return found
    return ""
