"""Turning a stored file into an answer: headers, preconditions, ranges, spans."""

from __future__ import annotations

import secrets
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO, Final, Literal

from wharfinger.protocol.delivery import Representation, plan
from wharfinger.protocol.digests import content_digest, preference, repr_digest
from wharfinger.protocol.disposition import format_disposition
from wharfinger.service import StoredFile
from wharfinger.service.settings import WharfSettings
from wharfinger.units import KIB
from wharfinger.web.answers import Answer, FileBody, HeaderPairs
from wharfinger.web.requests import RequestHead

# What a browser may show from a stranger without being able to run anything of it.
# Never HTML, SVG, XML or PDF: they are programs.
INLINE_TYPES: Final = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain"}
)

# Content from users can neither run, be framed nor learn where it was opened from
# (reference: OWASP ASVS 3.2.1, 3.4.3 to 3.4.8, 3.5.8).
_USER_CONTENT: Final[HeaderPairs] = (
    ("X-Content-Type-Options", "nosniff"),
    ("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
)
PRIVATE: Final = "private, no-store"
# A browser may keep it, and asks each time whether it is still to be had, in this version.
_REVALIDATED: Final = "private, no-cache"
_YEAR: Final = 31_536_000
_PARTIAL: Final = 206

DIGESTED: Final = 128 * KIB
"""Parts up to this many bytes get a Content-Digest when one is wanted: hashing takes 0.1 ms."""


def public_caching(stored: StoredFile, now: datetime) -> str:
    """Return the Cache-Control of a public file: its content never changes, but its time may end."""
    left = _YEAR
    if stored.expires_at is not None:
        left = max(0, min(_YEAR, int((stored.expires_at - now).total_seconds())))
    return f"public, max-age={left}, immutable"


def private_caching(settings: WharfSettings) -> str:
    """Return the Cache-Control of a file that is not for everybody."""
    return _REVALIDATED if settings.revalidate_private else PRIVATE


def stored_representation(
    stored: StoredFile,
    *,
    name: str | None = None,
    disposition: Literal["attachment", "inline"] = "attachment",
    cache_control: str = PRIVATE,
    ranges: bool = True,
) -> Representation:
    """Return what HTTP needs to know of a stored file."""
    return representation(
        length=stored.size,
        media_type=stored.type,
        name=name or stored.name,
        disposition=disposition,
        cache_control=cache_control,
        etag=f'"{stored.sha256}"',
        last_modified=stored.created_at,
        more=(("Repr-Digest", repr_digest(stored.sha256)),),
        ranges=ranges,
    )


def representation(
    *,
    length: int,
    media_type: str,
    name: str | None,
    disposition: Literal["attachment", "inline"],
    cache_control: str,
    etag: str | None,
    last_modified: datetime | None,
    more: HeaderPairs = (),
    ranges: bool = True,
) -> Representation:
    """Return a representation with the headers that everything from users carries."""
    return Representation(
        length=length,
        etag=etag,
        last_modified=None if last_modified is None else last_modified.replace(microsecond=0),
        headers=content_headers(media_type, name, disposition, cache_control) + more,
        ranges=ranges,
    )


def content_headers(
    media_type: str,
    name: str | None,
    disposition: Literal["attachment", "inline"],
    cache_control: str,
) -> HeaderPairs:
    """Return type, disposition, caching and the headers that keep content from acting."""
    essence = media_type.partition(";")[0].strip().lower()
    kind = disposition if essence in INLINE_TYPES else "attachment"
    with_charset = essence.startswith("text/") and "charset=" not in media_type.lower()
    return (
        ("Content-Type", f"{media_type}; charset=utf-8" if with_charset else media_type),
        ("Content-Disposition", kind if name is None else format_disposition(kind, name)),
        ("Cache-Control", cache_control),
        *_USER_CONTENT,
    )


def deliver(
    head: RequestHead, what: Representation, file: BinaryIO | None, *, now: datetime
) -> Answer:
    """Return the answer for GET or HEAD; it owns `file` (None for HEAD) from now on.

    Raises:
        PreconditionFailed, RangeNotSatisfiable: the file is closed then.
    """
    try:
        planned = plan(head.method, head.headers, what, now=now, boundary=secrets.token_hex(16))
    except BaseException:
        if file is not None:
            file.close()
        raise
    body = FileBody(file, planned.body) if file is not None else None
    if body is not None and body.length:
        return _with_content_digest(
            head, Answer(status=planned.status, headers=planned.headers, body=body)
        )
    if body is not None:
        body.close()
    return Answer(status=planned.status, headers=planned.headers)


def _with_content_digest(head: RequestHead, answer: Answer) -> Answer:
    """Return the answer with the digest of a part, if it is wanted and the part is small.

    That of the whole comes from the record and was put there by the plan.
    """
    body = answer.body
    if (
        not isinstance(body, FileBody)
        or answer.status != _PARTIAL
        or body.length > DIGESTED
        or not preference(head.headers, "Want-Content-Digest")
    ):
        return answer
    # Read twice, so that the answer stays one of a file: what is counted of it counts what is sent.
    try:
        digest = content_digest(body.read())
    except BaseException:
        body.close()
        raise
    return replace(answer, headers=(*answer.headers, ("Content-Digest", digest)))
