"""Handing a file over to the web server in front, which sends it without our help.

We judge everything: who may have the file, preconditions, which bytes. Where the server in
front cannot help sending exactly those, the answer names the file instead of holding it:
`X-Accel-Redirect` (nginx, Caddy) with an address below `INTERNAL`, or `X-Sendfile` (Apache,
lighttpd) with an absolute path. Everything else goes out from here as always. So:

* Only whole files, and for `X-Accel-Redirect` single ranges in their plain form. A range that
  is ignored or outside, or one of several, is answered by us: nginx joins and bounds nothing
  and refuses some that the standard ignores.
* Never a request with a precondition, which the server in front would judge once more, and
  by its own rules: nginx answers 412 where `If-Match` names our tag.
* Only when the setting asks for it and the request says, by `X-Sendfile-Type`, that it came
  through a server that takes files over. Who comes another way gets the bytes. Where proxies
  are named, nobody else may say so; `X-Sendfile`, which tells a path, is for named ones alone.
* Only a file that has a name below the store's own folder at this moment.
* What counts as sent is the whole: what becomes of it is not seen from here.
"""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import quote

from wharfinger.errors import ConfigError
from wharfinger.protocol.headers import Headers
from wharfinger.service.settings import Offload, WharfSettings
from wharfinger.web.answers import Answer, FileBody, HeaderPairs
from wharfinger.web.proxies import NOBODY, Proxies
from wharfinger.web.requests import RequestHead

INTERNAL: Final = "/wharfinger-files/"
"""The address of the store's files inside the web server; it is closed to clients."""

OFFER: Final = "X-Sendfile-Type"
"""The field by which a web server says which way of taking over it knows."""

_FIELDS: Final[dict[Offload, str]] = {"nginx": "X-Accel-Redirect", "sendfile": "X-Sendfile"}
_PRECONDITIONS: Final = ("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since")
# What else makes an answer another one than the plain one.
_WISHES: Final = ("Range", "Want-Repr-Digest", "Want-Content-Digest")
# What nginx and RFC 9110 section 14.1.2 read in the same way; nginx counts to 2**63.
_PLAIN_RANGE: Final = re.compile(r"bytes=(?:[0-9]{1,18}-[0-9]{0,18}|-[0-9]{1,18})")
_STORED: Final = re.compile(r"[0-9a-f]{3}/[0-9a-f]{32}")
_OK: Final = 200
_PARTIAL: Final = 206


def check_offload(settings: WharfSettings, proxies: Proxies) -> None:
    """Raise ConfigError where anybody could ask for the paths of files."""
    if settings.offload == "sendfile" and not proxies:
        raise ConfigError(
            'offload = "sendfile" tells the web server in front where files lie: name that server.',
            hint='trusted_proxies = ["127.0.0.1"] if it runs on this machine.',
        )


class Offloading:
    """How a service hands files over, by its settings. Safe to use from any thread.

    Args:
        settings: those of the service.
        proxies: whose offers are believed; anybody's if none are named.

    Raises:
        ConfigError: "sendfile" without the names of proxies.
    """

    def __init__(self, settings: WharfSettings, proxies: Proxies = NOBODY) -> None:
        check_offload(settings, proxies)
        self._proxies = proxies
        self._field = None if settings.offload is None else _FIELDS[settings.offload]
        # The system tells of open files by their real paths.
        self._folder = f"{os.path.realpath(settings.store_folder / 'files')}/"

    def takes(self, offered: str, peer: str) -> bool:
        """Return whether this value of `OFFER`, from this end of a connection, is taken."""
        return self._field is not None and offered == self._field and self._believes(peer)

    def screened(self, head: RequestHead) -> RequestHead:
        """Return the head as it came over its connection, without an offer that is not believed."""
        if self._field is None or OFFER not in head.headers or self._believes(head.client):
            return head
        kept = (pair for pair in head.headers if pair[0].lower() != OFFER.lower())
        return replace(head, headers=Headers(kept))

    def is_offered(self, head: RequestHead) -> bool:
        """Return whether a screened request came through a server that takes files over."""
        return self._field is not None and head.headers.get_all(OFFER) == (self._field,)

    def is_plain(self, head: RequestHead) -> bool:
        """Return whether nothing but the file is wanted, and the server in front will send it."""
        return (
            head.method == "GET"
            and self.is_offered(head)
            and not any(name in head.headers for name in (*_PRECONDITIONS, *_WISHES))
        )

    def hand_off(self, head: RequestHead, answer: Answer) -> Answer:
        """Return the answer to send: one that names the file where that is right, else the same."""
        body = answer.body
        if not isinstance(body, FileBody) or not self.is_offered(head):
            return answer
        named = self.named(answer) if self._agrees(head, answer) else None
        if named is None:
            return answer
        body.sending(body.length)
        body.finished()
        body.close()
        return named

    def named(self, answer: Answer) -> Answer | None:
        """Return the answer that names the file of another, or None; the other stays as it is."""
        body = answer.body
        if self._field is None or not isinstance(body, FileBody) or len(body.pieces) != 1:
            return None
        if body.pace is not None:
            return None  # the server in front would not keep it
        if ("Accept-Ranges", "bytes") not in answer.headers:
            return None  # the server in front would offer and send them
        place = self._place(body.file)
        if place is None:
            return None
        left_out = {"content-length", "content-range"}
        if self._field == _FIELDS["nginx"] and answer.status == _OK:
            left_out.add("accept-ranges")  # nginx keeps ours and adds its own
        kept: HeaderPairs = tuple(
            pair for pair in answer.headers if pair[0].lower() not in left_out
        )
        headers = (*kept, ("Content-Length", "0"), (self._field, place))
        return replace(answer, status=_OK, headers=headers, body=b"", again=None)

    def _believes(self, peer: str) -> bool:
        return not self._proxies or self._proxies.trusts(peer)

    def _agrees(self, head: RequestHead, answer: Answer) -> bool:
        """Return whether the server in front would send what we would."""
        if head.method != "GET" or any(name in head.headers for name in _PRECONDITIONS):
            return False
        ranges = head.headers.get_all("Range")
        if not ranges:
            return answer.status == _OK
        return (
            self._field == _FIELDS["nginx"]
            and answer.status == _PARTIAL
            and "Want-Content-Digest" not in head.headers
            and _PLAIN_RANGE.fullmatch(ranges[0]) is not None
        )

    def _place(self, file: BinaryIO) -> str | None:
        """Return what the field says of an open file, or None when it has no name in the store."""
        try:
            descriptor = file.fileno()
            path = str(Path(f"/proc/self/fd/{descriptor}").readlink())
            opened = os.fstat(descriptor)
            now = os.lstat(path)
        except (OSError, AttributeError):  # not a real file, removed, or no Linux
            return None
        name = path.removeprefix(self._folder)
        if (opened.st_dev, opened.st_ino) != (now.st_dev, now.st_ino):
            return None
        if name == path or _STORED.fullmatch(name) is None:
            return None
        return f"{INTERNAL}{name}" if self._field == _FIELDS["nginx"] else quote(path)
