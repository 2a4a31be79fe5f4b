"""multipart/form-data, as it is sent: the framing around files whose bytes come from elsewhere.

Names are written as browsers write them (WHATWG HTML "multipart/form-data encoding
algorithm"): raw UTF-8, with quote, CR and LF percent-escaped.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from wharfinger.errors import UsageError
from wharfinger.names import show
from wharfinger.protocol.boundary import is_boundary
from wharfinger.protocol.content_type import essence
from wharfinger.protocol.parameters import TOKEN

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FormFile", "FramedForm", "frame"]

_TOKEN: Final = re.compile(TOKEN)
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b\x0c\x0e-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form: the field it goes into, its name, its media type, its length if known."""

    field: str
    name: str
    type: str
    length: int | None = None


FormPiece: TypeAlias = bytes | FormFile


@dataclass(frozen=True, slots=True)
class FramedForm:
    """A form ready to be sent: literal bytes, and the places where the bytes of a file go.

    `length` is the exact Content-Length, or None when a file's length is unknown.
    """

    content_type: str
    pieces: tuple[FormPiece, ...]
    length: int | None


def frame(
    fields: Sequence[tuple[str, str]], files: Sequence[FormFile], *, boundary: str
) -> FramedForm:
    """Return the framing of a form: the fields first, then the files, in their order.

    Args:
        fields: (name, value) pairs.
        files: the files; their bytes are sent by the caller where `pieces` names them.
        boundary: long and random, so that no file contains it; a token, so that it needs
            no quotes.

    Raises:
        UsageError: the boundary is not a boundary or occurs in a field, a name has control
            characters or cannot be written in UTF-8, or a media type is malformed.
    """
    if not is_boundary(boundary) or not _TOKEN.fullmatch(boundary):
        raise UsageError(f"{boundary[:80]!r} cannot be a boundary.")
    pieces: list[FormPiece] = []
    literal = b""
    for name, value in fields:
        content = _encode(value, "The value of a field")
        if boundary.encode("ascii") in content:
            raise UsageError("The boundary occurs in a field; choose another.")
        literal += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"\r\n\r\n'
        ).encode() + content + b"\r\n"  # fmt: skip
    for file in files:
        if not essence(file.type):
            raise UsageError(f"{show(file.type, limit=60)!r} is not a media type.")
        literal += (
            f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(file.field)}"; '
            f'filename="{_quoted(file.name)}"\r\nContent-Type: {file.type}\r\n\r\n'
        ).encode()
        pieces += [literal, file]
        literal = b"\r\n"
    pieces.append(literal + f"--{boundary}--\r\n".encode("ascii"))

    length: int | None = 0
    for piece in pieces:
        size = len(piece) if isinstance(piece, bytes) else piece.length
        length = None if length is None or size is None else length + size
    return FramedForm(
        content_type=f"multipart/form-data; boundary={boundary}",
        pieces=tuple(pieces),
        length=length,
    )


def _quoted(name: str) -> str:
    shown = show(name, limit=60)
    if not name:
        raise UsageError("A field or file of a form needs a name.")
    if _CONTROL.search(name):
        raise UsageError(
            f"The name '{shown}' has a control character.",
            hint="A file can get another name: pass name=.",
        )
    _encode(name, f"The name '{shown}'")
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _encode(text: str, what: str) -> bytes:
    try:
        return text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(f"{what} cannot be written in UTF-8.") from error
