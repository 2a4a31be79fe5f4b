"""Options of commands that transfer: which places to trust, and the way there.

The address that a person types may be private; a redirect from a public to a private one
may not, unless it is named here.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wharfinger import names
from wharfinger.errors import LocalFileError, SourceMissing

if TYPE_CHECKING:
    import ssl

    from wharfinger.client import Client
    from wharfinger.client.request import Auth
    from wharfinger.client.transport import Transport
    from wharfinger.net.guard import AddressGuard

_F = TypeVar("_F", bound=Callable[..., Any])

_OPTIONS = (
    click.option(
        "--allow-host",
        multiple=True,
        metavar="NAME",
        help="A host that is trusted wherever it leads, also after a redirect.",
    ),
    click.option(
        "--allow-network",
        multiple=True,
        metavar="NETWORK",
        help="A network that is trusted, like 10.1.0.0/16, also after a redirect.",
    ),
    click.option(
        "--proxy",
        metavar="URL|environment",
        help="Go through this proxy, or the one of http_proxy and https_proxy. Where it "
        "connects is then its decision.",
    ),
    click.option("--netrc", is_flag=True, help="Sign in as ~/.netrc says for the host in URL."),
    click.option(
        "--cacert", metavar="FILE", help="Trust the authorities in this PEM file, and no others."
    ),
)


@dataclass(frozen=True, kw_only=True)
class Network:
    """What the options say."""

    allow_host: tuple[str, ...]
    allow_network: tuple[str, ...]
    proxy: str | None
    netrc: bool
    cacert: str | None

    def client(
        self,
        *,
        timeout: float,
        retries: int | None,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
    ) -> Client:
        """Return a client that keeps to the options."""
        from wharfinger.client import Client

        return Client(
            guard=self._guard(),
            proxy=self.proxy,
            trust_proxy=self.proxy is not None,  # the help of the option says what that means
            netrc=self.netrc,
            tls=self._tls(),
            timeout=timeout,
            retries=retries,
            headers=headers,
            auth=auth,
        )

    def transport(self) -> Transport:
        """Return what keeps to the options, for requests of a kind of their own."""
        from wharfinger.client.transport import Transport
        from wharfinger.net.proxies import Proxies

        proxies = Proxies.of(self.proxy, trusted=self.proxy is not None, environment=os.environ)
        return Transport(self._guard(), tls=self._tls(), proxies=proxies)

    def _guard(self) -> AddressGuard:
        from wharfinger.net.guard import AddressGuard

        return AddressGuard(
            allow_private_start=True,
            allow_hosts=self.allow_host,
            allow_networks=self.allow_network,
        )

    def _tls(self) -> ssl.SSLContext | None:
        return None if self.cacert is None else _trusting(self.cacert)


def network_options(function: _F) -> _F:
    """Give a command `--allow-host`, `--allow-network`, `--proxy`, `--netrc` and `--cacert`, as `network`."""

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        own = {field: options.pop(field) for field in Network.__dataclass_fields__}
        return function(*arguments, network=Network(**own), **options)

    for option in reversed(_OPTIONS):
        command = option(command)
    return command  # type: ignore[return-value]


def _trusting(path: str) -> ssl.SSLContext:
    import ssl

    shown = names.show(path)
    try:
        return ssl.create_default_context(cafile=path)
    except FileNotFoundError as error:
        raise SourceMissing(f"{shown} does not exist.") from error
    except OSError as error:  # ssl.SSLError is one, too
        raise LocalFileError(f"{shown} is no PEM file of certificates.") from error
