from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import content as c
from wharfinger.inspection import HEAD_SIZE, Detected, detect

_OOXML = "application/vnd.openxmlformats-officedocument"
_PE = "application/vnd.microsoft.portable-executable"

BINARY: list[tuple[str, bytes, str]] = [
    ("jpeg", c.JPEG, "image/jpeg"),
    ("png", c.PNG, "image/png"),
    ("gif89a", c.GIF, "image/gif"),
    ("gif87a", b"GIF87a" + c.GIF[6:], "image/gif"),
    ("webp", c.WEBP, "image/webp"),
    ("bmp", c.BMP, "image/bmp"),
    ("tiff little endian", c.TIFF, "image/tiff"),
    ("tiff big endian", b"MM\x00*\x00\x00\x00\x08", "image/tiff"),
    ("bigtiff", b"II+\x00\x08\x00\x00\x00", "image/tiff"),
    ("icon", c.ICO, "image/vnd.microsoft.icon"),
    ("cursor", c.ICO.replace(b"\x01", b"\x02", 1), "image/vnd.microsoft.icon"),
    ("avif", c.iso_media(b"avif", b"mif1"), "image/avif"),
    ("heic", c.iso_media(b"heic", b"mif1"), "image/heic"),
    ("heif that is avif", c.iso_media(b"mif1", b"miaf", b"avif"), "image/avif"),
    ("heif of another codec", c.iso_media(b"mif1", b"isom"), "image/heif"),
    ("jpeg xl", b"\xff\x0a\xfa\x1f", "image/jxl"),
    ("jpeg 2000", b"\x00\x00\x00\x0cjP  \r\n\x87\n", "image/jp2"),
    ("jpeg 2000 without its box", b"\xff\x4f\xff\x51\x00\x2f", "image/jp2"),
    ("aac with one header", b"ADIF\x20\x01", "audio/aac"),
    ("postscript behind a preview header", b"\xc5\xd0\xd3\xc6\x1e\x00", "application/postscript"),
    ("photoshop", b"8BPS\x00\x01", "image/vnd.adobe.photoshop"),
    ("pdf", c.PDF, "application/pdf"),
    ("postscript", b"%!PS-Adobe-3.0\n", "application/postscript"),
    ("rtf", b"{\\rtf1\\ansi }", "application/rtf"),
    ("zip", c.ZIP, "application/zip"),
    ("zip, cut in the header", b"PK\x03\x04\x14\x00", "application/zip"),
    ("zip, empty", b"PK\x05\x06" + bytes(18), "application/zip"),
    ("zip, spanned", b"PK\x07\x08PK\x03\x04", "application/zip"),
    ("zip of 40 members", c.member("a") * 40, "application/zip"),
    ("docx", c.DOCX, f"{_OOXML}.wordprocessingml.document"),
    ("xlsx", c.XLSX, f"{_OOXML}.spreadsheetml.sheet"),
    ("pptx, streamed", c.PPTX, f"{_OOXML}.presentationml.presentation"),
    ("docm by content type", c.DOCM, "application/vnd.ms-word.document.macroenabled.12"),
    (
        "xlsm by member",
        c.member("_rels/.rels") + c.member("xl/vbaProject.bin"),
        "application/vnd.ms-excel.sheet.macroenabled.12",
    ),
    ("ooxml of no known application", c.member("_rels/.rels"), _OOXML),
    (
        "ooxml with stored content types",
        c.member("[Content_Types].xml", b'<Override PartName="/ppt/p.xml"/>'),
        f"{_OOXML}.presentationml.presentation",
    ),
    (
        "ooxml with damaged content types",
        # Method 8 and a block of the reserved type 3 (RFC 1951 section 3.2.3).
        c.member("[Content_Types].xml", b"\xff" * 9).replace(b"\x14\0\0\0\0", b"\x14\0\0\0\x08", 1),
        _OOXML,
    ),
    (
        "ooxml whose first member is streamed to the end",
        c.member("[Content_Types].xml", b'"/word/d.xml"', deflate=True, streamed=True),
        f"{_OOXML}.wordprocessingml.document",
    ),
    ("odt", c.ODT, "application/vnd.oasis.opendocument.text"),
    ("epub", c.EPUB, "application/epub+zip"),
    ("zip with a foreign mimetype", c.member("mimetype", b"image/png"), "application/zip"),
    ("zip with an empty mimetype", c.member("mimetype"), "application/zip"),
    ("jar", c.JAR, "application/java-archive"),
    (
        "jar in an office document's clothes",
        c.DOCX + c.member("Evil.class"),
        "application/java-archive",
    ),
    ("apk", c.member("AndroidManifest.xml"), "application/vnd.android.package-archive"),
    ("gzip", c.GZIP, "application/gzip"),
    ("bzip2", b"BZh91AY&SY" + bytes(8), "application/x-bzip2"),
    ("bzip2, empty", b"BZh9\x17\x72\x45\x38\x50\x90\x00\x00\x00\x00", "application/x-bzip2"),
    ("xz", b"\xfd7zXZ\x00\x00\x04", "application/x-xz"),
    ("zstd", b"\x28\xb5\x2f\xfd\x04\x00", "application/zstd"),
    ("zstd, skippable frame", b"\x5a\x2a\x4d\x18\x00", "application/zstd"),
    ("7z", b"7z\xbc\xaf\x27\x1c\x00\x04", "application/x-7z-compressed"),
    ("rar 4", b"Rar!\x1a\x07\x00", "application/vnd.rar"),
    ("rar 5", b"Rar!\x1a\x07\x01\x00", "application/vnd.rar"),
    ("tar", c.tar(), "application/x-tar"),
    ("mp4", c.iso_media(b"isom", b"mp41"), "video/mp4"),
    ("mp4 by a compatible brand", c.iso_media(b"Xyz1", b"abcd", b"mp42"), "video/mp4"),
    ("mov", c.iso_media(b"qt  "), "video/quicktime"),
    ("mov from before ftyp", b"\x00\x00\x00\x08wide\x00\x00\x00\x00mdat", "video/quicktime"),
    ("m4a", c.iso_media(b"M4A ", b"isom"), "audio/mp4"),
    ("3gp", c.iso_media(b"3gp5"), "video/3gpp"),
    ("webm", c.ebml(b"webm"), "video/webm"),
    ("mkv", c.ebml(b"matroska"), "video/x-matroska"),
    ("avi", b"RIFF\x00\x00\x00\x00AVI LIST", "video/x-msvideo"),
    ("mpeg program stream", b"\x00\x00\x01\xba\x44\x00", "video/mpeg"),
    ("mpeg transport stream", (b"\x47" + bytes(187)) * 3, "video/mp2t"),
    ("flv", b"FLV\x01\x05\x00\x00\x00\x09", "video/x-flv"),
    ("asf", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9", "video/x-ms-asf"),
    ("wav", c.WAV, "audio/wav"),
    ("wav, 64 bit", b"RF64\xff\xff\xff\xffWAVEds64", "audio/wav"),
    ("aiff", b"FORM\x00\x00\x00\x00AIFFCOMM", "audio/aiff"),
    ("mp3 with a tag", b"ID3\x04\x00\x00\x00\x00\x02\x01", "audio/mpeg"),
    ("mp3 frames", c.mp3(), "audio/mpeg"),
    ("mp3 frames of MPEG 2", (b"\xff\xf3\x40\xc0" + bytes(100)) * 3, "audio/mpeg"),
    ("mpeg layer II frames", (b"\xff\xfd\x80\x04" + bytes(413)) * 2, "audio/mpeg"),
    ("mpeg layer I frames", (b"\xff\xff\xc0\x00" + bytes(412)) * 2, "audio/mpeg"),
    ("aac", (b"\xff\xf1\x50\x80\x01\x7f\xfc" + bytes(4)) * 2, "audio/aac"),
    ("ogg vorbis", b"OggS\x00\x02" + bytes(22) + b"\x01vorbis", "audio/ogg"),
    ("ogg theora", b"OggS\x00\x02" + bytes(22) + b"\x80theora", "video/ogg"),
    ("ogg skeleton", b"OggS\x00\x02" + bytes(22) + b"fishead\x00", "application/ogg"),
    ("flac", b"fLaC\x00\x00\x00\x22", "audio/flac"),
    ("midi", b"MThd\x00\x00\x00\x06\x00\x01", "audio/midi"),
    ("woff", b"wOFF\x00\x01\x00\x00", "font/woff"),
    ("woff2", b"wOF2\x00\x01\x00\x00", "font/woff2"),
    ("ttf", b"\x00\x01\x00\x00\x00\x0c\x00\x80\x00\x03\x00\x40cmap", "font/ttf"),
    ("otf", b"OTTO\x00\x0c", "font/otf"),
    ("ole, directory elsewhere", c.ole()[:512], "application/x-ole-storage"),
    ("ole, nothing known in it", c.ole(), "application/x-ole-storage"),
    ("doc", c.ole(stream="WordDocument"), "application/msword"),
    ("msi", c.ole(installer=True), "application/x-msi"),
    ("sqlite", b"SQLite format 3\x00\x10\x00", "application/vnd.sqlite3"),
    ("elf", c.ELF, "application/x-elf"),
    ("pe", c.program(), _PE),
    ("dos program", c.program(pe=False), _PE),
    ("MZ and filler without a blank", b"MZ" + b"A" * 100, _PE),
    ("mach-o", c.MACHO, "application/x-mach-binary"),
    ("mach-o, universal", c.UNIVERSAL, "application/x-mach-binary"),
    ("java class", c.JAVA_CLASS, "application/java-vm"),
    ("wasm", b"\x00asm\x01\x00\x00\x00", "application/wasm"),
    ("dex", b"dex\n035\x00", "application/vnd.android.dex"),
    ("windows shortcut", c.SHORTCUT, "application/x-ms-shortcut"),
    ("flash", b"CWS\x0a\x00\x00\x00\x00", "application/vnd.adobe.flash.movie"),
]

LOOKALIKES: list[tuple[str, bytes, str]] = [
    ("BM in prose", b"BMW builds cars in Munich and elsewhere.", "text/plain"),
    ("MZ in prose", b"MZ motorcycles were made in Zschopau.\n", "text/plain"),
    ("BZh in prose", b"BZh, said the bee. Bzzz.", "text/plain"),
    ("BZh and a block, but level x", b"BZhx1AY&SY", "text/plain"),
    ("PZ in prose", b"Pay attention", "text/plain"),
    ("G in prose", b"Good morning", "text/plain"),
    ("RIFF in prose", b"RIFF RAFF, a comedy", "text/plain"),
    ("RIFF WEBP and markup", b"RIFF\x00\x00\x00\x00WEBP<html>", "application/octet-stream"),
    ("FORM in prose", b"FORM follows function", "text/plain"),
    ("FWS in prose", b"FWS is an abbreviation", "text/plain"),
    ("one mp3 frame", c.mp3(1), "application/octet-stream"),
    ("two frames of a reserved rate", (b"\xff\xfb\x9c\x00" + bytes(413)) * 2, "application/octet-stream"),
    ("two frames of a reserved version", (b"\xff\xeb\x90\x00" + bytes(413)) * 2, "application/octet-stream"),
    ("two frames without a layer", (b"\xff\xf9\x90\x00" + bytes(413)) * 2, "application/octet-stream"),
    ("two frames of free bit rate", (b"\xff\xfb\x00\x00" + bytes(413)) * 2, "application/octet-stream"),
    ("aac frame of no length", b"\xff\xf1\x50\x80\x00\x1f\xfc" * 2, "application/octet-stream"),
    ("id3 with a size that is not sync-safe", b"ID3\x04\x00\x00\xff\xff\xff\xff", "application/octet-stream"),
    ("zeros", bytes(64), "application/octet-stream"),
    ("zeros and a box of no known kind", b"\x00\x00\x00\x10abcd" + bytes(8), "application/octet-stream"),
    ("ftyp of no known brand", c.iso_media(b"zzzz"), "application/octet-stream"),
    ("ebml without a document type", b"\x1a\x45\xdf\xa3\x9f\x42\x86", "application/octet-stream"),
    ("ebml of another document type", c.ebml(b"chapters"), "application/octet-stream"),
    ("icon directory without an image", b"\x00\x00\x01\x00\x00\x00", "application/octet-stream"),
    ("font without tables", b"\x00\x01\x00\x00\x00\x00\x00\x00", "application/octet-stream"),
    ("tar with a wrong checksum", c.tar()[:-512].replace(b"notes", b"motes"), "application/octet-stream"),
    ("tar without a checksum", bytes([7]) * 600, "application/octet-stream"),
    ("tar, cut", c.tar()[:300], "application/octet-stream"),
    ("pdf further inside", b"\r\n%PDF-1.4", "text/plain"),
    ("skippable frame in prose", b"Q: why? A: because.", "text/plain"),
]  # fmt: skip

TEXT: list[tuple[str, bytes, str]] = [
    ("ascii", b"hello\n", "text/plain"),
    ("utf-8", "grüße, 你好".encode(), "text/plain"),
    ("utf-8 with a mark", b"\xef\xbb\xbfhello", "text/plain"),
    ("utf-16le with a mark", b"\xff\xfeh\x00i\x00", "text/plain"),
    ("utf-16be with a mark", b"\xfe\xff\x00h\x00i", "text/plain"),
    ("utf-32le with a mark", b"\xff\xfe\x00\x00h\x00\x00\x00", "text/plain"),
    ("utf-32be with a mark", b"\x00\x00\xfe\xff\x00\x00\x00h", "text/plain"),
    ("colours of a terminal", b"\x1b[1mok\x1b[0m\n", "text/plain"),
    ("an old code page", b"Name;Stra\xdfe\nM\xfcller;Weg 1\n", "text/plain"),
    ("json object", b' {"a": [1, 2.5, -3e9, "x", null]}\n', "application/json"),
    ("json array", b"[true, false]", "application/json"),
    ("json with a mark", b'\xef\xbb\xbf{"a": 1}', "application/json"),
    ("json with a huge number", b"[" + b"9" * 5000 + b"]", "application/json"),
    ("json too deep to parse", b"[" * 4000 + b"]" * 4000, "application/json"),
    ("json that is cut short", b'{"a": [1, 2', "text/plain"),
    ("json with NaN", b'{"a": NaN}', "text/plain"),
    ("an ini section", b"[server]\nport = 1\n", "text/plain"),
    ("a template", b"{% extends 'base' %}", "text/plain"),
    ("a number", b"42\n", "text/plain"),
    ("xml", b'<?xml version="1.0"?>\n<note>hi</note>', "application/xml"),
    ("xml without a prolog", b"<note><to>you</to></note>\n", "application/xml"),
    ("xml behind a comment", b"<!-- mine -->\n<note/>", "application/xml"),
    ("xml with an unfinished prolog", b'<?xml version="1.0"', "application/xml"),
    ("xml with a document type", b"<!DOCTYPE note SYSTEM 'n.dtd'><note/>", "application/xml"),
    ("xml with a document type that is cut", b"<!DOCTYPE note SYSTEM 'n.d", "application/xml"),
    ("xml with an internal subset that is cut", b"<!DOCTYPE n [<!ENTITY a 'b'>", "application/xml"),
    ("speech in angle brackets", b"<ann> hello\n<bob> hi ann", "text/plain"),
    ("rust attribute", b"#![allow(dead_code)]\nfn main() {}\n", "text/plain"),
    ("a heading", b"# Title\n\ntext\n", "text/plain"),
    ("a word that begins like basic", b"dim the lights, please", "text/plain"),
    ("an e-mail address", b"@echo is a user name", "text/plain"),
    ("blank lines only", b"\n\n  \n", "text/plain"),
    ("a question in php's colours", b"<? what", "text/plain"),
    ("a scripture", b"see <scripture> and <htmlish>.", "text/plain"),
]

ACTIVE: list[tuple[str, bytes, str]] = [
    ("html", c.HTML, "text/html"),
    *((f"html by <{tag}>", f"<{tag}>x".encode(), "text/html") for tag in
      ("html", "head", "script", "iframe", "h1", "div", "font", "table", "a", "style", "title",
       "b", "body", "br", "p")),
    ("html in capitals", b"<HTML LANG=en>", "text/html"),
    ("html cut in its first tag", b"<html", "text/html"),
    ("html after 600 blank lines", b"\n" * 600 + c.HTML, "text/html"),
    ("html after a mark", b"\xef\xbb\xbf" + c.HTML, "text/html"),
    ("html after comments", b"<!-- a --> <!-- b -->\n<body>", "text/html"),
    ("html after an open comment", b"<!-- never closed", "text/html"),
    ("html after a comment and a plain word", b"<!-- x -->\nhello", "text/html"),
    ("html after a comment and an image", b"<!-- x --><img src=x>", "text/html"),
    ("html in utf-16le", b"\xff\xfe" + "<html>".encode("utf-16-le"), "text/html"),
    ("html in utf-16be", b"\xfe\xff" + "<body>".encode("utf-16-be"), "text/html"),
    ("html in broken utf-16", b"\xff\xfe" + "<html>".encode("utf-16-le") + b"\x00\xd8a\x00", "text/html"),
    ("html with zeros after it", b"<html>\x00\x01\x02", "text/html"),
    ("xhtml", b'<?xml version="1.0"?><html xmlns="x">', "application/xhtml+xml"),
    ("xhtml by document type", b'<?xml version="1.0"?><!DOCTYPE html>', "application/xhtml+xml"),
    ("svg", c.SVG, "image/svg+xml"),
    ("svg behind prolog, comment and instruction",
     b'<?xml version="1.0"?><!-- x --><?xml-stylesheet href="a"?><svg/>', "image/svg+xml"),
    ("svg behind a document type", b'<!DOCTYPE svg PUBLIC "-//W3C//DTD SVG 1.1//EN" "x">\n<svg>', "image/svg+xml"),
    ("svg by document type alone", b"<!DOCTYPE svg [\n<!ENTITY a 'b'> ]>", "image/svg+xml"),
    ("svg with a prefix", b'<?xml version="1.0"?><s:svg xmlns:s="x"/>', "image/svg+xml"),
    ("php", c.PHP, "application/x-httpd-php"),
    ("php in capitals after a blank line", b"\n" + c.PHP.upper(), "application/x-httpd-php"),
    ("php, echo tag", b"<?= 1 ?>", "application/x-httpd-php"),
    ("server page", b'<%@ page language="java" %>', "text/x-server-page"),
    ("shell", c.SHELL, "application/x-sh"),
    ("shell with binary data after it", c.SHELL + bytes(99), "application/x-sh"),
    ("bash by env", b"#!/usr/bin/env bash\n", "application/x-sh"),
    ("python with a version", b"#!/usr/bin/python3.11 -I\n", "text/x-python"),
    ("python by env with options", b"#!/usr/bin/env -S A=b python3 -u\n", "text/x-python"),
    ("python without a path", b"#!python\n", "text/x-python"),
    ("env without a word", b"#!/usr/bin/env\n", "text/x-script"),
    ("perl", b"#! /usr/bin/perl -w\n", "text/x-perl"),
    ("ruby", b"#!/usr/bin/env ruby\n", "text/x-ruby"),
    ("node", b"#!/usr/bin/env node\n", "text/javascript"),
    ("an unknown interpreter", b"#!/opt/brainfuck\n", "text/x-script"),
    ("batch file", b"@ECHO OFF\r\ndel x\r\n", "application/x-bat"),
    ("visual basic", b"' hi\nDim x\nSet x = Create" + b'Object("WScript.Shell")', "text/vbscript"),
    ("jscript", b"var x = new Active" + b'XObject("WScript.Shell");', "text/javascript"),
    ("internet shortcut", b"[InternetShortcut]\r\nURL=file://x\r\n", "application/internet-shortcut"),
    ("desktop entry", b"[Desktop Entry]\nExec=id\n", "application/x-desktop"),
]  # fmt: skip

Case = tuple[str, bytes, str]


def _cases(table: list[Case]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        ("data", "expected"), [row[1:] for row in table], ids=[row[0] for row in table]
    )


@_cases(BINARY)
def test_a_signature_tells_the_type(data: bytes, expected: str) -> None:
    assert detect(data, complete=True).type == expected


@_cases(LOOKALIKES)
def test_what_only_looks_like_a_signature_is_not_taken_for_it(data: bytes, expected: str) -> None:
    assert detect(data, complete=True).type == expected


@_cases(TEXT)
def test_text_is_told_by_its_encoding_and_its_first_characters(data: bytes, expected: str) -> None:
    found = detect(data, complete=True)
    assert (found.type, found.text, found.active) == (expected, True, False)


@_cases(ACTIVE)
def test_active_content_is_told_by_how_it_begins(data: bytes, expected: str) -> None:
    found = detect(data, complete=True)
    assert (found.type, found.active) == (expected, True)


@pytest.mark.parametrize(
    "data",
    [
        b"a\x00b",
        b"a\x07b",
        b"\xff\xfe\x00\xd8",
        b"\xef\xbb\xbf\xff",
        b"\xfe\xff\x00\x00",
        b"\xe4\xb8",
        b"\xc0\xae\xc0\xae/",
    ],
    ids=["NUL", "bell", "lone surrogate", "mark then rubbish", "U+0000", "cut", "overlong"],
)
def test_what_is_not_text_is_unknown(data: bytes) -> None:
    assert detect(data, complete=True) == Detected("application/octet-stream")


def test_nothing_at_all_is_unknown_and_an_empty_text() -> None:
    assert detect(b"", complete=True) == Detected("application/octet-stream", text=True)


@pytest.mark.parametrize(
    "data",
    ["aß".encode()[:-1], "a你".encode()[:-1], b"\xff\xfea\x00b", b"\xfe\xff\x00a\x00"],
    ids=["two bytes", "three bytes", "utf-16le", "utf-16be"],
)
def test_a_character_cut_at_the_end_of_the_head_is_still_text(data: bytes) -> None:
    assert detect(data, complete=False) == Detected("text/plain", text=True)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b'{"a": ', "application/json"),
        (b"[1, 2", "application/json"),
        (b"[-12", "application/json"),
        (b"[[", "application/json"),
        (b"[truely]", "text/plain"),
        (b"[1] a footnote", "application/json"),
        (b"[12 apostles]", "text/plain"),
        (b"<note>", "application/xml"),
        (b"<note and", "text/plain"),
    ],
)
def test_a_cut_head_is_judged_by_what_is_plausible(data: bytes, expected: str) -> None:
    assert detect(data, complete=False).type == expected


