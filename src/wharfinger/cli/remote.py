"""What the commands that speak to a service have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wharfinger.cli import credentials
from wharfinger.errors import UsageError

if TYPE_CHECKING:
    from wharfinger.client.remote import RemoteWharf


def connect(server: str | None, token_file: str | None, timeout: float) -> RemoteWharf:
    """Return the service that `--server` and the token name; close it after use.

    Raises:
        UsageError: no service was named.
    """
    from wharfinger.client.remote import RemoteWharf
    from wharfinger.net.guard import AddressGuard

    if server is None:
        raise UsageError(
            "No service was named.",
            hint="Give --server URL, or set WHARFINGER_SERVER (http://127.0.0.1:8080 for `make run`).",
        )
    return RemoteWharf(
        server,
        credentials.token(token_file),
        guard=AddressGuard(allow_private_start=True),
        timeout=timeout,
    )
