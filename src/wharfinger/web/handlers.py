"""What each route does: a request value in; an answer, or the wish for a body, out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from wharfinger.errors import NotFound, RequestError
from wharfinger.service import READ, SHARE, WRITE, FileState, StoredFile
from wharfinger.web.answers import Answer, empty_answer, json_answer
from wharfinger.web.asking import Asked, JsonBody, Wanted
from wharfinger.web.delivering import PRIVATE, deliver, public_caching, stored_representation
from wharfinger.web.intake import Intaken, begin_intake
from wharfinger.web.representing import base_url, file_record, link_record, link_url

# Headers by which the resumable protocols announce themselves; neither is served yet.
_RESUMABLE: Final = ("Tus-Resumable", "Upload-Complete", "Upload-Draft-Interop-Version")


# --- files in -----------------------------------------------------------------------------


def upload(asked: Asked) -> Wanted:
    """POST /uploads/{collection}."""
    head, collection = asked.head, asked.parameters["collection"]
    principal = asked.gate.collection(head, WRITE, collection)
    if any(name in head.headers for name in _RESUMABLE):
        raise NotFound(
            "Resumable uploads are not served yet.", hint="Send multipart/form-data or raw bytes."
        )
    base = base_url(asked.wharf, head)

    def answer(intaken: Intaken | JsonBody) -> Answer:
        assert isinstance(intaken, Intaken)  # noqa: S101 - what begin_intake's sink finishes with
        records = [file_record(stored, base) for stored in intaken.files]
        ready = all(stored.state is FileState.READY for stored in intaken.files)
        return json_answer(
            201 if ready else 202,
            {"files": records, "fields": intaken.fields} if intaken.form else records[0],
            headers=(("Location", str(records[0]["url"])),) if len(records) == 1 else (),
        )

    return Wanted(begin_intake(asked.wharf, head, collection, principal.id), answer)


# --- files out ----------------------------------------------------------------------------


def get_file(asked: Asked) -> Answer:
    """GET /files/{id}."""
    stored, public = asked.gate.readable(asked.head, asked.parameters["id"])
    caching = public_caching(stored, asked.wharf.now()) if public else PRIVATE
    return deliver_stored(asked, stored, cache_control=caching)


def follow_link(asked: Asked) -> Answer:
    """GET /d/{token}."""
    wharf, head = asked.wharf, asked.head
    link, stored = wharf.links.redeem(asked.parameters["token"])
    disposition: Literal["attachment", "inline"] = (
        "inline" if link.disposition == "inline" else "attachment"
    )
    # A limited link counts whole downloads, so it offers no ranges to count around.
    answer = deliver_stored(
        asked,
        stored,
        name=link.download_name,
        disposition=disposition,
        ranges=link.max_downloads is None,
    )
    if head.method == "GET" and answer.status in (200, 206):
        try:
            wharf.links.claim(link)
        except BaseException:
            answer.close()
            raise
    return answer


def deliver_stored(
    asked: Asked,
    stored: StoredFile,
    *,
    name: str | None = None,
    disposition: Literal["attachment", "inline"] = "attachment",
    cache_control: str = PRIVATE,
    ranges: bool = True,
) -> Answer:
    """Return the answer that sends a ready file."""
    # Also for HEAD: opening it is the proof that it can be handed out.
    file = asked.wharf.open_file(stored)
    what = stored_representation(
        stored, name=name, disposition=disposition, cache_control=cache_control, ranges=ranges
    )
    return deliver(asked.head, what, file, now=asked.wharf.now())


# --- records ------------------------------------------------------------------------------


def list_files(asked: Asked) -> Answer:
    """GET /files."""
    principal = asked.gate.admit(asked.head, READ)
    query = asked.head.query_fields(("collection", "after", "limit"))
    limit = query.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 6):  # noqa: PLR2004
        raise RequestError("limit must be a number.")
    files, following = asked.wharf.list_files(
        collection=query.get("collection"),
        owner=None if principal.is_admin else principal.id,
        collections=principal.collections,
        after=query.get("after"),
        limit=int(limit),
    )
    base = base_url(asked.wharf, asked.head)
    return json_answer(
        200,
        {"files": [file_record(stored, base) for stored in files], "next": following},
        method=asked.head.method,
    )


def file_info(asked: Asked) -> Answer:
    """GET /files/{id}/info."""
    _, stored = asked.gate.file(asked.head, READ, asked.parameters["id"])
    record = file_record(stored, base_url(asked.wharf, asked.head))
    return json_answer(200, record, method=asked.head.method)


def remove_file(asked: Asked) -> Answer:
    """DELETE /files/{id}."""
    _, stored = asked.gate.file(asked.head, WRITE, asked.parameters["id"])
    asked.wharf.remove(stored.id)
    return empty_answer(204)


# --- links --------------------------------------------------------------------------------


def share(asked: Asked) -> Wanted:
    """POST /files/{id}/links."""
    principal, stored = asked.gate.file(asked.head, SHARE, asked.parameters["id"])

    def answer(body: Intaken | JsonBody) -> Answer:
        assert isinstance(body, JsonBody)  # noqa: S101 - the sink below
        wishes = body.table(("expires_in", "max_downloads", "download_name", "disposition"))
        link = asked.wharf.share(stored.id, owner=principal.id, **_link_arguments(wishes))  # type: ignore[arg-type]
        return json_answer(201, link_record(link, link_url(asked.wharf, asked.head, link)))

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
    asked.wharf.links.revoke(link.id)
    return empty_answer(204)


_LINK_KINDS: Final[Mapping[str, type]] = {
    "expires_in": int,
    "max_downloads": int,
    "download_name": str,
    "disposition": str,
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


# --- the house ----------------------------------------------------------------------------


def policy(asked: Asked) -> Answer:
    """GET /policy/{collection}."""
    collection = asked.wharf.collection(asked.parameters["collection"])
    return json_answer(200, collection.describe(), method=asked.head.method)


def live(asked: Asked) -> Answer:
    """GET /health/live."""
    return json_answer(200, {"status": "live"}, method=asked.head.method)


def ready(asked: Asked) -> Answer:
    """GET /health/ready."""
    asked.wharf.check()
    return json_answer(200, {"status": "ready"}, method=asked.head.method)
