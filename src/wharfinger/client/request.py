"""What is sent, as values: the request of one hop and the rules for the next one.

A redirect never goes from https to http, and what the caller gave for one origin
(credentials, cookies, any header of its own) is not sent to another one
(CVE-2018-1000007, CVE-2018-18074, CVE-2023-43804 and their kin).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol

from wharfinger import names
from wharfinger._version import __version__
from wharfinger.errors import AddressRefused, BadResponse, ResponseError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from wharfinger.net.http1 import Head
    from wharfinger.net.spans import Piece
    from wharfinger.net.urls import Url
    from wharfinger.protocol.headers import Headers

Auth = tuple[str, str] | str
"""A user name and password (Basic, RFC 7617), or a token (Bearer, RFC 6750)."""

MAX_REDIRECTS: Final = 5
# A smaller body is sent sooner than it is asked about.
EXPECT_FROM: Final = 1024 * 1024
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_SEE_OTHER: Final = 303
_KEEPS_METHOD: Final = frozenset({307, 308})  # RFC 9110 section 15.4.8 and 15.4.9
REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})

# Fields that the transfer itself decides; a caller's value would break its promises.
_OURS: Final[Mapping[str, str]] = {
    "host": "it comes from the URL",
    "connection": "connections are managed",
    "content-length": "it is counted",
    "transfer-encoding": "it is chosen by the length",
    "content-type": "pass type=",
    "accept-encoding": "only unencoded content can be verified",
    "range": "pass resume=",
    "if-range": "pass resume=",
    "expect": "it is decided by the transfer",
    "te": "trailers are not read",
    "trailer": "trailers are not sent",
    "upgrade": "the protocol is not changed",
    "proxy-authorization": "it is for a proxy alone; put the credentials into proxy=",
}
# Fields of the caller that say nothing about who asks.
_HARMLESS: Final = frozenset({"accept", "accept-language", "user-agent"})


class Body(Protocol):
    """The body of a request, which can be made again as long as `replayable`."""

    @property
    def length(self) -> int | None:
        """Bytes of the body; None sends it in chunks."""

    @property
    def replayable(self) -> bool:
        """Whether `pieces` can be called again."""
        ...

    def pieces(self) -> Iterable[Piece]:
        """Return the bytes of the body from its beginning."""
        ...


@dataclass(frozen=True, kw_only=True)
class Request:
    """One request. `ours` are the fields of the transfer, `theirs` those bound to the origin.

    `codings` are the content codings that are accepted. `repeatable` says that the server takes it twice as well as once (RFC 9110 section 9.2.2).
    `on_interim` is called with each answer before the final one.
    """

    method: str
    url: Url
    ours: tuple[tuple[str, str], ...] = ()
    theirs: tuple[tuple[str, str], ...] = ()
    body: Body | None = None
    repeatable: bool = False
    codings: str = "identity"
    on_interim: Callable[[Head], None] | None = None

    @property
    def again(self) -> bool:
        """Whether it may be sent again when nobody knows whether it arrived."""
        if self.method in _IDEMPOTENT:
            return True
        return self.repeatable and (self.body is None or self.body.replayable)

    @property
    def asks_first(self) -> bool:
        """Whether a refusal should come before the body is sent."""
        if self.body is None:
            return False
        return self.body.length is None or self.body.length >= EXPECT_FROM

    def fields(self) -> list[tuple[str, str]]:
        """Return all field lines in the order in which they are sent."""
        lines = [("Host", self.url.authority)]
        if not any(name.lower() == "user-agent" for name, _ in self.theirs):
            lines.append(("User-Agent", f"wharfinger/{__version__}"))
        if not any(name.lower() == "accept" for name, _ in self.theirs):
            lines.append(("Accept", "*/*"))
        lines.append(("Accept-Encoding", self.codings))
        lines += [*self.theirs, *self.ours]
        if self.body is not None:
            if self.body.length is None:
                lines.append(("Transfer-Encoding", "chunked"))
            else:
                lines.append(("Content-Length", str(self.body.length)))
        return lines


def callers_fields(
    headers: Mapping[str, str] | None, auth: Auth | None
) -> tuple[tuple[str, str], ...]:
    """Return the fields that a caller asks for.

    Raises:
        UsageError: a field that the transfer decides, or credentials that are none.
    """
    if not isinstance(headers, (Mapping, type(None))):
        raise UsageError("headers must be a mapping of text to text.")
    fields = []
    for name, value in (headers or {}).items():
        if not all(isinstance(text, str) for text in (name, value)):
            raise UsageError("headers must be a mapping of text to text.")
        if reason := _OURS.get(name.lower()):
            raise UsageError(f"The header {name} cannot be set: {reason}.")
        fields.append((name, value))
    if auth is not None:
        if any(name.lower() == "authorization" for name, _ in fields):
            raise UsageError("Both auth= and an Authorization header were given.")
        fields.append(("Authorization", _authorization(auth)))
    return tuple(fields)


def _authorization(auth: Auth) -> str:
    match auth:
        case str() if auth:
            return f"Bearer {auth}"
        case (str() as user, str() as password) if ":" not in user:
            pair = f"{user}:{password}".encode()
            return f"Basic {base64.b64encode(pair).decode('ascii')}"
        case _:
            raise UsageError("auth must be a (user, password) pair or a token as text.")


def redirected(request: Request, status: int, headers: Headers) -> Request | None:
    """Return the request of the next hop, or None when the answer is no redirect to follow.

    A GET follows every kind. A request with a body follows 307 and 308 within its origin
    only; 303 is an answer ("it arrived, see there") and is not followed; after anything
    else nobody knows whether the content was kept, which is an error.

    Raises:
        BadResponse: the redirect has no sound Location.
        AddressRefused: it leads from https to http, or to another scheme.
        ResponseError: a request with a body was led elsewhere.
    """
    if status not in REDIRECTS or (request.method not in {"GET", "HEAD"} and status == _SEE_OTHER):
        return None
    target = _location(request.url, headers)
    if request.url.scheme == "https" and target.scheme == "http":
        raise AddressRefused(
            f"{request.url.shown} redirects from https to http.",
            hint="Ask for the http address itself if you accept a transfer that others can read.",
        )
    same_origin = target.origin == request.url.origin
    if request.method not in {"GET", "HEAD"}:
        if status not in _KEEPS_METHOD or not same_origin:
            raise ResponseError(
                f"The server answered {status} and points to {target.shown}; "
                "whether it kept the content is not known.",
                status=status,
                url=request.url.shown,
                hint="Upload to that address if you trust it, or sign in first.",
            )
        if request.body is not None and not request.body.replayable:
            raise ResponseError(
                f"The server redirects to {target.shown}, but the content can be sent only once.",
                status=status,
                url=request.url.shown,
                hint="Upload to that address.",
            )
    theirs = request.theirs if same_origin else harmless_fields(request.theirs)
    return replace(request, url=target, theirs=theirs)


def harmless_fields(theirs: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Return those of a caller's fields that may go to another origin."""
    return tuple(field for field in theirs if field[0].lower() in _HARMLESS)


def _location(url: Url, headers: Headers) -> Url:
    values = headers.get_all("location")
    if len(values) != 1:
        raise BadResponse(f"{url.shown} redirects with {len(values)} Location headers.")
    # Servers send raw UTF-8 here, against RFC 3986; it was read as Latin-1.
    raw = values[0].encode("latin-1")
    try:
        return url.join(raw.decode("utf-8", "replace"))
    except UsageError as error:
        shown = names.show(values[0], limit=80)
        raise BadResponse(f"{url.shown} redirects to {shown!r}: {error}") from error
