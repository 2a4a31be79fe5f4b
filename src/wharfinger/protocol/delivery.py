"""A request and a representation in, what to send out.

One plan for every shell: status, the complete fields and the body, which is made of
bytes of its own and spans of the file.

Several ranges become parts of one answer. Never is a byte sent twice, are there more
than `MAX_PARTS` parts, or is the answer longer than the file: where a request asks for
that, its Range is ignored, which RFC 9110 section 14.2 allows and recommends.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from wharfinger.errors import MethodNotAllowed, RangeNotSatisfiable
from wharfinger.names import show
from wharfinger.protocol.byteranges import Piece, byteranges, content_range, length_of
from wharfinger.protocol.dates import format_http_date
from wharfinger.protocol.digests import preference
from wharfinger.protocol.preconditions import evaluate, if_range_holds
from wharfinger.protocol.ranges import Span, join, parse_range, resolve

if TYPE_CHECKING:
    from wharfinger.protocol.headers import Headers

__all__ = ["MAX_PARTS", "Piece", "Plan", "Representation", "Span", "plan"]

MAX_PARTS: Final = 10

# RFC 9110 section 15.4.5: what a 304 repeats of the 200 (ETag comes from the representation).
_ON_304: Final = frozenset({"cache-control", "content-location", "date", "expires", "vary"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Representation:
    """What could be sent: its length in bytes, validators and fields.

    `etag` is quoted as it is sent; `last_modified` is aware; `headers` are the fields of
    a 200 apart from Content-Length, ETag, Last-Modified and Accept-Ranges, Repr-Digest
    among them if it is known; `ranges` tells whether parts of it can be sent.
    """

    length: int
    etag: str | None
    last_modified: datetime | None
    headers: tuple[tuple[str, str], ...] = ()
    ranges: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to send: the status, the complete fields and the body.

    `body` is empty when none goes out (HEAD, 304).
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: tuple[Piece, ...]


def plan(
    method: str,
    headers: Headers,
    representation: Representation,
    *,
    now: datetime,
    boundary: str,
) -> Plan:
    """Return what to send for a GET or HEAD of an existing, permitted representation.

    Args:
        method: "GET" or "HEAD". Range counts for GET only (RFC 9110 section 14.2).
        headers: the request's fields.
        representation: what could be sent.
        now: the present moment, aware.
        boundary: a random text, new for each answer, to stand between parts.

    Raises:
        PreconditionFailed: answer 412.
        RangeNotSatisfiable: answer 416; it knows the length.
        MethodNotAllowed: the method is another one.
    """
    if method not in {"GET", "HEAD"}:
        raise MethodNotAllowed(
            f"{show(method, limit=20)} is not a way to get a file.", allowed=("GET", "HEAD")
        )
    etag = representation.etag
    modified = representation.last_modified
    if modified is not None:
        # RFC 9110 section 8.8.2.1: never later than the answer itself.
        modified = min(modified, now).astimezone(UTC).replace(microsecond=0)

    judged = evaluate(method, headers, etag=etag, last_modified=modified, now=now)
    if judged == "not-modified":
        kept = [(name, value) for name, value in representation.headers if name.lower() in _ON_304]
        return Plan(status=304, headers=(*kept, *_etag(etag)), body=())

    length = representation.length
    fields = [*_wished(headers, representation)]
    spans = _asked_spans(method, headers, representation, modified=modified, now=now)
    body: tuple[Piece, ...] = (Span(start=0, length=length),)
    if len(spans) == 1:
        body = spans
    elif spans:
        parts = _parts(spans, representation, boundary)
        if length_of(parts) <= length:
            body = parts
            fields = _as_multipart(fields, boundary)
        else:
            spans = ()
    fields.append(("Content-Length", str(length_of(body))))
    if len(spans) == 1:
        fields.append(("Content-Range", content_range(spans[0], length)))
    fields.append(("Accept-Ranges", "bytes" if representation.ranges else "none"))
    fields.extend(_etag(etag))
    if modified is not None:
        fields.append(("Last-Modified", format_http_date(modified)))
    if method == "GET" and not spans:
        fields.extend(_content_digest(headers, representation))
    return Plan(
        status=206 if spans else 200,
        headers=tuple(fields),
        body=() if method == "HEAD" else body,
    )


def _etag(etag: str | None) -> tuple[tuple[str, str], ...]:
    return () if etag is None else (("ETag", etag),)


def _wished(headers: Headers, representation: Representation) -> tuple[tuple[str, str], ...]:
    """Return the fields of a representation without a digest that the client cannot use."""
    fields = representation.headers
    if preference(headers, "Want-Repr-Digest") == 0:
        return tuple(pair for pair in fields if pair[0].lower() != "repr-digest")
    return fields


def _content_digest(
    headers: Headers, representation: Representation
) -> tuple[tuple[str, str], ...]:
    """Return the digest of a content that is the whole representation, if it is wanted."""
    if not preference(headers, "Want-Content-Digest"):
        return ()
    return tuple(
        ("Content-Digest", value)
        for name, value in representation.headers
        if name.lower() == "repr-digest"
    )


def _asked_spans(
    method: str,
    headers: Headers,
    representation: Representation,
    *,
    modified: datetime | None,
    now: datetime,
) -> tuple[Span, ...]:
    """Return the spans to send, none for the whole."""
    lines = headers.get_all("Range")
    if method != "GET" or len(lines) != 1 or not representation.ranges:
        return ()
    # No Content-Range can name a part of nothing: an empty file is sent whole.
    if representation.length == 0:
        return ()
    if not if_range_holds(headers, etag=representation.etag, last_modified=modified, now=now):
        return ()
    ranges = parse_range(lines[0])
    if ranges is None:
        return ()
    spans = join(resolve(ranges, representation.length))
    if not spans:
        raise RangeNotSatisfiable(
            f"No byte of the asked range lies within the {representation.length} bytes.",
            length=representation.length,
        )
    return spans if len(spans) <= MAX_PARTS else ()


def _parts(
    spans: tuple[Span, ...], representation: Representation, boundary: str
) -> tuple[Piece, ...]:
    types = [value for name, value in representation.headers if name.lower() == "content-type"]
    return byteranges(
        spans,
        representation.length,
        boundary=boundary,
        media_type=types[0] if types else None,
    )


def _as_multipart(fields: list[tuple[str, str]], boundary: str) -> list[tuple[str, str]]:
    """Return the fields of the whole answer; what the parts are stands in their heads."""
    kept = [pair for pair in fields if pair[0].lower() != "content-type"]
    return [("Content-Type", f"multipart/byteranges; boundary={boundary}"), *kept]
