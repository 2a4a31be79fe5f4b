"""The webhook: events posted to one address, signed, until it says that it has them.

* At least once: an event is done when the address answered 2xx; after a crash it is posted
  again. Its `id` stays the same, so that the receiver can tell.
* In order per file: a later event of a file waits until the earlier one is done or given up.
* What fails is tried again after the waits of `WAITS` (three days in all), then parked.
* Redirects are not followed, and the address passes the guard at every connection: a
  webhook is no way into the inside of a network.

`Wharfinger-Signature: t=1700000000,v1=5257a8…` signs the time and the bytes of the body:
HMAC-SHA-256 over "{t}.{body}" in hexadecimal, one `v1` for each secret in use.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import json
import logging
import os
import secrets
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from wharfinger._version import __version__
from wharfinger.catalog import Catalog, Event
from wharfinger.catalog import events as statements
from wharfinger.errors import BadResponse, ConfigError, WharfingerError
from wharfinger.net import http1, urls
from wharfinger.net.patience import Patience
from wharfinger.net.pool import Connections
from wharfinger.service.event_settings import EventSettings
from wharfinger.service.keyring import write_private
from wharfinger.service.leases import lease

log = logging.getLogger("wharfinger")

SECRET_VARIABLE: Final = "WHARFINGER_WEBHOOK_SECRET"  # noqa: S105 - a name
# Seconds before the second try, the third and so on: those of Standard Webhooks, and a first
# one for an address that is just starting again.
WAITS: Final = (5, 30, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
# A request as a whole, its name service and TLS included.
_SECONDS: Final = 15.0
_AT_ONCE: Final = 4
_BATCH: Final = 32
# An address that fails so often in a row is down: the rest is not tried on it now.
_FAILURES: Final = 8
_MAX_ANSWER: Final = 64 * 1024
_MAX_SECRETS: Final = 4
_LEAST_SECRET: Final = 16
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivered:
    """What one round came to: events delivered, tries that failed, events that were given up."""

    delivered: int = 0
    failed: int = 0
    parked: int = 0


class Webhook:
    """Posts events to one address.

    Args:
        settings: the address, and what it may be.
        catalog: returns the open catalog.
        now: the clock.
        data: the data folder.
    """

    def __init__(
        self,
        settings: EventSettings,
        catalog: Callable[[], Catalog],
        now: Callable[[], datetime],
        *,
        data: Path,
    ) -> None:
        self._url = urls.parse(settings.webhook or "")
        self._settings = settings
        self._catalog = catalog
        self._now = now
        self._data = data
        self._connections = Connections(settings.guard())
        self._closing = False

    def stop(self) -> None:
        """Begin no more tries; those under way end within 15 seconds."""
        self._closing = True

    def deliver(self) -> Delivered:
        """Post what is due; return what came of it. Raises ConfigError."""
        keys = load_secrets(self._settings, self._data)
        with lease(self._data / "webhook") as held:
            return self._rounds(keys) if held else Delivered()

    def _rounds(self, keys: tuple[bytes, ...]) -> Delivered:
        delivered = failed = parked = in_a_row = 0
        with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="wharfinger-webhook") as pool:
            while in_a_row < _FAILURES and not self._closing:
                now = self._now()
                due = self._catalog().read(
                    lambda connection, now=now: statements.due(connection, now, _BATCH)  # type: ignore[misc]
                )
                if not due:
                    break
                # In small groups: one that is down holds up few.
                for start in range(0, len(due), _AT_ONCE):
                    group = due[start : start + _AT_ONCE]
                    for done, gave_up in pool.map(lambda event: self._try(event, keys), group):
                        delivered += done
                        failed += not done
                        parked += gave_up
                        in_a_row = 0 if done else in_a_row + 1
                    if in_a_row >= _FAILURES or self._closing:
                        break
        return Delivered(delivered=delivered, failed=failed, parked=parked)

    def _try(self, event: Event, keys: tuple[bytes, ...]) -> tuple[bool, bool]:
        """Post one event; return whether it is done, and whether it was given up."""
        try:
            status = self._post(event, keys)
            if status not in _SUCCESS:
                raise BadResponse(f"{self._url.shown} answered {status}.")
        except (WharfingerError, OSError) as error:
            return False, self._failed(event, error)
        self._catalog().write(
            lambda connection: statements.delivered(connection, event.seq, self._now())
        )
        return True, False

    def _failed(self, event: Event, error: Exception) -> bool:
        tries = event.tries + 1
        parked = tries >= statements.MOST_TRIES
        wait = timedelta(seconds=0 if parked else WAITS[event.tries])
        self._catalog().write(
            lambda connection: statements.failed(connection, event.seq, tries, self._now() + wait)
        )
        if parked:
            log.error("the event %s was given up after %d tries: %s", event.id, tries, error)
        else:
            log.warning(
                "the event %s was not delivered (try %d), next in %d s: %s",
                event.id, tries, wait.total_seconds(), error,
            )  # fmt: skip
        return parked

    def _post(self, event: Event, keys: tuple[bytes, ...]) -> int:
        body = event_body(event)
        fields = [
            ("Host", self._url.authority),
            ("User-Agent", f"wharfinger/{__version__}"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
            ("Wharfinger-Event", event.type),
            ("Wharfinger-Event-Id", event.id),
            ("Wharfinger-Signature", signature(keys, int(self._now().timestamp()), body)),
        ]
        request = http1.request_head("POST", self._url.target, fields)
        limits = _Limits(time.monotonic() + _SECONDS)
        connection = self._connections.take(self._url, _SECONDS, fresh=True)
        try:
            head, reader, whole = connection.exchange("POST", request, [body], limits)
            if not whole:
                raise BadResponse(f"{self._url.shown} answered {head.status} before it had it all.")
            # What it says does not matter, but an answer that never ends is none.
            view = memoryview(bytearray(_MAX_ANSWER))
            while reader.received < _MAX_ANSWER and reader.readinto(view):
                pass
            return head.status
        finally:
            connection.close()


class _Limits:
    """One end in time for every phase of an exchange."""

    def __init__(self, until: float) -> None:
        self._until = until

    def sending(self) -> Patience:
        return self._patience("The sending of an event")

    def head(self) -> Patience:
        return self._patience("The answer to an event")

    def body(self) -> Patience:
        return self._patience("The answer to an event")

    def refusal(self) -> Patience:
        return self._patience("The answer to an event")

    def _patience(self, what: str) -> Patience:
        return Patience(what, silence=_SECONDS, until=self._until, limit=_SECONDS)


def event_body(event: Event) -> bytes:
    """Return an event as it is posted."""
    at = event.at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    document: dict[str, object] = {
        "id": event.id,
        "seq": event.seq,
        "type": event.type,
        "at": at,
        "file": event.file,
    }
    if event.link is not None:
        document["link"] = event.link
    if event.problem is not None:
        document["problem"] = event.problem
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def signature(keys: tuple[bytes, ...], timestamp: int, body: bytes) -> str:
    """Return what `Wharfinger-Signature` says: the time and one signature for each key."""
    text = b"%d.%b" % (timestamp, body)
    made = (hmac.new(key, text, hashlib.sha256).hexdigest() for key in keys)
    return ",".join((f"t={timestamp}", *(f"v1={value}" for value in made)))


def load_secrets(settings: EventSettings, data: Path) -> tuple[bytes, ...]:
    """Return the secrets that sign, newest first; make the file in the data folder when missing.

    Raises:
        ConfigError: they cannot be read, or one is shorter than 16 characters.
    """
    given = os.environ.get(SECRET_VARIABLE)
    if given is not None:
        return _checked(given.split(), SECRET_VARIABLE)
    path = settings.secret_file or data / "webhook-secret"
    try:
        if settings.secret_file is None and not path.exists():
            data.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.suppress(FileExistsError):  # another process's secret is the secret
                write_private(path, f"{secrets.token_hex(32)}\n")
        lines = path.read_text("utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"The file with the webhook's secret cannot be read: {error}.") from error
    return _checked(lines, path.name)


def _checked(lines: list[str], where: str) -> tuple[bytes, ...]:
    if not 1 <= len(lines) <= _MAX_SECRETS or any(len(line) < _LEAST_SECRET for line in lines):
        raise ConfigError(
            f"{where} must hold 1 to {_MAX_SECRETS} secrets of at least {_LEAST_SECRET} characters.",
            hint="Make one with `openssl rand -hex 32`; one a line, the newest first.",
        )
    return tuple(line.encode() for line in lines)
