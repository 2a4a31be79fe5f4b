"""Upload links: by one of them others may send files into a collection, under limits.

The address holds the link's random id and a signature over its purpose, id and collection;
what it permits is in the catalog, so that it can be counted and revoked.

* What comes belongs to the link's owner. Whoever sends sees nothing of what is there.
* The collection's policy holds; a link can only narrow it.
* Files and bytes are counted in the transaction that records the file: of any number of
  senders at once, in any number of processes, as many pass as there is room for.
* An upload that comes in several requests takes its place among the link's files, and its
  declared length of the bytes, when it begins, so that a link never holds more open uploads
  than files may come by it. It keeps nothing from files that are complete, and one that
  stands still gives its place to whoever begins anew.
* A link that is forged, unknown, expired, revoked or used up gets one answer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from itsdangerous import Signer

from wharfinger.catalog import Catalog, StoredFile, Upload, UploadLink
from wharfinger.catalog import upload_links as statements
from wharfinger.catalog import uploads as upload_statements
from wharfinger.errors import NotFound, QuotaExceeded, TooLarge, UsageError
from wharfinger.policy import Policy
from wharfinger.protocol.tus_server import PARTIAL
from wharfinger.service.collections import Collection
from wharfinger.service.keyring import KeyRing
from wharfinger.service.links import DEFAULT_EXPIRES_IN, MAX_EXPIRES_IN

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from wharfinger.service.receiving import Reception
    from wharfinger.service.wharf import Wharf

MAX_FILES: Final = 1_000_000
MAX_BYTES: Final = 1 << 50
# An upload that nobody moved for so long has been left, or its sender lost its address.
STANDS_STILL: Final = timedelta(minutes=10)
_MAX_TYPES: Final = 64
# One salt a purpose: a signature for one never serves for another.
_SALT: Final = "wharfinger.link.upload.v1"
_TOKEN: Final = re.compile(r"([0-9a-f]{32})\.([A-Za-z0-9_-]{43})")
_LATER: Final = (
    "Wait until what is being sent has come in: an upload that nobody goes on with gives up its "
    "place after ten minutes."
)
# What an unknown link is compared as, so that the same work is done for it.
_NOWHERE: Final = "-"


class UploadLinks:
    """The upload links of one service."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        keys: Callable[[], KeyRing],
        now: Callable[[], datetime],
        collections: Mapping[str, Collection],
        base_url: str,
    ) -> None:
        self._catalog = catalog
        self._keys = keys
        self._now = now
        self._collections = collections
        self._base_url = base_url

    def create(
        self,
        place: Collection,
        *,
        owner: str | None,
        expires_in: int = DEFAULT_EXPIRES_IN,
        max_files: int | None = None,
        max_bytes: int | None = None,
        types: str | Iterable[str] | None = None,
    ) -> UploadLink:
        """Return a new link into a collection. Raises UsageError."""
        _check("expires_in", expires_in, MAX_EXPIRES_IN, " seconds")
        if max_files is not None:
            _check("max_files", max_files, MAX_FILES)
        if max_bytes is not None:
            _check("max_bytes", max_bytes, MAX_BYTES)
            if max_bytes < place.policy.min_size:
                raise UsageError(
                    f"max_bytes is {max_bytes}; a file in {place.name!r} has at least "
                    f"{place.policy.min_size} bytes."
                )
        wanted = None if types is None else Policy(types=types).types
        if wanted is not None:
            if len(wanted) > _MAX_TYPES:
                raise UsageError(f"types may name {_MAX_TYPES} types, not {len(wanted)}.")
            if not common_types(place.policy.types, wanted):
                raise UsageError(f"{place.name!r} accepts none of these types.")
        now = self._now()
        link = UploadLink(
            id=secrets.token_hex(16),
            collection=place.name,
            owner=owner,
            created_at=now,
            expires_at=now + timedelta(seconds=expires_in),
            max_files=max_files,
            max_bytes=max_bytes,
            types=wanted,
        )
        self._catalog().write(lambda connection: statements.add(connection, link))
        return self._with_url(link)

    def of_collection(self, collection: str, *, owner: str | None = None) -> list[UploadLink]:
        """Return the links of a collection that still work, oldest first.

        Args:
            collection: its name.
            owner: only those of this principal; None for everybody's.
        """
        now = self._now()
        found = self._catalog().read(
            lambda connection: statements.of_collection(connection, collection, now, owner=owner)
        )
        return [self._with_url(link) for link in found]

    def find(self, link_id: str) -> UploadLink:
        """Return a link by its id. Raises NotFound."""
        link = self._catalog().read(lambda connection: statements.find(connection, link_id))
        if link is None:
            raise NotFound
        return self._with_url(link)

    def redeem(self, token: str, *, used_up: bool = False) -> UploadLink:
        """Return the link that the last part of a link's address stands for; nothing is counted.

        Args:
            token: the last part of the address, as it came.
            used_up: a link that takes nothing more is good, too: for whoever asks what
                became of an upload.

        Raises:
            NotFound: forged, unknown, revoked, expired or used up, or its collection is gone:
                one answer for all.
        """
        match = _TOKEN.fullmatch(token)
        if match is None:
            raise NotFound
        link_id, signature = match[1], match[2]
        link = self._catalog().read(lambda connection: statements.find(connection, link_id))
        collection = _NOWHERE if link is None else link.collection
        # Comparing texts, not decoded bytes: base64 has several spellings of one value.
        genuine = [
            hmac.compare_digest(_signature(key, link_id, collection), signature)
            for key in self._keys().current()
        ]
        if not any(genuine) or link is None or link.expires_at <= self._now():
            raise NotFound
        if self._place(link) is None and not (used_up and link.collection in self._collections):
            raise NotFound
        return self._with_url(link)

    def place(self, link: UploadLink) -> Collection:
        """Return a link's collection, its policy narrowed to what the link permits now.

        Raises:
            NotFound: the link has ended, or is used up.
        """
        place = self._place(link)
        if place is None:
            raise NotFound
        return place

    def narrowed(self, link_id: str) -> Collection:
        """Return `place` for the link with this id, as it stands in the catalog. Raises NotFound."""
        return self.place(self.find(link_id))

    def count(self, connection: Connection, link_id: str, stored: StoredFile) -> None:
        """Count a file that came by a link, in the transaction that records it.

        Raises:
            NotFound: the link has ended, or others used it up.
            TooLarge: others left no room for this many bytes.
        """
        if statements.count(connection, link_id, stored.size, self._now()):
            return
        link = statements.find(connection, link_id)
        if link is None or link.expires_at <= self._now() or link.files_left == 0:
            raise NotFound
        left = link.bytes_left or 0
        raise TooLarge(
            f"The link has room for {left} bytes more; the file has {stored.size}.",
            limit=left,
            size=stored.size,
        )

    def reserve(
        self,
        connection: Connection,
        upload: Upload,
        *,
        length: int,
        idle: timedelta,
        in_use: Callable[[str], bool],
    ) -> list[str]:
        """Give an upload its place among the others that are open by its link.

        Called in the transaction that records it. Returns the ids of those that stood still and
        gave up their places; their records are gone.

        Args:
            connection: the transaction.
            upload: one that came by a link.
            length: how many bytes it adds to what is there.
            idle: how long an upload lives that nobody moves.
            in_use: whether somebody holds the bytes of an upload, as who checks them does.

        Raises:
            NotFound: the link has ended, or is used up.
            QuotaExceeded: the others leave no room for it.
        """
        link, others = self._beside(connection, upload)
        left_behind: list[str] = []
        before = self._now() + idle - STANDS_STILL
        while (full := self._full(link, others, upload, length)) is not None:
            # In its last day an upload counts as one that stands still: its end moves no more.
            still = (one for one in others if one.expires_at <= before and not in_use(one.id))
            if (one := next(still, None)) is None:
                raise full
            others.remove(one)
            left_behind.append(one.id)
        for upload_id in left_behind:
            upload_statements.remove(connection, upload_id)
        return left_behind

    def check_growth(self, connection: Connection, upload: Upload, *, length: int) -> None:
        """Look whether an upload of a link may come to this length. Raises as `reserve`."""
        link, others = self._beside(connection, upload)
        if (full := self._full(link, others, upload, length)) is not None:
            raise full

    def _beside(self, connection: Connection, upload: Upload) -> tuple[UploadLink, list[Upload]]:
        link = statements.find(connection, upload.link_id or "")
        if link is None or self._place(link) is None:
            raise NotFound
        return link, upload_statements.open_of_link(connection, link, besides=upload.id)

    def _full(
        self, link: UploadLink, others: Sequence[Upload], upload: Upload, length: int
    ) -> QuotaExceeded | None:
        """Return why a link has no room for an upload beside others, or None."""
        wholes = sum(other.concat != PARTIAL for other in others)
        files, room = link.files_left, link.bytes_left
        if files is not None:
            if upload.concat != PARTIAL and wholes >= files:
                return QuotaExceeded(
                    f"The link takes {files} more files, and {wholes} are being sent by it.",
                    what="uploads",
                    limit=files,
                    used=wholes,
                    hint=_LATER,
                )
            # Parts of files are no files; together they are no more than those could be.
            most = files * self._collections[link.collection].policy.max_size
            room = most if room is None else min(room, most)
        taken = sum(_takes(other) for other in others)
        if room is not None and taken + length > room:
            return QuotaExceeded(
                f"The link has room for {room} bytes more, and {taken} are being sent by it; "
                f"with this there would be {taken + length}.",
                what="bytes",
                limit=room,
                used=taken + length,
                hint=_LATER,
            )
        return None

    def revoke(self, link_id: str) -> None:
        """Make a link worthless at once; what came by it stays. Raises NotFound."""
        if not self._catalog().write(lambda connection: statements.remove(connection, link_id)):
            raise NotFound

    def forget(self, now: datetime) -> int:
        """Remove links that have expired; return how many."""
        return self._catalog().write(lambda connection: statements.forget_expired(connection, now))

    def _place(self, link: UploadLink) -> Collection | None:
        place = self._collections.get(link.collection)
        if place is None or link.expires_at <= self._now() or link.files_left == 0:
            return None
        policy, left = place.policy, link.bytes_left
        types = common_types(policy.types, link.types)
        if types is not None and not types:
            return None
        if left is not None and (left == 0 or left < policy.min_size):
            return None
        narrowed = policy.narrowed(
            types=types,
            max_size=policy.max_size if left is None else min(policy.max_size, left),
        )
        return replace(place, policy=narrowed)

    def _with_url(self, link: UploadLink) -> UploadLink:
        made = _signature(self._keys().current()[0], link.id, link.collection)
        return replace(link, url=f"{self._base_url}/u/{link.id}.{made}")


