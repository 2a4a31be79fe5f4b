"""Pages of other origins: what a browser lets them do with this service (the Fetch standard, CORS).

Off by default. When it is on, exactly the origins that the settings name may use the
interface as any client does, with a token that they hold themselves; cookies are never
asked for (no Access-Control-Allow-Credentials). It is not access control: whoever is no
browser is not bound by it, and the gate judges every request as before.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from wharfinger.web.answers import Answer, HeaderPairs
from wharfinger.web.requests import RequestHead

# Every method of the interface; which of them an address knows, its own answer says.
_METHODS: Final = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"

# What clients may send besides the few fields that need no permission.
_ASKED: Final = (
    "Authorization", "Content-Type", "Content-Disposition", "Content-Encoding",
    "Range", "If-Range", "If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since",
    "Repr-Digest", "Content-Digest", "Want-Repr-Digest", "Want-Content-Digest",
    "Tus-Resumable", "Upload-Length", "Upload-Defer-Length", "Upload-Offset", "Upload-Metadata",
    "Upload-Checksum", "Upload-Concat", "X-HTTP-Method-Override", "X-Request-ID",
    "Upload-Complete", "Upload-Draft-Interop-Version",
)  # fmt: skip

# What a page may read of an answer besides the few fields that are always shown.
_SHOWN: Final = (
    "Accept-Ranges", "Allow", "Content-Disposition", "Content-Location", "Content-Range", "ETag",
    "Location", "Repr-Digest", "Content-Digest", "RateLimit", "RateLimit-Policy", "Retry-After",
    "WWW-Authenticate",
    "Tus-Resumable", "Tus-Version", "Tus-Extension", "Tus-Max-Size", "Tus-Checksum-Algorithm",
    "Upload-Length", "Upload-Defer-Length", "Upload-Offset", "Upload-Metadata", "Upload-Concat",
    "Upload-Expires", "File-State", "Upload-Complete", "Upload-Limit", "Upload-Draft-Interop-Version",
)  # fmt: skip

# Seconds that a browser may remember a permission; Chromium's own limit is two hours.
_REMEMBERED: Final = "7200"


class Cors:
    """Says for each answer what pages of other origins may do with it.

    Args:
        origins: the origins that may, as browsers write them; none turns it off.
    """

    def __init__(self, origins: Iterable[str] = ()) -> None:
        self._origins = frozenset(origins)

    def mark(self, head: RequestHead, answer: Answer) -> Answer:
        """Return the answer to a request with the fields that its page needs."""
        if not self._origins:
            return answer
        answer = self.mark_plain(answer)
        origin = head.headers.get("Origin")  # several lines join to what is no origin
        if origin is None or origin not in self._origins:
            return answer
        fields: HeaderPairs = (
            ("Access-Control-Allow-Origin", origin),
            ("Access-Control-Expose-Headers", ", ".join(_SHOWN)),
        )
        if head.method == "OPTIONS" and "Access-Control-Request-Method" in head.headers:
            fields = (
                ("Access-Control-Allow-Origin", origin),
                ("Access-Control-Allow-Methods", _METHODS),
                ("Access-Control-Allow-Headers", ", ".join(_ASKED)),
                ("Access-Control-Max-Age", _REMEMBERED),
            )
        return replace(answer, headers=(*answer.headers, *fields))

    def mark_plain(self, answer: Answer) -> Answer:
        """Return the answer as a request without an Origin gets it: it tells caches to look there."""
        if not self._origins:
            return answer
        varying = [value for name, value in answer.headers if name.lower() == "vary"]
        named = {word.strip().lower() for value in varying for word in value.split(",")}
        if named & {"origin", "*"}:
            return answer
        kept = tuple(pair for pair in answer.headers if pair[0].lower() != "vary")
        return replace(answer, headers=(*kept, ("Vary", ", ".join((*varying, "Origin")))))
