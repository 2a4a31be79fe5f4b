"""Digest fields (RFC 9530): `Repr-Digest: sha-256=:...:`.

Only SHA-256 and SHA-512 count; other algorithms are ignored, because the RFC calls
them insecure or nobody has registered them.
"""

from __future__ import annotations

import base64
from typing import Final

from wharfinger.errors import RequestError

__all__ = ["parse_digest", "repr_digest"]

_LENGTHS: Final = {"sha-256": 32, "sha-512": 64}


def repr_digest(sha256_hex: str) -> str:
    """Return the value of Repr-Digest for a SHA-256 written in hexadecimal."""
    encoded = base64.b64encode(bytes.fromhex(sha256_hex)).decode("ascii")
    return f"sha-256=:{encoded}:"


def parse_digest(value: str) -> dict[str, bytes]:
    """Return the digests of a Repr-Digest or Content-Digest field that can be checked, by name.

    Raises:
        RequestError: the field is malformed, names an algorithm twice, or a digest has
            the wrong length.
    """
    import http_sf  # late: it takes 15 ms, and most transfers have no digest to parse

    def twice(key: str, _where: str) -> None:
        raise RequestError(f"The digest field names {key} twice.")

    try:
        members = http_sf.parse(value.encode("ascii"), tltype="dictionary", on_duplicate_key=twice)
    except ValueError as error:  # includes http_sf.StructuredFieldError and UnicodeEncodeError
        raise RequestError("The digest field is malformed.", hint=_HINT) from error
    assert isinstance(members, dict)  # noqa: S101 - what `tltype` asked for
    digests: dict[str, bytes] = {}
    for name, member in members.items():
        length = _LENGTHS.get(name)
        if length is None:
            continue
        digest = member[0] if isinstance(member, tuple) else member
        if not isinstance(digest, bytes) or len(digest) != length:
            raise RequestError(f"The {name} digest is not {length} bytes in base64.", hint=_HINT)
        digests[name] = digest
    return digests


_HINT: Final = "Write it like sha-256=:BASE64:."
