"""Uploads by tus. The numbers in names are those of the client's rules in `protocol.tus`."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import io
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.tus_peer import ALL, Asked, Fault, Handler, TusPeer
from wharfinger import Client, Policy, Reply, Timeout
from wharfinger.errors import (
    AddressRefused,
    BadResponse,
    Interrupted,
    LocalFileError,
    Rejected,
    ResponseError,
    TooLarge,
    TransferTimeout,
    UsageError,
    WharfingerError,
)

MIB = 1024 * 1024
SIZE = 3 * MIB + 5
Start = Callable[..., TusPeer]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "wharfinger"


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(TusPeer(**options))


@pytest.fixture
def file(folder: Path) -> Path:
    path = folder / "a.bin"
    path.write_bytes(os.urandom(SIZE))
    return path


class Pipe(io.RawIOBase):
    """A stream without a length, as stdin is."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        return self._data.read(size)


def put(file: Any, url: str, *, retries: int = 0, **options: Any) -> Reply:
    with Client(allow_private=True, retries=retries, timeout=5, sleep=lambda _: None) as client:
        return client.upload(file, url, protocol="tus", **options)


def once(method: str, status: int, *, nth: int = 1, **fields: Any) -> Fault:
    """Answer the nth request of a method with an error status."""

    def fault(asked: Asked, handler: Handler) -> bool:
        if asked.method != method or len(handler.peer.sent(method)) != nth:
            return False
        handler.answer(status, {name.replace("_", "-"): value for name, value in fields.items()})
        return True

    return fault


def cut(after: int, *, nth: int = 1, keep: bool = True) -> Fault:
    """Break the nth PATCH off after some bytes, which are kept or lost."""

    def fault(asked: Asked, handler: Handler) -> bool:
        if asked.method != "PATCH" or len(handler.peer.sent("PATCH")) != nth:
            return False
        content = handler.body(after)
        if keep:
            handler.peer.uploads[handler.path].data += content
        handler.drop()
        return True

    return fault


def gone(asked: Asked, handler: Handler) -> bool:
    if asked.method == "PATCH":
        handler.answer(404)
    return asked.method == "PATCH"


NO_CHECKSUM = tuple(name for name in ALL if name != "checksum")


# --- the requests --------------------------------------------------------------------------


def test_a_file_arrives_and_every_rule_of_the_requests_is_kept(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    reply = put("a.bin", peer.url, fields={"user": "7"})
    assert peer.only.data == file.read_bytes()
    assert reply.url == f"{peer.origin}/files/1"
    options, create, patch = peer.asked
    # 3 and 17: on every request, and not on OPTIONS
    assert [asked.headers.get("tus-resumable") for asked in peer.asked] == [None, "1.0.0", "1.0.0"]
    # 18: asked first
    assert options.method == "OPTIONS"
    # 20, 21: created by POST with a length, and not both
    assert (create.method, create.path) == ("POST", "/files")
    assert create.headers["upload-length"] == str(SIZE)
    assert "upload-defer-length" not in create.headers
    assert create.headers["content-length"] == "0"
    # 26: printf a.bin | base64
    pairs = dict(pair.split(" ") for pair in create.headers["upload-metadata"].split(","))
    assert pairs["filename"] == "YS5iaW4="
    assert pairs["user"] == "Nw=="
    # 7, 10, 14, 31: one PATCH, as itself, with its type, for all that remains
    assert patch.method == "PATCH"
    assert "x-http-method-override" not in patch.headers
    assert patch.headers["content-type"] == "application/offset+octet-stream"
    assert patch.headers["upload-offset"] == "0"
    assert len(patch.body) == SIZE
    assert patch.headers["expect"] == "100-continue"


def test_rule_14_several_patches_send_a_file_in_chunks(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    put("a.bin", peer.url, chunk_size="1 MiB")
    assert [len(asked.body) for asked in peer.sent("PATCH")] == [MIB, MIB, MIB, 5]
    offsets = [asked.headers["upload-offset"] for asked in peer.sent("PATCH")]
    assert offsets == ["0", "1048576", "2097152", "3145728"]
    assert peer.only.data == file.read_bytes()


def test_rule_25_an_empty_file_is_finished_by_its_creation(start: Start) -> None:
    peer = start()
    put(b"", peer.url)
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "POST"]
    assert peer.only.length == 0


def test_rule_33_a_small_file_goes_with_its_creation_where_that_is_announced(start: Start) -> None:
    peer = start()
    put(b"hello", peer.url)
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "POST"]
    assert peer.sent("POST")[0].headers["content-type"] == "application/offset+octet-stream"
    assert peer.only.data == b"hello"
    plain = start(extensions=("creation",))
    put(b"hello", plain.url)
    assert [asked.method for asked in plain.asked] == ["OPTIONS", "POST", "PATCH"]


