from __future__ import annotations

import io
import json
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support import content as c
from support.oles import compound
from support.zips import Entry, built, packed
from wharfinger.errors import ActiveContent, ContentMismatch
from wharfinger.inspection import HEAD_SIZE, Detected
from wharfinger.inspection.content import examine
from wharfinger.inspection.whole import detect_whole
from wharfinger.policy import Policy

_O = "application/vnd.openxmlformats-officedocument"
_DOCX = f"{_O}.wordprocessingml.document"
_XLSX = f"{_O}.spreadsheetml.sheet"
_PPTX = f"{_O}.presentationml.presentation"
_DOCM = "application/vnd.ms-word.document.macroenabled.12"
_XLSM = "application/vnd.ms-excel.sheet.macroenabled.12"
_PPTM = "application/vnd.ms-powerpoint.presentation.macroenabled.12"
_XLSB = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
_JAR = "application/java-archive"
_APK = "application/vnd.android.package-archive"
_ZIP = "application/zip"
_ODT = "application/vnd.oasis.opendocument.text"
_MAIN = "word/document.xml"


def _whole(data: bytes) -> Detected:
    return detect_whole(io.BytesIO(data), len(data))


def _types(*overrides: tuple[str, str], more: str = "") -> bytes:
    rows = "".join(f'<Override PartName="{p}" ContentType="{t}"/>' for p, t in overrides)
    namespace = "http://schemas.openxmlformats.org/package/2006/content-types"
    return f'<?xml version="1.0"?><Types xmlns="{namespace}">{more}{rows}</Types>'.encode()


def _office(main: str, part: str, *others: str, types: bytes = b"", more: str = "") -> bytes:
    """An Office document in which 9 KiB stand before the members that tell its type."""
    content_types = types or _types((f"/{part}", main), more=more)
    filling = {"docProps/thumbnail.jpeg": bytes(range(256)) * 40}
    members = {**filling, **dict.fromkeys(others, b"x"), part: b"<x/>"}
    members["[Content_Types].xml"] = content_types
    return packed(members, stored="docProps/thumbnail.jpeg")


def _default(extension: str, main: str) -> bytes:
    return _types(more=f'<Default Extension="{extension}" ContentType="{main}"/>')


_WORD = f"{_O}.wordprocessingml.document.main+xml"
_EXCEL = f"{_O}.spreadsheetml.sheet.main+xml"
_SLIDES = f"{_O}.presentationml.presentation.main+xml"
_MS = "application/vnd.ms-"

