"""The epoch: it moves with every write that revokes, for every process, and with no other."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection

from support.command import environment
from support.services import make_wharf, token
from wharfinger.catalog import Catalog
from wharfinger.errors import WharfingerError


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    catalog = Catalog(tmp_path / "catalog.sqlite3")
    yield catalog
    catalog.close()


def nothing(connection: Connection) -> None:
    """Write nothing."""


def fail(connection: Connection) -> None:
    raise WharfingerError("not written")


def test_an_ordinary_write_leaves_it(catalog: Catalog) -> None:
    before = catalog.epoch
    catalog.write(nothing)
    assert catalog.epoch == before


def test_a_write_that_revokes_moves_it_before_it_returns(catalog: Catalog) -> None:
    seen = {catalog.epoch}
    for _ in range(20):
        catalog.write(nothing, revokes=True)
        seen.add(catalog.epoch)
    assert len(seen) == 21


def test_a_write_that_failed_may_move_it_and_raises(catalog: Catalog) -> None:
    with pytest.raises(WharfingerError, match="not written"):
        catalog.write(fail, revokes=True)


def test_another_one_over_the_same_file_sees_it_move(catalog: Catalog) -> None:
    other = Catalog(catalog.path)
    try:
        before = other.epoch
        catalog.write(nothing, revokes=True)
        assert other.epoch == catalog.epoch != before
    finally:
        other.close()


def test_opening_moves_it_because_a_crash_may_have_kept_a_revocation_from_doing_so(
    catalog: Catalog,
) -> None:
    before = catalog.epoch
    Catalog(catalog.path).close()
    assert catalog.epoch != before


REVOKE = """
import sys

from wharfinger import Wharf

with Wharf.open(sys.argv[1]) as wharf:
    print("open", flush=True)
    sys.stdin.readline()
    wharf.tokens.revoke(sys.argv[2])
"""


def test_another_process_that_revokes_moves_it(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        token(wharf)
        (made,) = wharf.tokens.list()
        process = subprocess.Popen(
            [sys.executable, "-c", REVOKE, str(tmp_path / "data"), made.id],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(None),
        )  # fmt: skip
        with process:
            assert process.stdout is not None
            assert process.stdin is not None
            assert process.stdout.readline() == "open\n"
            before = wharf.epoch
            process.stdin.write("\n")
            process.stdin.flush()
            assert process.wait(20) == 0
        assert wharf.epoch != before


def test_everything_that_ends_a_permission_moves_it(tmp_path: Path) -> None:
    with make_wharf(tmp_path / "data") as wharf:
        token(wharf)
        stored = wharf.receive([b"text"], collection="files")
        link = wharf.share(stored.id)
        seen = {wharf.epoch}
        wharf.tokens.revoke(wharf.tokens.list()[0].id)
        seen.add(wharf.epoch)
        wharf.links.revoke(link.id)
        seen.add(wharf.epoch)
        wharf.remove(stored.id)
        seen.add(wharf.epoch)
        assert len(seen) == 4


def test_that_of_uploads_moves_when_one_may_have_gone_and_not_when_it_goes_on(
    tmp_path: Path,
) -> None:
    data = tmp_path / "data"
    with make_wharf(data) as one, make_wharf(data) as other:
        upload = one.uploads.create("files", protocol="tus", owner="user:1")
        other.uploads.find(upload.id, None)  # opening a catalog moves both
        seen, epoch = [one._open().catalog.upload_epoch], one.epoch
        with one.uploads.take(upload.id) as turn:
            turn.write(b"here")
        assert one._open().catalog.upload_epoch == seen[0]
        with other.uploads.take(upload.id):
            seen.append(one._open().catalog.upload_epoch)
        other.uploads.end(upload.id)
        seen.append(one._open().catalog.upload_epoch)
        assert len(set(seen)) == 3
        assert one.epoch == epoch


def test_a_token_that_another_process_revoked_is_nobody_at_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with make_wharf(data) as one, make_wharf(data) as other:
        made, secret = one.tokens.create("phone", ["write"])
        assert one.tokens.authenticate(secret) is not None
        assert one.tokens.authenticate(secret) is not None
        other.tokens.revoke(made.id)
        assert one.tokens.authenticate(secret) is None
