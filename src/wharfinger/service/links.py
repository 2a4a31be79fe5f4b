"""Download links: a signed name for a row in the catalog.

The address holds the link's random id and a signature; what the link permits (until when,
how often, under which name, behind which password) is in the catalog, so that it can be
revoked and counted. The signature binds the id to its purpose, to one file and to one
version of that file: should a file ever have another content, its links are dead.

A link that is forged, unknown, expired, revoked or used up gets one answer after the
same work: the look-up and the comparison are done for all of them.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

from itsdangerous import Signer

from wharfinger.catalog import Catalog, FileState, Link, StoredFile
from wharfinger.catalog import claims as claim_statements
from wharfinger.catalog import files as file_statements
from wharfinger.catalog import links as statements
from wharfinger.catalog.records import ClaimState
from wharfinger.errors import NameRejected, NotFound, NotReady, UsageError
from wharfinger.inspection import extension_of_type, type_of_extension
from wharfinger.names import extension, judge
from wharfinger.service.claims import Claims
from wharfinger.service.keyring import KeyRing
from wharfinger.service.passwords import Passwords, hash_password

if TYPE_CHECKING:
    from sqlalchemy import Connection

# A link that nobody set a time for works for a week; none works for more than a year.
DEFAULT_EXPIRES_IN: Final = 7 * 86400
MAX_EXPIRES_IN: Final = 366 * 86400
MAX_DOWNLOADS: Final = 1_000_000
# One salt a purpose: a signature for one never serves for another.
_SALT: Final = "wharfinger.link.download.v2"
# Signed the id alone. No new ones are made, and those that were given out stay good.
_FIRST_SALT: Final = "wharfinger.link.download.v1"
_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")
# Stands in where there is no such link, so that the same is looked up and compared.
_NOWHERE: Final = "0" * 32
# A request has a reason to name one claim; more than a few are a search.
_MAX_NAMED: Final = 4


class Redeemed(NamedTuple):
    """What a link leads to; `claim` is the id of the one that the request goes on with."""

    link: Link
    file: StoredFile
    claim: str | None


class Links:
    """The download links of one service."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        keys: Callable[[], KeyRing],
        now: Callable[[], datetime],
        base_url: str,
        spent: Callable[[Connection, Link, StoredFile], None] | None = None,
    ) -> None:
        self._catalog = catalog
        self._keys = keys
        self._now = now
        self._base_url = base_url
        self._when_spent = spent
        self.claims = Claims(catalog, now, self._spent)
        self.passwords = Passwords(catalog, now)

    def create(
        self,
        stored: StoredFile,
        *,
        owner: str | None,
        expires_in: int,
        max_downloads: int | None,
        download_name: str | None,
        disposition: Literal["attachment", "inline"],
        password: str | None = None,
    ) -> Link:
        """Return a new link to a ready file. Raises UsageError and NotReady."""
        if not 0 < expires_in <= MAX_EXPIRES_IN:
            raise UsageError(f"expires_in must be 1 to {MAX_EXPIRES_IN} seconds, not {expires_in}.")
        if max_downloads is not None and not 0 < max_downloads <= MAX_DOWNLOADS:
            raise UsageError(f"max_downloads must be 1 to {MAX_DOWNLOADS}, not {max_downloads}.")
        if disposition not in ("attachment", "inline"):
            raise UsageError(f"disposition is 'attachment' or 'inline', not {disposition!r}.")
        if stored.state is not FileState.READY:
            raise NotReady(
                f"Only ready files can be shared; this one's state is {stored.state.value!r}."
            )
        name = None if download_name is None else _judged_name(download_name, stored)
        kept = None if password is None else hash_password(password)
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
            sha256=stored.sha256,
            has_password=kept is not None,
        )
        self._catalog().write(lambda connection: statements.add(connection, link, kept))
        return self._with_url(link)

    def of_file(self, file_id: str) -> list[Link]:
        """Return the links of a file that still work, oldest first.

        Also one that is used up, as long as somebody may go on with a claim of it.
        """
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

    def redeem(self, token: str, *, named: Iterable[str] = ()) -> Redeemed:
        """Return the link and the ready file that the last part of a link's address stands for.

        Nothing is counted; `claims.take` does that when bytes are about to be sent. The
        password is not asked for; `passwords.check` does that.

        Args:
            token: the last part of the address, as it came.
            named: ids of claims that the request names. One that may go on makes a link
                good whose downloads are used up.

        Raises:
            NotFound: forged, unknown, revoked, expired or spent link, or its file is gone
                or has another content: one answer for all.
        """
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise NotFound
        link_id, signature = match[1], match[2]
        names = list(named)[:_MAX_NAMED]
        now = self._now()

        def look_up(connection: Connection) -> tuple[Link | None, StoredFile | None, str | None]:
            link = statements.find(connection, link_id)
            stored = file_statements.find(connection, _NOWHERE if link is None else link.file_id)
            for name in names:
                state = claim_statements.live(connection, name, link_id, now)
                if state is ClaimState.OPEN or (state is not None and link and _has_left(link)):
                    return link, stored, name
            return link, stored, None

        link, stored, claim = self._catalog().read(look_up)
        genuine = self._is_genuine(link_id, link, signature)
        if (
            not genuine
            or link is None
            or stored is None
            or link.expires_at <= now
            or (claim is None and not _has_left(link))
            or stored.state is not FileState.READY
            or stored.sha256 != link.sha256
            or (stored.expires_at is not None and stored.expires_at <= now)
        ):
            raise NotFound
        return Redeemed(self._with_url(link), stored, claim)

    def count(self, link: Link) -> None:
        """Count one download of a link that has no limit; returns at once."""
        now = self._now()

        def count(connection: Connection) -> None:
            statements.count(connection, link.id, now)

        self._catalog().write_soon(count)

    def revoke(self, link_id: str) -> None:
        """Make a link and its claims worthless at once. Raises NotFound."""
        if not self._catalog().write(
            lambda connection: statements.remove(connection, link_id), revokes=True
        ):
            raise NotFound

    def _spent(self, connection: Connection, link_id: str) -> None:
        """Tell, in the transaction that counted a download, when it was the last one."""
        link = statements.find(connection, link_id)
        if link is None or self._when_spent is None or _has_left(link):
            return
        stored = file_statements.find(connection, link.file_id)
        if stored is not None:
            self._when_spent(connection, link, stored)

    def _with_url(self, link: Link) -> Link:
        token = f"{link.id}.{_signature(self._keys().current()[0], link.id, link)}"
        return replace(link, url=f"{self._base_url}/d/{token}")

    def _is_genuine(self, link_id: str, link: Link | None, signature: str) -> bool:
        # Comparing texts, not decoded bytes: base64 has several spellings of one value.
        good = [
            hmac.compare_digest(made, signature)
            for key in self._keys().current()
            for made in (_signature(key, link_id, link), _first_signature(key, link_id))
        ]
        return any(good)


def _has_left(link: Link) -> bool:
    return link.max_downloads is None or link.downloads < link.max_downloads


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


def _signature(key: bytes, link_id: str, link: Link | None) -> str:
    # Each part has its one length, so that no two triples read the same.
    file_id, sha256 = (_NOWHERE, 2 * _NOWHERE) if link is None else (link.file_id, link.sha256)
    return _signed(key, _SALT, f"{link_id}:{file_id}:{sha256}")


def _first_signature(key: bytes, link_id: str) -> str:
    return _signed(key, _FIRST_SALT, link_id)


def _signed(key: bytes, salt: str, text: str) -> str:
    signer = Signer(key, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
    return signer.get_signature(text).decode("ascii")
