"""The connection over TLS: urllib3 makes the handshake and compares certificate and host."""

from __future__ import annotations

import socket
import ssl

from urllib3.connection import HTTPSConnection
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_match_hostname import CertificateError

from wharfinger.net import tls
from wharfinger.net.connection import GuardedConnection


class GuardedTLSConnection(GuardedConnection):
    """The same over TLS: the certificate is checked against the host of the URL.

    Through a proxy it is a tunnel (RFC 9110 section 9.3.6): the proxy sees host and port only.

    Args:
        host: as the certificate names it.
        port: the port.
        context: the authorities that are trusted; it verifies.
    """

    tunnels = True

    def __init__(self, host: str, port: int, *, context: ssl.SSLContext) -> None:
        super().__init__(host, port)
        self._context = context

    def _secured(self, sock: socket.socket) -> socket.socket:
        handshake = _Handshake(self.named, self.port, ssl_context=self._context)
        handshake.connected = sock
        try:
            handshake.connect()
        except BaseException as error:
            handshake.close()
            if isinstance(error, CertificateError):
                raise tls.distrusted(self.host, error) from error
            if isinstance(error, HTTPError):
                raise OSError(str(error)) from error
            raise
        secured = handshake.sock
        if secured is None:
            raise OSError("TLS gave no socket")
        return secured


class _Handshake(HTTPSConnection):
    """urllib3's connection over a socket that is connected already."""

    connected: socket.socket

    def _new_conn(self) -> socket.socket:
        return self.connected
