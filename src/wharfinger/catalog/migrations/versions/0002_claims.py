"""Links that are bound to one version of a file, have passwords, and are claimed.

Links made before are bound to the version that their file has: files never change, so
they mean what they always meant.

Revision ID: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add what links need, and the table of claims."""
    op.add_column("links", sa.Column("sha256", sa.String(64), nullable=False, server_default=""))
    op.add_column("links", sa.Column("password", sa.String(255)))
    op.add_column("links", sa.Column("given_back", sa.Integer, nullable=False, server_default="0"))
    op.add_column("links", sa.Column("tries", sa.Integer, nullable=False, server_default="0"))
    op.add_column(
        "links", sa.Column("tries_since", sa.BigInteger, nullable=False, server_default="0")
    )
    op.execute(
        "UPDATE links SET sha256 ="
        " COALESCE((SELECT files.sha256 FROM files WHERE files.id = links.file_id), '')"
    )
    op.create_table(
        "claims",
        sa.Column("id", sa.String(32), primary_key=True),
        sa.Column(
            "link_id", sa.String(32), sa.ForeignKey("links.id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("requests", sa.Integer, nullable=False),
        sa.Column("allotted", sa.BigInteger, nullable=False),
        sa.Column("delivered", sa.BigInteger, nullable=False),
        sa.Column("ended", sa.Boolean, nullable=False),
    )
    op.create_index("claims_by_link", "claims", ["link_id"])
    op.create_index("claims_by_expiry", "claims", ["expires_at"])
