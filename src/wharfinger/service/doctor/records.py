"""The records of an installation: catalog, keys, clock, and the counts that quotas go by."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from wharfinger.catalog.migrations import HEAD
from wharfinger.errors import DataFolderError
from wharfinger.service import keyring
from wharfinger.service.doctor.finding import Finding, read_only
from wharfinger.service.settings import WharfSettings
from wharfinger.units import show_size

_NEARLY: Final = 0.9
# Released after this, so a clock before it is wrong, and links and expiry with it.
_BUILT: Final = datetime(2026, 1, 1, tzinfo=UTC)
_CLOCK_SLACK: Final = timedelta(minutes=2)
# One statement, so that a running service cannot come between the two counts.
_USAGE: Final = """
    SELECT usage.name, usage.files, usage.bytes, count(files.id), coalesce(sum(files.size), 0)
    FROM usage LEFT JOIN files
        ON files.collection = usage.name AND files.state NOT IN ('expired', 'removed', 'refused')
    WHERE usage.kind = 'collection' GROUP BY usage.name
"""


def catalog(settings: WharfSettings) -> Finding:
    """Tell whether the catalog is sound, and of which revision."""
    path = settings.catalog_file
    if not path.exists():
        return Finding("catalog", "ok", "It is not there yet; the service will make it.")
    try:
        with closing(read_only(path)) as database:
            if not database.execute("SELECT 1 FROM sqlite_master").fetchone():
                return Finding("catalog", "ok", "It is empty; the next start fills it.")
            (revision,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
            (state,) = database.execute("PRAGMA quick_check(1)").fetchone()
    except (sqlite3.Error, TypeError) as error:
        return Finding(
            "catalog", "failure", f"{path} cannot be read: {error}.", "Restore it from a backup."
        )
    if state != "ok":
        return Finding("catalog", "failure", f"It is damaged: {state}", "Restore it from a backup.")
    if revision > HEAD:
        return Finding(
            "catalog", "failure", f"It has revision {revision}; this version knows {HEAD}.",
            "A newer version made it: install that version again.",
        )  # fmt: skip
    if revision < HEAD:
        return Finding(
            "catalog", "ok", f"Revision {revision}; it is brought to {HEAD} at the next start."
        )
    return Finding("catalog", "ok", f"Revision {revision}, sound.")


def key(settings: WharfSettings) -> Finding:
    """Tell whether the key ring can be used, and by nobody else."""
    path = settings.data / "keys"
    if not path.exists():
        return Finding("key", "ok", "It is not there yet; the service will make it.")
    try:
        keys = keyring.load_or_make(path)
    except DataFolderError as error:
        return Finding("key", "failure", error.detail, error.hint)
    if path.stat().st_mode & 0o077:
        return Finding("key", "failure", f"{path} can be read by others.", f"chmod 600 {path}")
    return Finding("key", "ok", f"{len(keys)} in the ring.")


def clock(settings: WharfSettings) -> Finding:
    """Tell whether the clock can be right."""
    now = datetime.now(UTC)
    if now < _BUILT:
        return Finding(
            "clock", "failure", f"It says {now:%Y-%m-%d}, which is over.",
            "Links and expiry depend on it: set the clock (timedatectl set-ntp true).",
        )  # fmt: skip
    newest = _newest_record(settings.catalog_file)
    if newest is not None and newest > now + _CLOCK_SLACK:
        return Finding(
            "clock", "warning", f"It says {now:%Y-%m-%d %H:%M}; the newest file is from {newest:%Y-%m-%d %H:%M}.",
            "The clock was or is wrong: check it (timedatectl).",
        )  # fmt: skip
    return Finding("clock", "ok", f"{now:%Y-%m-%d %H:%M} UTC.")


def quotas(settings: WharfSettings) -> Finding:
    """Compare the counts that quotas go by with the files, and tell which are nearly used up."""
    given = {
        name: place.quotas.whole
        for name, place in settings.collections.items()
        if place.quotas.whole.is_given
    }
    rows = _usage(settings.catalog_file)
    wrong = sorted(name for name, (counted, there) in rows.items() if counted != there)
    if wrong:
        return Finding(
            "quotas", "failure", f"The count of {', '.join(wrong)} is not that of its files.",
            "Say so to the makers; until then raise the quota.",
        )  # fmt: skip
    tight = []
    for name, quota in sorted(given.items()):
        files, size = rows.get(name, ((0, 0), (0, 0)))[0]
        if quota.files is not None and files >= quota.files * _NEARLY:
            tight.append(f"{name} has {files} of {quota.files} files")
        if quota.bytes is not None and size >= quota.bytes * _NEARLY:
            tight.append(f"{name} has {show_size(size)} of {show_size(quota.bytes)}")
    if tight:
        return Finding(
            "quotas", "warning", f"{'; '.join(tight)}.", "Remove files or raise the quota."
        )
    if not given:
        return Finding("quotas", "ok", "No collection has one for its files.")
    return Finding("quotas", "ok", f"There is room in {', '.join(sorted(given))}.")


def _newest_record(path: Path) -> datetime | None:
    if not path.exists():
        return None
    try:
        with closing(read_only(path)) as database:
            (millis,) = database.execute("SELECT max(created_at) FROM files").fetchone()
    except (sqlite3.Error, TypeError):
        return None  # the check of the catalog says what is wrong with it
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)


def _usage(path: Path) -> dict[str, tuple[tuple[int, int], tuple[int, int]]]:
    """Return files and bytes of each collection, as counted and as there are."""
    if not path.exists():
        return {}
    try:
        with closing(read_only(path)) as database:
            return {
                name: ((files, size), (there, bytes_there))
                for name, files, size, there, bytes_there in database.execute(_USAGE)
            }
    except sqlite3.Error:
        return {}  # the check of the catalog says what is wrong with it
