"""One strict parse of a URL, used for the check and for the connection alike.

Two parsers that disagree about a host are how address guards are passed by
(ASVS 1.5.3), so there is one, and whatever it does not understand it refuses:
user names, backslashes, white space, control characters, percent signs in the
host, zone ids, and hosts that look like numbers but are not a dotted quad
("0x7f.1", "2130706433", "127.1"), which the resolvers of many systems read as
addresses.
"""

from __future__ import annotations

import ipaddress
import re
import unicodedata
import urllib.parse
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple

from wharfinger import names
from wharfinger.errors import AddressRefused, UsageError

Scheme = Literal["http", "https"]
_DEFAULT_PORTS: Final[dict[str, int]] = {"http": 80, "https": 443}

# RFC 3986 section 3.1 and 3.2; the target is checked and encoded apart.
_URL: Final = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*)://(?P<authority>[^/?#]*)(?P<rest>[^#]*)(?:#.*)?",
    re.DOTALL,
)
_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.ASCII)
_NUMBER: Final = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)
_PORT: Final = re.compile(r"[0-9]{1,5}", re.ASCII)
_MAX_URL: Final = 8000  # RFC 9110 section 4.1 asks for at least 8000 octets
_MAX_HOST: Final = 253  # RFC 1035 section 2.3.4, without the final dot
_MAX_PORT: Final = 65535
# Characters that IDNA 2003 (the standard library) and IDNA 2008 (browsers) map to
# different hosts: UTS 46 section 4, "deviation characters".
_DEVIATIONS: Final = frozenset("\u00df\u03c2\u200c\u200d")
# RFC 3986 section 3.3 and 3.4, and what browsers leave alone in a query.
_TARGET_SAFE: Final = "%/?:@!$&'()*+,;=-._~[]|^`{}"
_NUMERIC_HINT: Final = "Write the address as four decimal numbers, like 192.0.2.1, or use a name."


