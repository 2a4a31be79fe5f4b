"""The key ring: rotation, and what a running service makes of it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from support.services import make_wharf
from wharfinger import Link, Wharf
from wharfinger.errors import DataFolderError, NotFound, UsageError
from wharfinger.service.keyring import KeyRing, rotate


def new_link(wharf: Wharf) -> Link:
    return wharf.share(wharf.receive([b"text"], collection="files", name="a.txt").id)


def works(wharf: Wharf, link: Link) -> bool:
    try:
        wharf.links.redeem(link.url.rpartition("/")[2])
    except NotFound:
        return False
    return True


def test_a_rotation_keeps_the_links_there_are(tmp_path: Path) -> None:
    with make_wharf(tmp_path) as wharf:
        old = new_link(wharf)
        assert wharf.rotate_keys() == 2
        new = new_link(wharf)
        assert works(wharf, old)
        assert works(wharf, new)
        assert wharf.links.find(old.id).url != old.url  # it is signed anew wherever it is shown
    assert re.fullmatch(r"([0-9a-f]{64}\n){2}", (tmp_path / "keys").read_text())
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob(".keys*")] == []


def test_a_rotation_can_end_the_links_there_are(tmp_path: Path) -> None:
    with make_wharf(tmp_path) as wharf:
        old = new_link(wharf)
        assert wharf.rotate_keys(keep=0) == 1
        assert not works(wharf, old)
        assert works(wharf, new_link(wharf))


def test_a_running_service_notices_what_another_process_does(tmp_path: Path) -> None:
    with make_wharf(tmp_path) as running, make_wharf(tmp_path) as other:
        old = new_link(running)
        other.rotate_keys()
        new = new_link(other)
        assert works(running, new)
        assert works(running, old)
        other.rotate_keys(keep=1)
        assert works(running, new)
        assert not works(running, old)


def test_the_ring_does_not_grow_without_end(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    sizes = [rotate(path) for _ in range(20)]
    assert sizes[0] == 2
    assert max(sizes) == sizes[-1] == 16


@pytest.mark.parametrize("keep", [-1, 16])
def test_keeping_more_than_there_is_room_for_is_refused(tmp_path: Path, keep: int) -> None:
    with pytest.raises(UsageError, match="0 to 15"):
        rotate(tmp_path / "keys", keep=keep)
    assert not (tmp_path / "keys").exists()


@pytest.mark.parametrize("content", ["", "no key\n", "ab" * 32 + "\nx\n", "ä"], ids=range(4))
def test_a_ring_that_is_damaged_while_it_is_used_signs_nothing(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "keys"
    ring = KeyRing(path)
    good = path.read_text()
    path.write_text(content)
    for _ in range(2):
        with pytest.raises(DataFolderError, match="'keys'"):
            ring.current()
    path.write_text(good)
    assert [key.hex() for key in ring.current()] == good.split()


def test_a_ring_that_vanishes_is_not_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    ring = KeyRing(path)
    path.unlink()
    with pytest.raises(DataFolderError):
        ring.current()
    assert not path.exists()
    assert repr(ring) == "KeyRing('keys', 1 keys)"
