"""What was said of a file that waits for its check, and which files a stored answer is about.

Revision ID: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add both; of files that wait already nothing is known but their names."""
    op.add_column("files", sa.Column("declared", sa.Text))
    op.add_column("replies", sa.Column("files", sa.Text))
