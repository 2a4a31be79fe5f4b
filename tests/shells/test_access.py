"""One gate: every route, asked with every kind of credentials, at every shell.

What is expected is written by hand per route: the scope it needs, and what the right asker gets.
Everything else follows from four rules: without a valid token 401, whether the thing exists
or not; without the scope 403, before anything is looked up; somebody else's thing and
an absent one alike 404; open routes do not care who asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.services import make_wharf, token
from support.shells import SHELLS, Answered, Browser, running
from wharfinger import Wharf
from wharfinger.web.routes import ROUTES

JSON = {"Content-Type": "application/json"}
TEXT = {"Content-Type": "text/plain"}
TUS = {"Tus-Resumable": "1.0.0"}
TUS_BYTES = {**TUS, "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
ABSENT = "0" * 32


@dataclass(frozen=True)
class Case:
    """A route as one is asked for: path with {id} and the like, body, scope ("" for open), success.

    {upload} is one that goes on, {whole} one that became a file. {sender} is the secret of the
    upload link {ask}, {sent} an upload by it, {fresh} another one each time.
    """

    method: str
    path: str
    scope: str
    success: int
    body: bytes | None = None
    fields: dict[str, str] | None = None

    @property
    def pattern(self) -> str:
        named = {"{collection}": "files", "{token}": "{token}", "{link}": "{link}"}
        return next(
            route.pattern
            for route in ROUTES
            if route.method == self.method
            and _ordinary(self.path)
            in (route.pattern, *(route.pattern.replace(a, b) for a, b in named.items()))
        )


def _ordinary(path: str) -> str:
    """Return a path with the names that its route has."""
    for ours, theirs in (
        ("{whole}", "{upload}"), ("{sent}", "{upload}"), ("{fresh}", "{upload}"),
        ("{sender}", "{token}"), ("{ask}", "{link}"),
    ):  # fmt: skip
        path = path.replace(ours, theirs)
    return path.partition("?")[0]


CASES = {
    f"{case.method} {case.path}": case
    for case in (
        Case("POST", "/uploads/files", "write", 201, b"text", TEXT),
        Case("OPTIONS", "/uploads/files", "", 204),
        Case("OPTIONS", "/uploads/files/{upload}", "", 204),
        Case("HEAD", "/uploads/files/{upload}", "write", 200, None, TUS),
        Case("PATCH", "/uploads/files/{upload}", "write", 204, b"", TUS_BYTES),
        Case("GET", "/uploads/files/{whole}", "read", 200),
        Case("DELETE", "/uploads/files/{whole}", "write", 204, None, TUS),
        Case("GET", "/files", "read", 200),
        Case("GET", "/files/{id}", "read", 200),
        Case("GET", "/files/{id}/info", "read", 200),
        Case("POST", "/files/{id}/links", "share", 201, b"{}", JSON),
        Case("GET", "/files/{id}/links", "share", 200),
        Case("DELETE", "/links/{link}", "share", 204),
        Case("DELETE", "/files/{id}", "write", 204),
        Case("GET", "/d/{token}", "", 200),
        Case("POST", "/collections/files/links", "share", 201, b"{}", JSON),
        Case("GET", "/collections/files/links", "share", 200),
        Case("DELETE", "/links/{ask}", "share", 204),
        Case("GET", "/u/{sender}", "", 200),
        Case("POST", "/u/{sender}", "", 201, b"text", TEXT),
        Case("OPTIONS", "/u/{sender}", "", 204),
        Case("OPTIONS", "/u/{sender}/{sent}", "", 204),
        Case("HEAD", "/u/{sender}/{sent}", "", 200, None, TUS),
        Case("PATCH", "/u/{sender}/{sent}", "", 204, b"", TUS_BYTES),
        Case("DELETE", "/u/{sender}/{fresh}", "", 204, None, TUS),
        Case("GET", "/policy/files", "", 200),
        Case("GET", "/health/live", "", 200),
        Case("GET", "/health/ready", "", 200),
        Case("GET", "/openapi.json", "", 200),
    )
}
NOBODY = {
    "no token": {},
    "an unknown token": {"Authorization": "Bearer whf_" + "A" * 43},
    "a revoked token": {"Authorization": "Bearer {revoked}"},
    "an expired token": {"Authorization": "Bearer {expired}"},
    "an empty token": {"Authorization": "Bearer "},
    "another scheme": {"Authorization": "Basic dXNlcjpwYXNz"},
    "the secret without a scheme": {"Authorization": "{right}"},
    "a token in the query": {},
}


class House:
    """A service with a file of one owner, a link to it, and tokens of several people."""

    def __init__(self, wharf: Wharf) -> None:
        self.wharf = wharf
        self.right = token(wharf, "read", "write", "share")
        owner = wharf.tokens.authenticate(self.right)
        assert owner is not None
        self.owner = owner.id
        self.others = token(wharf, "read", "write", "share")
        self.admin = token(wharf, "admin")
        self.elsewhere = wharf.tokens.create(
            "elsewhere", ["read", "write", "share"], collections={"small"}, principal=self.owner
        )[1]
        made, self.revoked = wharf.tokens.create("revoked", ["read"], principal=self.owner)
        wharf.tokens.revoke(made.id)
        self.expired = wharf.tokens.create("expired", ["read"], principal=self.owner, expires_in=0)[
            1
        ]
        self.file = wharf.receive([b"text"], collection="files", owner=self.owner).id
        self.link = wharf.share(self.file, owner=self.owner)
        self.upload, self.whole = (
            wharf.uploads.create("files", protocol="tus", owner=self.owner, length=length).id
            for length in (4, 0)
        )
        with wharf.uploads.take(self.whole) as turn:
            turn.complete()
        self.ask = wharf.request("files", owner=self.owner)
        self.sent = self.send()

    def send(self) -> str:
        """Begin an upload by the upload link."""
        who = f"link:{self.ask.id}"
        return self.wharf.uploads.create(
            "files", protocol="tus", owner=who, length=4, link_id=self.ask.id
        ).id

    def without(self, scope: str) -> str:
        """Return a token of the owner that holds every scope but this one."""
        scopes = {"read", "write", "share"} - {scope}
        return self.wharf.tokens.create("less", scopes, principal=self.owner)[1]

    def path(self, pattern: str, *, absent: bool = False) -> str:
        secret = self.link.url.rpartition("/")[2]
        return (
            pattern.replace("{id}", ABSENT if absent else self.file)
            .replace("{link}", ABSENT if absent else self.link.id)
            .replace("{token}", secret)
            .replace("{upload}", ABSENT if absent else self.upload)
            .replace("{whole}", ABSENT if absent else self.whole)
            .replace("{ask}", ABSENT if absent else self.ask.id)
            .replace("{sender}", self.ask.url.rpartition("/")[2])
            .replace("{sent}", self.sent)
            .replace("{fresh}", self.send() if "{fresh}" in pattern else "")
        )


@dataclass(frozen=True)
class Visit:
    """A shell that runs over a house."""

    house: House
    url: str

    def ask(
        self, case: Case, fields: dict[str, str], *, absent: bool = False, query: str = ""
    ) -> Answered:
        path = self.house.path(case.path, absent=absent) + query
        headers = {**(case.fields or {}), **fields}
        return Browser(self.url).ask(case.method, path, case.body, headers)

    def with_token(self, case: Case, secret: str, *, absent: bool = False) -> Answered:
        return self.ask(case, {"Authorization": f"Bearer {secret}"}, absent=absent)


@pytest.fixture(params=SHELLS)
def visit(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Visit]:
    with make_wharf(tmp_path / "data") as wharf, running(request.param, wharf) as url:
        yield Visit(House(wharf), url)


def test_every_route_is_in_this_table() -> None:
    assert {(case.method, case.pattern) for case in CASES.values()} == {
        (route.method, route.pattern) for route in ROUTES
    }
    for case in CASES.values():
        (route,) = [r for r in ROUTES if (r.method, r.pattern) == (case.method, case.pattern)]
        assert route.scope == case.scope


def closed() -> list[str]:
    return [name for name, case in CASES.items() if case.scope]


def test_nobody_gets_anything_of_a_closed_route(visit: Visit) -> None:
    house = visit.house
    for name in closed():
        case = CASES[name]
        for who, fields in NOBODY.items():
            filled = {
                key: value.format(right=house.right, revoked=house.revoked, expired=house.expired)
                for key, value in fields.items()
            }
            query = f"?access_token={house.right}" if who == "a token in the query" else ""
            found = [
                visit.ask(case, filled, absent=absent, query=query) for absent in (False, True)
            ]
            assert [one.status for one in found] == [401, 401], (name, who)
            if case.method != "HEAD":
                assert [one.code for one in found] == ["unauthenticated"] * 2, (name, who)
            assert found[0].body == found[1].body, (name, who)
            assert all("bearer" in one.headers["www-authenticate"].lower() for one in found)


def test_without_the_scope_nothing_is_looked_up(visit: Visit) -> None:
    for name in closed():
        case = CASES[name]
        secret = visit.house.without(case.scope)
        for absent in (False, True):
            answer = visit.with_token(case, secret, absent=absent)
            assert answer.status == 403, (name, absent)
            assert case.method == "HEAD" or answer.code == "forbidden", (name, absent)


def with_object() -> list[str]:
    return [name for name in closed() if "{" in CASES[name].path]


def test_what_is_somebody_elses_looks_like_what_is_absent(visit: Visit) -> None:
    house = visit.house
    askers: dict[str, Callable[[], str]] = {
        "another": lambda: house.others,
        "the owner with a token for another collection": lambda: house.elsewhere,
    }
    for name in with_object():
        case = CASES[name]
        for who, secret in askers.items():
            theirs = visit.with_token(case, secret())
            absent = visit.with_token(case, house.right, absent=True)
            assert (theirs.status, absent.status) == (404, 404), (name, who)
            assert theirs.body == absent.body, (name, who)
    assert house.wharf.info(house.file).id == house.file  # nothing of it was changed
    assert house.wharf.links.find(house.link.id).id == house.link.id
    assert house.wharf.upload_links.find(house.ask.id).id == house.ask.id


@pytest.mark.parametrize("who", ["right", "admin"])
def test_whoever_may_gets_it(visit: Visit, who: str) -> None:
    secret = str(getattr(visit.house, who))
    for name in closed():
        answer = visit.with_token(CASES[name], secret)
        assert answer.status == CASES[name].success, (name, answer)


def test_open_routes_do_not_care_who_asks(visit: Visit) -> None:
    for name, case in CASES.items():
        if case.scope:
            continue
        for secret in ("", "whf_wrong", visit.house.others, visit.house.right):
            fields = {"Authorization": f"Bearer {secret}"} if secret else {}
            assert visit.ask(case, fields).status == case.success, (name, secret)


def test_a_collection_that_a_token_may_not_use_looks_like_one_that_is_absent(visit: Visit) -> None:
    upload = CASES["POST /uploads/files"]
    closed_to = visit.with_token(upload, visit.house.elsewhere)
    missing = Case("POST", "/uploads/nowhere", "write", 404, b"text", TEXT)
    absent = visit.with_token(missing, visit.house.right)
    assert (closed_to.status, absent.status) == (404, 404)
    assert closed_to.code == absent.code


def test_a_listing_holds_only_what_is_the_askers(visit: Visit) -> None:
    listing = CASES["GET /files"]
    house = visit.house
    for secret, count in (
        (house.right, 2), (house.others, 0), (house.elsewhere, 0), (house.admin, 2),
    ):  # fmt: skip
        assert len(visit.with_token(listing, secret).json()["files"]) == count
