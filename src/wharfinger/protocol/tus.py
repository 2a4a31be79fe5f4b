"""tus 1.0.0 as values: what a client says, and what it may believe of the answers. Pure.

The rules for clients, numbered; the tests name them by these numbers.

     1  offsets, lengths and sizes are non-negative integers
     3  Tus-Resumable is on every request (17: but not on OPTIONS)
     7  PATCH and DELETE are sent as themselves, not as X-HTTP-Method-Override
    10  PATCH has Content-Type: application/offset+octet-stream
    12  the new offset is the old one and what was processed
    14  one PATCH sends all that remains, or several do
    15  both sides notice when the network is gone
    18  what a server can do is asked by OPTIONS and read from Tus-Extension
    20  uploads are created by POST to the endpoint
    21  with Upload-Length or Upload-Defer-Length: 1, and never both (22: its only value)
    23  a deferred length is told once, by the next PATCH, when it is known
    25  an upload of length 0 is finished when it is created
    26  Upload-Metadata: unique keys without space and comma, values in base64
    30  Location is absolute or relative to the endpoint
    31  content goes by PATCH, or (33) with the creation where that is announced,
        with the same Content-Type and Expect: 100-continue
    37  what expired is begun anew; Upload-Expires is read before resuming
    39  Upload-Checksum is about the content of one request; its algorithm was announced (38)
    45  Upload-Concat is "partial", or "final;" and the addresses of the parts in their order (46),
        whose length nobody sends; metadata (48) goes with the final one
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from typing import Final

from wharfinger.errors import BadResponse, UsageError
from wharfinger.names import show
from wharfinger.protocol.dates import parse_http_date
from wharfinger.protocol.headers import Headers

__all__ = [
    "CONTENT_TYPE",
    "VERSION",
    "Abilities",
    "Next",
    "after",
    "checksum",
    "expires",
    "final",
    "metadata",
    "number",
    "spans",
]

VERSION: Final = "1.0.0"
CONTENT_TYPE: Final = "application/offset+octet-stream"

# As many digits as any disk needs; `int` of more is slow by design of whoever sends them.
_NUMBER: Final = re.compile(r"[0-9]{1,19}", re.ASCII)
_KEY: Final = re.compile(r"[!-+\--~]+", re.ASCII)  # visible ASCII without the comma
# SHA-1 is what every server with the extension has; here it guards against accidents only.
_PREFERRED: Final = ("sha256", "sha512", "sha1")

_MISMATCH: Final = 460
_FORGETS: Final = frozenset({404, 410})
_BUSY: Final = frozenset({408, 423, 425, 429, _MISMATCH})


class Next(Enum):
    """What a client does after an error status."""

    ANEW = "anew"  # the upload is gone: create another
    ASK = "ask"  # the offset was wrong: learn the right one
    WAIT = "wait"  # go on after a while
    STOP = "stop"  # it will not get better


def after(method: str, status: int) -> Next:
    """Return what to do when a request about an existing upload got an error status.

    HEAD may answer 403 for what is unknown. 401 never costs the upload: the next call may
    bring a better token.
    """
    if status in _FORGETS or (method == "HEAD" and status == 403):  # noqa: PLR2004 - see above
        return Next.ANEW
    if status == 409:  # noqa: PLR2004 - Conflict
        return Next.ASK
    if status in _BUSY or status >= 500:  # noqa: PLR2004 - the class of server errors
        return Next.WAIT
    return Next.STOP


@dataclass(frozen=True, kw_only=True, slots=True)
class Abilities:
    """What a server says it can do."""

    versions: tuple[str, ...] = ()
    extensions: frozenset[str] = frozenset()
    max_size: int | None = None
    algorithms: tuple[str, ...] = ()

    @classmethod
    def of(cls, headers: Headers) -> Abilities:
        """Return what the answer to OPTIONS says.

        Raises:
            BadResponse: Tus-Max-Size is no number.
        """
        return cls(
            versions=_list(headers.get("tus-version")),
            extensions=frozenset(_list(headers.get("tus-extension"))),
            max_size=number(headers, "Tus-Max-Size"),
            algorithms=_list(headers.get("tus-checksum-algorithm")),
        )

    def has(self, extension: str) -> bool:
        """Return whether an extension is announced."""
        return extension in self.extensions

    @property
    def algorithm(self) -> str | None:
        """The best announced algorithm for checksums, None when there is none we know."""
        if not self.has("checksum"):
            return None
        return next((name for name in _PREFERRED if name in self.algorithms), None)


def _list(value: str | None) -> tuple[str, ...]:
    return tuple(item for part in (value or "").split(",") if (item := part.strip()))


def number(headers: Headers, name: str) -> int | None:
    """Return a number that a server sent, None when it did not.

    Raises:
        BadResponse: it is no non-negative integer, or came twice.
    """
    values = list(headers.get_all(name))
    if not values:
        return None
    if len(values) > 1 or not _NUMBER.fullmatch(values[0]):
        shown = show(", ".join(values), limit=40)
        raise BadResponse(f"The server's {name} is no number: {shown!r}.")
    return int(values[0])


def expires(headers: Headers, now: datetime) -> datetime | None:
    """Return when the server will forget the upload; None when it does not say so soundly."""
    value = headers.get("upload-expires")
    return None if value is None else parse_http_date(value, now=now)


def metadata(pairs: Mapping[str, str]) -> str:
    """Return the value of Upload-Metadata.

    Raises:
        UsageError: a key is empty, not ASCII, or has a space or comma.
    """
    parts = []
    for key, value in pairs.items():
        if not _KEY.fullmatch(key):
            raise UsageError(
                f"{show(key, limit=60)!r} cannot be a key of tus metadata.",
                hint="Keys are visible ASCII without comma.",
            )
        encoded = base64.b64encode(value.encode("utf-8", "surrogateescape")).decode("ascii")
        parts.append(f"{key} {encoded}".rstrip())
    return ",".join(parts)


def checksum(algorithm: str, digest: bytes) -> str:
    """Return the value of Upload-Checksum."""
    return f"{algorithm} {base64.b64encode(digest).decode('ascii')}"


def final(urls: Sequence[str]) -> str:
    """Return the value of Upload-Concat that joins partial uploads in this order.

    Raises:
        BadResponse: an address has a space, which would make it two.
    """
    if any(" " in url or not url for url in urls):
        raise BadResponse("The address of a partial upload has a space.")
    return f"final;{' '.join(urls)}"


def spans(length: int, count: int) -> list[tuple[int, int]]:
    """Return (start, length) of `count` parts that differ by one byte at most, none empty."""
    count = max(min(count, length), 1)
    size, larger = divmod(length, count)
    lengths = [size + (index < larger) for index in range(count)]
    return [(sum(lengths[:index]), length) for index, length in enumerate(lengths)]
