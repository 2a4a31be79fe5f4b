"""tus 1.0.0 as the serving side reads it: what the fields of a request say. Pure.

What is malformed is a `RequestError` (400), never a guess. Metadata is kept as the client
wrote it, because HEAD says it again byte for byte; only the keys for name and type mean
something here, and what they hold are claims, to be judged like any others.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from wharfinger.errors import RequestError, UnsupportedContentType, UnsupportedVersion
from wharfinger.names import show
from wharfinger.protocol.content_type import essence
from wharfinger.protocol.tus import CONTENT_TYPE, VERSION

if TYPE_CHECKING:
    from wharfinger.protocol.headers import Headers

__all__ = [
    "ALGORITHMS",
    "EXTENSIONS",
    "PARTIAL",
    "Checksum",
    "check_content_type",
    "check_version",
    "checksum",
    "claimed_name",
    "claimed_type",
    "final_parts",
    "is_partial",
    "length",
    "metadata",
    "number",
]

EXTENSIONS: Final = (
    "creation", "creation-with-upload", "creation-defer-length", "expiration", "checksum",
    "termination", "concatenation",
)  # fmt: skip
# The names of digests and their sizes in bytes.
ALGORITHMS: Final[Mapping[str, int]] = {"sha1": 20, "sha256": 32}
# What Upload-Concat says of an upload whose bytes are only ever a part of another one.
PARTIAL: Final = "partial"

# As many digits as any disk needs; `int` of more is slow by design of whoever sends them.
_NUMBER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_KEY: Final = re.compile(r"[!-+\--~]+", re.ASCII)  # visible ASCII without the comma
_FINAL: Final = "final;"
# More parts than any client makes; each is looked up.
_MOST_PARTS: Final = 1000
_NAME_KEYS: Final = ("filename", "name")
_TYPE_KEYS: Final = ("filetype", "type")


def check_version(headers: Headers) -> None:
    """Return if a request speaks our version. Raises UnsupportedVersion."""
    version = headers.get("Tus-Resumable")
    if version is None or version.strip() != VERSION:
        said = "without one" if version is None else f"in {show(version, limit=20)!r}"
        raise UnsupportedVersion(
            f"This upload is spoken to in tus {VERSION}, not {said}.",
            supported=(VERSION,),
            hint=f"Send Tus-Resumable: {VERSION}.",
        )


def check_content_type(headers: Headers) -> None:
    """Return if the body of a request is bytes of an upload. Raises UnsupportedContentType."""
    said = headers.get("Content-Type")
    if essence(said) != CONTENT_TYPE:
        shown = "without a type" if said is None else f"as {show(said, limit=60)!r}"
        raise UnsupportedContentType(f"The bytes of an upload come as {CONTENT_TYPE}, not {shown}.")


def number(headers: Headers, name: str) -> int | None:
    """Return a number of bytes, or None when the field is absent.

    Raises:
        RequestError: it is no non-negative integer, or came twice.
    """
    value = headers.single(name)
    if value is None:
        return None
    value = value.strip()
    if not _NUMBER.fullmatch(value):
        raise RequestError(f"{name} is no number of bytes: {show(value, limit=40)!r}.")
    return int(value)


def length(headers: Headers) -> int | None:
    """Return the length that a creation declares, None when it is to follow.

    Raises:
        RequestError: neither or both are said, or one is malformed.
    """
    said = number(headers, "Upload-Length")
    deferred = headers.single("Upload-Defer-Length")
    if deferred is not None and deferred.strip() != "1":
        raise RequestError("Upload-Defer-Length is 1, or is left out.")
    if (said is None) == (deferred is None):
        both = "both" if said is not None else "neither"
        raise RequestError(
            f"A creation has Upload-Length or Upload-Defer-Length: 1; this one has {both}."
        )
    return said


def metadata(value: str | None) -> dict[str, bytes]:
    """Return what Upload-Metadata says; an absent or empty field says nothing.

    Raises:
        RequestError: a key is empty, not visible ASCII or comes twice, or a value is not
            base64.
    """
    found: dict[str, bytes] = {}
    if value is None or not value.strip():
        return found
    for pair in value.split(","):
        key, _, encoded = pair.strip().partition(" ")
        if not _KEY.fullmatch(key):
            raise RequestError(f"Upload-Metadata has the key {show(key, limit=40)!r}.")
        if key in found:
            raise RequestError(f"Upload-Metadata has the key {show(key, limit=40)!r} twice.")
        try:
            found[key] = base64.b64decode(encoded.strip(), validate=True)
        except (binascii.Error, ValueError) as error:
            raise RequestError(
                f"The value of {show(key, limit=40)!r} in Upload-Metadata is not base64."
            ) from error
    return found


def claimed_name(pairs: Mapping[str, bytes]) -> str | None:
    """Return the file name that metadata claims, if it does.

    Raises:
        RequestError: it is not UTF-8.
    """
    for key in _NAME_KEYS:
        if pairs.get(key):
            return _text(key, pairs[key])
    return None


def claimed_type(pairs: Mapping[str, bytes]) -> str | None:
    """Return the media type that metadata claims, if it does.

    Clients write "null" or nothing when they do not know it, and some have a `type` that is
    none of media: what has no slash claims nothing.

    Raises:
        RequestError: it is not UTF-8.
    """
    for key in _TYPE_KEYS:
        said = _text(key, pairs.get(key, b""))
        if "/" in said:
            return said
    return None


def _text(key: str, value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RequestError(f"The value of {key!r} in Upload-Metadata is not UTF-8.") from error


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the body of one request must come to: a name of `ALGORITHMS`, and the digest."""

    algorithm: str
    digest: bytes


def checksum(headers: Headers) -> Checksum | None:
    """Return the checksum that a request names, if it does.

    Raises:
        RequestError: the algorithm is unknown, or the digest is not one of it.
    """
    value = headers.single("Upload-Checksum")
    if value is None:
        return None
    algorithm, _, encoded = value.strip().partition(" ")
    size = ALGORITHMS.get(algorithm)
    if size is None:
        raise RequestError(
            f"Upload-Checksum names {show(algorithm, limit=20)!r}.",
            hint=f"Known: {', '.join(ALGORITHMS)}.",
        )
    try:
        digest = base64.b64decode(encoded.strip(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError("The digest in Upload-Checksum is not base64.") from error
    if len(digest) != size:
        raise RequestError(
            f"The digest in Upload-Checksum has {len(digest)} bytes; {algorithm} has {size}."
        )
    return Checksum(algorithm, digest)


def is_partial(concat: str | None) -> bool:
    """Return whether Upload-Concat makes a partial upload.

    Raises:
        RequestError: it makes neither a partial nor a final one.
    """
    if concat is None or concat.startswith(_FINAL):
        return False
    if concat == PARTIAL:
        return True
    raise RequestError(f"Upload-Concat is {show(concat, limit=40)!r}.")


def final_parts(concat: str | None) -> list[str] | None:
    """Return the addresses of the parts that a final upload is made of; None for another one.

    Raises:
        RequestError: there are none, or too many.
    """
    if concat is None or not concat.startswith(_FINAL):
        return None
    parts = concat.removeprefix(_FINAL).split()
    if not 0 < len(parts) <= _MOST_PARTS:
        raise RequestError(
            f"Upload-Concat names {len(parts)} parts; a final upload has 1 to {_MOST_PARTS}."
        )
    return parts
