"""httplint (by the editor of HTTP's RFCs) over every answer that our shells give in tests."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Mapping
from typing import Final

# What it warns of, and why it is meant so.
MEANT: Final[dict[str, str]] = {
    "CC_CONFLICTING": "no-store says it all; private is for caches that know only that",
    "STORE_PUBLIC_UNNECESSARY": "public files are asked for with Authorization, too (RFC 9111 3.5)",
    "STATUS_BAD_REQUEST": "says what 400 means; the problem document tells what is wrong",
    "CREATED_WITHOUT_LOCATION": "a form with several files makes several resources, none is the one",
    "LM_FUTURE": "uvicorn makes its Date once a second: it can be a second old",
    "STATUS_412_WITHOUT_PRECONDITION": "tus 1.0 answers so to another version of itself",
    "STATUS_NONSTANDARD": "460 is the number that tus 1.0 gives to a wrong checksum",
    "VARY_USER_AGENT": "a robot that previews links says so nowhere else; nothing of it is cached",
}

_AVAILABLE: Final = importlib.util.find_spec("httplint") is not None
# Larger bodies are not looked at: their length is asserted elsewhere.
_MOST: Final = 64 * 1024


def complaints(
    method: str,
    url: str,
    asked: Mapping[str, str],
    status: int,
    headers: Iterable[tuple[str, str]],
    body: bytes,
) -> list[str]:
    """Return what httplint finds wrong or doubtful with an answer and is not meant so."""
    if not _AVAILABLE:
        assert not os.environ.get("CI"), "missing in CI: the package httplint is not installed"
        return []
    from httplint import HttpRequestLinter, HttpResponseLinter
    from httplint.note import levels

    request = HttpRequestLinter()
    request.process_request_topline(method.encode(), url.encode(), b"HTTP/1.1")
    request.process_headers(_encoded(asked.items()))
    request.finish_content(True)

    # The body of HEAD is not there, and that of a large file is not read again.
    linter = HttpResponseLinter(no_content=method == "HEAD" or len(body) > _MOST)
    linter.request = request
    linter.process_response_topline(b"HTTP/1.1", str(status).encode(), b"")
    linter.process_headers(_encoded(headers))
    linter.feed_content(body)
    linter.finish_content(True)
    meant = set(MEANT)
    if linter.headers.parsed.get("content-type", ("",))[0] == "multipart/byteranges":
        # It must not have the field that httplint misses (RFC 9110 section 15.3.7.2).
        meant.add("PARTIAL_WITHOUT_RANGE")
    return [
        f"{type(note).__name__} in {note.subject}: {note.summary}"
        for note in linter.notes
        if note.level in {levels.BAD, levels.WARN} and type(note).__name__ not in meant
    ]


def _encoded(pairs: Iterable[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in pairs]
