from __future__ import annotations

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.content import ole_entry
from support.oles import compound
from wharfinger.inspection.ole import ole_entries, ole_type, whole_ole_type

_UNDECIDED = "application/x-ole-storage"
_EXCEL = "application/vnd.ms-excel"
_MANY = tuple(f"stream {number}" for number in range(5))


def _type(data: bytes) -> str:
    return whole_ole_type(io.BytesIO(data), len(data))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        ("WordDocument", "application/msword"),
        ("Workbook", _EXCEL),
        ("Book", _EXCEL),
        ("PowerPoint Document", "application/vnd.ms-powerpoint"),
        ("__properties_version1.0", "application/vnd.ms-outlook"),
        ("Workbooks", _UNDECIDED),
        ("EncryptedPackage", "application/encrypted"),
    ],
)
def test_the_streams_of_the_root_tell_the_document(stream: str, expected: str) -> None:
    assert _type(compound(stream)) == expected
    assert ole_type(compound(stream, directory_at=(1,))) == expected
    assert ole_type(compound(stream)[:8192]) == _UNDECIDED


@pytest.mark.parametrize(
    ("class_id", "expected"),
    [
        ("84100c0000000000c000000000000046", "application/x-msi"),
        ("82100c0000000000c000000000000046", "application/x-msi"),
        ("86100c0000000000c000000000000046", "application/x-msi"),
        ("85100c0000000000c000000000000046", "application/msword"),
    ],
    ids=["installer", "transform", "patch", "another"],
)
def test_the_class_of_the_root_tells_an_installer(class_id: str, expected: str) -> None:
    data = compound("WordDocument", class_id=bytes.fromhex(class_id))
    assert _type(data) == expected


@pytest.mark.parametrize("large", [False, True], ids=["sectors of 512", "sectors of 4096"])
def test_a_directory_of_several_sectors_is_followed_anywhere(large: bool) -> None:
    streams = _MANY * 8 if large else _MANY
    data = compound(*streams, "Workbook", directory_at=(90, 40), large=large)
    assert _type(data) == _EXCEL
    assert ole_entries(io.BytesIO(data), len(data)) == ("Root Entry", *streams, "Workbook")


def test_the_list_of_a_large_allocation_table_is_followed() -> None:
    # Row 110 of the table is for sectors from 110 * 128; a small file stands for a large one.
    data = compound(*_MANY, "Workbook", directory_at=(40, 41), table_in_list=True)
    assert _type(data) == _UNDECIDED
    large = bytearray(compound(*_MANY, "Workbook", directory_at=(40, 41), table_in_list=True))
    large[48:52] = struct.pack("<L", 109 * 128 + 40)
    large += bytes((109 * 128 + 50) * 512 - len(large))
    first = (109 * 128 + 41) * 512
    large[first : first + 512] = data[41 * 512 : 42 * 512]
    assert _type(bytes(large)) == _EXCEL
    # Behind the list's own end there is no table.
    large[48:52] = struct.pack("<L", (109 + 127) * 128 + 40)
    large += bytes(127 * 128 * 512)
    beyond = ((109 + 127) * 128 + 41) * 512
    large[beyond : beyond + 512] = data[41 * 512 : 42 * 512]
    assert _type(bytes(large)) == _UNDECIDED


def test_an_embedded_document_does_not_name_the_file() -> None:
    entries = [
        ole_entry("Root Entry", 5, child=2),
        ole_entry("WordDocument", 2),
        ole_entry("MBD0001", 1, left=3, child=1),
        ole_entry("Workbook", 2),
    ]
    data = compound(entries=entries)
    assert _type(data) == _EXCEL
    assert ole_entries(io.BytesIO(data), len(data)) == (
        *("Root Entry", "WordDocument", "MBD0001", "Workbook"),
    )


def test_unused_entries_are_not_listed() -> None:
    entries = [ole_entry("Root Entry", 5), ole_entry("Workbook", 0)]
    data = compound(entries=entries)
    assert ole_entries(io.BytesIO(data), len(data)) == ("Root Entry",)


@pytest.mark.parametrize(
    "data",
    [
        compound("Workbook")[:512],
        compound("Workbook", size=21 * 512),
        compound("Workbook")[:8],
        compound(*_MANY, follows={20: 20}),
        compound(*_MANY, follows={20: 0xFFFFFFFA}),
        compound(entries=[ole_entry("Root Entry", 5, child=1), ole_entry("x", 1, left=1, right=1)]),
        compound(entries=[ole_entry("Root Entry", 5, child=900)]),
    ],
    ids=[
        "header only",
        "directory cut",
        "magic only",
        "circle",
        "out of the file",
        "tree in circles",
        "link to nowhere",
    ],
)
def test_damage_ends_the_look_without_an_error(data: bytes) -> None:
    assert _type(data) == _UNDECIDED


def test_a_chain_in_circles_is_read_as_often_as_the_file_is_long() -> None:
    data = compound(*_MANY, follows={20: 20})
    assert len(ole_entries(io.BytesIO(data), len(data))) == 4 * (len(data) // 512 + 1)


@given(st.binary(max_size=600), st.integers(0, 3000))
def test_no_bytes_raise(noise: bytes, at: int) -> None:
    data = bytearray(compound(*_MANY, "Workbook", directory_at=(3, 4)))
    data[at : at + len(noise)] = noise
    assert "/" in _type(bytes(data))
