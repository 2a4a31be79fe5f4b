"""The statements about bearer tokens."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import Connection, Row, bindparam, delete, func, insert, select

from wharfinger.catalog.records import (
    Token,
    from_millis,
    maybe_from_millis,
    maybe_millis,
    to_millis,
)
from wharfinger.catalog.tables import tokens

# Asked for by every request, so it is composed once.
_BY_DIGEST: Final = select(tokens).where(tokens.c.digest == bindparam("wanted"))


def add(connection: Connection, token: Token, digest: str) -> None:
    """Record a new token under the digest of its secret."""
    connection.execute(
        insert(tokens).values(
            id=token.id,
            name=token.name,
            principal=token.principal,
            digest=digest,
            scopes=" ".join(sorted(token.scopes)),
            collections=None if token.collections is None else " ".join(sorted(token.collections)),
            created_at=to_millis(token.created_at),
            expires_at=maybe_millis(token.expires_at),
        )
    )


def by_digest(connection: Connection, digest: str) -> Token | None:
    """Return the token whose secret has this digest, expired ones too, or None."""
    row = connection.execute(_BY_DIGEST, {"wanted": digest}).one_or_none()
    return None if row is None else _record(row)


def everything(connection: Connection) -> list[Token]:
    """Return all tokens, oldest first."""
    rows = connection.execute(select(tokens).order_by(tokens.c.created_at, tokens.c.id))
    return [_record(row) for row in rows]


def count(connection: Connection) -> int:
    """Return how many tokens there are."""
    return connection.execute(select(func.count()).select_from(tokens)).scalar_one()


def remove(connection: Connection, token_id: str) -> bool:
    """Revoke a token; return whether it was there."""
    return connection.execute(delete(tokens).where(tokens.c.id == token_id)).rowcount == 1


def _record(row: Row[Any]) -> Token:
    return Token(
        id=row.id,
        name=row.name,
        principal=row.principal,
        scopes=frozenset(row.scopes.split()),
        collections=None if row.collections is None else frozenset(row.collections.split()),
        created_at=from_millis(row.created_at),
        expires_at=maybe_from_millis(row.expires_at),
    )
