"""The address guard: which socket addresses a connection may be made to.

It resolves once, judges every answer and refuses if any is bad (a name with one
public and one private address is an attack, not a choice), and returns the checked
addresses; the connection uses those and never resolves again, so a second answer of
the name server cannot matter (DNS rebinding). The refusal says the host as it was
written and not what it resolved to: it is no oracle for the inside of a network.
"""

from __future__ import annotations

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.errors import AddressRefused, ConnectFailed, TransferTimeout, UsageError
from wharfinger.net import addresses, urls
from wharfinger.net.cancelling import Cancelled

if TYPE_CHECKING:
    from wharfinger.net.cancelling import Canceller

Resolver = Callable[[str, int], Iterable[str]]
"""From host name and port to the text of its addresses; raises `OSError`."""

_NO_SUCH_HOST: Final = frozenset({socket.EAI_NONAME, getattr(socket, "EAI_NODATA", -5)})
_DEFAULT_RESOLVE_SECONDS: Final = 30.0
_MAX_PORT: Final = 65535


@dataclass(frozen=True, slots=True)
class Checked:
    """A socket address that the guard has passed. `private` tells that it is not a public one."""

    address: addresses.Address
    port: int
    private: bool


@dataclass(frozen=True, kw_only=True)
class AddressGuard:
    """Decides where connections may go.

    Args:
        allow_private: open private, loopback and link-local networks. Metadata services of
            clouds, multicast and reserved ranges stay closed.
        allow_private_start: open them for the address that a call names, not for what a
            public address redirects to (for a URL that a person typed).
        allow_hosts: host names or literal addresses that are trusted wherever they lead.
        allow_networks: networks that are trusted, like "10.1.0.0/16". A metadata service
            inside stays closed unless its own address is named.
        allow_ports: when given, the only ports; the Fetch standard's blocked ports are
            refused unless they are named here.
        resolver: the name service, for tests.
    """

    allow_private: bool = False
    allow_private_start: bool = False
    allow_hosts: tuple[str, ...] = ()
    allow_networks: tuple[str, ...] = ()
    allow_ports: tuple[int, ...] | None = None
    resolver: Resolver | None = None

    def __post_init__(self) -> None:
        for argument in ("allow_hosts", "allow_networks", "allow_ports"):
            if isinstance(getattr(self, argument), (str, int)):
                raise UsageError(f"{argument} must be a list, also for a single value.")
        hosts = tuple(urls.host(text).removesuffix(".") for text in self.allow_hosts)
        object.__setattr__(self, "allow_hosts", hosts)
        try:
            networks = tuple(str(ipaddress.ip_network(text)) for text in self.allow_networks)
        except ValueError as error:
            raise UsageError(f"allow_networks: {error}.") from None
        object.__setattr__(self, "allow_networks", networks)
        if not all(_is_port(port) for port in self.allow_ports or ()):
            raise UsageError("allow_ports takes numbers from 1 to 65535.")

    def opened(self) -> AddressGuard:
        """Return the same guard with private networks open."""
        return replace(self, allow_private=True)

    def check(
        self,
        host: str,
        port: int,
        *,
        seconds: float = _DEFAULT_RESOLVE_SECONDS,
        canceller: Canceller | None = None,
    ) -> tuple[Checked, ...]:
        """Return the addresses of a host, in the resolver's order, all of them checked.

        Args:
            host: a name in ASCII or a literal address without brackets, from `urls.parse`.
            port: the port to connect to.
            seconds: how long the name service may take.
            canceller: what may stop the call meanwhile.

        Raises:
            AddressRefused: the port is closed, or any of the addresses is.
            ConnectFailed: the name does not resolve.
            TransferTimeout: the name service did not answer in time.
        """
        trusted = self._check_as_written(host, port)
        return tuple(
            self._judge(host, port, address, trusted=trusted)
            for address in self._addresses(host, port, seconds, canceller)
        )

    def check_unresolved(self, host: str, port: int) -> None:
        """Check what can be checked without a name service, for what a proxy connects to.

        Ports, literal addresses, and the names that mean this machine or a metadata service:
        what other names resolve to is for the proxy to judge.

        Raises:
            AddressRefused: the port, the literal address or the name is closed.
        """
        trusted = self._check_as_written(host, port)
        if is_literal(host):
            self._judge(host, port, ipaddress.ip_address(host), trusted=trusted)
        elif addresses.means_this_machine(host) and not (trusted or self.allow_private):
            raise self._refusal(host)

    def _check_as_written(self, host: str, port: int) -> bool:
        self._check_port(port)
        trusted = host.removesuffix(".") in self.allow_hosts
        if addresses.is_metadata_name(host) and not trusted:
            raise self._refusal(host)
        return trusted

    def _check_port(self, port: int) -> None:
        if self.allow_ports is not None:
            if port not in self.allow_ports:
                raise AddressRefused(f"Port {port} is not among the allowed ports.", hint="")
        elif port in addresses.BLOCKED_PORTS:
            raise AddressRefused(
                f"Port {port} belongs to another protocol (Fetch standard, port blocking).",
                hint="Serve the file on another port, or name the port in allow_ports.",
            )

    def _judge(self, host: str, port: int, address: addresses.Address, *, trusted: bool) -> Checked:
        block = addresses.block_of(address)
        if block is None:
            return Checked(address, port, private=False)
        if trusted or self._in_allowed_network(address, metadata=block in addresses.METADATA):
            return Checked(address, port, private=True)
        if not (self.allow_private and block.private):
            raise self._refusal(host)
        return Checked(address, port, private=True)

    def _in_allowed_network(self, address: addresses.Address, *, metadata: bool) -> bool:
        networks = map(ipaddress.ip_network, self.allow_networks)
        return any(address in n for n in networks if not metadata or n.num_addresses == 1)

    def _refusal(self, host: str) -> AddressRefused:
        hint: str | None = None
        if self.allow_private_start:
            hint = "If you trust it and a public address led there, ask for that address itself."
        elif self.allow_private:
            hint = "It is no private network. If you trust it, name it in allow_hosts."
        return AddressRefused(
            f"{names.show(host, limit=100)} is not (or not only) a public internet address.",
            hint=hint,
        )

    def _addresses(
        self, host: str, port: int, seconds: float, canceller: Canceller | None
    ) -> list[addresses.Address]:
        if is_literal(host):
            return [ipaddress.ip_address(host)]
        texts = _within(seconds, self.resolver or resolve, host, port, canceller)
        try:
            found = [ipaddress.ip_address(text.partition("%")[0]) for text in texts]
        except ValueError:
            raise self._refusal(host) from None
        if not found:
            raise ConnectFailed(f"The name {names.show(host, limit=100)} has no address.")
        return list(dict.fromkeys(found))


