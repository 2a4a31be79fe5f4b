"""The answers of the resumable protocol: each says how far the upload is and whether it is over."""

from __future__ import annotations

import contextlib
import json
from dataclasses import replace

from wharfinger.catalog import Upload, UploadState
from wharfinger.errors import (
    LengthMismatch,
    NotFound,
    NotReady,
    OffsetMismatch,
    TooLarge,
    UploadTakenOver,
)
from wharfinger.protocol import resumable
from wharfinger.protocol.digests import preference, repr_digest
from wharfinger.protocol.problems import problem
from wharfinger.protocol.resumable import Limits, boolean
from wharfinger.service import FileState, StoredFile
from wharfinger.service.refusals import error_of
from wharfinger.service.uploads import IDLE
from wharfinger.web.answers import Answer, HeaderPairs, json_answer
from wharfinger.web.asking import Asked
from wharfinger.web.representing import LOCATION_OF, base_url, file_receipt, file_record


def limits(asked: Asked, collection: str, upload: Upload | None = None) -> tuple[str, str]:
    """Return the Upload-Limit of a collection, or of an upload in it."""
    policy = asked.wharf.collection(collection).policy
    if upload is not None and upload.link_id is not None:
        with contextlib.suppress(NotFound):  # it has ended, and with it what it permitted
            policy = asked.wharf.upload_links.narrowed(upload.link_id).policy
    left = IDLE if upload is None else upload.expires_at - asked.wharf.now()
    age = max(int(left.total_seconds()), 0)
    found = Limits(max_size=policy.max_size, min_size=policy.min_size, max_age=age)
    return "Upload-Limit", found.field()


def standing(upload: Upload) -> HeaderPairs:
    """Return where an upload stands."""
    over = upload.state is not UploadState.OPEN
    pairs = [("Upload-Complete", boolean(over)), ("Upload-Offset", str(upload.offset))]
    if upload.length is not None:
        pairs.append(("Upload-Length", str(upload.length)))
    return tuple(pairs)


def stored_answer(asked: Asked, stored: StoredFile, link_id: str | None) -> Answer:
    """Return the answer that completes an upload: as to a raw body, and that it is complete.

    To whoever sends by a link it is a receipt.
    """
    if stored.state not in {FileState.READY, FileState.CHECKING, FileState.HELD}:
        raise NotReady(f"The file is {stored.state.value}.")
    ready = stored.state is FileState.READY
    where: HeaderPairs = ()
    if link_id is None:
        record = file_record(stored, base_url(asked.wharf, asked.head))
        where = ((LOCATION_OF[ready], str(record["url"])),)
        if ready:  # of a file that is there, and of what this answer is about
            where += (("Content-Location", str(record["url"])),)
    else:
        record = file_receipt(stored)
    size = str(stored.size)
    headers: HeaderPairs = (
        *where,
        ("Upload-Complete", boolean(True)),
        ("Upload-Offset", size),
        ("Upload-Length", size),
    )
    if preference(asked.head.headers, "Want-Repr-Digest"):
        headers += (("Repr-Digest", repr_digest(stored.sha256)),)
    return json_answer(201 if ready else 202, record, headers=headers)


def final(asked: Asked, upload: Upload) -> Answer:
    """Return the answer to a whole upload once more, be it a success or not. Raises NotFound."""
    if upload.state is not UploadState.REFUSED and upload.file_id is not None:
        return stored_answer(asked, asked.wharf.info(upload.file_id), upload.link_id)
    return refused(asked, upload.id, error_of(upload))


def refused(asked: Asked, upload_id: str, error: Exception, answer: Answer | None = None) -> Answer:
    """Return the answer to an error: the draft's type of problem, and where the upload stands.

    What the catalog says now is what is told: an offset in an answer is one that the next
    request may go on from.
    """
    upload = None
    with contextlib.suppress(NotFound):  # a creation whose address nobody was told
        upload = asked.wharf.uploads.find(upload_id, None)
    if isinstance(error, LengthMismatch):
        kept = "nothing of it" if upload is None else "what came of it"
        error = LengthMismatch(f"The body was cut short; {kept} is kept.")
        answer = None
    if answer is None:
        from wharfinger.web.exchange import error_answer

        answer = error_answer(error, asked.head)
    answer = with_type(error, answer, asked.head.method)
    if upload is None:
        return replace(answer, headers=(*answer.headers, ("Upload-Complete", boolean(False))))
    fields = standing(upload)
    if isinstance(error, UploadTakenOver):
        # The newer request moves the offset: any that could be said here would be stale.
        fields = tuple(pair for pair in fields if pair[0] != "Upload-Offset")
    if isinstance(error, TooLarge):
        fields += (limits(asked, upload.collection, upload),)
    return replace(answer, headers=(*answer.headers, *fields))


def with_type(error: Exception, answer: Answer, method: str) -> Answer:
    """Return an error's answer with the type and the facts that the draft registers for it."""
    kind = resumable.problem_type(getattr(error, "code", ""))
    if kind is None or not isinstance(answer.body, bytes):
        return answer
    facts: dict[str, object] = {"type": kind}
    if isinstance(error, OffsetMismatch):
        facts |= {"expected-offset": error.expected, "provided-offset": error.provided}
    document = problem(error).document if not answer.body else json.loads(answer.body)  # type: ignore[arg-type]
    body = json.dumps({**document, **facts}).encode("ascii")
    kept = [pair for pair in answer.headers if pair[0] != "Content-Length"]
    return replace(
        answer,
        headers=(*kept, ("Content-Length", str(len(body)))),
        body=b"" if method == "HEAD" else body,
    )
