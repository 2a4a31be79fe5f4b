"""One door for files: each request is led to the protocol that it, or its upload, speaks.

A `Door` says where files go and whose they are, so that a collection's own address and an
upload link share every handler behind it.
"""

from __future__ import annotations

from dataclasses import dataclass

from wharfinger.catalog import Upload
from wharfinger.service import WRITE, FileState, Principal
from wharfinger.web import resumable_handlers, tus_handlers
from wharfinger.web.answers import Answer, json_answer
from wharfinger.web.asking import Asked, Wanted
from wharfinger.web.doors import Door
from wharfinger.web.intake import Intaken, begin_intake
from wharfinger.web.representing import base_url, file_record


@dataclass(frozen=True, slots=True)
class _Found:
    """An upload, the door it lies behind, and the handlers of its protocol."""

    door: Door
    upload: Upload


def create(asked: Asked) -> Answer | Wanted:
    """POST /uploads/{collection}."""
    return receive(asked, _door(asked))


def options(asked: Asked) -> Answer:
    """OPTIONS /uploads/{collection}, and of an upload in it."""
    return tus_handlers.options(asked, asked.parameters["collection"])


def state(asked: Asked) -> Answer:
    """HEAD and GET /uploads/{collection}/{upload}."""
    return state_of(asked, _door(asked))


def append(asked: Asked) -> Answer | Wanted:
    """PATCH /uploads/{collection}/{upload}."""
    return append_to(asked, _door(asked))


def end(asked: Asked) -> Answer:
    """DELETE /uploads/{collection}/{upload}."""
    return end_of(asked, _door(asked))


def state_of(asked: Asked, door: Door) -> Answer:
    """Say where an upload behind a door stands."""
    found = _found(asked, door)
    if found.upload.protocol == "tus":
        return tus_handlers.state(asked, found.door, found.upload)
    return resumable_handlers.state(asked, found.door, found.upload)


def append_to(asked: Asked, door: Door) -> Answer | Wanted:
    """Go on with an upload behind a door."""
    found = _found(asked, door)
    if found.upload.protocol == "tus":
        return tus_handlers.append(asked, found.door, found.upload)
    return resumable_handlers.append(asked, found.door, found.upload)


def end_of(asked: Asked, door: Door) -> Answer:
    """Give an upload behind a door up."""
    found = _found(asked, door)
    if found.upload.protocol == "tus":
        return tus_handlers.end(asked, found.door, found.upload)
    return resumable_handlers.end(asked, found.door, found.upload)


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
            headers=(("Location", str(records[0]["url"])),) if len(records) == 1 else (),
        )

    intake = begin_intake(asked.wharf, asked.head, door.collection, door.principal.id)
    return Wanted(intake, answer)


def _door(asked: Asked) -> Door:
    collection = asked.parameters["collection"]
    principal: Principal = asked.gate.collection(asked.head, WRITE, collection)
    base = base_url(asked.wharf, asked.head)
    return Door(collection=collection, principal=principal, base=f"{base}/uploads/{collection}")


def _found(asked: Asked, door: Door) -> _Found:
    return _Found(door, door.upload(asked.wharf, asked.parameters["upload"]))
