"""The current Flask request as the values that `web` knows, and its body as a stream."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator
from typing import Final

from flask import request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from wharfinger.errors import RequestError, TooLarge, UsageError
from wharfinger.protocol.headers import Headers
from wharfinger.service import Principal
from wharfinger.units import KIB, MIB
from wharfinger.web import Answer, RequestHead
from wharfinger.web.intake import short_body

log = logging.getLogger("wharfinger")

_BATCH: Final = 1 * MIB
_LEAST: Final = 16 * KIB
_PIECE_SECONDS: Final = 0.2
_DRAIN_SECONDS: Final = 1.0


def request_head(
    *, path: str | None = None, root: str = "", principal: Principal | None = None
) -> RequestHead:
    """Return the head of the current request; `path` and `root` when a blueprint is mounted."""
    chunked = "chunked" in request.headers.get("Transfer-Encoding", "").lower()
    length = request.content_length
    return RequestHead(
        method=request.method,
        path=request.path if path is None else path,
        query=request.query_string.decode("latin-1"),
        headers=Headers((name, value) for name, value in request.headers.items()),
        root=root,
        scheme=request.scheme,
        length=length if length is not None else None if chunked else 0,
        # PEP 3333 lets a server pass a chunked body without telling where it ends.
        framed=length is not None
        or not chunked
        or bool(request.environ.get("wsgi.input_terminated")),
        principal=principal,
        client=request.remote_addr or "",
    )


def delivery_head(*, conditional: bool = True) -> RequestHead:
    """Return the head to plan a delivery by: a view for POST may answer with a file too, whole.

    Without `conditional` preconditions and ranges do not count.
    """
    method = "HEAD" if request.method == "HEAD" else "GET"
    if conditional and request.method == method:
        return request_head()
    return RequestHead(method=method, path=request.path, headers=Headers())


def check_unread() -> None:
    """Raise UsageError when something else has read the body of the current request."""
    # Werkzeug keeps what it has parsed, and the stream that somebody took, in the request's
    # own dictionary. A stream that was read would end at once and pass for an empty file.
    seen = ("form", "files", "data", "_cached_data", "stream")
    if any(name in vars(request) for name in seen):
        raise UsageError(
            "This request's body has been read already, by request.form, .files, .data or .stream.",
            hint="Call receive first, or pass the part: files.receive(..., file=request.files[...]).",
        )


def body() -> Generator[bytes, None, None]:
    """Yield the body of the current request as it comes, at most a MiB at once.

    A WSGI server hands out a piece when all of it is there, and nothing of it before. So as
    much is asked for as came in a fifth of a second before: when the sender stops in the
    middle, what is held back is no more than what it sends in about that time.

    Whoever stops reading closes it: a little of the rest is read then and thrown away, so
    that a client in the middle of a small body sees the answer, and its connection end.

    Raises:
        LengthMismatch: the connection ended in the middle of it.
        TooLarge: it is longer than the application's MAX_CONTENT_LENGTH.
        RequestError: the server cannot make sense of it.
    """
    received, size = 0, _LEAST
    try:
        while True:
            began = time.monotonic()
            if not (piece := request.stream.read(size)):
                return
            took = time.monotonic() - began
            received += len(piece)
            yield piece
            if took < _PIECE_SECONDS / 2:
                size = min(size * 2, _BATCH)
            elif took > _PIECE_SECONDS:
                size = max(size // 2, _LEAST)
    except GeneratorExit:
        _throw_away()
        raise
    except RequestEntityTooLarge as error:
        limit = request.max_content_length or 0
        raise TooLarge(
            f"This application takes at most {limit} bytes in a request.",
            limit=limit,
            size=request.content_length,
        ) from error
    except (ClientDisconnected, OSError) as error:
        raise short_body(received, request.content_length) from error
    except Exception as error:  # each server has errors of its own for malformed framing
        log.warning("the body could not be read", exc_info=error)
        raise RequestError("The framing of the body is malformed; nothing was kept.") from error


def push_body(write: Callable[[bytes], Answer | None]) -> Answer | None:
    """Push the body piece by piece; return the answer with which `write` stops it, if any."""
    with contextlib.closing(body()) as pieces:
        for piece in pieces:
            answer = write(piece)
            if answer is not None:
                return answer
    return None


def _throw_away() -> None:
    until, left = time.monotonic() + _DRAIN_SECONDS, _BATCH
    try:
        while left > 0 and time.monotonic() < until:
            piece = request.stream.read(_LEAST)
            if not piece:
                return
            left -= len(piece)
    except Exception as error:  # as above; the answer is there already
        log.info("the rest of a body could not be read", exc_info=error)
