from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, select

from wharfinger.catalog import Catalog, FileState, StoredFile, files, migrations
from wharfinger.catalog.tables import files as files_table
from wharfinger.catalog.tables import metadata
from wharfinger.errors import DataFolderError, Unavailable

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def record(number: int, **changes: object) -> StoredFile:
    values: dict[str, object] = {
        "id": f"{number:032x}",
        "name": f"file {number}.txt",
        "size": number,
        "type": "text/plain",
        "sha256": "0" * 64,
        "state": FileState.READY,
        "collection": "files",
        "owner": "somebody",
        "created_at": NOW,
        "expires_at": None,
    }
    return StoredFile(**(values | changes))  # type: ignore[arg-type]


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    yield catalog
    catalog.close()


def test_a_record_comes_back_as_it_was(catalog: Catalog) -> None:
    stored = record(7, expires_at=NOW + timedelta(days=1), owner=None)
    catalog.write(lambda connection: files.add(connection, [stored]))
    assert catalog.read(lambda connection: files.find(connection, stored.id)) == stored


def test_every_commit_is_synced_and_readers_do_not_wait(catalog: Catalog) -> None:
    def pragma(name: str) -> object:
        return catalog.read(lambda c: c.exec_driver_sql(f"PRAGMA {name}").scalar_one())

    assert pragma("journal_mode") == "wal"
    assert pragma("synchronous") == 2  # FULL
    assert pragma("foreign_keys") == 1


def test_one_failing_write_takes_back_nothing_of_its_neighbours(catalog: Catalog) -> None:
    release = threading.Event()
    outcomes: list[str] = []

    def slow(connection: Connection) -> None:
        release.wait(10)

    def good(number: int) -> None:
        catalog.write(lambda connection: files.add(connection, [record(number)]))
        outcomes.append("good")

    def bad() -> None:
        def write_then_fail(connection: Connection) -> None:
            files.add(connection, [record(99)])
            raise ValueError("changed my mind")

        with pytest.raises(ValueError, match="changed my mind"):
            catalog.write(write_then_fail)
        outcomes.append("bad")

    threads = [threading.Thread(target=catalog.write, args=(slow,))]
    threads += [threading.Thread(target=good, args=(number,)) for number in (1, 2)]
    threads.append(threading.Thread(target=bad))
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["bad", "good", "good"]
    kept = catalog.read(
        lambda connection: connection.execute(select(files_table.c.size)).scalars().all()
    )
    assert sorted(kept) == [1, 2]


def test_writes_from_many_threads_all_arrive(catalog: Catalog) -> None:
    def write(start: int) -> None:
        for number in range(start, start + 25):
            catalog.write(partial(files.add, stored=[record(number)]))

    threads = [threading.Thread(target=write, args=(start * 100,)) for start in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    page = catalog.read(
        lambda connection: files.page(
            connection, owner=None, collections=None, after=None, limit=1000, now=NOW
        )
    )
    assert len(page) == 200


def test_a_write_that_was_answered_is_there_for_another_process(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    catalog = Catalog(path)
    catalog.write(lambda connection: files.add(connection, [record(1)]))
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT count(*) FROM files").fetchone() == (1,)
    other.close()
    catalog.close()


def test_the_migrations_make_what_the_tables_say(catalog: Catalog) -> None:
    def difference(connection: Connection) -> object:
        return compare_metadata(MigrationContext.configure(connection), metadata)

    assert catalog.read(difference) == []


def test_the_newest_migration_is_the_one_the_code_expects() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_heads() == [migrations.HEAD]


def test_a_catalog_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    Catalog(path).close()
    with sqlite3.connect(path) as database:
        database.execute("UPDATE alembic_version SET version_num = '9999'")
    database.close()
    with pytest.raises(DataFolderError, match="9999"):
        Catalog(path)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite3"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(DataFolderError, match="not a database"):
        Catalog(path)


def test_a_closed_catalog_takes_no_writes(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    catalog.close()
    catalog.close()
    with pytest.raises(Unavailable):
        catalog.write(lambda connection: files.add(connection, [record(1)]))


def test_a_database_that_stays_locked_is_a_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wharfinger.catalog.database._BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "catalog.sqlite3"
    catalog = Catalog(path)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Unavailable, match="busy"):
        catalog.write(lambda connection: files.add(connection, [record(1)]))
    other.execute("ROLLBACK")
    other.close()
    catalog.write(lambda connection: files.add(connection, [record(1)]))
    catalog.close()


def test_pages_go_from_new_to_old_and_survive_removals(catalog: Catalog) -> None:
    catalog.write(lambda c: files.add(c, [record(number) for number in range(1, 6)]))

    def sizes(after: str | None) -> list[int]:
        page = catalog.read(
            lambda c: files.page(
                c, owner="somebody", collections=None, after=after, limit=2, now=NOW
            )
        )
        return [stored.size for stored in page]

    assert sizes(None) == [5, 4]
    catalog.write(lambda c: files.end(c, f"{4:032x}", FileState.REMOVED, NOW))
    assert sizes(f"{4:032x}") == [3, 2]
    assert sizes(None) == [5, 3]
    assert sizes("nothing") == []
