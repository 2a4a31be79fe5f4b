"""Errors as HTTP answers: application/problem+json (RFC 9457), both ways.

What an answer may say is decided here, by the kind of error. Errors about the request
speak for themselves; errors about this machine, its network or its configuration can
name paths, addresses and buckets, so they get a fixed sentence and no fact.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Final

from wharfinger.errors import (
    Forbidden,
    IntegrityError,
    InternalError,
    MethodNotAllowed,
    NotFound,
    NotReady,
    PasswordRequired,
    RangeNotSatisfiable,
    Rejected,
    RequestError,
    StorageFull,
    TooLarge,
    TooManyRequests,
    Unauthenticated,
    Unavailable,
    UnsupportedVersion,
    UsageError,
    WharfingerError,
)
from wharfinger.protocol.content_type import essence

__all__ = ["MEDIA_TYPE", "Problem", "parse_problem", "problem"]

MEDIA_TYPE: Final = "application/problem+json"
TYPE_PREFIX: Final = "urn:wharfinger:error:"

# Long enough for every detail and hint; an error page from somebody else is not read in full.
MAX_BODY: Final = 64 * 1024
# Short, because what is away is usually being restarted.
_RETRY_AFTER_SECONDS: Final = 5
_UNAVAILABLE: Final = 503

# The kinds whose own words are public. Everything else is a matter of this machine.
_PUBLIC: Final = (
    Rejected,
    RequestError,
    UsageError,
    Unauthenticated,
    Forbidden,
    NotFound,
    NotReady,
    TooManyRequests,
    IntegrityError,
)
_FACTS: Final[tuple[tuple[type[WharfingerError], tuple[str, ...]], ...]] = (
    (TooLarge, ("limit", "size")),
    (Forbidden, ("scope",)),
    (RangeNotSatisfiable, ("length",)),
    (MethodNotAllowed, ("allowed",)),
    (UnsupportedVersion, ("supported",)),
    (InternalError, ("reference",)),
)
# RFC 6749 section 3.3.
_SCOPE: Final = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+(?: [\x21\x23-\x5b\x5d-\x7e]+)*")


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """An error as an answer: the status, the complete fields, the body and its JSON document.

    `body` is empty for HEAD; Content-Length is what GET would have.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    document: dict[str, object]


def problem(error: WharfingerError, *, method: str = "GET") -> Problem:
    """Return the answer that an error becomes.

    Args:
        error: any error of the tree.
        method: the method of the request that failed.
    """
    public = isinstance(error, _PUBLIC) and error.http_status < 500  # noqa: PLR2004
    document: dict[str, object] = {
        "type": f"{TYPE_PREFIX}{error.code}",
        "title": error.title,
        "status": error.http_status,
        "detail": error.detail if public else _fixed(error),
        "code": error.code,
    }
    if public and error.hint:
        document["hint"] = error.hint
    for kind, names in _FACTS:
        if isinstance(error, kind):
            for name in names:
                value: object = getattr(error, name)
                if value not in (None, ""):
                    document[name] = list(value) if isinstance(value, tuple) else value
    body = json.dumps(document).encode("ascii")
    return Problem(
        status=error.http_status,
        headers=(
            ("Content-Type", MEDIA_TYPE),
            ("Content-Length", str(len(body))),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            *_fields(error),
        ),
        body=b"" if method == "HEAD" else body,
        document=document,
    )


def parse_problem(content_type: str | None, body: bytes) -> dict[str, object] | None:
    """Return the problem document of somebody's answer, or None when there is none.

    Never raises, whatever the body is. Members that are not known are kept; nothing of
    it is to be believed or shown unescaped.
    """
    if essence(content_type) != MEDIA_TYPE or len(body) > MAX_BODY:
        return None
    try:
        document: object = json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _fixed(error: WharfingerError) -> str:
    match error:
        case StorageFull():
            return "There is no room left for this. Nothing of it was kept."
        case Unavailable():
            return "A part that this service needs is away. Try again later."
        case InternalError():
            return "The service failed. The reference is in its log."
        case _:
            return "The service cannot do this. The reason is in its log."


def _fields(error: WharfingerError) -> list[tuple[str, str]]:
    match error:
        case PasswordRequired():
            return [("WWW-Authenticate", 'Basic realm="wharfinger link", charset="UTF-8"')]
        case Unauthenticated():
            return [
                ("WWW-Authenticate", _challenge(error="invalid_token" if error.invalid else ""))
            ]
        case Forbidden() if _SCOPE.fullmatch(error.scope):
            challenge = _challenge(error="insufficient_scope", scope=error.scope)
            return [("WWW-Authenticate", challenge)]
        case TooManyRequests():
            return [("Retry-After", str(error.retry_after))]
        case UnsupportedVersion():
            return [("Tus-Version", ",".join(error.supported))]
        case MethodNotAllowed():
            return [("Allow", ", ".join(error.allowed))]
        case RangeNotSatisfiable():
            return [("Content-Range", f"bytes */{error.length}"), ("Accept-Ranges", "bytes")]
        case NotReady():
            return [("Retry-After", str(_RETRY_AFTER_SECONDS))]
        case _ if error.http_status == _UNAVAILABLE and error.retryable:
            return [("Retry-After", str(_RETRY_AFTER_SECONDS))]
        case _:
            return []


def _challenge(*, error: str, scope: str = "") -> str:
    """Return a challenge of RFC 6750 section 3: no error for a request without a token."""
    parts = ['Bearer realm="wharfinger"']
    if error:
        parts.append(f'error="{error}"')
    if scope:
        parts.append(f'scope="{scope}"')
    return ", ".join(parts)
