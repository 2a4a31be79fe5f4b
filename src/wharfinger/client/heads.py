"""Judging the head of an answer to a download, before any of its body is read."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.errors import BadResponse, RequestError
from wharfinger.protocol.dates import parse_http_date
from wharfinger.protocol.digests import parse_digest
from wharfinger.protocol.disposition import parse_disposition

if TYPE_CHECKING:
    from wharfinger.client.transport import Answer
    from wharfinger.protocol.headers import Headers

_OK: Final = 200
_TRANSFORMED: Final = 203  # "Non-Authoritative": a 200 that went through a proxy
_PARTIAL: Final = 206
_RANGE_NOT_SATISFIABLE: Final = 416

_STRONG_TAG: Final = re.compile(r'"[\x21\x23-\x7e\x80-\xff]*"')  # RFC 9110 section 8.8.3
_CONTENT_RANGE: Final = re.compile(r"bytes ([0-9]{1,19})-([0-9]{1,19})/([0-9]{1,19})", re.ASCII)
# RFC 9110 section 8.8.2.2 asks for a second; a minute also covers clocks that disagree.
_STRONG_DATE_AGE: Final = timedelta(seconds=60)


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """What is there of an earlier attempt: so many bytes under this strong validator.

    `last` is the last byte that is asked for; None asks for all the rest.
    """

    offset: int
    validator: str
    size: int | None
    last: int | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Offer:
    """What an answer offers: the whole content (`offset` 0) or its rest.

    `size` is that of the whole, None when the server does not say; `digests` are of the
    whole, by algorithm; `name` is claimed; `takes_ranges` whether the server says that it
    answers requests for ranges.
    """

    offset: int
    size: int | None
    validator: str
    digests: dict[str, bytes]
    name: str
    takes_ranges: bool


class StartOver(Exception):
    """The rest that was asked for does not belong to what is held: ask for the whole."""


def judge(answer: Answer, held: Held | None) -> Offer:
    """Return what the answer offers.

    Raises:
        ResponseError: an error status.
        BadResponse: a 206 that nobody asked for, another range than the asked one, no content.
        StartOver: what is held is of no use any more.
    """
    if answer.status in {_OK, _TRANSFORMED}:
        return _whole(answer)
    if answer.status == _PARTIAL:
        return _rest(answer, held)
    if answer.status == _RANGE_NOT_SATISFIABLE and held is not None:
        raise StartOver
    if answer.status >= FIRST_ERROR:
        raise response_error(answer)
    raise BadResponse(f"{answer.url.shown} answered {answer.status}, which is no content.")


def _whole(answer: Answer) -> Offer:
    headers = answer.headers
    if "content-range" in headers:
        raise BadResponse("The answer has a Content-Range and is not a partial one.")
    return Offer(
        offset=0,
        size=answer.body.length,
        validator=strong_validator(headers),
        digests=_digests_of_whole(headers),
        name=_claimed_name(headers),
        takes_ranges=headers.get("accept-ranges", "").strip().lower() == "bytes",
    )


def _rest(answer: Answer, held: Held | None) -> Offer:
    headers = answer.headers
    if held is None:
        raise BadResponse("The server sent a part of the content, and nobody asked for a part.")
    value = headers.get("content-range", "")
    match = _CONTENT_RANGE.fullmatch(value)
    if match is None:
        shown = names.show(value, limit=60)
        raise BadResponse(f"The partial answer has no sound Content-Range: {shown!r}.")
    first, last, size = (int(number) for number in match.groups())
    validators = {headers.get("etag"), headers.get("last-modified")}
    if held.validator not in validators or held.size not in {None, size}:
        # A server that ignored If-Range: the content has changed since.
        raise StartOver
    length = answer.body.length
    asked = size - 1 if held.last is None else held.last
    if first != held.offset or last != asked or length not in {None, last - first + 1}:
        raise BadResponse(f"Bytes {held.offset} to {asked} were asked for; {value!r} was sent.")
    return Offer(
        offset=first,
        size=size,
        validator=held.validator,
        digests=_digests(headers, "repr-digest"),
        name=_claimed_name(headers),
        takes_ranges=True,
    )


def strong_validator(headers: Headers) -> str:
    """Return what If-Range can carry: a strong entity tag, or a date that is strong, or ""."""
    tag = headers.get("etag")
    if tag is not None:
        return tag if _STRONG_TAG.fullmatch(tag) else ""
    modified, date = headers.get("last-modified"), headers.get("date")
    if modified is None or date is None:
        return ""
    then, now = parse_http_date(modified), parse_http_date(date)
    if then is None or now is None or now - then < _STRONG_DATE_AGE:
        return ""
    return modified


def _digests_of_whole(headers: Headers) -> dict[str, bytes]:
    """Return both kinds: of a whole answer they are about the same bytes (RFC 9530 section 3)."""
    of_it, of_this = _digests(headers, "repr-digest"), _digests(headers, "content-digest")
    if any(of_it.get(algorithm, digest) != digest for algorithm, digest in of_this.items()):
        raise BadResponse("The answer's Repr-Digest and Content-Digest contradict each other.")
    return of_it | of_this


def _digests(headers: Headers, name: str) -> dict[str, bytes]:
    value = headers.get(name)
    if value is None:
        return {}
    try:
        return parse_digest(value)
    except RequestError as error:
        raise BadResponse(f"The answer's {name.title()} is malformed.") from error


def _claimed_name(headers: Headers) -> str:
    values = headers.get_all("content-disposition")
    if len(values) != 1:
        return ""
    try:
        return parse_disposition(values[0]).name or ""
    except RequestError:
        return ""  # a malformed field names nothing (RFC 6266 section 4.1)
