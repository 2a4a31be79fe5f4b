"""What a tus server can do, and whether that is enough for an upload."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.request import Request
from wharfinger.client.tus_replies import MAX_REPLY, worth_again
from wharfinger.errors import BadResponse, ResponseError, TooLarge, TransferError, UsageError
from wharfinger.names import show
from wharfinger.protocol import tus
from wharfinger.protocol.tus import Abilities, Next
from wharfinger.units import show_size

if TYPE_CHECKING:
    from wharfinger.client.call import Call


def ask_abilities(call: Call) -> Abilities:
    """Ask the endpoint of a call what it can do; who does not say has the core alone."""
    retrying = call.retrying.renewed()
    while True:
        try:
            request = Request(method="OPTIONS", url=call.url, theirs=call.theirs)
            with call.transport.send(request, call.watch) as answer:
                if answer.status >= FIRST_ERROR and tus.after("", answer.status) is Next.WAIT:
                    raise response_error(answer)
                answer.read(MAX_REPLY)
                # Whoever refuses OPTIONS may still take uploads: the core is tried.
                refused = answer.status >= FIRST_ERROR
                return Abilities() if refused else Abilities.of(answer.headers)
        except (TransferError, ResponseError) as error:
            if not retrying.again(error, call.watch.left(), worth=worth_again(error)):
                raise


def check_abilities(abilities: Abilities, length: int | None, *, digest: bool) -> None:
    """Refuse what is bound to fail before anything is sent.

    Args:
        abilities: what the server announced.
        length: that of the content, if it is known.
        digest: whether the caller relies on checksums.

    Raises:
        BadResponse: the server speaks another version.
        TooLarge: it does not take this much.
        UsageError: it checks no sums.
    """
    versions = abilities.versions
    if versions and tus.VERSION not in versions:
        raise BadResponse(
            f"The server speaks tus {show(', '.join(versions), limit=60)}, not {tus.VERSION}."
        )
    limit = abilities.max_size
    if limit is not None and length is not None and length > limit:
        raise TooLarge(
            f"The file has {show_size(length)}, and the server takes {show_size(limit)}.",
            limit=limit,
            size=length,
        )
    if digest and abilities.algorithm is None:
        raise UsageError(
            "The server announces no checksums, so digest=True promises nothing.",
            hint="Leave digest out, or use another protocol.",
        )
