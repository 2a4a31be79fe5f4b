"""What live files take, counted in the very transactions that record and end them.

Each file counts twice: for its collection, and for its owner in that collection. Writes run
one after the other, in whatever process, so a count that is looked at in a transaction stays
right until that transaction ends.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.sqlite import insert

from wharfinger.catalog.records import UploadState
from wharfinger.catalog.tables import uploads, usage

if TYPE_CHECKING:
    from sqlalchemy import Connection

_FIND: Final = select(usage.c.files, usage.c.bytes).where(
    usage.c.kind == bindparam("wanted_kind"), usage.c.name == bindparam("wanted_name")
)
_INSERT: Final = insert(usage)
_COUNT: Final = _INSERT.on_conflict_do_update(
    index_elements=[usage.c.kind, usage.c.name],
    set_={
        "files": usage.c.files + _INSERT.excluded.files,
        "bytes": usage.c.bytes + _INSERT.excluded.bytes,
    },
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """What is taken: live files and their bytes, open uploads and the bytes they may come to."""

    files: int = 0
    bytes: int = 0
    uploads: int = 0
    upload_bytes: int = 0


def count(
    connection: Connection,
    *,
    collection: str,
    owner: str | None,
    files: int,
    bytes: int,  # noqa: A002
) -> None:
    """Count files that came (or, below zero, went) and their bytes."""
    rows = [
        {"kind": kind, "name": name, "files": files, "bytes": bytes}
        for kind, name in _keys(collection, owner)
    ]
    connection.execute(_COUNT, rows)


def of_files(connection: Connection, collection: str, owner: str | None = None) -> Usage:
    """Return what live files take in a collection, or of one owner in it."""
    kind, name = _keys(collection, owner)[-1]
    row = connection.execute(_FIND, {"wanted_kind": kind, "wanted_name": name}).one_or_none()
    return Usage() if row is None else Usage(files=row.files, bytes=row.bytes)


def with_uploads(
    connection: Connection, collection: str, owner: str | None = None, *, besides: str | None = None
) -> Usage:
    """Return the same with open uploads, but for the upload `besides`.

    An upload counts with the length it declared, else with what came of it.
    """
    taken = of_files(connection, collection, owner)
    expected = func.coalesce(uploads.c.length, uploads.c.offset)
    statement = select(
        func.count().label("uploads"), func.coalesce(func.sum(expected), 0).label("upload_bytes")
    ).where(uploads.c.collection == collection, uploads.c.state == UploadState.OPEN.value)
    if owner is not None:
        statement = statement.where(uploads.c.owner == owner)
    if besides is not None:
        statement = statement.where(uploads.c.id != besides)
    row: Any = connection.execute(statement).one()
    return Usage(
        files=taken.files,
        bytes=taken.bytes,
        uploads=row.uploads,
        upload_bytes=int(row.upload_bytes),
    )


def _keys(collection: str, owner: str | None) -> list[tuple[str, str]]:
    keys = [("collection", collection)]
    if owner is not None:  # a collection's name has no slash
        keys.append(("owner", f"{collection}/{owner}"))
    return keys
