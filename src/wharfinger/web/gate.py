"""The gate: the one place where permission is decided. Every route passes it.

* No valid token: 401, whether the thing asked for exists or not.
* A missing scope: 403, before anything is looked up.
* Absent, or not the principal's: 404, one answer for both (OWASP IDOR).

A principal from the application's own sign-in may rest on a cookie, which a browser sends
for any page that asks it to. Changing requests by such a principal need a proof that
the page was ours: `Sec-Fetch-Site`, or an `Origin` that is our own (ASVS 3.5.1).
"""

from __future__ import annotations

import contextlib
import re
from typing import Final

from wharfinger.errors import Forbidden, NotFound, Unauthenticated
from wharfinger.service import READ, Link, Principal, StoredFile, UploadLink, Wharf
from wharfinger.service.tokens import PREFIX
from wharfinger.web.limiting import FREE, Turn
from wharfinger.web.requests import RequestHead

# RFC 6750 section 2.1; the scheme's name is case-insensitive (RFC 9110 section 11.1).
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9\-._~+/]+=*)", re.IGNORECASE)
_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_MAX_TOKEN: Final = 512


class Gate:
    """Decides for one service who may do what.

    Args:
        wharf: the service.
        turn: is told who asks, and may find that it is too often; that of the one request
            that this gate is for.
    """

    def __init__(self, wharf: Wharf, turn: Turn = FREE) -> None:
        self._wharf = wharf
        self._turn = turn

    def identify(self, head: RequestHead) -> tuple[Principal | None, bool]:
        """Return who asks (None: nobody we know) and whether an invalid token was sent.

        Raises:
            RequestError: two Authorization lines.
            Forbidden: the application's principal asks for a change from a foreign page.
            TooManyRequests: whoever asks has had what it may.
        """
        principal, invalid = self._identify(head)
        self._turn.identified(principal)
        return principal, invalid

    def _identify(self, head: RequestHead) -> tuple[Principal | None, bool]:
        authorization = head.headers.single("Authorization")
        if authorization is not None and authorization[:6].lower() == "bearer":
            match = _BEARER.fullmatch(authorization.strip())
            token = match[1] if match else ""
            known = 0 < len(token) <= _MAX_TOKEN
            principal = self._wharf.tokens.authenticate(token) if known else None
            # One with our prefix is ours to judge; another may be what the application's own
            # sign-in rests on (a JWT), and then that has judged it.
            if principal is not None or head.principal is None or token.startswith(PREFIX):
                return principal, principal is None
        if head.principal is not None and head.method not in _SAFE_METHODS:
            _check_same_origin(head)
        return head.principal, False

    def admit(self, head: RequestHead, scope: str) -> Principal:
        """Return who asks if it holds this scope. Raises Unauthenticated, Forbidden."""
        principal, invalid = self.identify(head)
        if principal is None:
            raise _unauthenticated(invalid=invalid)
        _check_scope(principal, scope)
        return principal

    def collection(self, head: RequestHead, scope: str, name: str) -> Principal:
        """Return who asks if it may use this collection. Raises also NotFound."""
        principal = self.admit(head, scope)
        if name not in self._wharf.collections or not principal.may_use(name):
            raise NotFound(f"There is no collection {name[:64]!r} for you.")
        return principal

    def file(self, head: RequestHead, scope: str, file_id: str) -> tuple[Principal, StoredFile]:
        """Return who asks and the file, if it may do that with it. Raises also NotFound."""
        principal = self.admit(head, scope)
        return principal, _own(principal, self._wharf.info(file_id))

    def readable(self, head: RequestHead, file_id: str) -> tuple[StoredFile, Principal | None]:
        """Return a file and the asker that may read it, or None where everybody may."""
        principal, invalid = self.identify(head)
        if principal is not None and principal.may(READ):
            stored = self._wharf.info(file_id)
            if self._is_public(stored):
                return stored, None
            return _own(principal, stored), principal
        with contextlib.suppress(NotFound):
            stored = self._wharf.info(file_id)
            if self._is_public(stored):
                return stored, None
        if principal is None:
            raise _unauthenticated(invalid=invalid)
        _check_scope(principal, READ)
        raise NotFound

    def link(self, head: RequestHead, scope: str, link_id: str) -> Link | UploadLink:
        """Return a link, of either kind, that is the asker's. Raises also NotFound."""
        principal = self.admit(head, scope)
        with contextlib.suppress(NotFound):
            return _own_upload_link(principal, self._wharf.upload_links.find(link_id))
        link = self._wharf.links.find(link_id)
        _own(principal, self._wharf.info(link.file_id))
        return link

    def _is_public(self, stored: StoredFile) -> bool:
        collection = self._wharf.collections.get(stored.collection)
        return collection is not None and collection.visibility == "public"


def _own(principal: Principal, stored: StoredFile) -> StoredFile:
    if not principal.owns(stored.owner) or not principal.may_use(stored.collection):
        raise NotFound
    return stored


def _own_upload_link(principal: Principal, link: UploadLink) -> UploadLink:
    if not principal.owns(link.owner) or not principal.may_use(link.collection):
        raise NotFound
    return link


def _check_scope(principal: Principal, scope: str) -> None:
    if not principal.may(scope):
        raise Forbidden(f"This needs the scope {scope!r}.", scope=scope)


def _unauthenticated(*, invalid: bool) -> Unauthenticated:
    if invalid:
        return Unauthenticated("The token is unknown, revoked or expired.", invalid=True)
    return Unauthenticated()


def _check_same_origin(head: RequestHead) -> None:
    site = head.headers.get("Sec-Fetch-Site")
    if site is not None:
        if site in ("same-origin", "none"):
            return
    elif (origin := head.headers.get("Origin")) is not None:
        if origin == head.origin:
            return
    elif "Cookie" not in head.headers:
        return  # not a browser's ambient credentials: nothing another page could make it send
    raise Forbidden("This request comes from another site.", hint="Send it from this site's pages.")
