"""Digest fields (RFC 9530): `Repr-Digest: sha-256=:...:`.

Only SHA-256 and SHA-512 count; other algorithms are ignored, because the RFC calls
them insecure or nobody has registered them.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Final

from wharfinger.errors import RequestError

if TYPE_CHECKING:
    from wharfinger.protocol.headers import Headers

__all__ = ["content_digest", "parse_digest", "preference", "repr_digest"]

_LENGTHS: Final = {"sha-256": 32, "sha-512": 64}


def repr_digest(sha256_hex: str) -> str:
    """Return the value of Repr-Digest for a SHA-256 written in hexadecimal."""
    encoded = base64.b64encode(bytes.fromhex(sha256_hex)).decode("ascii")
    return f"sha-256=:{encoded}:"


def content_digest(content: bytes) -> str:
    """Return the value of Content-Digest for a content."""
    return repr_digest(hashlib.sha256(content).hexdigest())


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


def preference(headers: Headers, name: str) -> int | None:
    """Return how much the sender of `headers` wants a SHA-256, from 0 (not at all) to 10.

    None: it does not say, or not in a way that can be understood (a preference, so it is no
    error). `name` is Want-Repr-Digest or Want-Content-Digest (RFC 9530 section 4).
    """
    value = headers.get(name)
    if value is None:
        return None
    import http_sf  # late, as above

    try:
        members = http_sf.parse(value.encode("ascii"), tltype="dictionary")
    except ValueError:
        return None
    assert isinstance(members, dict)  # noqa: S101 - what `tltype` asked for
    member = members.get("sha-256")
    wish = member[0] if isinstance(member, tuple) else member
    if not isinstance(wish, int) or isinstance(wish, bool) or not 0 <= wish <= _MOST_WANTED:
        return None
    return wish


_MOST_WANTED: Final = 10
_HINT: Final = "Write it like sha-256=:BASE64:."
