"""tus 1.0 at every shell: the numbered rules of the protocol (see `protocol/tus_server.py`).

The numbers in names are those of the checklist that the protocol's text was cut into: 1-19 core,
20-31 creation, 32-34 creation-with-upload, 35-37 expiration, 38-42 checksum, 43 termination,
44-51 concatenation; letters are what clients do beyond the text.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from support.served import eventually
from support.services import Clock, blobs_on_disk, make_wharf, token
from support.shells import Answered, Browser, running
from support.tus import BYTES, VERSION, Tus, digest, meta
from wharfinger import Collection, Policy, Wharf
from wharfinger.errors import UploadTakenOver
from wharfinger.scanners import Clean, Infected
from wharfinger.service.limits import LimitSettings
from wharfinger.service.usage import Quota, Quotas

TEXT = b"The quick brown fox jumps over the lazy dog.\n"
SIZE = len(TEXT)


@pytest.fixture
def tus(browser: Browser) -> Tus:
    return Tus(browser)


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[tuple[Tus, Wharf, Clock]]:
    """The stand-alone server with a clock that is moved by hand."""
    clock = Clock()
    with make_wharf(tmp_path / "data", clock=clock) as wharf, running("server", wharf) as url:
        yield Tus(Browser(url, token(wharf))), wharf, clock


# --- core ---------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["-1", "+1", "1.0", "0x10", "1 2", "", "9" * 20, "١"])
def test_1_numbers_are_non_negative_integers(alone: tuple[Tus, Wharf, Clock], value: str) -> None:
    tus = alone[0]
    raw = value.encode().decode("latin-1")
    assert tus.post({"Upload-Length": raw}).status == 400
    path = tus.create(10)
    assert tus.patch(path, raw, b"12345").status == 400
    assert tus.offset(path) == 0


def test_2_5_6_17_18_38_options_tells_versions_extensions_limits_and_algorithms(
    tus: Tus,
) -> None:
    for path, limit, methods in (
        ("/uploads/files", 5 * 1024**3, "OPTIONS, POST"),
        ("/uploads/files/", 5 * 1024**3, "OPTIONS, POST"),
        ("/uploads/small", 100_000, "OPTIONS, POST"),
        ("/uploads/small/" + "0" * 32, 100_000, "DELETE, GET, HEAD, OPTIONS, PATCH"),
    ):
        for fields in ({}, {"Tus-Resumable": "0.1"}):  # 17: ignored
            answer = tus.browser.ask("OPTIONS", path, headers=fields, token="")
            assert answer.status == 204
            assert answer.headers["tus-version"] == "1.0.0"
            assert set(answer.headers["tus-extension"].split(",")) == {
                "creation", "creation-with-upload", "creation-defer-length", "expiration",
                "checksum", "termination", "concatenation",
            }  # fmt: skip
            assert answer.headers["tus-max-size"] == str(limit)
            assert answer.headers["tus-checksum-algorithm"] == "sha1,sha256"
            assert answer.headers["allow"] == methods
            assert "tus-resumable" not in answer.headers  # 3
    assert tus.browser.ask("OPTIONS", "/uploads/nowhere").status == 404


def test_3_every_answer_says_the_version_those_of_errors_too(tus: Tus) -> None:
    path = tus.create(SIZE)
    answers = {
        401: tus.post({"Upload-Length": "1"}, token="whf_wrong"),
        201: tus.post({"Upload-Length": "1"}),
        400: tus.post({}),
        413: Tus(tus.browser, "/uploads/small").post({"Upload-Length": "100001"}),
        404: tus.head("/uploads/files/" + "0" * 32),
        409: tus.patch(path, 1, b"x"),
        415: tus.patch(path, 0, b"x", {"Content-Type": "text/plain"}),
        204: tus.patch(path, 0, TEXT),
        200: tus.head(path),
    }
    assert {status: one.status for status, one in answers.items()} == {one: one for one in answers}
    assert {one.headers["tus-resumable"] for one in answers.values()} == {"1.0.0"}


@pytest.mark.parametrize("version", ["0.2.2", "1.0.1", "2.0.0", "", "1.0.0, 1.0.0"])
def test_4_another_version_is_412_and_nothing_is_done(tus: Tus, version: str) -> None:
    path = tus.create(SIZE)
    said = {"Tus-Resumable": version}
    ask = tus.browser.ask
    for answer in (
        ask("POST", "/uploads/files", headers={**said, "Upload-Length": "1"}),
        ask("HEAD", path, headers=said),
        ask("PATCH", path, TEXT, {**said, **BYTES, "Upload-Offset": "0"}),
        ask("DELETE", path, headers=said),
    ):
        assert (answer.status, answer.headers["tus-version"]) == (412, "1.0.0")
        assert answer.headers["tus-resumable"] == "1.0.0"
    assert tus.offset(path) == 0


def test_4_no_version_at_an_upload_is_412_too(tus: Tus) -> None:
    path = tus.create(SIZE)
    answer = tus.browser.ask("PATCH", path, TEXT, {**BYTES, "Upload-Offset": "0"})
    assert (answer.status, answer.code) == (412, "unsupported-version")
    assert (answer.headers["tus-version"], answer.headers["tus-resumable"]) == ("1.0.0", "1.0.0")
    assert answer.json()["supported"] == ["1.0.0"]
    assert tus.offset(path) == 0


def test_7_a_post_can_stand_for_another_method(tus: Tus) -> None:
    path = tus.create(SIZE)
    ask = tus.browser.ask
    fields = {**VERSION, **BYTES, "Upload-Offset": "0", "X-HTTP-Method-Override": "PATCH"}
    answer = ask("POST", path, TEXT[:10], fields)
    assert (answer.status, answer.headers["upload-offset"]) == (204, "10")
    answer = ask("POST", path, b"", {**VERSION, "X-HTTP-Method-Override": "HEAD"})
    assert (answer.status, answer.headers["upload-offset"]) == (200, "10")
    assert answer.body == b""
    missing = ask("POST", f"{path[:-1]}g", b"", {**VERSION, "X-HTTP-Method-Override": "HEAD"})
    assert missing.code == "not-found"  # a whole answer: the method on the wire is POST
    assert ask("POST", path, b"", {**VERSION, "X-HTTP-Method-Override": "delete"}).status == 204
    assert tus.head(path).status == 404


def test_7_what_is_safe_on_the_wire_changes_nothing(tus: Tus) -> None:
    path = tus.create(SIZE)
    answer = tus.browser.ask("GET", path, headers={**VERSION, "X-HTTP-Method-Override": "DELETE"})
    assert (answer.status, answer.code) == (400, "bad-request")
    assert tus.offset(path) == 0


def test_8_head_says_offset_and_length_and_is_never_stored(tus: Tus) -> None:
    path = tus.create(SIZE)
    for sent in (b"", TEXT[:7], TEXT[7:]):
        offset = tus.offset(path)
        assert tus.patch(path, offset, sent).status == 204
        answer = tus.head(path)
        assert answer.status == 200
        assert answer.headers["upload-offset"] == str(offset + len(sent))
        assert answer.headers["upload-length"] == str(SIZE)
        assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("name", ["0" * 32, "abc", "..", "%2e%2e", "A" * 32, "0" * 31])
def test_9_13_an_unknown_upload_is_404_and_has_no_offset(tus: Tus, name: str) -> None:
    for answer in (
        tus.head(f"/uploads/files/{name}"),
        tus.patch(f"/uploads/files/{name}", 0, b"x"),
        tus.delete(f"/uploads/files/{name}"),
    ):
        assert answer.status == 404
        assert "upload-offset" not in answer.headers


def test_9_an_upload_is_known_in_its_own_collection_alone(tus: Tus) -> None:
    path = tus.create(SIZE)
    assert tus.head(path.replace("/files/", "/small/")).status == 404
    assert tus.head(path).status == 200


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/octet-stream", "application/offset", ""]
)
def test_10_another_content_type_is_415(tus: Tus, kind: str) -> None:
    path = tus.create(SIZE)
    answer = tus.patch(path, 0, TEXT, {"Content-Type": kind})
    assert (answer.status, answer.code) == (415, "unsupported-content-type")
    assert tus.offset(path) == 0


def test_10_the_type_is_compared_as_a_type(tus: Tus) -> None:
    path = tus.create(SIZE)
    kind = "Application/Offset+Octet-Stream ; charset=binary"
    assert tus.patch(path, 0, TEXT, {"Content-Type": kind}).status == 204


def test_11_another_offset_is_409_and_changes_nothing(tus: Tus) -> None:
    path = tus.create(SIZE)
    assert tus.patch(path, 0, TEXT[:10]).status == 204
    for offset in (0, 9, 11, SIZE, SIZE + 1):
        answer = tus.patch(path, offset, b"x")
        assert (answer.status, answer.code) == (409, "offset-mismatch")
    missing = tus.browser.ask("PATCH", path, b"x", {**VERSION, **BYTES})
    assert missing.status == 400
    assert tus.offset(path) == 10


def test_12_14_one_request_or_several_bring_the_bytes(tus: Tus) -> None:
    for step in (SIZE, 13):
        path = tus.create(SIZE, Upload_Metadata=meta(filename="fox.txt", filetype="text/plain"))
        for start in range(0, SIZE, step):
            answer = tus.patch(path, start, TEXT[start : start + step])
            assert answer.status == 204
            assert answer.headers["upload-offset"] == str(min(start + step, SIZE))
            assert answer.body == b""
        assert tus.file(answer) == TEXT
        assert answer.headers["file-state"] == "ready"
        record = tus.browser.ask("GET", f"{answer.headers['content-location']}/info").json()
        assert (record["name"], record["type"], record["size"]) == ("fox.txt", "text/plain", SIZE)


def raw_patch(tus: Tus, path: str, offset: int, length: int) -> bytes:
    return (
        f"PATCH {path} HTTP/1.1\r\nHost: {tus.browser.host}\r\nTus-Resumable: 1.0.0\r\n"
        f"Authorization: Bearer {tus.browser.token}\r\nUpload-Offset: {offset}\r\n"
        f"Content-Type: application/offset+octet-stream\r\nContent-Length: {length}\r\n\r\n"
    ).encode()


def connect(tus: Tus) -> socket.socket:
    return socket.create_connection((tus.browser.host, tus.browser.port), timeout=20)


def test_15_16_what_came_before_the_connection_broke_is_kept(tus: Tus, wharf: Wharf) -> None:
    path = tus.create(1_000_000)
    with connect(tus) as sock:
        sock.sendall(raw_patch(tus, path, 0, 1_000_000) + bytes(300_000))
    # Looked at from inside: a HEAD would take the upload over while bytes are still read.
    upload_id = path.rpartition("/")[2]
    eventually(lambda: wharf.uploads.find(upload_id, None).offset == 300_000, "the bytes are kept")
    assert tus.offset(path) == 300_000
    assert tus.patch(path, 300_000, bytes(700_000)).status == 204


def test_12_more_than_the_length_is_413_and_the_bytes_up_to_it_are_kept(tus: Tus) -> None:
    path = tus.create(SIZE)
    answer = tus.patch(path, 0, TEXT + b"and more")
    assert (answer.status, answer.code) == (413, "too-large")
    answer = tus.head(path)
    assert answer.headers["upload-offset"] == str(SIZE)
    assert tus.file(answer) == TEXT


# --- creation -----------------------------------------------------------------------------


def test_20_21_30_a_creation_answers_where_the_upload_lies(tus: Tus) -> None:
    for path in ("/uploads/files", "/uploads/files/"):  # g
        answer = tus.browser.ask("POST", path, headers={**VERSION, "Upload-Length": "5"})
        assert answer.status == 201
        location = answer.headers["location"]
        assert location.startswith("/uploads/files/")  # relative: no proxy can break it
        assert len(location.rpartition("/")[2]) == 32
        assert tus.offset(location) == 0


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"Upload-Length": "5", "Upload-Defer-Length": "1"},
        {"Upload-Defer-Length": "0"},
        {"Upload-Defer-Length": "2"},
        {"Upload-Defer-Length": "true"},
        {"Upload-Length": "5", "Upload-Defer-Length": "0"},
    ],
    ids=str,
)
def test_21_22_a_creation_says_its_length_or_that_it_will(
    tus: Tus, fields: dict[str, str], tmp_path: Path
) -> None:
    assert tus.post(fields).status == 400
    assert blobs_on_disk(tmp_path / "data") == []


def test_23_24_a_length_can_follow_and_never_changes_then(tus: Tus) -> None:
    path = tus.create(None)
    first = tus.head(path)
    assert first.headers["upload-defer-length"] == "1"
    assert "upload-length" not in first.headers
    assert tus.patch(path, 0, TEXT[:5]).status == 204
    # With no byte of its own, too: it is kept.
    assert tus.patch(path, 5, b"", {"Upload-Length": str(SIZE)}).status == 204
    answer = tus.head(path)
    assert answer.headers["upload-length"] == str(SIZE)
    assert "upload-defer-length" not in answer.headers
    for other in (SIZE - 1, SIZE + 1):
        assert tus.patch(path, 5, b"x", {"Upload-Length": str(other)}).status in {400, 409}
    assert tus.head(path).headers["upload-length"] == str(SIZE)
    answer = tus.patch(path, 5, TEXT[5:], {"Upload-Length": str(SIZE)})
    assert tus.file(answer) == TEXT


def test_23_the_last_bytes_can_bring_the_length(tus: Tus) -> None:
    path = tus.create(None)
    answer = tus.patch(path, 0, TEXT, {"Upload-Length": str(SIZE)})
    assert answer.status == 204
    assert tus.file(answer) == TEXT


def test_25_an_empty_file_is_whole_when_it_is_created(tus: Tus) -> None:
    answer = tus.post({"Upload-Length": "0", "Upload-Metadata": meta(filename="empty.txt")})
    assert answer.status == 201
    assert tus.file(answer) == b""
    stands = tus.head(answer.headers["location"])
    assert (stands.headers["upload-offset"], stands.headers["upload-length"]) == ("0", "0")


@pytest.mark.parametrize(
    "sent",
    [
        "filename Zm94LnR4dA==,unknown aGk=",
        "filename Zm94LnR4dA==, flag",
        "flag,other ",
        "a AAECAw==",
        "relativePath bnVsbA==,name Zm94LnR4dA==,type dGV4dC9wbGFpbg==,filetype dGV4dC9wbGFpbg==",
    ],
    ids=["unknown key", "no value", "empty value", "bytes", "as Uppy sends it"],
)
def test_26_28_metadata_comes_back_as_it_was_sent(tus: Tus, sent: str) -> None:
    path = tus.create(SIZE, Upload_Metadata=sent)
    assert tus.head(path).headers["upload-metadata"] == sent.strip()


def test_f_empty_metadata_is_none(tus: Tus) -> None:
    path = tus.create(SIZE, Upload_Metadata="")
    assert "upload-metadata" not in tus.head(path).headers


@pytest.mark.parametrize(
    "sent",
    [
        "filename not-base64",
        "a YQ==,a YQ==",
        ",",
        "a YQ==,,b YQ==",
        "é YQ==",
        "a Y",
        "filename /w==",
    ],
)
def test_26_27_malformed_metadata_is_400(tus: Tus, sent: str) -> None:
    assert tus.post({"Upload-Length": "5", "Upload-Metadata": sent}).status == 400


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("../../etc/passwd", 422, "name-rejected"),
        ("a\r\nSet-Cookie: b=c.txt", 422, "name-rejected"),
        ("a\x00.png", 422, "name-rejected"),
        ("page.html", 415, "type-not-allowed"),
    ],
)
def test_27_a_name_is_judged_before_a_byte_is_asked_for(
    tus: Tus, tmp_path: Path, name: str, status: int, code: str
) -> None:
    answer = Tus(tus.browser, "/uploads/images").post(
        {"Upload-Length": "5", "Upload-Metadata": meta(filename=name)}
    )
    assert (answer.status, answer.code) == (status, code)
    assert blobs_on_disk(tmp_path / "data") == []


def test_29_a_length_over_the_limit_is_413_whenever_it_comes(tus: Tus) -> None:
    small = Tus(tus.browser, "/uploads/small")
    assert small.post({"Upload-Length": "100001"}).status == 413
    path = small.create(None)
    answer = small.patch(path, 0, b"text", {"Upload-Length": "100001"})
    assert (answer.status, answer.code) == (413, "too-large")
    assert small.patch(path, 0, bytes(100_001)).status == 413  # and before the bytes are asked for
    assert small.offset(path) == 0


def chunked(path: str, tus: Tus, offset: int, body: bytes, step: int) -> bytes:
    head = raw_patch(tus, path, offset, 0).replace(
        b"Content-Length: 0", b"Connection: close\r\nTransfer-Encoding: chunked"
    )
    pieces = [body[start : start + step] for start in range(0, len(body), step)]
    return head + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in pieces) + b"0\r\n\r\n"


def test_29_an_undeclared_length_is_cut_off_at_the_limit(tus: Tus) -> None:
    small = Tus(tus.browser, "/uploads/small")
    path = small.create(None)
    answer = tus.browser.raw(chunked(path, tus, 0, bytes(150_000), 10_000))
    assert answer.split(b" ", 2)[1] in {b"413", b"411"}  # 411: Werkzeug's server tells no end
    if b" 413 " in answer[:20]:
        assert small.head(path).status == 413  # it was refused, and says so


def test_e_bytes_may_come_in_chunks_without_a_length(tus: Tus, shell: str) -> None:
    path = tus.create(SIZE)
    answer = tus.browser.raw(chunked(path, tus, 0, TEXT, 7))
    if shell == "flask":  # Werkzeug's own server tells where it ends; others may not
        assert answer.split(b" ", 2)[1] in {b"204", b"411"}
    else:
        assert answer.startswith(b"HTTP/1.1 204")
        assert tus.offset(path) == SIZE


# --- creation-with-upload -----------------------------------------------------------------


def test_32_33_34_the_bytes_may_come_with_the_creation(tus: Tus) -> None:
    part = tus.post({"Upload-Length": str(SIZE)}, TEXT[:10])
    assert (part.status, part.headers["upload-offset"]) == (201, "10")
    assert tus.offset(part.headers["location"]) == 10
    whole = tus.post({"Upload-Length": str(SIZE)}, TEXT)
    assert (whole.status, whole.headers["upload-offset"]) == (201, str(SIZE))
    assert tus.file(whole) == TEXT
    assert tus.offset(whole.headers["location"]) == SIZE


def test_33_other_content_or_too_much_with_a_creation_is_refused(tus: Tus, tmp_path: Path) -> None:
    fields = {"Upload-Length": str(SIZE), "Content-Type": "text/plain"}
    assert tus.post(fields, TEXT).status == 415
    assert tus.post({"Upload-Length": "5"}, TEXT).status == 413
    wrong = {"Upload-Length": str(SIZE), "Upload-Checksum": digest("sha1", b"other")}
    assert tus.post(wrong, TEXT).status == 460
    assert blobs_on_disk(tmp_path / "data") == []  # nobody was told where they lie


# --- expiration ---------------------------------------------------------------------------


def test_35_36_37_an_upload_says_until_when_it_waits_and_is_gone_then(
    alone: tuple[Tus, Wharf, Clock],
) -> None:
    tus, _, clock = alone
    created = tus.post({"Upload-Length": str(SIZE)})
    path = created.headers["location"]
    assert created.headers["upload-expires"] == "Mon, 02 Mar 2026 12:00:00 GMT"
    clock.forward(3600)
    answer = tus.patch(path, 0, TEXT[:5])
    assert answer.headers["upload-expires"] == "Mon, 02 Mar 2026 13:00:00 GMT"
    assert tus.head(path).headers["upload-expires"] == "Mon, 02 Mar 2026 13:00:00 GMT"
    clock.forward(86_400)
    for gone in (tus.head(path), tus.patch(path, 5, TEXT[5:])):
        assert gone.status == 404
        assert "upload-offset" not in gone.headers


def test_36_what_became_a_file_does_not_wait(tus: Tus) -> None:
    path = tus.create(SIZE)
    assert "upload-expires" not in tus.patch(path, 0, TEXT).headers


def test_36_every_answer_to_a_patch_has_a_date(tus: Tus) -> None:
    path = tus.create(SIZE)
    expires = parsedate_to_datetime(tus.patch(path, 0, b"T").headers["upload-expires"])
    assert timedelta(hours=23) < expires - datetime.now(UTC) <= timedelta(days=1)


# --- checksum -----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["sha1", "sha256"])
def test_38_39_40_bytes_with_the_right_checksum_count(tus: Tus, name: str) -> None:
    path = tus.create(SIZE)
    for start, end in ((0, 20), (20, SIZE)):
        piece = TEXT[start:end]
        answer = tus.patch(path, start, piece, {"Upload-Checksum": digest(name, piece)})
        assert (answer.status, answer.headers["upload-offset"]) == (204, str(end))
    assert tus.file(answer) == TEXT


def test_40_41_a_mismatch_is_460_and_the_bytes_do_not_count(tus: Tus) -> None:
    path = tus.create(SIZE)
    assert tus.patch(path, 0, TEXT[:5]).status == 204
    answer = tus.patch(path, 5, TEXT[5:], {"Upload-Checksum": digest("sha1", b"other")})
    assert (answer.status, answer.code) == (460, "checksum-mismatch")
    assert tus.offset(path) == 5
    right = {"Upload-Checksum": digest("sha1", TEXT[5:])}
    assert tus.file(tus.patch(path, 5, TEXT[5:], right)) == TEXT


def test_41_bytes_that_changed_on_the_way_never_refuse_the_upload(tus: Tus) -> None:
    images = Tus(tus.browser, "/uploads/images")
    path = images.create(20_000)
    sent = {"Upload-Checksum": digest("sha256", b"what was meant")}
    assert images.patch(path, 0, b"MZ" + bytes(19_998), sent).status == 460
    assert images.offset(path) == 0


@pytest.mark.parametrize(
    "value",
    ["md5 1B2M2Y8AsgTpgAmY7PhCfg==", "sha1", "sha1 ", "sha1 !!!!", "sha1 AAAA", "SHA1 AAAA", ""],
)
def test_40_41_an_unknown_algorithm_or_no_digest_is_400(tus: Tus, value: str) -> None:
    path = tus.create(SIZE)
    assert tus.patch(path, 0, TEXT, {"Upload-Checksum": value}).status == 400
    assert tus.offset(path) == 0


def test_16_41_checksummed_bytes_that_were_cut_off_do_not_count(tus: Tus) -> None:
    path = tus.create(1_000_000)
    whole = bytes(1_000_000)
    checksum = f"Upload-Checksum: {digest('sha1', whole)}\r\n\r\n".encode()
    head = raw_patch(tus, path, 0, len(whole))[:-2] + checksum
    with connect(tus) as sock:
        sock.sendall(head + whole[:700_000])
        time.sleep(0.3)  # longer than bytes are gathered for: some are staged
        assert tus.offset(path) == 0  # for whoever takes over, too
    assert tus.offset(path) == 0
    sent = {"Upload-Checksum": digest("sha1", whole)}
    assert tus.patch(path, 0, whole, sent).headers["upload-offset"] == "1000000"


# --- termination --------------------------------------------------------------------------


def test_43_an_upload_that_is_given_up_is_gone(tus: Tus, tmp_path: Path) -> None:
    path = tus.create(SIZE)
    assert tus.patch(path, 0, TEXT[:5]).status == 204
    answer = tus.delete(path)
    assert (answer.status, answer.body) == (204, b"")
    for gone in (tus.head(path), tus.patch(path, 5, b"x"), tus.delete(path)):
        assert gone.status == 404
    assert blobs_on_disk(tmp_path / "data") == []


def test_43_i_a_finished_upload_can_be_forgotten_and_its_file_stays(tus: Tus) -> None:
    path = tus.create(SIZE)
    done = tus.patch(path, 0, TEXT)
    assert tus.browser.ask("GET", path).body == TEXT
    assert tus.delete(path).status == 204
    assert tus.head(path).status == 404
    assert tus.browser.ask("GET", path).status == 404
    assert tus.file(done) == TEXT


# --- concatenation ------------------------------------------------------------------------


def partial(tus: Tus, content: bytes) -> str:
    path = tus.create(len(content), Upload_Concat="partial", Upload_Metadata=meta(filename="no"))
    assert tus.patch(path, 0, content).status == 204
    return path


def final(tus: Tus, *paths: str, **more: str) -> Answered:
    fields = {"Upload-Concat": f"final;{' '.join(paths)}"}
    fields |= {name.replace("_", "-"): value for name, value in more.items()}
    return tus.post(fields)


def test_44_45_46_parts_become_one_file_in_their_order(tus: Tus, tmp_path: Path) -> None:
    first, second = partial(tus, TEXT[:20]), partial(tus, TEXT[20:])
    listed = tus.browser.ask("GET", "/files").json()["files"]
    assert listed == []  # 47: they are never files of their own
    answer = final(tus, first, second, Upload_Metadata=meta(filename="fox.txt"))
    assert answer.status == 201
    assert tus.file(answer) == TEXT
    (record,) = tus.browser.ask("GET", "/files").json()["files"]
    assert record["name"] == "fox.txt"  # 48
    head = tus.head(answer.headers["location"])
    assert head.headers["upload-length"] == head.headers["upload-offset"] == str(SIZE)  # 51
    assert head.headers["upload-concat"] == f"final;{first} {second}"
    assert head.headers["upload-metadata"] == meta(filename="fox.txt")
    assert len(blobs_on_disk(tmp_path / "data")) == 1


@pytest.mark.parametrize("form", ["absolute", "behind a proxy", "bare"])
def test_45_addresses_are_absolute_or_relative(tus: Tus, form: str) -> None:
    parts = [partial(tus, b"one "), partial(tus, b"two")]
    written = {
        "absolute": [f"{tus.browser.url}{path}" for path in parts],
        "behind a proxy": [f"https://files.example/storage{path}" for path in parts],
        "bare": [path.rpartition("/")[2] for path in parts],
    }[form]
    assert tus.file(final(tus, *written)) == b"one two"


def test_46_the_length_of_a_final_upload_is_not_sent(tus: Tus) -> None:
    part = partial(tus, TEXT)
    assert final(tus, part, Upload_Length=str(SIZE)).status == 400
    assert final(tus, part, Upload_Defer_Length="1").status == 400


def test_47_a_part_is_not_judged_on_its_own_but_the_whole_is(tus: Tus) -> None:
    images = Tus(tus.browser, "/uploads/images")
    parts = [partial(images, TEXT[:20]), partial(images, TEXT[20:])]
    answer = final(images, *parts, Upload_Metadata=meta(filename="fox.png"))
    assert answer.status == 415
    assert tus.browser.ask("GET", "/files").json()["files"] == []
    assert images.offset(parts[0]) == 20  # the parts can become something else


def test_47_a_part_is_not_larger_than_a_file_may_be(tus: Tus) -> None:
    small = Tus(tus.browser, "/uploads/small")
    assert small.post({"Upload-Length": "100001", "Upload-Concat": "partial"}).status == 413
    parts = [partial(small, bytes(60_000)) for _ in range(2)]
    assert final(small, *parts).status == 413


def test_49_a_part_can_come_twice(tus: Tus) -> None:
    one, two = partial(tus, b"one "), partial(tus, b"two ")
    assert tus.file(final(tus, one, two, one)) == b"one two one "


def test_49_a_part_that_comes_twice_needs_room_twice(tmp_path: Path, shell: str) -> None:
    place = Collection(name="files", policy=Policy.anything(), quotas=Quotas(whole=Quota(bytes=10)))
    with (
        make_wharf(tmp_path / "data", collections=[place]) as wharf,
        running(shell, wharf) as url,
    ):
        tus = Tus(Browser(url, token(wharf)))
        part = partial(tus, b"four")
        answer = final(tus, part, part, part)
        assert (answer.status, answer.code) == (413, "quota-exceeded")
        assert len(blobs_on_disk(tmp_path / "data")) == 1, "no byte was copied"
        assert tus.file(final(tus, part, part)) == b"fourfour"


def test_49_a_final_upload_whose_answer_was_lost_is_answered_again(tus: Tus) -> None:
    parts = [partial(tus, b"one "), partial(tus, b"two")]
    answers = [final(tus, *parts) for _ in range(2)]
    assert answers[0].headers == {**answers[1].headers, "date": answers[0].headers["date"]}
    assert len(tus.browser.ask("GET", "/files").json()["files"]) == 1
    assert tus.offset(parts[0]) == 4  # a client that resumes asks for them first
    assert tus.patch(parts[0], 4, b"").status == 204
    assert final(tus, *reversed(parts)).status == 410


def test_50_a_final_upload_takes_no_bytes(tus: Tus) -> None:
    made = final(tus, partial(tus, TEXT)).headers["location"]
    answer = tus.patch(made, SIZE, b"more")
    assert (answer.status, answer.code) == (403, "forbidden")
    assert tus.offset(made) == SIZE


def test_51_a_part_says_that_it_is_one(tus: Tus) -> None:
    path = tus.create(SIZE, Upload_Concat="partial")
    answer = tus.head(path)
    assert (answer.headers["upload-concat"], answer.headers["upload-offset"]) == ("partial", "0")
    assert answer.headers["upload-length"] == str(SIZE)


def test_44_parts_that_are_not_whole_not_parts_or_not_ours_are_refused(
    tus: Tus, wharf: Wharf
) -> None:
    whole = partial(tus, TEXT)
    begun = tus.create(SIZE, Upload_Concat="partial")
    plain = tus.create(SIZE)
    other = Tus(Browser(tus.browser.url, token(wharf)))
    foreign = partial(other, TEXT)
    elsewhere = partial(Tus(tus.browser, "/uploads/small"), TEXT)
    for path, status in (
        (begun, 400), (plain, 400), (foreign, 404), (elsewhere, 404), ("/etc/passwd", 404),
        (f"/files/{whole.rpartition('/')[2]}", 404), ("http://[", 404), ("", 400),
    ):  # fmt: skip
        paths = (whole, path) if path else ()
        assert final(tus, *paths).status == status, path
    for concat in ("final", "Partial", "final;", "partial;x", ""):
        assert tus.post({"Upload-Concat": concat, "Upload-Length": "5"}).status == 400, concat
    assert tus.offset(whole) == SIZE
    assert tus.browser.ask("GET", "/files").json()["files"] == []


# --- what became of it --------------------------------------------------------------------


def test_d_a_refused_upload_never_looks_like_a_success(tus: Tus) -> None:
    images = Tus(tus.browser, "/uploads/images")
    path = images.create(SIZE, Upload_Metadata=meta(filename="me.png", filetype="image/png"))
    refused = images.patch(path, 0, TEXT)
    assert (refused.status, refused.code) == (415, "content-mismatch")
    for _ in range(2):
        head = images.head(path)
        assert head.status == 415
        assert "upload-offset" not in head.headers
        again = images.patch(path, SIZE, b"")
        assert again.json() == refused.json()
        assert images.browser.ask("GET", path).json() == refused.json()
    assert images.delete(path).status == 204
    assert tus.browser.ask("GET", "/files").json()["files"] == []


class Finding:
    """A scanner that finds what it is told to."""

    verdict: Clean | Infected = Infected("Eicar")

    def scan(self, _file: object, _size: int) -> Clean | Infected:
        return self.verdict


def test_d_what_a_scanner_finds_is_the_answer_to_the_last_byte(tmp_path: Path, shell: str) -> None:
    with (
        make_wharf(tmp_path / "data", scanner=Finding()) as wharf,
        running(shell, wharf) as url,
    ):
        tus = Tus(Browser(url, token(wharf)))
        path = tus.create(SIZE)
        assert tus.patch(path, 0, TEXT[:5]).status == 204
        answer = tus.patch(path, 5, TEXT[5:])
        assert (answer.status, answer.code) == (422, "infected")
        assert tus.head(path).status == 422
        assert tus.post({"Upload-Length": str(SIZE)}, TEXT).status == 422


def test_d_an_upload_that_was_whole_when_its_server_died_is_completed_by_asking(
    tmp_path: Path, shell: str
) -> None:
    with make_wharf(tmp_path / "data") as wharf, running(shell, wharf) as url:
        tus = Tus(Browser(url, token(wharf)))
        path = tus.create(SIZE)
        # Every byte is committed and nothing more was done: so it is after a kill.
        with wharf.uploads.take(path.rpartition("/")[2]) as turn:
            turn.write(TEXT)
            turn.keep()
        answer = tus.head(path)
        assert (answer.status, answer.headers["upload-offset"]) == (200, str(SIZE))
        assert tus.file(answer) == TEXT


def test_a_client_that_lost_the_last_answer_gets_it_again(tus: Tus) -> None:
    path = tus.create(SIZE)
    done = tus.patch(path, 0, TEXT)
    again = tus.patch(path, SIZE, b"")
    assert (again.status, again.headers["upload-offset"]) == (204, str(SIZE))
    assert again.headers["content-location"] == done.headers["content-location"]
    assert tus.patch(path, 0, TEXT).status == 409  # and then it asks by HEAD
    assert tus.patch(path, SIZE, b"more").status == 413
    head = tus.head(path)
    assert head.headers["content-location"] == done.headers["content-location"]
    assert head.headers["file-state"] == "ready"
    assert len(tus.browser.ask("GET", "/files").json()["files"]) == 1


def test_an_upload_whose_file_was_removed_is_not_said_to_be_there(tus: Tus) -> None:
    path = tus.create(SIZE)
    done = tus.patch(path, 0, TEXT)
    assert tus.browser.ask("DELETE", done.headers["content-location"]).status == 204
    assert tus.head(path).status == 410
    assert tus.patch(path, SIZE, b"").status == 410


def test_i_get_delivers_the_file_to_whoever_may_read_it(tus: Tus, wharf: Wharf) -> None:
    path = tus.create(SIZE, Upload_Metadata=meta(filename="fox.txt"))
    waiting = tus.browser.ask("GET", path)
    assert (waiting.status, waiting.code) == (409, "not-ready")
    assert tus.patch(path, 0, TEXT).status == 204
    assert tus.browser.ask("GET", path).body == TEXT
    part = tus.browser.ask("GET", path, headers={"Range": "bytes=4-8"})
    assert (part.status, part.body) == (206, TEXT[4:9])
    assert tus.browser.ask("GET", path, token=token(wharf)).status == 404
    assert tus.browser.ask("GET", path, token="").status == 401
    public = Tus(tus.browser, "/uploads/public")
    shown = public.create(SIZE)
    assert public.patch(shown, 0, TEXT).status == 204
    assert tus.browser.ask("GET", shown, token="").body == TEXT


def test_19_an_upload_is_bound_to_its_owner(tus: Tus, wharf: Wharf) -> None:
    path = tus.create(SIZE)
    assert tus.patch(path, 0, TEXT[:5]).status == 204
    other = token(wharf)
    for answer in (
        tus.head(path, token=other),
        tus.patch(path, 5, TEXT[5:], token=other),
        tus.delete(path, token=other),
    ):
        assert answer.status == 404
    assert tus.offset(path) == 5


def test_rights_are_asked_for_again_when_the_last_byte_is_there(
    tus: Tus, wharf: Wharf, shell: str
) -> None:
    made, secret = wharf.tokens.create("short", ["write"])
    mine = Tus(Browser(tus.browser.url, secret))
    path = mine.create(SIZE)
    with connect(mine) as sock:
        sock.sendall(raw_patch(mine, path, 0, SIZE) + TEXT[:10])
        time.sleep(0.3)
        wharf.tokens.revoke(made.id)
        sock.sendall(TEXT[10:])
        answer = sock.recv(65536)
    assert b" 401 " in answer.split(b"\r\n")[0], answer
    assert wharf.list_files()[0] == []


# --- taken over ---------------------------------------------------------------------------


def test_a_request_that_hangs_is_taken_over_within_two_seconds(tus: Tus) -> None:
    size = 200_000
    content = bytes(range(256)) * (size // 256 + 1)
    content = content[:size]
    path = tus.create(size)
    with connect(tus) as older:
        older.sendall(raw_patch(tus, path, 0, size) + content[:100_000])
        time.sleep(0.3)
        began = time.monotonic()
        stands = tus.offset(path)
        answer = tus.patch(path, stands, content[stands:])
        took = time.monotonic() - began
        assert answer.status == 204
        assert took < 2
        older.sendall(b"x" * 100_000)
        first = older.recv(65536)
        assert first.startswith((b"HTTP/1.1 409", b"HTTP/1.0 409")), first
    assert tus.file(answer) == content


# --- clients and pages --------------------------------------------------------------------


def test_a_what_passes_is_never_an_error_that_makes_clients_give_up(tmp_path: Path) -> None:
    """tus-js-client throws its upload away after a 4xx that is neither 409 nor 423."""
    limits = LimitSettings.from_mapping({"requests_per_token": "2/minute"})
    with (
        make_wharf(tmp_path / "data", limits=limits) as wharf,
        running("server", wharf) as url,
    ):
        tus = Tus(Browser(url, token(wharf)))
        path = tus.create(SIZE)
        assert tus.head(path).status == 200
        refused = tus.head(path)
        assert refused.status == 423
        assert int(refused.headers["retry-after"]) > 0
        plain = tus.browser.ask("GET", "/files")
        assert plain.status == 429


def test_h_pages_of_other_origins_can_read_all_of_it(tmp_path: Path, shell: str) -> None:
    from dataclasses import replace

    with make_wharf(tmp_path / "data") as plain:
        settings = replace(plain.settings, cors_origins=("https://app.example",))
    with Wharf(settings) as wharf, running(shell, wharf) as url:
        browser = Browser(url, token(wharf))
        origin = {"Origin": "https://app.example"}
        for path in ("/uploads/files", "/uploads/files/" + "0" * 32, "/uploads/nowhere"):
            answer = browser.ask(
                "OPTIONS", path, headers={**origin, "Access-Control-Request-Method": "PATCH"}, token="",
            )  # fmt: skip
            assert answer.status == 204
            assert answer.headers["access-control-allow-origin"] == "https://app.example"
            assert "PATCH" in answer.headers["access-control-allow-methods"]
            allowed = answer.headers["access-control-allow-headers"].lower()
            for name in (
                "authorization", "tus-resumable", "upload-length", "upload-offset",
                "upload-metadata", "upload-defer-length", "upload-concat", "upload-checksum",
                "content-type", "x-http-method-override", "x-request-id",
            ):  # fmt: skip
                assert name in allowed
        answer = browser.ask(
            "POST", "/uploads/files", b"", {**origin, **VERSION, "Upload-Length": "5"}
        )
        shown = answer.headers["access-control-expose-headers"].lower()
        for name in (
            "location", "content-location", "file-state", "tus-resumable", "tus-version",
            "tus-extension", "tus-max-size", "tus-checksum-algorithm", "upload-offset",
            "upload-length", "upload-metadata", "upload-expires", "upload-concat",
            "upload-defer-length",
        ):  # fmt: skip
            assert name in shown


def test_expect_is_answered_by_the_head_alone(tus: Tus, shell: str) -> None:
    if shell != "server":
        pytest.skip("the host server answers Expect before the application sees the request")
    path = tus.create(SIZE)
    wrong = raw_patch(tus, path, 7, SIZE)[:-2] + b"Expect: 100-continue\r\n\r\n"
    with connect(tus) as sock:
        sock.sendall(wrong)
        assert sock.recv(65536).startswith(b"HTTP/1.1 409")
    right = raw_patch(tus, path, 0, SIZE)[:-2] + b"Expect: 100-continue\r\n\r\n"
    with connect(tus) as sock:
        sock.sendall(right)
        assert sock.recv(65536).startswith(b"HTTP/1.1 100")
        sock.sendall(TEXT)
        assert sock.recv(65536).startswith(b"HTTP/1.1 204")


def test_a_content_coding_is_refused(tus: Tus) -> None:
    path = tus.create(SIZE)
    assert tus.patch(path, 0, TEXT, {"Content-Encoding": "gzip"}).code == "unsupported-encoding"


def test_a_transfer_coding_is_refused(tus: Tus, wharf: Wharf) -> None:
    path = tus.create(SIZE)
    coded = raw_patch(tus, path, 0, 0).replace(
        b"Content-Length: 0", b"Transfer-Encoding: gzip, chunked"
    )
    with connect(tus) as sock:
        sock.sendall(coded + b"3\r\nabc\r\n0\r\n\r\n")
        assert sock.recv(65536)[9:10] in {b"4", b"5"}
    assert wharf.uploads.find(path.rpartition("/")[2], None).offset == 0


def test_a_head_that_is_overtaken_is_423(
    tus: Tus, wharf: Wharf, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a 409 to HEAD, tus-js-client forgets the upload (1.x b)."""
    path = tus.create(SIZE)

    def overtaken(*_: object) -> None:
        raise UploadTakenOver("A newer request goes on with this upload.")

    monkeypatch.setattr(wharf.uploads, "take", overtaken)
    assert tus.head(path).status == 423
