"""Files of the application's own are opened inside their folder and nowhere else."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wharfinger.errors import NotFound
from wharfinger.web.trusted import open_inside


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    folder = tmp_path / "trusted"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"inside")
    (folder / "deep" / "er" / "b c.txt").write_bytes(b"deeper")
    (folder / "größe.txt").write_bytes(b"unicode")
    (folder / "..dots").write_bytes(b"dots")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "trusted-not").mkdir()
    (tmp_path / "trusted-not" / "x").write_bytes(b"outside")
    (folder / "link").symlink_to(tmp_path / "secret")
    (folder / "inner-link").symlink_to("a.txt")
    (folder / "way-out").symlink_to(tmp_path)
    (folder / "in-loop").symlink_to("in-loop")
    os.mkfifo(folder / "fifo")
    return folder


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"inside"),
        ("deep/er/b c.txt", b"deeper"),
        ("größe.txt", b"unicode"),
        ("..dots", b"dots"),
    ],
)
def test_a_plain_file_inside_is_opened(trusted: Path, name: str, content: bytes) -> None:
    opened = open_inside(trusted, name)
    with opened.file as file:
        assert file.read() == content
    assert (opened.name, opened.size) == (name.rpartition("/")[2], len(content))


def test_size_time_and_a_weak_tag_come_with_it(trusted: Path) -> None:
    os.utime(trusted / "a.txt", ns=(0, 1_700_000_000_123_456_789))
    opened = open_inside(trusted, "a.txt")
    opened.file.close()
    assert opened.modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert opened.etag == 'W/"17979cfe3d85cd15-6"'


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "/", "a.txt/", "/a.txt", "//a.txt", "./a.txt", "deep/../a.txt",
        "../secret", "../trusted/a.txt", "../trusted-not/x", "deep/../../secret", "deep//er/b c.txt",
        "..\\secret", "deep\\er", "a.txt\0", "a.txt\0.png", "\0", "absent", "absent/a.txt", "a.txt/x",
        "deep", "deep/er", "link", "inner-link", "way-out/secret", "way-out/trusted/a.txt",
        "in-loop", "in-loop/x", "fifo", "%2e%2e/secret", "\udcff", "x" * 5000, "x/" * 3000,
    ],
)  # fmt: skip
def test_everything_else_gets_one_answer(trusted: Path, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        open_inside(trusted, name)
    assert str(refused.value) == "There is nothing here for you."


def test_refusals_leave_no_descriptor_open(trusted: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("deep", "fifo", "link", "deep/er/none", "a.txt/x", "way-out/secret"):
        with pytest.raises(NotFound):
            open_inside(trusted, name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_the_trusted_folder_itself_may_be_reached_by_a_link(trusted: Path, tmp_path: Path) -> None:
    """Who configures it decides that; deployments point at a current release this way."""
    (tmp_path / "current").symlink_to(trusted)
    with open_inside(tmp_path / "current", "a.txt").file as file:
        assert file.read() == b"inside"


def test_a_trusted_folder_that_is_missing_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        open_inside(tmp_path / "none", "a.txt")
