"""The handlers of upload links: made, listed and revoked by an owner, used by whoever has one.

Whoever sends by a link gets a receipt: names, sizes and digests of what arrived, and never
the address of a file, nor anything of what others sent. What is sent belongs to the link's
owner. A link that has ended, is used up or never was gets one answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from wharfinger.errors import NotFound, RequestError, TooManyRequests, WharfingerError
from wharfinger.protocol.problems import problem
from wharfinger.protocol.resumable import Limits
from wharfinger.service import SHARE, WRITE, FileState, Principal, UploadLink
from wharfinger.service.upload_links import LinkReceiver
from wharfinger.service.uploads import IDLE
from wharfinger.web import resumable_handlers, tus_handlers, uploading
from wharfinger.web.answers import Answer, HeaderPairs, empty_answer, json_answer
from wharfinger.web.asking import Asked, JsonBody, Wanted
from wharfinger.web.doors import Door
from wharfinger.web.intake import Intaken, begin_intake
from wharfinger.web.page import NO_ROBOTS, error_page
from wharfinger.web.page_choice import VARY, wants_page
from wharfinger.web.replaying import once
from wharfinger.web.representing import base_url, file_receipt, timestamp
from wharfinger.web.requests import RequestHead
from wharfinger.web.upload_page import receipt_page, refusal_page, upload_page

# As many as any form may have.
_MAX_FILES: Final = 100
_KEPT: Final = ("Retry-After",)


# --- for whoever has a link ---------------------------------------------------------------


def show_upload_link(asked: Asked) -> Answer:
    """GET /u/{token}."""
    try:
        link = _redeemed(asked)
        policy = asked.wharf.upload_links.place(link).policy
    except (NotFound, TooManyRequests) as error:
        return _dead(asked.turn.judged(error, link=True), asked.head)
    if wants_page(asked.head):
        return upload_page(link, policy, method=asked.head.method)
    rules = {**policy.describe(), **_limits(link)}
    return json_answer(200, rules, method=asked.head.method, headers=(NO_ROBOTS, VARY))


def send_by_link(asked: Asked) -> Answer | Wanted:
    """POST /u/{token}."""
    head = asked.head
    several = tus_handlers.is_spoken(head) or resumable_handlers.is_spoken(head)
    try:
        # With a key somebody may ask again for the answer to the last file that the link took.
        link = _redeemed(asked, used_up="Idempotency-Key" in head.headers and not several)
    except (NotFound, TooManyRequests) as error:
        return _dead(asked.turn.judged(error, link=True), head)
    door = _door(asked, link)
    if several:
        return uploading.receive(asked, door)

    def answer(intaken: Intaken) -> Answer:
        return _receipt(asked, link, intaken)

    def refused(error: Exception, plain: Answer) -> Answer:
        return _refusal(error, plain, head)

    left = _MAX_FILES if link.files_left is None else min(max(link.files_left, 1), _MAX_FILES)
    receiver = LinkReceiver(asked.wharf, link)
    try:
        outcome = once(
            asked,
            door,
            lambda: begin_intake(receiver, head, link.collection, link.owner, max_files=left),
            answer,
        )
    except NotFound as error:
        return _dead(asked.turn.judged(error, link=True), head)
    except WharfingerError as error:
        found = problem(error, method=head.method)
        return _refusal(
            error, Answer(status=found.status, headers=found.headers, body=found.body), head
        )
    return replace(outcome, refused=refused) if isinstance(outcome, Wanted) else outcome


def upload_by_link_options(asked: Asked) -> Answer:
    """OPTIONS /u/{token}."""
    try:
        links = asked.wharf.upload_links
        link = links.redeem(asked.parameters["token"])
        answer = tus_handlers.options(asked, link.collection)
        policy = links.place(link).policy
        fields = [pair for pair in answer.headers if pair[0] != "Tus-Max-Size"]
        fields.append(("Tus-Max-Size", str(policy.max_size)))
        if "Upload-Complete" not in asked.head.headers:
            age = int(IDLE.total_seconds())
            limits = Limits(max_size=policy.max_size, min_size=policy.min_size, max_age=age)
            fields.append(("Upload-Limit", limits.field()))
        return replace(answer, headers=tuple(fields))
    except NotFound:
        if "Access-Control-Request-Method" not in asked.head.headers:
            raise
        return empty_answer(204)  # a browser asks before its page may see the 404


def options_of_upload_by_link(asked: Asked) -> Answer:
    """OPTIONS /u/{token}/{upload}, whether there is such an upload or not."""
    return upload_by_link_options(asked)


def upload_by_link_state(asked: Asked) -> Answer:
    """HEAD /u/{token}/{upload}."""
    return uploading.state_of(asked, _door_of_upload(asked))


def upload_by_link_append(asked: Asked) -> Answer | Wanted:
    """PATCH /u/{token}/{upload}."""
    return uploading.append_to(asked, _door_of_upload(asked))


def upload_by_link_end(asked: Asked) -> Answer:
    """DELETE /u/{token}/{upload}."""
    return uploading.end_of(asked, _door_of_upload(asked))


def _redeemed(asked: Asked, *, used_up: bool = False) -> UploadLink:
    link = asked.wharf.upload_links.redeem(asked.parameters["token"], used_up=used_up)
    asked.turn.link(link.id)
    return link


def _door_of_upload(asked: Asked) -> Door:
    # With its last file a link is used up, and its sender may still ask what became of that.
    try:
        return _door(asked, _redeemed(asked, used_up=True))
    except NotFound as error:
        raise asked.turn.judged(error, link=True) from None


def _door(asked: Asked, link: UploadLink) -> Door:
    """Return the door that a link opens: an upload behind it is the sender's until it is whole."""
    token = asked.parameters["token"]
    return Door(
        collection=link.collection,
        principal=Principal(id=f"link:{link.id}", scopes=frozenset({WRITE})),
        base=f"{base_url(asked.wharf, asked.head)}/u/{token}",
        link_id=link.id,
        still_open=lambda: asked.wharf.upload_links.redeem(token),
    )


