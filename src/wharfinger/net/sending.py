"""A stretch of a file on its way to the wire: by sendfile on plain TCP, else through a buffer."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from wharfinger.net.wire import PeerClosed

if TYPE_CHECKING:
    from collections.abc import Callable

    from wharfinger.net.patience import Patience
    from wharfinger.net.spans import FileSpan
    from wharfinger.net.wire import Wire

_COPY: Final = 256 * 1024
_SENDFILE: Final = 1024 * 1024  # larger pieces gain nothing, and progress would be coarse
# What sendfile says of files and sockets that it cannot join.
_NO_SENDFILE: Final = frozenset({errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EOVERFLOW})
_UNREADABLE: Final = frozenset({errno.EIO, errno.EBADF, errno.ESTALE, errno.EISDIR})


def send_file(
    wire: Wire, span: FileSpan, patience: Patience, *, heard: Callable[[], bool] | None
) -> bool:
    """Send a stretch of a file; otherwise as `Wire.send`.

    Raises:
        LocalFileError: the file changed or cannot be read; its last bytes were not sent.
        TransferTimeout: nothing could be sent for too long.
        PeerClosed: the peer has closed; an answer may still be readable.
    """
    if wire.secure:
        return _copy(wire, span, 0, patience, heard)
    done = 0
    while done < span.length:
        if not wire.may_send(patience):
            if heard is not None and heard():
                return False
            continue
        count = min(_SENDFILE, span.length - done)
        if done + count == span.length:
            span.check()
        try:
            count = os.sendfile(wire.sock.fileno(), span.descriptor, span.start + done, count)
        except BlockingIOError:
            continue
        except OSError as error:
            if error.errno in _UNREADABLE:
                raise span.failed(error) from error
            if error.errno in _NO_SENDFILE:
                return _copy(wire, span, done, patience, heard)
            raise PeerClosed(*error.args) from error
        if count == 0:
            raise _ended(span)
        patience.got(count)
        span.sent(count)
        done += count
    return True


def _copy(
    wire: Wire, span: FileSpan, done: int, patience: Patience, heard: Callable[[], bool] | None
) -> bool:
    buffer = memoryview(bytearray(min(_COPY, span.length - done)))
    while done < span.length:
        view = buffer[: span.length - done]
        try:
            count = os.preadv(span.descriptor, [view], span.start + done)
        except OSError as error:
            raise span.failed(error) from error
        if count == 0:
            raise _ended(span)
        done += count
        if done == span.length:
            span.check()
        if not wire.send(view[:count], patience, heard=heard):
            return False
        span.sent(count)
    return True


def _ended(span: FileSpan) -> Exception:
    span.check()
    # It is as long as it was and yet gives nothing: a file of /proc, or a failing disk.
    return span.failed(OSError(errno.EIO, os.strerror(errno.EIO)))
