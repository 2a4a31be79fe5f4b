"""The checklist of download safety, row by row: what goes wrong elsewhere, and what shows that it does not here.

The first half names the tests that prove each row; the second has those that fit nowhere else.
"""

from __future__ import annotations

import base64
import hashlib
import io
import os
import pickle
import re
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.content import HTML
from support.folders import listing
from support.peer import response, saying
from wharfinger.errors import BadResponse, IntegrityError, StorageFull, WharfingerError

TESTS = Path(__file__).parent.parent

ROWS: dict[int, tuple[str, tuple[str, ...]]] = {
    1: ("a path from Content-Disposition", (
        "client/test_destinations.py::test_a_servers_name_lands_directly_inside_the_folder",
        "client/test_destinations.py::test_a_servers_name_is_not_used_unasked")),
    2: ("a path from the last segment of a URL", (
        "client/test_destinations.py::test_the_last_segment_of_a_url_lands_directly_inside_the_folder",)),
    3: ("a file overwritten", (
        "client/test_destinations.py::test_a_file_that_is_there_is_not_overwritten",
        "client/test_destinations.py::test_a_servers_name_does_not_overwrite",
        "cli/test_get.py::test_overwriting_is_refused_forced_or_avoided")),
    4: ("a symbolic link followed", (
        "client/test_destinations.py::test_a_symbolic_link_is_not_written_through",
        "client/test_destinations.py::test_a_dangling_link_is_not_written_through",
        "client/test_resume.py::test_a_planted_symbolic_link_is_not_followed")),
    5: ("a race between check and rename", (
        "client/test_destinations.py::test_of_many_who_publish_at_once_one_wins",
        "client/test_destinations.py::test_a_file_that_appears_meanwhile_is_not_overwritten",
        "client/test_destinations.py::test_a_part_that_was_swapped_is_not_published")),
    6: ("credentials sent after a redirect", (
        "client/test_redirects.py::test_secrets_do_not_leave_their_origin",
        "client/test_redirects.py::test_secrets_do_not_come_back_either",
        "client/test_netrc.py::test_a_redirect_to_another_origin_gets_neither_this_nor_its_own_entry")),
    7: ("state of hosts mixed", (
        "client/test_redirects.py::test_nothing_a_server_sets_is_kept_for_a_later_request",)),
    8: ("a changed file spliced", (
        "client/test_resume.py::test_a_changed_file_restarts",
        "client/test_resume.py::test_a_server_that_ignores_if_range_is_found_out_by_its_etag",
        "client/test_resume.py::test_a_content_of_another_total_restarts",
        "client/test_parallel.py::test_when_the_others_are_refused_the_first_connection_goes_on")),
    9: ("a 206 with a wrong Content-Range", (
        "client/test_resume.py::test_a_wrong_content_range_is_an_error",
        "client/test_resume.py::test_several_ranges_at_once_are_an_error",
        "client/test_bad_servers.py::test_a_bad_answer_is_an_error_and_leaves_no_file")),
    10: ("a decompression bomb", (
        "client/test_decoding.py::test_a_bomb_ends_at_the_limit",
        "client/test_decoding.py::test_unasked_every_coding_is_refused",
        "client/test_bad_servers.py::test_a_compressed_body_on_a_redirect_is_not_decoded")),
    11: ("cut short, and taken for a success", (
        "client/test_bad_servers.py::test_a_bad_answer_is_an_error_and_leaves_no_file",
        "client/test_bad_servers.py::test_a_body_that_ends_with_the_connection_is_of_unverified_length",
        "client/test_decoding.py::test_an_unsound_coding_leaves_nothing",
        "client/test_resume_everywhere.py::test_after_a_break_at_any_byte_the_file_is_whole_or_absent")),
    12: ("a body that is endless or slow", (
        "client/test_timeouts.py::test_a_dripping_body_ends_at_the_total",
        "client/test_timeouts.py::test_the_minimum_rate_is_measured_over_half_a_minute",
        "client/test_download.py::test_an_undeclared_length_is_counted_to_the_limit_and_no_further")),
    13: ("control sequences in what is shown", (
        "cli/test_get.py::test_what_a_server_says_cannot_move_the_cursor",
        "client/test_download.py::test_an_error_status_is_an_error_with_its_reasons")),
    14: ("lines injected into a log", (
        "client/test_download_safety.py::test_no_error_has_two_lines",)),
    15: ("a digest of the same origin trusted over the caller's", (
        "client/test_download.py::test_the_callers_digest_wins_over_the_servers",
        "client/test_download.py::test_the_callers_digest_decides")),
    16: ("digests of a part, a coding and the whole confused", (
        "client/test_download_safety.py::test_of_a_resumed_file_the_digest_of_the_whole_is_compared",
        "client/test_download_safety.py::test_the_digest_of_a_part_says_nothing_about_the_whole",
        "client/test_decoding.py::test_the_servers_digests_are_of_the_coded_content")),
    17: ("an archive extracted", (
        "client/test_download_safety.py::test_an_archive_stays_an_archive",)),
    18: ("a mode, a file that can be executed", (
        "client/test_destinations.py::test_the_mode_follows_the_umask_and_is_never_executable",
        "client/test_destinations.py::test_the_mode_of_a_resumed_file_follows_the_umask_too")),
    19: ("TLS that is verified once and then not", (
        "net/test_tls.py::test_a_context_that_is_blinded_later_is_refused_at_the_next_request",
        "net/test_tls.py::test_each_hop_of_a_redirect_is_verified")),
    20: ("a proxy from the environment", (
        "client/test_download.py::test_the_environment_is_not_asked",)),
    21: ("a redirect into the private network", (
        "client/test_redirects.py::test_a_redirect_from_a_public_to_a_private_address_is_refused",
        "net/test_address_corpus.py::test_no_redirect_of_any_kind_leads_there")),
    22: ("leftovers, a full disk", (
        "client/test_download_safety.py::test_a_full_disk_leaves_nothing",
        "client/test_download_safety.py::test_a_file_for_which_there_is_no_room_is_refused_at_once",
        "client/test_destinations.py::test_a_limit_on_file_sizes_leaves_nothing")),
    23: ("a content that is not what name and type say", (
        "client/test_download.py::test_what_the_bytes_say_decides",
        "client/test_download.py::test_the_first_bytes_are_judged_before_anything_is_written")),
    24: ("names too long, or equal on some disks", (
        "client/test_destinations.py::test_a_name_as_long_as_names_may_be",
        "client/test_many.py::test_of_two_files_of_one_name_the_first_is_fetched")),
}  # fmt: skip