@pytest.mark.parametrize(
    ("data", "inner"),
    [
        (b"a,b\n1,2\n" * 60 + c.HTML, "text/html"),
        (b"hello " + c.SCRIPT, "text/html"),
        (b"see <scripture>, then " + c.SCRIPT.upper(), "text/html"),
        (b"hello\n" + c.PHP, "application/x-httpd-php"),
        (b"\xff\xfe" + "x <script >".encode("utf-16-le"), "text/html"),
        (b"ends in <html", "text/html"),
        (c.GIF + c.PHP, "application/x-httpd-php"),
        (c.JPEG + c.SCRIPT, "text/html"),
        (c.PNG, ""),
        (c.PDF + c.SCRIPT, ""),
        (b"plain", ""),
    ],
)
def test_active_content_further_inside_is_noted(data: bytes, inner: str) -> None:
    assert detect(data, complete=True).inner == inner


@pytest.mark.parametrize(
    ("data", "loose"),
    [
        (b"<h1 align=center>Title</h1>", True),
        (b"<p>hello", True),
        (b"<!-- badge -->\n# Title", True),
        (b"<!-- x --><div>", True),
        (c.HTML, False),
        (b"<html>", False),
        (c.SCRIPT, False),
        (b"<!-- x -->" + c.SCRIPT, False),
        (b"<iframe>", False),
    ],
)
def test_markup_that_markdown_begins_with_is_loose(data: bytes, loose: bool) -> None:
    found = detect(data, complete=True)
    assert (found.type, found.loose) == ("text/html", loose)


