"""The resumable protocol: what its requests do."""

from __future__ import annotations

from wharfinger.catalog import Upload
from wharfinger.errors import NotFound
from wharfinger.web.answers import Answer
from wharfinger.web.asking import Asked, Wanted
from wharfinger.web.doors import Door
from wharfinger.web.requests import RequestHead


def is_spoken(head: RequestHead) -> bool:
    """Return whether a request speaks this protocol."""
    return "Upload-Complete" in head.headers




def create(asked: Asked, door: Door) -> Answer | Wanted:
    """Begin an upload."""
    raise _not_yet()


def state(asked: Asked, door: Door, upload: Upload) -> Answer:
    """Say where an upload stands."""
    raise _not_yet()


def append(asked: Asked, door: Door, upload: Upload) -> Answer | Wanted:
    """Go on with an upload."""
    raise _not_yet()


def end(asked: Asked, door: Door, upload: Upload) -> Answer:
    """Give an upload up."""
    raise _not_yet()


def _not_yet() -> NotFound:
    return NotFound(
        "Resumable uploads are not served yet.", hint="Send multipart/form-data or raw bytes."
    )
