"""An `Answer` as a Flask response; files by the server's own sendfile where it has one."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

from flask import Response, request

from wharfinger.units import MIB
from wharfinger.web import Answer, FileBody

_BATCH: Final = 1 * MIB


def response(answer: Answer) -> Response:
    """Return the Flask response that sends an answer."""
    # Bytes go in a list, because Werkzeug would count them and overwrite our Content-Length,
    # which for HEAD tells what GET would send.
    body: Any = [answer.body]
    if isinstance(answer.body, FileBody):
        body = _file_iterable(answer.body)
    made = Response(
        body,
        status=answer.status,
        headers=list(answer.headers),
        direct_passthrough=isinstance(answer.body, FileBody),
    )
    if not any(name == "Content-Type" for name, _ in answer.headers):
        del made.headers["Content-Type"]
    return made


def _file_iterable(body: FileBody) -> Iterable[bytes]:
    """Return what a WSGI server sends: its own wrapper (sendfile) where that sends just the span.

    A wrapper begins at the file's position; that it also ends after Content-Length bytes is
    known of gunicorn alone, so other servers get it for spans that end with the file.
    """
    environ = request.environ
    wrapper = environ.get("wsgi.file_wrapper")
    size = _size_on_disk(body.file)
    if wrapper is not None and size is not None and len(body.spans) == 1:
        span = body.spans[0]
        to_the_end = span.start + span.length == size
        if to_the_end or environ.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
            body.file.seek(span.start)
            return wrapper(body.file, _BATCH)  # type: ignore[no-any-return]  # PEP 3333
    return _Pieces(body)


def _size_on_disk(file: BinaryIO) -> int | None:
    """Return the size of a real file, or None for one that lives in memory."""
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return None


class _Pieces:
    """The spans of a file in reads of 1 MiB; closes the file when the server is done."""

    def __init__(self, body: FileBody) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        for span in self._body.spans:
            self._body.file.seek(span.start)
            left = span.length
            while left > 0 and (piece := self._body.file.read(min(_BATCH, left))):
                left -= len(piece)
                yield piece

    def close(self) -> None:
        self._body.close()
