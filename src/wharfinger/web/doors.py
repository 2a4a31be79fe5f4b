"""`Door`: through what an upload comes in, and what that permits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from wharfinger.catalog import Upload
from wharfinger.errors import NotFound
from wharfinger.service import Principal, Wharf


@dataclass(frozen=True, kw_only=True, slots=True)
class Door:
    """Where files go and whose they are.

    Args:
        collection: the collection that they go into.
        principal: who sends them; the files belong to it.
        base: the address under which uploads lie, without a slash at its end.
        link_id: the upload link that permits it, if one does.
        still_open: asked again before an upload becomes a file: raises what is in its way
            now (a token that was revoked, a link that ended since).
    """

    collection: str
    principal: Principal
    base: str
    link_id: str | None = None
    still_open: Callable[[], object] = lambda: None

    def upload(self, wharf: Wharf, upload_id: str) -> Upload:
        """Return an upload that came through this door. Raises NotFound."""
        found = wharf.uploads.find(upload_id, self.principal)
        if found.collection != self.collection or found.link_id != self.link_id:
            raise NotFound
        return found

    def address(self, upload: Upload) -> str:
        """Return the address of an upload."""
        return f"{self.base}/{upload.id}"
