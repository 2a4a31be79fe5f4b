"""What was handed out lately: small files, ready to go out again without a look at disk or catalog.

The permission to do so is remembered with the file: an entry belongs to one path and one
Authorization line, as the gate judged them. It is believed while the catalog's epoch is
what it was before that judgement, which any revocation, removal or expiry by any process
moves at once; until the time at which file, link or token end; and never for longer than
`LONGEST`. The bytes stay on disk: an entry holds the open file, and reads it only when the
system has it in memory, so that nothing here ever waits and an event loop may call it.

Of a large file that a web server in front sends, only the answer that names it is kept.
"""

from __future__ import annotations

import io
import os
import resource
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import BinaryIO, Final, cast

from wharfinger.errors import WharfingerError
from wharfinger.protocol.delivery import Representation
from wharfinger.service import Wharf
from wharfinger.units import KIB
from wharfinger.web.answers import Answer, FileBody
from wharfinger.web.delivering import deliver
from wharfinger.web.offloading import Offloading
from wharfinger.web.proxies import NOBODY, Proxies
from wharfinger.web.requests import RequestHead

SMALL: Final = 128 * KIB
"""Files up to this many bytes are remembered: for larger ones the look-ups do not matter."""

LONGEST: Final = 60.0
"""Seconds after which an entry is made anew, whatever the epoch says."""

MOST: Final = 512
"""As many files are remembered at once."""

# Ends a read that would wait for the disk (Linux); without it nothing is read here.
_AT_ONCE: Final[int | None] = getattr(os, "RWF_NOWAIT", None)


class Kept:
    """A small file and what HTTP needs to know of it. The file is closed when nobody holds this.

    Without a descriptor there are no bytes, and `named` is the one answer.
    """

    __slots__ = (
        "_descriptor", "answer", "believed_until", "named", "principal", "rendered",
        "rendered_named", "until", "what",
    )  # fmt: skip

    def __init__(
        self,
        descriptor: int | None,
        answer: Answer,
        what: Representation,
        until: datetime | None,
        *,
        named: Answer | None = None,
        principal: str = "",
    ) -> None:
        self._descriptor = descriptor
        self.answer = answer
        """The head of the plain answer (200); its body is empty."""
        self.what = what
        self.until = until
        self.principal = principal
        """Who asked, where that is counted."""
        self.believed_until = time.monotonic() + LONGEST
        self.named = named
        """The answer that leaves the sending to the web server in front, if there is one."""
        self.rendered = b""
        """Room for a shell: the head as it goes over the wire."""
        self.rendered_named = b""
        """The same of `named`."""

    def read_into(self, buffer: memoryview) -> bool:
        """Fill a buffer of the file's length; False when that would wait, or went wrong."""
        if _AT_ONCE is None or self._descriptor is None:
            return False
        try:
            return os.preadv(self._descriptor, [buffer], 0, _AT_ONCE) == len(buffer)
        except OSError:  # not in memory (EAGAIN), or a file system that cannot tell
            return False

    @property
    def has_bytes(self) -> bool:
        """Whether there is a file to read."""
        return self._descriptor is not None

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)


