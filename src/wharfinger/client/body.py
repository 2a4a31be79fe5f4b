"""Bodies of requests, made of contents.

A body is a recipe and never a consumed file: a retry or a redirect makes its bytes anew.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from wharfinger.protocol.form_body import FormFile, FramedForm, frame

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from wharfinger.client.content import Content
    from wharfinger.client.progress import Meter
    from wharfinger.net.spans import Piece


@dataclass(kw_only=True)
class RawBody:
    """One file, or a stretch of it, as the whole body.

    `begun` tells whether any of it may have been sent.
    """

    content: Content
    meter: Meter
    start: int = 0
    span: int | None = None
    begun: bool = False

    @property
    def length(self) -> int | None:
        """Bytes of the body; None when only its end will tell."""
        if self.span is not None or self.content.length is None:
            return self.span
        return self.content.length - self.start

    @property
    def replayable(self) -> bool:
        """Whether it can be sent (or sent again)."""
        return self.content.replayable

    def pieces(self) -> Iterator[Piece]:
        """Yield the bytes."""
        self.begun = True
        self.meter.enter("sending", done=self.start, total=self.content.length)
        yield from self.content.pieces(self.meter, self.start, self.span)
        self.meter.enter("waiting", done=self.meter.done, total=self.content.length)

    def sha256(self) -> str:
        """Return the SHA-256 of the body, in hexadecimal; a policy's reading may have found it."""
        if self.content.sha256 is None:
            self.content.sha256 = _digest(self.content.blocks(), self.length, self.meter)
        return self.content.sha256


@dataclass(kw_only=True)
class FormBody:
    """Files and fields as multipart/form-data (RFC 7578). `begun` as above."""

    contents: Sequence[Content]
    framed: FramedForm
    meter: Meter
    begun: bool = False

    @classmethod
    def of(
        cls, contents: Sequence[Content], fields: Mapping[str, str], field: str, meter: Meter
    ) -> FormBody:
        """Return the form that sends these files in one field each of the same name."""
        files = [FormFile(field, item.name, item.type, item.length) for item in contents]
        # 128 random bits: no file contains it by accident or on purpose.
        boundary = f"wharfinger-{os.urandom(16).hex()}"
        return cls(
            contents=contents,
            framed=frame(tuple(fields.items()), files, boundary=boundary),
            meter=meter,
        )

    @property
    def length(self) -> int | None:
        """Bytes of the body; None when only its end will tell."""
        return self.framed.length

    @property
    def replayable(self) -> bool:
        """Whether it can be sent (or sent again)."""
        return all(content.replayable for content in self.contents)

    def pieces(self) -> Iterator[Piece]:
        """Yield the bytes of the form."""
        self.begun = True
        self.meter.enter("sending", total=self.length)
        contents = iter(self.contents)
        for piece in self.framed.pieces:
            if isinstance(piece, bytes):
                self.meter.add(len(piece))
                yield piece
            else:
                yield from next(contents).pieces(self.meter)
        self.meter.enter("waiting", done=self.meter.done, total=self.meter.done)

    def sha256(self) -> str:
        """Return the SHA-256 of the whole form, in hexadecimal."""
        return _digest(self._blocks(), self.length, self.meter)

    def _blocks(self) -> Iterator[bytes | memoryview]:
        contents = iter(self.contents)
        for piece in self.framed.pieces:
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from next(contents).blocks()


def _digest(blocks: Iterator[bytes | memoryview], length: int | None, meter: Meter) -> str:
    import hashlib  # loads OpenSSL

    hasher = hashlib.sha256()
    meter.enter("checking", total=length)
    for block in blocks:
        hasher.update(block)
        meter.add(len(block))
    return hasher.hexdigest()
