from __future__ import annotations

import hashlib

import pytest

from wharfinger.errors import RequestError
from wharfinger.protocol.digests import parse_digest, repr_digest

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