def test_the_rows_are_all_there() -> None:
    assert list(ROWS) == list(range(1, 25))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"row {row}: {ROWS[row][0]}")
def test_each_row_is_shown_by_tests_that_exist(row: int) -> None:
    for test in ROWS[row][1]:
        file, _, name = test.partition("::")
        assert re.search(rf"(?m)^def {name}\(", (TESTS / file).read_text("utf-8")), test


# --- rows that have no other home ----------------------------------------------------------

LONG = bytes(i % 251 for i in range(100_000))


def fetch(url: str, dest: str = "out.bin", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


SPLITTING: dict[str, bytes] = {
    "in a name": response(
        HTML, Content_Type="image/png", Content_Disposition="attachment; filename*=UTF-8''a%0d%0aEvil"
    ),
    "in a type": response(b"x", Content_Type="image/png\x85x\x0bEvil"),
    "in a problem": response(
        b'{"title": "a\\r\\nEvil", "detail": "b\\nEvil\\u2028Evil"}',
        status="404 Not",
        Content_Type="application/problem+json",
    ),
    "in a status line": b"HTTP/1.1 200 OK\x0bEvil\r\n\r\n",
    "in a redirect": response(b"", status="302 Go", Location="http://a\x85Evil/"),
}  # fmt: skip


@pytest.mark.parametrize("reply", SPLITTING.values(), ids=SPLITTING.keys())
def test_no_error_has_two_lines(reply: bytes, peer: StartPeer, folder: Path) -> None:
    with pytest.raises(WharfingerError) as caught:
        fetch(peer(saying(reply)).url, expect="image/gif")
    assert len(f"{caught.value} {caught.value.hint}".splitlines()) == 1


def digest_of(content: bytes) -> str:
    return f"sha-256=:{base64.b64encode(hashlib.sha256(content).digest()).decode()}:"


def resumed(peer: StartPeer, **fields: str) -> str:
    cut = response(LONG, ETag='"v"')[:-40_000]
    more = {name.replace("_", "-"): value for name, value in fields.items()}
    rest = response(
        LONG[60_000:],
        status="206 Partial Content",
        fields={"ETag": '"v"', "Content-Range": "bytes 60000-99999/100000", **more},
    )
    url = peer(saying(cut, rest)).url
    with pytest.raises(WharfingerError):
        fetch(url)
    return url


def test_of_a_resumed_file_the_digest_of_the_whole_is_compared(
    peer: StartPeer, folder: Path
) -> None:
    assert fetch(resumed(peer, Repr_Digest=digest_of(LONG))).resumed_from == 60_000
    (folder / "out.bin").unlink()
    with pytest.raises(IntegrityError):
        fetch(resumed(peer, Repr_Digest=digest_of(LONG[60_000:])))
    assert listing(folder) == []


def test_the_digest_of_a_part_says_nothing_about_the_whole(peer: StartPeer, folder: Path) -> None:
    got = fetch(resumed(peer, Content_Digest=digest_of(LONG[60_000:])))
    assert got.sha256 == hashlib.sha256(LONG).hexdigest()


def test_digests_that_contradict_each_other_prove_nothing(peer: StartPeer, folder: Path) -> None:
    fields = {"Repr-Digest": digest_of(b"other"), "Content-Digest": digest_of(b"hello")}
    with pytest.raises(BadResponse, match="contradict"):
        fetch(peer(saying(response(b"hello", fields=fields))).url)
    assert listing(folder) == []


def test_an_archive_stays_an_archive(peer: StartPeer, folder: Path) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        member = tarfile.TarInfo("../../outside")
        member.size = 5
        archive.addfile(member, io.BytesIO(b"hello"))
    fetch(peer(saying(response(packed.getvalue()))).url, "a.tar")
    assert (folder / "a.tar").read_bytes() == packed.getvalue()
    assert listing(folder) == ["a.tar"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a folder on a file system of 2 MiB; only root can make one."""
    place = tmp_path / "small"
    place.mkdir()
    made = os.geteuid() == 0 and not subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)],
        check=False, capture_output=True,
    ).returncode  # fmt: skip
    if not made:
        pytest.skip("no file system can be mounted here; RLIMIT_FSIZE has its own test")
    try:
        yield place
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("connections", [1, 4])
@pytest.mark.parametrize("chunked", [False, True], ids=["known length", "unknown length"])
def test_a_full_disk_leaves_nothing(
    chunked: bool, connections: int, small_disk: Path, peer: StartPeer
) -> None:
    content = bytes(5 * 1024 * 1024)
    reply = response(content, ETag='"v"', Accept_Ranges="bytes")
    if chunked:
        reply = (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n" % len(content)
            + content
            + b"\r\n0\r\n\r\n"
        )
    with pytest.raises(StorageFull) as caught:
        fetch(peer(saying(reply)).url, str(small_disk / "out.bin"), connections=connections)
    assert caught.value.exit_code == 10
    assert "Make room" in caught.value.hint
    assert listing(small_disk) == []
    small = fetch(peer(saying(response(LONG))).url, str(small_disk / "small.bin"))
    assert small.size == 100_000


def test_a_file_for_which_there_is_no_room_is_refused_at_once(
    small_disk: Path, peer: StartPeer
) -> None:
    def handler(exchange: object) -> None:
        exchange.send(response(bytes(20_000), length=3_000_000))  # type: ignore[attr-defined]
        exchange.sock.settimeout(10)  # type: ignore[attr-defined]
        exchange.sock.recv(1)  # type: ignore[attr-defined]

    # No more than the first bytes ever come: who waits for the disk to fill waits in vain.
    with pytest.raises(StorageFull, match="3000000 bytes"):
        fetch(peer(handler).url, str(small_disk / "out.bin"))
    assert listing(small_disk) == []


# --- errors travel -------------------------------------------------------------------------

RAISED: dict[str, tuple[bytes, dict[str, object]]] = {
    "too-large": (response(LONG), {"max_size": 10}),
    "active-content": (response(HTML, Content_Type="image/png"), {}),
    "content-type-mismatch": (response(HTML, Content_Type="text/html"), {"expect": "image/*"}),
    "type-not-allowed": (response(LONG), {"policy": wharfinger.Policy.images()}),
    "too-small": (response(b"x"), {"policy": wharfinger.Policy(min_size=5)}),
    "response": (response(b"", status="429 Slow", Retry_After="3"), {}),
    "bad-response": (b"nonsense\r\n\r\n", {}),
    "interrupted": (response(LONG, length=200_000), {}),
    "integrity": (response(LONG), {"sha256": "0" * 64}),
    "timeout": (b"", {"timeout": wharfinger.Timeout(total=0.000001)}),
    "address-refused": (b"", {"allow_private": False}),
    "usage": (b"", {"retries": -1}),
    "destination-unsafe": (response(LONG), {"dest": "a-pipe"}),
    "destination-exists": (response(LONG), {"dest": "a-file"}),
    "local-file": (response(LONG), {"dest": "absent/x"}),
}  # fmt: skip


@pytest.mark.parametrize("code", RAISED)
def test_an_error_can_be_pickled_with_all_it_says(code: str, peer: StartPeer, folder: Path) -> None:
    os.mkfifo("a-pipe")
    Path("a-file").touch()
    reply, options = RAISED[code]
    with pytest.raises(WharfingerError) as caught:
        fetch(peer(saying(reply)).url, **{"dest": "out.bin", **options})  # type: ignore[arg-type]
    error = caught.value
    assert error.code == code
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - made here
    assert (type(again), str(again), again.hint) == (type(error), str(error), error.hint)
    kept = {key: value for key, value in vars(error).items() if not key.startswith("__")}
    assert {key: vars(again)[key] for key in kept} == kept
