"""Bearer tokens: made once, kept as a digest, revoked at once.

A secret is 256 random bits, so a plain SHA-256 of it is as good as any slow hash, and
looking it up by digest tells an attacker nothing about near misses.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import time
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from wharfinger.catalog import Catalog, Token
from wharfinger.catalog import tokens as statements
from wharfinger.errors import NotFound, UsageError
from wharfinger.service.principals import Principal, check_scopes

# A prefix by which secret scanners (and people) recognise what leaked.
PREFIX: Final = "whf_"
_MAX_NAME: Final = 255
# Tokens that were looked up lately, and for how many seconds at most: a process that dies between
# a revocation's commit and the moving of the epoch tells nobody.
_REMEMBERED: Final = 1024
_LONGEST: Final = 60.0


class Tokens:
    """The tokens of one service."""

    def __init__(self, catalog: Callable[[], Catalog], now: Callable[[], datetime]) -> None:
        self._catalog = catalog
        self._now = now
        # By digest: the token, the epoch of before it was read, and until when it is believed.
        self._known: dict[str, tuple[Token, int, float]] = {}

    def create(
        self,
        name: str,
        scopes: Collection[str],
        *,
        collections: Collection[str] | None = None,
        expires_in: int | None = None,
        principal: str | None = None,
    ) -> tuple[Token, str]:
        """Return a new token and its secret, which is shown this once and kept nowhere.

        Args:
            name: a label for people, such as "backup job".
            scopes: some of `read`, `write`, `share`, `admin`.
            collections: names it may use; None for all.
            expires_in: seconds; None for "until revoked".
            principal: the id that files sent with it belong to. By default every token
                is a principal of its own; give two tokens one id to replace the first
                by the second without losing sight of its files.

        Raises:
            UsageError: a value is wrong.
        """
        wanted = frozenset(scopes)
        check_scopes(wanted)
        if not wanted:
            raise UsageError("A token without scopes can do nothing.")
        if not 0 < len(name) <= _MAX_NAME or not name.isprintable():
            raise UsageError("A token needs a printable name of at most 255 characters.")
        now = self._now()
        token_id = secrets.token_hex(16)
        token = Token(
            id=token_id,
            name=name,
            principal=principal or f"token:{token_id}",
            scopes=wanted,
            collections=None if collections is None else frozenset(collections),
            created_at=now,
            expires_at=None if expires_in is None else now + timedelta(seconds=expires_in),
        )
        secret = PREFIX + base64.urlsafe_b64encode(secrets.token_bytes(32)).decode().rstrip("=")
        digest = _digest(secret)
        self._catalog().write(lambda connection: statements.add(connection, token, digest))
        return token, secret

    def authenticate(self, secret: str) -> Principal | None:
        """Return who holds this secret, or None when it is unknown, revoked or expired."""
        digest = _digest(secret)
        token = self._find(digest)
        if token is None or (token.expires_at is not None and token.expires_at <= self._now()):
            return None
        return Principal(
            id=token.principal,
            scopes=token.scopes,
            collections=token.collections,
            expires_at=token.expires_at,
        )

    def _find(self, digest: str) -> Token | None:
        catalog = self._catalog()
        epoch, moment = catalog.epoch, time.monotonic()
        known = self._known.get(digest)
        if known is not None and known[1] == epoch and moment < known[2]:
            return known[0]
        token = catalog.read(lambda connection: statements.by_digest(connection, digest))
        if token is not None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[digest] = (token, epoch, moment + _LONGEST)
        return token

    def list(self) -> list[Token]:
        """Return all tokens, oldest first."""
        return self._catalog().read(statements.everything)

    def exist(self) -> bool:
        """Return whether any token was made and not revoked."""
        return self._catalog().read(statements.count) > 0

    def revoke(self, token_id: str) -> None:
        """Make a token worthless at once. Raises NotFound."""
        if not self._catalog().write(
            lambda connection: statements.remove(connection, token_id), revokes=True
        ):
            raise NotFound(f"There is no token with the id {token_id[:40]!r}.")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
