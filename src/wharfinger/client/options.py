"""What a plain call and a `Client` have in common: the arguments that say how to connect, and as whom.

They are written out, with their meaning, in `Client`. A plain function takes them as
`**client: Unpack[ClientOptions]`: type checkers and editors know each by name and type, and
`shown_in_full` has `help()` list them like any other argument.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter, signature
from typing import TYPE_CHECKING, Any, Final, TypedDict, TypeVar

from wharfinger.client.timeouts import DEFAULT_SECONDS

if TYPE_CHECKING:
    import ssl

    from wharfinger.client.netrc_file import Netrc
    from wharfinger.client.request import Auth
    from wharfinger.client.timeouts import Timeout

_F = TypeVar("_F", bound=Callable[..., Any])


class ClientOptions(TypedDict, total=False):
    """The arguments of `Client` that every plain call takes, too."""

    allow_private: bool
    allow_hosts: Sequence[str]
    allow_networks: Sequence[str]
    allow_ports: Sequence[int] | None
    proxy: str | None
    trust_proxy: bool
    netrc: Netrc
    tls: ssl.SSLContext | None
    headers: Mapping[str, str] | None
    auth: Auth | None
    timeout: float | Timeout
    retries: int | None


_DEFAULTS: Final[Mapping[str, object]] = {
    "allow_private": False,
    "allow_hosts": (),
    "allow_networks": (),
    "allow_ports": None,
    "proxy": None,
    "trust_proxy": False,
    "netrc": False,
    "tls": None,
    "headers": None,
    "auth": None,
    "timeout": DEFAULT_SECONDS,
    "retries": None,
}


def shown_in_full(function: _F) -> _F:
    """Have `inspect.signature` and `help()` list the options of the client one by one."""
    own = signature(function)
    kinds = ClientOptions.__annotations__
    options = [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=default,
            annotation=getattr(kinds[name], "__forward_arg__", kinds[name]),
        )
        for name, default in _DEFAULTS.items()
    ]
    listed = [one for one in own.parameters.values() if one.kind is not Parameter.VAR_KEYWORD]
    function.__signature__ = own.replace(  # type: ignore[attr-defined]
        parameters=[*listed, *options]
    )
    return function
