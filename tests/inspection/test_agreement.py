"""Two tables: files that must be refused, and honest files that must pass."""

from __future__ import annotations

import re

import pytest

from support import content as c
from wharfinger import Policy
from wharfinger.errors import (
    ActiveContent,
    ContentMismatch,
    Rejected,
    TypeNotAllowed,
    WharfingerError,
)
from wharfinger.inspection import Inspection

ANYTHING = Policy.anything()
LENIENT = Policy(require_agreement=False)
IMAGES = Policy.images()
DOCUMENTS = Policy.documents()
MEDIA = Policy.media()
ARCHIVES = Policy.archives()
TEXTS = Policy(types="text/*")
CSV_ONLY = Policy(types="text/csv")
_OOXML = "application/vnd.openxmlformats-officedocument"
_PE = "application/vnd.microsoft.portable-executable"
FILLER = bytes(range(256))


def judge(policy: Policy, name: str | None, claimed: str | None, data: bytes) -> str:
    inspection = Inspection(policy, name=name, type=claimed, length=len(data))
    inspection.feed(data)
    return inspection.finish()[1].type


Hostile = tuple[str, Policy, str | None, str | None, bytes, type[WharfingerError]]
HOSTILE: list[Hostile] = [
    # markup in other clothes
    ("html as jpg", IMAGES, "photo.jpg", "image/jpeg", c.HTML, ActiveContent),
    ("html as jpg, agreement off", LENIENT, "photo.jpg", None, c.HTML, ActiveContent),
    ("html as png by claim alone", LENIENT, None, "image/png", c.HTML, ActiveContent),
    ("html by an unknown image claim", LENIENT, None, "image/x-foo", c.HTML, ActiveContent),
    ("html after 600 blank lines as jpg", IMAGES, "a.jpg", None, b"\n" * 600 + c.HTML, ActiveContent),
    ("html after a comment as gif", IMAGES, "a.gif", None, b"<!--x-->" + c.HTML, ActiveContent),
    ("html as pdf", DOCUMENTS, "a.pdf", None, c.HTML, ActiveContent),
    ("html as zip", ARCHIVES, "a.zip", None, c.HTML, ActiveContent),
    ("html as mp4", MEDIA, "a.mp4", None, c.HTML, ActiveContent),
    ("html as a font", ANYTHING, "a.woff2", None, c.HTML, ActiveContent),
    ("html as sqlite", ANYTHING, "a.sqlite", None, c.HTML, ActiveContent),
    ("html as txt", ANYTHING, "a.txt", "text/plain", c.HTML, ActiveContent),
    ("html as svg", ANYTHING, "a.svg", None, c.HTML, ActiveContent),
    ("html as json", ANYTHING, "a.json", None, c.HTML, ActiveContent),
    ("html as md", ANYTHING, "README.md", None, c.HTML, ActiveContent),
    ("script as md", ANYTHING, "README.md", None, c.SCRIPT, ActiveContent),
    ("script behind a comment as md", ANYTHING, "README.md", None, b"<!-- x -->" + c.SCRIPT, ActiveContent),
    ("utf-16 html as txt", ANYTHING, "a.txt", None, b"\xff\xfe" + c.HTML.decode().encode("utf-16-le"), ActiveContent),
    ("html in csv after 60 lines", ANYTHING, "a.csv", None, b"a,b\n1,2\n" * 60 + c.HTML, ActiveContent),
    ("script inside txt", ANYTHING, "a.txt", None, b"hello\n" + c.SCRIPT, ActiveContent),
    ("script inside text by claim", ANYTHING, None, "text/plain", b"hello\n" + c.SCRIPT, ActiveContent),
    ("script inside text of an unknown extension", ANYTHING, "a.xyz", "text/csv", b"x\n" + c.SCRIPT, ActiveContent),
    ("text with a script inside as jpg", LENIENT, "a.jpg", None, b"x\n" + c.SCRIPT, ActiveContent),
    ("php inside csv", ANYTHING, "a.csv", None, b"a,b\n" + c.PHP, ActiveContent),
    ("xhtml as xml", ANYTHING, "a.xml", None, b'<?xml version="1.0"?><html/>', ActiveContent),
    ("svg as png", LENIENT, "a.png", None, c.SVG, ActiveContent),
    ("svg as jpeg by claim", LENIENT, None, "image/jpeg", c.SVG, ActiveContent),
    ("program behind a second extension", DOCUMENTS, "invoice.pdf.exe", None, c.program(), TypeNotAllowed),
    ("program behind many spaces", DOCUMENTS, f"invoice.pdf{' ' * 80}.exe", None, c.PDF, TypeNotAllowed),
    ("program with a dot and a space behind", DOCUMENTS, "invoice.exe. ", None, c.PDF, TypeNotAllowed),
    ("php as another stream", IMAGES, "a.php::$DATA", None, c.JPEG, TypeNotAllowed),
    ("php dressed as jpg by a second extension", IMAGES, "a.php.jpg", None, c.PHP, ActiveContent),
    ("svg in its own name, where images are taken", Policy(types="image/*"), "a.svg", None, c.SVG, TypeNotAllowed),
    ("svg without a name, where images are taken", Policy(types="image/*"), None, None, c.SVG, TypeNotAllowed),
    ("svg as pdf", ANYTHING, "a.pdf", None, c.SVG, ContentMismatch),
    ("html without any name under images", IMAGES, None, None, c.HTML, TypeNotAllowed),
    # scripts
    ("php as jpg", IMAGES, "a.jpg", None, c.PHP, ActiveContent),
    ("php as txt", ANYTHING, "a.txt", None, c.PHP, ActiveContent),
    ("shell as csv", ANYTHING, "a.csv", None, c.SHELL, ActiveContent),
    ("shell as pdf, agreement off", LENIENT, "a.pdf", None, c.SHELL, ActiveContent),
    ("perl as text by claim", ANYTHING, None, "text/plain", b"#!/usr/bin/perl\n", ActiveContent),
    ("shell as python", ANYTHING, "a.py", None, c.SHELL, ContentMismatch),
    ("batch file as txt", ANYTHING, "a.txt", None, b"@echo off\r\n", ActiveContent),
    ("desktop entry as png", ANYTHING, "a.png", None, b"[Desktop Entry]\nExec=id\n", ActiveContent),
    # programs
    ("elf as jpg", IMAGES, "a.jpg", "image/jpeg", c.ELF, ActiveContent),
    ("pe as pdf", DOCUMENTS, "a.pdf", None, c.program(), ActiveContent),
    ("dos program as txt", DOCUMENTS, "a.txt", None, c.program(pe=False), ActiveContent),
    ("mach-o as zip", ARCHIVES, "a.zip", None, c.MACHO, ActiveContent),
    ("java class as png", IMAGES, "a.png", None, c.JAVA_CLASS, ActiveContent),
    ("universal binary as mp3", MEDIA, "a.mp3", None, c.UNIVERSAL, ActiveContent),
    ("shortcut as docx", ANYTHING, "a.docx", None, c.SHORTCUT, ActiveContent),
    ("wasm as webp", LENIENT, "a.webp", None, b"\x00asm\x01\x00\x00\x00", ActiveContent),
    ("installer as doc", ANYTHING, "a.doc", None, c.ole(installer=True), ActiveContent),
    ("jar as docx", ANYTHING, "a.docx", None, c.DOCX + c.member("A.class"), ActiveContent),
    ("docm as docx", ANYTHING, "a.docx", None, c.DOCM, ActiveContent),
    ("pe as a script", ANYTHING, "a.sh", None, c.program(), ContentMismatch),
    # polyglots
    ("gif with php behind", IMAGES, "a.gif", "image/gif", b"GIF89a;" + c.PHP, ActiveContent),
    ("jpeg with a script inside", IMAGES, "a.jpg", None, c.JPEG + c.SCRIPT, ActiveContent),
    ("png with html inside, unnamed", LENIENT, None, None, c.PNG + c.HTML, ActiveContent),
    ("riff webp with html", IMAGES, "a.webp", None, b"RIFF\0\0\0\0WEBP" + c.HTML, ContentMismatch),
    ("pdf behind html", DOCUMENTS, "a.pdf", None, c.HTML + c.PDF, ActiveContent),
    # disagreement without danger
    ("png as jpg", IMAGES, "photo.jpg", None, c.PNG, ContentMismatch),
    ("png claimed to be jpeg", IMAGES, None, "image/jpeg", c.PNG, ContentMismatch),
    ("noise as jpg", IMAGES, "a.jpg", None, FILLER, ContentMismatch),
    ("text as jpg", IMAGES, "a.jpg", None, b"hello", ContentMismatch),
    ("text as pdf", DOCUMENTS, "a.pdf", None, b"hello", ContentMismatch),
    ("text as json", DOCUMENTS, "a.json", None, b"hello", ContentMismatch),
    ("cut json as json", DOCUMENTS, "a.json", None, b'{"a":', ContentMismatch),
    ("json claimed, html-free text sent", ANYTHING, None, "application/problem+json", b"no", ContentMismatch),
    ("zip as docx", DOCUMENTS, "a.docx", None, c.ZIP, ContentMismatch),
    ("xlsx as docx", DOCUMENTS, "a.docx", None, c.XLSX, ContentMismatch),
    ("ole as docx", DOCUMENTS, "a.docx", None, c.ole(), ContentMismatch),
    ("playlist as mp4", MEDIA, "a.mp4", None, b"#EXTM3U\n/etc/passwd\n", ContentMismatch),
    ("noise as txt", ANYTHING, "a.txt", None, FILLER, ContentMismatch),
    ("NUL in txt", ANYTHING, "a.txt", None, b"a\x00b", ContentMismatch),
    ("noise claimed to be text", ANYTHING, None, "text/x-foo", FILLER, ContentMismatch),
    ("text claimed to be some image", ANYTHING, None, "image/x-foo", b"hi", ContentMismatch),
    ("empty jpg", IMAGES, "a.jpg", None, b"", ContentMismatch),
    ("empty png by claim", ANYTHING, None, "image/png", b"", ContentMismatch),
    # the policy
    ("noise under images", IMAGES, None, None, FILLER, TypeNotAllowed),
    ("noise as .bin under images", IMAGES, "a.bin", None, FILLER, TypeNotAllowed),
    ("nothing under images", IMAGES, None, None, b"", TypeNotAllowed),
    ("pdf under images", IMAGES, None, None, c.PDF, TypeNotAllowed),
    ("gif under png only, agreement off", Policy(types="image/png", require_agreement=False), None, None, c.GIF, TypeNotAllowed),
    ("text under two other texts", Policy(types=["text/csv", "text/markdown"]), None, None, b"hi", TypeNotAllowed),
    ("elf without a name under archives", ARCHIVES, None, None, c.ELF, TypeNotAllowed),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "name", "claimed", "data", "expected"),
    [row[1:] for row in HOSTILE],
    ids=[row[0] for row in HOSTILE],
)
def test_a_file_that_pretends_is_refused(
    policy: Policy,
    name: str | None,
    claimed: str | None,
    data: bytes,
    expected: type[WharfingerError],
) -> None:
    with pytest.raises(Rejected) as caught:
        judge(policy, name, claimed, data)
    assert type(caught.value) is expected


