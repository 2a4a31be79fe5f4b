"""Word, Excel and PowerPoint of 1997 to 2003: what in them runs, hides or is locked."""

from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.ole_files import ole_file
from wharfinger.errors import ContentMismatch, ContentRefused, TypeNotAllowed, UnsafeArchive
from wharfinger.inspection.content import examine
from wharfinger.inspection.documents import look
from wharfinger.inspection.findings import Findings
from wharfinger.inspection.ole import read_directory
from wharfinger.inspection.ole_streams import Streams
from wharfinger.inspection.stream import Inspection
from wharfinger.policy import Policy

WORD = "application/msword"
EXCEL = "application/vnd.ms-excel"
SLIDES = "application/vnd.ms-powerpoint"
OLE = "application/x-ole-storage"


def found(data: bytes, media_type: str = OLE) -> tuple[str, ...]:
    findings = Findings(Policy(types=[media_type], refuse=[]))
    assert look(io.BytesIO(data), len(data), media_type, findings) is None
    return findings.words


def record(kind: int, data: bytes) -> bytes:
    return struct.pack("<2H", kind, len(data)) + data


def sheet(kind: int) -> bytes:
    return record(0x85, struct.pack("<LBB", 4096, 0, kind) + b"\x06\0Sheet1")


BOF = record(0x809, struct.pack("<2H", 0x600, 5) + bytes(12))
END = record(0x0A, b"")


def workbook(*records: bytes, length: int = 5000) -> bytes:
    return (BOF + b"".join(records) + END).ljust(length, b"\0")


def word(flags: int = 0x10, text: bytes = b"Some words.") -> bytes:
    return (b"\xec\xa5\xc1\0" + bytes(6) + struct.pack("<H", flags)).ljust(2048, b"\0") + text


def slides(*records: bytes) -> bytes:
    return (b"\x0f\0\xe8\x03" + b"".join(records)).ljust(6000, b"\0")


def vba_info(has_macros: int) -> bytes:
    atom = struct.pack("<HHLLLL", 2, 0x400, 12, 7, has_macros, 2)
    return struct.pack("<HHL", 0x1F, 0x3FF, len(atom)) + atom


