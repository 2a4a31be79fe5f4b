"""Uploads by tus 1.0: resumed after any failure, in this run and in the next one.

What the server acknowledged is never sent again and what it did not is never taken for
sent: after every failure the offset is asked for. A call that made progress starts its
count of retries anew. Credentials go to the endpoint's origin and to no other, wherever
the server says that the upload is.
"""

from __future__ import annotations

import contextvars
import copy
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Final

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.reply import Reply
from wharfinger.client.request import Request, harmless_fields
from wharfinger.client.tus_state import Part, State, state_key
from wharfinger.errors import (
    AddressRefused,
    BadResponse,
    ConnectFailed,
    Rejected,
    ResponseError,
    TooLarge,
    TransferError,
    UsageError,
    WharfingerError,
)
from wharfinger.names import show
from wharfinger.net.cancelling import Cancelled, Canceller
from wharfinger.net.urls import Url, parse
from wharfinger.protocol import tus
from wharfinger.protocol.tus import Abilities, Next
from wharfinger.units import show_size

if TYPE_CHECKING:
    from wharfinger.client.content import Content
    from wharfinger.client.progress import Meter
    from wharfinger.client.retrying import Retrying
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Answer, Transport
    from wharfinger.net.spans import Piece
    from wharfinger.policy import Policy

# A file up to this size goes with the creation where the server takes that: one request in all.
_WITH_CREATION: Final = 1024 * 1024
# What a checksum covers is lost as a whole when the connection breaks.
_CHECKSUM_CHUNK: Final = 8 * 1024 * 1024
# What comes from a pipe is kept in memory until the server has it.
_STREAM_CHUNK: Final = 4 * 1024 * 1024
_MAX_STREAM_CHUNK: Final = 8 * 1024 * 1024
_MAX_REPLY: Final = 4 * 1024 * 1024
_MAX_ANEW: Final = 3
_MAX_IDLE: Final = 5
_RESUMABLE: Final = ("Tus-Resumable", tus.VERSION)
_UPLOADED: Final = frozenset({200, 204})
_CREATED: Final = frozenset({200, 201})


class _Gone(WharfingerError):
    """The upload is no more: begin anew. Never leaves this module."""


@dataclass(kw_only=True)
class _Window:
    """A stretch of a content as the body of one request."""

    content: Content
    start: int
    length: int
    count: Callable[[int], None]
    begun: bool = False
    replayable: bool = True

    def pieces(self) -> Iterator[Piece]:
        self.begun = True
        return self.content.pieces(_Counter(self.count), self.start, self.length)


@dataclass(frozen=True, slots=True)
class _Counter:
    """The part of a meter that a body needs."""

    add: Callable[[int], None]


@dataclass(kw_only=True)
class _Upload:
    """One upload on the server: what of it is there, and whether that is known for sure.

    `base` is its offset where this content begins (not 0 within a stream), `told` whether
    the server knows the whole length. `moved` is what the meter was told of it.
    """

    content: Content
    part: Part
    fields: tuple[tuple[str, str], ...]
    retrying: Retrying
    base: int = 0
    told: bool = True
    total: int | None = None
    offset: int = 0
    known: bool = False
    moved: int = 0
    anew: int = 0
    conflict: int = -1
    ambiguous: bool = False
    last: Reply | None = None

    @property
    def complete(self) -> bool:
        return self.known and self.offset == self.part.length


