"""TLS: certificates are always verified, and what a failed verification means.

There is no switch that turns verification off, and a context that somebody else made
does not turn it off either: it is looked at before each use, not once (CVE-2024-35195).
"""

from __future__ import annotations

import ssl
from typing import Final

from wharfinger import names
from wharfinger.errors import ConnectFailed, UsageError

# What OpenSSL's X509_verify_cert_error(3) means to a person, and what to do about it.
_OWN_AUTHORITY: Final = (
    "If you run the server yourself, trust its authority: "
    "pass tls=ssl.create_default_context(cafile=...)."
)
_CLOCK: Final = "The server's operator has to renew it; check also the clock of this machine."
_NAME: Final = (
    "Use the name that the certificate was issued for; an alias or a bare address is another one."
)
_HINTS: Final = {
    9: "It is not valid yet: check the clock of this machine.",
    10: _CLOCK,
    18: f"It is self-signed. {_OWN_AUTHORITY}",
    19: f"Its authority is not known here. {_OWN_AUTHORITY}",
    20: f"Its authority is not known here, or the server does not send the whole chain. {_OWN_AUTHORITY}",
    21: f"The server does not send the whole chain. {_OWN_AUTHORITY}",
    62: _NAME,
    64: _NAME,
}
_OTHERWISE: Final = "Check the address, and the certificates this machine trusts."


def checked(context: ssl.SSLContext) -> ssl.SSLContext:
    """Return a context that verifies certificates and names.

    Raises:
        UsageError: it does not.
    """
    if not isinstance(context, ssl.SSLContext):
        raise UsageError(f"tls must be an ssl.SSLContext, not {type(context).__name__}.")
    if context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname:
        raise UsageError(
            "tls= is a context that does not verify certificates, which cannot be turned off.",
            hint="Trust the server's authority: tls=ssl.create_default_context(cafile=...).",
        )
    return context


def distrusted(host: str, error: Exception) -> ConnectFailed:
    """Return the error for a certificate that is not to be trusted."""
    reason = getattr(error, "verify_message", "") or str(error)
    failure = ConnectFailed(
        f"The certificate of {host} is not to be trusted: {names.show(reason).rstrip('.')}.",
        hint=_HINTS.get(getattr(error, "verify_code", 0), _OTHERWISE),
    )
    failure.retryable = False
    return failure