Honest = tuple[str, Policy, str | None, str | None, bytes, str]
HONEST: list[Honest] = [
    ("jpeg", IMAGES, "photo.jpg", "image/jpeg", c.JPEG, "image/jpeg"),
    ("jpeg in capitals", IMAGES, "PHOTO.JPEG", "IMAGE/JPEG", c.JPEG, "image/jpeg"),
    ("jpeg by an old alias", IMAGES, "a.jfif", "image/pjpeg", c.JPEG, "image/jpeg"),
    ("jpeg as image/jpg", IMAGES, "a.jpg", "image/jpg", c.JPEG, "image/jpeg"),
    ("jpeg signature and filler", IMAGES, "a.jpg", "image/jpeg", b"\xff\xd8\xff\xe0" + b"0" * 99, "image/jpeg"),
    ("png as image/x-png", IMAGES, "a.png", "image/x-png", c.PNG, "image/png"),
    ("png without any claim", IMAGES, None, None, c.PNG, "image/png"),
    ("png of an unknown extension", IMAGES, "a.upload", "application/octet-stream", c.PNG, "image/png"),
    ("png claimed binary", IMAGES, "a.png", "binary/octet-stream", c.PNG, "image/png"),
    ("png under its alias in the policy", Policy(types="image/x-png"), "a.png", None, c.PNG, "image/png"),
    ("gif", IMAGES, "a.gif", "image/gif", c.GIF, "image/gif"),
    ("webp", IMAGES, "a.webp", "image/webp", c.WEBP, "image/webp"),
    ("bmp", IMAGES, "a.bmp", "image/x-ms-bmp", c.BMP, "image/bmp"),
    ("tiff", IMAGES, "a.tif", "image/tiff", c.TIFF, "image/tiff"),
    ("png named jpg, agreement off", LENIENT, "a.jpg", "image/jpeg", c.PNG, "image/png"),
    ("heif of another brand", ANYTHING, "a.heic", "image/heif", c.iso_media(b"mif1"), "image/heic"),
    ("an image type of the sender's own", ANYTHING, "a.raw", "image/x-foo", FILLER, "application/octet-stream"),
    ("an image of a known type by such a claim", ANYTHING, None, "image/x-foo", c.PNG, "image/png"),
    ("svg", Policy(types=["image/*", "image/svg+xml"]), "a.svg", "image/svg+xml", c.SVG, "image/svg+xml"),
    ("svg as xml", ANYTHING, "a.xml", "text/xml", c.SVG, "image/svg+xml"),
    ("pdf", DOCUMENTS, "a.pdf", "application/pdf", c.PDF, "application/pdf"),
    ("docx", DOCUMENTS, "a.docx", f"{_OOXML}.wordprocessingml.document", c.DOCX, f"{_OOXML}.wordprocessingml.document"),
    ("docx from a sender without Office", DOCUMENTS, "a.docx", "application/x-zip-compressed", c.DOCX, f"{_OOXML}.wordprocessingml.document"),
    ("docx, its main part not visible", DOCUMENTS, "a.docx", None, c.member("_rels/.rels"), f"{_OOXML}.wordprocessingml.document"),
    ("xlsx", DOCUMENTS, "a.xlsx", None, c.XLSX, f"{_OOXML}.spreadsheetml.sheet"),
    ("pptx", DOCUMENTS, "a.pptx", None, c.PPTX, f"{_OOXML}.presentationml.presentation"),
    ("odt", DOCUMENTS, "a.odt", None, c.ODT, "application/vnd.oasis.opendocument.text"),
    ("docm in its own name", ANYTHING, "a.docm", None, c.DOCM, "application/vnd.ms-word.document.macroenabled.12"),
    ("doc", ANYTHING, "a.doc", "application/msword", c.ole(stream="WordDocument"), "application/msword"),
    ("xls whose directory lies elsewhere", ANYTHING, "a.xls", "application/vnd.ms-excel", c.ole()[:512], "application/vnd.ms-excel"),
    ("docx named zip", ANYTHING, "a.zip", None, c.DOCX, f"{_OOXML}.wordprocessingml.document"),
    ("zip", ARCHIVES, "a.zip", "application/x-zip-compressed", c.ZIP, "application/zip"),
    ("tgz", ARCHIVES, "a.tar.gz", "application/x-gzip", c.GZIP, "application/gzip"),
    ("tar", ARCHIVES, "a.tar", "application/x-tar", c.tar(), "application/x-tar"),
    ("jar in its own name", ANYTHING, "a.jar", "application/java-archive", c.JAR, "application/java-archive"),
    ("mp4", MEDIA, "a.mp4", "video/mp4", c.iso_media(b"isom"), "video/mp4"),
    ("mov that is mp4 inside", MEDIA, "a.mov", "video/quicktime", c.iso_media(b"mp42"), "video/quicktime"),
    ("m4a", MEDIA, "a.m4a", "audio/x-m4a", c.iso_media(b"M4A "), "audio/mp4"),
    ("mp3", MEDIA, "a.mp3", "audio/mp3", c.mp3(), "audio/mpeg"),
    ("webm sound", MEDIA, "a.webm", "audio/webm", c.ebml(b"webm"), "video/webm"),
    ("wav", MEDIA, "a.wav", "audio/x-wav", c.WAV, "audio/wav"),
    ("mpeg transport stream", ANYTHING, "a.ts", None, (b"\x47" + bytes(187)) * 3, "video/mp2t"),
    ("typescript", ANYTHING, "a.ts", "text/plain", b"const x: number = 1\n", "text/x-typescript"),
    ("txt", DOCUMENTS, "a.txt", "text/plain; charset=utf-8", b"hello", "text/plain"),
    ("empty txt", DOCUMENTS, "a.txt", "text/plain", b"", "text/plain"),
    ("empty python", ANYTHING, "__init__.py", None, b"", "text/x-python"),
    ("empty xml", ANYTHING, "a.xml", None, b"", "application/xml"),
    ("empty without a name", ANYTHING, None, None, b"", "application/octet-stream"),
    ("empty under octet-stream", Policy(types="application/octet-stream"), None, None, b"", "application/octet-stream"),
    ("csv", DOCUMENTS, "a.csv", "text/csv", b"a,b\n1,2\n", "text/csv"),
    ("csv from a computer with Excel", DOCUMENTS, "a.csv", "application/vnd.ms-excel", b"a,b\n", "text/csv"),
    ("csv claimed plain", CSV_ONLY, "a.csv", "text/plain", b"a,b\n", "text/csv"),
    ("csv by claim alone", CSV_ONLY, None, "text/csv", b"a,b\n", "text/csv"),
    ("text without a name where only csv is taken", CSV_ONLY, None, None, b"a,b\n", "text/csv"),
    ("csv in an old code page", DOCUMENTS, "a.csv", None, b"Stra\xdfe;Ort\n", "text/csv"),
    ("csv in utf-16", DOCUMENTS, "a.csv", None, "\ufeffa\tb\n".encode("utf-16-le"), "text/csv"),
    ("json in a txt", DOCUMENTS, "a.txt", None, b'{"a": 1}', "text/plain"),
    ("markdown", DOCUMENTS, "a.md", "text/markdown", b"# Title\n", "text/markdown"),
    ("markdown that begins with markup", DOCUMENTS, "a.md", "text/plain", b"<h1 align=center>x</h1>", "text/markdown"),
    ("markdown that begins with a comment", DOCUMENTS, "a.md", None, b"<!-- badge -->\n# x", "text/markdown"),
    ("markdown about scripts", DOCUMENTS, "a.md", "text/plain", b"# XSS\n\n`" + c.SCRIPT + b"`\n", "text/markdown"),
    ("a log of attacks", ANYTHING, "a.log", "text/plain", b"GET /?q=" + c.SCRIPT, "text/plain"),
    ("json", DOCUMENTS, "a.json", "application/json", b'{"a": 1}', "application/json"),
    ("geojson", ANYTHING, "a.geojson", "application/json", b'{"a": 1}', "application/geo+json"),
    ("problem json", ANYTHING, None, "application/problem+json", b'{"a": 1}', "application/json"),
    ("xml", ANYTHING, "a.xml", "text/xml", b'<?xml version="1.0"?><a/>', "application/xml"),
    ("xml of a sender's own type", ANYTHING, "a.foo", "application/foo+xml", b'<?xml version="1.0"?><a/>', "application/xml"),
    ("rss", ANYTHING, "a.rss", "application/xml", b'<?xml version="1.0"?><rss/>', "application/rss+xml"),
    ("yaml, toml, source: text of any extension", ANYTHING, "a.yml", "text/yaml", b"a: 1\n", "application/yaml"),
    ("c source", ANYTHING, "a.c", "text/x-csrc", b"int main(void){}\n", "text/x-c"),
    ("css", ANYTHING, "a.css", "text/css", b"a{}\n", "text/css"),
    ("text under text/*", TEXTS, "a.py", "text/x-python", b"print()\n", "text/x-python"),
    ("text without a name under text/*", TEXTS, None, None, b"hi", "text/plain"),
    ("text of a sender's own type", ANYTHING, None, "text/x-foo", b"hi", "text/plain"),
    ("python script", ANYTHING, "a.py", "text/x-python", b"#!/usr/bin/env python3\n", "text/x-python"),
    ("perl script claimed plain", ANYTHING, "a.pl", "text/plain", b"#!/usr/bin/perl\n", "text/x-perl"),
    ("shell script", ANYTHING, "a.sh", "application/x-sh", c.SHELL, "application/x-sh"),
    ("script of an unknown interpreter", ANYTHING, "a.sh", None, b"#!/opt/x\n", "application/x-sh"),
    ("shell script of an unknown extension", ANYTHING, "configure.in", None, c.SHELL, "application/x-sh"),
    ("javascript", ANYTHING, "a.js", "application/javascript", b"alert(1)\n", "text/javascript"),
    ("php", ANYTHING, "a.php", "application/x-httpd-php", c.PHP, "application/x-httpd-php"),
    ("php that begins as html", ANYTHING, "a.php", None, c.HTML, "application/x-httpd-php"),
    ("html", ANYTHING, "a.html", "text/html; charset=utf-8", c.HTML, "text/html"),
    ("html fragment", ANYTHING, "a.htm", "text/html", b"<section>x</section>", "text/html"),
    ("xhtml", ANYTHING, "a.xhtml", None, b'<?xml version="1.0"?><html/>', "application/xhtml+xml"),
    ("html without a name", ANYTHING, None, None, c.HTML, "text/html"),
    ("vue component", ANYTHING, "a.vue", None, c.SCRIPT, "text/x-vue"),
    ("program", ANYTHING, "a.exe", "application/x-msdownload", c.program(), _PE),
    ("program of an unknown extension", ANYTHING, "a.bin", "application/octet-stream", c.ELF, "application/x-elf"),
    ("library", ANYTHING, "a.so", "application/x-sharedlib", c.ELF, "application/x-elf"),
    ("noise", ANYTHING, "a.bin", None, FILLER, "application/octet-stream"),
    ("noise of an unknown application type", ANYTHING, "a.foo", "application/x-foo", FILLER, "application/octet-stream"),
    ("noise where it is asked for", Policy(types="application/octet-stream"), None, None, FILLER, "application/octet-stream"),
    ("otf named ttf", ANYTHING, "a.ttf", "font/ttf", b"OTTO\x00\x0c", "font/ttf"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("policy", "name", "claimed", "data", "expected"),
    [row[1:] for row in HONEST],
    ids=[row[0] for row in HONEST],
)
def test_an_honest_file_passes_with_its_type(
    policy: Policy, name: str | None, claimed: str | None, data: bytes, expected: str
) -> None:
    assert judge(policy, name, claimed, data) == expected


@pytest.mark.parametrize(
    ("policy", "name", "claimed"),
    [
        (IMAGES, "a.exe", None),
        (IMAGES, "a.svg", None),
        (IMAGES, "a.pdf", "image/png"),
        (IMAGES, "a.png", "application/pdf"),
        (IMAGES, None, "text/html"),
        (IMAGES, None, "application/x-foo"),
        (IMAGES, None, "rubbish"),
        (DOCUMENTS, "a.docx", "application/x-java-archive"),
        (CSV_ONLY, "a.txt", "text/plain"),
        (Policy(types="text/plain"), "a.csv", None),
    ],
)
def test_a_declared_type_outside_the_policy_is_refused_before_any_byte(
    policy: Policy, name: str | None, claimed: str | None
) -> None:
    with pytest.raises(TypeNotAllowed):
        Inspection(policy, name=name, type=claimed)


@pytest.mark.parametrize(
    ("policy", "name", "claimed"),
    [
        (IMAGES, "a.xyz", None),
        (IMAGES, "noextension", ""),
        (IMAGES, "a.png", "image/x-png; q=1"),
        (IMAGES, "a.bin", "application/octet-stream"),
        (Policy(types="application/x-foo"), None, "application/x-foo"),
        (DOCUMENTS, "a.csv", "application/vnd.ms-excel"),
        (DOCUMENTS, "a.docx", "application/zip"),
        (Policy(types="audio/ogg"), "a.ogg", None),
        (Policy(types="video/ogg"), "a.ogg", None),
        (Policy(types="application/x-zip-compressed"), "a.zip", "application/zip"),
        (ANYTHING, "a.exe", "text/html"),
    ],
)
def test_what_claims_nothing_or_something_permitted_waits_for_the_content(
    policy: Policy, name: str | None, claimed: str | None
) -> None:
    assert Inspection(policy, name=name, type=claimed).size == 0


@pytest.mark.parametrize(
    ("policy", "name", "claimed", "data", "text"),
    [
        (ANYTHING, "photo.jpg", None, c.HTML, "The file is named photo.jpg, but its content is HTML."),
        (ANYTHING, "a.jpg", None, c.PNG, "The file is named a.jpg, but its content is a PNG image."),
        (ANYTHING, "a.png", None, c.SVG, "The file is named a.png, but its content is an SVG image."),
        (ANYTHING, "a.jpg", None, FILLER, "The file is named a.jpg, but its content is of no known type."),
        (ANYTHING, "a.jpg", None, b"", "The file is named a.jpg, but it is empty."),
        (ANYTHING, "a.csv", None, b"a\n" + c.SCRIPT, "The file is named a.csv, but it has HTML inside."),
        (ANYTHING, None, "image/png", c.ELF, "The file is claimed to be image/png, but its content is a Linux program."),
        (ANYTHING, "\u202ea.jpg", None, c.PNG, "The file is named \\u202ea.jpg, but its content is a PNG image."),
        (IMAGES, None, None, b"hello", "Plain text is not accepted here."),
        (IMAGES, None, None, FILLER, "Content of no known type is not accepted here."),
        (IMAGES, None, None, b"", "An empty file is not accepted here."),
        (IMAGES, "a.gif", None, c.GIF + c.PHP, "A GIF image with PHP script inside is refused."),
        (IMAGES, "a.exe", None, b"", "The file is named a.exe, which says that it is a Windows program. That is not accepted here."),
        (IMAGES, None, "text/\x1bhtml", b"", "The type text/\\x1bhtml is not accepted here."),
    ],
)  # fmt: skip
def test_the_message_says_what_was_claimed_and_what_was_found(
    policy: Policy, name: str | None, claimed: str | None, data: bytes, text: str
) -> None:
    with pytest.raises(Rejected) as caught:
        judge(policy, name, claimed, data)
    assert str(caught.value) == text


def test_an_extension_that_agrees_makes_text_precise_without_agreement_too() -> None:
    assert judge(LENIENT, "a.csv", "image/png", b"a,b\n") == "text/csv"


def test_a_refused_type_comes_with_what_is_accepted() -> None:
    with pytest.raises(TypeNotAllowed) as few:
        Inspection(Policy(types=["image/png", "image/gif"]), name="a.pdf")
    assert few.value.hint == "Accepted: image/gif, image/png."
    with pytest.raises(TypeNotAllowed) as many:
        Inspection(Policy(types="documents"), name="a.png")
    assert re.search(r"^Accepted: (\S+, ){5}\S+ and [1-9][0-9]* more\.$", many.value.hint)
