"""Bringing the schema up to date, by Alembic, when a catalog is opened.

Alembic is loaded only when there is something to do: a catalog that is current, the
usual case, is recognised by one query.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from sqlalchemy import Connection, inspect, text

from wharfinger.errors import DataFolderError

# The newest revision; a test compares it with the scripts in versions/.
HEAD: Final = "0006"


def current_revision(connection: Connection) -> str | None:
    """Return the revision of the schema, or None for an empty database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one_or_none()


def migrate(connection: Connection) -> None:
    """Bring the schema of this database to the newest revision, all or nothing.

    Raises:
        DataFolderError: a newer version of wharfinger made this database.
    """
    revision = current_revision(connection)
    if revision == HEAD:
        return
    if revision is not None and revision > HEAD:
        raise DataFolderError(
            f"The catalog has revision {revision}; this version of wharfinger knows {HEAD}.",
            hint="A newer version made it: install that version again.",
        )
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    connection.exec_driver_sql("BEGIN IMMEDIATE")
    try:
        command.upgrade(config, "head")
    except BaseException:
        connection.exec_driver_sql("ROLLBACK")
        raise
    connection.exec_driver_sql("COMMIT")
