"""Proxies, for who asks for one: which proxy a URL goes through, if any.

The environment is read only on request. Through a proxy it is the proxy that connects,
so an address guard here sees no address to check: a call says that it knows this
(`trust_proxy=True`), or is refused.
"""

from __future__ import annotations

import base64
import contextlib
import ipaddress
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from wharfinger.errors import AddressRefused, UsageError
from wharfinger.net import urls

if TYPE_CHECKING:
    from wharfinger.net.urls import Url

FROM_ENVIRONMENT: Final = "environment"
_HINT: Final = "Write it like http://proxy.example:3128."


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxy:
    """An HTTP proxy; `authorization` is the value of Proxy-Authorization, for it alone."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, text: str, what: str = "proxy") -> Proxy:
        """Return the proxy at an http URL; user name and password may stand in it.

        Raises:
            UsageError: it is no http URL. The message does not repeat it: it may hold a password.
        """
        scheme, _, rest = text.partition("://")
        credentials, at, place = rest.rpartition("@")
        url: Url | None = None
        with contextlib.suppress(UsageError, AddressRefused):
            url = urls.parse(f"{scheme}://{place}")
        if url is None or url.scheme != "http" or url.target != "/":
            raise UsageError(f"{what} is not the http:// address of a proxy.", hint=_HINT)
        return cls(host=url.host, port=url.port, authorization=_basic(credentials) if at else None)

    @property
    def fields(self) -> tuple[tuple[str, str], ...]:
        """The fields that are for the proxy and go no further."""
        return () if self.authorization is None else (("Proxy-Authorization", self.authorization),)


@dataclass(frozen=True, kw_only=True, slots=True)
class Proxies:
    """The proxies by scheme, and the hosts that are reached without one."""

    http: Proxy | None = None
    https: Proxy | None = None
    exceptions: tuple[str, ...] = ()

    @classmethod
    def of(cls, proxy: str | None, *, trusted: bool, environment: Mapping[str, str]) -> Proxies:
        """Return what the argument `proxy=` means.

        Args:
            proxy: an address, "environment", or None.
            trusted: whether the caller knows that the proxy decides where connections go.
            environment: the variables, for "environment".

        Raises:
            UsageError: it is no proxy, or the caller has not said that it knows.
        """
        if proxy is None:
            return cls()
        if not isinstance(proxy, str):
            raise UsageError(f"proxy must be text, not {type(proxy).__name__}.", hint=_HINT)
        if trusted is not True:
            raise UsageError(
                "Through a proxy it is the proxy that connects, and it decides where to: the "
                "address guard cannot check what a name resolves to there.",
                hint="Pass trust_proxy=True if the proxy keeps private networks closed.",
            )
        if proxy == FROM_ENVIRONMENT:
            return cls.from_environment(environment)
        one = Proxy.parse(proxy)
        return cls(http=one, https=one)

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Return the proxies that variables name: http_proxy, https_proxy, all_proxy, no_proxy.

        HTTP_PROXY in capitals does not count: a web server lets any client set it
        (CVE-2016-5385, "httpoxy").

        Raises:
            UsageError: a variable holds no address of a proxy.
        """

        def named(*variables: str) -> Proxy | None:
            for variable in variables:
                text = environment.get(variable, "").strip()
                if text:
                    return Proxy.parse(text if "://" in text else f"http://{text}", variable)
            return None

        listed = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
        return cls(
            http=named("http_proxy", "all_proxy", "ALL_PROXY"),
            https=named("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"),
            exceptions=tuple(listed.replace(",", " ").lower().split()),
        )

    def for_url(self, url: Url) -> Proxy | None:
        """Return the proxy that a URL goes through; None when it is reached directly."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or any(_covers(entry, url) for entry in self.exceptions):
            return None
        return proxy


def _covers(entry: str, url: Url) -> bool:
    """Return whether an entry of no_proxy means this URL: "*", a domain, an address, a network."""
    host = url.host.removesuffix(".")
    if entry in {"*", host, f"{host}:{url.port}", f"[{host}]", f"[{host}]:{url.port}"}:
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry, strict=False)
    except ValueError:
        domain, _, port = entry.lstrip(".").partition(":")
        return host.endswith(f".{domain}") and port in {"", str(url.port)} and bool(domain)


def _basic(credentials: str) -> str:
    decoded = urllib.parse.unquote_to_bytes(credentials)
    return f"Basic {base64.b64encode(decoded).decode('ascii')}"
