"""The resumable protocol (draft-ietf-httpbis-resumable-upload): what its requests do.

The rules:

1. It speaks who sends Upload-Complete as the draft writes it; anybody else's POST is an
   ordinary one. A whole form is one, too: its parts are files of their own.
2. Every answer says Upload-Complete and, while an upload can be gone on with, the offset at
   which the next request is taken. `?1` marks the answer to the whole, be it a refusal.
3. A body that is cut off counts as far as it came, unless a Content-Digest had to be seen. A
   creation that is cut off before anybody was told the address of its upload leaves nothing.
4. What would make an upload longer than was announced ends it: there is no telling which bytes
   were meant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from wharfinger.catalog import Upload, UploadState
from wharfinger.errors import (
    InconsistentLength,
    LengthRequired,
    NotFound,
    OffsetMismatch,
    Rejected,
    RequestError,
    TooLarge,
    UnsupportedEncoding,
    UploadOver,
    WharfingerError,
)
from wharfinger.protocol import resumable
from wharfinger.protocol.content_type import essence, parse_content_type
from wharfinger.protocol.digests import parse_digest
from wharfinger.protocol.disposition import parse_disposition
from wharfinger.protocol.resumable import boolean
from wharfinger.service import StoredFile
from wharfinger.service.turns import Turn
from wharfinger.web.answers import Answer, HeaderPairs, empty_answer
from wharfinger.web.asking import Asked, Wanted
from wharfinger.web.doors import Door
from wharfinger.web.requests import RequestHead
from wharfinger.web.resumable_answers import (
    final,
    limits,
    refused,
    standing,
    stored_answer,
    with_type,
)
from wharfinger.web.resumable_sink import Appending

_FORM = "multipart/form-data"


def is_spoken(head: RequestHead) -> bool:
    """Return whether a request speaks this protocol."""
    complete = resumable.complete(head.headers)
    if complete and essence(head.headers.get("Content-Type")) == _FORM:
        return False
    return complete is not None


def announced(asked: Asked, collection: str) -> HeaderPairs:
    """Return what OPTIONS of a collection says of this protocol. Raises NotFound."""
    if "Upload-Complete" in asked.head.headers:
        return ()
    return (limits(asked, collection),)


def create(asked: Asked, door: Door) -> Answer | Wanted:
    """Begin an upload, with all of its bytes, the first of them, or none."""
    try:
        upload, digests = _begin(asked, door)
    except (Rejected, InconsistentLength) as error:
        # As the target itself would answer: there is nothing to resume.
        return _refused_at_once(asked, door, error)
    uploads = asked.wharf.uploads
    turn = uploads.take(upload.id)
    last = bool(resumable.complete(asked.head.headers))
    where: HeaderPairs = (("Location", door.address(upload)),)

    def created(stored: StoredFile | None) -> Answer:
        if stored is not None:
            return stored_answer(asked, stored, door.link_id)
        now = turn.upload
        return empty_answer(
            201,
            (*where, ("Content-Length", "0"), *standing(now), limits(asked, door.collection, now)),
        )

    def gone() -> None:
        with contextlib.suppress(NotFound):
            if uploads.find(upload.id, None).state is UploadState.OPEN:
                uploads.end(upload.id)

    sink = _appending(asked, door, turn, last=last, digests=digests, gone=gone)
    if asked.head.length != 0:
        sink.say(*where, limits(asked, door.collection, upload))
    return _wanted(asked, sink, created)


def state(asked: Asked, door: Door, upload: Upload) -> Answer:
    """Say where an upload stands, or what became of it."""
    headers = asked.head.headers
    if resumable.complete(headers) is not None or resumable.offset(headers) is not None:
        raise RequestError(
            "A request for the offset has neither Upload-Complete nor Upload-Offset."
        )
    try:
        upload = asked.wharf.uploads.state(upload.id)
    except UploadOver:  # it has ended just now
        upload = door.upload(asked.wharf, upload.id)
    if upload.state is UploadState.OPEN:
        return empty_answer(204, (*standing(upload), limits(asked, door.collection, upload)))
    answer = final(asked, upload)
    if upload.file_id is None or upload.state is UploadState.REFUSED:
        return answer
    dropped = {"location", "content-type", "content-length"}
    kept = tuple(pair for pair in answer.headers if pair[0].lower() not in dropped)
    return Answer(status=204, headers=(*kept, limits(asked, door.collection, upload)))


def append(asked: Asked, door: Door, upload: Upload) -> Answer | Wanted:
    """Go on with an upload where it stands, or tell again what came of it."""
    head = asked.head
    _check_body(head)
    headers = head.headers
    last, start = resumable.complete(headers), resumable.offset(headers)
    typed = essence(headers.get("Content-Type")) == resumable.CONTENT_TYPE
    if not typed and resumable.version(headers) not in range(resumable.TYPED_FROM):
        raise RequestError(
            "What goes on with an upload is sent as another type.",
            hint=f"Send Content-Type: {resumable.CONTENT_TYPE}.",
        )
    if last is None or start is None:
        raise RequestError(
            "A request that goes on with an upload says where, and whether it is the last.",
            hint="Send Upload-Offset like 1024 and Upload-Complete as ?0 or ?1.",
        )
    digests = _digests(headers.single("Content-Digest"))
    try:
        turn = asked.wharf.uploads.take(upload.id)
    except UploadOver:
        return _over(asked, door.upload(asked.wharf, upload.id), last=last)
    try:
        _check_place(turn, head, start=start, last=last)
        sink = _appending(asked, door, turn, last=last, digests=digests)
    except (OffsetMismatch, InconsistentLength, Rejected) as error:
        turn.close()
        return refused(asked, upload.id, error)
    except BaseException:
        turn.close()
        raise

    def appended(stored: StoredFile | None) -> Answer:
        if stored is not None:
            return stored_answer(asked, stored, door.link_id)
        now = turn.upload
        return empty_answer(204, (*standing(now), limits(asked, door.collection, now)))

    return _wanted(asked, sink, appended)


def end(asked: Asked, door: Door, upload: Upload) -> Answer:  # noqa: ARG001 - as its siblings
    """Give an upload up, or forget one that is over; a file that it became stays."""
    asked.wharf.uploads.end(upload.id)
    return empty_answer(204)


# --- beginning ----------------------------------------------------------------------------


def _begin(asked: Asked, door: Door) -> tuple[Upload, dict[str, bytes]]:
    head = asked.head
    _check_body(head)
    headers = head.headers
    claimed = (headers.single("Content-Type") or "").strip()
    media_type = parse_content_type(claimed)[0] if claimed else None
    if media_type in {_FORM, "application/x-www-form-urlencoded"}:
        raise UnsupportedEncoding(
            "A form came, and only the bytes of one file can be sent in several requests.",
            hint="Send the file's own Content-Type with the raw bytes.",
        )
    if media_type == resumable.CONTENT_TYPE:
        media_type = None  # tus-js-client 4 says so of the first bytes, too: it is no file's type
    last = resumable.complete(headers)
    told = resumable.length(headers)
    length = resumable.whole_length(start=0, last=last, content=head.length, told=told)
    if length is not None and (head.length or 0) > length:
        raise _too_long(length, head.length or 0)
    digests = _digests(headers.single("Content-Digest"))
    whole = _digests(headers.single("Repr-Digest")).get("sha-256")
    disposition = headers.single("Content-Disposition")
    upload = asked.wharf.uploads.create(
        door.collection,
        protocol="resumable",
        owner=door.principal.id,
        link_id=door.link_id,
        length=length,
        name=None if disposition is None else parse_disposition(disposition).name,
        type=media_type,
        digest=None if whole is None else whole.hex(),
    )
    return upload, digests


def _refused_at_once(asked: Asked, door: Door, error: WharfingerError) -> Answer:
    from wharfinger.web.exchange import error_answer

    answer = with_type(error, error_answer(error, asked.head), asked.head.method)
    fields: HeaderPairs = (("Upload-Complete", boolean(True)),)
    if isinstance(error, TooLarge):
        fields += (limits(asked, door.collection),)
    return replace(answer, headers=(*answer.headers, *fields))


# --- going on -----------------------------------------------------------------------------


def _check_place(turn: Turn, head: RequestHead, *, start: int, last: bool) -> None:
    """Refuse bytes that do not belong where they say, or make the whole too long."""
    turn.at(start)
    content, known = head.length, turn.upload.length
    told = resumable.length(head.headers)
    end = start + (content or 0)
    if known is not None and end > known:
        error = _too_long(known, end)
        turn.refuse(error)
        raise error
    total = resumable.whole_length(start=start, last=last, content=content, told=told, known=known)
    if total is not None and end > total:
        raise _too_long(total, end)
    if total is not None:
        turn.settle_length(total)


def _too_long(length: int, end: int) -> InconsistentLength:
    return InconsistentLength(
        f"The upload is {length} bytes long, and bytes up to {end} come.", lengths=(length, end)
    )


def _over(asked: Asked, upload: Upload, *, last: bool) -> Answer:
    """Answer a request that goes on with what is over: the last one, once more, gets its answer."""
    if last or upload.file_id is None:
        return final(asked, upload)
    error = UploadOver("The upload is complete; it takes no more bytes.")
    return refused(asked, upload.id, error)


# --- both ---------------------------------------------------------------------------------


def _check_body(head: RequestHead) -> None:
    if not head.framed:
        raise LengthRequired("The request has a body without a length.")
    for name, plain in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked")):
        coding = head.headers.get(name)
        if coding is not None and coding.strip().lower() != plain:
            raise UnsupportedEncoding(f"{name} {coding[:40]!r} is not accepted.")


def _digests(value: str | None) -> dict[str, bytes]:
    return {} if value is None else parse_digest(value)


def _appending(
    asked: Asked,
    door: Door,
    turn: Turn,
    *,
    last: bool,
    digests: dict[str, bytes],
    gone: Callable[[], object] | None = None,
) -> Appending:
    version = resumable.version(asked.head.headers)
    spoken = version if version in resumable.VERSIONS else None
    return Appending(
        turn,
        last=last,
        digests=digests,
        still_open=door.still_open,
        version=spoken,
        gone=gone,
    )


def _wanted(asked: Asked, sink: Appending, answer: Callable[[StoredFile | None], Answer]) -> Wanted:
    def dressed(error: Exception, plain: Answer) -> Answer:
        sink.abort()  # first what came is kept, then its offset is told
        return refused(asked, sink.upload.id, error, plain)

    return Wanted(sink, answer, refused=dressed, interims=partial(Appending.interims, sink))
