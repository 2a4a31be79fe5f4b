"""Resumable uploads to peers of raw bytes, honest and not. The numbers are those of our checklist."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from support.peer import Exchange, Peer, response
from support.waiting import soon
from wharfinger import Client, Policy, Reply
from wharfinger.client import resumable, resumable_sender
from wharfinger.errors import (
    BadResponse,
    Interrupted,
    Rejected,
    ResponseError,
    TooLarge,
    TransferError,
    UsageError,
)

MIB = 1024 * 1024
KIB = 1024
# Large for these tests: so small that no request asks before its body is sent.
UNIT = 100 * KIB
VERSION = {"Upload-Draft-Interop-Version": "8"}
HERE = "/uploads/1"


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(resumable, "WHOLE", UNIT)
    monkeypatch.setattr(resumable_sender, "WHOLE", UNIT)
    return tmp_path / "state" / "wharfinger"


def put(file: Any, url: str, *, retries: int = 0, **options: Any) -> Reply:
    options.setdefault("protocol", "resumable")
    with Client(allow_private=True, retries=retries, timeout=5, sleep=lambda _: None) as client:
        return client.upload(file, f"{url}/uploads", **options)


def answer(status: str, **fields: str) -> bytes:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return response(status=status, fields={"Connection": "close", **named})


def interim(location: str | None = HERE, version: str | None = "8") -> bytes:
    lines = "" if location is None else f"Location: {location}\r\n"
    lines += "" if version is None else f"Upload-Draft-Interop-Version: {version}\r\n"
    return f"HTTP/1.1 104 Upload Resumption Supported\r\n{lines}\r\n".encode()


CREATED = answer("201 Created", Location=HERE, Upload_Complete="?0", Upload_Offset="0")
DONE = answer("201 Created", Location="/files/1", Upload_Complete="?1")
OFFERED = answer("204 No Content", Upload_Limit="min-size=0").replace(b"Content-Length: 0\r\n", b"")
Step = bytes | Callable[[Exchange], None]


def script(*steps: Step) -> Peer:
    """Return a peer that answers the first request by the first step and so on."""

    def handler(exchange: Exchange) -> None:
        assert exchange.number < len(steps), f"nobody expected {exchange.line}"
        step = steps[exchange.number]
        if isinstance(step, bytes):
            exchange.send(step)
        else:
            step(exchange)

    return Peer(handler)


def lines(peer: Peer) -> list[str]:
    return [exchange.line.removesuffix(" HTTP/1.1") for exchange in peer.exchanges]


def reset_after(*said: bytes) -> Callable[[Exchange], None]:
    def step(exchange: Exchange) -> None:
        for one in said:
            exchange.send(one)
        exchange.sock.shutdown(2)

    return step


def stands(offset: int, **more: str) -> bytes:
    fields = {"Connection": "close", "Upload-Complete": "?0", "Upload-Offset": str(offset), **more}
    return response(status="200 OK", fields=fields, length=0)


# --- creation -----------------------------------------------------------------------------


def test_rules_17_18_28_a_small_file_is_one_request_that_says_all(tmp_path: Path) -> None:
    file = tmp_path / "ü.txt"
    file.write_text("words")
    with script(DONE) as peer:
        reply = put(file, peer.url, digest=True)
    assert reply.url == f"{peer.url}/files/1"
    sent = peer.last.headers
    assert peer.last.body == b"words"
    assert sent["upload-complete"] == "?1"
    assert sent["upload-length"] == sent["content-length"] == "5"
    assert sent["upload-draft-interop-version"] == "8"
    assert sent["content-type"] == "text/plain"
    assert sent["content-disposition"].startswith("inline; filename=")
    assert (
        sent["repr-digest"] == "sha-256=:26Nr/6XKsPki0IejrrF5+dTnRd9AsyPhsUcUAoSMij4=:"
    )  # by openssl


def test_a_server_that_does_not_speak_it_gets_an_ordinary_upload() -> None:
    with script(answer("200 OK")) as peer:
        assert put(b"words", peer.url).status == 200
    with script(answer("405 Method Not Allowed"), answer("200 OK")) as peer:
        assert put(bytes(5 * UNIT), peer.url).status == 200
        assert peer.last.headers["upload-complete"] == "?1"
        assert len(peer.last.body) == 5 * UNIT


def test_rules_21_and_35_a_large_file_is_begun_empty_and_then_sent() -> None:
    with script(OFFERED, CREATED, DONE) as peer:
        put(bytes(5 * UNIT), peer.url)
    assert lines(peer) == ["OPTIONS /uploads", "POST /uploads", f"PATCH {HERE}"]
    begun, sent = peer.exchanges[1].headers, peer.exchanges[2].headers
    assert (begun["upload-complete"], begun["content-length"]) == ("?0", "0")
    assert begun["upload-length"] == str(5 * UNIT)
    assert sent["content-type"] == "application/partial-upload"
    assert (sent["upload-offset"], sent["upload-complete"]) == ("0", "?1")


ORDERED = bytes(range(256)) * 2000
# By openssl: of all of it, and of its first 300 KiB and the rest.
WHOLE_DIGEST = "sha-256=:is/KvTi1EtVgWrsNUdZ/mfL4U48v5rDChzIoDDIMS6g=:"
DIGESTS = (
    "sha-256=:p9iIFSHLseSlypYBmMeQe0ViWznTp6hjaPyLTsrQEBQ=:",
    "sha-256=:jGYn4lv73vK7pavAMSPqjptg2JL38YCoubUHn7MjPFQ=:",
)


def appended(offset: int) -> bytes:
    said = answer("204 No Content", Upload_Complete="?0", Upload_Offset=str(offset))
    return said.replace(b"Content-Length: 0\r\n", b"")


def test_rule_50_each_append_has_the_digest_of_its_own_content() -> None:
    with script(OFFERED, CREATED, appended(300 * KIB), DONE) as peer:
        put(ORDERED, peer.url, digest=True, chunk_size=300 * KIB)
    begun, first, last = (exchange.headers for exchange in peer.exchanges[1:])
    assert begun["repr-digest"] == WHOLE_DIGEST
    assert "content-digest" not in begun
    assert (first["content-digest"], last["content-digest"]) == DIGESTS
    assert len(peer.exchanges[2].body) == 300 * KIB


def test_without_a_wish_for_digests_an_append_has_none() -> None:
    with script(OFFERED, CREATED, DONE) as peer:
        put(ORDERED, peer.url)
    assert "content-digest" not in peer.last.headers


def test_with_digests_a_request_is_no_larger_than_may_be_lost() -> None:
    size = 9 * MIB
    with script(OFFERED, CREATED, appended(8 * MIB), DONE) as peer:
        put(bytes(size), peer.url, digest=True)
    assert [len(exchange.body) for exchange in peer.exchanges[2:]] == [8 * MIB, 1 * MIB]


def test_rule_50_what_was_damaged_on_the_way_is_sent_once_more() -> None:
    damaged = answer("400 Bad Request", Upload_Complete="?0", Upload_Offset="0")
    with script(OFFERED, CREATED, damaged, stands(0), DONE) as peer:
        put(ORDERED, peer.url, digest=True, retries=1)
    assert lines(peer)[2:] == [f"PATCH {HERE}", f"HEAD {HERE}", f"PATCH {HERE}"]
    assert peer.last.body == ORDERED
    with (
        script(OFFERED, CREATED, damaged, stands(0), damaged) as peer,
        pytest.raises(ResponseError) as refusal,
    ):
        put(ORDERED, peer.url, digest=True, retries=1)
    assert refusal.value.status == 400
    with script(OFFERED, CREATED, damaged) as peer, pytest.raises(ResponseError):
        put(ORDERED, peer.url, retries=1)  # without a digest it is another reason


def test_rule_30_a_creation_that_broke_goes_on_where_the_interim_answer_said() -> None:
    with script(reset_after(interim()), stands(3), DONE) as peer:
        put(b"abcdef", peer.url, retries=1)
    assert lines(peer) == ["POST /uploads", f"HEAD {HERE}", f"PATCH {HERE}"]
    assert peer.last.body == b"def"
    assert peer.last.headers["upload-offset"] == "3"
    assert peer.exchanges[1].headers["upload-draft-interop-version"] == "8"


@pytest.mark.parametrize("version", [None, "6", "9", "?1"])
def test_an_interim_answer_in_another_version_does_not_count(version: str | None) -> None:
    with script(reset_after(interim(version=version))) as peer, pytest.raises(Interrupted):
        put(b"abcdef", peer.url, retries=3)
    assert lines(peer) == ["POST /uploads"], "what may have been stored is not sent twice"


def test_what_may_have_been_stored_is_sent_again_with_a_key() -> None:
    with script(reset_after(), DONE) as peer:
        put(b"abcdef", peer.url, retries=1, idempotency_key="k")
    assert [exchange.headers["idempotency-key"] for exchange in peer.exchanges] == ["k", "k"]


def test_rule_23_an_address_that_changes_is_not_believed() -> None:
    with (
        script(interim() + interim("/uploads/2") + DONE) as peer,
        pytest.raises(BadResponse, match="two addresses"),
    ):
        put(b"abc", peer.url)
    final = answer("201 Created", Location="/uploads/2", Upload_Complete="?0")
    with (
        script(interim() + final, answer("204 No Content")) as peer,
        pytest.raises(BadResponse, match="two addresses"),
    ):
        put(b"abc", peer.url)
    assert lines(peer) == ["POST /uploads", f"DELETE {HERE}"]


@pytest.mark.parametrize("locations", [[], ["/a", "/b"]])
def test_rule_21_a_creation_without_one_address_is_no_creation(locations: list[str]) -> None:
    head = "".join(f"Location: {one}\r\n" for one in locations)
    said = f"HTTP/1.1 201 Created\r\nUpload-Complete: ?0\r\nContent-Length: 0\r\n{head}\r\n"
    with script(OFFERED, said.encode()) as peer, pytest.raises(BadResponse, match="where"):
        put(bytes(5 * UNIT), peer.url)


def test_a_flood_of_interim_answers_ends() -> None:
    with script(interim(None) * 11_000 + DONE) as peer, pytest.raises(BadResponse, match="interim"):
        put(b"abc", peer.url)


# --- going on -----------------------------------------------------------------------------


def test_rule_32_the_offset_is_not_asked_for_while_a_request_of_ours_runs() -> None:
    """A HEAD would take the upload away from it: ours is given up first, its connection closed."""
    ended: list[bytes] = []
    appending: list[Exchange] = []

    def silent(exchange: Exchange) -> None:
        appending.append(exchange)
        exchange.sock.settimeout(10)
        ended.append(exchange.sock.recv(1))  # nothing, when the client closed

    def asked(exchange: Exchange) -> None:
        assert soon(lambda: ended == [b""], within=2), "the append was still open"
        exchange.send(stands(0))

    with script(OFFERED, CREATED, silent, asked, DONE) as peer:
        url = f"{peer.url}/uploads"
        with Client(allow_private=True, retries=1, timeout=0.3, sleep=lambda _: None) as client:
            client.upload(bytes(2 * UNIT), url, protocol="resumable")
    assert lines(peer)[2:] == [f"PATCH {HERE}", f"HEAD {HERE}", f"PATCH {HERE}"]
    assert len(appending) == 1


def test_rule_33_what_was_never_sent_is_cancelled_and_begun_anew() -> None:
    with script(reset_after(interim()), stands(7), answer("204 No Content"), DONE) as peer:
        put(b"abcdef", peer.url, retries=1)
    assert lines(peer) == ["POST /uploads", f"HEAD {HERE}", f"DELETE {HERE}", "POST /uploads"]


def test_an_upload_of_another_length_is_another_upload() -> None:
    with script(reset_after(interim()), stands(3, **{"Upload-Length": "9"}), DONE) as peer:
        put(b"abcdef", peer.url, retries=1)
    assert lines(peer)[-1] == "POST /uploads"


@pytest.mark.parametrize("offset", ["", "three", "-1"])
def test_an_offset_that_is_none_is_no_answer(offset: str) -> None:
    said = response(status="200 OK", fields={"Upload-Complete": "?0", "Upload-Offset": offset})
    with script(reset_after(interim()), said) as peer, pytest.raises(BadResponse, match="how much"):
        put(b"abcdef", peer.url, retries=1)


def test_rule_44_a_conflict_that_names_the_offset_is_gone_on_from() -> None:
    conflict = answer("409 Conflict", Upload_Complete="?0", Upload_Offset="100")
    with script(OFFERED, CREATED, conflict, DONE) as peer:
        put(bytes(5 * UNIT), peer.url)
    assert peer.last.headers["upload-offset"] == "100"
    assert len(peer.last.body) == 5 * UNIT - 100


def test_rule_44_a_bare_conflict_ends_it() -> None:
    with script(OFFERED, CREATED, answer("409 Conflict")) as peer, pytest.raises(ResponseError):
        put(bytes(5 * UNIT), peer.url, retries=3)


def test_a_server_that_always_disagrees_is_given_up() -> None:
    def confused(exchange: Exchange) -> None:
        if exchange.line.startswith("OPTIONS"):
            exchange.send(OFFERED)
        elif exchange.line.startswith("POST"):
            exchange.send(CREATED)
        else:
            exchange.send(answer("409 Conflict", Upload_Complete="?0", Upload_Offset="5"))

    with Peer(confused) as peer, pytest.raises(BadResponse):
        put(bytes(5 * UNIT), peer.url, retries=3)
    assert len(peer.exchanges) < 20


@pytest.mark.parametrize("status", ["500 Oops", "503 Busy", "429 Slow", "423 Locked", "502 Bad"])
def test_rule_44_a_passing_error_is_waited_for_and_the_offset_asked_for(status: str) -> None:
    with script(OFFERED, CREATED, answer(status), stands(UNIT), DONE) as peer:
        put(bytes(5 * UNIT), peer.url, retries=1)
    assert lines(peer)[2:] == [f"PATCH {HERE}", f"HEAD {HERE}", f"PATCH {HERE}"]
    assert peer.last.headers["upload-offset"] == str(UNIT)


def test_rule_44_an_error_marked_as_the_answer_is_final(state: Path) -> None:
    final = answer("503 Never", Upload_Complete="?1")
    with script(OFFERED, CREATED, final) as peer, pytest.raises(ResponseError) as caught:
        put(bytes(5 * UNIT), peer.url, retries=3)
    assert caught.value.status == 503
    assert not list(state.glob("*.json")) if state.exists() else True


@pytest.mark.parametrize("status", ["400 Bad", "401 Who", "403 No", "415 Type"])
def test_rule_30_any_other_refusal_ends_it(status: str) -> None:
    with script(OFFERED, CREATED, answer(status)) as peer, pytest.raises(ResponseError):
        put(bytes(5 * UNIT), peer.url, retries=3)


@pytest.mark.parametrize("status", ["404 Not Found", "410 Gone"])
def test_an_upload_that_is_gone_is_begun_anew_but_not_for_ever(status: str) -> None:
    with script(OFFERED, CREATED, answer(status), CREATED, DONE) as peer:
        put(bytes(5 * UNIT), peer.url)
    steps = [OFFERED] + [CREATED, answer(status)] * 4
    with script(*steps) as peer, pytest.raises(BadResponse, match="lost the upload 4 times"):
        put(bytes(5 * UNIT), peer.url)


def test_rules_19_and_45_what_is_too_much_is_sent_in_less() -> None:
    too_much = answer("413 Content Too Large", Upload_Limit="max-append-size=204800")
    two, four = (
        answer("204 No Content", Upload_Complete="?0", Upload_Offset=str(count * 2 * UNIT)).replace(
            b"Content-Length: 0\r\n", b""
        )
        for count in (1, 2)
    )
    with script(OFFERED, CREATED, too_much, stands(0), two, four, DONE) as peer:
        put(bytes(5 * UNIT), peer.url)
    appends = [one for one in peer.exchanges if one.line.startswith("PATCH")][1:]
    assert [len(one.body) for one in appends] == [2 * UNIT, 2 * UNIT, UNIT]
    assert [one.headers["upload-complete"] for one in appends] == ["?0", "?0", "?1"]


def test_rule_45_without_a_limit_it_halves_until_it_fits() -> None:
    """As behind a proxy that bounds requests and says nothing of it."""

    def bounded(exchange: Exchange) -> None:
        length = int(exchange.headers.get("content-length", "0"))
        if exchange.line.startswith("OPTIONS"):
            exchange.send(OFFERED)
        elif exchange.line.startswith("POST"):
            exchange.send(CREATED)
        elif exchange.line.startswith("HEAD"):
            exchange.send(stands(sum(kept)))
        elif length > 100 * KIB:
            exchange.send(answer("413 Request Entity Too Large"))
        else:
            kept.append(length)
            last = exchange.headers["upload-complete"] == "?1"
            exchange.send(
                DONE
                if last
                else answer("200 OK", Upload_Complete="?0", Upload_Offset=str(sum(kept)))
            )

    kept: list[int] = []
    with Peer(bounded) as peer:
        put(bytes(5 * MIB), peer.url)
    assert sum(kept) == 5 * MIB
    assert max(kept) == 80 * KIB


def test_what_is_announced_as_too_large_is_not_begun() -> None:
    offered = answer("200 OK", Upload_Limit="max-size=1000")
    with script(offered) as peer, pytest.raises(TooLarge):
        put(bytes(5 * UNIT), peer.url)


def test_rule_8_a_success_that_is_not_final_is_completed_by_an_empty_append() -> None:
    kept = answer("200 OK", Upload_Complete="?0", Upload_Offset=str(5 * UNIT))
    with script(OFFERED, CREATED, kept, DONE) as peer:
        assert put(bytes(5 * UNIT), peer.url).url == f"{peer.url}/files/1"
    last = peer.last.headers
    assert (last["upload-offset"], last["upload-complete"]) == (str(5 * UNIT), "?1")
    assert last["content-length"] == "0"


def test_a_server_that_never_completes_is_given_up() -> None:
    kept = answer("200 OK", Upload_Complete="?0", Upload_Offset=str(5 * UNIT))
    with (
        script(OFFERED, CREATED, *[kept] * 20) as peer,
        pytest.raises(BadResponse, match="keeps nothing"),
    ):
        put(bytes(5 * UNIT), peer.url)


@pytest.mark.parametrize("offset", [0, 3 * UNIT])
def test_an_offset_that_goes_back_or_beyond_what_was_sent_is_not_believed(offset: int) -> None:
    first = answer("200 OK", Upload_Complete="?0", Upload_Offset=str(UNIT))
    wrong = answer("200 OK", Upload_Complete="?0", Upload_Offset=str(offset))
    with script(OFFERED, CREATED, first, wrong) as peer, pytest.raises(BadResponse, match="bytes"):
        put(bytes(5 * UNIT), peer.url, chunk_size=UNIT)


def test_an_upload_that_is_called_complete_before_its_end_is_not_believed() -> None:
    early = answer("200 OK", Upload_Complete="?1")
    with (
        script(OFFERED, CREATED, early) as peer,
        pytest.raises(BadResponse, match="before its end"),
    ):
        put(bytes(5 * UNIT), peer.url, chunk_size=UNIT)


def test_rule_43_a_lost_answer_is_asked_for_and_the_state_does_where_it_is_not_given() -> None:
    complete = response(
        status="200 OK", fields={"Connection": "close", "Upload-Complete": "?1", "Upload-Offset": "6",
                                 "Content-Location": "/files/1"}, length=0
    )  # fmt: skip
    with script(reset_after(interim()), complete, DONE) as peer:
        assert put(b"abcdef", peer.url, retries=1).url == f"{peer.url}/files/1"
    assert peer.last.headers["upload-offset"] == "6"
    with script(reset_after(interim()), complete, answer("400 Over")) as peer:
        assert put(b"abcdef", peer.url, retries=1).url == f"{peer.url}/files/1"


def test_credentials_do_not_go_to_another_origin() -> None:
    with script(DONE) as other:
        there = answer("201 Created", Location=f"{other.url}/x", Upload_Complete="?0")
        with script(OFFERED, there) as peer:
            put(bytes(5 * UNIT), peer.url, auth="secret")
            assert peer.last.headers["authorization"] == "Bearer secret"
        assert "authorization" not in other.last.headers


# --- streams, policies, arguments ---------------------------------------------------------


def test_what_a_policy_refuses_is_not_sent_or_taken_back(tmp_path: Path) -> None:
    with script() as peer, pytest.raises(Rejected):
        put(b"%PDF-1.7\n", peer.url, policy=Policy.images(), name="a.png")
    read, write = os.pipe()
    with os.fdopen(write, "wb") as pipe:
        pipe.write(b"words" * 10)
    kept = answer("200 OK", Upload_Complete="?0", Upload_Offset="20")
    with (
        os.fdopen(read, "rb") as stream,
        script(OFFERED, CREATED, kept, *[answer("200 OK")] * 3) as peer,
        pytest.raises(Rejected),
    ):
        put(stream, peer.url, policy=Policy(max_size=30), chunk_size=20)
    assert lines(peer)[-1] in {f"DELETE {HERE}", "OPTIONS /uploads"}


def test_a_stream_needs_a_server_that_announces_it() -> None:
    read, write = os.pipe()
    os.close(write)
    with (
        os.fdopen(read, "rb") as stream,
        script(answer("404 Not Found")) as peer,
        pytest.raises(UsageError, match="announces no"),
    ):
        put(stream, peer.url)


@pytest.mark.parametrize(
    "options",
    [{"fields": {"a": "b"}}, {"method": "PUT"}, {"connections": 2}],
    ids=lambda options: next(iter(options)),
)
def test_arguments_that_do_not_fit_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        put(b"x", "http://127.0.0.1:9", **options)
    with pytest.raises(UsageError):
        put([b"x", b"y"], "http://127.0.0.1:9")


# --- auto ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offer", "protocol"),
    [
        ({"Upload-Limit": "min-size=0"}, "resumable"),
        ({"Upload-Limit": "min-size=0", "Tus-Version": "1.0.0", "Tus-Extension": "creation"},
         "resumable"),
        ({"Tus-Version": "1.0.0", "Tus-Extension": "creation"}, "tus"),
        ({"Tus-Version": "1.0.0"}, "form"),
        ({"Tus-Version": "0.2.2", "Tus-Extension": "creation"}, "form"),
        ({"Upload-Limit": "max-size=x"}, "form"),
        ({"Tus-Version": "1.0.0", "Tus-Max-Size": "x"}, "form"),
        ({}, "form"),
    ],
)  # fmt: skip
def test_auto_goes_by_what_the_server_offers_for_a_large_file(
    offer: dict[str, str], protocol: str
) -> None:
    def handler(exchange: Exchange) -> None:
        if exchange.line.startswith("OPTIONS"):
            exchange.send(response(status="200 OK", fields=offer))
        else:
            exchange.send(answer("403 Forbidden"))

    with Peer(handler) as peer, pytest.raises((ResponseError, TransferError)):
        put(bytes(9 * MIB), peer.url, protocol="auto")
    sent = peer.last.headers
    spoken = {
        "resumable": "upload-complete" in sent,
        "tus": "tus-resumable" in sent,
        "form": sent.get("content-type", "").startswith("multipart/form-data"),
    }
    assert [name for name, is_it in spoken.items() if is_it] == [protocol]


def test_auto_asks_nobody_about_what_is_small_or_meant_for_a_form() -> None:
    for options in ({"fields": {"a": "b"}}, {"field": "photo"}):
        with script(answer("200 OK")) as peer:
            put(bytes(9 * MIB), peer.url, protocol="auto", **options)
    with script(answer("200 OK")) as peer:
        put(b"small", peer.url, protocol="auto")
        assert peer.last.headers["content-type"].startswith("multipart/form-data")


def test_the_address_is_kept_for_the_next_run(tmp_path: Path, state: Path) -> None:
    file = tmp_path / "a.bin"
    file.write_bytes(b"abcdef")
    limited = interim().replace(b"\r\n\r\n", b"\r\nUpload-Limit: max-age=60\r\n\r\n")
    with script(reset_after(limited), stands(2), DONE) as peer:
        with pytest.raises(Interrupted):
            put(file, peer.url)
        (left,) = state.glob("*.upload.json")
        (part,) = json.loads(left.read_text())["parts"]
        assert part["url"] == f"{peer.url}{HERE}"
        assert part["expires"] is not None
        put(file, peer.url)
    assert peer.last.body == b"cdef"
    assert not list(state.glob("*.upload.json"))
