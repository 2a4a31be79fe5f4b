"""Passwords of links: kept as scrypt hashes, checked slowly, and guessed at even more slowly.

* Only the hash is kept, with its salt and parameters (RFC 7914; the cost is one that
  OWASP's Password Storage Cheat Sheet lists).
* A try is counted in the catalog before it is judged, so that many at once, in whichever
  process, are no way around the limit. A right one is not counted.
* At most `AT_ONCE` hashes are computed at the same time and as many wait for that: guesses
  take neither the memory nor the threads that others need.
* A password that was right is remembered in this process (as a keyed digest), so that a
  series of ranges pays once.
"""

from __future__ import annotations

import hashlib
import hmac
import math
import secrets
import threading
import unicodedata
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Final

from wharfinger.catalog import Catalog, Link
from wharfinger.catalog import links as statements
from wharfinger.errors import NotFound, PasswordRequired, TooManyRequests, UsageError

MIN_LENGTH: Final = 8
MAX_LENGTH: Final = 256
TRIES: Final = 10
TRIES_SPAN: Final = timedelta(minutes=1)
AT_ONCE: Final = 2

# 16 MiB and about a sixth of a second: log2 of the cost, block size, parallelism.
_COST: Final = (14, 8, 5)
_MAX_MEMORY: Final = 64 * 1024 * 1024
_REMEMBERED: Final = 1024


def hash_password(password: str) -> str:
    """Return what to keep of a new password.

    Raises:
        UsageError: it is shorter than 8 characters, longer than 256, or has control
            characters, which HTTP Basic authentication cannot carry (RFC 7617 section 2).
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        raise UsageError(f"A password has {MIN_LENGTH} to {MAX_LENGTH} characters.")
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in password):
        raise UsageError("A password has no control characters.")
    salt = secrets.token_bytes(16)
    digest = _scrypt(password, salt, *_COST)
    cost, block, parallel = _COST
    return f"scrypt${cost}${block}${parallel}${_text(salt)}${_text(digest)}"


def fits(kept: str, password: str) -> bool:
    """Return whether a password is the one that `kept` was made of, in constant time."""
    _, cost, block, parallel, salt, digest = kept.split("$")
    found = _scrypt(password, b64decode(salt), int(cost), int(block), int(parallel))
    return hmac.compare_digest(found, b64decode(digest))


class Passwords:
    """The doorkeeper of links that have passwords. Safe to use from any thread."""

    def __init__(self, catalog: Callable[[], Catalog], now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._now = now
        self._secret = secrets.token_bytes(32)
        self._right: dict[bytes, None] = {}
        self._changing = threading.Lock()
        self._room = threading.BoundedSemaphore(2 * AT_ONCE)
        self._working = threading.BoundedSemaphore(AT_ONCE)

    def check(self, link: Link, password: str | None) -> None:
        """Return if this is the password of the link, or the link has none.

        Raises:
            PasswordRequired: it is missing or wrong.
            TooManyRequests: too many wrong ones were tried lately, or too many are being
                tried at this moment.
            NotFound: the link was revoked meanwhile.
        """
        if not link.has_password:
            return
        if password is None:
            raise PasswordRequired
        kept = self._catalog().read(lambda connection: statements.password(connection, link.id))
        if kept is None:
            raise NotFound
        proof = self._proof(link.id, kept, password)
        if proof in self._right:
            return
        self._count(link)
        if not self._judge(kept, password):
            raise PasswordRequired("That is not the password of this link.", invalid=True)
        with self._changing:
            while len(self._right) >= _REMEMBERED:
                del self._right[next(iter(self._right))]
            self._right[proof] = None
        self._catalog().write(lambda connection: statements.forget_try(connection, link.id))

    def _count(self, link: Link) -> None:
        now = self._now()
        until = self._catalog().write(
            lambda connection: statements.count_try(
                connection, link.id, now, most=TRIES, span=TRIES_SPAN
            )
        )
        if until is not None:
            raise TooManyRequests(
                "Too many wrong passwords were tried.",
                retry_after=max(1, math.ceil((until - now).total_seconds())),
            )

    def _judge(self, kept: str, password: str) -> bool:
        if len(password) > MAX_LENGTH:
            return False
        if not self._room.acquire(blocking=False):
            raise TooManyRequests("Too many passwords are being checked.", retry_after=1)
        try:
            with self._working:
                return fits(kept, password)
        finally:
            self._room.release()

    def _proof(self, link_id: str, kept: str, password: str) -> bytes:
        text = f"{link_id}${kept}${password}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._secret, text, "sha256")


def _scrypt(password: str, salt: bytes, cost: int, block: int, parallel: int) -> bytes:
    # One spelling for what looks the same on every keyboard (RFC 8265 section 4.2.2).
    data = unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
    return hashlib.scrypt(
        data, salt=salt, n=1 << cost, r=block, p=parallel, maxmem=_MAX_MEMORY, dklen=32
    )


def _text(data: bytes) -> str:
    return b64encode(data).decode("ascii")
