"""The connection over TLS: the context makes the handshake and compares certificate and host."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from wharfinger.net.connection import GuardedConnection

_PROTOCOLS: Final = ("http/1.1",)  # ALPN: nothing else is spoken here (RFC 7301)


class GuardedTLSConnection(GuardedConnection):
    """The same over TLS: the certificate is checked against the host of the URL.

    Through a proxy it is a tunnel (RFC 9110 section 9.3.6): the proxy sees host and port only.

    Args:
        host: as the certificate names it.
        port: the port.
        context: the authorities that are trusted; it verifies certificates and names.
    """

    tunnels = True

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext) -> None:
        super().__init__(host, port)
        self._context = context

    def _secured(self, sock: socket.socket) -> socket.socket:
        self._context.set_alpn_protocols(_PROTOCOLS)
        return self._context.wrap_socket(sock, server_hostname=self.host)
