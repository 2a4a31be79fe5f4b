"""Idempotency-Key on a POST of files: sent again, it is answered as the first time.

After draft-ietf-httpapi-idempotency-key-header. What makes two requests the same is what
their heads say (method, address, media type, Content-Disposition, length, and digests where
they are sent) and what their bodies come to: the bytes of a raw one, and of a form the names
and bytes of its files and its fields, without the boundary, which clients draw anew. So whoever
sends by a link, where all senders are one principal, never gets the answer to what another one
sent with the same key: that is 422, and nothing of either is lost unseen. A file that a check has
refused since is answered with that: no success is told of it again.

A stored answer is given once the body was read, compared, and thrown away: a success that comes
before the whole was sent is one that careful clients do not believe, and others lose.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from wharfinger.errors import IdempotencyKeyReused, NotFound, RequestError, WharfingerError
from wharfinger.names import judge
from wharfinger.protocol.content_type import parse_content_type
from wharfinger.service import FileState, StoredFile, Wharf
from wharfinger.service.receiving import Accepted
from wharfinger.service.refusals import error_of_problem
from wharfinger.service.replies import Claimed, Reply, content_digest, content_of
from wharfinger.web.answers import Answer
from wharfinger.web.asking import Asked, Wanted
from wharfinger.web.doors import Door
from wharfinger.web.intake import Intake, Intaken, begin_intake
from wharfinger.web.requests import RequestHead

if TYPE_CHECKING:
    from datetime import datetime

    from sqlalchemy import Connection

    from wharfinger.stores.base import Buffer

# A String of RFC 9651, as the draft has it, or the bare text that most clients send.
_KEY: Final = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\]){1,255})"|([!#-+\--~]{1,255})')

_DIGESTS: Final = ("Content-Digest", "Repr-Digest")


def once(
    asked: Asked, door: Door, begin: Callable[[], Intake], answer: Callable[[Intaken], Answer]
) -> Answer | Wanted:
    """Return what `begin` and `answer` come to, or what they came to when they came before.

    Raises:
        RequestError: the key is malformed.
        IdempotencyKeyReused: it was sent with another request.
        RequestInProgress: that request is not over.
    """
    key = _key(asked.head)
    if key is None:
        return Wanted(begin(), answer)
    whose = f"{door.principal.id}\0{door.link_id or ''}"
    found = asked.wharf.replies.claim(whose, key, _fingerprint(asked.head))
    if isinstance(found, Reply):
        stored = Answer(status=found.status or 0, headers=found.headers, body=found.body)
        again = begin_intake(_Nowhere(asked.wharf.now()), asked.head, door.collection, None)
        refusal = _refusal(asked.wharf, found.files)
        return Wanted(_Comparing(again, content_of(found), refusal), lambda _: stored)
    try:
        return Wanted(_Once(begin(), answer, found), answer)
    except BaseException:
        found.release()
        raise


class _Once:
    """Takes a body in and stores the answer with its files; the key is free if that fails."""

    def __init__(
        self, intake: Intake, answer: Callable[[Intaken], Answer], claimed: Claimed
    ) -> None:
        self._intake = intake
        self._answer = answer
        self._claimed = claimed
        intake.when_accepted(self._keep)

    def write(self, data: Buffer) -> None:
        self._intake.write(data)

    def finish(self) -> Intaken:
        intaken = self._intake.finish()
        self._claimed.done()
        return intaken

    def abort(self) -> None:
        try:
            self._intake.abort()
        finally:
            self._claimed.release()

    def _keep(self, connection: Connection, intaken: Intaken) -> None:
        answer = self._answer(intaken)
        assert isinstance(answer.body, bytes)  # noqa: S101 - records, as JSON
        self._claimed.keep(
            connection,
            answer.status,
            answer.headers,
            answer.body,
            content=_content(intaken),
            files=[stored.id for stored in intaken.files],
        )


class _Comparing:
    """Reads a body whose answer is known.

    Args:
        intake: takes it in, and keeps nothing.
        content: what it must come to.
        refusal: what became of the file since, where that is no success any more.
    """

    def __init__(self, intake: Intake, content: str, refusal: WharfingerError | None) -> None:
        self._intake = intake
        self._content = content
        self._refusal = refusal

    def write(self, data: Buffer) -> None:
        self._intake.write(data)

    def finish(self) -> None:
        """Return nothing: the answer is known. Raises IdempotencyKeyReused, or the refusal."""
        if _content(self._intake.finish()) != self._content:
            raise IdempotencyKeyReused("This Idempotency-Key was sent with other content.")
        if self._refusal is not None:
            raise self._refusal

    def abort(self) -> None:
        self._intake.abort()


class _Nowhere:
    """Receives files as a service does, and keeps nothing but their names and digests."""

    def __init__(self, now: datetime) -> None:
        self._now = now

    def collection(self, name: str) -> None:
        """Return nothing: what came before was let in."""

    def begin(
        self,
        collection: str,
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002, ARG002 - as a service has it
        length: int | None = None,  # noqa: ARG002
        owner: str | None = None,  # noqa: ARG002
    ) -> _Hashed:
        return _Hashed(collection, "" if name is None else judge(name), self._now)

    def finish_all(self, receptions: Sequence[_Hashed]) -> list[StoredFile]:
        return [reception.finish() for reception in receptions]


class _Hashed:
    """A file that is only hashed."""

    accepted: Accepted | None = None

    def __init__(self, collection: str, name: str, now: datetime) -> None:
        self._collection = collection
        self._name = name
        self._now = now
        self._size = 0
        self._hasher = hashlib.sha256()

    def write(self, data: Buffer) -> None:
        self._size += len(data)
        self._hasher.update(data)

    def finish(self) -> StoredFile:
        return StoredFile(
            id="",
            name=self._name,
            size=self._size,
            type="",
            sha256=self._hasher.hexdigest(),
            state=FileState.READY,
            collection=self._collection,
            owner=None,
            created_at=self._now,
            expires_at=None,
        )

    def abort(self) -> None:
        """Do nothing: nothing is kept."""


def _refusal(wharf: Wharf, files: Sequence[str]) -> WharfingerError | None:
    """Return the error that a check refused the only file of an answer with, if one did."""
    if len(files) != 1:  # of several each has its own state
        return None
    with contextlib.suppress(NotFound):
        stored = wharf.info(files[0])
        if stored.state is FileState.REFUSED:
            return error_of_problem(stored.problem)
    return None


def _content(intaken: Intaken) -> str:
    """Return the digest of what a body came to, however it was framed."""
    # The name of a raw body is in the head, and compared there.
    files = [[one.name if intaken.form else "", one.sha256] for one in intaken.files]
    return content_digest(json.dumps([files, intaken.fields]))


def _key(head: RequestHead) -> str | None:
    value = head.headers.single("Idempotency-Key")
    if value is None:
        return None
    match = _KEY.fullmatch(value.strip())
    if match is None:
        raise RequestError(
            "The Idempotency-Key is malformed.",
            hint="1 to 255 visible ASCII characters, in quotes or without blanks and commas.",
        )
    quoted: str | None = match[1]
    return match[2] if quoted is None else re.sub(r"\\(.)", r"\1", quoted)


def _fingerprint(head: RequestHead) -> str:
    fields = [head.headers.get(name, "") for name in ("Content-Disposition", *_DIGESTS)]
    content_type = head.headers.get("Content-Type", "")
    media_type = parse_content_type(content_type)[0] if content_type else ""
    parts = (head.method, head.path, head.query, media_type, str(head.length), *fields)
    return "\0".join(parts)
