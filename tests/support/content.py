"""Small contents of many formats: pictures as an encoder writes them, the rest byte by byte.

What looks like malware is put together here at run time, never stored whole.
"""

from __future__ import annotations

import struct
import zlib

from support.samples import image

PHP = b"<?" + b"php system($_GET['c']); ?>"
SCRIPT = b"<scr" + b"ipt>alert(1)</scr" + b"ipt>"
HTML = b"<!DOCTYPE html>\n<html><body>" + SCRIPT + b"</body></html>\n"

# Whole pictures, which decode.
JPEG, PNG, GIF, WEBP, BMP, TIFF = map(image, ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"))
ICO = b"\x00\x00\x01\x00\x01\x00\x10\x10\x00\x00\x01\x00\x20\x00"
PDF = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj\n<< >>\nendobj\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><circle r="1"/></svg>'
GZIP = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x03\x00" + bytes(8)
ELF = b"\x7fELF\x02\x01\x01" + bytes(57)
WAV = b"RIFF\x24\x00\x00\x00WAVEfmt \x10\x00\x00\x00" + bytes(20)
MACHO = b"\xcf\xfa\xed\xfe\x07\x00\x00\x01" + bytes(24)
JAVA_CLASS = b"\xca\xfe\xba\xbe\x00\x00\x00\x41" + bytes(8)
UNIVERSAL = b"\xca\xfe\xba\xbe\x00\x00\x00\x02" + bytes(8)
SHORTCUT = b"L\x00\x00\x00\x01\x14\x02\x00\x00\x00\x00\x00\xc0\x00\x00\x00\x00\x00\x00\x46"
SHELL = b"#!/bin/sh\nid\n"


def program(*, pe: bool = True) -> bytes:
    """Return the headers of a Windows program, or of a DOS program alone."""
    header = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return header + (b"PE\0\0" + bytes(20) if pe else bytes(24))


def member(name: str, data: bytes = b"", *, deflate: bool = False, streamed: bool = False) -> bytes:
    """Return one member of a ZIP archive: local header and data (APPNOTE 4.3.7)."""
    stored = data
    if deflate:
        packer = zlib.compressobj(wbits=-15)
        stored = packer.compress(data) + packer.flush()
    sizes = (0, 0) if streamed else (len(stored), len(data))
    return (
        b"PK\x03\x04"
        + struct.pack("<HHHHHIII", 20, 8 if streamed else 0, 8 if deflate else 0, 0, 0, 0, *sizes)
        + struct.pack("<HH", len(name), 0)
        + name.encode()
        + stored
    )


def ooxml(main: str, *, folder: str = "word/", streamed: bool = False) -> bytes:
    """Return the beginning of an Office document whose main part has this content type."""
    types = f'<Types><Override PartName="/{folder}main.xml" ContentType="{main}"/></Types>'
    first = member("[Content_Types].xml", types.encode(), deflate=True, streamed=streamed)
    return first + member("_rels/.rels", b"<r/>") + member(f"{folder}main.xml", b"<x/>")


WORD_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml.document.main+xml"
EXCEL_MAIN = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"
SLIDES_MAIN = "application/vnd.openxmlformats-officedocument.presentationml.presentation.main+xml"
MACRO_MAIN = "application/vnd.ms-word.document.macroEnabled.main+xml"
DOCX = ooxml(WORD_MAIN)
XLSX = ooxml(EXCEL_MAIN, folder="xl/")
PPTX = ooxml(SLIDES_MAIN, folder="ppt/", streamed=True)
DOCM = ooxml(MACRO_MAIN)
ODT = member("mimetype", b"application/vnd.oasis.opendocument.text")
EPUB = member("mimetype", b"application/epub+zip")
ZIP = member("notes.txt", b"hello")
JAR = member("META-INF/MANIFEST.MF", b"Manifest-Version: 1.0\n")


def iso_media(major: bytes, *compatible: bytes) -> bytes:
    """Return the ftyp box of an ISO base media file."""
    brands = b"".join(compatible)
    return struct.pack(">I", 16 + len(brands)) + b"ftyp" + major + bytes(4) + brands + bytes(8)


def mp3(frames: int = 3) -> bytes:
    """Return MPEG-1 layer III frames: 128 kbit/s, 44.1 kHz, 417 bytes each."""
    return (b"\xff\xfb\x90\x00" + bytes(413)) * frames


def ebml(doctype: bytes) -> bytes:
    """Return an EBML header with this document type."""
    return b"\x1a\x45\xdf\xa3\x9f\x42\x86\x81\x01\x42\x82" + bytes([0x80 + len(doctype)]) + doctype


def tar(name: bytes = b"notes.txt") -> bytes:
    """Return a tar header with its checksum and one block of content."""
    block = bytearray(name.ljust(100, b"\0") + b"0000644\0" + bytes(40) + b" " * 8 + bytes(356))
    block[257:265] = b"ustar\x0000"
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + bytes(512)


def ole(*, stream: str = "", installer: bool = False) -> bytes:
    """Return an OLE compound file whose directory is its first sector ([MS-CFB] 2.2)."""
    header = bytearray(512)
    header[:8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
    header[30:32] = b"\x09\x00"
    root = bytearray(ole_entry("Root Entry", 5, child=1 if stream else _NO_ENTRY))
    if installer:
        root[80:96] = bytes.fromhex("84100c0000000000c000000000000046")
    entry = ole_entry(stream, 2) if stream else bytes(128)
    return bytes(header) + bytes(root) + entry + bytes(256)


_NO_ENTRY = 0xFFFFFFFF


def ole_entry(
    name: str, kind: int, *, left: int = _NO_ENTRY, right: int = _NO_ENTRY, child: int = _NO_ENTRY
) -> bytes:
    """Return an entry of an OLE directory ([MS-CFB] 2.6.1): kind 1 storage, 2 stream, 5 root."""
    encoded = name.encode("utf-16-le")
    links = struct.pack("<HBB3L", len(encoded) + 2, kind, 1, left, right, child)
    return (encoded.ljust(64, b"\0") + links).ljust(128, b"\0")
