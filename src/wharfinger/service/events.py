"""`Events`: what happened to files, for the application around the service and for a webhook.

1. An event is a row that is written in the transaction in which it happens. There is one
   exactly when it happened, whatever crashes when.
2. Callbacks in this process are called after the commit, on a thread of their own (named
   "wharfinger-events"), one after the other in order. Each event of this process is given
   to each callback once while the process lives; what a callback raises is in the log
   and harms nobody. `close` of the service waits a moment for what is left.
3. The webhook is told by `deliver`; see `webhooks`.
4. What is done is forgotten after a week.
"""

from __future__ import annotations

import logging
import os
import queue
import secrets
import threading
from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeVar

from wharfinger.catalog import Catalog, Event, StoredFile
from wharfinger.catalog import events as statements
from wharfinger.catalog.database import on_commit
from wharfinger.errors import UsageError, WharfingerError
from wharfinger.service.event_settings import EventSettings
from wharfinger.service.webhooks import Delivered, Webhook

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

log = logging.getLogger("wharfinger")

RECEIVED: Final = "file.received"
READY: Final = "file.ready"
REFUSED: Final = "file.refused"
REMOVED: Final = "file.removed"
EXPIRED: Final = "file.expired"
HELD: Final = "file.held"
FAILED: Final = "file.failed"
RELEASED: Final = "file.released"
LINK_SPENT: Final = "link.spent"
EVENT_TYPES: Final = (
    RECEIVED,
    READY,
    HELD,
    FAILED,
    RELEASED,
    REFUSED,
    REMOVED,
    EXPIRED,
    LINK_SPENT,
)

# Old enough that whoever reads them now and then has seen them.
KEPT: Final = timedelta(days=7)
PARKED_KEPT: Final = timedelta(days=30)
MAX_PAGE: Final = 1000
_CLOSE_SECONDS: Final = 5.0

Callback = Callable[[Event], object]
_Told = tuple[tuple[Callback, ...], Event]
C = TypeVar("C", bound=Callback)