EMBEDDED = struct.pack("<HHL", 0x0F, 0xFCC, 16) + struct.pack("<HHL", 0, 0xFCD, 8) + bytes(8)
BEGIN = b"\x13"
INSTRUCTIONS = " DDE" + "AUTO c:\\\\cmd.exe"
HOSTILE = {
    "macros of Word": (ole_file({"WordDocument": word()}, "Macros", "VBA"), WORD, "macros"),
    "macros of Excel": (
        ole_file({"Workbook": workbook()}, "_VBA_PROJECT_CUR"),
        EXCEL,
        "macros",
    ),
    "a project": (ole_file({"_VBA_PROJECT": b"\xcc\x61"}), OLE, "macros"),
    "macros of PowerPoint": (
        ole_file({"PowerPoint Document": slides(vba_info(1))}),
        SLIDES,
        "macros",
    ),
    "a macro sheet of Excel 4": (
        ole_file({"Workbook": workbook(sheet(0), sheet(1))}),
        EXCEL,
        "macros",
    ),
    "a macro sheet of Excel 95": (ole_file({"Book": workbook(sheet(6))}), EXCEL, "macros"),
    "a macro sheet in a small workbook": (
        ole_file({"other": b"x" * 700, "Workbook": workbook(sheet(0), sheet(1), length=900)}),
        EXCEL,
        "macros",
    ),
    "a macro sheet after long records": (
        ole_file({"Workbook": workbook(*[record(0xFC, bytes(8224))] * 20, sheet(1))}),
        EXCEL,
        "macros",
    ),
    "a field that starts a program": (
        ole_file({"WordDocument": word(text=BEGIN + INSTRUCTIONS.encode() + bytes(4000))}),
        WORD,
        "macros",
    ),
    "such a field in 16 bits": (
        ole_file(
            {
                "WordDocument": word(
                    text=bytes(1015) + BEGIN + b"\0" + INSTRUCTIONS.encode("utf-16-le")
                ).ljust(6000, b"\0")
            }
        ),
        WORD,
        "macros",
    ),
    "a document of today behind a password": (
        ole_file({"EncryptedPackage": bytes(5000), "EncryptionInfo": b"\4\0\4\0"}),
        OLE,
        "encrypted",
    ),
    "Word behind a password": (ole_file({"WordDocument": word(0x110)}), WORD, "encrypted"),
    "Excel behind a password": (
        ole_file({"Workbook": workbook(record(0x2F, b"\1\0\1\0\1\0"), sheet(1))}),
        EXCEL,
        "encrypted",
    ),
    "PowerPoint behind a password": (
        ole_file(
            {
                "PowerPoint Document": slides(),
                "Current User": struct.pack("<HHLLL", 0, 0xFF6, 24, 20, 0xF3D1C4DF),
            }
        ),
        SLIDES,
        "encrypted",
    ),
    "its properties behind a password": (
        ole_file({"EncryptedSummary": b"x"}),
        SLIDES,
        "encrypted",
    ),
    "a program within": (ole_file({"\x01Ole10Native": b"x"}), WORD, "embedded-objects"),
    "an object of Excel": (ole_file({}, "MBD0001A2B3"), EXCEL, "embedded-objects"),
    "an object of Word": (
        ole_file({"WordDocument": word()}, "ObjectPool", "_1234567890"),
        WORD,
        "embedded-objects",
    ),
    "an object of PowerPoint": (
        ole_file({"PowerPoint Document": slides(EMBEDDED)}),
        SLIDES,
        "embedded-objects",
    ),
}
HONEST = {
    "Word": (ole_file({"WordDocument": word(), "1Table": bytes(5000)}, "ObjectPool"), WORD),
    "Word, about DDE": (
        ole_file({"WordDocument": word(text=b"DDEAUTO \x13 PAGE \x14 1 \x15").ljust(5000)}),
        WORD,
    ),
    "Excel": (ole_file({"Workbook": workbook(sheet(0), sheet(2))}), EXCEL),
    "Excel, small": (ole_file({"Workbook": workbook(sheet(0), length=200)}), EXCEL),
    "Excel without its last record": (
        ole_file({"Workbook": (BOF + sheet(0)).ljust(4096, b"\xff")}),
        EXCEL,
    ),
    "Excel without any record": (ole_file({"Workbook": bytes(900_000)}), EXCEL),
    "PowerPoint": (
        ole_file({"PowerPoint Document": slides(vba_info(0)), "Current User": bytes(60)}),
        SLIDES,
    ),
    "an Outlook message": (
        ole_file({"__properties_version1.0": bytes(40)}, "__attach_version1.0_#00000000"),
        "application/vnd.ms-outlook",
    ),
    "nothing in it": (ole_file({"WordDocument": b"", "Workbook": b""}), OLE),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_what_an_old_document_does_is_found(case: str) -> None:
    data, media_type, word_ = HOSTILE[case]
    assert found(data, media_type) == (word_,)


@pytest.mark.parametrize("case", HONEST)
def test_an_honest_old_document_has_no_findings(case: str) -> None:
    data, media_type = HONEST[case]
    assert found(data, media_type) == ()


def test_a_policy_that_names_old_documents_refuses_macros_and_passwords() -> None:
    policy = Policy(types=[WORD, EXCEL])
    data = HOSTILE["macros of Word"][0]
    with pytest.raises(ContentRefused, match="has macros") as caught:
        examine(io.BytesIO(data), len(data), policy=policy, name="a.doc")
    assert caught.value.finding == "macros"
    data = HOSTILE["Excel behind a password"][0]
    with pytest.raises(UnsafeArchive, match="without its password"):
        examine(io.BytesIO(data), len(data), policy=policy, name="a.xls")
    data = HONEST["Word"][0]
    assert examine(io.BytesIO(data), len(data), policy=policy, name="a.doc")[0] == WORD


LOCKED = ole_file({"EncryptedPackage": bytes(20_000), "EncryptionInfo": b"\4\0\4\0"})


@pytest.mark.parametrize("name", ["a.docx", "a.xlsx", "a.pptm", "a.xlsb", None])
def test_a_document_of_today_behind_a_password_is_told_where_any_type_is_taken(
    name: str | None,
) -> None:
    media_type, details = examine(
        io.BytesIO(LOCKED), len(LOCKED), policy=Policy.anything(), name=name
    )
    assert (media_type, details.findings) == ("application/encrypted", ("encrypted",))
    strict = Policy(refuse=["encrypted"])
    with pytest.raises(UnsafeArchive, match="without its password"):
        examine(io.BytesIO(LOCKED), len(LOCKED), policy=strict, name=name)


def test_its_head_passes_although_the_directory_lies_behind_it() -> None:
    inspection = Inspection(Policy.anything(), name="a.docx")
    assert inspection.feed(LOCKED) == (LOCKED,)
    assert inspection.finish()[1].type == "application/encrypted"


def test_a_policy_for_documents_says_that_it_is_encrypted() -> None:
    with pytest.raises(TypeNotAllowed, match="An encrypted Office document is not accepted"):
        examine(io.BytesIO(LOCKED), len(LOCKED), policy=Policy.documents(), name="a.docx")


def test_another_old_file_is_no_document_of_today() -> None:
    other = ole_file({"VisioDocument": bytes(20_000)})
    with pytest.raises(ContentMismatch, match="OLE compound file"):
        examine(io.BytesIO(other), len(other), policy=Policy.anything(), name="a.docx")
    data = HOSTILE["macros of Word"][0]
    with pytest.raises(ContentMismatch, match="Word 97 document"):
        examine(io.BytesIO(data), len(data), policy=Policy.anything(), name="a.docx")


def test_a_stream_is_read_whole_and_no_more() -> None:
    content = {"small": b"s" * 100, "large": b"l" * 5000, "empty": b"", "last": b"z" * 4095}
    data = ole_file(content)
    streams = Streams(io.BytesIO(data), len(data))
    assert streams.names == ("Root Entry", "small", "large", "empty", "last")
    for name, expected in content.items():
        (entry,) = streams.named(name)
        assert b"".join(streams.pieces(entry)) == expected


def test_a_stream_ends_where_its_length_says_though_its_chain_goes_on() -> None:
    data = bytearray(ole_file({"WordDocument": b"w" * 8192}))
    at = data.index("WordDocument".encode("utf-16-le"))
    data[at + 120 : at + 124] = struct.pack("<L", 5120)
    streams = Streams(io.BytesIO(data), len(data))
    (entry,) = streams.named("WordDocument")
    assert b"".join(streams.pieces(entry)) == b"w" * 5120


def test_a_chain_that_turns_in_a_circle_ends() -> None:
    data = bytearray(ole_file({"WordDocument": word().ljust(8192, b"\0")}))
    entries, table = read_directory(io.BytesIO(data), len(data))
    place = (int.from_bytes(table.header[76:80], "little") + 1) * 512
    start = next(entry.start for entry in entries if entry.name == "WordDocument")
    data[place + 4 * start : place + 4 * start + 4] = struct.pack("<L", start)
    at = data.index("WordDocument".encode("utf-16-le"))
    data[at + 120 : at + 124] = b"\xff\xff\xff\x7f"
    streams = Streams(io.BytesIO(data), len(data))
    (entry,) = streams.named("WordDocument")
    assert sum(map(len, streams.pieces(entry))) <= 4 * (len(data) + 512)
    assert found(bytes(data), WORD) == ()


def test_small_streams_without_a_root_are_empty() -> None:
    data = bytearray(ole_file({"Workbook": workbook(sheet(1), length=900)}))
    at = data.index("Root Entry".encode("utf-16-le"))
    data[at + 66] = 1
    assert found(bytes(data), EXCEL) == ()


@settings(deadline=None)  # the machine may be busy
@given(st.data())
def test_no_change_of_any_bytes_makes_it_fail(data: st.DataObject) -> None:
    case = data.draw(st.sampled_from(sorted(HOSTILE)))
    whole, media_type, _ = HOSTILE[case]
    changed = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 8))):
        changed[data.draw(st.integers(0, len(changed) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(changed)))
    found(bytes(changed[:cut]), media_type)
    found(bytes(changed), media_type)
