"""What the protocols for uploads that can be gone on with have in common when they send.

Credentials go to the endpoint's origin and to no other, wherever the server says that the
upload is; what the server has is what progress is counted by.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from threading import Lock
from typing import TYPE_CHECKING, Final

from wharfinger.client.request import Request, harmless_fields
from wharfinger.client.upload_part import Upload, Window
from wharfinger.errors import (
    EXIT_REFUSED,
    AddressRefused,
    BadResponse,
    ResponseError,
    TransferError,
    UsageError,
    WharfingerError,
)
from wharfinger.net.urls import Url, parse

if TYPE_CHECKING:
    from wharfinger.client.call import Call, Fields
    from wharfinger.client.timeouts import Stopwatch
    from wharfinger.client.transport import Answer
    from wharfinger.client.upload_state import State


_MAX_ANEW: Final = 3
# The verdict on the content. 413 may be a proxy's, about one request: smaller ones go on then.
_REFUSED: Final = frozenset({415, 422})
_GO_ON: Final = "Do the same again: it goes on where it ended."


@contextlib.contextmanager
def saying_how_to_go_on(state: State) -> Iterator[None]:
    """Have what breaks an upload tell that the next run goes on with it, where that is so."""
    try:
        yield
    except (TransferError, ResponseError) as error:
        # Where an answer says what helps, or refuses the content, doing the same again does not.
        answered = isinstance(error, (ResponseError, BadResponse))
        final = answered and (error.hint or error.exit_code == EXIT_REFUSED)
        if isinstance(error, ResponseError) and error.status in _REFUSED:
            state.forget()  # to go on with it would only ask for the same verdict, without a reason
        elif state.kept and not final:
            error.hint = f"{error.hint} {_GO_ON}".strip()
            error.add_note(_GO_ON)
        raise
    except KeyboardInterrupt as interrupt:
        if state.kept:
            interrupt.add_note("Run the same command again to go on where it ended.")
        raise


@dataclass(kw_only=True)
class UploadSender:
    """Sends requests about the uploads of one call."""

    call: Call
    idempotency_key: str | None = None
    now: Callable[[], float] = time.time
    _lock: Lock = field(default_factory=Lock)

    @property
    def always(self) -> Fields:
        """Fields of every request."""
        return ()

    def send(
        self,
        method: str,
        url: str,
        fields: Fields,
        watch: Stopwatch,
        body: Window | None = None,
    ) -> Answer:
        """Send a request about the upload at `url`; credentials go along to the endpoint's origin."""
        address = parse(url)
        ours = address.origin == self.call.url.origin
        request = Request(
            method=method,
            url=address,
            ours=(*self.always, *fields),
            theirs=self.call.theirs if ours else harmless_fields(self.call.theirs),
            body=body,
            repeatable=True,  # the offset says where it belongs
        )
        return self.call.transport.send(request, watch, typed=ours)

    def location(self, values: tuple[str, ...]) -> Url:
        """Return where the server says that an upload is. Raises BadResponse, AddressRefused."""
        if len(values) != 1:
            raise BadResponse("The server does not say where the upload is.")
        try:
            url = self.call.url.join(values[0])
        except UsageError as error:
            raise BadResponse("The server's Location is no address.") from error
        if self.call.url.scheme == "https" and url.scheme == "http":
            raise AddressRefused("The server leads the upload from https to http.")
        return url

    def remember(self, upload: Upload, state: State, url: str, expires: float | None) -> None:
        """Keep for the next run where an upload is."""
        if (url, expires) == (upload.part.url, upload.part.expires):
            return
        with self._lock:
            upload.part.url, upload.part.expires = url, expires
            state.save()

    def window(self, upload: Upload, count: int) -> Window:
        """Return the next `count` bytes of an upload as a body."""

        def moved(size: int) -> None:
            self.count_to(upload, upload.moved + size)

        return Window(
            content=upload.content,
            start=upload.part.start + upload.offset,
            length=count,
            count=moved,
        )

    def count_to(self, upload: Upload, moved: int) -> None:
        """Show so many bytes of an upload as moved."""
        with self._lock:
            self.call.meter.add(moved - upload.moved)
            upload.moved = moved

    def set_offset(self, upload: Upload, offset: int | None, length: int) -> None:
        """Take over what the server has; None asks for it."""
        if offset is not None and offset > length:
            raise BadResponse(f"The server has {offset} bytes of an upload of {length}.")
        upload.known = offset is not None
        if offset is not None:
            upload.offset = offset
            self.count_to(upload, offset)

    def begin_anew(self, upload: Upload, state: State, error: WharfingerError) -> None:
        """Forget where an upload was: it begins once more, from its first byte.

        Raises:
            BadResponse: the bytes are not to be had again, or the server loses it again and again.
        """
        upload.anew += 1
        if upload.base:
            raise BadResponse(
                "The server lost the upload, and what came from the stream cannot be sent again.",
                hint="Save the stream to a file first: a file is begun anew.",
            ) from error
        if upload.anew > _MAX_ANEW:
            state.forget()
            raise BadResponse(
                f"The server lost the upload {upload.anew} times.",
                hint="Tell who runs the server, or send the file as a form or raw.",
            ) from error
        upload.part.url = upload.part.expires = upload.last = None
        upload.offset, upload.known, upload.conflict = 0, False, -1
        self.count_to(upload, 0)
        state.save()