PACKAGES: list[tuple[str, bytes, str]] = [
    ("docx", _office(_WORD, _MAIN), _DOCX),
    ("xlsx", _office(_EXCEL, "xl/workbook.xml"), _XLSX),
    ("pptx", _office(_SLIDES, "ppt/presentation.xml"), _PPTX),
    ("dotx", _office(f"{_O}.wordprocessingml.template.main+xml", _MAIN), _DOCX),
    ("xltx", _office(f"{_O}.spreadsheetml.template.main+xml", "xl/workbook.xml"), _XLSX),
    ("ppsx", _office(f"{_O}.presentationml.slideshow.main+xml", "ppt/p.xml"), _PPTX),
    ("docm", _office(f"{_MS}word.document.macroEnabled.main+xml", _MAIN), _DOCM),
    ("dotm", _office(f"{_MS}word.template.macroEnabledTemplate.main+xml", _MAIN), _DOCM),
    ("xlsm", _office(f"{_MS}excel.sheet.macroEnabled.main+xml", "xl/workbook.xml"), _XLSM),
    ("xlam", _office(f"{_MS}excel.addin.macroEnabled.main+xml", "xl/workbook.xml"), _XLSM),
    ("xlsb", _office(f"{_MS}excel.sheet.binary.macroEnabled.main", "xl/workbook.bin"), _XLSB),
    ("pptm", _office(f"{_MS}powerpoint.presentation.macroEnabled.main+xml", "ppt/p.xml"), _PPTM),
    ("docm that says docx", _office(_WORD, _MAIN, "word/vbaProject.bin"), _DOCM),
    ("a project elsewhere", _office(_EXCEL, "xl/workbook.xml", "x/VBAPROJECT.BIN"), _XLSM),
    (
        "a project of another name",
        _office(
            *(_WORD, _MAIN),
            types=_types((f"/{_MAIN}", _WORD), ("/word/a.bin", f"{_MS}office.vbaProject")),
        ),
        _DOCM,
    ),
    (
        "a project by default type",
        _office(
            _SLIDES,
            "ppt/p.xml",
            more=f'<Default Extension="bin" ContentType="{_MS}office.vbaProject"/>',
        ),
        _PPTM,
    ),
    (
        "a macro sheet of Excel 4",
        _office(
            *(_EXCEL, "xl/workbook.xml"),
            types=_types(
                ("/xl/workbook.xml", _EXCEL), ("/xl/m/s.xml", f"{_MS}excel.macrosheet+xml")
            ),
        ),
        _XLSM,
    ),
    (
        "content types in UTF-16",
        _office(
            *(_WORD, _MAIN),
            types=_types((f"/{_MAIN}", f"{_MS}word.document.macroEnabled.main+xml"))
            .decode()
            .replace("<?xml version", "<?xml encoding='UTF-16' version")
            .replace("<?xml encoding='UTF-16' version=\"1.0\"?>", "")
            .encode("utf-16"),
        ),
        _DOCM,
    ),
    ("names in other case", _office(_WORD, "WORD/Document.xml"), _DOCX),
    ("a zip renamed", _office("application/xml", _MAIN), _ZIP),
    ("the main part is missing", _office(_WORD, "a", types=_types((f"/{_MAIN}", _WORD))), _ZIP),
    ("content types are no XML", _office(_WORD, _MAIN, types=b"/word/ macroEnabled"), _ZIP),
    (
        "content types with a DTD",
        _office(_WORD, _MAIN, types=b"<!DOCTYPE Types [<!ENTITY a 'b'>]>" + _types((_MAIN, _WORD))),
        _ZIP,
    ),
    ("content types too deep", _office(_WORD, _MAIN, types=b"<a>" * 300 + b"</a>" * 300), _ZIP),
    ("content types too long", _office(_WORD, _MAIN, types=b" " * 5_000_000), _ZIP),
    ("content types encrypted", built(Entry(name=b"[Content_Types].xml", flags=1)), _ZIP),
    ("a jar in a document's clothes", _office(_WORD, _MAIN, "Evil.class"), _JAR),
    ("programs and relations", packed({"_rels/.rels": b"", "a/Evil.class": b""}), _JAR),
    ("jar", packed({"a.txt": b"x" * 9000, "META-INF/MANIFEST.MF": b""}), _JAR),
    ("apk", packed({"META-INF/MANIFEST.MF": b"", "AndroidManifest.xml": b""}), _APK),
    ("apk by its program", packed({"a": b"", "classes.dex": b""}), _APK),
    ("odt", packed({"mimetype": _ODT.encode(), "content.xml": b""}, stored="mimetype"), _ODT),
    ("odt, packed and late", packed({"content.xml": b"", "mimetype": _ODT.encode()}), _ODT),
    ("ott", packed({"mimetype": _ODT.encode() + b"-template"}), _ODT),
    ("odt with programs", packed({"mimetype": _ODT.encode(), "a.class": b""}), _JAR),
    ("epub", packed({"mimetype": b"application/epub+zip\n"}), "application/epub+zip"),
    ("a type of another kind", packed({"mimetype": b"image/png"}), _ZIP),
    ("a type that is long", packed({"mimetype": _ODT.encode() + b" " * 300}), _ZIP),
    ("programs alone", packed({"src/A.java": b"", "build/A.class": b""}), _JAR),
    (
        "a main part by its extension",
        _office(_EXCEL, "xl/w.xml", types=_default("xml", _EXCEL)),
        _XLSX,
    ),
    (
        "an xlsb by its extension",
        _office(
            "", "xl/w.bin", types=_default("BIN", f"{_MS}excel.sheet.binary.macroEnabled.main")
        ),
        _XLSB,
    ),
    (
        "a default for parts that are not there",
        _office("", "xl/w.xml", types=_default("x", _EXCEL)),
        _ZIP,
    ),
    ("zip", packed({"notes.txt": b"hello"}), _ZIP),
    ("empty zip", built(), _ZIP),
    ("damaged docx: its head tells", c.DOCX, _DOCX),
]


@pytest.mark.parametrize(
    ("data", "expected"), [row[1:] for row in PACKAGES], ids=[row[0] for row in PACKAGES]
)
def test_an_archive_is_what_its_directory_tells(data: bytes, expected: str) -> None:
    assert _whole(data).type == expected
    assert _whole(data).active is (expected in {_DOCM, _XLSM, _PPTM, _XLSB, _JAR, _APK})


@pytest.mark.parametrize(
    ("name", "data", "error"),
    [
        ("a.docx", _office(_WORD, _MAIN, "word/vbaProject.bin"), ActiveContent),
        ("a.xlsx", _office(f"{_MS}excel.sheet.macroEnabled.main+xml", "xl/w.xml"), ActiveContent),
        ("a.docx", _office("application/xml", _MAIN), ContentMismatch),
        ("a.odt", packed({"content.xml": b"x"}), ContentMismatch),
        ("a.docx", _office(_WORD, _MAIN, "Evil.class"), ActiveContent),
        ("a.zip", packed({"a.txt": b"", "META-INF/MANIFEST.MF": b""}), None),
        ("a.doc", compound("Workbook"), ContentMismatch),
        ("a.xls", compound("Workbook"), None),
        ("a.json", b"[" + b"1," * 9000 + b"1]", None),
        ("a.json", b"[" + b"1," * 9000 + b"1", ContentMismatch),
        ("a.csv", b"a,b\n" * 3000, None),
        ("a.csv", b"a,b\n" * 3000 + b"\0", ContentMismatch),
        ("a.txt", b"caf\xe9\n" * 3000, None),
    ],
    ids=[
        "macros as docx",
        "macros as xlsx",
        "zip as docx",
        "zip as odt",
        "jar as docx",
        "jar as zip",
        "xls as doc",
        "xls",
        "json",
        "json cut",
        "csv",
        "csv with NUL",
        "old text",
    ],
)
def test_the_final_word_is_that_of_the_whole(
    name: str, data: bytes, error: type[Exception] | None
) -> None:
    def judge() -> None:
        examine(io.BytesIO(data), len(data), policy=Policy(check_content=False), name=name)

    if error is None:
        judge()
    else:
        with pytest.raises(error):
            judge()