class Memory:
    """The files that a service handed out lately. Safe to use from any thread.

    Args:
        wharf: the service.
        most: so many files, and never more than an eighth of the descriptors of the process;
            0 for a shell that never asks for any.
        proxies: whose offers to send files are believed.
    """

    def __init__(self, wharf: Wharf, *, most: int = MOST, proxies: Proxies = NOBODY) -> None:
        self._wharf = wharf
        self.offloading = Offloading(wharf.settings, proxies)
        self._most = most
        self._entries: dict[tuple[str, str], Kept] = {}
        self._epoch = -1
        self._changing = threading.Lock()

    def find(self, path: str, authorization: str) -> Kept | None:
        """Return what a plain request for this path, with this Authorization line, may get."""
        kept = self._entries.get((path, authorization))
        if kept is None:
            return None
        if self._epoch != self._wharf.epoch:
            self.forget()
            return None
        over = kept.until is not None and kept.until <= self._wharf.now()
        return None if over or time.monotonic() >= kept.believed_until else kept

    def answer(
        self, head: RequestHead, may_pass: Callable[[Kept, int], bool] | None = None
    ) -> Answer | None:
        """Return the answer to a request, with its body in it, if that can be had at once.

        `may_pass` is told how many bytes are about to be sent; what it does not let through
        is left to the ordinary way, which says why.
        """
        key = _key(head)
        kept = None if key is None else self.find(*key)
        if kept is None:
            return None
        if kept.named is not None and self.offloading.is_plain(head):
            return kept.named if _passes(may_pass, kept, kept.what.length) else None
        if not kept.has_bytes:
            return None
        content = bytearray(kept.what.length)
        if not kept.read_into(memoryview(content)):
            return None
        file = cast("BinaryIO", io.BytesIO(content))
        try:
            answer = with_bytes(deliver(head, kept.what, file, now=self._wharf.now()))
        except WharfingerError:
            if _passes(may_pass, kept, 0):
                raise
            return None
        return answer if _passes(may_pass, kept, len(cast("bytes", answer.body))) else None

    def begin(self, head: RequestHead) -> Callable[[Answer, str], None]:
        """Return what takes the answer to a request, and who asked, to remember it."""
        epoch, key = self._wharf.epoch, _key(head)

        def keep(answer: Answer, principal: str) -> None:
            again, body = answer.again, answer.body
            if key is None or again is None or not isinstance(body, FileBody) or not self._most:
                return
            if answer.status != _OK:
                return
            named = self.offloading.named(answer)
            descriptor = None
            if again.what.length <= SMALL:
                try:
                    descriptor = os.dup(body.file.fileno())
                except (OSError, AttributeError):  # a store that keeps no files
                    return
            elif named is None:
                return
            plain = replace(answer, body=b"", again=None)
            kept = Kept(
                descriptor, plain, again.what, again.until, named=named, principal=principal
            )
            self._keep(key, epoch, kept)

        return keep

    def forget(self) -> None:
        """Let go of everything, so that removed files give their room back."""
        with self._changing:
            self._entries = {}

    def _keep(self, key: tuple[str, str], epoch: int, kept: Kept) -> None:
        with self._changing:
            if epoch != self._wharf.epoch:
                return  # something was revoked while this was being judged
            if epoch != self._epoch:
                self._entries, self._epoch = {}, epoch
            self._entries.pop(key, None)
            most = min(self._most, max(1, resource.getrlimit(resource.RLIMIT_NOFILE)[0] // 8))
            while len(self._entries) >= most:
                del self._entries[next(iter(self._entries))]
            self._entries[key] = kept


def _passes(may_pass: Callable[[Kept, int], bool] | None, kept: Kept, size: int) -> bool:
    return may_pass is None or may_pass(kept, size)


def with_bytes(answer: Answer) -> Answer:
    """Return an answer with its file's bytes in it: one write then sends head and body."""
    if not isinstance(answer.body, FileBody) or answer.body.is_ours:
        return answer
    try:
        return replace(answer, body=answer.body.read())
    finally:
        answer.close()


_OK: Final = 200


# Fields that change the head of a 200 (RFC 9530 section 4).
_WISHES: Final = ("Want-Repr-Digest", "Want-Content-Digest")


def _key(head: RequestHead) -> tuple[str, str] | None:
    if head.method not in ("GET", "HEAD") or not head.path.startswith("/files/"):
        return None
    if head.query or head.length != 0:
        return None
    if head.principal is not None:  # the application's sign-in is asked every time
        return None
    if any(name in head.headers for name in _WISHES):  # its answer is not the plain one
        return None
    lines = head.headers.get_all("Authorization")
    if len(lines) > 1:
        return None
    return head.path, lines[0] if lines else ""
