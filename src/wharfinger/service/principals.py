"""`Principal`: who asks, and what that gives a right to."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from wharfinger.errors import UsageError

READ: Final = "read"
WRITE: Final = "write"
SHARE: Final = "share"
ADMIN: Final = "admin"
SCOPES: Final = (READ, WRITE, SHARE, ADMIN)


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who asks: an id, scopes, and the collections it may use.

    Scopes act on the principal's own files, `admin` on everybody's and for every verb.

    Args:
        id: stable and unique, such as "user:7"; files sent by it belong to it.
        scopes: some of `read`, `write`, `share`, `admin`.
        collections: names of the collections it may use; None for all.
        expires_at: when what it was recognised by (a token) ends; None for never.

    Raises:
        UsageError: the id is empty or a scope is unknown.
    """

    id: str
    scopes: frozenset[str]
    collections: frozenset[str] | None = None
    expires_at: datetime | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.id:
            raise UsageError("A principal needs an id.")
        check_scopes(self.scopes)

    @property
    def is_admin(self) -> bool:
        """Whether it acts on everybody's files."""
        return ADMIN in self.scopes

    def may(self, scope: str) -> bool:
        """Return whether it holds this scope (`admin` holds all)."""
        return scope in self.scopes or self.is_admin

    def may_use(self, collection: str) -> bool:
        """Return whether it may touch files of this collection."""
        return self.collections is None or collection in self.collections

    def owns(self, owner: str | None) -> bool:
        """Return whether files of this owner are its own (everybody's are, for `admin`)."""
        return self.is_admin or owner == self.id


def check_scopes(scopes: frozenset[str]) -> None:
    """Raise UsageError when a scope is unknown."""
    unknown = sorted(scopes.difference(SCOPES))
    if unknown:
        raise UsageError(f"Unknown scope {unknown[0]!r}.", hint=f"Known: {', '.join(SCOPES)}.")
