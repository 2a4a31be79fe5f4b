"""Which protocol an upload takes when the caller leaves it to the server: `protocol="auto"`.

The rule: one large file, and nothing beside it, is asked about (one OPTIONS). Where the server
announces resumable uploads, it goes by them; else by tus 1.0, where that is announced; else,
and for all that is small, it is a form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from wharfinger.client.request import Request
from wharfinger.errors import BadResponse, ResponseError, TransferError
from wharfinger.protocol import tus
from wharfinger.protocol.resumable import Limits
from wharfinger.protocol.tus import Abilities

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from wharfinger.client.call import Call
    from wharfinger.client.content import Content
    from wharfinger.client.uploading import Protocol
    from wharfinger.protocol.headers import Headers

# A smaller file is sent again sooner than the server is asked.
LARGE: Final = 8 * 1024 * 1024
_MAX_REPLY: Final = 64 * 1024
# Some servers never answer a method that they do not know: then it is a form.
_PATIENCE: Final = 5.0
_FIRST_ERROR: Final = 400


def choose(
    call: Call, contents: Sequence[Content], fields: Mapping[str, str], field: str
) -> tuple[Protocol, Limits | None]:
    """Return the protocol for these contents, and the limits that the server announced."""
    length = contents[0].length
    # Fields, or a field of another name, are meant for a form.
    if len(contents) != 1 or fields or field != "file" or length is None or length <= LARGE:
        return "multipart", None
    headers = ask_options(call)
    if headers is None:
        return "multipart", None
    limits = Limits.of(headers)
    if limits is not None:
        return "resumable", limits
    return ("tus" if _takes_tus(headers) else "multipart"), None


def ask_options(call: Call) -> Headers | None:
    """Return what the endpoint of a call says of itself; None when it does not."""
    try:
        request = Request(method="OPTIONS", url=call.url, theirs=call.theirs)
        with call.transport.send(request, call.watch.briefly(_PATIENCE)) as answer:
            answer.read(_MAX_REPLY)
            return answer.headers if answer.status < _FIRST_ERROR else None
    except (TransferError, ResponseError):
        return None  # the upload itself will say what is wrong


def _takes_tus(headers: Headers) -> bool:
    try:
        abilities = Abilities.of(headers)
    except BadResponse:
        return False
    return tus.VERSION in abilities.versions and abilities.has("creation")
