"""Idempotency-Key on a POST of files: sent again, it is answered as the first time.

After draft-ietf-httpapi-idempotency-key-header. What makes two requests the same is what
their heads say: method, address, media type (not the boundary of a form, which clients draw
anew), Content-Disposition, length, and digests where they are sent. A raw body must have
the bytes of the first, too. Those of forms are not compared: their boundaries differ, and a
client that uses one key for two forms of one length gets the first answer, whose `sha256` tells.

A stored answer is given once the body was read, and thrown away: a success that comes before
the whole was sent is one that careful clients do not believe, and others lose.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from wharfinger.errors import IdempotencyKeyReused, RequestError
from wharfinger.protocol.content_type import parse_content_type
from wharfinger.service.replies import Claimed, Reply
from wharfinger.web.answers import Answer
from wharfinger.web.asking import Asked, Wanted
from wharfinger.web.doors import Door
from wharfinger.web.intake import Intake, Intaken
from wharfinger.web.requests import RequestHead

if TYPE_CHECKING:
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
        return Wanted(_Discarding(_digest_in(stored)), lambda _: stored)
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
        self._claimed.keep(connection, answer.status, answer.headers, answer.body)


class _Discarding:
    """Reads a body whose answer is known.

    Args:
        digest: the SHA-256 that it must have, in hexadecimal; None for any.
    """

    def __init__(self, digest: str | None) -> None:
        self._digest = digest
        self._hasher = hashlib.sha256()

    def write(self, data: Buffer) -> None:
        """Take no notice, but of what it comes to."""
        if self._digest is not None:
            self._hasher.update(data)

    def finish(self) -> None:
        """Return nothing: the answer is known. Raises IdempotencyKeyReused."""
        if self._digest is not None and self._hasher.hexdigest() != self._digest:
            raise IdempotencyKeyReused("This Idempotency-Key was sent with other bytes.")

    def abort(self) -> None:
        """Do nothing: nothing is kept."""


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


def _digest_in(stored: Answer) -> str | None:
    """Return the SHA-256 of the one file that an answer tells of, if it does so as a record."""
    assert isinstance(stored.body, bytes)  # noqa: S101 - as it was kept
    try:
        document = json.loads(stored.body)
    except ValueError:  # a page
        return None
    digest = document.get("sha256")
    return digest if isinstance(digest, str) else None


def _fingerprint(head: RequestHead) -> str:
    fields = [head.headers.get(name, "") for name in ("Content-Disposition", *_DIGESTS)]
    content_type = head.headers.get("Content-Type", "")
    media_type = parse_content_type(content_type)[0] if content_type else ""
    parts = (head.method, head.path, head.query, media_type, str(head.length), *fields)
    return "\0".join(parts)
