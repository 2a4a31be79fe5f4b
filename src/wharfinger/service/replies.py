"""Stored answers: a request that is sent again with its Idempotency-Key is done once.

After draft-ietf-httpapi-idempotency-key-header:

* A key belongs to the principal that sent it. The answer is stored in the transaction that
  records the files, so that there is never the one without the other, and is given again for
  a day.
* The same key with another request is an error (422), and while the first request runs, too
  (409). What was asked is the head and what the body came to: many may send by one principal
  (an upload link), and none gets an answer to what somebody else sent. A key whose request failed, or whose process died, is free again: nothing was kept.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from wharfinger.catalog import Catalog
from wharfinger.catalog import replies as statements
from wharfinger.catalog.replies import Reply
from wharfinger.errors import IdempotencyKeyReused, RequestInProgress
from wharfinger.service.living import Living
from wharfinger.service.sweeping import REPLY_AGE

if TYPE_CHECKING:
    from sqlalchemy import Connection

__all__ = ["Claimed", "Replies", "Reply", "content_digest", "content_of"]

# Half of a SHA-256 for the head, and half for the content: nobody finds a second one to either.
_HALF: Final = 32


def content_of(reply: Reply) -> str:
    """Return the digest of the content that a stored answer is to."""
    return reply.request[_HALF:]


def content_digest(*texts: str) -> str:
    """Return the digest of what a body came to, as it is kept."""
    return _digest(*texts)[:_HALF]


class Replies:
    """The stored answers of one service.

    Args:
        catalog: returns the open catalog.
        living: returns this process among those of the service.
        now: the clock.
    """

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        living: Callable[[], Living],
        now: Callable[[], datetime],
    ) -> None:
        self._catalog = catalog
        self._living = living
        self._now = now
        self._running: set[str] = set()
        self._lock = threading.Lock()

    def claim(self, principal: str, key: str, request: str) -> Reply | Claimed:
        """Return the answer that is stored for a request, or the right to store one.

        Whether the body, too, is that of the first request the caller finds out: `content_of`.

        Args:
            principal: whose key it is.
            key: as the client chose it.
            request: what the head asks for, so that another request with the key is recognised.

        Raises:
            IdempotencyKeyReused: the key was used for another request.
            RequestInProgress: the first request with it has not ended.
        """
        process = self._living().name
        mine = Reply(
            key=_digest(principal, key),
            request=_digest(request)[:_HALF],
            runner=f"{process}:{secrets.token_hex(8)}",
        )
        with self._lock:
            self._running.add(mine.runner)
        try:
            found = self._catalog().write(lambda connection: self._claim(connection, mine))
        except BaseException:
            self._over(mine)
            raise
        if found is None:
            return Claimed(self, mine)
        self._over(mine)
        if found.request[:_HALF] != mine.request:
            raise IdempotencyKeyReused("This Idempotency-Key was sent with another request.")
        if found.status is None:
            raise RequestInProgress("The first request with this Idempotency-Key is not over.")
        return found

    def _claim(self, connection: Connection, mine: Reply) -> Reply | None:
        now = self._now()
        statements.forget(connection, now - REPLY_AGE + timedelta(milliseconds=1), key=mine.key)
        found = statements.find(connection, mine.key)
        if found is not None and (found.status is not None or self._runs(found.runner)):
            return found
        statements.claim(connection, mine, now)
        return None

    def _runs(self, runner: str) -> bool:
        process, _, _ = runner.partition(":")
        if process == self._living().name:
            with self._lock:
                return runner in self._running
        return self._living().is_alive(process)

    def _over(self, reply: Reply) -> None:
        with self._lock:
            self._running.discard(reply.runner)


class Claimed:
    """The right to store the answer to one request: `keep` it and be `done`, or `release` the key."""

    def __init__(self, replies: Replies, mine: Reply) -> None:
        self._replies = replies
        self._mine = mine
        self._held = True

    def keep(
        self,
        connection: Connection,
        status: int,
        headers: tuple[tuple[str, str], ...],
        body: bytes,
        *,
        content: str,
        files: Sequence[str] = (),
    ) -> None:
        """Store the answer in the transaction of what it tells of.

        `content` is the `content_digest` of the request, `files` are the ids of what it is about.
        """
        mine = self._mine
        statements.keep(
            connection,
            Reply(
                key=mine.key,
                request=mine.request + content,
                runner=mine.runner,
                status=status,
                headers=headers,
                body=body,
                files=tuple(files),
            ),
            self._replies._now(),  # noqa: SLF001
        )

    def done(self) -> None:
        """The answer is stored."""
        self._held = False
        self._replies._over(self._mine)  # noqa: SLF001

    def release(self) -> None:
        """Nothing came of the request: the key is free again. Harmless when it is over."""
        if not self._held:
            return
        self._held = False
        replies = self._replies
        try:
            replies._catalog().write(  # noqa: SLF001
                lambda connection: statements.release(connection, self._mine)
            )
        finally:
            replies._over(self._mine)  # noqa: SLF001


def _digest(*texts: str) -> str:
    return hashlib.sha256("\0".join(texts).encode("utf-8", "surrogateescape")).hexdigest()
