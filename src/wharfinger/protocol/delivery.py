"""A request and a representation in, what to send out.

One plan for every shell: status, the complete fields and which bytes. Several
ranges in one request are answered with the whole, which RFC 9110 section 14.2
allows; `Plan.spans` has room for more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from wharfinger.errors import MethodNotAllowed, RangeNotSatisfiable
from wharfinger.names import show
from wharfinger.protocol.dates import format_http_date
from wharfinger.protocol.preconditions import evaluate, if_range_holds
from wharfinger.protocol.ranges import Span, parse_range, resolve

if TYPE_CHECKING:
    from wharfinger.protocol.headers import Headers

__all__ = ["Plan", "Representation", "Span", "plan"]

# RFC 9110 section 15.4.5: what a 304 repeats of the 200 (ETag comes from the representation).
_ON_304: Final = frozenset({"cache-control", "content-location", "date", "expires", "vary"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Representation:
    """What could be sent: its length in bytes, validators and fields.

    `etag` is quoted as it is sent; `last_modified` is aware; `headers` are the fields of
    a 200 apart from Content-Length, ETag, Last-Modified and Accept-Ranges; `ranges` tells
    whether parts of it can be sent.
    """

    length: int
    etag: str | None
    last_modified: datetime | None
    headers: tuple[tuple[str, str], ...] = ()
    ranges: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to send: the status, the complete fields and the bytes of the representation.

    `spans` is empty when no body goes out (HEAD, 304).
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    spans: tuple[Span, ...]


def plan(method: str, headers: Headers, representation: Representation, *, now: datetime) -> Plan:
    """Return what to send for a GET or HEAD of an existing, permitted representation.

    Args:
        method: "GET" or "HEAD". Range counts for GET only (RFC 9110 section 14.2).
        headers: the request's fields.
        representation: what could be sent.
        now: the present moment, aware.

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
        return Plan(status=304, headers=(*kept, *_etag(etag)), spans=())

    span = _asked_span(method, headers, representation, modified=modified, now=now)
    sent = Span(start=0, length=representation.length) if span is None else span
    fields = [*representation.headers, ("Content-Length", str(sent.length))]
    if span is not None:
        last = span.start + span.length - 1
        fields.append(("Content-Range", f"bytes {span.start}-{last}/{representation.length}"))
    fields.append(("Accept-Ranges", "bytes" if representation.ranges else "none"))
    fields.extend(_etag(etag))
    if modified is not None:
        fields.append(("Last-Modified", format_http_date(modified)))
    return Plan(
        status=200 if span is None else 206,
        headers=tuple(fields),
        spans=() if method == "HEAD" else (sent,),
    )


def _etag(etag: str | None) -> tuple[tuple[str, str], ...]:
    return () if etag is None else (("ETag", etag),)


def _asked_span(
    method: str,
    headers: Headers,
    representation: Representation,
    *,
    modified: datetime | None,
    now: datetime,
) -> Span | None:
    """Return the one range to send, or None for the whole."""
    lines = headers.get_all("Range")
    if method != "GET" or len(lines) != 1 or not representation.ranges:
        return None
    # No Content-Range can name a part of nothing: an empty file is sent whole.
    if representation.length == 0:
        return None
    if not if_range_holds(headers, etag=representation.etag, last_modified=modified, now=now):
        return None
    ranges = parse_range(lines[0])
    if ranges is None or len(ranges) > 1:
        return None
    spans = resolve(ranges, representation.length)
    if not spans:
        raise RangeNotSatisfiable(
            f"No byte of the asked range lies within the {representation.length} bytes.",
            length=representation.length,
        )
    return spans[0]
