"""What arguments of other clients are called here.

Whoever comes from requests or httpx writes `verify=` or `stream=` by habit. Such a word gets
one sentence that says what to do instead; any other wrong word stays Python's own TypeError.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

from wharfinger.errors import UsageError

_F = TypeVar("_F", bound=Callable[..., Any])

_REDIRECTS: Final = (
    "Redirects are always followed, up to 5, and each one passes the address guard.",
    "Leave it out; `url` of what comes back says where it ended.",
)
_TRUST: Final = (
    "Certificates are always verified.",
    "Trust an authority of your own: pass tls=ssl.create_default_context(cafile=...).",
)
_QUERY: Final = (
    "The query is a part of the URL.",
    'Write it there: f"{url}?{urllib.parse.urlencode(params)}".',
)
_COOKIES: Final = (
    "Cookies are not kept; one that you have is a header field.",
    'Pass headers={"Cookie": "name=value"}; it stays with the origin of the URL.',
)
_PROXY: Final = (
    "One proxy is named, and trusted, at a time.",
    'Pass proxy="http://proxy.example:3128" or proxy="environment", and trust_proxy=True.',
)
_PIN: Final = (
    "A client certificate is a part of the TLS context.",
    "Call load_cert_chain(...) on an ssl.create_default_context(), and pass that as tls=.",
)
# What every call says, and then what differs between the directions.
_EVERYWHERE: Final[dict[str, tuple[str, str]]] = {
    "verify": _TRUST,
    "cert": _PIN,
    "params": _QUERY,
    "cookies": _COOKIES,
    "allow_redirects": _REDIRECTS,
    "follow_redirects": _REDIRECTS,
    "proxies": _PROXY,
}
_NO_BODY: Final = (
    "A download sends no content.",
    "To send a file, or the fields of a form, call upload.",
)
DOWNLOAD: Final[Mapping[str, tuple[str, str]]] = _EVERYWHERE | {
    "stream": (
        "A download is always streamed, at flat memory, to its destination.",
        "Leave it out; dest= may be a path, a folder or a file object open for writing.",
    ),
    "data": _NO_BODY,
    "files": _NO_BODY,
    "json": _NO_BODY,
    "content": _NO_BODY,
}
_STREAMED: Final = (
    "A file is always sent as a stream, at flat memory.",
    "Leave it out; the reply of the server is short and is read at once.",
)
_FIELDS: Final = (
    "A form is made of the file and of fields=.",
    "Pass the fields of a form as fields={...}; bytes to be sent are the first argument.",
)
UPLOAD: Final[Mapping[str, tuple[str, str]]] = _EVERYWHERE | {
    "stream": _STREAMED,
    "data": _FIELDS,
    "content": _FIELDS,
    "files": (
        "The files are the first argument.",
        'Pass a path, bytes, a file object or a list of these; field="..." names their field.',
    ),
}
CLIENT: Final[Mapping[str, tuple[str, str]]] = _EVERYWHERE


def explained(words: Mapping[str, tuple[str, str]]) -> Callable[[_F], _F]:
    """Have a function say, by a UsageError, what words that other clients have are here."""

    def decorate(function: _F) -> _F:
        @functools.wraps(function)
        def call(*arguments: Any, **options: Any) -> Any:
            for word in options:
                if word in words:
                    what, instead = words[word]
                    raise UsageError(f"There is no {word}= here: {what}", hint=instead)
            return function(*arguments, **options)

        return call  # type: ignore[return-value]

    return decorate
