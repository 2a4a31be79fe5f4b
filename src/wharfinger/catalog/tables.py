"""The tables, as the newest migration leaves them. Change both together (a test compares them)."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

files = Table(
    "files",
    metadata,
    # Listings go along `seq`, so that they stay stable while files come and go.
    Column("seq", Integer, primary_key=True, autoincrement=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("name", String(1024), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("type", String(255), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("collection", String(64), nullable=False),
    Column("owner", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    # When an expired or removed file ended; its record is kept for a while after that.
    Column("ended_at", BigInteger),
    Index("files_by_owner", "owner", "seq"),
    Index("files_by_collection", "collection", "seq"),
    Index("files_by_expiry", "expires_at"),
    sqlite_autoincrement=True,
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("principal", String(255), nullable=False),
    Column("digest", String(64), nullable=False, unique=True),
    Column("scopes", String(255), nullable=False),
    Column("collections", String(4096)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
)

links = Table(
    "links",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("file_id", String(32), ForeignKey("files.id", ondelete="CASCADE"), nullable=False),
    Column("owner", String(255)),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("max_downloads", Integer),
    Column("downloads", Integer, nullable=False, server_default="0"),
    Column("download_name", String(1024)),
    Column("disposition", String(16), nullable=False),
    Index("links_by_file", "file_id"),
    Index("links_by_expiry", "expires_at"),
)
