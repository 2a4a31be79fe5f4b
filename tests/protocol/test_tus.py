"""tus 1.0.0 as values. The numbers are those of the client's rules in `protocol.tus`."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wharfinger.errors import BadResponse, UsageError
from wharfinger.protocol import tus
from wharfinger.protocol.headers import Headers
from wharfinger.protocol.tus import Abilities, Next

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0), ("5", 5), ("007", 7), ("9" * 19, 10**19 - 1)]
)
def test_rule_1_a_number_is_a_non_negative_integer(text: str, value: int) -> None:
    assert tus.number(Headers([("Upload-Offset", text)]), "upload-offset") == value


@pytest.mark.parametrize("text", ["", "-1", "+1", "1.0", " 1", "1,1", "0x1", "٣", "1e3", "9" * 20])
def test_rule_1_anything_else_is_an_unsound_answer(text: str) -> None:
    with pytest.raises(BadResponse):
        tus.number(Headers([("Upload-Offset", text)]), "Upload-Offset")


def test_rule_1_a_number_that_comes_twice_is_unsound_and_one_that_is_absent_is_none() -> None:
    with pytest.raises(BadResponse):
        tus.number(Headers([("Upload-Offset", "1"), ("upload-offset", "1")]), "Upload-Offset")
    assert tus.number(Headers(), "Upload-Offset") is None


def test_rule_18_what_a_server_can_do_is_read_from_its_lists() -> None:
    headers = Headers(
        [
            ("Tus-Version", "1.0.0,0.2.2"),
            ("Tus-Extension", "creation, checksum ,,expiration"),
            ("Tus-Max-Size", "1073741824"),
            ("Tus-Checksum-Algorithm", "md5,sha1,sha256"),
        ]
    )
    found = Abilities.of(headers)
    assert found.versions == ("1.0.0", "0.2.2")
    assert found.extensions == {"creation", "checksum", "expiration"}
    assert found.max_size == 1073741824
    assert found.algorithm == "sha256"
    assert found.has("creation")
    assert not found.has("termination")
    assert Abilities.of(Headers()) == Abilities()


@pytest.mark.parametrize(
    ("extensions", "algorithms", "chosen"),
    [
        ("checksum", "sha1", "sha1"),
        ("checksum", "crc32,sha512,sha1", "sha512"),
        ("checksum", "crc32", None),
        ("checksum", "", None),
        ("creation", "sha256", None),
    ],
)
def test_rule_38_only_an_announced_algorithm_is_used(
    extensions: str, algorithms: str, chosen: str | None
) -> None:
    pairs = [("Tus-Extension", extensions), ("Tus-Checksum-Algorithm", algorithms)]
    assert Abilities.of(Headers(pairs)).algorithm == chosen


def test_rule_26_metadata_is_keys_and_base64() -> None:
    # printf 'world_domination_plan.pdf' | base64 -- the example of the protocol's text
    pairs = {
        "filename": "world_domination_plan.pdf",
        "is_confidential": "",
        "ü".encode().hex(): "ü",
    }
    assert tus.metadata(pairs) == (
        "filename d29ybGRfZG9taW5hdGlvbl9wbGFuLnBkZg==,is_confidential,c3bc w7w="
    )
    assert tus.metadata({}) == ""


@pytest.mark.parametrize("key", ["", "a b", "a,b", "ä", "a\n", "\x7f"])
def test_rule_26_a_key_that_would_become_another_is_refused(key: str) -> None:
    with pytest.raises(UsageError):
        tus.metadata({key: "x"})


def test_rule_39_a_checksum_names_its_algorithm() -> None:
    digest = bytes.fromhex("2aae6c35c94fcfb415dbe95f408b9ce91ee846ed")  # sha1 of "hello world"
    assert tus.checksum("sha1", digest) == "sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0="


def test_rule_45_and_46_the_parts_of_a_final_upload_are_named_in_their_order() -> None:
    assert tus.final(["/files/b", "http://h/a"]) == "final;/files/b http://h/a"
    for bad in ("", "/files/a b"):
        with pytest.raises(BadResponse):
            tus.final(["/files/a", bad])


@pytest.mark.parametrize(
    ("length", "count", "parts"),
    [
        (10, 1, [(0, 10)]),
        (10, 3, [(0, 4), (4, 3), (7, 3)]),
        (2, 5, [(0, 1), (1, 1)]),
        (0, 4, [(0, 0)]),
        (5, 0, [(0, 5)]),
    ],
)
def test_parts_cover_the_whole(length: int, count: int, parts: list[tuple[int, int]]) -> None:
    assert tus.spans(length, count) == parts


def test_rule_37_the_date_of_expiry_is_read() -> None:
    headers = Headers([("Upload-Expires", "Wed, 25 Jun 2014 16:00:00 GMT")])
    assert tus.expires(headers, NOW) == datetime(2014, 6, 25, 16, 0, tzinfo=UTC)
    assert tus.expires(Headers([("Upload-Expires", "tomorrow")]), NOW) is None
    assert tus.expires(Headers(), NOW) is None


STATUSES = [
    ("HEAD", 403, Next.ANEW), ("HEAD", 404, Next.ANEW), ("HEAD", 410, Next.ANEW),
    ("PATCH", 404, Next.ANEW), ("PATCH", 410, Next.ANEW), ("PATCH", 403, Next.STOP),
    ("PATCH", 409, Next.ASK), ("PATCH", 423, Next.WAIT), ("HEAD", 423, Next.WAIT),
    ("PATCH", 429, Next.WAIT), ("PATCH", 460, Next.WAIT), ("PATCH", 500, Next.WAIT),
    ("HEAD", 503, Next.WAIT), ("HEAD", 401, Next.STOP), ("PATCH", 413, Next.STOP),
    ("PATCH", 412, Next.STOP), ("PATCH", 415, Next.STOP), ("PATCH", 400, Next.STOP),
]  # fmt: skip


@pytest.mark.parametrize(("method", "status", "then"), STATUSES)
def test_what_follows_an_error_status(method: str, status: int, then: Next) -> None:
    assert tus.after(method, status) is then
