"""Resumable Uploads for HTTP (draft-ietf-httpbis-resumable-upload) as values, for both ends.

The rules:

1. All fields are structured fields (RFC 9651). One of the wrong type, or that comes twice, is
   as if it were not there: `Upload-Complete: true` makes an ordinary request.
2. What tells the length of the whole (the end of a request marked as the last, and
   Upload-Length) agrees, or the request is wrong.
3. An interim answer (104) goes only to a client that named a version we speak, and counts
   only when it names the version that was asked for.
4. A client goes on after an error only where the status or the server's words say that it
   helps. `Upload-Complete: ?1` makes any answer the final one.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Final

from wharfinger.errors import InconsistentLength

if TYPE_CHECKING:
    from wharfinger.protocol.headers import Headers

__all__ = [
    "CONTENT_TYPE",
    "INTERIM",
    "SERVER_ERROR",
    "VERSION",
    "VERSIONS",
    "Limits",
    "Next",
    "after",
    "append_size",
    "boolean",
    "complete",
    "length",
    "offset",
    "problem_type",
    "smaller",
    "version",
    "whole_length",
]

CONTENT_TYPE: Final = "application/partial-upload"
INTERIM: Final = 104  # Upload Resumption Supported
VERSION: Final = 8  # what the client says it speaks
VERSIONS: Final = frozenset({5, 6, 8})
# The first version in which an append must say what it is.
TYPED_FROM: Final = 6

# The types of problems that the draft registers, by the code of our errors.
_PROBLEMS: Final = {
    "offset-mismatch": "mismatching-upload-offset",
    "inconsistent-length": "inconsistent-upload-length",
    "upload-over": "completed-upload",
}
_REGISTRY: Final = "https://iana.org/assignments/http-problem-types#"

_CONFLICT: Final = 409
_TOO_LARGE: Final = 413
_GONE: Final = frozenset({404, 410})
_WAIT: Final = frozenset({408, 423, 425, 429})
SERVER_ERROR: Final = 500


# --- fields -------------------------------------------------------------------------------


def _item(headers: Headers, name: str) -> object:
    """Return the bare value of an item field, None when there is none that can be read."""
    lines = headers.get_all(name)
    if len(lines) != 1:
        return None
    import http_sf  # late: it takes 15 ms, and most requests have no such field

    try:
        parsed = http_sf.parse(lines[0].encode("ascii"), tltype="item")
    except ValueError:  # includes StructuredFieldError and UnicodeEncodeError
        return None
    return parsed[0] if isinstance(parsed, tuple) else None


def _integer(headers: Headers, name: str) -> int | None:
    value = _item(headers, name)
    return value if type(value) is int and value >= 0 else None


def complete(headers: Headers) -> bool | None:
    """Return what Upload-Complete says, None when it says nothing."""
    value = _item(headers, "Upload-Complete")
    return value if isinstance(value, bool) else None


def offset(headers: Headers) -> int | None:
    """Return Upload-Offset in bytes, None when it says nothing."""
    return _integer(headers, "Upload-Offset")


def length(headers: Headers) -> int | None:
    """Return Upload-Length in bytes, None when it says nothing."""
    return _integer(headers, "Upload-Length")


def version(headers: Headers) -> int | None:
    """Return the version of the draft that a message names, None when it names none."""
    return _integer(headers, "Upload-Draft-Interop-Version")


def boolean(value: bool) -> str:  # noqa: FBT001 - the one thing it is about
    """Return a Boolean as a structured field."""
    return "?1" if value else "?0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What Upload-Limit says; sizes in bytes, `max_age` in seconds, None: no such limit."""

    max_size: int | None = None
    min_size: int | None = None
    max_append_size: int | None = None
    min_append_size: int | None = None
    max_age: int | None = None

    @classmethod
    def of(cls, headers: Headers) -> Limits | None:
        """Return the limits of a message; None when it has none, or one of the wrong type."""
        value = headers.get("Upload-Limit")
        if value is None:
            return None
        import http_sf  # late, as above

        try:
            members = http_sf.parse(value.encode("ascii"), tltype="dictionary")
        except ValueError:
            return None
        assert isinstance(members, dict)  # noqa: S101 - what `tltype` asked for
        known: dict[str, int] = {}
        for one in fields(cls):
            member = members.get(one.name.replace("_", "-"))
            if member is None:
                continue
            number = member[0] if isinstance(member, tuple) else member
            if type(number) is not int or number < 0:
                return None
            known[one.name] = number
        return cls(**known)

    def field(self) -> str:
        """Return the value of Upload-Limit."""
        values = ((one.name.replace("_", "-"), getattr(self, one.name)) for one in fields(self))
        return ", ".join(f"{name}={value}" for name, value in values if value is not None)


