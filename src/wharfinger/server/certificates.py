"""TLS: one context, whose certificate is read anew when its files change.

Whoever renews certificates replaces two files, one after the other; what is there in between
does not fit together. So a new pair is tried on a context of its own, and connections
get the old one until that works.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from wharfinger.errors import ConfigError

log = logging.getLogger("wharfinger.server")

_LOOK_EVERY: Final = 2.0  # seconds
_LONGEST: Final = 1024 * 1024
_LABEL: Final = re.compile(r"^-----BEGIN ([A-Z0-9 ]+)-----", re.MULTILINE)
_CERTIFICATE: Final = "CERTIFICATE"
_ENCRYPTED: Final = "ENCRYPTED PRIVATE KEY"
_LOCKED: Final = "Proc-Type: 4,ENCRYPTED"  # RFC 1421 section 4.6.1.1, as OpenSSL wrote it once
_KEYS: Final = frozenset({"PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", _ENCRYPTED})


@dataclass(frozen=True, kw_only=True, slots=True)
class Certificate:
    """The files of a certificate: `chain` with those of its issuers behind it, `key` its private key, in PEM."""

    chain: Path
    key: Path

    def context(self) -> ssl.SSLContext:
        """Return a server's context: TLS 1.2 and later (RFC 8996, RFC 9325).

        Raises:
            ConfigError: a file cannot be read, or the two do not belong together.
        """
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        self._load(context)
        return context

    def renew(self, context: ssl.SSLContext) -> None:
        """Let new connections on a context get what the files hold now. Raises ConfigError."""
        self.context()
        self._load(context)

    def state(self) -> tuple[tuple[int, int, int], ...] | None:
        """Return what changes when the files do; None while one of them is not there."""
        try:
            found = [path.stat() for path in (self.chain, self.key)]
        except OSError:
            return None
        return tuple((one.st_ino, one.st_mtime_ns, one.st_size) for one in found)

    def _load(self, context: ssl.SSLContext) -> None:
        try:
            # An encrypted key would make OpenSSL ask on the terminal.
            context.load_cert_chain(self.chain, self.key, password=_no_password)
        except FileNotFoundError as error:
            missing = next((p for p in (self.chain, self.key) if not p.exists()), self.chain)
            raise ConfigError(f"There is no file {str(missing)!r} (TLS).") from error
        except ssl.SSLError as error:
            raise ConfigError(
                f"{str(self.chain)!r} and {str(self.key)!r} are not a certificate and its key: "
                f"{self._what_is_wrong(error)}.",
                hint="Give PEM files: tls_cert with the whole chain, tls_key without a password.",
            ) from error
        except OSError as error:
            raise ConfigError(f"The certificate cannot be read: {error.strerror}.") from error

    def _what_is_wrong(self, error: ssl.SSLError) -> str:
        in_chain, in_key = _kinds(self.chain), _kinds(self.key)
        if _CERTIFICATE not in in_chain:
            if not in_chain & _KEYS:
                return "there is no certificate in PEM in the first"
            swapped = _CERTIFICATE in in_key
            return "they are the wrong way round" if swapped else "the first is a private key, too"
        if _ENCRYPTED in in_key:
            return "the key has a password"
        if not in_key & _KEYS:
            is_one = _CERTIFICATE in in_key
            return (
                "the second is a certificate, too"
                if is_one
                else "there is no private key in PEM in the second"
            )
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the key is that of another certificate"
        return error.reason or "they are damaged"


def _kinds(path: Path) -> frozenset[str]:
    """Return what a PEM file says that it has (RFC 7468); nothing for another file."""
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST).decode("ascii", "replace")
    except OSError:
        return frozenset()
    found = set(_LABEL.findall(text))
    return frozenset(found | {_ENCRYPTED} if _LOCKED in text else found)


async def keep_fresh(certificate: Certificate, context: ssl.SSLContext) -> None:
    """Renew a context whenever the files of its certificate change; never returns."""
    known = certificate.state()
    while True:
        await asyncio.sleep(_LOOK_EVERY)
        state = certificate.state()
        if state is None or state == known:
            continue
        renew: Callable[[], None] = lambda: certificate.renew(context)  # noqa: E731
        try:
            await asyncio.get_running_loop().run_in_executor(None, renew)
        except ConfigError as error:
            log.warning("the old certificate stays in use: %s", error)
        else:
            log.info("the new certificate is in use")
        known = state


def _no_password() -> str:
    return ""