def is_literal(host: str) -> bool:
    """Return whether a host from `urls.parse` is an address and not a name."""
    return ":" in host or host.replace(".", "").isdigit()


def resolve(host: str, port: int) -> list[str]:
    """Return the addresses that the system's resolver knows for a host name."""
    answers = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in answers]


def _is_port(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 < value <= _MAX_PORT


def _within(
    seconds: float, resolver: Resolver, host: str, port: int, canceller: Canceller | None
) -> list[str]:
    # getaddrinfo has no time limit of its own, and nothing can end it from outside; the
    # thread that is left behind ends with it.
    answers: queue.SimpleQueue[list[str] | Exception] = queue.SimpleQueue()
    take_back = None
    if canceller is not None:
        take_back = canceller.when_cancelled(lambda: answers.put(Cancelled()))

    def ask() -> None:
        try:
            answers.put(list(resolver(host, port)))
        except (OSError, UnicodeError) as error:
            answers.put(error)

    threading.Thread(target=ask, name="wharfinger-resolve", daemon=True).start()
    shown = names.show(host, limit=100)
    try:
        answer = answers.get(timeout=max(seconds, 0.001))
    except queue.Empty:
        raise TransferTimeout(f"The name {shown} was not resolved in {seconds:.0f} s.") from None
    finally:
        if take_back is not None:
            take_back()
    if isinstance(answer, OSError):
        failure = ConnectFailed(
            f"The name {shown} cannot be resolved: {answer.strerror or answer}.",
            hint="Check the name, and whether this machine reaches its name service.",
        )
        failure.retryable = answer.errno not in _NO_SUCH_HOST
        raise failure from answer
    if isinstance(answer, UnicodeError):
        raise UsageError(f"{shown!r} is not a host name.")
    if isinstance(answer, Exception):
        raise answer
    return answer
