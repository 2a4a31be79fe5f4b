"""One door for files: each request is led to the protocol that it, or its upload, speaks.

A `Door` says where files go and whose they are, so that a collection's own address and an
upload link share every handler behind it.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace

from wharfinger.catalog import Upload, UploadState
from wharfinger.errors import NotFound, NotReady
from wharfinger.service import READ, WRITE, FileState, Principal
from wharfinger.service.refusals import error_of
from wharfinger.web import resumable_handlers, tus_handlers
from wharfinger.web.answers import Answer, empty_answer, json_answer, paced
from wharfinger.web.asking import Asked, Wanted
from wharfinger.web.delivering import private_caching, public_caching
from wharfinger.web.doors import Door
from wharfinger.web.gate import Gate
from wharfinger.web.handlers import deliver_stored
from wharfinger.web.intake import Intaken, begin_intake
from wharfinger.web.replaying import once
from wharfinger.web.representing import LOCATION_OF, base_url, file_record


def create(asked: Asked) -> Answer | Wanted:
    """POST /uploads/{collection}."""
    return receive(asked, _door(asked))


def options(asked: Asked) -> Answer:
    """OPTIONS /uploads/{collection}."""
    try:
        answer = tus_handlers.options(asked, asked.parameters["collection"])
        more = resumable_handlers.announced(asked, asked.parameters["collection"])
        return replace(answer, headers=(*answer.headers, *more))
    except NotFound:
        if "Access-Control-Request-Method" not in asked.head.headers:
            raise
        return empty_answer(204)  # a browser asks before its page may see the 404


def options_of_upload(asked: Asked) -> Answer:
    """OPTIONS /uploads/{collection}/{upload}, whether there is such an upload or not."""
    return options(asked)


def state(asked: Asked) -> Answer:
    """HEAD /uploads/{collection}/{upload}."""
    return state_of(asked, _door_of_upload(asked))


def append(asked: Asked) -> Answer | Wanted:
    """PATCH /uploads/{collection}/{upload}."""
    return append_to(asked, _door_of_upload(asked))


def end(asked: Asked) -> Answer:
    """DELETE /uploads/{collection}/{upload}."""
    return end_of(asked, _door_of_upload(asked))


def fetch(asked: Asked) -> Answer:
    """GET /uploads/{collection}/{upload}: the file that it became, for whoever may read that."""
    found = None
    with contextlib.suppress(NotFound):
        found = asked.wharf.uploads.find(asked.parameters["upload"], None)
    if found is not None and found.collection != asked.parameters["collection"]:
        found = None
    if found is None or found.file_id is None or found.state is not UploadState.COMPLETE:
        principal = asked.gate.admit(asked.head, READ)
        if found is None or not _is_of(principal, found):
            raise NotFound
        if found.state is UploadState.REFUSED:
            raise error_of(found)
        raise NotReady(f"The upload is {found.state.value}; it is no file yet.")
    stored, reader = asked.gate.readable(asked.head, found.file_id)
    if reader is None:
        caching = public_caching(stored, asked.wharf.now())
    else:
        caching = private_caching(asked.wharf.settings)
    answer = deliver_stored(asked, stored, cache_control=caching)
    return paced(answer, asked.wharf.pace(stored.collection))


# --- behind any door ------------------------------------------------------------------------


def state_of(asked: Asked, door: Door) -> Answer:
    """Say where the upload of this request stands."""
    upload = door.upload(asked.wharf, asked.parameters["upload"])
    if upload.protocol == "tus":
        return tus_handlers.state(asked, door, upload)
    return resumable_handlers.state(asked, door, upload)


def append_to(asked: Asked, door: Door) -> Answer | Wanted:
    """Go on with the upload of this request."""
    upload = door.upload(asked.wharf, asked.parameters["upload"])
    if upload.protocol == "tus":
        return tus_handlers.append(asked, door, upload)
    return resumable_handlers.append(asked, door, upload)


def end_of(asked: Asked, door: Door) -> Answer:
    """Give the upload of this request up."""
    upload = door.upload(asked.wharf, asked.parameters["upload"])
    if upload.protocol == "tus":
        return tus_handlers.end(asked, door, upload)
    return resumable_handlers.end(asked, door, upload)


def receive(asked: Asked, door: Door) -> Answer | Wanted:
    """Take a POST in, in whichever of the four forms it comes."""
    if tus_handlers.is_spoken(asked.head):
        return tus_handlers.create(asked, door)
    if resumable_handlers.is_spoken(asked.head):
        return resumable_handlers.create(asked, door)
    base = base_url(asked.wharf, asked.head)

    def answer(intaken: Intaken) -> Answer:
        records = [file_record(stored, base) for stored in intaken.files]
        ready = all(stored.state is FileState.READY for stored in intaken.files)
        return json_answer(
            201 if ready else 202,
            {"files": records, "fields": intaken.fields} if intaken.form else records[0],
            headers=((LOCATION_OF[ready], str(records[0]["url"])),) if len(records) == 1 else (),
        )

    return once(
        asked,
        door,
        lambda: begin_intake(asked.wharf, asked.head, door.collection, door.principal.id),
        answer,
    )


def _door(asked: Asked) -> Door:
    collection = asked.parameters["collection"]
    principal = asked.gate.collection(asked.head, WRITE, collection)
    base = base_url(asked.wharf, asked.head)
    return Door(
        collection=collection,
        principal=principal,
        base=f"{base}/uploads/{collection}",
        still_open=lambda: Gate(asked.wharf).collection(asked.head, WRITE, collection),
    )


def _door_of_upload(asked: Asked) -> Door:
    try:
        return _door(asked)
    except NotFound:
        raise NotFound from None  # as for an upload that is absent, whatever is


def _is_of(principal: Principal, upload: Upload) -> bool:
    return principal.owns(upload.owner) and principal.may_use(upload.collection)