def test_rule_33_a_creation_with_content_asks_before_it_sends_a_large_one(start: Start) -> None:
    peer = start()
    put(bytes(MIB), peer.url)
    assert peer.sent("POST")[0].headers["expect"] == "100-continue"
    assert len(peer.sent("POST")[0].body) == MIB


@pytest.mark.parametrize("absolute", [True, False])
def test_rule_30_a_location_is_absolute_or_relative(
    absolute: bool, start: Start, file: Path
) -> None:
    peer = start(absolute=absolute)
    assert put("a.bin", peer.url).url == f"{peer.origin}/files/1"


def test_rule_30_a_location_is_resolved_against_the_endpoint(start: Start, file: Path) -> None:
    peer = start(prefix="/deep/er/")

    def relative(asked: Asked, handler: Handler) -> bool:
        if asked.method != "POST":
            return False
        handler.create = lambda: handler.answer(  # type: ignore[method-assign]
            201, {"Location": "er/1"}
        )
        from support.tus_peer import Stored

        handler.peer.uploads["/deep/er/1"] = Stored(SIZE)
        return False

    peer.faults.append(relative)
    assert put("a.bin", f"{peer.origin}/deep/files").url == f"{peer.origin}/deep/er/1"


@pytest.mark.parametrize(("algorithms", "used"), [("sha1,sha256", "sha256"), ("sha1", "sha1")])
def test_rule_39_each_request_has_the_checksum_of_its_content(
    algorithms: str, used: str, start: Start, file: Path
) -> None:
    peer = start(algorithms=algorithms)
    put("a.bin", peer.url, chunk_size=2 * MIB)
    for asked in peer.sent("PATCH"):
        digest = base64.b64encode(hashlib.new(used, asked.body).digest()).decode()
        assert asked.headers["upload-checksum"] == f"{used} {digest}"
    assert peer.only.data == file.read_bytes()


