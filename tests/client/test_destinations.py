"""Where a download may land: never outside its folder, never over something unasked."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

import wharfinger
from conftest import StartPeer
from support.folders import listing
from support.peer import Exchange, response, saying
from wharfinger.client.folder import Folder
from wharfinger.client.partial import Partial
from wharfinger.client.sidecar import Source
from wharfinger.errors import (
    DestinationExists,
    DestinationUnsafe,
    LocalFileError,
    StorageFull,
    WharfingerError,
)

CONTENT = b"new content " * 2000


def fetch(url: str, dest: str | None = "out.bin", **options: object) -> wharfinger.Download:
    options = {"allow_private": True, "retries": 0, "timeout": 5, **options}
    return wharfinger.download(url, dest, **options)  # type: ignore[arg-type]


def test_a_file_that_is_there_is_not_overwritten(peer: StartPeer, folder: Path) -> None:
    (folder / "out.bin").write_bytes(b"old")
    server = peer(saying(response(CONTENT)))
    with pytest.raises(DestinationExists) as caught:
        fetch(server.url)
    assert "overwrite=True" in caught.value.hint
    assert isinstance(caught.value, FileExistsError)
    assert server.connections == 0
    assert (folder / "out.bin").read_bytes() == b"old"


def test_overwriting_is_atomic_and_on_request(peer: StartPeer, folder: Path) -> None:
    (folder / "out.bin").write_bytes(b"old")
    os.link(folder / "out.bin", folder / "other-name")
    fetch(peer(saying(response(CONTENT))).url, overwrite=True)
    assert (folder / "out.bin").read_bytes() == CONTENT
    assert (folder / "other-name").read_bytes() == b"old"


def test_the_old_file_stays_when_the_new_one_fails(peer: StartPeer, folder: Path) -> None:
    (folder / "out.bin").write_bytes(b"old")
    with pytest.raises(WharfingerError):
        fetch(peer(saying(response(CONTENT, length=99_999))).url, overwrite=True)
    assert (folder / "out.bin").read_bytes() == b"old"


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_symbolic_link_is_not_written_through(
    overwrite: bool, peer: StartPeer, folder: Path
) -> None:
    victim = folder / "victim"
    victim.write_bytes(b"precious")
    (folder / "out.bin").symlink_to(victim)
    with pytest.raises(DestinationUnsafe):
        fetch(peer(saying(response(CONTENT))).url, overwrite=overwrite)
    assert victim.read_bytes() == b"precious"
    assert (folder / "out.bin").is_symlink()


def test_a_dangling_link_is_not_written_through(peer: StartPeer, folder: Path) -> None:
    (folder / "out.bin").symlink_to(folder / "elsewhere")
    with pytest.raises(DestinationUnsafe):
        fetch(peer(saying(response(CONTENT))).url, overwrite=True)
    assert not (folder / "elsewhere").exists()


def test_a_device_or_pipe_is_not_a_destination(peer: StartPeer, folder: Path) -> None:
    os.mkfifo(folder / "out.bin")
    with pytest.raises(DestinationUnsafe):
        fetch(peer(saying(response(CONTENT))).url, overwrite=True)


def test_a_file_that_appears_meanwhile_is_not_overwritten(peer: StartPeer, folder: Path) -> None:
    def handler(exchange: Exchange) -> None:
        (folder / "out.bin").write_bytes(b"first")
        exchange.send(response(CONTENT))

    with pytest.raises(DestinationExists):
        fetch(peer(handler).url)
    assert (folder / "out.bin").read_bytes() == b"first"


def test_of_many_who_publish_at_once_one_wins(tmp_path: Path) -> None:
    for turn in range(100):
        place = tmp_path / str(turn)
        place.mkdir()
        opened = Folder(place)
        partial = Partial(opened, "name")
        partial.begin(Source(url="u", query="", validator="", size=None))
        partial.opened.append([b"downloaded"])
        barrier = threading.Barrier(2)
        rival_won: list[bool] = []

        def rival(
            target: Path = place / "name",
            start: threading.Barrier = barrier,
            won: list[bool] = rival_won,
        ) -> None:
            start.wait()
            try:
                descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            except FileExistsError:
                won.append(False)
            else:
                os.write(descriptor, b"rival")
                os.close(descriptor)
                won.append(True)

        thread = threading.Thread(target=rival)
        thread.start()
        barrier.wait()
        try:
            partial.publish("name", overwrite=False)
            published = True
        except DestinationExists:
            published = False
            partial.discard()
        finally:
            partial.close()
            opened.close()
            thread.join(10)
        assert published is not rival_won[0]
        assert (place / "name").read_bytes() == (b"downloaded" if published else b"rival")


def test_a_part_that_was_swapped_is_not_published(tmp_path: Path) -> None:
    with Folder(tmp_path) as opened:
        partial = Partial(opened, "name")
        partial.begin(Source(url="u", query="", validator="", size=None))
        partial.opened.append([b"downloaded"])
        (tmp_path / "name.part").unlink()
        (tmp_path / "name.part").write_bytes(b"planted")
        with pytest.raises(DestinationUnsafe):
            partial.publish("name", overwrite=False)
        partial.close()
    assert not (tmp_path / "name").exists()


def test_without_links_the_rename_does_not_overwrite_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_args: object, **_options: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    opened = Folder(tmp_path)
    for name in ("free", "taken"):
        partial = Partial(opened, name)
        partial.begin(Source(url="u", query="", validator="", size=None))
        partial.opened.append([b"downloaded"])
        if name == "taken":
            (tmp_path / name).write_bytes(b"rival")
            with pytest.raises(DestinationExists):
                partial.publish(name, overwrite=False)
            partial.discard()
        else:
            partial.publish(name, overwrite=False)
            partial.close()
    opened.close()
    assert (tmp_path / "free").read_bytes() == b"downloaded"
    assert (tmp_path / "taken").read_bytes() == b"rival"
    assert sorted(listing(tmp_path)) == ["free", "taken"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_mode_follows_the_umask_and_is_never_executable(
    umask: int, mode: int, peer: StartPeer, folder: Path
) -> None:
    before = os.umask(umask)
    try:
        fetch(peer(saying(response(CONTENT))).url)
    finally:
        os.umask(before)
    assert (folder / "out.bin").stat().st_mode & 0o7777 == mode


def test_the_mode_of_a_resumed_file_follows_the_umask_too(peer: StartPeer, folder: Path) -> None:
    before = os.umask(0o027)
    try:
        cut = response(CONTENT, ETag='"v"')[:-4000]
        rest = response(
            CONTENT[20_000:],
            status="206 Partial Content",
            ETag='"v"',
            Content_Range="bytes 20000-23999/24000",
        )
        server = peer(saying(cut, rest))
        with pytest.raises(WharfingerError):
            fetch(server.url)
        assert fetch(server.url).resumed_from == 20_000
    finally:
        os.umask(before)
    assert (folder / "out.bin").stat().st_mode & 0o7777 == 0o640


@pytest.mark.parametrize("dest", ["missing/out.bin", "missing/", "missing/.."])
def test_a_folder_that_is_not_there_is_an_error_of_this_machine(
    dest: str, peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(CONTENT)))
    with pytest.raises(LocalFileError) as caught:
        fetch(server.url, dest)
    assert caught.value.exit_code == 10
    assert server.connections == 0


def test_a_name_as_long_as_names_may_be(peer: StartPeer, folder: Path) -> None:
    name = "n" * 251 + ".bin"
    fetch(peer(saying(response(CONTENT))).url, name)
    assert listing(folder) == [name]


def test_a_limit_on_file_sizes_leaves_nothing(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(bytes(4_000_000))))
    code = (
        "import resource, sys, wharfinger\n"
        "from wharfinger.errors import StorageFull\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "try:\n"
        "    wharfinger.download(sys.argv[1], 'out.bin', allow_private=True, retries=0)\n"
        "except StorageFull as error:\n"
        "    sys.exit(0 if error.exit_code == 10 and 'ulimit' in error.hint else 3)\n"
        "sys.exit(4)\n"
    )
    assert subprocess.run([sys.executable, "-c", code, server.url], check=False).returncode == 0
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_an_error_of_its_own(
    peer: StartPeer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        if len(data) > 1000:
            raise OSError(28, "No space left on device")
        return real(descriptor, data)

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(StorageFull) as caught:
        fetch(peer(saying(response(CONTENT))).url)
    assert caught.value.exit_code == 10
    assert list(folder.iterdir()) == []


HOSTILE = [
    "../../etc/cron.d/x", "..%2f..%2fx", "/etc/passwd", "C:\\Windows\\x.exe", "..\\..\\x", "a/b",
    "a\\b", ".bashrc", "..", ".", "...", "-rf", "--option", "a\0b", "a\nb", "a\rb", "\x1b[31mred",
    "\x07bell", "\u202egpj.exe", "\u2066x", "\u200bx", "con", "NUL.txt", "aux.jpg", "COM1", "lpt9.x",
    "a:b", "a.txt::$DATA", "a?b", "a*b", 'a"b', "a<b>c", "a|b", " lead", "trail ", "trail.",
    "x" * 300 + ".jpg", "ü" * 200 + ".jpg", "e\u0301.txt", "\ud800", "~", "~root", "$HOME", "`id`",
    "a;b", "a&b", "%2e%2e%2fx", "%5c", "file://x", "http://x/y", "\u3000x", "a\u2028b", "CON ",
    "index.html?", "#", "%00", "a%00.jpg", "\u00a0", "..;/x", "....//x", "\uff0e\uff0e/x",
]  # fmt: skip


@pytest.mark.parametrize("claimed", HOSTILE, ids=range(len(HOSTILE)))
def test_a_servers_name_lands_directly_inside_the_folder(
    claimed: str, peer: StartPeer, folder: Path
) -> None:
    from urllib.parse import quote

    inside = folder / "inside"
    inside.mkdir()
    encoded = quote(claimed.encode("utf-8", "surrogatepass"), safe="")
    disposition = f"attachment; filename*=UTF-8''{encoded}"
    server = peer(saying(response(b"x", Content_Disposition=disposition)))
    got = fetch(f"{server.url}/fallback.bin", "inside", remote_name=True)
    assert got.path is not None
    assert got.path.parent == Path("inside")
    assert listing(inside) == [got.path.name]
    assert listing(folder) == ["inside"]
    assert not got.path.name.startswith((".", "-"))
    assert len(os.fsencode(got.path.name)) <= 255


@pytest.mark.parametrize(
    "segment", ["%2e%2e%2fx", "..%5cx", "a%2fb", ".bashrc", "%00", "con", ";", "a;b", "%ff%fe", ""]
)
def test_the_last_segment_of_a_url_lands_directly_inside_the_folder(
    segment: str, peer: StartPeer, folder: Path
) -> None:
    got = fetch(f"{peer(saying(response(b'x'))).url}/a/{segment}?q=/../x", None)
    assert got.path is not None
    assert got.path.parent == Path()
    assert listing(folder) == [got.path.name]
    assert not got.path.name.startswith((".", "-"))


def test_a_servers_name_is_not_used_unasked(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"x", Content_Disposition='attachment; filename="evil.sh"')))
    got = fetch(f"{server.url}/asked.txt", None)
    assert listing(folder) == ["asked.txt"]
    assert got.name == "evil.sh"


def test_a_servers_name_does_not_overwrite(peer: StartPeer, folder: Path) -> None:
    (folder / "old.txt").write_bytes(b"old")
    server = peer(saying(response(b"x", Content_Disposition='attachment; filename="old.txt"')))
    with pytest.raises(DestinationExists):
        fetch(f"{server.url}/asked.txt", None, remote_name=True)
    assert listing(folder) == ["old.txt"]
    assert (folder / "old.txt").read_bytes() == b"old"
