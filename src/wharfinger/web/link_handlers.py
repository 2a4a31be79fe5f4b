"""The handlers of links: sharing, listing, revoking, and delivering to whoever has one."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Final, Literal
from urllib.parse import parse_qsl

from wharfinger.errors import (
    NotFound,
    PasswordRequired,
    RequestError,
    TooManyRequests,
    WharfingerError,
)
from wharfinger.protocol.delivery import Span
from wharfinger.protocol.problems import problem
from wharfinger.service import SHARE, Link, StoredFile, UploadLink
from wharfinger.web.answers import Answer, FileBody, Watch, empty_answer, json_answer, paced
from wharfinger.web.asking import Asked, JsonBody, Wanted
from wharfinger.web.delivering import deliver, private_caching, stored_representation
from wharfinger.web.intake import Intaken
from wharfinger.web.page import NO_ROBOTS, error_page, file_page
from wharfinger.web.page_choice import VARY, wants_page
from wharfinger.web.representing import link_record, link_url
from wharfinger.web.requests import RequestHead

# The entity-tag of a claimed download: the content's digest, then the claim's id.
_CLAIMED: Final = re.compile(r'"([0-9a-f]{64})\.([0-9a-f]{32})"')
# RFC 7617 section 2; the scheme's name is case-insensitive.
_BASIC: Final = re.compile(r"basic +([A-Za-z0-9+/]+={0,2})", re.IGNORECASE)
_MAX_QUERY: Final = 2048
_SENT: Final = (200, 206)


# --- for whoever has a link ---------------------------------------------------------------


def follow_link(asked: Asked) -> Answer:
    """GET /d/{token}."""
    try:
        return _follow(asked)
    except (NotFound, PasswordRequired, TooManyRequests) as error:
        return _refusal(asked.turn.judged(error, link=True), asked.head)


def _follow(asked: Asked) -> Answer:
    links, head = asked.wharf.links, asked.head
    link, stored, claim_id = links.redeem(asked.parameters["token"], named=_named_claims(head))
    asked.turn.link(link.id)
    links.passwords.check(link, _password(head))
    guarded = link.max_downloads is not None or link.has_password
    if guarded and claim_id is None and wants_page(head) and not _is_explicit(head):
        return file_page(link, stored, method=head.method)
    answer = _delivery(asked, link, stored, claim_id, vary=guarded)
    if head.method != "GET" or answer.status not in _SENT:
        return answer
    if link.max_downloads is not None:
        answer = _claimed(asked, answer, link, stored, claim_id)
    elif _begins(answer):
        links.count(link)
    return paced(answer, asked.wharf.pace(stored.collection))


def _delivery(
    asked: Asked, link: Link, stored: StoredFile, claim_id: str | None, *, vary: bool
) -> Answer:
    disposition: Literal["attachment", "inline"] = (
        "inline" if link.disposition == "inline" else "attachment"
    )
    what = stored_representation(
        stored,
        name=link.download_name,
        disposition=disposition,
        cache_control=private_caching(asked.wharf.settings),
    )
    if claim_id is None:
        claim_id = _known_claim(asked.head, stored)
    if claim_id is not None:
        what = replace(what, etag=_tag(stored, claim_id))
    headers = (*what.headers, NO_ROBOTS, VARY) if vary else (*what.headers, NO_ROBOTS)
    what = replace(what, headers=headers)
    # Also for HEAD: opening it is the proof that it can be handed out.
    file = asked.wharf.open_file(stored)
    return deliver(asked.head, what, file, now=asked.wharf.now())


def _claimed(
    asked: Asked, answer: Answer, link: Link, stored: StoredFile, claim_id: str | None
) -> Answer:
    """Return an answer that is about to send bytes, under a claim that is told how it ends."""
    claims, body = asked.wharf.links.claims, answer.body
    size, allotted = stored.size, body.length if isinstance(body, FileBody) else len(body)
    try:
        if claim_id is None:
            claim = claims.take(link, size=size, allotted=allotted)
        else:
            claim = claims.go_on(link, claim_id, size=size, allotted=allotted)
    except BaseException:
        answer.close()
        raise
    headers = tuple(
        (name, _tag(stored, claim.id) if name == "ETag" else value)
        for name, value in answer.headers
    )
    if not isinstance(body, FileBody):
        # It is in memory already, and goes out in one write.
        claims.over(claim, sent=allotted, complete=True, ended=True)
        return replace(answer, headers=headers)
    has_last = any(
        isinstance(piece, Span) and piece.start + piece.length == size for piece in body.pieces
    )

    def over(watch: Watch) -> None:
        ended = has_last and watch.complete
        claims.over(claim, sent=watch.sent, complete=watch.complete, ended=ended)

    return replace(answer, headers=headers, body=replace(body, watch=Watch(over)))


def _refusal(error: WharfingerError, head: RequestHead) -> Answer:
    found = problem(error, method=head.method)
    if not wants_page(head):
        return Answer(status=found.status, headers=(*found.headers, VARY), body=found.body)
    kept = ("WWW-Authenticate", "Retry-After")
    headers = tuple(pair for pair in found.headers if pair[0] in kept)
    if isinstance(error, NotFound):
        title, text = "This link leads nowhere", "It may have ended. Ask for a new one."
    elif isinstance(error, PasswordRequired):
        # The browser asks for it; this page is for who sent that window away.
        title = error.title
        text = f"{error.detail} Load this page again to enter it; leave the user name empty."
    else:
        title, text = error.title, f"{error.detail} {error.hint}"
    return error_page(found.status, title, text, headers=headers, method=head.method)


def _tag(stored: StoredFile, claim_id: str) -> str:
    return f'"{stored.sha256}.{claim_id}"'


def _named_claims(head: RequestHead) -> list[str]:
    """Return the ids of claims that the request says it goes on with."""
    lines = head.headers.get_all("If-Range") + head.headers.get_all("If-Match")
    return [match[2] for line in lines for match in _CLAIMED.finditer(line)]


def _known_claim(head: RequestHead, stored: StoredFile) -> str | None:
    """Return the claim under which the asker got the content that it says it has."""
    for line in head.headers.get_all("If-None-Match"):
        for match in _CLAIMED.finditer(line):
            if match[1] == stored.sha256:
                return match[2]
    return None


def _password(head: RequestHead) -> str | None:
    """Return the password of HTTP Basic authentication; the user name does not matter."""
    lines = head.headers.get_all("Authorization")
    match = _BASIC.fullmatch(lines[0].strip(" \t")) if len(lines) == 1 else None
    if match is None:
        return None
    try:
        pair = base64.b64decode(match[1], validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return pair.partition(":")[2]


def _is_explicit(head: RequestHead) -> bool:
    """Return whether the button of the page was pressed. Other fields of the query mean nothing."""
    return ("download", "1") in parse_qsl(head.query[:_MAX_QUERY])


def _begins(answer: Answer) -> bool:
    """Return whether the file's first byte is among those sent: a series of ranges is one download."""
    if not isinstance(answer.body, FileBody):
        return True
    return any(isinstance(piece, Span) and piece.start == 0 for piece in answer.body.pieces)


