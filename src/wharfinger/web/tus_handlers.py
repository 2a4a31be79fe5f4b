"""tus 1.0.0: what its requests do.

What is malformed in the head is answered before the upload is touched. From then on the
request holds the upload until a newer one takes it: whatever came is kept, unless a
checksum decides about it. The request that brings the last byte makes the file, and answers
the verdict; so does a HEAD that finds an upload whole whose last request never got that far.
An upload that was refused answers its problem, and is never said to have come in.
"""

from __future__ import annotations

import contextlib
from dataclasses import replace
from typing import Final

from wharfinger.catalog import Upload, UploadState
from wharfinger.errors import (
    Forbidden,
    LengthMismatch,
    LengthRequired,
    NotFound,
    OffsetMismatch,
    Rejected,
    RequestError,
    TooLarge,
    TooManyRequests,
    UnsupportedEncoding,
    UploadOver,
    UploadTakenOver,
)
from wharfinger.protocol import tus_server as tus
from wharfinger.protocol.dates import format_http_date
from wharfinger.protocol.tus import VERSION
from wharfinger.service import FileState, StoredFile
from wharfinger.service.refusals import error_of
from wharfinger.web.answers import Answer, HeaderPairs, empty_answer
from wharfinger.web.asking import Asked, Wanted
from wharfinger.web.doors import Door
from wharfinger.web.representing import base_url
from wharfinger.web.requests import RequestHead
from wharfinger.web.tus_joining import begin_joining
from wharfinger.web.tus_sinks import Arrived, Chunk, Nothing

# What tus-js-client waits and tries again after; other 4xx than these make it give up.
_LATER: Final = 423
_AGAIN: Final = 409
_ENDED_FILE: Final = frozenset({FileState.REFUSED, FileState.FAILED})


def is_spoken(head: RequestHead) -> bool:
    """Return whether a request speaks this protocol."""
    return "Tus-Resumable" in head.headers


def marked(head: RequestHead, answer: Answer) -> Answer:
    """Return an answer with what tus has on every one, errors too, except those to OPTIONS."""
    names = {name for name, _ in answer.headers}
    if head.method == "OPTIONS" or not (is_spoken(head) or "Tus-Version" in names):
        return answer
    return replace(answer, headers=(*answer.headers, ("Tus-Resumable", VERSION)))


def told(error: Exception) -> Exception:
    """Return an error as a client of tus understands it: what passes is worth another try.

    tus-js-client gives up, and forgets the upload, after every 4xx but 409 and 423.
    """
    if isinstance(error, TooManyRequests):
        error.http_status = _LATER
    elif isinstance(error, LengthMismatch):
        error = LengthMismatch(
            "The body ended before it was whole.", hint="Ask with HEAD where the upload stands."
        )
        error.http_status = _AGAIN
    return error


def options(asked: Asked, collection: str) -> Answer:
    """Say what is supported. Raises NotFound: there is no such collection."""
    policy = asked.wharf.collection(collection).policy
    return empty_answer(
        204,
        (
            ("Tus-Version", VERSION),
            ("Tus-Extension", ",".join(tus.EXTENSIONS)),
            ("Tus-Max-Size", str(policy.max_size)),
            ("Tus-Checksum-Algorithm", ",".join(tus.ALGORITHMS)),
        ),
    )


