"""The handlers of links: sharing, listing, revoking, and delivering to whoever has one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from wharfinger.errors import RequestError
from wharfinger.service import SHARE
from wharfinger.web.answers import Answer, empty_answer, json_answer
from wharfinger.web.asking import Asked, JsonBody, Wanted
from wharfinger.web.handlers import deliver_stored
from wharfinger.web.intake import Intaken
from wharfinger.web.representing import link_record, link_url


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
