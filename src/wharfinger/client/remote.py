"""`RemoteWharf`: a service spoken to over HTTP, for listing, sharing and removing."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self
from urllib.parse import quote, urlencode

from wharfinger.client.answers import FIRST_ERROR, response_error
from wharfinger.client.netrc_file import auth_for
from wharfinger.client.request import Request, callers_fields
from wharfinger.client.timeouts import Timeout
from wharfinger.errors import BadResponse, ResponseError, UsageError
from wharfinger.names import show
from wharfinger.net import urls

if TYPE_CHECKING:
    from types import TracebackType

    from wharfinger.client.netrc_file import Netrc
    from wharfinger.client.transport import Answer, Transport

_ID: Final = re.compile(r"(?:^|.*/)([0-9a-f]{32})")
_MAX_JSON: Final = 8 * 1024 * 1024
_PAGE: Final = 500
_DONE: Final = frozenset({200, 201, 202, 204})
Record = dict[str, object]


def file_id(text: str) -> str:
    """Return the id in what a person typed: the id itself, or the address of a file.

    Raises:
        UsageError: there is none.
    """
    match = _ID.fullmatch(text.partition("?")[0].rstrip("/"))
    if match is None:
        raise UsageError(
            f"{show(text, limit=80)!r} is not the id of a file.",
            hint="An id has 32 hexadecimal digits; `wharf ls` lists them.",
        )
    return match[1]


class RemoteWharf:
    """A service at an address.

    Args:
        server: its address with its mount point, such as "https://example.org/storage".
        token: the bearer token, or None.
        transport: what requests go over; it is closed with this.
        timeout: seconds for connecting, head and silence alike.
        netrc: without a token, sign in as a .netrc file says.

    Every method raises ResponseError for an error status, and what a transfer raises when
    the network fails.
    """

    def __init__(
        self,
        server: str,
        token: str | None,
        *,
        transport: Transport,
        timeout: float,
        netrc: Netrc = False,
    ) -> None:
        address = urls.parse(server)
        self._server = server.rstrip("/")
        self._fields = callers_fields(None, token or auth_for(address, netrc))
        self._timeout = Timeout.of(timeout)
        self._transport = transport

    def files(self, *, collection: str | None = None, limit: int | None = None) -> Iterator[Record]:
        """Yield the records of files, newest first, page by page."""
        left = limit
        after: str | None = None
        while left is None or left > 0:
            page = _PAGE if left is None else min(left, _PAGE)
            query = {"limit": str(page), "collection": collection, "after": after}
            wanted = urlencode({key: value for key, value in query.items() if value is not None})
            document = self._ask("GET", f"/files?{wanted}")
            files = document.get("files")
            if not isinstance(files, list) or not all(isinstance(file, dict) for file in files):
                raise BadResponse("The answer is not a listing of files.")
            yield from map(self._absolute, files)
            following = document.get("next")
            if not isinstance(following, str):
                return
            if not files:
                raise BadResponse("The listing goes on and on without files.")
            after = following
            left = None if left is None else left - len(files)

    def info(self, identity: str) -> Record:
        """Return the record of a file; its `url` is absolute."""
        return self._absolute(self._ask("GET", f"/files/{file_id(identity)}/info"))

    def share(self, identity: str, wishes: Mapping[str, object]) -> Record:
        """Return a new link to a file; its `url` is absolute."""
        return self._absolute(self._ask("POST", f"/files/{file_id(identity)}/links", wishes))

    def request(self, collection: str, wishes: Mapping[str, object]) -> Record:
        """Return a new link by which others may send files in; its `url` is absolute."""
        path = f"/collections/{quote(collection, safe='')}/links"
        return self._absolute(self._ask("POST", path, wishes))

    def remove(self, identity: str) -> None:
        """Remove a file."""
        self._ask("DELETE", f"/files/{file_id(identity)}")

    def close(self) -> None:
        """Close the idle connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _absolute(self, record: Record) -> Record:
        address = record.get("url")
        if not isinstance(address, str):
            raise BadResponse("The answer has no address in it.", hint=_HINT)
        try:
            return {**record, "url": str(urls.parse(self._server).join(address))}
        except UsageError as error:
            raise BadResponse(
                f"The answer has the address {show(address)!r}, which is none."
            ) from error

    def _ask(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Record:
        request = Request(
            method=method,
            url=urls.parse(self._server + path),
            ours=() if body is None else (("Content-Type", "application/json"),),
            theirs=self._fields,
            body=None if body is None else _JsonContent(json.dumps(body).encode()),
        )
        with self._send(request) as answer:
            if answer.status >= FIRST_ERROR:
                raise response_error(answer)
            if answer.status not in _DONE:
                # A page to sign in at, for example: nothing was done.
                raise BadResponse(f"The answer is {answer.status}, which is no result.", hint=_HINT)
            content = answer.read(_MAX_JSON)
        if not content:
            return {}
        try:
            document: object = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise BadResponse("The answer is not JSON.", hint=_HINT) from error
        if not isinstance(document, dict):
            raise BadResponse("The answer is not a JSON object.", hint=_HINT)
        return document

    def _send(self, request: Request) -> Answer:
        try:
            return self._transport.send(request, self._timeout.start(time.monotonic))
        except ResponseError as error:
            if error.status >= FIRST_ERROR:
                raise
            # A redirect that is not followed: nobody says that anything was done.
            raise BadResponse(
                f"{request.url.shown} answered {error.status}, a redirect, and no result.",
                hint=_HINT,
            ) from error


_HINT: Final = "Is this the address of a wharfinger service, with its mount point?"


@dataclass(frozen=True, slots=True)
class _JsonContent:
    """A small body that can be sent again."""

    content: bytes
    replayable: bool = True

    @property
    def length(self) -> int:
        return len(self.content)

    def pieces(self) -> Iterable[bytes]:
        return (self.content,)
