"""Claims: the counted downloads of links that may be used only so often.

A claim is one download. It is taken, atomically, before the first byte is sent; further
requests may go on with it, for ranges or after a broken connection, and do not count.

* It is spent when the file's last byte and as many bytes as the file has were delivered.
* Its requests may send `ALLOWANCE` times the file in all, so that nobody lives on ranges
  that spare the last byte.
* When its first request breaks and no other has come, the counting is taken back, at most
  `GIVEN_BACK` times a link: whoever starts anew is not shut out by a bad network, and
  whoever breaks on purpose gains little. Going on with such a claim counts it again.
* It is over after `LIFETIME`, or with its link.

A crash in between leaves a claim open: it can be gone on with, and it stays counted.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from wharfinger.catalog import Catalog, Link
from wharfinger.catalog import claims as statements
from wharfinger.catalog import links as link_statements
from wharfinger.catalog.records import ClaimState
from wharfinger.errors import NotFound

if TYPE_CHECKING:
    from sqlalchemy import Connection

LIFETIME: Final = timedelta(hours=24)
GIVEN_BACK: Final = 3
ALLOWANCE: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class Claim:
    """One request under a claim: `size` is the file's, `allotted` what this request will send."""

    id: str
    link_id: str
    size: int
    allotted: int


class Claims:
    """The claims on the links of one service."""

    def __init__(
        self,
        catalog: Callable[[], Catalog],
        now: Callable[[], datetime],
        spent: Callable[[Connection, str], None],
    ) -> None:
        self._catalog = catalog
        self._now = now
        self._spent = spent

    def take(self, link: Link, *, size: int, allotted: int) -> Claim:
        """Count one download. Of many callers at once only as many succeed as are left.

        Args:
            link: the link.
            size: the file's length in bytes.
            allotted: how many bytes this request will send of it.

        Raises:
            NotFound: none is left, or the link was revoked or expired meanwhile.
        """
        now = self._now()
        claim = Claim(id=secrets.token_hex(16), link_id=link.id, size=size, allotted=allotted)

        def take(connection: Connection) -> bool:
            if not link_statements.count(connection, link.id, now):
                return False
            statements.add(
                connection,
                claim.id,
                link.id,
                now=now,
                expires_at=min(now + LIFETIME, link.expires_at),
                allotted=allotted,
            )
            self._spent(connection, link.id)
            return True

        if not self._catalog().write(take):
            raise NotFound
        return claim

    def go_on(self, link: Link, claim_id: str, *, size: int, allotted: int) -> Claim:
        """Return one more request under a claim; the arguments are those of `take`.

        Raises:
            NotFound: it is spent, stale or unknown, it has had its allowance, or it was
                given back and another took its place; or the link ended meanwhile.
        """
        now = self._now()

        def go_on(connection: Connection) -> bool:
            state = statements.live(connection, claim_id, link.id, now)
            if state is None:
                return False
            if not statements.go_on(connection, claim_id, allotted=allotted, most=ALLOWANCE * size):
                return False
            if state is ClaimState.BACK:
                if not link_statements.count(connection, link.id, now):
                    raise NotFound  # takes back the lines above
                self._spent(connection, link.id)
            return True

        if not self._catalog().write(go_on):
            raise NotFound
        return Claim(id=claim_id, link_id=link.id, size=size, allotted=allotted)

    def over(self, claim: Claim, *, sent: int, complete: bool, ended: bool) -> None:
        """Record how a request under a claim ended; returns at once and never fails.

        Args:
            claim: the request.
            sent: how many bytes may have reached the client.
            complete: whether all that was allotted was handed to the connection.
            ended: whether the file's last byte was among them.
        """

        def over(connection: Connection) -> None:
            statements.delivered(
                connection,
                claim.id,
                allotted=claim.allotted,
                sent=sent,
                ended=ended,
                size=claim.size,
            )
            broke_alone = not complete and statements.lay_back(connection, claim.id)
            if broke_alone and not link_statements.give_back(connection, claim.link_id, GIVEN_BACK):
                statements.reopen(connection, claim.id)

        self._catalog().write_soon(over)