def create(asked: Asked, door: Door) -> Answer | Wanted:
    """Begin an upload."""
    headers = asked.head.headers
    tus.check_version(headers)
    concat = headers.single("Upload-Concat")
    parts = tus.final_parts(concat)
    sent = headers.get("Upload-Metadata", "").strip()
    claims = tus.metadata(sent)
    name, media_type = tus.claimed_name(claims), tus.claimed_type(claims)
    if parts is not None:
        joining = begin_joining(asked, door, parts, name=name, type=media_type, metadata=sent)
        if isinstance(joining, Upload):  # whose answer got lost
            return _created(asked, door, Arrived(joining, _file_of(asked, joining)))
        return Wanted(joining, lambda arrived: _created(asked, door, arrived))
    partial = tus.is_partial(concat)
    length = tus.length(headers)
    checksum = tus.checksum(headers)
    has_body = asked.head.length != 0
    if has_body:
        _check_body(asked.head)
        if length is not None and (asked.head.length or 0) > length:
            raise TooLarge(
                f"The upload is {length} bytes long; this request has {asked.head.length}.",
                limit=length,
                size=asked.head.length,
            )
    uploads = asked.wharf.uploads
    upload = uploads.create(
        door.collection,
        protocol="tus",
        owner=door.principal.id,
        link_id=door.link_id,
        length=length,
        name=name,
        type=media_type,
        metadata=sent,
        concat=tus.PARTIAL if partial else None,
    )
    if not has_body and length != 0:
        return _created(asked, door, Arrived(upload, None))
    # Nobody knows its address before this request is answered: what fails is forgotten.
    sink = Chunk(uploads.take(upload.id), door, checksum, gone=lambda: uploads.end(upload.id))
    if has_body:
        return Wanted(sink, lambda arrived: _created(asked, door, arrived))
    try:
        return _created(asked, door, sink.finish())
    finally:
        sink.abort()


def state(asked: Asked, door: Door, upload: Upload) -> Answer:
    """Say where an upload stands."""
    tus.check_version(asked.head.headers)
    try:
        upload = _settled(asked, door, upload)
    except UploadTakenOver as error:
        error.http_status = _LATER  # after a 409 to HEAD, clients forget the upload
        raise
    stored = _file_of(asked, upload)
    fields: list[tuple[str, str]] = []
    if not _is_final(upload) or upload.state is not UploadState.OPEN:
        fields.append(("Upload-Offset", str(upload.offset)))
    if upload.length is None:
        fields.append(("Upload-Defer-Length", "1"))
    else:
        fields.append(("Upload-Length", str(upload.length)))
    if upload.metadata:
        fields.append(("Upload-Metadata", upload.metadata))
    if upload.concat is not None:
        fields.append(("Upload-Concat", upload.concat))
    return empty_answer(200, (*fields, *_about(asked, door, Arrived(upload, stored))))


def append(asked: Asked, door: Door, upload: Upload) -> Answer | Wanted:
    """Go on with an upload."""
    head = asked.head
    tus.check_version(head.headers)
    if upload.state is UploadState.REFUSED:
        raise error_of(upload)
    _check_body(head)
    offset = tus.number(head.headers, "Upload-Offset")
    if offset is None:
        raise RequestError("A PATCH says in Upload-Offset where its bytes begin.")
    length = tus.number(head.headers, "Upload-Length")
    checksum = tus.checksum(head.headers)
    if _is_final(upload):
        raise Forbidden("A final upload is made of its parts; it takes no bytes.")
    if upload.state is not UploadState.OPEN:
        return _over(asked, door, upload, offset)
    try:
        turn = asked.wharf.uploads.take(upload.id, door.principal)
    except UploadOver:  # while we came
        return _over(asked, door, _ended(asked, door, upload), offset)
    try:
        turn.at(offset)
        if length is not None:
            turn.settle_length(length)
        _check_fits(asked, door, turn.upload)
        chunk = Chunk(turn, door, checksum)
    except BaseException:
        turn.close()
        raise
    return Wanted(
        chunk,
        lambda arrived: _appended(asked, door, arrived),
        soon=chunk.finish_soon,
    )


def end(asked: Asked, door: Door, upload: Upload) -> Answer:
    """Give an upload up, or forget one that is over; the file that it became stays."""
    tus.check_version(asked.head.headers)
    asked.wharf.uploads.end(upload.id, door.principal)
    return empty_answer(204)


# --- inside ---------------------------------------------------------------------------------