def test_rule_38_no_checksum_is_sent_unless_it_was_announced(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    put("a.bin", peer.url)
    assert all("upload-checksum" not in asked.headers for asked in peer.asked)
    with pytest.raises(UsageError, match="checksums"):
        put("a.bin", peer.url, digest=True)
    strange = start(algorithms="crc32")
    put("a.bin", strange.url)
    assert all("upload-checksum" not in asked.headers for asked in strange.asked)


def test_checksummed_requests_are_of_a_size_that_can_be_lost(start: Start, folder: Path) -> None:
    with (folder / "big").open("wb") as file:
        file.truncate(17 * MIB)
    peer = start()
    put("big", peer.url)
    assert [len(asked.body) for asked in peer.sent("PATCH")] == [8 * MIB, 8 * MIB, MIB]


# --- streams -------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [1, MIB - 1, MIB, MIB + 1, 2 * MIB, 3 * MIB + 7])
def test_rules_21_to_23_a_stream_tells_its_length_once_and_last(size: int, start: Start) -> None:
    peer = start()
    content = os.urandom(size)
    put(Pipe(content), peer.url, chunk_size=MIB, name="log")
    assert peer.only.data == content
    assert peer.only.length == size
    created = peer.sent("POST")[0].headers
    if size <= MIB:
        assert created["upload-length"] == str(size)
        assert "upload-defer-length" not in created
        return
    assert created["upload-defer-length"] == "1"
    assert "upload-length" not in created
    told = [asked.headers.get("upload-length") for asked in peer.sent("PATCH")]
    assert told == [None] * (len(told) - 1) + [str(size)]
    assert len(peer.sent("PATCH")[-1].body) > 0


def test_an_empty_stream_is_an_empty_upload(start: Start) -> None:
    peer = start()
    put(Pipe(b""), peer.url)
    assert peer.only.length == 0


def test_a_stream_survives_cut_connections(start: Start) -> None:
    peer = start(extensions=NO_CHECKSUM)
    content = os.urandom(3 * MIB)
    peer.faults += [cut(1000), cut(0, nth=3, keep=False), cut(MIB, nth=5)]
    put(Pipe(content), peer.url, chunk_size=MIB, retries=1)
    assert peer.only.data == content


def test_rule_18_a_stream_needs_a_server_that_takes_it_without_a_length(start: Start) -> None:
    peer = start(extensions=("creation",))
    with pytest.raises(UsageError, match="length"):
        put(Pipe(bytes(2 * MIB)), peer.url, chunk_size=MIB)
    assert peer.uploads == {}


def test_a_stream_that_the_policy_refuses_is_taken_back(start: Start) -> None:
    peer = start()
    with pytest.raises(Rejected):
        put(
            Pipe(bytes(4 * MIB)), peer.url, chunk_size=MIB, policy=Policy.anything(max_size=3 * MIB)
        )
    assert len(peer.sent("DELETE")) == 1
    assert peer.uploads == {}


def test_what_came_from_a_stream_cannot_be_begun_anew(start: Start) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(once("PATCH", 404, nth=3))
    with pytest.raises(BadResponse, match="stream cannot be sent again") as caught:
        put(Pipe(bytes(4 * MIB)), peer.url, chunk_size=MIB, retries=2)
    assert caught.value.hint == "Save the stream to a file first: a file is begun anew."


# --- trouble on the way --------------------------------------------------------------------


def test_a_cut_connection_goes_on_at_the_offset_that_the_server_names(
    start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(cut(MIB + 3))
    put("a.bin", peer.url, retries=1)
    assert peer.only.data == file.read_bytes()
    assert peer.sent("PATCH")[1].headers["upload-offset"] == str(MIB + 3)


def test_retries_are_counted_anew_whenever_it_got_further(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults += [cut(300_000, nth=n) for n in range(1, 9)]
    put("a.bin", peer.url, retries=1)
    assert peer.only.data == file.read_bytes()


def test_a_server_that_gets_nowhere_is_given_up(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults += [cut(0, nth=n, keep=False) for n in range(1, 20)]
    with pytest.raises(Interrupted) as caught:
        put("a.bin", peer.url, retries=3)
    assert len(peer.sent("PATCH")) == 4
    assert "goes on" in caught.value.hint


@pytest.mark.parametrize("status", [423, 429, 460, 500, 502, 503, 504, 507, 520])
def test_trouble_that_passes_is_waited_for(status: int, start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults += [once("PATCH", status), once("HEAD", status)]
    put("a.bin", peer.url, retries=3)
    assert peer.only.data == file.read_bytes()
    assert len(peer.uploads) == 1


def test_retry_after_is_honoured(start: Start, file: Path) -> None:
    waits: list[float] = []
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(once("PATCH", 423, Retry_After="7"))
    with Client(allow_private=True, retries=1, sleep=waits.append) as client:
        client.upload("a.bin", peer.url, protocol="tus")
    assert waits == [7.0]


@pytest.mark.parametrize("status", [404, 410])
def test_rule_37_an_upload_that_is_gone_is_begun_anew(
    status: int, start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults += [cut(1000), once("HEAD", status)]
    assert put("a.bin", peer.url, retries=1).url == f"{peer.origin}/files/2"
    assert peer.uploads["/files/2"].data == file.read_bytes()
    again = start(extensions=NO_CHECKSUM)
    again.faults.append(once("PATCH", status))
    assert put("a.bin", again.url).url == f"{again.origin}/files/2"


def test_a_server_that_loses_every_upload_is_given_up(
    start: Start, file: Path, state: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(gone)
    with pytest.raises(BadResponse, match="lost the upload 4 times") as caught:
        put("a.bin", peer.url, retries=9)
    assert len(peer.sent("POST")) == 4
    # What would begin once more and be lost once more is not what to do.
    assert caught.value.hint == "Tell who runs the server, or send the file as a form or raw."
    assert list(state.iterdir()) == []


def test_after_409_the_offset_is_asked_for_first(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(once("PATCH", 409))
    put("a.bin", peer.url)
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "POST", "PATCH", "HEAD", "PATCH"]
    assert len(peer.uploads) == 1


def test_a_conflict_about_the_servers_own_offset_begins_anew(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults += [once("PATCH", 409), once("PATCH", 409, nth=2)]
    put("a.bin", peer.url)
    assert len(peer.sent("POST")) == 2


@pytest.mark.parametrize("status", [400, 401, 403, 412, 413, 415])
def test_what_will_not_get_better_is_an_error_at_once(
    status: int, start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(once("PATCH", status))
    with pytest.raises(ResponseError) as caught:
        put("a.bin", peer.url, retries=5)
    assert caught.value.status == status
    assert len(peer.sent("PATCH")) == 1


@pytest.mark.parametrize("offset", ["-1", "x", "", "99999999", "5, 5"])
def test_rules_1_and_12_an_offset_that_cannot_be_is_an_unsound_answer(
    offset: str, start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(once("PATCH", 204, Upload_Offset=offset))
    with pytest.raises(BadResponse):
        put("a.bin", peer.url)


def test_rule_12_a_server_that_took_a_part_gets_the_rest(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)

    def part(asked: Asked, handler: Handler) -> bool:
        if asked.method != "PATCH" or asked.headers["upload-offset"] != "0":
            return False
        handler.peer.uploads[handler.path].data += handler.body()[:100]
        handler.answer(204, {"Upload-Offset": "100"})
        return True

    peer.faults.append(part)
    put("a.bin", peer.url)
    assert peer.sent("PATCH")[1].headers["upload-offset"] == "100"
    assert peer.only.data == file.read_bytes()


def test_rule_15_a_silent_server_is_noticed(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)

    def silent(asked: Asked, handler: Handler) -> bool:
        if asked.method == "PATCH":
            handler.body()
            time.sleep(1.5)
            handler.drop()
        return asked.method == "PATCH"

    peer.faults.append(silent)
    with pytest.raises(TransferTimeout):
        put("a.bin", peer.url, timeout=Timeout(connect=5, head=0.5, idle=0.5))


def test_a_file_that_changes_meanwhile_is_an_error(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)

    def change(asked: Asked, _handler: Handler) -> bool:
        if asked.method == "PATCH" and asked.headers["upload-offset"] != "0":
            with file.open("ab") as log:
                log.write(b"more")
        return False

    peer.faults.append(change)
    with pytest.raises(LocalFileError):
        put("a.bin", peer.url, chunk_size=MIB)


# --- creation ------------------------------------------------------------------------------


def test_a_creation_without_content_is_tried_again(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)

    def lose_the_second(_asked: Asked, handler: Handler) -> bool:
        if len(peer.asked) == 2:
            handler.drop()
        return len(peer.asked) == 2

    peer.faults.append(lose_the_second)
    put("a.bin", peer.url, retries=1)
    assert peer.only.data == file.read_bytes()


@pytest.mark.parametrize("content", [b"hello", b""])
def test_a_creation_that_may_have_stored_the_whole_is_not(content: bytes, start: Start) -> None:
    peer = start()

    def lose(asked: Asked, handler: Handler) -> bool:
        if asked.method == "POST":
            handler.body()
            handler.drop()
        return asked.method == "POST"

    peer.faults.append(lose)
    with pytest.raises(Interrupted):
        put(content, peer.url, retries=3)
    assert len(peer.sent("POST")) == 1
    with pytest.raises(Interrupted):
        put(content, peer.url, retries=3, idempotency_key="k1")
    assert [asked.headers.get("idempotency-key") for asked in peer.sent("POST")[1:]] == ["k1"] * 4


def test_a_file_over_the_servers_limit_is_not_begun(start: Start, file: Path) -> None:
    peer = start(max_size=1000)
    with pytest.raises(TooLarge) as caught:
        put("a.bin", peer.url)
    assert (caught.value.limit, caught.value.size) == (1000, SIZE)
    assert [asked.method for asked in peer.asked] == ["OPTIONS"]


def test_another_version_of_the_protocol_is_not_spoken(start: Start, file: Path) -> None:
    peer = start(version="2.0.0")
    with pytest.raises(BadResponse, match="not 1"):
        put("a.bin", peer.url)


def test_a_server_that_refuses_options_gets_the_core(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults.append(once("OPTIONS", 405))
    put("a.bin", peer.url)
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "POST", "PATCH"]


def test_a_server_that_is_busy_at_first_is_asked_again(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults += [once("OPTIONS", 503), once("POST", 500)]
    put("a.bin", peer.url, retries=1)
    assert peer.only.data == file.read_bytes()


@pytest.mark.parametrize(
    ("location", "error"),
    [
        (None, BadResponse),
        ("http://exa mple/", BadResponse),
        ("ftp://127.0.0.1/x", AddressRefused),
        ("http://169.254.169.254/latest", AddressRefused),
    ],
    ids=["none", "no address", "ftp", "metadata service"],
)
def test_a_location_that_leads_nowhere_good_is_refused(
    location: str | None, error: type[WharfingerError], start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    fields: dict[str, Any] = {} if location is None else {"Location": location}
    peer.faults.append(once("POST", 201, **fields))
    with pytest.raises(error):
        put("a.bin", peer.url)


def test_credentials_stay_at_the_origin_of_the_endpoint(start: Start, file: Path) -> None:
    peer, other = start(extensions=NO_CHECKSUM), start(extensions=NO_CHECKSUM)
    from support.tus_peer import Stored

    other.uploads["/files/9"] = Stored(SIZE)
    peer.faults.append(once("POST", 201, Location=f"{other.origin}/files/9"))
    put("a.bin", peer.url, auth="secret", headers={"X-Api-Key": "secret", "User-Agent": "me"})
    assert all(asked.headers["authorization"] == "Bearer secret" for asked in peer.asked)
    assert other.only.data == file.read_bytes()
    for asked in other.asked:
        assert not {"authorization", "x-api-key"} & set(asked.headers)
        assert asked.headers["user-agent"] == "me"


# --- the next run --------------------------------------------------------------------------


def interrupted(peer: TusPeer, after: int = MIB, **options: Any) -> None:
    fault = cut(after)
    peer.faults.append(fault)
    with pytest.raises(Interrupted):
        put("a.bin", peer.url, **options)
    peer.faults.remove(fault)
    peer.asked.clear()


def test_the_next_run_goes_on_where_this_one_ended(start: Start, file: Path, state: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer)
    (kept,) = state.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert state.stat().st_mode & 0o777 == 0o700
    assert json.loads(kept.read_text())["parts"][0]["url"] == f"{peer.origin}/files/1"
    put("a.bin", peer.url)
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "HEAD", "PATCH"]
    assert peer.sent("PATCH")[0].headers["upload-offset"] == str(MIB)
    assert peer.only.data == file.read_bytes()
    assert list(state.iterdir()) == []


def test_an_upload_whose_last_answer_was_lost_is_found_finished(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer, after=SIZE)
    assert put("a.bin", peer.url).url == f"{peer.origin}/files/1"
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "HEAD"]


def touched(path: Path) -> dict[str, Any]:
    os.utime(path, (1, 1))
    return {}


def changed(path: Path) -> dict[str, Any]:
    path.write_bytes(os.urandom(SIZE))
    return {}


OTHERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "another token": lambda _: {"auth": "other"},
    "another name": lambda _: {"name": "b.bin"},
    "another field": lambda _: {"fields": {"a": "b"}},
    "without resume": lambda _: {"resume": False},
    "the file was touched": touched,
    "the file was changed": changed,
}


@pytest.mark.parametrize("change", OTHERS.values(), ids=OTHERS)
def test_another_upload_never_goes_on_with_it(
    change: Callable[[Path], dict[str, Any]], start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer)
    options = change(file)
    reply = put("a.bin", peer.url, **options)
    assert reply.url == f"{peer.origin}/files/2"
    assert peer.uploads["/files/2"].data == file.read_bytes()


def test_nothing_is_kept_without_resume(start: Start, file: Path, state: Path) -> None:
    interrupted(start(extensions=NO_CHECKSUM), resume=False)
    assert not state.exists() or list(state.iterdir()) == []


@pytest.mark.parametrize("status", [403, 404, 410])
def test_rule_37_what_the_server_forgot_is_begun_anew(
    status: int, start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer)
    peer.faults.append(once("HEAD", status))
    assert put("a.bin", peer.url).url == f"{peer.origin}/files/2"


def test_a_token_that_is_no_longer_good_does_not_cost_the_upload(
    start: Start, file: Path, state: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer)
    peer.faults.append(once("HEAD", 401))
    with pytest.raises(ResponseError):
        put("a.bin", peer.url)
    assert put("a.bin", peer.url).url == f"{peer.origin}/files/1"


def test_rule_37_the_date_of_expiry_is_read_before_resuming(start: Start, file: Path) -> None:
    peer = start(extensions=NO_CHECKSUM, expires=time.time() - 10)
    interrupted(peer)
    put("a.bin", peer.url)
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "POST", "PATCH"]
    later = start(extensions=NO_CHECKSUM, expires=time.time() + 1000)
    interrupted(later)
    put("a.bin", later.url)
    assert [asked.method for asked in later.asked] == ["OPTIONS", "HEAD", "PATCH"]


def test_an_upload_of_another_length_at_that_address_is_left_alone(
    start: Start, file: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer)
    peer.uploads["/files/1"].length = 5
    peer.uploads["/files/1"].data = bytearray(5)
    put("a.bin", peer.url)
    assert peer.uploads["/files/2"].data == file.read_bytes()


@pytest.mark.parametrize(
    "content",
    [b"", b"nonsense", b"{}", b"[]", b'{"wharfinger": 2, "parts": []}',
     b'{"wharfinger": 1, "parts": [{"start": 0}]}', b'{"wharfinger": 1, "parts": 5}',
     b'{"wharfinger": 1, "parts": [{"start": 0, "length": "5"}]}',
     b'{"wharfinger": 1, "parts": [{"start": 5, "length": 5}]}', b"[" * 60_000],
)  # fmt: skip
def test_a_state_that_cannot_be_read_begins_anew(
    content: bytes, start: Start, file: Path, state: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer)
    next(state.iterdir()).write_bytes(content)
    put("a.bin", peer.url)
    assert peer.uploads["/files/2"].data == file.read_bytes()


def test_a_state_that_others_may_read_or_that_is_a_link_is_not_believed(
    start: Start, file: Path, state: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    interrupted(peer)
    kept = next(state.iterdir())
    kept.chmod(0o644)
    put("a.bin", peer.url)
    assert len(peer.uploads) == 2
    (state.parent / "real").write_bytes(b"precious")
    kept.unlink()
    kept.symlink_to(state.parent / "real")
    put("a.bin", peer.url)
    assert (state.parent / "real").read_bytes() == b"precious"


def test_a_home_that_cannot_be_written_only_prevents_resuming(
    start: Start, file: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "occupied").write_bytes(b"")
    monkeypatch.setenv("XDG_STATE_HOME", str(folder / "occupied"))
    peer = start()
    put("a.bin", peer.url)
    assert peer.only.data == file.read_bytes()


def test_two_at_the_same_time_do_not_share_an_upload(start: Start, file: Path, state: Path) -> None:
    peer = start(extensions=NO_CHECKSUM)
    inner: list[Reply] = []

    def meanwhile(asked: Asked, handler: Handler) -> bool:
        if asked.method == "PATCH" and not inner:
            inner.append(None)  # type: ignore[arg-type]
            inner[0] = put("a.bin", peer.url)
        return False

    peer.faults.append(meanwhile)
    outer = put("a.bin", peer.url)
    assert outer.url != inner[0].url
    assert [stored.data == file.read_bytes() for stored in peer.uploads.values()] == [True, True]


# --- in parallel ---------------------------------------------------------------------------


def test_rules_45_to_48_parts_are_sent_at_once_and_joined_in_their_order(
    start: Start, file: Path
) -> None:
    peer = start()
    reply = put("a.bin", peer.url, connections=3, name="b.bin")
    *partial, final = peer.sent("POST")
    assert [asked.headers["upload-concat"] for asked in partial] == ["partial"] * 3
    assert all("upload-metadata" not in asked.headers for asked in partial)
    assert sorted(int(asked.headers["upload-length"]) for asked in partial) == [
        MIB + 1, MIB + 2, MIB + 2,
    ]  # fmt: skip
    assert final.headers["upload-concat"].startswith("final;")
    assert len(final.headers["upload-concat"].split(" ")) == 3
    assert "upload-length" not in final.headers
    assert "filename Yi5iaW4=" in final.headers["upload-metadata"]
    assert peer.only.data == file.read_bytes()
    assert reply.url == f"{peer.origin}/files/4"


def test_rule_18_without_concatenation_one_connection_has_to_do(start: Start, file: Path) -> None:
    peer = start(extensions=("creation",))
    put("a.bin", peer.url, connections=3)
    assert [asked.method for asked in peer.asked] == ["OPTIONS", "POST", "PATCH"]


def test_parts_survive_cut_connections_and_the_next_run(
    start: Start, file: Path, state: Path
) -> None:
    peer = start(extensions=NO_CHECKSUM)
    peer.faults += [cut(1000, nth=1), cut(5000, nth=2)]
    put("a.bin", peer.url, connections=3, retries=1)
    assert peer.only.data == file.read_bytes()
    again = start(extensions=NO_CHECKSUM)
    interrupted(again, after=1000, connections=3)
    assert len(list(state.iterdir())) == 1
    put("a.bin", again.url, connections=3)
    assert again.only.data == file.read_bytes()
    assert list(state.iterdir()) == []


def test_a_join_that_is_refused_for_a_moment_is_asked_for_again(start: Start, file: Path) -> None:
    peer = start()
    peer.faults.append(once("POST", 503, nth=4))
    put("a.bin", peer.url, connections=3, retries=1)
    assert peer.only.data == file.read_bytes()


def test_a_server_that_keeps_nothing_of_what_it_acknowledges_is_given_up(
    start: Start, file: Path
) -> None:
    def forgets(asked: Asked, handler: Handler) -> bool:
        if asked.method == "PATCH":
            handler.answer(204, {})
            return True
        return False

    peer = start(faults=[forgets])
    with pytest.raises(BadResponse, match="keeps nothing") as caught:
        put(file, peer.url, retries=100)
    assert "Tell who runs the server" in caught.value.hint
    assert len(peer.sent("PATCH")) < 20


def test_a_server_that_contradicts_itself_for_ever_is_given_up(start: Start, file: Path) -> None:
    def swings(asked: Asked, handler: Handler) -> bool:
        if asked.method == "PATCH":
            handler.answer(409, {})
            return True
        if asked.method == "HEAD":
            offset = 10 * (len(handler.peer.sent("HEAD")) % 2)
            handler.answer(200, {"Upload-Offset": str(offset), "Upload-Length": str(SIZE)})
            return True
        return False

    peer = start(faults=[swings])
    with pytest.raises(BadResponse):
        put(file, peer.url, retries=100)
    assert len(peer.sent("PATCH")) < 40


def test_a_refused_location_is_not_remembered(start: Start, file: Path, state: Path) -> None:
    peer = start(faults=[once("POST", 201, Location="http://169.254.169.254/u")])
    with pytest.raises(AddressRefused):
        put(file, peer.url)
    assert put(file, peer.url).status in {200, 204}


def test_no_more_connections_than_a_server_can_be_asked_for(file: Path) -> None:
    with pytest.raises(UsageError, match="1 to 16"):
        put(file, "http://127.0.0.1:9999/files", connections=17)
