"""The small recipes people know, built on the same parts as everything else.

`download_file` is the loop over `iter_content`, `ProfilePictureUploader` the form post
with `files=`, as tutorials have them, without what goes wrong there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.client.expectation import Expectation
from wharfinger.client.session import Client
from wharfinger.errors import UsageError, WharfingerError
from wharfinger.net import urls
from wharfinger.units import MIB, show_size

if TYPE_CHECKING:
    from wharfinger.client.downloading import Download
    from wharfinger.client.request import Auth
    from wharfinger.client.timeouts import Timeout

MAX_PICTURE_SIZE: Final = 5 * MIB

_DEFAULT_CHUNK: Final = 8192
_DEFAULT_TIMEOUT: Final = 30
_JPEG: Final = ("image/jpeg", (b"\xff\xd8\xff",))
# Extension to media type and the signatures that its files begin with.
_PICTURES: Final[Mapping[str, tuple[str, tuple[bytes, ...]]]] = {
    ".jpg": _JPEG,
    ".jpeg": _JPEG,
    ".png": ("image/png", (b"\x89PNG\r\n\x1a\n",)),
    ".gif": ("image/gif", (b"GIF87a", b"GIF89a")),
}


def download_file(
    url: str,
    output_path: str | os.PathLike[str],
    expected_prefix: str = "image/",
    chunk_size: int = _DEFAULT_CHUNK,
    *,
    timeout: float | Timeout = _DEFAULT_TIMEOUT,
    allow_private: bool = False,
    headers: Mapping[str, str] | None = None,
    auth: Auth | None = None,
) -> Download:
    """Return the facts of a file once it lies, whole, at `output_path`.

    An older file there is replaced, atomically: it is the old one until the new one is
    whole. The body is not asked for when the Content-Type is another one, and the content
    must be what it says.

    Args:
        url: an absolute http or https URL.
        output_path: where the file goes.
        expected_prefix: what the Content-Type must begin with; "" accepts any.
        chunk_size: kept for callers who pass it. It must be positive and changes nothing:
            reads are as large as is fast, and memory is flat either way.
        timeout: seconds for connecting, head and silence alike, or a `Timeout`.
        allow_private: connect to private, loopback and link-local addresses as well.
        headers: header fields of the request.
        auth: a (user, password) pair, or a bearer token as text.

    Raises:
        ContentTypeMismatch: the server sends something else; nothing was written.
        WharfingerError: as `wharfinger.download`.
    """
    if isinstance(chunk_size, bool) or chunk_size < 1:
        raise UsageError("chunk_size must be at least 1.")
    expect = Expectation.beginning(expected_prefix) if expected_prefix else None
    with Client(allow_private=allow_private, timeout=timeout) as client:
        return client.download(
            url, output_path, expect=expect, overwrite=True, headers=headers, auth=auth
        )


class ProfilePictureUploader:
    """Uploads one user's profile picture to a form, and says how it went instead of raising.

    Args:
        user_id: who it is for; sent as the form field `user_id` and in the file's name.
        url: the address of the form, an absolute http or https URL.
        timeout: seconds for connecting, head and silence alike, or a `Timeout`.
        allow_private: connect to private, loopback and link-local addresses as well.
        auth: a (user, password) pair, or a bearer token as text.

    Raises:
        UsageError, AddressRefused: the URL cannot be used, or the user id is empty.
    """

    def __init__(
        self,
        user_id: str | int,
        *,
        url: str,
        timeout: float | Timeout = _DEFAULT_TIMEOUT,
        allow_private: bool = False,
        auth: Auth | None = None,
    ) -> None:
        self.user_id = str(user_id)
        if not self.user_id.strip():
            raise UsageError("user_id is empty.")
        self.url = str(urls.parse(url))
        self._timeout = timeout
        self._allow_private = allow_private
        self._auth = auth
        self._client().close()  # wrong options show here and not at the first picture

    def upload_profile_picture(self, path: str | os.PathLike[str]) -> tuple[bool, str, str | None]:
        """Return whether the picture was taken, a sentence for people, and where it is now.

        Extension (.jpg, .jpeg, .png, .gif), size (at most 5 MiB) and signature are judged
        before a connection is made. The address is what the server's reply says, None when
        it says nothing. Never raises for a refused file or a failed transfer.
        """
        try:
            name, media_type, content = self._judged(_path(path))
            with self._client() as client:
                reply = client.upload(
                    content,
                    self.url,
                    protocol="multipart",
                    field="profile_image",
                    fields={"user_id": self.user_id},
                    name=name,
                    type=media_type,
                )
            return True, f"Uploaded {name} ({show_size(len(content))}).", reply.url
        except _Refused as refusal:
            return False, str(refusal), None
        except WharfingerError as error:
            return False, f"{error} {error.hint}".strip(), None

    def _judged(self, path: Path) -> tuple[str, str, bytes]:
        shown = names.show(path.name, limit=80)
        if not os.path.exists(path):  # noqa: PTH110 - Path.exists raises for a name that is too long
            raise _Refused(f"{shown} does not exist.")
        extension = path.suffix.lower()
        if extension not in _PICTURES:
            raise _Refused(f"{shown} does not have one of the extensions {', '.join(_PICTURES)}.")
        content = _read(path, shown)
        media_type, signatures = _PICTURES[extension]
        if len(content) > MAX_PICTURE_SIZE:
            raise _Refused(f"{shown} is larger than {show_size(MAX_PICTURE_SIZE)}.")
        if not content:
            raise _Refused(f"{shown} is empty.")
        if not content.startswith(signatures):
            raise _Refused(f"{shown} does not begin as {media_type} does.")
        name = names.clean(f"user_{self.user_id.replace('/', '_')}_profile{extension}")
        return name, media_type, content

    def _client(self) -> Client:
        return Client(timeout=self._timeout, allow_private=self._allow_private, auth=self._auth)


class _Refused(Exception):
    """The picture is not sent; the text says why."""


def _path(path: str | os.PathLike[str]) -> Path:
    try:
        return Path(path)
    except TypeError as error:
        raise _Refused(f"The path must be text, not {type(path).__name__}.") from error


def _read(path: Path, shown: str) -> bytes:
    try:
        if not path.is_file():
            raise _Refused(f"{shown} is not a plain file.")
        with path.open("rb") as file:
            # What is judged is what is sent: the file is read once, and bounded.
            return file.read(MAX_PICTURE_SIZE + 1)
    except OSError as error:
        raise _Refused(f"{shown} cannot be read: {error.strerror or error}.") from error