def _check_body(head: RequestHead) -> None:
    if not head.framed:
        raise LengthRequired("The request has a body without a length.")
    for name, plain in (("Content-Encoding", "identity"), ("Transfer-Encoding", "chunked")):
        coding = head.headers.get(name)
        if coding is not None and coding.strip().lower() != plain:
            raise UnsupportedEncoding(f"{name} {coding[:40]!r} is not accepted.")
    tus.check_content_type(head.headers)


def _check_fits(asked: Asked, door: Door, upload: Upload) -> None:
    """Refuse by the head what would be too much of an upload whose length is not known."""
    size = upload.offset + (asked.head.length or 0)
    limit = asked.wharf.collection(door.collection).policy.max_size
    if upload.length is None and size > limit:
        raise TooLarge(f"That makes {size} bytes; the limit is {limit}.", limit=limit, size=size)


def _is_final(upload: Upload) -> bool:
    return upload.concat is not None and upload.concat != tus.PARTIAL


def _ended(asked: Asked, door: Door, upload: Upload) -> Upload:
    """Return an upload that has just ended. Raises the error that ended it."""
    found = door.upload(asked.wharf, upload.id)
    if found.state is UploadState.REFUSED:
        raise error_of(found)
    return found


def _settled(asked: Asked, door: Door, upload: Upload) -> Upload:
    """Return an upload with an offset that stands, made a file if it is whole."""
    if upload.state is UploadState.OPEN and not _is_final(upload):
        with (
            contextlib.suppress(UploadOver),
            asked.wharf.uploads.take(upload.id, door.principal) as turn,
        ):
            arrived = Chunk(turn, door, None).finish()
            if arrived.stored is None:
                return arrived.upload
        return _ended(asked, door, upload)
    if upload.state is UploadState.REFUSED:
        raise error_of(upload)
    return upload


def _file_of(asked: Asked, upload: Upload) -> StoredFile | None:
    """Return the file that an upload became.

    Raises:
        Rejected: it was refused since.
        UploadOver: it is gone.
    """
    if upload.state is not UploadState.COMPLETE or upload.file_id is None:
        return None
    try:
        stored = asked.wharf.info(upload.file_id)
    except NotFound as error:
        raise UploadOver("The file that this upload became is gone.") from error
    if stored.state in _ENDED_FILE:
        raise Rejected(f"The file that this upload became is {stored.state.value}.")
    return stored


def _over(asked: Asked, door: Door, upload: Upload, offset: int) -> Answer | Wanted:
    """Say again how an upload ended, to a client that lost the answer."""
    if offset != upload.offset:
        raise OffsetMismatch(
            f"The upload stands at {upload.offset} bytes, which is all of it.",
            expected=upload.offset,
            provided=offset,
        )
    arrived = Arrived(upload, _file_of(asked, upload))
    return Wanted(Nothing(arrived), lambda arrived: _appended(asked, door, arrived))


def _created(asked: Asked, door: Door, arrived: Arrived) -> Answer:
    upload = arrived.upload
    fields = [("Location", door.address(upload))]
    if upload.offset:
        fields.append(("Upload-Offset", str(upload.offset)))
    elif asked.head.length != 0:
        fields.append(("Upload-Offset", "0"))
    return empty_answer(201, (*fields, *_about(asked, door, arrived), ("Content-Length", "0")))


def _appended(asked: Asked, door: Door, arrived: Arrived) -> Answer:
    offset = ("Upload-Offset", str(arrived.upload.offset))
    return empty_answer(204, (offset, *_about(asked, door, arrived)))


def _about(asked: Asked, door: Door, arrived: Arrived) -> HeaderPairs:
    """Return until when an upload waits, or what it became."""
    if arrived.stored is not None:
        told = ("File-State", arrived.stored.state.value)
        if door.link_id is not None:  # whoever sends by a link learns of no address
            return (told,)
        base = base_url(asked.wharf, asked.head)
        return (("Content-Location", f"{base}/files/{arrived.stored.id}"), told)
    if arrived.upload.state is UploadState.OPEN:
        return (("Upload-Expires", format_http_date(arrived.upload.expires_at)),)
    return ()
