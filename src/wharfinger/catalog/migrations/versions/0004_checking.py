"""Checks of files that take longer than their upload waits, and what checks found.

Revision ID: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the queue of checks, and to files what they found."""
    op.add_column("files", sa.Column("problem", sa.Text))
    op.add_column("files", sa.Column("details", sa.Text))
    op.create_table(
        "jobs",
        sa.Column("seq", sa.Integer, primary_key=True, autoincrement=True),
        sa.Column(
            "file_id", sa.String(32), sa.ForeignKey("files.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False, server_default="0"),
        sa.Column("next_at", sa.BigInteger, nullable=False),
        sa.Column("worker", sa.String(32)),
        sa.Column("leased_until", sa.BigInteger),
        sa.Column("token", sa.Integer, nullable=False, server_default="0"),
        sa.Column("error", sa.Text),
        sa.Column("parked", sa.Boolean, nullable=False, server_default="0"),
        sqlite_autoincrement=True,
    )
    op.create_index("jobs_by_file", "jobs", ["file_id", "kind"])
    op.create_index("jobs_waiting", "jobs", ["parked", "next_at"])