class LinkReceiver:
    """Receives files of one request by a link: each has the room that those before it left."""

    def __init__(self, wharf: Wharf, link: UploadLink) -> None:
        self._wharf = wharf
        self._link = link
        self._receptions: list[Reception] = []

    def collection(self, name: str) -> Collection:  # noqa: ARG002 - the link's, whatever the name
        """Return the link's collection as the link narrows it. Raises NotFound."""
        return self._wharf.upload_links.place(self._link)

    def begin(
        self,
        collection: str,  # noqa: ARG002
        *,
        name: str | None = None,
        type: str | None = None,  # noqa: A002 - the field's own word
        length: int | None = None,
        owner: str | None = None,  # noqa: ARG002
    ) -> Reception:
        """Return a reception under the link's limits. Raises as `Wharf.begin`, and TooLarge."""
        came = sum(reception.received for reception in self._receptions)
        link = replace(self._link, bytes=self._link.bytes + came)
        if link.bytes_left == 0:
            raise TooLarge("The link has no room for another file.", limit=0)
        reception = self._wharf.begin(
            link.collection, name=name, type=type, length=length, owner=link.owner, link=link
        )
        self._receptions.append(reception)
        return reception

    def finish_all(self, receptions: Sequence[Reception]) -> list[StoredFile]:
        """Accept them all, or none, and count them."""
        return self._wharf.finish_all(receptions)


def common_types(
    first: frozenset[str] | None, second: frozenset[str] | None
) -> frozenset[str] | None:
    """Return the media types that both of two policies accept; None stands for any type."""
    if first is None or second is None:
        return first if second is None else second
    return frozenset(
        one
        for some, others in ((first, second), (second, first))
        for one in some
        if one in others or f"{one.partition('/')[0]}/*" in others
    )


def _takes(upload: Upload) -> int:
    """Return how many bytes an open upload may come to; a whole has those of its parts."""
    if upload.concat not in {None, PARTIAL}:
        return 0
    return upload.offset if upload.length is None else upload.length


def _check(name: str, value: object, most: int, unit: str = "") -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 < value <= most:
        raise UsageError(f"{name} must be 1 to {most}{unit}, not {value}.")


def _signature(key: bytes, link_id: str, collection: str) -> str:
    # The id has its one length, so that no two pairs read the same.
    signer = Signer(key, salt=_SALT, key_derivation="hmac", digest_method=hashlib.sha256)
    return signer.get_signature(f"{link_id}:{collection}").decode("ascii")
