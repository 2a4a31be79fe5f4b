"""`Reply`: what a server answered to an upload, and where it says the file is now."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from wharfinger.errors import AddressRefused, BadResponse, UsageError
from wharfinger.net.urls import Url, parse

if TYPE_CHECKING:
    from wharfinger.protocol.headers import Headers


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """A successful answer to an upload.

    `status` is its status, `headers` its header fields, `body` its bytes (at most 4 MiB
    are read), `posted_to` the address that answered. `upload_url` is the address that a
    resumable protocol gave to the upload.
    """

    status: int
    headers: Headers
    body: bytes
    posted_to: str
    upload_url: str | None = None

    def json(self) -> Any:
        """Return the body as JSON. Its shape is the server's affair, so it is not typed.

        Raises:
            BadResponse: it is not JSON.
        """
        try:
            return json.loads(self.body.decode("utf-8"))
        except (ValueError, RecursionError) as error:
            raise BadResponse("The server's reply is not JSON.") from error

    @property
    def url(self) -> str | None:
        """Where the file is now, as far as the server says; an absolute http or https URL.

        That is `Location`, else the `url` of the first record in the reply's `files`, else
        the reply's `url` unless it is the address that was posted to, else None. Of a
        resumable upload it is `Content-Location`, else the address of the upload.
        """
        if self.upload_url is not None:
            base = parse(self.upload_url)
            at = _absolute(base, self.headers.get("content-location"))
            return str(base if at is None else at)
        try:
            document: object = self.json()
        except BadResponse:
            document = None
        posted_to = parse(self.posted_to)
        location = self.headers.get_all("location")
        files = document.get("files") if isinstance(document, dict) else None
        record = files[0] if isinstance(files, list) and files else None
        for claimed in (location[0] if len(location) == 1 else None, _url_of(record)):
            if (found := _absolute(posted_to, claimed)) is not None:
                return str(found)
        echoed = _absolute(posted_to, _url_of(document))
        return None if echoed is None or echoed == posted_to else str(echoed)


def _url_of(document: object) -> object:
    return document.get("url") if isinstance(document, dict) else None


def _absolute(base: Url, claimed: object) -> Url | None:
    if not isinstance(claimed, str) or not claimed:
        return None
    try:
        return base.join(claimed)
    except (UsageError, AddressRefused):
        return None