def _receipt(asked: Asked, link: UploadLink, intaken: Intaken) -> Answer:
    ready = all(stored.state is FileState.READY for stored in intaken.files)
    status = 201 if ready else 202
    if wants_page(asked.head):
        return receipt_page(status, intaken.files, more=_takes_more(asked, link))
    receipts = [file_receipt(stored) for stored in intaken.files]
    document: Mapping[str, object] = {"files": receipts} if intaken.form else receipts[0]
    return json_answer(status, document, headers=(NO_ROBOTS, VARY))


def _takes_more(asked: Asked, link: UploadLink) -> bool:
    links = asked.wharf.upload_links
    try:
        links.place(links.find(link.id))
    except NotFound:
        return False
    return True


def _dead(error: WharfingerError, head: RequestHead) -> Answer:
    found = problem(error, method=head.method)
    if not wants_page(head):
        return Answer(status=found.status, headers=(*found.headers, VARY), body=found.body)
    if isinstance(error, NotFound):
        title, text = "This link leads nowhere", "It may have ended. Ask for a new one."
    else:
        title, text = error.title, f"{error.detail} {error.hint}"
    return error_page(found.status, title, text, headers=_kept(found.headers), method=head.method)


def _refusal(error: Exception, plain: Answer, head: RequestHead) -> Answer:
    """Return the answer to somebody whose upload was refused, as a page to a browser."""
    if not wants_page(head):
        return Answer(status=plain.status, headers=(*plain.headers, VARY), body=plain.body)
    if isinstance(error, NotFound):  # it ended while they were sending
        return _dead(error, head)
    if isinstance(error, WharfingerError):  # its hint is for who calls the interface
        title, text = error.title, error.detail
    else:
        title, text = "Something went wrong", "Try again later."
    return refusal_page(plain.status, title, text, _kept(plain.headers))


def _kept(headers: HeaderPairs) -> HeaderPairs:
    return tuple(pair for pair in headers if pair[0] in _KEPT)


# --- for whoever may share ----------------------------------------------------------------


def request_files(asked: Asked) -> Wanted:
    """POST /collections/{collection}/links."""
    collection = asked.parameters["collection"]
    principal = asked.gate.collection(asked.head, SHARE, collection)

    def answer(body: JsonBody) -> Answer:
        wishes = _wishes(body.table(tuple(_KINDS)))
        link = asked.wharf.request(collection, owner=principal.id, **wishes)  # type: ignore[arg-type]
        record = _record(asked, link)
        return json_answer(201, record, headers=(("Location", str(record["url"])),))

    return Wanted(JsonBody(), answer)


def list_upload_links(asked: Asked) -> Answer:
    """GET /collections/{collection}/links."""
    collection = asked.parameters["collection"]
    principal = asked.gate.collection(asked.head, SHARE, collection)
    owner = None if principal.is_admin else principal.id
    links = asked.wharf.upload_links.of_collection(collection, owner=owner)
    return json_answer(
        200, {"links": [_record(asked, link) for link in links]}, method=asked.head.method
    )


def _record(asked: Asked, link: UploadLink) -> dict[str, object]:
    """Return a link's record; its address is absolute: it is made to be handed to others."""
    public = asked.wharf.settings.public_url
    return {
        "id": link.id,
        "url": link.url if public else f"{asked.head.origin}{asked.head.root}{link.url}",
        "collection": link.collection,
        **_limits(link),
        "files": link.files,
        "bytes": link.bytes,
        "types": None if link.types is None else sorted(link.types),
    }


def _limits(link: UploadLink) -> dict[str, object]:
    return {
        "expires_at": timestamp(link.expires_at),
        "max_files": link.max_files,
        "max_bytes": link.max_bytes,
        "files_left": link.files_left,
        "bytes_left": link.bytes_left,
    }


_KINDS: Final[Mapping[str, str]] = {
    "expires_in": "a number",
    "max_files": "a number",
    "max_bytes": "a number",
    "types": "text, or a list of text",
}


def _wishes(table: Mapping[str, object]) -> dict[str, object]:
    """Return the wishes that were made (null counts as none), their kinds checked."""
    wishes: dict[str, object] = {}
    for key, value in table.items():
        if value is None:
            continue
        if key == "types":
            right = isinstance(value, str) or (
                isinstance(value, list) and all(isinstance(one, str) for one in value)
            )
        else:
            right = isinstance(value, int) and not isinstance(value, bool)
        if not right:
            raise RequestError(f"{key} must be {_KINDS[key]}.")
        wishes[key] = value
    return wishes
