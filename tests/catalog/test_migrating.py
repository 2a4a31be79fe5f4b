"""A data folder that an older version made: it is brought up to date, once, and loses nothing."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from itsdangerous import Signer
from sqlalchemy import create_engine

from support.services import Clock, make_wharf
from wharfinger import Wharf
from wharfinger.catalog import migrations
from wharfinger.errors import NotFound

KEY = "ab" * 32
LINK = "2" * 32
SHA256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"  # of "test"
# The clock of the tests stands at noon of 1 March 2026.
NOON = 1772366400000


def migrated_to(path: Path, revision: str) -> None:
    engine = create_engine(f"sqlite:///{path}", isolation_level="AUTOCOMMIT")
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
    engine.dispose()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A data folder as the first version left it: a file, and a link that was used once."""
    folder = tmp_path / "data"
    with make_wharf(folder) as wharf:
        stored = wharf.receive([b"test"], collection="files", name="a.txt")
    for path in folder.glob("catalog*"):
        path.unlink()
    (folder / "keys").write_text(f"{KEY}\n")
    migrated_to(folder / "catalog.sqlite3", "0001")
    database = sqlite3.connect(folder / "catalog.sqlite3")
    with database:
        database.execute(
            "INSERT INTO files (id, name, size, type, sha256, state, collection, created_at)"
            " VALUES (?, 'a.txt', 4, 'text/plain', ?, 'ready', 'files', ?)",
            (stored.id, SHA256, NOON),
        )
        database.execute(
            "INSERT INTO links (id, file_id, created_at, expires_at, max_downloads, downloads,"
            " disposition) VALUES (?, ?, ?, ?, 3, 1, 'attachment')",
            (LINK, stored.id, NOON, NOON + 86_400_000),
        )
    database.close()
    return folder


def first_token() -> str:
    """The address that the first version gave out: its signature is over the id alone."""
    signer = Signer(
        bytes.fromhex(KEY), salt="wharfinger.link.download.v1", key_derivation="hmac",
        digest_method=hashlib.sha256,
    )  # fmt: skip
    return signer.sign(LINK).decode()


def revision(folder: Path) -> str:
    database = sqlite3.connect(folder / "catalog.sqlite3")
    ((found,),) = database.execute("SELECT version_num FROM alembic_version").fetchall()
    database.close()
    return str(found)


def schema(folder: Path) -> list[tuple[str]]:
    database = sqlite3.connect(folder / "catalog.sqlite3")
    found = database.execute("SELECT sql FROM sqlite_master ORDER BY sql").fetchall()
    database.close()
    return found


def test_a_link_of_the_first_version_works_on(folder: Path) -> None:
    assert revision(folder) == "0001"
    with make_wharf(folder, clock=Clock()) as wharf:
        link, stored, _ = wharf.links.redeem(first_token())
        assert (link.downloads, link.max_downloads, link.sha256) == (1, 3, SHA256)
        assert not link.has_password
        with wharf.open_file(stored) as file:
            assert file.read() == b"test"
        for _ in range(2):
            wharf.links.claims.take(link, size=4, allotted=4)
        with pytest.raises(NotFound):
            wharf.links.redeem(first_token())
        assert wharf.links.find(LINK).url.rpartition("/")[2] != first_token()
    assert revision(folder) == migrations.HEAD


def test_a_link_is_for_one_version_of_a_file(folder: Path) -> None:
    with make_wharf(folder, clock=Clock()) as wharf:
        tokens = [first_token(), wharf.links.find(LINK).url.rpartition("/")[2]]
        for token in tokens:
            wharf.links.redeem(token)
        database = sqlite3.connect(folder / "catalog.sqlite3")
        with database:
            database.execute("UPDATE files SET sha256 = ?", ("0" * 64,))
        for token in tokens:
            with pytest.raises(NotFound):
                wharf.links.redeem(token)
        with database:  # and one who can write the catalog alone cannot lead it elsewhere
            database.execute("UPDATE links SET sha256 = ?", ("0" * 64,))
        database.close()
        with pytest.raises(NotFound):
            wharf.links.redeem(tokens[1])


OPENING = """
import sys
from wharfinger import Wharf
sys.stdin.readline()
with Wharf.open(sys.argv[1]) as wharf:
    print(len(wharf.list_files()[0]), wharf.links.find("2" * 32).downloads)
"""


def test_several_processes_that_start_at_once_migrate_once(folder: Path) -> None:
    running = [
        subprocess.Popen(
            [sys.executable, "-c", OPENING, str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for _ in range(4)
    ]  # fmt: skip
    for process in running:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    for process in running:
        output, errors = process.communicate(timeout=120)
        assert (process.returncode, output) == (0, "1 1\n"), errors
    assert revision(folder) == migrations.HEAD


def test_a_folder_is_migrated_under_its_lock(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most, changing = 0, 0, threading.Lock()
    original: Callable[..., None] = command.upgrade

    def upgrade(*arguments: object) -> None:
        nonlocal inside, most
        with changing:
            inside += 1
            most = max(most, inside)
        try:
            original(*arguments)
        finally:
            with changing:
                inside -= 1

    monkeypatch.setattr(command, "upgrade", upgrade)
    found: list[int] = []
    start = threading.Barrier(6)

    def open_one() -> None:
        start.wait()
        with Wharf.open(folder) as wharf:
            found.append(len(wharf.list_files()[0]))

    threads = [threading.Thread(target=open_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [1] * 6
    assert most == 1


def test_a_migration_that_fails_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = schema(folder)
    original: Callable[..., None] = command.upgrade

    def upgrade(*arguments: object) -> None:
        original(*arguments)
        raise RuntimeError("the power went")

    with monkeypatch.context() as patch:
        patch.setattr(command, "upgrade", upgrade)
        with pytest.raises(RuntimeError, match="power"), make_wharf(folder) as wharf:
            wharf.check()
    assert schema(folder) == before
    with make_wharf(folder, clock=Clock()) as wharf:
        wharf.links.redeem(first_token())
