"""An `Answer` as a Flask response; files by the server's own sendfile where it has one."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Final

from flask import Response, request

from wharfinger.errors import LocalFileError
from wharfinger.protocol.ranges import Span
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
    try:
        made = Response(
            body,
            status=answer.status,
            headers=list(answer.headers),
            direct_passthrough=isinstance(answer.body, FileBody),
        )
    except BaseException:  # a header that the view asked for cannot be sent
        answer.close()
        raise
    if not any(name == "Content-Type" for name, _ in answer.headers):
        del made.headers["Content-Type"]
    return made


def _file_iterable(body: FileBody) -> Iterable[bytes]:
    """Return what a WSGI server sends: its own wrapper (sendfile) where that sends just the span.

    That a wrapper begins at the file's position, and ends after Content-Length bytes, is
    known of gunicorn alone; other servers get it for whole files.
    """
    environ = request.environ
    wrapper = environ.get("wsgi.file_wrapper")
    size = _size_on_disk(body.file)
    if wrapper is not None and not body.is_ours and size is not None and len(body.pieces) == 1:
        (span,) = body.pieces
        assert isinstance(span, Span)  # noqa: S101 - bytes stand only between spans
        whole = span.start == 0 and span.length == size
        if whole or environ.get("SERVER_SOFTWARE", "").startswith("gunicorn"):
            return wrapper(_SpanFile(body.file, span), _BATCH)  # type: ignore[no-any-return]  # PEP 3333
    return _Pieces(body)


def _size_on_disk(file: BinaryIO) -> int | None:
    """Return the size of a real file, or None for one that lives in memory."""
    try:
        return os.fstat(file.fileno()).st_size
    except (OSError, AttributeError):  # io.UnsupportedOperation is an OSError
        return None


class _SpanFile:
    """A span of a real file as a file.

    A server with sendfile takes `fileno` and its position; one that cannot use sendfile
    (gunicorn under TLS or gevent) reads to the end, which is the end of the span.
    """

    def __init__(self, file: BinaryIO, span: Span) -> None:
        self._file = file
        self._left = span.length
        self._end = span.start + span.length
        file.seek(span.start)

    def fileno(self) -> int:
        return self._file.fileno()

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        # A server with sendfile ends with this. Had the file become shorter, the next answer on
        # the connection would be taken for the rest of it.
        if os.fstat(self._file.fileno()).st_size < self._end:
            raise LocalFileError("The file became shorter while it was sent.")
        return self._file.seek(offset, whence)

    def read(self, size: int = -1) -> bytes:
        piece = self._file.read(self._left if size < 0 else min(size, self._left))
        self._left -= len(piece)
        return piece

    def close(self) -> None:
        self._file.close()


class _Pieces:
    """The body in reads of 1 MiB; closes the file when the server is done."""

    def __init__(self, body: FileBody) -> None:
        self._body = body

    def __iter__(self) -> Iterator[bytes]:
        pace = self._body.pace
        for block in self._body.blocks(_BATCH):
            if pace is not None:
                time.sleep(pace.wait_for(len(block)))
            yield block
        self._body.finished()

    def close(self) -> None:
        self._body.close()
