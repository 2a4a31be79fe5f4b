"""Download links: a signed name for a row in the catalog.

The address holds the link's random id and a signature over it; what the link permits
(which file, until when, how often, under which name) is in the catalog, so that it can be
revoked and counted. The signature is checked first, in constant time and in its one
canonical spelling, so that guesses never reach the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal

from itsdangerous import Signer

from wharfinger.catalog import Catalog, FileState, Link, StoredFile
from wharfinger.catalog import files as file_statements
from wharfinger.catalog import links as statements
from wharfinger.errors import NameRejected, NotFound, NotReady, UsageError
from wharfinger.inspection import extension_of_type, type_of_extension
from wharfinger.names import extension, judge

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A link that nobody set a time for works for a week; none works for more than a year.
DEFAULT_EXPIRES_IN: Final = 7 * 86400
MAX_EXPIRES_IN: Final = 366 * 86400
MAX_DOWNLOADS: Final = 1_000_000
# One salt a purpose: a signature for one never serves for another.
_DOWNLOAD_SALT: Final = "wharfinger.link.download.v1"
_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")


class Links:
    """The download links of one service."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        keys: Callable[[], tuple[bytes, ...]],
        now: Callable[[], datetime],
        base_url: str,
    ) -> None:
        self._catalog = catalog
        self._keys = keys
        self._now = now
        self._base_url = base_url

    def create(
        self,
        stored: StoredFile,
        *,
        owner: str | None,
        expires_in: int,
        max_downloads: int | None,
        download_name: str | None,
        disposition: Literal["attachment", "inline"],
    ) -> Link:
        """Return a new link to a ready file. Raises UsageError and NotReady."""
        if not 0 < expires_in <= MAX_EXPIRES_IN:
            raise UsageError(f"expires_in must be 1 to {MAX_EXPIRES_IN} seconds, not {expires_in}.")
        if max_downloads is not None and not 0 < max_downloads <= MAX_DOWNLOADS:
            raise UsageError(f"max_downloads must be 1 to {MAX_DOWNLOADS}, not {max_downloads}.")
        if disposition not in ("attachment", "inline"):
            raise UsageError(f"disposition is 'attachment' or 'inline', not {disposition!r}.")
        if stored.state is not FileState.READY:
            raise NotReady(f"The file is {stored.state.value}; only ready files can be shared.")
        name = None if download_name is None else _judged_name(download_name, stored)
        now = self._now()
        link = Link(
            id=secrets.token_hex(16),
            file_id=stored.id,
            owner=owner,
            created_at=now,
            expires_at=now + timedelta(seconds=expires_in),
            max_downloads=max_downloads,
            downloads=0,
            download_name=name,
            disposition=disposition,
        )
        self._catalog().write(lambda connection: statements.add(connection, link))
        return self._with_url(link)

    def of_file(self, file_id: str) -> list[Link]:
        """Return the links of a file that still work, oldest first."""
        now = self._now()
        found = self._catalog().read(
            lambda connection: statements.of_file(connection, file_id, now)
        )
        return [self._with_url(link) for link in found]

    def find(self, link_id: str) -> Link:
        """Return a link by its id. Raises NotFound."""
        link = self._catalog().read(lambda connection: statements.find(connection, link_id))
        if link is None:
            raise NotFound
        return self._with_url(link)

    def redeem(self, token: str) -> tuple[Link, StoredFile]:
        """Return the link and the ready file that the last part of a link's address stands for.

        Nothing is counted; `claim` does that when bytes are about to be sent.

        Raises:
            NotFound: forged, unknown, revoked, expired or spent link, or its file is gone:
                one answer for all.
        """
        link_id = self._verified(token)

        def look_up(connection: Connection) -> tuple[Link | None, StoredFile | None]:
            link = statements.find(connection, link_id)
            if link is None:
                return None, None
            return link, file_statements.find(connection, link.file_id)

        link, stored = self._catalog().read(look_up)
        now = self._now()
        if (
            link is None
            or link.expires_at <= now
            or (link.max_downloads is not None and link.downloads >= link.max_downloads)
            or stored is None
            or stored.state is not FileState.READY
            or (stored.expires_at is not None and stored.expires_at <= now)
        ):
            raise NotFound
        return self._with_url(link), stored

    def claim(self, link: Link) -> None:
        """Count one download. Of many callers at once only as many succeed as are left.

        Raises:
            NotFound: none is left, or the link was revoked or expired meanwhile.
        """
        now = self._now()
        if not self._catalog().write(lambda connection: statements.claim(connection, link.id, now)):
            raise NotFound

    def revoke(self, link_id: str) -> None:
        """Make a link worthless at once. Raises NotFound."""
        if not self._catalog().write(lambda connection: statements.remove(connection, link_id)):
            raise NotFound

    def _with_url(self, link: Link) -> Link:
        token = f"{link.id}.{_signature(self._keys()[0], link.id)}"
        return replace(link, url=f"{self._base_url}/d/{token}")

    def _verified(self, token: str) -> str:
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise NotFound
        # Comparing texts, not decoded bytes: base64 has several spellings of one value.
        good = [hmac.compare_digest(_signature(key, match[1]), match[2]) for key in self._keys()]
        if not any(good):
            raise NotFound
        return match[1]


def _judged_name(claimed: str, stored: StoredFile) -> str:
    """Return the name to save under; its extension must not say another type than the file has."""
    name = judge(claimed)
    wished = extension(name)
    if wished and wished != extension(stored.name) and type_of_extension(wished) != stored.type:
        raise NameRejected(
            f"The file is {stored.type}; the extension {wished!r} does not fit it.",
            hint=f"Let the name end in {extension(stored.name) or extension_of_type(stored.type)!r}.",
        )
    return name


def _signature(key: bytes, link_id: str) -> str:
    signer = Signer(key, salt=_DOWNLOAD_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    return signer.get_signature(link_id).decode("ascii")
