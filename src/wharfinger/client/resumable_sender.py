"""Sends what a server does not have yet of a resumable upload, whatever comes between.

The rules, by the draft's numbers in our checklist:

1. A small file is one request, marked as the whole; should it break, it is gone on with where
   the interim answer (104) said, if there was one. A large one is begun empty, so that its
   address is known whatever stands between, where the server announces resumable uploads.
2. An append keeps to the limits that any answer named (19, 45).
3. Where the upload stands is asked for only when no request of ours runs (32).
4. `?1` makes an answer the final one; a success to the last append is final unless the server
   says `?0`. After an error it goes on only where the rules for retrying say so (44).
5. An address that changes within one request is not believed (23).
6. Where digests were asked for, each append has that of its own content (50): what was damaged
   on the way is not appended, and sent once more. As nothing of a request that is cut off counts
   then, they are smaller.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.request import Request
from wharfinger.client.tus_replies import MAX_REPLY, at, reply_of, worth_again
from wharfinger.client.upload_part import Keeping, Upload
from wharfinger.client.upload_sender import UploadSender
from wharfinger.errors import (
    AddressRefused,
    BadResponse,
    ConnectFailed,
    ResponseError,
    TransferError,
    UsageError,
    WharfingerError,
)
from wharfinger.net.urls import parse
from wharfinger.protocol import resumable
from wharfinger.protocol.digests import repr_digest
from wharfinger.protocol.headers import Headers
from wharfinger.protocol.resumable import Limits, Next, boolean

if TYPE_CHECKING:
    from wharfinger.client.call import Fields
    from wharfinger.client.reply import Reply
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Answer
    from wharfinger.client.upload_state import State
    from wharfinger.net.http1 import Head
    from wharfinger.net.urls import Url

# A file up to this size is one request in all.
WHOLE: Final = 4 * 1024 * 1024
# As much goes into one append with a digest, unless the caller says otherwise.
DIGESTED: Final = 8 * 1024 * 1024
_BAD_REQUEST: Final = 400
_SPOKEN: Final = ("Upload-Draft-Interop-Version", str(resumable.VERSION))


class _Gone(WharfingerError):
    """The upload is no more: begin anew. Never leaves this module."""


@dataclass(kw_only=True)
class Going(Upload):
    """An upload that is under way.

    `ends` tells whether this content is the end of the whole, `size` how much a request sends
    at most (None: all), `sent` how much the last one had. `final` is the answer to the whole,
    `stored` that to a HEAD which said that it is complete.
    """

    ends: bool = True
    size: int | None = None
    sent: int = 0
    limits: Limits = field(default_factory=Limits)
    careful: bool = False
    next: Next | None = None
    there: int = -1
    final: Reply | None = None
    stored: Reply | None = None

    @property
    def done(self) -> bool:
        """Whether nothing is left to be sent or heard."""
        return self.final is not None if self.ends else self.complete


@dataclass(kw_only=True)
class Sender(UploadSender):
    """Drives the upload of one call.

    `announced` tells whether the server announces resumable uploads, `digests` whether each append
    has a digest.
    """

    announced: bool
    digests: bool = False

    @property
    def always(self) -> Fields:
        """Fields of every request."""
        return (_SPOKEN,)

    def drive(self, upload: Going, state: State, watch: Stopwatch) -> None:
        """Send what is missing of an upload, and hear the answer to the whole if it ends."""
        reached = 0
        progress = Keeping()
        upload.retrying = upload.retrying.renewed()
        while not upload.done:
            method = "HEAD"
            try:
                if upload.part.url is None:
                    method = "POST"
                    self._create(upload, state, watch)
                elif not upload.known:
                    self._find(upload, watch)
                else:
                    method = "PATCH"
                    self._append(upload, watch)
                    if not upload.done:
                        progress.see(upload)
            except (AddressRefused, UsageError):
                # The upload's address is of no use, now or in a later run.
                state.forget()
                raise
            except _Gone as gone:
                self.begin_anew(upload, state, gone)
            except (TransferError, ResponseError) as error:
                upload.known = False
                if isinstance(error, ResponseError) and upload.next is not Next.SHRINK:
                    progress.see(upload)
                if upload.offset > reached:
                    reached, upload.retrying = upload.offset, upload.retrying.renewed()
                self._recover(upload, state, method, error, watch)

    def cancel(self, upload: Going, watch: Stopwatch) -> None:
        """Take an upload back, as far as that works."""
        if upload.part.url is None:
            return
        try:
            with self.send("DELETE", upload.part.url, (), watch) as answer:
                answer.read(MAX_REPLY)
        except (TransferError, ResponseError):
            return  # it stays incomplete and expires

    # --- after an error --------------------------------------------------------------------

    def _recover(
        self,
        upload: Going,
        state: State,
        method: str,
        error: TransferError | ResponseError,
        watch: Stopwatch,
    ) -> None:
        """Return when the upload may go on; raise when it may not."""
        verdict = upload.next if isinstance(error, ResponseError) else None
        upload.next = None
        match verdict:
            case Next.FINAL:
                state.forget()
                raise error
            case Next.ANEW if method != "POST":
                self.begin_anew(upload, state, error)
                return
            case Next.THERE if method == "PATCH":
                self._go_there(upload, state, error)
                return
            case Next.SHRINK if self._shrink(upload, method):
                return
            case Next.WAIT | Next.ASK:
                worth = not upload.ambiguous
            case None:
                worth = worth_again(error) and not upload.ambiguous
            case _:
                worth = False
        if not upload.retrying.again(error, watch.left(), worth=worth):
            raise error

    def _go_there(self, upload: Going, state: State, error: WharfingerError) -> None:
        if upload.conflict == upload.there or not 0 <= upload.there <= upload.part.length:
            # The offset that the server itself named is wrong as well: it is confused.
            self.begin_anew(upload, state, error)
            return
        upload.conflict = upload.there
        self.set_offset(upload, upload.there, upload.part.length)

    def _shrink(self, upload: Going, method: str) -> bool:
        limit = upload.limits.max_size
        if limit is not None and upload.total is not None and upload.total > limit:
            return False  # it is the whole that is too large
        size = resumable.smaller(upload.sent, upload.limits)
        if size is None or (method == "POST" and not self.announced):
            return False
        upload.size, upload.careful = size, True
        return True

    def begin_anew(self, upload: Upload, state: State, error: WharfingerError) -> None:
        """Forget where an upload was, and what it had answered. Raises BadResponse."""
        super().begin_anew(upload, state, error)
        if isinstance(upload, Going):
            upload.stored = None

    # --- requests --------------------------------------------------------------------------

    def _create(self, upload: Going, state: State, watch: Stopwatch) -> None:
        length = upload.part.length
        whole = upload.total == length and not upload.careful and self._is_one(upload, length)
        body = self.window(upload, length) if whole and length else None
        fields = [_SPOKEN, ("Upload-Complete", boolean(whole)), *upload.fields]
        if upload.total is not None:
            fields.append(("Upload-Length", str(upload.total)))
        if self.idempotency_key is not None:
            fields.append(("Idempotency-Key", self.idempotency_key))
        if body is None:
            fields.append(("Content-Length", "0"))
        upload.sent = length if body is not None else 0
        told: list[Url] = []
        request = Request(
            method="POST",
            url=self.call.url,
            ours=tuple(fields),
            theirs=self.call.theirs,
            body=body,
            on_interim=lambda head: self._hear(upload, state, head, told),
        )
        try:
            with self.call.transport.send(request, watch) as answer:
                if answer.status >= FIRST_ERROR:
                    self._see(upload, answer)
                    # Whether what an error follows was stored, nobody knows.
                    upload.ambiguous = self._may_be_stored(upload, whole=whole) and (
                        answer.status >= resumable.SERVER_ERROR
                    )
                    raise response_error(answer)
                reply = self._read(upload, answer)
                if whole and resumable.complete(answer.headers) is not False:
                    self._end(upload, answer, reply)
                    return
                url = self.location(answer.headers.get_all("location"))
        except TransferError as error:
            missing = not isinstance(error, ConnectFailed)
            upload.ambiguous = missing and self._may_be_stored(upload, whole=whole)
            raise
        if told and told[0] != url:
            self.cancel(upload, watch)
            raise BadResponse("The server named two addresses for one upload.")
        self.remember(upload, state, str(url), self._expires(upload))
        offset = resumable.offset(reply.headers)
        self.set_offset(upload, 0 if body is None else offset, length)

    def _hear(self, upload: Going, state: State, head: Head, told: list[Url]) -> None:
        """Take note of an interim answer; only one in the version that was asked for counts (104)."""
        headers = Headers(head.fields)
        if head.status != resumable.INTERIM or resumable.version(headers) != resumable.VERSION:
            return
        upload.limits = Limits.of(headers) or upload.limits
        if "location" not in headers:
            return
        url = self.location(headers.get_all("location"))
        if told and told[0] != url:
            raise BadResponse("The server named two addresses for one upload.")
        told.append(url)
        self.remember(upload, state, str(url), self._expires(upload))

    def _find(self, upload: Going, watch: Stopwatch) -> None:
        """Ask how much the server has."""
        url = upload.part.url or ""
        with self.send("HEAD", url, (), watch) as answer:
            if answer.status >= FIRST_ERROR:
                self._see(upload, answer)
                raise response_error(answer)
            reply = self._read(upload, answer)
        complete, offset = resumable.complete(reply.headers), resumable.offset(reply.headers)
        total = resumable.length(reply.headers)
        if total is not None and upload.total is not None and total != upload.total:
            raise _Gone("The server has another upload at this address.")
        if complete and upload.ends:
            # Only the answer was lost: it is asked for once more.
            upload.stored = at(reply, parse(url))
            self.set_offset(upload, upload.part.length, upload.part.length)
            return
        if offset is None:
            raise BadResponse("The server does not say how much of the upload it has.")
        local = offset - upload.base
        if complete or not 0 <= local <= upload.part.length:
            self.cancel(upload, watch)
            raise _Gone("The server has what was never sent.")
        self.set_offset(upload, local, upload.part.length)

    def _append(self, upload: Going, watch: Stopwatch) -> None:
        before, left = upload.offset, upload.part.length - upload.offset
        count = resumable.append_size(left, upload.size, upload.limits)
        ends = upload.ends and count == left
        fields = [
            ("Upload-Offset", str(upload.base + before)),
            ("Upload-Complete", boolean(ends)),
            ("Content-Type", resumable.CONTENT_TYPE),
        ]
        if upload.total is not None:
            fields.append(("Upload-Length", str(upload.total)))
        body = self.window(upload, count) if count else None
        if body is None:
            fields.append(("Content-Length", "0"))
        elif self.digests:
            fields.append(("Content-Digest", self._digest(upload, count)))
        upload.sent = count
        with self.send("PATCH", upload.part.url or "", tuple(fields), watch, body) as answer:
            if answer.status >= FIRST_ERROR:
                if upload.stored is not None:
                    upload.final = upload.stored  # it does not repeat its answer
                    return
                self._see(upload, answer)
                if self._was_damaged(upload, answer, before):
                    upload.next = Next.WAIT
                raise response_error(answer)
            reply = self._read(upload, answer)
            complete = resumable.complete(reply.headers)
            if ends and complete is not False:
                self._end(upload, answer, reply)
                return
        if complete:
            raise BadResponse("The server calls an upload complete before its end.")
        offset = resumable.offset(reply.headers)
        local = before + count if offset is None else offset - upload.base
        if not before <= local <= before + count:
            raise BadResponse(
                f"The server says that it has {offset} bytes after {count} were sent at "
                f"{upload.base + before}."
            )
        self.set_offset(upload, local, upload.part.length)

    # --- details ---------------------------------------------------------------------------

    def _digest(self, upload: Going, count: int) -> str:
        """Return the Content-Digest of the next `count` bytes."""
        hasher = hashlib.sha256()
        for block in upload.content.blocks(upload.part.start + upload.offset, count):
            hasher.update(block)
        return repr_digest(hasher.hexdigest())

    def _was_damaged(self, upload: Going, answer: Answer, before: int) -> bool:
        """Return whether an append was refused that may be good when it comes once more."""
        refused = answer.status == _BAD_REQUEST and resumable.complete(answer.headers) is False
        return self.digests and refused and upload.there == before

    def _is_one(self, upload: Going, length: int) -> bool:
        """Return whether the file goes in one request, known to be whole."""
        if not self.announced:
            return True
        return (
            length <= WHOLE and resumable.append_size(length, upload.size, upload.limits) == length
        )

    def _end(self, upload: Going, answer: Answer, reply: Reply) -> None:
        if not answer.sent_whole:
            raise BadResponse(
                f"The server answered {answer.status} before it had the whole content."
            )
        self.count_to(upload, upload.part.length)
        upload.final = reply

    def _read(self, upload: Going, answer: Answer) -> Reply:
        upload.limits = Limits.of(answer.headers) or upload.limits
        return reply_of(answer)

    def _see(self, upload: Going, answer: Answer) -> None:
        """Take note of what an error means for what comes next."""
        upload.limits = Limits.of(answer.headers) or upload.limits
        upload.next = resumable.after(answer.status, answer.headers)
        offset = resumable.offset(answer.headers)
        upload.there = -1 if offset is None else offset - upload.base

    def _may_be_stored(self, upload: Going, *, whole: bool) -> bool:
        """Return whether a creation may have made a file that could be made twice."""
        unknown = upload.part.url is None and self.idempotency_key is None
        return whole and unknown and upload.moved >= upload.part.length

    def _expires(self, upload: Going) -> float | None:
        age = upload.limits.max_age
        return None if age is None else self.now() + age
