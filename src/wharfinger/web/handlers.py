"""What each route does: a request value in; an answer, or the wish for a body, out."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Literal

from wharfinger.errors import RequestError
from wharfinger.service import READ, WRITE, StoredFile
from wharfinger.web.answers import Again, Answer, empty_answer, json_answer, paced
from wharfinger.web.asking import Asked
from wharfinger.web.delivering import (
    PRIVATE,
    deliver,
    private_caching,
    public_caching,
    stored_representation,
)
from wharfinger.web.representing import base_url, file_record

# --- files out ----------------------------------------------------------------------------


def get_file(asked: Asked) -> Answer:
    """GET /files/{id}."""
    stored, reader = asked.gate.readable(asked.head, asked.parameters["id"])
    now = asked.wharf.now()
    if reader is not None:
        private = private_caching(asked.wharf.settings)
        what = stored_representation(stored, cache_control=private)
        until = min(filter(None, (stored.expires_at, reader.expires_at)), default=None)
    else:
        what = stored_representation(stored, cache_control=public_caching(stored, now))
        # Its Cache-Control counts down to its end, second by second.
        ends = stored.expires_at
        until = None if ends is None else min(ends, now + timedelta(seconds=1))
    answer = deliver(asked.head, what, asked.wharf.open_file(stored), now=now)
    return paced(replace(answer, again=Again(what, until)), asked.wharf.pace(stored.collection))


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
    collection = query.get("collection")
    files, following = asked.wharf.list_files(
        collection=collection,
        owner=None if principal.is_admin else principal.id,
        collections=principal.collections,
        after=query.get("after"),
        limit=int(limit),
    )
    if collection is not None and not files:
        # A mistyped name is no empty collection. (One that was taken out may still have files.)
        asked.gate.collection(asked.head, READ, collection)
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


# --- the house ----------------------------------------------------------------------------


def policy(asked: Asked) -> Answer:
    """GET /policy/{collection}: what is accepted, and what becomes of the rest."""
    collection = asked.wharf.collection(asked.parameters["collection"])
    scan = asked.wharf.settings.scan
    told = {
        "scanned": asked.wharf.checking.scans,
        "when_down": scan.when_down,
        "when_unscannable": scan.when_unscannable,
    }
    return json_answer(200, {**collection.describe(), **told}, method=asked.head.method)


def live(asked: Asked) -> Answer:
    """GET /health/live."""
    return json_answer(200, {"status": "live"}, method=asked.head.method)


def ready(asked: Asked) -> Answer:
    """GET /health/ready."""
    asked.wharf.check()
    return json_answer(200, {"status": "ready"}, method=asked.head.method)
