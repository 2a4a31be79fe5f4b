"""Uploads that can be resumed, upload links, quotas, stored answers and events.

Revision ID: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the tables of receiving, and count what is there already."""
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("link_id", sa.String(32)),
        sa.Column("protocol", sa.String(16), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("length", sa.BigInteger),
        sa.Column("offset", sa.BigInteger, nullable=False),
        sa.Column("generation", sa.Integer, nullable=False),
        sa.Column("name", sa.String(1024)),
        sa.Column("type", sa.String(255)),
        sa.Column("metadata", sa.Text, nullable=False),
        sa.Column("concat", sa.Text),
        sa.Column("digest", sa.String(64)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("file_id", sa.String(32)),
        sa.Column("problem", sa.Text),
    )
    op.create_index("uploads_by_owner", "uploads", ["owner", "state"])
    op.create_index("uploads_by_collection", "uploads", ["collection", "state"])
    op.create_index("uploads_by_expiry", "uploads", ["expires_at"])
    op.create_table(
        "upload_links",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column("collection", sa.String(64), nullable=False),
        sa.Column("owner", sa.String(255)),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("max_files", sa.Integer),
        sa.Column("max_bytes", sa.BigInteger),
        sa.Column("types", sa.Text),
        sa.Column("files", sa.Integer, nullable=False, server_default="0"),
        sa.Column("bytes", sa.BigInteger, nullable=False, server_default="0"),
    )
    op.create_index("upload_links_by_collection", "upload_links", ["collection"])
    op.create_index("upload_links_by_expiry", "upload_links", ["expires_at"])
    op.create_table(
        "usage",
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("name", sa.String(320), primary_key=True),
        sa.Column("files", sa.BigInteger, nullable=False),
        sa.Column("bytes", sa.BigInteger, nullable=False),
    )
    op.execute(
        "INSERT INTO usage SELECT 'collection', collection, count(*), sum(size) FROM files"
        " WHERE state NOT IN ('expired', 'removed') GROUP BY collection"
    )
    op.execute(
        "INSERT INTO usage SELECT 'owner', collection || '/' || owner, count(*), sum(size) FROM files"
        " WHERE state NOT IN ('expired', 'removed') AND owner IS NOT NULL GROUP BY collection, owner"
    )
    op.create_table(
        "replies",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("request", sa.String(64), nullable=False),
        sa.Column("status", sa.Integer),
        sa.Column("headers", sa.Text),
        sa.Column("body", sa.LargeBinary),
        sa.Column("created_at", sa.BigInteger, nullable=False),
    )
    op.create_index("replies_by_age", "replies", ["created_at"])
    op.create_table(
        "events",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column("id", sa.String(32), nullable=False, unique=True),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(32), nullable=False),
        sa.Column("at", sa.BigInteger, nullable=False),
        sa.Column("payload", sa.Text, nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("done_at", sa.BigInteger),
        sqlite_autoincrement=True,
    )
    op.create_index("events_by_subject", "events", ["subject", "seq"])
    op.create_index("events_waiting", "events", ["done_at", "next_at"])
