"""Files of the application's own are opened inside their folder and nowhere else."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import resource
import socket
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from wharfinger.errors import NotFound, Unavailable, UsageError
from wharfinger.flask import beneath
from wharfinger.flask.trusted import OpenedFile, file_etag, open_inside

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.fixture(params=["kernel", "walk"], autouse=True)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to resolve a path: what one refuses, the other must refuse."""
    if request.param == "walk":
        monkeypatch.setattr(beneath, "_ask_kernel", lambda *_: None)
    way: str = request.param
    return way


@pytest.fixture
def trusted(tmp_path: Path) -> Path:
    folder = tmp_path / "trusted"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "a.txt").write_bytes(b"inside")
    (folder / "deep" / "er" / "b c.txt").write_bytes(b"deeper")
    (folder / "größe.txt").write_bytes(b"unicode")
    (folder / "not..hidden").write_bytes(b"dots")
    (folder / ".env").write_bytes(b"hidden")
    (folder / "..dots").write_bytes(b"hidden")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_bytes(b"hidden")
    (tmp_path / "secret").write_bytes(b"outside")
    (tmp_path / "trusted-not").mkdir()
    (tmp_path / "trusted-not" / "x").write_bytes(b"outside")
    links = {
        "latest": "a.txt",
        "deep/up": "../a.txt",
        "deep/up-and-down": "../deep/./er/b c.txt",
        "deeper": "deep/er",
        "to-a-link": "deep/up",
        "way-out": str(tmp_path),
        "absolute": str(folder / "a.txt"),
        "link": str(tmp_path / "secret"),
        "relative-out": "../secret",
        "deep/out": "../../trusted/a.txt",
        "to-a-way-out": "deep/out",
        "in-loop": "in-loop",
        "to-itself": ".",
        "to-nothing": "nothing",
        "to-a-folder": "deep",
        "magic": "/proc/self/root/etc/passwd",
    }
    for name, target in links.items():
        (folder / name).symlink_to(target)
    os.mkfifo(folder / "fifo")
    return folder


def read(opened: OpenedFile) -> bytes:
    with opened.file as file:
        return file.read()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.txt", b"inside"),
        ("deep/er/b c.txt", b"deeper"),
        ("größe.txt", b"unicode"),
        ("not..hidden", b"dots"),
        ("latest", b"inside"),
        ("deep/up", b"inside"),
        ("deep/up-and-down", b"deeper"),
        ("deeper/b c.txt", b"deeper"),
        ("to-a-link", b"inside"),
        ("to-itself/to-itself/a.txt", b"inside"),
    ],
)
def test_a_plain_file_inside_is_opened_also_through_links_that_stay_inside(
    trusted: Path, name: str, content: bytes
) -> None:
    opened = open_inside(trusted, name, now=NOW)
    assert read(opened) == content
    assert (opened.name, opened.size) == (name.rpartition("/")[2], len(content))


def test_the_name_may_be_a_path(trusted: Path) -> None:
    assert read(open_inside(trusted, Path("deep", "er", "b c.txt"), now=NOW)) == b"deeper"


def test_size_and_time_come_with_it(trusted: Path) -> None:
    os.utime(trusted / "a.txt", ns=(0, 1_700_000_000_123_456_789))
    opened = open_inside(trusted, "a.txt", now=NOW)
    opened.file.close()
    assert opened.modified_at == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert opened.size == 6


@pytest.mark.parametrize(
    ("later", "strong"), [(-5.0, False), (0.0, False), (1.0, False), (3.0, True), (9e9, True)]
)
def test_the_tag_is_strong_once_the_last_change_lies_two_seconds_back(
    trusted: Path, later: float, strong: bool
) -> None:
    status = (trusted / "a.txt").stat()
    now = datetime.fromtimestamp(status.st_ctime, UTC) + timedelta(seconds=min(later, 9e8))
    assert file_etag(status, now).startswith('"') is strong


