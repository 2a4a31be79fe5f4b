"""Error statuses as errors: what the server said, shown safely, and what to do about it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.client.retrying import retry_after
from wharfinger.errors import ResponseError, TransferError
from wharfinger.protocol.problems import MAX_BODY, parse_problem

if TYPE_CHECKING:
    from wharfinger.client.transport import Answer

FIRST_ERROR: Final = 400
_BAD_REQUEST: Final = 400
# What nginx, Apache and Go say to a plain request on a port for TLS.
_WANTS_TLS: Final = re.compile(
    rb"sent to HTTPS port|plain HTTP to an SSL-enabled|HTTP request to an HTTPS server"
)
_HINTS: Final = {
    401: "Sign in: pass auth=, on the command line set WHARFINGER_TOKEN.",
    403: "These credentials are not enough for this address.",
    404: "Check the address; links also expire and get revoked.",
    407: "The proxy wants user name and password: put them into proxy=, like http://user:password@proxy:3128.",
    410: "It was there and is gone for good.",
    411: "The server wants to know the length beforehand: send a file, not a stream.",
    413: "The server's limit is lower than the size of this file.",
    415: "The server does not take this type of file.",
    429: "Too many requests: wait and try again.",
    507: "The server's disk is full.",
}


def response_error(answer: Answer) -> ResponseError:
    """Return the error that an answer with an error status is. Reads at most 64 KiB of it."""
    status = answer.status
    try:
        body = answer.read(MAX_BODY)
    except TransferError:
        body = b""  # the status alone says what matters; its explanation was cut
    problem = parse_problem(answer.headers.get("content-type"), body)
    said = "" if problem is None else _text(problem, "detail") or _text(problem, "title")
    return ResponseError(
        f"{answer.url.shown} answered {status}{': ' if said else '.'}{said}",
        status=status,
        url=answer.url.shown,
        problem=problem,
        retry_after=retry_after(answer.headers.get("retry-after")),
        hint=("" if problem is None else _text(problem, "hint")) or _hint(answer, body),
    )


def _hint(answer: Answer, body: bytes) -> str | None:
    if answer.status == _BAD_REQUEST and answer.url.scheme == "http" and _WANTS_TLS.search(body):
        return "That port speaks TLS: write the address with https://."
    return _HINTS.get(answer.status)


def _text(problem: dict[str, object], key: str) -> str:
    value = problem.get(key)
    return names.show(value, limit=300) if isinstance(value, str) else ""