# --- the length of the whole --------------------------------------------------------------


def whole_length(*, start: int, last: bool | None, content: int | None, told: int | None,
                 known: int | None = None) -> int | None:  # fmt: skip
    """Return how long the whole is as far as a request tells, None when nobody knows yet.

    Args:
        start: the offset at which the request's content begins.
        last: whether it is marked as the last.
        content: its length; None while only its end will tell.
        told: its Upload-Length.
        known: what earlier requests told.

    Raises:
        InconsistentLength: they disagree.
    """
    found = {one for one in (told, known) if one is not None}
    if last and content is not None:
        found.add(start + content)
    if len(found) > 1:
        low, high = min(found), max(found)
        raise InconsistentLength(
            f"The length of the whole is said to be {low} and {high} bytes.", lengths=(low, high)
        )
    return next(iter(found), None)


# --- problems -----------------------------------------------------------------------------


def problem_type(code: str) -> str | None:
    """Return the type of problem that the draft registers for an error, None when there is none."""
    name = _PROBLEMS.get(code)
    return None if name is None else f"{_REGISTRY}{name}"


# --- the client ---------------------------------------------------------------------------


class Next(Enum):
    """What a client does after an answer with an error status."""

    FINAL = "final"  # it is the answer to the whole: there is nothing to go on with
    THERE = "there"  # go on at the offset that it names
    ASK = "ask"  # learn by HEAD where the upload stands, after a while
    WAIT = "wait"  # go on after a while
    SHRINK = "shrink"  # send less at a time
    ANEW = "anew"  # the upload is gone: create another
    STOP = "stop"  # it will not get better


def after(status: int, headers: Headers) -> Next:
    """Return what a client does after an error status, by the draft's rules for retrying."""
    final = complete(headers)
    if final:
        return Next.FINAL
    if status == _CONFLICT and final is False and offset(headers) is not None:
        return Next.THERE
    if status == _TOO_LARGE:
        return Next.SHRINK
    if status in _GONE:
        return Next.ANEW
    if status in _WAIT:
        return Next.WAIT
    return Next.ASK if status >= SERVER_ERROR else Next.STOP


_SMALLEST: Final = 64 * 1024


def append_size(left: int, wanted: int | None, limits: Limits) -> int:
    """Return how much to send next of `left` bytes.

    Args:
        left: the bytes that are missing.
        wanted: how much a request should have at most, None: all of it.
        limits: a known largest and smallest append; what is left behind keeps to them, too.
    """
    size = left if wanted is None else min(left, wanted)
    least = limits.min_append_size or 0
    size = max(size, min(least, left))
    if limits.max_append_size is not None:
        size = min(size, max(limits.max_append_size, 1))
    rest = left - size
    if 0 < rest < least and left - least >= least:
        size = left - least
    return size


def smaller(sent: int, limits: Limits) -> int | None:
    """Return how much to send at a time after `sent` bytes were too many; None: give up."""
    if limits.max_append_size is not None and limits.max_append_size < sent:
        size = limits.max_append_size
    else:
        size = sent // 2
    least = max(limits.min_append_size or 0, 1 if limits.max_append_size else _SMALLEST)
    return size if size >= least else None