def test_the_tag_changes_with_the_bytes_also_when_size_and_time_are_made_the_same(
    trusted: Path,
) -> None:
    path = trusted / "a.txt"
    os.utime(path, ns=(0, 1_700_000_000_000_000_000))
    before = path.stat()
    path.write_bytes(b"INSIDE")
    os.utime(path, ns=(0, 1_700_000_000_000_000_000))
    after = path.stat()
    assert (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    later = NOW + timedelta(days=36500)
    assert file_etag(before, later) != file_etag(after, later)
    other = trusted / "other"
    other.write_bytes(b"inside")
    assert file_etag(other.stat(), later) != file_etag(after, later)


@pytest.mark.parametrize(
    "name",
    [
        "", ".", "..", "/", "a.txt/", "/a.txt", "//a.txt", "./a.txt", "deep/../a.txt",
        "../secret", "../trusted/a.txt", "../trusted-not/x", "deep/../../secret", "deep//er/b c.txt",
        "..\\secret", "deep\\er", "a.txt\0", "a.txt\0.png", "\0", "absent", "absent/a.txt", "a.txt/x",
        "deep", "deep/er", "link", "absolute", "way-out/secret", "way-out/trusted/a.txt",
        "relative-out", "deep/out", "to-a-way-out", "in-loop", "in-loop/x", "to-nothing", "to-a-folder",
        "to-itself", "magic", "fifo", "%2e%2e/secret", "\udcff", chr(0xD800), "x" * 5000, "x/" * 3000,
        ".env", "..dots", ".git/config", "deep/.hidden", "to-itself/.env",
    ],
)  # fmt: skip
def test_everything_else_gets_one_answer(trusted: Path, name: str) -> None:
    with pytest.raises(NotFound) as refused:
        open_inside(trusted, name, now=NOW)
    assert str(refused.value) == "There is nothing here for you."


@pytest.mark.parametrize("name", ["null", "zero", "tty", "fd/0", "stdin"])
def test_devices_and_what_a_process_has_open_are_not_files(name: str) -> None:
    with pytest.raises(NotFound):
        open_inside(Path("/dev"), name, now=NOW)


def test_a_socket_is_not_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        with pytest.raises(NotFound):
            open_inside(tmp_path, "socket", now=NOW)


def test_a_folder_that_is_swapped_for_a_link_meanwhile_leads_nowhere(
    trusted: Path, tmp_path: Path
) -> None:
    """Somebody who may write into the folder races against the walk."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b c.txt").write_bytes(b"outside")
    place = trusted / "deep" / "er"
    aside = trusted / "deep" / "aside"
    link = trusted / "deep" / "link"
    link.symlink_to("../../outside")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            place.rename(aside)
            link.rename(place)
            place.rename(link)
            aside.rename(place)

    swapping = threading.Thread(target=swap)
    swapping.start()
    seen = set()
    try:
        for _ in range(3000):
            with contextlib.suppress(NotFound):
                seen.add(read(open_inside(trusted, "deep/er/b c.txt", now=NOW)))
    finally:
        stop.set()
        swapping.join()
    assert seen <= {b"deeper"}


@pytest.mark.parametrize("name", [None, 7, b"a.txt"])
def test_a_name_that_is_no_text_is_the_views_mistake(trusted: Path, name: object) -> None:
    with pytest.raises(UsageError, match="text, not"):
        open_inside(trusted, name, now=NOW)  # type: ignore[arg-type]


def test_a_hidden_folder_is_served_where_the_view_names_it(trusted: Path) -> None:
    assert read(open_inside(trusted / ".git", "config", now=NOW)) == b"hidden"


def test_refusals_leave_no_descriptor_open(trusted: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    for name in ("deep", "fifo", "link", "deep/er/none", "a.txt/x", "way-out/secret", "deep/out"):
        with pytest.raises(NotFound):
            open_inside(trusted, name, now=NOW)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_machine_without_descriptors_does_not_say_that_the_file_is_gone(trusted: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))  # noqa: PTH208 - bare numbers
    held = [os.open("/dev/null", os.O_RDONLY) for _ in range(used)]  # fills the gaps below
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(held) + 1, hard))
    try:
        with pytest.raises(Unavailable) as refused:
            open_inside(trusted, "a.txt", now=NOW)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for descriptor in held:
            os.close(descriptor)
    assert refused.value.http_status == 503


def test_the_trusted_folder_itself_may_be_reached_by_a_link(trusted: Path, tmp_path: Path) -> None:
    """Who configures it decides that; deployments point at a current release this way."""
    (tmp_path / "current").symlink_to(trusted)
    assert read(open_inside(tmp_path / "current", "a.txt", now=NOW)) == b"inside"


@pytest.mark.parametrize("folder", ["none", "secret"], ids=["absent", "a file"])
def test_a_trusted_folder_that_is_missing_is_not_found_and_the_log_says_so(
    trusted: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture, folder: str
) -> None:
    with caplog.at_level(logging.WARNING), pytest.raises(NotFound):
        open_inside(tmp_path / folder, "a.txt", now=NOW)
    assert str(tmp_path / folder) in caplog.text


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM, errno.EAGAIN])
def test_where_a_sandbox_forbids_the_kernels_way_the_walk_finds_the_same(
    trusted: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    class Forbidding:
        def syscall(self, *_: object) -> int:
            return -1

    monkeypatch.setattr(beneath, "_libc", Forbidding)
    monkeypatch.setattr("ctypes.get_errno", lambda: number)
    assert read(open_inside(trusted, "to-a-link", now=NOW)) == b"inside"
    with pytest.raises(NotFound):
        open_inside(trusted, "relative-out", now=NOW)
