"""Answers of a tus server: read to their end, and judged by whether waiting may help."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wharfinger.client.reply import Reply
from wharfinger.errors import BadResponse, ResponseError, TransferError
from wharfinger.protocol import tus
from wharfinger.protocol.tus import Next

if TYPE_CHECKING:
    from wharfinger.client.transport import Answer
    from wharfinger.net.urls import Url

MAX_REPLY: Final = 4 * 1024 * 1024


def worth_again(error: TransferError | ResponseError) -> bool:
    """Return whether waiting may help, where nothing was changed by the request."""
    if isinstance(error, ResponseError):
        return tus.after("", error.status) is Next.WAIT
    return error.retryable


def reply_of(answer: Answer) -> Reply:
    """Read an answer to its end. Raises BadResponse for one that is too long."""
    body = answer.read(MAX_REPLY + 1)
    if len(body) > MAX_REPLY:
        raise BadResponse(f"The server's reply is longer than {MAX_REPLY} bytes.")
    return Reply(status=answer.status, headers=answer.headers, body=body, posted_to=str(answer.url))


def at(reply: Reply, url: Url) -> Reply:
    """Return a reply that knows the address of its upload."""
    return Reply(
        status=reply.status,
        headers=reply.headers,
        body=reply.body,
        posted_to=reply.posted_to,
        upload_url=str(url),
    )