# --- for whoever owns the file ------------------------------------------------------------


def share(asked: Asked) -> Wanted:
    """POST /files/{id}/links."""
    principal, stored = asked.gate.file(asked.head, SHARE, asked.parameters["id"])

    def answer(body: Intaken | JsonBody) -> Answer:
        assert isinstance(body, JsonBody)  # noqa: S101 - the sink below
        wishes = body.table(tuple(_LINK_KINDS))
        link = asked.wharf.share(stored.id, owner=principal.id, **_link_arguments(wishes))  # type: ignore[arg-type]
        url = link_url(asked.wharf, asked.head, link)
        return json_answer(201, link_record(link, url), headers=(("Location", url),))

    return Wanted(JsonBody(), answer)


def list_links(asked: Asked) -> Answer:
    """GET /files/{id}/links."""
    _, stored = asked.gate.file(asked.head, SHARE, asked.parameters["id"])
    links = [
        link_record(link, link_url(asked.wharf, asked.head, link))
        for link in asked.wharf.links.of_file(stored.id)
    ]
    return json_answer(200, {"links": links}, method=asked.head.method)


def revoke_link(asked: Asked) -> Answer:
    """DELETE /links/{link}."""
    link = asked.gate.link(asked.head, SHARE, asked.parameters["link"])
    if isinstance(link, UploadLink):
        asked.wharf.upload_links.revoke(link.id)
    else:
        asked.wharf.links.revoke(link.id)
    return empty_answer(204)


_LINK_KINDS: Final[Mapping[str, type]] = {
    "expires_in": int,
    "max_downloads": int,
    "download_name": str,
    "disposition": str,
    "password": str,
}


def _link_arguments(wishes: Mapping[str, object]) -> dict[str, object]:
    """Return the wishes that were made (null counts as none), their types checked."""
    arguments: dict[str, object] = {}
    for key, value in wishes.items():
        if value is None:
            continue
        kind = _LINK_KINDS[key]
        if not isinstance(value, kind) or isinstance(value, bool):
            raise RequestError(f"{key} must be {'a number' if kind is int else 'text'}.")
        arguments[key] = value
    return arguments
