"""The recipes people know: same shape as in the tutorials, without their faults."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from conftest import StartPeer
from support.content import ELF, GIF, HTML, JPEG, PNG
from support.folders import listing
from support.peer import Exchange, response, saying
from support.processes import free_port
from wharfinger import (
    ContentTypeMismatch,
    ProfilePictureUploader,
    Rejected,
    WharfingerError,
    download_file,
)
from wharfinger.errors import AddressRefused, DestinationUnsafe, ResponseError, UsageError


def test_a_picture_is_downloaded(httpbin: str, folder: Path) -> None:
    got = download_file(f"{httpbin}/image/jpeg", "photo.jpg", allow_private=True)
    assert (folder / "photo.jpg").read_bytes().startswith(b"\xff\xd8\xff")
    assert got.size == (folder / "photo.jpg").stat().st_size


def test_another_content_type_is_a_mismatch_and_writes_nothing(httpbin: str, folder: Path) -> None:
    with pytest.raises(ContentTypeMismatch) as caught:
        download_file(f"{httpbin}/html", "photo.jpg", allow_private=True)
    assert (caught.value.expected, caught.value.actual) == ("image/", "text/html")
    assert listing(folder) == []


def test_an_older_file_is_replaced_only_by_a_whole_one(peer: StartPeer, folder: Path) -> None:
    (folder / "photo.png").write_bytes(b"old")
    broken = peer(saying(response(PNG, length=9999, Content_Type="image/png")))
    with pytest.raises(WharfingerError):
        download_file(broken.url, folder / "photo.png", allow_private=True, timeout=2)
    assert (folder / "photo.png").read_bytes() == b"old"
    whole = peer(saying(response(PNG, Content_Type="image/png")))
    download_file(whole.url, folder / "photo.png", allow_private=True)
    assert (folder / "photo.png").read_bytes() == PNG
    assert listing(folder) == ["photo.png"]


PREFIXES = [
    ("image/", "image/png", True),
    ("image/png", "image/png; charset=binary", True),
    ("image/j", "image/png", False),
    ("image/p", "image/png", True),
    ("IMAGE/", "image/png", True),
    ("", "image/png", True),
    ("", "application/octet-stream", True),
    ("image/", "application/octet-stream", False),
    ("text/", "image/png", False),
    ("image/", "", False),
]


@pytest.mark.parametrize(("prefix", "claimed", "fits"), PREFIXES)
def test_the_content_type_must_begin_as_expected(
    prefix: str,
    claimed: str,
    fits: bool,
    peer: StartPeer,
    folder: Path,
) -> None:
    server = peer(saying(response(PNG, Content_Type=claimed)))
    if fits:
        download_file(server.url, "out", prefix, allow_private=True)
        assert (folder / "out").read_bytes() == PNG
    else:
        with pytest.raises(ContentTypeMismatch):
            download_file(server.url, "out", prefix, allow_private=True)
        assert listing(folder) == []


@pytest.mark.parametrize("content", [HTML, ELF, b"just text " * 1000])
def test_content_that_only_calls_itself_an_image_is_refused(
    content: bytes, peer: StartPeer, folder: Path
) -> None:
    server = peer(saying(response(content, Content_Type="image/jpeg")))
    with pytest.raises(Rejected):
        download_file(server.url, "out.jpg", allow_private=True)
    assert listing(folder) == []


def test_positional_arguments_are_those_of_the_tutorial(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(b"%PDF-1.7\n" + bytes(9000), Content_Type="application/pdf")))
    download_file(server.url, "a.pdf", "application/pdf", 1024, allow_private=True, timeout=5)
    assert (folder / "a.pdf").stat().st_size == 9009


@pytest.mark.parametrize("chunk_size", [0, -1, True])
def test_a_chunk_size_must_be_positive(chunk_size: int, folder: Path) -> None:
    with pytest.raises(UsageError):
        download_file("http://example.com/", "out", chunk_size=chunk_size)


def test_private_addresses_need_permission(peer: StartPeer, folder: Path) -> None:
    server = peer(saying(response(PNG, Content_Type="image/png")))
    with pytest.raises(AddressRefused):
        download_file(server.url, "out")
    assert server.connections == 0


def test_a_link_is_not_written_through(peer: StartPeer, folder: Path) -> None:
    (folder / "out").symlink_to("victim")
    server = peer(saying(response(PNG, Content_Type="image/png")))
    with pytest.raises(DestinationUnsafe):
        download_file(server.url, "out", allow_private=True)


def test_credentials_reach_the_server(httpbin: str, folder: Path) -> None:
    address = f"{httpbin}/basic-auth/u/p"
    download_file(address, "a", "application/json", auth=("u", "p"), allow_private=True)
    with pytest.raises(ResponseError):
        download_file(address, "b", "application/json", auth=("u", "no"), allow_private=True)


# --- ProfilePictureUploader ----------------------------------------------------------------

PICTURES = {
    "me.jpg": (JPEG, ".jpg", "image/jpeg"),
    "me.JPEG": (JPEG, ".jpeg", "image/jpeg"),
    "me.png": (PNG, ".png", "image/png"),
    "me.gif": (GIF, ".gif", "image/gif"),
    "old.gif": (b"GIF87a" + bytes(100), ".gif", "image/gif"),
    "filler.jpg": (b"\xff\xd8\xff\xe0" + b"filler " * 1000, ".jpg", "image/jpeg"),
    "largest.png": (PNG.ljust(5 * 1024 * 1024, b"\0"), ".png", "image/png"),
}


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_uploaded(name: str, peer: StartPeer, folder: Path) -> None:
    content, extension, media_type = PICTURES[name]
    (folder / name).write_bytes(content)
    server = peer(saying(response(b"{}", status="201 Created", Location="/pictures/12345")))
    uploader = ProfilePictureUploader("12345", url=f"{server.url}/up", allow_private=True)
    success, message, url = uploader.upload_profile_picture(name)
    assert success, message
    assert url == f"{server.url}/pictures/12345"
    body = server.last.body
    assert (
        f'name="profile_image"; filename="user_12345_profile{extension}"\r\n'
        f"Content-Type: {media_type}\r\n\r\n"
    ).encode() in body
    assert b'name="user_id"\r\n\r\n12345\r\n' in body
    assert content in body


REFUSED: dict[str, tuple[str, bytes | None]] = {
    "missing": ("me.jpg", None),
    "empty": ("me.jpg", b""),
    "text": ("me.txt", b"hello"),
    "no extension": ("me", JPEG),
    "webp": ("me.webp", b"RIFF\x1a\0\0\0WEBPVP8L"),
    "svg": ("me.svg", b"<svg/>"),
    "two extensions": ("me.jpg.exe", JPEG),
    "hidden extension": (".jpg", JPEG),
    "one byte too large": ("me.png", PNG.ljust(5 * 1024 * 1024 + 1, b"\0")),
    "PNG as JPEG": ("me.jpg", PNG),
    "JPEG as PNG": ("me.png", JPEG),
    "JPEG as GIF": ("me.gif", JPEG),
    "HTML as JPEG": ("me.jpg", HTML),
    "program as PNG": ("me.png", ELF),
    "half a signature": ("me.jpg", b"\xff\xd8"),
    "GIF of no version": ("me.gif", b"GIF90a" + bytes(50)),
}


@pytest.mark.parametrize(("name", "content"), REFUSED.values(), ids=REFUSED.keys())
def test_no_refused_picture_opens_a_connection(
    name: str, content: bytes | None, peer: StartPeer, folder: Path
) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    server = peer(saying(response(b"{}")))
    uploader = ProfilePictureUploader(7, url=server.url, allow_private=True)
    success, message, url = uploader.upload_profile_picture(folder / name)
    assert (success, url) == (False, None)
    assert message
    assert server.connections == 0


PATHS: dict[str, tuple[object, str]] = {
    "None": (None, "must be text, not NoneType"),
    "a number": (7, "must be text, not int"),
    "bytes": (b"me.jpg", "must be text, not bytes"),
    "an over-long name": ("a" * 300 + ".jpg", "does not exist"),
    "an over-long path": ("a/" * 3000 + "me.jpg", "does not exist"),
    "a NUL": ("me\0.jpg", "does not exist"),
    "nothing": ("", "does not have one of the extensions"),
}


@pytest.mark.parametrize(("path", "text"), PATHS.values(), ids=PATHS.keys())
def test_a_path_that_is_none_is_told_and_not_raised(path: Any, text: str, folder: Path) -> None:
    uploader = ProfilePictureUploader(7, url="http://127.0.0.1:1/", allow_private=True)
    success, message, url = uploader.upload_profile_picture(path)
    assert (success, url) == (False, None)
    assert text in message
    assert len(message) < 200


def test_a_folder_or_pipe_is_refused_without_waiting(peer: StartPeer, folder: Path) -> None:
    (folder / "folder.jpg").mkdir()
    os.mkfifo(folder / "pipe.jpg")
    server = peer(saying(response(b"{}")))
    uploader = ProfilePictureUploader(7, url=server.url, allow_private=True)
    for name in ("folder.jpg", "pipe.jpg"):
        success, message, _ = uploader.upload_profile_picture(name)
        assert not success
        assert "not a plain file" in message
    assert server.connections == 0


FAILURES = {
    "refused by the server": saying(response(b"no", status="413 Too Large")),
    "sign-in": saying(response(b"no", status="401 No")),
    "broken": saying(response(b"no", status="500 Oops")),
    "led elsewhere": saying(response(b"", status="302 Found", Location="/login")),
    "no answer": saying(b""),
    "reset": Exchange.reset,
    "nonsense": saying(b"SSH-2.0\r\n\r\n"),
}


@pytest.mark.parametrize("handler", FAILURES.values(), ids=FAILURES.keys())
def test_a_failed_transfer_is_told_and_not_raised(
    handler: object, peer: StartPeer, folder: Path
) -> None:
    (folder / "me.jpg").write_bytes(JPEG)
    uploader = ProfilePictureUploader(7, url=peer(handler).url, allow_private=True, timeout=3)
    success, message, url = uploader.upload_profile_picture("me.jpg")
    assert (success, url) == (False, None)
    assert message


def test_nobody_there_and_nobody_public_are_told_too(folder: Path) -> None:
    (folder / "me.jpg").write_bytes(JPEG)
    url = f"http://127.0.0.1:{free_port()}/"
    assert not ProfilePictureUploader(7, url=url).upload_profile_picture("me.jpg")[0]


def test_the_echo_names_itself_and_no_picture(httpbin: str, folder: Path) -> None:
    (folder / "me.jpg").write_bytes(JPEG)
    uploader = ProfilePictureUploader("7", url=f"{httpbin}/post", allow_private=True)
    success, message, url = uploader.upload_profile_picture("me.jpg")
    assert success, message
    assert url is None


def test_a_hostile_user_id_does_not_shape_the_name(peer: StartPeer, folder: Path) -> None:
    (folder / "me.jpg").write_bytes(JPEG)
    server = peer(saying(response(b"{}")))
    uploader = ProfilePictureUploader("../../x\r\ny", url=server.url, allow_private=True)
    assert uploader.upload_profile_picture("me.jpg")[0]
    line = server.last.body.partition(b"filename=")[2].partition(b"\r\n")[0]
    assert line == b'"user_.._.._xy_profile.jpg"'


def test_credentials_are_sent(peer: StartPeer, folder: Path) -> None:
    (folder / "me.jpg").write_bytes(JPEG)
    server = peer(saying(response(b"{}")))
    ProfilePictureUploader(
        7, url=server.url, allow_private=True, auth="token"
    ).upload_profile_picture("me.jpg")
    assert server.last.headers["authorization"] == "Bearer token"


@pytest.mark.parametrize(
    "options",
    [{"url": "nonsense"}, {"url": "http://x/", "timeout": -1}, {"url": "http://x/", "auth": ""}],
)
def test_a_wrong_set_up_shows_at_once(options: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        ProfilePictureUploader(7, **options)  # type: ignore[arg-type]
    with pytest.raises(UsageError):
        ProfilePictureUploader(" ", url="http://example.com/")