@pytest.mark.parametrize("blob", [row[1] for row in BINARY + TEXT + ACTIVE])
def test_a_head_cut_anywhere_is_judged_without_an_error(blob: bytes) -> None:
    for end in range(min(len(blob), 120)):
        found = detect(blob[:end], complete=False)
        assert "/" in found.type


_PREFIXES = st.sampled_from([row[1] for row in BINARY + TEXT + ACTIVE] + [b""])


@given(prefix=_PREFIXES, data=st.binary(max_size=300), complete=st.booleans())
def test_detection_never_raises(prefix: bytes, data: bytes, complete: bool) -> None:
    found = detect((prefix + data)[:HEAD_SIZE], complete=complete)
    assert found.type.count("/") == 1


@given(data=st.binary(min_size=26, max_size=120))
def test_no_zip_header_confuses_the_look_inside(data: bytes) -> None:
    found = detect(b"PK\x03\x04" + data + b"PK\x03\x04" + data, complete=False)
    assert found.type.startswith("application/")


@given(text=st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200))
def test_every_text_in_utf_8_counts_as_text(text: str) -> None:
    found = detect(b"Text: " + text.encode(), complete=True)
    assert found.text


def test_many_comments_are_passed_in_one_go() -> None:
    data = (b"<!---->" * 1200)[: HEAD_SIZE - 6] + b"<html>"
    assert detect(data, complete=False).type == "text/html"


def test_a_large_sector_directory_is_found() -> None:
    header = bytearray(c.ole(stream="Workbook"))
    header[30:32] = b"\x0c\x00"
    directory = bytes(header[512:])
    data = bytes(header[:512]) + bytes(4096 - 512) + directory
    assert struct.unpack("<I", data[48:52]) == (0,)
    assert detect(data, complete=False).type == "application/vnd.ms-excel"