@dataclass(kw_only=True)
class Job:
    """One tus upload that is under way."""

    transport: Transport
    url: Url
    theirs: tuple[tuple[str, str], ...]
    content: Content
    policy: Policy | None
    fields: Mapping[str, str]
    watch: Stopwatch
    retrying: Retrying
    meter: Meter
    connections: int = 1
    chunk_size: int | None = None
    resume: bool = True
    digest: bool = False
    idempotency_key: str | None = None
    now: Callable[[], float] = time.time
    _abilities: Abilities = field(default_factory=Abilities)
    _lock: Lock = field(default_factory=Lock)

    def run(self) -> Reply:
        """Judge the file, send what the server does not have yet, and return its last answer."""
        described = tus.metadata(self._metadata())
        if self.policy is not None:
            self.content.judge(self.policy, self.meter)
        self.meter.enter("connecting")
        self._abilities = self._ask_abilities()
        self._check_abilities()
        fields = (("Upload-Metadata", described),) if described else ()
        if self.content.length is None:
            reply = self._stream(fields)
        else:
            with self._open_state(described) as state:
                reply = self._file(state, fields)
        self.meter.finish()
        return reply

    # --- what the server can do ------------------------------------------------------------

    def _ask_abilities(self) -> Abilities:
        retrying = self.retrying.renewed()
        while True:
            try:
                request = Request(method="OPTIONS", url=self.url, theirs=self.theirs)
                with self.transport.send(request, self.watch) as answer:
                    if answer.status >= FIRST_ERROR and tus.after("", answer.status) is Next.WAIT:
                        raise response_error(answer)
                    answer.read(_MAX_REPLY)
                    # Whoever refuses OPTIONS may still take uploads: the core is tried.
                    refused = answer.status >= FIRST_ERROR
                    return Abilities() if refused else Abilities.of(answer.headers)
            except (TransferError, ResponseError) as error:
                if not retrying.again(error, self.watch.left(), worth=_worth(error)):
                    raise

    def _check_abilities(self) -> None:
        versions = self._abilities.versions
        if versions and tus.VERSION not in versions:
            raise BadResponse(
                f"The server speaks tus {show(', '.join(versions), limit=60)}, not {tus.VERSION}."
            )
        limit, length = self._abilities.max_size, self.content.length
        if limit is not None and length is not None and length > limit:
            raise TooLarge(
                f"The file has {show_size(length)}, and the server takes {show_size(limit)}.",
                limit=limit,
                size=length,
            )
        if self.digest and self._abilities.algorithm is None:
            raise UsageError(
                "The server announces no checksums, so digest=True promises nothing.",
                hint="Leave digest out, or use another protocol.",
            )

    def _metadata(self) -> dict[str, str]:
        return {**self.fields, "filename": self.content.name, "filetype": self.content.type}

    # --- a file ----------------------------------------------------------------------------

    def _open_state(self, described: str) -> State:
        source, identity = self.content.source, self.content.identity
        if not self.resume or identity is None or not isinstance(source, Path):
            return State()
        credentials = "\n".join(f"{name.lower()}:{value}" for name, value in self.theirs)
        return State.open(state_key(str(self.url), source, identity, described, credentials))

    def _file(self, state: State, fields: tuple[tuple[str, str], ...]) -> Reply:
        length = self.content.length or 0
        joins = self._abilities.has("concatenation")
        if not _covers(length, state.parts) or (len(state.parts) > 1 and not joins):
            wanted = tus.spans(length, self.connections if joins else 1)
            state.parts = [Part(start=start, length=count) for start, count in wanted]
        self.meter.enter("sending", total=length)
        try:
            if len(state.parts) == 1:
                upload = self._upload(state.parts[0], fields, total=length)
                self._drive(upload, state, self.watch)
                reply = self._finished(upload)
            else:
                reply = self._parallel(state, fields)
        except (TransferError, ResponseError) as error:
            if state.kept and not (isinstance(error, ResponseError) and error.hint):
                error.hint = "Do the same again: it goes on where it ended."
            raise
        except KeyboardInterrupt as interrupt:
            if state.kept:
                interrupt.add_note("Run the same command again to go on where it ended.")
            raise
        state.forget()
        return reply

    def _upload(
        self, part: Part, fields: tuple[tuple[str, str], ...], *, total: int | None
    ) -> _Upload:
        if part.expires is not None and part.expires <= self.now():
            part.url = part.expires = None
        return _Upload(
            content=self.content,
            part=part,
            fields=(("Upload-Length", str(total)), *fields),
            retrying=self.retrying.renewed(),
            total=total,
        )

    def _parallel(self, state: State, fields: tuple[tuple[str, str], ...]) -> Reply:
        """Upload the parts at the same time, then have the server join them."""
        partial = (("Upload-Concat", "partial"),)
        uploads = [self._upload(part, partial, total=part.length) for part in state.parts]
        inner = Canceller()
        watch = copy.copy(self.watch)
        watch.canceller = inner
        outer = self.watch.canceller
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

    def _part(self, upload: _Upload, state: State, watch: Stopwatch) -> None:
        canceller = watch.canceller
        if canceller is None:
            raise TypeError(canceller)
        with canceller.in_charge():
            self._drive(upload, state, watch)

    def _join(
        self, state: State, uploads: list[_Upload], fields: tuple[tuple[str, str], ...]
    ) -> Reply:
        urls = [upload.part.url or "" for upload in uploads]
        ours = (_RESUMABLE, ("Upload-Concat", tus.final(urls)), *fields, ("Content-Length", "0"))
        self.meter.enter("waiting", done=self.meter.done, total=self.meter.done)
        retrying = self.retrying.renewed()
        while True:
            request = Request(method="POST", url=self.url, ours=ours, theirs=self.theirs)
            try:
                with self.transport.send(request, self.watch) as answer:
                    if answer.status >= FIRST_ERROR:
                        raise response_error(answer)
                    reply = _reply(answer)
                    return _at(reply, self._location(answer))
            except ResponseError as error:
                # An answer says that it was not done; silence would not.
                after = tus.after("POST", error.status)
                if after is Next.ANEW:
                    state.forget()
                if not retrying.again(error, self.watch.left(), worth=after is Next.WAIT):
                    raise

    # --- a stream --------------------------------------------------------------------------

    def _stream(self, fields: tuple[tuple[str, str], ...]) -> Reply:
        """Send what comes from a pipe: its length is told when its end is there."""
        from wharfinger.client.sources import content_of

        size = min(self.chunk_size or _STREAM_CHUNK, _MAX_STREAM_CHUNK)
        chunks = _ahead(_chunks(self.content.blocks(), size))
        first, last = next(chunks)
        if not last and not self._abilities.has("creation-defer-length"):
            raise UsageError(
                "This server wants to know the length before the content, and a stream has none.",
                hint="Save the stream to a file first.",
            )
        length = ("Upload-Length", str(len(first))) if last else ("Upload-Defer-Length", "1")
        self.meter.enter("sending", total=len(first) if last else None)
        upload = _Upload(
            content=content_of(first),
            part=Part(start=0, length=len(first)),
            fields=(length, *fields),
            retrying=self.retrying.renewed(),
            told=last,
            total=len(first) if last else None,
        )
        state = State()
        self._drive(upload, state, self.watch)
        try:
            while not last:
                chunk, last = next(chunks)
                upload.base += upload.part.length
                upload.content = content_of(chunk)
                upload.part.length = len(chunk)
                upload.offset = upload.moved = 0
                upload.total = upload.base + len(chunk) if last else None
                self._drive(upload, state, self.watch)
        except Rejected:
            self._terminate(upload)
            raise
        return self._finished(upload)

    def _terminate(self, upload: _Upload) -> None:
        """Take back an upload that the policy refused in the middle, as far as that works."""
        if upload.part.url is None or not self._abilities.has("termination"):
            return
        try:
            with self._send("DELETE", upload.part.url, (), self.watch) as answer:
                answer.read(_MAX_REPLY)
        except (TransferError, ResponseError):
            return  # it stays incomplete, and the refusal is what counts

    # --- one upload ------------------------------------------------------------------------

    def _drive(self, upload: _Upload, state: State, watch: Stopwatch) -> None:
        """Send what is missing of one upload, whatever comes between."""
        reached = 0
        progress = _Progress()
        upload.retrying = upload.retrying.renewed()
        while not upload.complete or upload.last is None:
            method = "HEAD"
            try:
                if upload.part.url is None:
                    method = "POST"
                    self._create(upload, state, watch)
                elif not upload.known:
                    self._find(upload, watch)
                else:
                    method = "PATCH"
                    self._patch(upload, state, watch)
                    progress.see(upload)
            except (AddressRefused, UsageError):
                # The upload's address is of no use, now or in a later run.
                state.forget()
                raise
            except _Gone as gone:
                self._begin_anew(upload, state, gone)
            except (TransferError, ResponseError) as error:
                upload.known = False
                if isinstance(error, ResponseError):
                    progress.see(upload)
                if upload.offset > reached:
                    reached, upload.retrying = upload.offset, upload.retrying.renewed()
                self._recover(upload, state, method, error, watch)

    def _recover(
        self,
        upload: _Upload,
        state: State,
        method: str,
        error: TransferError | ResponseError,
        watch: Stopwatch,
    ) -> None:
        """Return when the upload may go on; raise when it may not."""
        after = tus.after(method, error.status) if isinstance(error, ResponseError) else None
        if after is Next.ANEW and method != "POST":
            self._begin_anew(upload, state, error)
            return
        if after is Next.ASK and method == "PATCH":
            if upload.conflict == upload.offset:
                # The offset that the server itself named is wrong as well: it is confused.
                self._begin_anew(upload, state, error)
                return
            upload.conflict = upload.offset
            return
        worth = after is Next.WAIT or (after is None and _worth(error))
        if method == "POST" and upload.ambiguous:
            worth = False
        if not upload.retrying.again(error, watch.left(), worth=worth):
            raise error

    def _begin_anew(self, upload: _Upload, state: State, error: WharfingerError) -> None:
        upload.anew += 1
        if upload.base or upload.anew > _MAX_ANEW:
            raise BadResponse(
                "The server lost the upload, and it cannot be begun anew: "
                + ("what came from the stream is gone." if upload.base else "it loses all of them.")
            ) from error
        upload.part.url = upload.part.expires = upload.last = None
        upload.offset, upload.known, upload.conflict = 0, False, -1
        self._count_to(upload, 0)
        state.save()

    def _create(self, upload: _Upload, state: State, watch: Stopwatch) -> None:
        length = upload.part.length
        whole = (
            self._abilities.has("creation-with-upload")
            and 0 < length <= min(_WITH_CREATION, self._chunk(length))
            and upload.total == length
        )
        body = self._window(upload, length) if whole else None
        fields = [_RESUMABLE, *upload.fields]
        if self.idempotency_key is not None and len(state.parts) <= 1:
            fields.append(("Idempotency-Key", self.idempotency_key))
        if body is None:
            fields.append(("Content-Length", "0"))
        else:
            fields += [("Content-Type", tus.CONTENT_TYPE), *self._checksum(upload, length)]
        request = Request(
            method="POST", url=self.url, ours=tuple(fields), theirs=self.theirs, body=body
        )
        try:
            with self.transport.send(request, watch) as answer:
                if answer.status >= FIRST_ERROR:
                    raise response_error(answer)
                reply = _reply(answer)
                if answer.status not in _CREATED:
                    raise BadResponse(f"The server answered {answer.status} to a creation.")
                url = self._location(answer)
                self._remember(upload, state, answer, str(url))
                offset = tus.number(answer.headers, "Upload-Offset")
        except TransferError as error:
            # An upload that is complete with its creation may have been stored.
            complete = length == 0 or (body is not None and body.begun)
            once = complete and upload.total == length and self.idempotency_key is None
            upload.ambiguous = once and not isinstance(error, ConnectFailed)
            raise
        upload.last = _at(reply, url)
        self._set_offset(upload, (0 if body is None else offset), length)

    def _find(self, upload: _Upload, watch: Stopwatch) -> None:
        """Ask how much the server has."""
        with self._send("HEAD", upload.part.url or "", (), watch) as answer:
            if answer.status >= FIRST_ERROR:
                raise response_error(answer)
            reply = _reply(answer)
            offset = tus.number(answer.headers, "Upload-Offset")
            total = tus.number(answer.headers, "Upload-Length")
        if offset is None:
            raise BadResponse("The server does not say how much of the upload it has.")
        upload.told = upload.told or total is not None
        local = offset - upload.base
        different = total is not None and upload.total is not None and total != upload.total
        if different or not 0 <= local <= upload.part.length:
            raise _Gone("The server has another upload at this address.")
        upload.last = _at(reply, parse(upload.part.url or ""))
        self._set_offset(upload, local, upload.part.length)

    def _patch(self, upload: _Upload, state: State, watch: Stopwatch) -> None:
        left = upload.part.length - upload.offset
        count = min(left, self._chunk(left))
        body = self._window(upload, count)
        before = upload.offset
        fields = [
            ("Upload-Offset", str(upload.base + before)),
            ("Content-Type", tus.CONTENT_TYPE),
            *self._checksum(upload, count),
        ]
        if not upload.told and upload.total is not None:
            fields.append(("Upload-Length", str(upload.total)))
        with self._send("PATCH", upload.part.url or "", tuple(fields), watch, body) as answer:
            if answer.status >= FIRST_ERROR:
                raise response_error(answer)
            reply = _reply(answer)
            if answer.status not in _UPLOADED:
                raise BadResponse(f"The server answered {answer.status} to a part of an upload.")
            self._remember(upload, state, answer, upload.part.url or "")
            offset = tus.number(answer.headers, "Upload-Offset")
        upload.told = upload.told or upload.total is not None
        upload.last = _at(reply, parse(upload.part.url or ""))
        local = None if offset is None else offset - upload.base
        if local is not None and not before < local <= before + count:
            raise BadResponse(
                f"The server says that it has {offset} bytes after {count} were sent at "
                f"{upload.base + before}."
            )
        self._set_offset(upload, local, upload.part.length)

    # --- details ---------------------------------------------------------------------------

    def _send(
        self,
        method: str,
        url: str,
        fields: tuple[tuple[str, str], ...],
        watch: Stopwatch,
        body: _Window | None = None,
    ) -> Answer:
        address = parse(url)
        ours = address.origin == self.url.origin
        request = Request(
            method=method,
            url=address,
            ours=(_RESUMABLE, *fields),
            theirs=self.theirs if ours else harmless_fields(self.theirs),
            body=body,
            repeatable=True,  # the offset says where it belongs
        )
        return self.transport.send(request, watch, typed=ours)

    def _location(self, answer: Answer) -> Url:
        values = answer.headers.get_all("location")
        if len(values) != 1:
            raise BadResponse("The server does not say where the upload is.")
        try:
            url = self.url.join(values[0])
        except UsageError as error:
            raise BadResponse("The server's Location is no address.") from error
        if self.url.scheme == "https" and url.scheme == "http":
            raise AddressRefused("The server leads the upload from https to http.")
        return url

    def _remember(self, upload: _Upload, state: State, answer: Answer, url: str) -> None:
        expires = tus.expires(answer.headers, datetime.fromtimestamp(self.now(), UTC))
        stamp = upload.part.expires if expires is None else expires.timestamp()
        if (url, stamp) == (upload.part.url, upload.part.expires):
            return
        with self._lock:
            upload.part.url, upload.part.expires = url, stamp
            state.save()

    def _window(self, upload: _Upload, count: int) -> _Window:
        def moved(size: int) -> None:
            self._count_to(upload, upload.moved + size)

        return _Window(
            content=upload.content,
            start=upload.part.start + upload.offset,
            length=count,
            count=moved,
        )

    def _count_to(self, upload: _Upload, moved: int) -> None:
        with self._lock:
            self.meter.add(moved - upload.moved)
            upload.moved = moved

    def _set_offset(self, upload: _Upload, offset: int | None, length: int) -> None:
        """Take over what the server has; None asks for it."""
        if offset is not None and offset > length:
            raise BadResponse(f"The server has {offset} bytes of an upload of {length}.")
        upload.known = offset is not None
        if offset is not None:
            upload.offset = offset
            self._count_to(upload, offset)

    def _chunk(self, left: int) -> int:
        if self.chunk_size is not None:
            return self.chunk_size
        return _CHECKSUM_CHUNK if self._abilities.algorithm is not None else max(left, 1)

    def _checksum(self, upload: _Upload, count: int) -> list[tuple[str, str]]:
        algorithm = self._abilities.algorithm
        if algorithm is None:
            return []
        hasher = hashlib.new(algorithm)
        for block in upload.content.blocks(upload.part.start + upload.offset, count):
            hasher.update(block)
        return [("Upload-Checksum", tus.checksum(algorithm, hasher.digest()))]

    def _finished(self, upload: _Upload) -> Reply:
        if upload.last is None:
            raise TypeError(upload)
        self.meter.enter("waiting", done=self.meter.done, total=self.meter.done)
        return upload.last


