"""Uploads by tus 1.0: resumed after any failure, in this run and in the next one.

A file is one upload, or several at the same time that the server joins; a stream is one whose
length is told at its end. How each of them is sent is in `tus_sender`.
"""

from __future__ import annotations

import contextvars
import copy
import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.request import Request
from wharfinger.client.tus_abilities import ask_abilities, check_abilities
from wharfinger.client.tus_replies import MAX_REPLY, at, reply_of
from wharfinger.client.tus_sender import RESUMABLE, Sender
from wharfinger.client.upload_part import Upload
from wharfinger.client.upload_sender import saying_how_to_go_on
from wharfinger.client.upload_state import Part, State, state_key
from wharfinger.client.upload_stream import ahead, in_chunks
from wharfinger.errors import (
    Rejected,
    ResponseError,
    TransferError,
    UsageError,
)
from wharfinger.net.cancelling import Cancelled, Canceller
from wharfinger.protocol import tus
from wharfinger.protocol.tus import Next

if TYPE_CHECKING:
    from wharfinger.client.call import Call
    from wharfinger.client.content import Content
    from wharfinger.client.reply import Reply
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.policy import Policy

# What comes from a pipe is kept in memory until the server has it.
_STREAM_CHUNK: Final = 4 * 1024 * 1024
_MAX_STREAM_CHUNK: Final = 8 * 1024 * 1024