class Events:
    """The events of one service.

    Args:
        catalog: returns the open catalog.
        now: the clock.
        base_url: what stands before the addresses in records.
        settings: where events are sent.
        data: the data folder.
    """

    def __init__(
        self,
        *,
        catalog: Callable[[], Catalog],
        now: Callable[[], datetime],
        base_url: str,
        settings: EventSettings,
        data: Path,
    ) -> None:
        self._catalog = catalog
        self._now = now
        self._base_url = base_url
        self._callbacks: tuple[Callback, ...] = ()
        self._teller = _Teller()
        self.webhook = (
            None if settings.webhook is None else Webhook(settings, catalog, now, data=data)
        )

    # --- for applications ---------------------------------------------------------------------

    def subscribe(self, callback: C) -> C:
        """Have a function called with each event that happens in this process; return it.

        It can be used as a decorator. The call comes after the commit, on the thread
        "wharfinger-events", in order and one at a time: a slow function delays the next
        event and no request. It is outside of every application and request context. What
        another process does (a second worker, `wharf sweep`) is not told here: read
        `since`, or use the webhook.

        Raises:
            UsageError: it cannot be called.
        """
        if not callable(callback):
            raise UsageError("subscribe takes a function of one event.")
        self._callbacks = (*self._callbacks, callback)
        return callback

    def unsubscribe(self, callback: Callback) -> None:
        """Call this function no more. Harmless when it was not subscribed."""
        self._callbacks = tuple(one for one in self._callbacks if one is not callback)

    def since(self, seq: int = 0, *, limit: int = 100) -> list[Event]:
        """Return events with a larger number than `seq`, in order, of whichever process.

        Remember the `seq` of the last one and ask again with it. Events are kept for a week.

        Args:
            seq: the number of the last event that was seen; 0 for the beginning.
            limit: at most this many, 1 to 1000.

        Raises:
            UsageError: the limit is out of bounds.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise UsageError(f"limit must be 1 to {MAX_PAGE}, not {limit}.")
        return self._catalog().read(lambda connection: statements.since(connection, seq, limit))

    def deliver(self, *, parked: bool = False) -> Delivered:
        """Post to the webhook what is due now, and return what came of it.

        `wharf serve` does so by itself; call this from cron where there is no such process.
        One process at a time delivers; for another one there is nothing to do.

        Args:
            parked: try those anew that were given up.

        Raises:
            ConfigError: the secret cannot be used.
        """
        if self.webhook is None:
            return Delivered()
        if parked:
            self.retry()
        return self.webhook.deliver()

    def undelivered(
        self, *, parked: bool = False, after: int = 0, limit: int = 100
    ) -> list[tuple[Event, datetime | None]]:
        """Return events that the webhook did not take yet, in order, and when each is tried next.

        That is None for one that was given up (parked): nobody tries it any more.

        Args:
            parked: only those.
            after: only events with a larger number than this.
            limit: at most this many, 1 to 1000.

        Raises:
            UsageError: the limit is out of bounds.
        """
        if not 1 <= limit <= MAX_PAGE:
            raise UsageError(f"limit must be 1 to {MAX_PAGE}, not {limit}.")
        return self._catalog().read(
            lambda connection: statements.undelivered(
                connection, parked=parked, after=after, limit=limit
            )
        )

    def retry(self, ids: Collection[str] | None = None) -> int:
        """Have events that were given up (None: all of them) tried anew; return how many.

        Whoever delivers does so with its next round: `wharf serve`, or `deliver`.
        """
        return self._catalog().write(lambda connection: statements.unpark(connection, ids))

    # --- for the service ----------------------------------------------------------------------

    def note(
        self,
        connection: Connection,
        stored: StoredFile,
        *types: str,
        link: Mapping[str, object] | None = None,
        problem: Mapping[str, object] | None = None,
    ) -> None:
        """Record events of a file, in order, in the transaction that makes them happen."""
        told = None if problem is None else {k: v for k, v in problem.items() if k != "facts"}
        self._note(connection, types, stored.id, self._record(stored), link=link, problem=told)

    def note_refusal(
        self,
        connection: Connection,
        error: WharfingerError,
        *,
        identity: str,
        collection: str,
        owner: str | None,
        name: str | None,
        size: int,
        link: Mapping[str, object] | None = None,
    ) -> None:
        """Record that content was refused; `identity` is that of its upload, `size` what came of it."""
        record = {
            "id": identity,
            "name": name,
            "size": size,
            "type": None,
            "sha256": None,
            "state": "refused",
            "collection": collection,
            "owner": owner,
            "created_at": _timestamp(self._now()),
            "expires_at": None,
            "url": None,
        }
        problem = {"code": error.code, "detail": str(error), "hint": error.hint}
        self._note(connection, (REFUSED,), identity, record, link=link, problem=problem)

    def forget(self, now: datetime) -> int:
        """Remove what is done and old; return how many events."""
        return self._catalog().write(
            lambda connection: statements.forget(
                connection, done_before=now - KEPT, parked_before=now - PARKED_KEPT
            )
        )

    def close(self) -> None:
        """Give callbacks a moment to finish."""
        self._teller.close(_CLOSE_SECONDS)

    def _note(
        self,
        connection: Connection,
        types: tuple[str, ...],
        subject: str,
        record: Mapping[str, object],
        *,
        link: Mapping[str, object] | None = None,
        problem: Mapping[str, object] | None = None,
    ) -> None:
        now = self._now()
        ids = {secrets.token_hex(16): kind for kind in types}
        statements.add(
            connection,
            ids,
            subject=subject,
            at=now,
            payload={
                "file": record,
                **({} if link is None else {"link": link}),
                **({} if problem is None else {"problem": problem}),
            },
            done_at=now if self.webhook is None else None,
        )
        callbacks = self._callbacks
        if not callbacks:
            return
        numbers = statements.numbers(connection, ids)
        told = [
            Event(
                seq=numbers[one], id=one, type=kind, at=now, file=record, link=link, problem=problem
            )
            for one, kind in ids.items()
        ]
        on_commit(connection, lambda: self._teller.tell(callbacks, told))

    def _record(self, stored: StoredFile) -> dict[str, object]:
        return {
            "id": stored.id,
            "name": stored.name,
            "size": stored.size,
            "type": stored.type,
            "sha256": stored.sha256,
            "state": stored.state.value,
            "collection": stored.collection,
            "owner": stored.owner,
            "created_at": _timestamp(stored.created_at),
            "expires_at": None if stored.expires_at is None else _timestamp(stored.expires_at),
            "url": f"{self._base_url}/files/{stored.id}",
        }


class _Teller:
    """Calls callbacks on a thread of this process, which begins with the first event."""

    def __init__(self) -> None:
        self._starting = threading.Lock()
        self._pid = 0
        self._queue: queue.SimpleQueue[_Told | None]
        self._thread: threading.Thread | None = None

    def tell(self, callbacks: tuple[Callback, ...], events: list[Event]) -> None:
        """Have the callbacks called; returns at once."""
        with self._starting:
            if self._thread is None or self._pid != os.getpid():
                self._pid = os.getpid()
                self._queue = queue.SimpleQueue()
                self._thread = threading.Thread(
                    target=_call_on, args=(self._queue,), name="wharfinger-events", daemon=True
                )
                self._thread.start()
            for event in events:
                self._queue.put((callbacks, event))

    def close(self, seconds: float) -> None:
        """Call what is left, for at most so long."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is None or self._pid != os.getpid():
                return
            self._queue.put(None)
        if thread is not threading.current_thread():
            thread.join(seconds)


def _call_on(waiting: queue.SimpleQueue[_Told | None]) -> None:
    while (item := waiting.get()) is not None:
        callbacks, event = item
        for callback in callbacks:
            try:
                callback(event)
            except Exception:
                log.exception("a subscriber failed on the event %s %s", event.type, event.id)


def _timestamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
