"""What the fields of tus say to the serving side; the numbers are those of the checklist."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wharfinger.errors import RequestError, UnsupportedContentType, UnsupportedVersion
from wharfinger.protocol import tus_server as tus
from wharfinger.protocol.headers import Headers

SHA1 = "sha1 Lve95gjOVATpfV8EL5X4nxwjKHE="  # of "Hello World!", as the protocol's text has it


@pytest.mark.parametrize(
    ("value", "found"), [("0", 0), ("7", 7), (" 12 ", 12), ("9" * 19, 10**19 - 1)]
)
def test_1_a_number_is_digits(value: str, found: int) -> None:
    assert tus.number(Headers([("Upload-Offset", value)]), "Upload-Offset") == found


def test_1_a_number_that_is_not_there_is_none() -> None:
    assert tus.number(Headers(), "Upload-Offset") is None


@pytest.mark.parametrize("value", ["", "-1", "+1", "1.0", "1e3", "0x1", "1,2", "9" * 20, "٣"])
def test_1_anything_else_is_malformed(value: str) -> None:
    with pytest.raises(RequestError, match="Upload-Offset is no number"):
        tus.number(Headers([("Upload-Offset", value)]), "Upload-Offset")


def test_1_a_number_that_comes_twice_is_malformed() -> None:
    with pytest.raises(RequestError, match="2 times"):
        tus.number(Headers([("Upload-Length", "1"), ("upload-length", "1")]), "Upload-Length")


def test_4_our_version_is_spoken() -> None:
    tus.check_version(Headers([("Tus-Resumable", "1.0.0")]))
    tus.check_version(Headers([("tus-resumable", " 1.0.0 ")]))


@pytest.mark.parametrize("value", [None, "", "1.0", "0.2.2", "1.0.0, 1.0.0"])
def test_4_another_version_is_not(value: str | None) -> None:
    headers = Headers([] if value is None else [("Tus-Resumable", value)])
    with pytest.raises(UnsupportedVersion) as refused:
        tus.check_version(headers)
    assert refused.value.supported == ("1.0.0",)
    assert refused.value.http_status == 412


def test_10_bytes_come_as_what_they_are() -> None:
    for value in ("application/offset+octet-stream", "Application/Offset+Octet-Stream; a=b"):
        tus.check_content_type(Headers([("Content-Type", value)]))


@pytest.mark.parametrize("value", [None, "", "text/plain", "application/offset"])
def test_10_another_type_is_refused(value: str | None) -> None:
    headers = Headers([] if value is None else [("Content-Type", value)])
    with pytest.raises(UnsupportedContentType):
        tus.check_content_type(headers)


@pytest.mark.parametrize(
    ("fields", "found"),
    [
        ([("Upload-Length", "0")], 0),
        ([("Upload-Length", "12")], 12),
        ([("Upload-Defer-Length", "1")], None),
    ],
)
def test_21_a_creation_has_a_length_or_defers_it(
    fields: list[tuple[str, str]], found: int | None
) -> None:
    assert tus.length(Headers(fields)) == found


@pytest.mark.parametrize(
    "fields",
    [
        [],
        [("Upload-Length", "1"), ("Upload-Defer-Length", "1")],
        [("Upload-Defer-Length", "0")],
        [("Upload-Defer-Length", "true")],
        [("Upload-Length", "1"), ("Upload-Defer-Length", "0")],
        [("Upload-Length", "x")],
    ],
)
def test_21_22_neither_both_and_other_values_are_malformed(fields: list[tuple[str, str]]) -> None:
    with pytest.raises(RequestError):
        tus.length(Headers(fields))


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (None, {}),
        ("", {}),
        ("  ", {}),
        ("filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential",
         {"filename": b"world_domination_plan.pdf", "is_confidential": b""}),
        ("a YQ==, b Yg==", {"a": b"a", "b": b"b"}),
        ("empty ,next YQ==", {"empty": b"", "next": b"a"}),
        ("a  YQ==", {"a": b"a"}),
    ],
)  # fmt: skip
def test_26_metadata_is_pairs_of_keys_and_base64(
    value: str | None, found: dict[str, bytes]
) -> None:
    assert tus.metadata(value) == found


@pytest.mark.parametrize(
    "value",
    ["a !", "a YQ", "a YQ==,a YQ==", ",", "a YQ==,", "ä YQ==", "a\tb YQ==", "a YQ== b", "a ä"],
)
def test_26_27_malformed_metadata_is_refused(value: str) -> None:
    with pytest.raises(RequestError, match="Upload-Metadata"):
        tus.metadata(value)


@given(
    st.dictionaries(
        st.text(
            st.characters(min_codepoint=33, max_codepoint=126, exclude_characters=","), min_size=1
        ),
        st.binary(),
    )
)
def test_26_what_a_client_writes_is_read_again(pairs: dict[str, bytes]) -> None:
    written = ",".join(
        f"{key} {base64.b64encode(value).decode()}".rstrip() for key, value in pairs.items()
    )
    assert tus.metadata(written) == pairs


@given(st.text())
def test_27_any_text_is_read_or_refused(value: str) -> None:
    try:
        found = tus.metadata(value)
    except RequestError:
        return
    assert all(key and " " not in key and "," not in key for key in found)


def test_filename_names_the_file_and_name_does_where_there_is_none() -> None:
    assert tus.claimed_name({"name": b"b.txt", "filename": b"a.txt"}) == "a.txt"
    assert tus.claimed_name({"name": b"b.txt", "filename": b""}) == "b.txt"
    assert tus.claimed_name({"filename": "Übersicht.pdf".encode()}) == "Übersicht.pdf"
    assert tus.claimed_name({"title": b"a.txt"}) is None


def test_filetype_tells_the_type_and_type_does_where_there_is_none() -> None:
    assert tus.claimed_type({"type": b"text/csv", "filetype": b"text/plain"}) == "text/plain"
    assert tus.claimed_type({"type": b"text/csv"}) == "text/csv"
    for value in (b"null", b"undefined", b"", b"avatar"):
        assert tus.claimed_type({"filetype": value}) is None


def test_27_names_and_types_are_utf_8() -> None:
    with pytest.raises(RequestError, match="UTF-8"):
        tus.claimed_name({"filename": b"\xff"})
    with pytest.raises(RequestError, match="UTF-8"):
        tus.claimed_type({"filetype": b"\xff/\xff"})


def test_39_a_checksum_is_an_algorithm_and_a_digest() -> None:
    found = tus.checksum(Headers([("Upload-Checksum", SHA1)]))
    assert found == tus.Checksum("sha1", bytes.fromhex("2ef7bde608ce5404e97d5f042f95f89f1c232871"))
    sha256 = "sha256 f4OxZX/x/FO5LcGBSKHWXfwtSx+j1ncoSt3SABJtkGk="
    found = tus.checksum(Headers([("Upload-Checksum", sha256)]))
    assert found is not None
    assert (found.algorithm, len(found.digest)) == ("sha256", 32)
    assert tus.checksum(Headers()) is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "sha1",
        "md5 1B2M2Y8AsgTpgAmY7PhCfg==",
        "sha1 !",
        "sha1 YQ==",
        "sha256 " + SHA1[5:],
        "sha1 ä",
    ],
)
def test_40_an_unknown_algorithm_or_another_digest_is_refused(value: str) -> None:
    with pytest.raises(RequestError):
        tus.checksum(Headers([("Upload-Checksum", value)]))


def test_45_a_partial_upload_says_so() -> None:
    assert tus.is_partial("partial")
    assert not tus.is_partial(None)
    assert not tus.is_partial("final;/a /b")
    for value in ("", "final", "Partial", "partial;"):
        with pytest.raises(RequestError, match="Upload-Concat"):
            tus.is_partial(value)


def test_45_46_a_final_upload_names_its_parts_in_order() -> None:
    assert tus.final_parts("final;/files/a /files/b /files/a") == [
        "/files/a",
        "/files/b",
        "/files/a",
    ]
    assert tus.final_parts("final; http://host/a") == ["http://host/a"]
    assert tus.final_parts("partial") is None
    assert tus.final_parts(None) is None


@pytest.mark.parametrize("value", ["final;", "final; ", "final;" + "a " * 1001])
def test_45_a_final_upload_of_nothing_or_of_too_many_is_refused(value: str) -> None:
    with pytest.raises(RequestError, match="parts"):
        tus.final_parts(value)