def test_a_compound_file_is_what_its_whole_directory_tells() -> None:
    data = compound(*("x" * 9,) * 9, "WordDocument", directory_at=(99, 50, 33))
    assert _whole(data) == Detected("application/msword")
    installer = compound("a", class_id=bytes.fromhex("84100c0000000000c000000000000046"))
    assert _whole(installer) == Detected("application/x-msi", active=True)


_LINE = "zwölf Boxkämpfer\n"

TEXTS: list[tuple[str, bytes, str, bool]] = [
    ("ascii", b"hello\n" * 5000, "text/plain", True),
    ("utf-8", (_LINE * 5000).encode(), "text/plain", True),
    ("utf-8 with a mark", ("\ufeff" + _LINE * 5000).encode(), "text/plain", True),
    ("utf-16", (_LINE * 5000).encode("utf-16"), "text/plain", True),
    ("utf-32", (_LINE * 5000).encode("utf-32"), "text/plain", True),
    ("latin-1 from the end on", b"hello\n" * 5000 + b"caf\xe9", "text/plain", True),
    ("a character cut at the end", b"hello\n" * 5000 + b"\xc3", "text/plain", True),
    ("a NUL behind the head", b"hello\n" * 5000 + b"\0", "application/octet-stream", False),
    ("a NUL in latin-1", b"caf\xe9\n" * 5000 + b"\0", "application/octet-stream", False),
    ("mostly high bytes", b"hello\n" * 2000 + b"\xe9" * 9000, "application/octet-stream", False),
    (
        "damaged behind a mark",
        ("\ufeff" + _LINE * 999).encode() + b"\xff",
        _B := "application/octet-stream",
        False,
    ),
    ("NUL in utf-16", (_LINE * 999 + "\0").encode("utf-16"), _B, False),
    ("utf-16 cut", (_LINE * 999).encode("utf-16") + b"a", _B, False),
    (
        "shell with an archive behind",
        c.SHELL + b"#\n" * 5000 + b"\0\x1f\x8b",
        "application/x-sh",
        False,
    ),
    (
        "xml in an encoding of its own",
        b"<?xml version='1.0' encoding='EUC-JP'?>" + b"\xa4\xa2" * 9000,
        "application/xml",
        False,
    ),
    ("json", json.dumps(["ü"] * 3000).encode(), "application/json", True),
    ("json in utf-16", json.dumps(["ü"] * 3000).encode("utf-16"), "application/json", True),
    ("json lines", b'{"a": 1}\n' * 2000, "text/plain", True),
    ("json of more than 1 MiB", b'{"a": 1}\n' * 200_000, "application/json", True),
    ("markup", b"<?xml version='1.0'?><a>" + b"<b/>" * 3000, "application/xml", True),
]


@pytest.mark.parametrize(
    ("data", "media_type", "text"), [row[1:] for row in TEXTS], ids=[row[0] for row in TEXTS]
)
def test_text_is_text_to_its_end(data: bytes, media_type: str, text: bool) -> None:
    assert len(data) > HEAD_SIZE
    assert (_whole(data).type, _whole(data).text) == (media_type, text)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "application/octet-stream"),
        (c.PNG, "image/png"),
        (c.PDF, "application/pdf"),
        (b"hello", "text/plain"),
        (b"[1, 2]", "application/json"),
        (c.tar() + bytes(9000), "application/x-tar"),
    ],
    ids=["nothing", "image", "document", "text", "json", "tar"],
)
def test_what_the_head_settles_stays(data: bytes, expected: str) -> None:
    assert _whole(data).type == expected


_SAMPLES: list[Callable[[], bytes]] = [
    *(lambda data=data: data for _, data, _ in PACKAGES[:12]),
    *(lambda data=data: data[:12_000] for _, data, _, _ in TEXTS),
    lambda: compound("Workbook", directory_at=(9, 8)),
]


@given(st.sampled_from(_SAMPLES), st.binary(max_size=40), st.integers(0, 20_000), st.booleans())
def test_no_damage_raises(make: Callable[[], bytes], noise: bytes, at: int, cut: bool) -> None:
    data = bytearray(make())
    data[at : at + len(noise)] = noise
    found = _whole(bytes(data[: at + len(noise)] if cut else data))
    assert found.type.count("/") == 1
