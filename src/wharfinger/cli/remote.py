"""What the commands that speak to a service have in common."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from wharfinger.cli import credentials
from wharfinger.cli.network import Network, network_options
from wharfinger.cli.options import timeout_option
from wharfinger.errors import UsageError

if TYPE_CHECKING:
    from wharfinger.client.remote import RemoteWharf

_F = TypeVar("_F", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True)
class Service:
    """The service that the options name, and the way there."""

    server: str | None
    token_file: str | None
    timeout: float
    network: Network

    def connect(self) -> RemoteWharf:
        """Return the service; close it after use.

        Raises:
            UsageError: no service was named.
        """
        from wharfinger.client.remote import RemoteWharf

        if self.server is None:
            raise UsageError(
                "No service was named.",
                hint="Give --server URL, or set WHARFINGER_SERVER (http://127.0.0.1:8080 for `make run`).",
            )
        return RemoteWharf(
            self.server,
            credentials.token(self.token_file),
            transport=self.network.transport(),
            timeout=self.timeout,
            netrc=self.network.netrc,
        )


def service_options(function: _F) -> _F:
    """Give a command the options of a service and of the way there, as `service`."""

    @timeout_option
    @network_options
    @credentials.server_options
    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        own = {field: options.pop(field) for field in Service.__dataclass_fields__}
        return function(*arguments, service=Service(**own), **options)

    return command  # type: ignore[return-value]
