"""Resumable Uploads for HTTP (IETF draft), resumed after any failure, in this run and the next one.

How they are sent is in `resumable_sender`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger.client.body import RawBody
from wharfinger.client.choosing import ask_options
from wharfinger.client.resumable_sender import DIGESTED, WHOLE, Going, Sender
from wharfinger.client.upload_sender import saying_how_to_go_on
from wharfinger.client.upload_state import Part, State, state_key
from wharfinger.client.upload_stream import ahead, in_chunks
from wharfinger.errors import Rejected, TooLarge, UsageError
from wharfinger.protocol.digests import repr_digest
from wharfinger.protocol.disposition import format_disposition
from wharfinger.protocol.resumable import Limits, append_size
from wharfinger.units import show_size

if TYPE_CHECKING:
    from wharfinger.client.call import Call, Fields
    from wharfinger.client.content import Content
    from wharfinger.client.reply import Reply
    from wharfinger.policy import Policy

# What comes from a pipe is kept in memory until the server has it.
_STREAM_CHUNK: Final = 4 * 1024 * 1024
_MAX_STREAM_CHUNK: Final = 8 * 1024 * 1024


@dataclass(kw_only=True)
class Job:
    """One resumable upload that is under way. `limits` are those announced, if they were asked for."""

    call: Call
    content: Content
    policy: Policy | None
    chunk_size: int | None = None
    resume: bool = True
    digest: bool = False
    idempotency_key: str | None = None
    limits: Limits | None = None
    now: Callable[[], float] = time.time
    _sender: Sender = field(init=False)

    def run(self) -> Reply:
        """Judge the file, send what the server does not have yet, and return its final answer."""
        if self.policy is not None:
            self.content.judge(self.policy, self.call.meter)
        fields = self._fields()
        self.call.meter.enter("connecting")
        length = self.content.length
        if self.limits is None and (length is None or length > WHOLE or self.chunk_size):
            headers = ask_options(self.call)
            self.limits = None if headers is None else Limits.of(headers)
        known = self.limits
        if known is not None and known.max_size is not None and (length or 0) > known.max_size:
            raise TooLarge(
                f"The file has {show_size(length or 0)}, and the server takes "
                f"{show_size(known.max_size)}.",
                limit=known.max_size,
                size=length,
            )
        self._sender = Sender(
            call=self.call,
            announced=known is not None,
            digests=self.digest,
            idempotency_key=self.idempotency_key,
            now=self.now,
        )
        if length is None:
            reply = self._stream(fields)
        else:
            with self._open_state(fields) as state:
                reply = self._file(length, state, fields)
        self.call.meter.finish()
        return reply

    def _fields(self) -> Fields:
        """Return what describes the whole."""
        content = self.content
        fields = [("Content-Type", content.type)]
        if all(name.lower() != "content-disposition" for name, _ in self.call.theirs):
            fields.append(("Content-Disposition", format_disposition("inline", content.name)))
        if self.digest:
            if content.length is None:
                raise UsageError(
                    "digest=True needs the content before it is sent; a stream has it only after.",
                    hint="Save the stream to a file first, or leave digest out.",
                )
            fields.append(
                (
                    "Repr-Digest",
                    repr_digest(RawBody(content=content, meter=self.call.meter).sha256()),
                )
            )
        return tuple(fields)

    def _open_state(self, fields: Fields) -> State:
        source, identity = self.content.source, self.content.identity
        if not self.resume or identity is None or not isinstance(source, Path):
            return State()
        described = "\n".join(("resumable", *(f"{name}:{value}" for name, value in fields)))
        credentials = "\n".join(f"{name.lower()}:{value}" for name, value in self.call.theirs)
        return State.open(state_key(str(self.call.url), source, identity, described, credentials))

    def _file(self, length: int, state: State, fields: Fields) -> Reply:
        if [(part.start, part.length) for part in state.parts] != [(0, length)]:
            state.parts = [Part(start=0, length=length)]
        part = state.parts[0]
        if part.expires is not None and part.expires <= self.now():
            part.url = part.expires = None
        self.call.meter.enter("sending", total=length)
        upload = self._going(self.content, part, fields, total=length)
        with saying_how_to_go_on(state):
            self._sender.drive(upload, state, self.call.watch)
        state.forget()
        return self._finished(upload)

    def _going(self, content: Content, part: Part, fields: Fields, *, total: int | None) -> Going:
        return Going(
            content=content,
            part=part,
            fields=fields,
            retrying=self.call.retrying.renewed(),
            total=total,
            size=self.chunk_size or (DIGESTED if self.digest else None),
            limits=self.limits or Limits(),
        )

    def _stream(self, fields: Fields) -> Reply:
        """Send what comes from a pipe: its length is told when its end is there."""
        from wharfinger.client.sources import content_of

        if self.limits is None:
            raise UsageError(
                "This server announces no resumable uploads, and a stream can be sent only once.",
                hint='Save the stream to a file first, or use protocol="raw".',
            )
        wanted = min(self.chunk_size or _STREAM_CHUNK, _MAX_STREAM_CHUNK)
        size = append_size(_MAX_STREAM_CHUNK, wanted, self.limits)
        chunks = ahead(in_chunks(self.content.blocks(), size))
        first, last = next(chunks)
        self.call.meter.enter("sending", total=len(first) if last else None)
        state = State()
        upload = self._going(
            content_of(first),
            Part(start=0, length=len(first)),
            fields,
            total=len(first) if last else None,
        )
        upload.ends = last
        try:
            self._sender.drive(upload, state, self.call.watch)
            while not last:
                chunk, last = next(chunks)
                upload.base += upload.part.length
                upload.content = content_of(chunk)
                upload.part.length = len(chunk)
                upload.offset = upload.moved = 0
                upload.ends = last
                upload.total = upload.base + len(chunk) if last else None
                self._sender.drive(upload, state, self.call.watch)
        except Rejected:
            self._sender.cancel(upload, self.call.watch)
            raise
        return self._finished(upload)

    def _finished(self, upload: Going) -> Reply:
        if upload.final is None:
            raise TypeError(upload)
        self.call.meter.enter("waiting", done=self.call.meter.done, total=self.call.meter.done)
        return upload.final
