"""Run by Alembic: migrates the connection that `migrate` hands over, inside its transaction."""

from __future__ import annotations

from alembic import context

from wharfinger.catalog.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction is the one
)
context.run_migrations()