class Origin(NamedTuple):
    """Scheme, host and port: credentials never leave the origin they were given for."""

    scheme: str
    host: str
    port: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Url:
    """An http or https URL that can mean only one thing.

    `host` is in lower case, in ASCII (A-labels) and without brackets; `port` is never
    left out; `target` is what stands in the request line.
    """

    scheme: Scheme
    host: str
    port: int
    target: str

    @property
    def origin(self) -> Origin:
        """What credentials are bound to."""
        return Origin(self.scheme, self.host, self.port)

    @property
    def path(self) -> str:
        """The path, as it is sent."""
        return self.target.partition("?")[0]

    @property
    def authority(self) -> str:
        """The value of the Host field (RFC 9110 section 7.2)."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def shown(self) -> str:
        """The URL for messages and records: without its query, which may hold secrets."""
        return names.show(f"{self.scheme}://{self.authority}{self.path}")

    @property
    def last_segment(self) -> str:
        """The decoded last segment of the path, "" when there is none. A claimed name, not cleaned."""
        return urllib.parse.unquote(self.path.rstrip("/").rpartition("/")[2], errors="replace")

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.target}"

    def join(self, reference: str) -> Url:
        """Return what a reference in an answer from this URL means (RFC 3986 section 5).

        Raises:
            UsageError, AddressRefused: as `parse`.
        """
        _refuse_unsound_characters(reference)
        try:
            joined = urllib.parse.urljoin(str(self), reference)
        except ValueError as error:
            raise UsageError(f"{names.show(reference, limit=80)!r} is not a reference.") from error
        return parse(joined)


def parse(text: str) -> Url:
    """Return the one meaning of an absolute http or https URL.

    The host is brought to IDNA before anything is checked, and the checked text is what
    is connected to. Characters outside ASCII in path and query are percent-encoded.

    Raises:
        UsageError: the text is not an absolute URL, or is one that parsers disagree about.
        AddressRefused: the scheme is not http or https, or the host is a disguised number.
    """
    if not isinstance(text, str):
        raise UsageError(f"A URL must be text, not {type(text).__name__}.")
    _refuse_unsound_characters(text)
    match = _URL.fullmatch(text)
    if match is None:
        raise UsageError(
            f"{names.show(text, limit=80)!r} is not an absolute URL.",
            hint="Write it whole, like https://example.com/file.jpg.",
        )
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise AddressRefused(
            f"The scheme {names.show(scheme, limit=20)!r} is not transferred here.",
            hint="Use an http or https address.",
        )
    written, port = _split_authority(match["authority"], _DEFAULT_PORTS[scheme])
    return Url(
        scheme="http" if scheme == "http" else "https",
        host=_host(written),
        port=port,
        target=_target(match["rest"]),
    )


def host(text: str) -> str:
    """Return a host name or literal address as `Url.host` has it: ASCII, lower case, no brackets.

    Raises:
        UsageError: it is neither.
        AddressRefused: it is a disguised number.
    """
    if not isinstance(text, str):
        raise UsageError(f"A host must be text, not {type(text).__name__}.")
    _refuse_unsound_characters(text)
    return _bracketed(text) if ":" in text and not text.startswith("[") else _host(text)


def _refuse_unsound_characters(text: str) -> None:
    if len(text) > _MAX_URL:
        raise UsageError(f"The URL is {len(text)} characters long; at most {_MAX_URL} are sent.")
    if text.isascii() and text.isprintable() and " " not in text and "\\" not in text:
        return  # nearly always
    for character in text:
        if character == "\\" or unicodedata.category(character) in {"Cc", "Cs", "Zs", "Zl", "Zp"}:
            raise UsageError(
                f"The URL has the character U+{ord(character):04X}, which parsers disagree about.",
                hint="Percent-encode it: a space is %20, a backslash %5C.",
            )


def _split_authority(authority: str, default_port: int) -> tuple[str, int]:
    if "@" in authority:
        raise UsageError(
            "The URL holds a user name or an @ before its host.",
            hint="Leave it out and pass the credentials as auth=.",
        )
    if authority.startswith("["):
        literal, bracket, rest = authority.partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UsageError("The URL's bracketed address is not closed properly.")
        host, colon, port = f"{literal}]", rest[:1], rest[1:]
    else:
        host, colon, port = authority.partition(":")
    if not colon or not port:
        return host, default_port
    if not _PORT.fullmatch(port) or not 0 < int(port) <= _MAX_PORT:
        raise UsageError(
            f"The URL's port {names.show(port, limit=20)!r} is not a number from 1 to 65535."
        )
    return host, int(port)


def _host(written: str) -> str:
    if not written:
        raise UsageError("The URL has no host.")
    if written.startswith("["):
        return _bracketed(written[1:-1])
    host = _ascii(written)
    labels = host.removesuffix(".").split(".")
    if _NUMBER.fullmatch(labels[-1]):
        return _dotted_quad(host)
    if len(host.removesuffix(".")) > _MAX_HOST or not all(map(_LABEL.fullmatch, labels)):
        raise UsageError(f"{names.show(written, limit=80)!r} is not a host name.")
    return host


def _bracketed(literal: str) -> str:
    # A zone id ("%eth0") names an interface of this machine; no server has a say in that.
    if "%" in literal or not literal.isascii():
        raise UsageError(f"{names.show(literal, limit=80)!r} is not an IPv6 address.")
    try:
        return str(ipaddress.IPv6Address(literal))
    except ValueError:
        raise UsageError(f"{names.show(literal, limit=80)!r} is not an IPv6 address.") from None


def _dotted_quad(host: str) -> str:
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        raise AddressRefused(
            f"The host {names.show(host, limit=80)!r} is a number that is not a plain IPv4 address.",
            hint=_NUMERIC_HINT,
        ) from None


def _ascii(written: str) -> str:
    if written.isascii():
        return written.lower()
    if _DEVIATIONS.intersection(written):
        raise UsageError(
            f"The host {names.show(written, limit=80)!r} means different names to different programs.",
            hint='Write its ASCII form, the one that begins with "xn--".',
        )
    try:
        return written.encode("idna").decode("ascii").lower()
    except UnicodeError:
        raise UsageError(f"{names.show(written, limit=80)!r} is not a host name.") from None


def _target(rest: str) -> str:
    target = urllib.parse.quote(rest, safe=_TARGET_SAFE)
    return target if target.startswith("/") else f"/{target}"
