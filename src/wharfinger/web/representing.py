"""Records as the JSON that the interface speaks."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from wharfinger.service import Link, StoredFile, Wharf
from wharfinger.web.requests import RequestHead

# Location belongs to what was created (RFC 9110 section 10.2.2); where a file stands that is
# still being checked, Content-Location says.
LOCATION_OF: Final = {True: "Location", False: "Content-Location"}


def file_record(stored: StoredFile, base: str) -> dict[str, object]:
    """Return a file's record; `base` is what stands before "/files/…".

    "details" and "problem" are there when there is something to tell.
    """
    return {
        "id": stored.id,
        "name": stored.name,
        "size": stored.size,
        "type": stored.type,
        "sha256": stored.sha256,
        "state": stored.state.value,
        "collection": stored.collection,
        "created_at": timestamp(stored.created_at),
        "expires_at": None if stored.expires_at is None else timestamp(stored.expires_at),
        "url": f"{base}/files/{stored.id}",
        **_about(stored),
    }


def file_receipt(stored: StoredFile) -> dict[str, object]:
    """Return what whoever sent a file by a link is told of it: nothing of where it lies."""
    return {
        "name": stored.name,
        "size": stored.size,
        "type": stored.type,
        "sha256": stored.sha256,
        "state": stored.state.value,
        "received_at": timestamp(stored.created_at),
        **_about(stored),
    }


def _about(stored: StoredFile) -> dict[str, object]:
    """Return what a look at the content found, and why it is not handed out."""
    told: dict[str, object] = {"details": dict(stored.details)} if stored.details else {}
    if stored.problem is not None:
        told["problem"] = {key: stored.problem[key] for key in ("code", "detail")}
    return told


def link_record(link: Link, url: str) -> dict[str, object]:
    """Return a link's record."""
    return {
        "id": link.id,
        "url": url,
        "expires_at": timestamp(link.expires_at),
        "max_downloads": link.max_downloads,
        "downloads": link.downloads,
        "has_password": link.has_password,
    }


def base_url(wharf: Wharf, head: RequestHead) -> str:
    """Return what stands before the paths of records: the public address, else the mount point.

    Without a public address they are relative to the host, so that no proxy can break them.
    """
    return wharf.settings.public_url or head.root


def link_url(wharf: Wharf, head: RequestHead, link: Link) -> str:
    """Return the absolute address of a link: it is made to be handed to others."""
    if wharf.settings.public_url:
        return link.url
    return f"{head.origin}{head.root}{link.url}"


def timestamp(moment: datetime) -> str:
    """Return a moment as RFC 3339 text in UTC with milliseconds."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
