"""Certificates for tests: an authority of our own, and servers that use it well or badly."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from functools import cached_property
from pathlib import Path

from support.peer import Handler, Peer
from support.require import module
from wharfinger.server.certificates import Certificate


class Authority:
    """A certificate authority that nobody else trusts."""

    def __init__(self) -> None:
        module("trustme")
        import trustme

        self._ca = trustme.CA()

    @cached_property
    def trusting(self) -> ssl.SSLContext:
        """A client's context that trusts this authority."""
        context = ssl.create_default_context()
        self._ca.configure_trust(context)
        return context

    def server(
        self, name: str = "localhost", *, valid_days: tuple[int, int] = (-1, 1)
    ) -> ssl.SSLContext:
        """Return a server's context with a certificate for a name, valid from and until so many days from now."""
        now = datetime.now(tz=UTC)
        begin, end = (now + timedelta(days=days) for days in valid_days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate = self._ca.issue_cert(name, not_before=begin, not_after=end)
        certificate.configure_cert(context)
        return context

    def files(self, folder: Path, name: str) -> Certificate:
        """Write a new certificate for a name, and its key, into a folder, over older ones."""
        made = self._ca.issue_cert(name)
        files = Certificate(chain=folder / "chain.pem", key=folder / "key.pem")
        made.private_key_pem.write_to_path(str(files.key))
        made.cert_chain_pems[0].write_to_path(str(files.chain))
        return files

    def peer(self, handler: Handler, name: str = "localhost") -> Peer:
        """Return a peer with a certificate for a name."""
        return Peer(handler, tls=self.server(name))

    def write(self, path: Path) -> None:
        """Write the authority's certificate to a file."""
        self._ca.cert_pem.write_to_path(str(path))
