"""`RequestHead`: the head of a request as a value, the same from every shell."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import parse_qsl

from wharfinger.errors import RequestError
from wharfinger.protocol.headers import Headers
from wharfinger.service import Principal

# RFC 3986 section 3.2.2, without user information: what a Host line may hold.
HOST: Final = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_MAX_QUERY_FIELDS: Final = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class RequestHead:
    """Everything about a request but its body.

    Args:
        method: in capitals.
        path: percent-decoded, below the mount point, beginning with a slash.
        query: as sent, without the question mark.
        headers: all of them.
        root: the mount point ("" or "/storage"), for addresses in answers.
        scheme: "http" or "https".
        length: the body's length in bytes; 0 when there is no body; None when it comes
            with a framing that shows its end (chunked), so that a body cut short is noticed.
        framed: False when the request has no length at all and its end cannot be trusted
            (a WSGI body with neither Content-Length nor `wsgi.input_terminated`).
        principal: who the application's own sign-in says is asking.
        client: the address of the other end of the connection; "" when it has none. Behind
            proxies that are trusted, that of the client.
        host: the host that a trusted proxy names; None for that of the Host line.
    """

    method: str
    path: str
    query: str = ""
    headers: Headers
    root: str = ""
    scheme: str = "http"
    length: int | None = 0
    framed: bool = True
    principal: Principal | None = None
    client: str = ""
    host: str | None = None

    @property
    def origin(self) -> str:
        """Scheme and host as the client wrote them, for absolute addresses. Raises RequestError."""
        host = self.host or self.headers.single("Host") or ""
        if HOST.fullmatch(host) is None:
            raise RequestError("The Host line is missing or malformed.")
        return f"{self.scheme}://{host}"

    def query_fields(self, known: tuple[str, ...]) -> dict[str, str]:
        """Return the query's fields; one that is unknown or comes twice is an error.

        Raises:
            RequestError: which field it was.
        """
        try:
            pairs = parse_qsl(
                self.query,
                keep_blank_values=True,
                errors="strict",
                max_num_fields=_MAX_QUERY_FIELDS,
            )
        except ValueError as error:
            raise RequestError("The query is malformed.") from error
        fields: dict[str, str] = {}
        for key, value in pairs:
            if key not in known:
                raise RequestError(
                    f"Unknown query field {key[:40]!r}.", hint=f"Known: {', '.join(known)}."
                )
            if key in fields:
                raise RequestError(f"The query field {key!r} comes twice.")
            fields[key] = value
        return fields