def _worth(error: TransferError | ResponseError) -> bool:
    if isinstance(error, ResponseError):
        return tus.after("", error.status) is Next.WAIT
    return error.retryable


class _Progress:
    """Whether an upload gets anywhere: a server that never keeps what it was sent is given up.

    Failures of the network are counted elsewhere; this counts answers that moved nothing.
    """

    def __init__(self) -> None:
        self._anew = 0
        self._best = -1
        self._idle = 0

    def see(self, upload: _Upload) -> None:
        """Take note of an answer. Raises BadResponse when too many have moved nothing."""
        if upload.anew != self._anew:
            self._anew, self._best, self._idle = upload.anew, -1, 0
        if upload.known and upload.offset > self._best:
            self._best, self._idle = upload.offset, 0
            return
        self._idle += 1
        if self._idle > _MAX_IDLE:
            raise BadResponse(
                f"The server answered {self._idle} times and keeps nothing beyond byte "
                f"{max(self._best, 0)}."
            )


def _reply(answer: Answer) -> Reply:
    body = answer.read(_MAX_REPLY + 1)
    if len(body) > _MAX_REPLY:
        raise BadResponse(f"The server's reply is longer than {_MAX_REPLY} bytes.")
    return Reply(status=answer.status, headers=answer.headers, body=body, posted_to=str(answer.url))


def _at(reply: Reply, url: Url) -> Reply:
    return Reply(
        status=reply.status,
        headers=reply.headers,
        body=reply.body,
        posted_to=reply.posted_to,
        upload_url=str(url),
    )


def _covers(length: int, parts: list[Part]) -> bool:
    """Return whether the parts follow each other and are the whole."""
    end = 0
    for part in parts:
        if part.start != end or part.length < 0:
            return False
        end += part.length
    return bool(parts) and end == length


def _chunks(blocks: Iterator[bytes | memoryview], size: int) -> Iterator[bytes]:
    """Yield the stream in pieces of `size` bytes, the last one shorter."""
    held = bytearray()
    for block in blocks:
        view = memoryview(block)
        while view:
            taken = view[: size - len(held)]
            held += taken
            view = view[len(taken) :]
            if len(held) == size:
                yield bytes(held)
                held.clear()
    yield bytes(held)


def _ahead(chunks: Iterator[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield each chunk and whether it is the last; an empty one only if there is no other."""
    held = next(chunks)
    for chunk in chunks:
        if chunk:
            yield held, False
            held = chunk
    yield held, True
