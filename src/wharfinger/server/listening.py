"""The sockets that the server listens on: one for each process, all at one address.

The kernel spreads connections over them (SO_REUSEPORT). A process that shared one socket with
others would take whatever comes while they sleep, because it is awake already. The parent
keeps all of them open, so that what waits at the socket of a process that died is
taken by the one that replaces it.
"""

from __future__ import annotations

import errno
import socket
from typing import Final

from wharfinger.errors import ConfigError, PortInUse

_BACKLOG: Final = 1024


class Listeners:
    """Sockets that listen, one for each process.

    Args:
        host: a name or an address of this machine.
        port: the port; 0 picks a free one.
        count: how many processes there are.

    Raises:
        PortInUse: another program listens there.
        ConfigError: the host is not an address of this machine.
    """

    def __init__(self, host: str, port: int, count: int) -> None:
        self._where = f"{host}:{port}"
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except OSError as error:
            raise ConfigError(
                f"{host!r} is not an address to listen on: {error.strerror}."
            ) from error
        family, kind, protocol, _, address = found[0]
        self._kind = family, kind, protocol
        self._sockets: list[socket.socket] = []
        try:
            if count > 1 and port:
                # Sockets that share a port let any program of this user in on it: one that
                # does not share tells whether there is another.
                self._bound(address, shared=False).close()
            for _ in range(count):
                self._sockets.append(self._bound(address, shared=count > 1))
                address = (address[0], self.port, *address[2:])  # the port that was picked
                self._sockets[-1].listen(_BACKLOG)
        except BaseException:
            self.close()
            raise

    @property
    def port(self) -> int:
        """The port that all of them listen on."""
        return int(self._sockets[0].getsockname()[1])

    def take(self, place: int) -> socket.socket:
        """Return the socket of one process, which has no use for the others: they are closed."""
        mine = self._sockets.pop(place)
        self.close()
        return mine

    def close(self) -> None:
        """Close them here; those of other processes go on."""
        for one in self._sockets:
            one.close()
        self._sockets.clear()

    def _bound(self, address: tuple[object, ...], *, shared: bool) -> socket.socket:
        bound = None
        try:
            bound = socket.socket(*self._kind)
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if shared:
                bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            bound.bind(address)
        except OSError as error:
            if bound is not None:
                bound.close()
            if error.errno == errno.EADDRINUSE:
                raise PortInUse(f"Another program listens on {self._where}.") from error
            raise ConfigError(f"Cannot listen on {self._where}: {error.strerror}.") from error
        bound.setblocking(False)
        return bound
