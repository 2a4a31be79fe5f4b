from __future__ import annotations

import hashlib

import pytest

from wharfinger.errors import RequestError
from wharfinger.protocol.digests import content_digest, parse_digest, preference, repr_digest
from wharfinger.protocol.headers import Headers

# RFC 9530 appendix B.1: the SHA-256 of '{"hello": "world"}\n' and its SHA-512 (appendix D).
HELLO = b'{"hello": "world"}\n'
SHA256 = "sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:"
SHA512 = (
    "sha-512=:YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCs"
    "yRZOtw8MjkM7iw7yZ/WkppmM44T3qg==:"
)


def test_the_example_of_the_rfc_is_written() -> None:
    hexadecimal = "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38"
    assert repr_digest(hexadecimal) == SHA256


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (SHA256, {"sha-256": hashlib.sha256(HELLO).digest()}),
        (SHA512, {"sha-512": hashlib.sha512(HELLO).digest()}),
        (
            f"{SHA256}, {SHA512}",
            {
                "sha-256": hashlib.sha256(HELLO).digest(),
                "sha-512": hashlib.sha512(HELLO).digest(),
            },
        ),
        (f"{SHA256};source=client", {"sha-256": hashlib.sha256(HELLO).digest()}),
        ("md5=:1B2M2Y8AsgTpgAmY7PhCfg==:", {}),
        ("unixsum=30637, crc32c=:AAAAAA==:", {}),
        ("", {}),
    ],
)
def test_known_algorithms_are_read_and_others_ignored(
    value: str, expected: dict[str, bytes]
) -> None:
    assert parse_digest(value) == expected


@pytest.mark.parametrize(
    "value",
    [
        "sha-256",
        "sha-256=",
        "sha-256=abc",
        'sha-256="abc"',
        "sha-256=:AAAA:",
        "sha-256=::",
        "sha-256=:***:",
        "sha-256=(:AAAA: :AAAA:)",
        "SHA-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg=:",
        f"{SHA256},",
        f"{SHA256}, {SHA256}",
        f"{SHA256} x",
        "sha-256=:é:",
        "=",
        "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38",
    ],
)
def test_a_malformed_or_repeated_digest_is_an_error(value: str) -> None:
    with pytest.raises(RequestError):
        parse_digest(value)


@pytest.mark.parametrize(
    ("lines", "wish"),
    [
        pytest.param([], None, id="absent"),
        pytest.param(["sha-256=10"], 10, id="most"),
        pytest.param(["sha-256=0"], 0, id="not at all"),
        pytest.param(["sha-512=3, sha-256=10, unixsum=0"], 10, id="the example of RFC 9530"),
        pytest.param(["sha-512=3", "sha-256=1"], 1, id="two lines are one dictionary"),
        pytest.param(["sha-256=1;a=b"], 1, id="with a parameter"),
        pytest.param(["sha-512=10"], None, id="another algorithm"),
        pytest.param(["sha-256=11"], None, id="out of range"),
        pytest.param(["sha-256=-1"], None, id="negative"),
        pytest.param(["sha-256=1.0"], None, id="a decimal"),
        pytest.param(["sha-256"], None, id="true"),
        pytest.param(["sha-256=(1 2)"], None, id="a list"),
        pytest.param(["sha-256="], None, id="malformed"),
        pytest.param(["ä"], None, id="not ASCII"),
    ],
)
def test_a_wish_for_a_digest_is_understood_or_ignored(lines: list[str], wish: int | None) -> None:
    headers = Headers([("Want-Repr-Digest", line) for line in lines])
    assert preference(headers, "Want-Repr-Digest") == wish


def test_the_digest_of_a_content_is_written_as_the_standard_writes_it() -> None:
    # RFC 9530 appendix B.2: that of no content.
    assert content_digest(b"") == "sha-256=:47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=:"
