"""Sends what a server does not have yet of an upload by tus, whatever comes between.

What the server acknowledged is never sent again and what it did not is never taken for
sent: after every failure the offset is asked for. A call that made progress starts its
count of retries anew. Credentials go to the endpoint's origin and to no other, wherever
the server says that the upload is.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.request import Request
from wharfinger.client.tus_replies import at, reply_of, worth_again
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
from wharfinger.protocol import tus
from wharfinger.protocol.tus import Abilities, Next

if TYPE_CHECKING:
    from wharfinger.client.call import Fields
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Answer
    from wharfinger.client.upload_state import State

# A file up to this size goes with the creation where the server takes that: one request in all.
_WITH_CREATION: Final = 1024 * 1024
# What a checksum covers is lost as a whole when the connection breaks.
_CHECKSUM_CHUNK: Final = 8 * 1024 * 1024
RESUMABLE: Final = ("Tus-Resumable", tus.VERSION)
_UPLOADED: Final = frozenset({200, 204})
_CREATED: Final = frozenset({200, 201})


class _Gone(WharfingerError):
    """The upload is no more: begin anew. Never leaves this module."""


@dataclass(kw_only=True)
class Sender(UploadSender):
    """Drives the uploads of one call."""

    abilities: Abilities
    chunk_size: int | None = None

    @property
    def always(self) -> Fields:
        """Fields of every request."""
        return (RESUMABLE,)

    def drive(self, upload: Upload, state: State, watch: Stopwatch) -> None:
        """Send what is missing of one upload, whatever comes between."""
        reached = 0
        progress = Keeping()
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
                self.begin_anew(upload, state, gone)
            except (TransferError, ResponseError) as error:
                upload.known = False
                if isinstance(error, ResponseError):
                    progress.see(upload)
                if upload.offset > reached:
                    reached, upload.retrying = upload.offset, upload.retrying.renewed()
                self._recover(upload, state, method, error, watch)

    def _recover(
        self,
        upload: Upload,
        state: State,
        method: str,
        error: TransferError | ResponseError,
        watch: Stopwatch,
    ) -> None:
        """Return when the upload may go on; raise when it may not."""
        after = tus.after(method, error.status) if isinstance(error, ResponseError) else None
        if after is Next.ANEW and method != "POST":
            self.begin_anew(upload, state, error)
            return
        if after is Next.ASK and method == "PATCH":
            if upload.conflict == upload.offset:
                # The offset that the server itself named is wrong as well: it is confused.
                self.begin_anew(upload, state, error)
                return
            upload.conflict = upload.offset
            return
        worth = after is Next.WAIT or (after is None and worth_again(error))
        if method == "POST" and upload.ambiguous:
            worth = False
        if not upload.retrying.again(error, watch.left(), worth=worth):
            raise error

    def _create(self, upload: Upload, state: State, watch: Stopwatch) -> None:
        length = upload.part.length
        whole = (
            self.abilities.has("creation-with-upload")
            and 0 < length <= min(_WITH_CREATION, self._chunk(length))
            and upload.total == length
        )
        body = self.window(upload, length) if whole else None
        fields = [RESUMABLE, *upload.fields]
        if self.idempotency_key is not None and len(state.parts) <= 1:
            fields.append(("Idempotency-Key", self.idempotency_key))
        if body is None:
            fields.append(("Content-Length", "0"))
        else:
            fields += [("Content-Type", tus.CONTENT_TYPE), *self._checksum(upload, length)]
        request = Request(
            method="POST", url=self.call.url, ours=tuple(fields), theirs=self.call.theirs, body=body
        )
        try:
            with self.call.transport.send(request, watch) as answer:
                if answer.status >= FIRST_ERROR:
                    raise response_error(answer)
                reply = reply_of(answer)
                if answer.status not in _CREATED:
                    raise BadResponse(f"The server answered {answer.status} to a creation.")
                url = self.location(answer.headers.get_all("location"))
                self._remember(upload, state, answer, str(url))
                offset = tus.number(answer.headers, "Upload-Offset")
        except TransferError as error:
            # An upload that is complete with its creation may have been stored.
            complete = length == 0 or (body is not None and body.begun)
            once = complete and upload.total == length and self.idempotency_key is None
            upload.ambiguous = once and not isinstance(error, ConnectFailed)
            raise
        upload.last = at(reply, url)
        self.set_offset(upload, (0 if body is None else offset), length)

    def _find(self, upload: Upload, watch: Stopwatch) -> None:
        """Ask how much the server has."""
        with self.send("HEAD", upload.part.url or "", (), watch) as answer:
            if answer.status >= FIRST_ERROR:
                raise response_error(answer)
            reply = reply_of(answer)
            offset = tus.number(answer.headers, "Upload-Offset")
            total = tus.number(answer.headers, "Upload-Length")
        if offset is None:
            raise BadResponse("The server does not say how much of the upload it has.")
        upload.told = upload.told or total is not None
        local = offset - upload.base
        different = total is not None and upload.total is not None and total != upload.total
        if different or not 0 <= local <= upload.part.length:
            raise _Gone("The server has another upload at this address.")
        upload.last = at(reply, parse(upload.part.url or ""))
        self.set_offset(upload, local, upload.part.length)

    def _patch(self, upload: Upload, state: State, watch: Stopwatch) -> None:
        left = upload.part.length - upload.offset
        count = min(left, self._chunk(left))
        body = self.window(upload, count)
        before = upload.offset
        fields = [
            ("Upload-Offset", str(upload.base + before)),
            ("Content-Type", tus.CONTENT_TYPE),
            *self._checksum(upload, count),
        ]
        if not upload.told and upload.total is not None:
            fields.append(("Upload-Length", str(upload.total)))
        with self.send("PATCH", upload.part.url or "", tuple(fields), watch, body) as answer:
            if answer.status >= FIRST_ERROR:
                raise response_error(answer)
            reply = reply_of(answer)
            if answer.status not in _UPLOADED:
                raise BadResponse(f"The server answered {answer.status} to a part of an upload.")
            self._remember(upload, state, answer, upload.part.url or "")
            offset = tus.number(answer.headers, "Upload-Offset")
        upload.told = upload.told or upload.total is not None
        upload.last = at(reply, parse(upload.part.url or ""))
        local = None if offset is None else offset - upload.base
        if local is not None and not before < local <= before + count:
            raise BadResponse(
                f"The server says that it has {offset} bytes after {count} were sent at "
                f"{upload.base + before}."
            )
        self.set_offset(upload, local, upload.part.length)

    # --- details ---------------------------------------------------------------------------

    def _remember(self, upload: Upload, state: State, answer: Answer, url: str) -> None:
        expires = tus.expires(answer.headers, datetime.fromtimestamp(self.now(), UTC))
        stamp = upload.part.expires if expires is None else expires.timestamp()
        self.remember(upload, state, url, stamp)

    def _chunk(self, left: int) -> int:
        if self.chunk_size is not None:
            return self.chunk_size
        return _CHECKSUM_CHUNK if self.abilities.algorithm is not None else max(left, 1)

    def _checksum(self, upload: Upload, count: int) -> list[tuple[str, str]]:
        algorithm = self.abilities.algorithm
        if algorithm is None:
            return []
        hasher = hashlib.new(algorithm)
        for block in upload.content.blocks(upload.part.start + upload.offset, count):
            hasher.update(block)
        return [("Upload-Checksum", tus.checksum(algorithm, hasher.digest()))]
