"""The last bytes of an upload in its record, so that they and its offset are one sync.

Revision ID: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the tail; uploads that are under way have none."""
    op.add_column("uploads", sa.Column("tail", sa.LargeBinary))