@dataclass(kw_only=True)
class Job:
    """One tus upload that is under way."""

    call: Call
    content: Content
    policy: Policy | None
    fields: Mapping[str, str]
    connections: int = 1
    chunk_size: int | None = None
    resume: bool = True
    digest: bool = False
    idempotency_key: str | None = None
    now: Callable[[], float] = time.time
    _sender: Sender = field(init=False)

    def run(self) -> Reply:
        """Judge the file, send what the server does not have yet, and return its last answer."""
        described = tus.metadata(self._metadata())
        if self.policy is not None:
            self.content.judge(self.policy, self.call.meter)
        self.call.meter.enter("connecting")
        abilities = ask_abilities(self.call)
        check_abilities(abilities, self.content.length, digest=self.digest)
        self._sender = Sender(
            call=self.call,
            abilities=abilities,
            chunk_size=self.chunk_size,
            idempotency_key=self.idempotency_key,
            now=self.now,
        )
        fields = (("Upload-Metadata", described),) if described else ()
        if self.content.length is None:
            reply = self._stream(fields)
        else:
            with self._open_state(described) as state:
                reply = self._file(state, fields)
        self.call.meter.finish()
        return reply

    def _metadata(self) -> dict[str, str]:
        return {**self.fields, "filename": self.content.name, "filetype": self.content.type}

    # --- a file ----------------------------------------------------------------------------

    def _open_state(self, described: str) -> State:
        source, identity = self.content.source, self.content.identity
        if not self.resume or identity is None or not isinstance(source, Path):
            return State()
        credentials = "\n".join(f"{name.lower()}:{value}" for name, value in self.call.theirs)
        return State.open(state_key(str(self.call.url), source, identity, described, credentials))

    def _file(self, state: State, fields: tuple[tuple[str, str], ...]) -> Reply:
        length = self.content.length or 0
        joins = self._sender.abilities.has("concatenation")
        if not _covers(length, state.parts) or (len(state.parts) > 1 and not joins):
            wanted = tus.spans(length, self.connections if joins else 1)
            state.parts = [Part(start=start, length=count) for start, count in wanted]
        self.call.meter.enter("sending", total=length)
        with saying_how_to_go_on(state):
            if len(state.parts) == 1:
                upload = self._begin(state.parts[0], fields, total=length)
                self._sender.drive(upload, state, self.call.watch)
                reply = self._finished(upload)
            else:
                reply = self._parallel(state, fields)
        state.forget()
        return reply

    def _begin(
        self, part: Part, fields: tuple[tuple[str, str], ...], *, total: int | None
    ) -> Upload:
        if part.expires is not None and part.expires <= self.now():
            part.url = part.expires = None
        return Upload(
            content=self.content,
            part=part,
            fields=(("Upload-Length", str(total)), *fields),
            retrying=self.call.retrying.renewed(),
            total=total,
        )

    def _parallel(self, state: State, fields: tuple[tuple[str, str], ...]) -> Reply:
        """Upload the parts at the same time, then have the server join them."""
        partial = (("Upload-Concat", "partial"),)
        uploads = [self._begin(part, partial, total=part.length) for part in state.parts]
        inner = Canceller()
        watch = copy.copy(self.call.watch)
        watch.canceller = inner
        outer = self.call.watch.canceller
        release = None if outer is None else outer.when_cancelled(inner.cancel)
        try:
            with ThreadPoolExecutor(max_workers=len(uploads)) as pool:
                try:
                    running = [
                        pool.submit(
                            contextvars.copy_context().run, self._part, upload, state, watch
                        )
                        for upload in uploads
                    ]
                    wait(running, return_when=FIRST_EXCEPTION)
                finally:
                    inner.cancel()
        finally:
            if release is not None:
                release()
        failures = [error for future in running if (error := future.exception()) is not None]
        for failure in sorted(failures, key=lambda error: isinstance(error, Cancelled)):
            raise failure  # the cause before what was stopped because of it
        return self._join(state, uploads, fields)

    def _part(self, upload: Upload, state: State, watch: Stopwatch) -> None:
        canceller = watch.canceller
        if canceller is None:
            raise TypeError(canceller)
        with canceller.in_charge():
            self._sender.drive(upload, state, watch)

    def _join(
        self, state: State, uploads: list[Upload], fields: tuple[tuple[str, str], ...]
    ) -> Reply:
        urls = [upload.part.url or "" for upload in uploads]
        ours = (RESUMABLE, ("Upload-Concat", tus.final(urls)), *fields, ("Content-Length", "0"))
        self.call.meter.enter("waiting", done=self.call.meter.done, total=self.call.meter.done)
        retrying = self.call.retrying.renewed()
        while True:
            request = Request(method="POST", url=self.call.url, ours=ours, theirs=self.call.theirs)
            try:
                with self.call.transport.send(request, self.call.watch) as answer:
                    if answer.status >= FIRST_ERROR:
                        raise response_error(answer)
                    reply = reply_of(answer)
                    return at(reply, self._sender.location(answer.headers.get_all("location")))
            except ResponseError as error:
                # An answer says that it was not done; silence would not.
                after = tus.after("POST", error.status)
                if after is Next.ANEW:
                    state.forget()
                if not retrying.again(error, self.call.watch.left(), worth=after is Next.WAIT):
                    raise

    # --- a stream --------------------------------------------------------------------------

    def _stream(self, fields: tuple[tuple[str, str], ...]) -> Reply:
        """Send what comes from a pipe: its length is told when its end is there."""
        from wharfinger.client.sources import content_of

        size = min(self.chunk_size or _STREAM_CHUNK, _MAX_STREAM_CHUNK)
        chunks = ahead(in_chunks(self.content.blocks(), size))
        first, last = next(chunks)
        if not last and not self._sender.abilities.has("creation-defer-length"):
            raise UsageError(
                "This server wants to know the length before the content, and a stream has none.",
                hint="Save the stream to a file first.",
            )
        length = ("Upload-Length", str(len(first))) if last else ("Upload-Defer-Length", "1")
        self.call.meter.enter("sending", total=len(first) if last else None)
        upload = Upload(
            content=content_of(first),
            part=Part(start=0, length=len(first)),
            fields=(length, *fields),
            retrying=self.call.retrying.renewed(),
            told=last,
            total=len(first) if last else None,
        )
        state = State()
        self._sender.drive(upload, state, self.call.watch)
        try:
            while not last:
                chunk, last = next(chunks)
                upload.base += upload.part.length
                upload.content = content_of(chunk)
                upload.part.length = len(chunk)
                upload.offset = upload.moved = 0
                upload.total = upload.base + len(chunk) if last else None
                self._sender.drive(upload, state, self.call.watch)
        except Rejected:
            self._terminate(upload)
            raise
        return self._finished(upload)

    def _terminate(self, upload: Upload) -> None:
        """Take back an upload that the policy refused in the middle, as far as that works."""
        if upload.part.url is None or not self._sender.abilities.has("termination"):
            return
        try:
            with self._sender.send("DELETE", upload.part.url, (), self.call.watch) as answer:
                answer.read(MAX_REPLY)
        except (TransferError, ResponseError):
            return  # it stays incomplete, and the refusal is what counts

    def _finished(self, upload: Upload) -> Reply:
        if upload.last is None:
            raise TypeError(upload)
        self.call.meter.enter("waiting", done=self.call.meter.done, total=self.call.meter.done)
        return upload.last


def _covers(length: int, parts: list[Part]) -> bool:
    """Return whether the parts follow each other and are the whole."""
    end = 0
    for part in parts:
        if part.start != end or part.length < 0:
            return False
        end += part.length
    return bool(parts) and end == length
