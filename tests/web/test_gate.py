"""The same-origin proof of changing requests whose principal may rest on a cookie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import make_wharf, token
from wharfinger import Principal, Wharf
from wharfinger.errors import Forbidden, RequestError, Unauthenticated
from wharfinger.protocol.headers import Headers
from wharfinger.web import RequestHead
from wharfinger.web.gate import Gate

SIGNED_IN = Principal(id="user:7", scopes=frozenset({"read", "write"}))
COOKIE = {"Cookie": "session=abc"}


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


def head(
    method: str, fields: dict[str, str], *, principal: Principal | None = SIGNED_IN,
    scheme: str = "https",
) -> RequestHead:  # fmt: skip
    named = {"Host": "app.example", **fields}
    return RequestHead(
        method=method,
        path="/files/x",
        headers=Headers(named.items()),
        principal=principal,
        scheme=scheme,
    )


# What a browser (or not) sends besides its cookie, and whether that proves our own page.
PROOFS = {
    "no word of where from": (COOKIE, False),
    "Sec-Fetch-Site: same-origin": ({**COOKIE, "Sec-Fetch-Site": "same-origin"}, True),
    "Sec-Fetch-Site: none, typed by the user": ({**COOKIE, "Sec-Fetch-Site": "none"}, True),
    "Sec-Fetch-Site: same-site is another host": ({**COOKIE, "Sec-Fetch-Site": "same-site"}, False),
    "Sec-Fetch-Site: cross-site": ({**COOKIE, "Sec-Fetch-Site": "cross-site"}, False),
    "Sec-Fetch-Site that is empty": ({**COOKIE, "Sec-Fetch-Site": ""}, False),
    "Sec-Fetch-Site in capitals": ({**COOKIE, "Sec-Fetch-Site": "Same-Origin"}, False),
    "Sec-Fetch-Site is believed more than Origin": (
        {**COOKIE, "Sec-Fetch-Site": "cross-site", "Origin": "https://app.example"}, False,
    ),
    "our Origin": ({**COOKIE, "Origin": "https://app.example"}, True),
    "the Origin of another": ({**COOKIE, "Origin": "https://evil.example"}, False),
    "our Origin with a tail": ({**COOKIE, "Origin": "https://app.example.evil.example"}, False),
    "our Origin by the other scheme": ({**COOKIE, "Origin": "http://app.example"}, False),
    "our Origin at another port": ({**COOKIE, "Origin": "https://app.example:8443"}, False),
    "Origin: null of a sandboxed page": ({**COOKIE, "Origin": "null"}, False),
    "no cookie and no Origin: not a browser": ({}, True),
    "no cookie and a foreign Origin": ({"Origin": "https://evil.example"}, False),
}  # fmt: skip


@pytest.mark.parametrize("method", ["POST", "DELETE", "PATCH", "PUT"])
@pytest.mark.parametrize("case", PROOFS.values(), ids=list(PROOFS))
def test_a_changing_request_needs_a_proof_that_the_page_was_ours(
    wharf: Wharf, method: str, case: tuple[dict[str, str], bool]
) -> None:
    fields, proved = case
    gate = Gate(wharf)
    if proved:
        assert gate.identify(head(method, fields)) == (SIGNED_IN, False)
    else:
        with pytest.raises(Forbidden, match="another site"):
            gate.identify(head(method, fields))


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
@pytest.mark.parametrize("case", PROOFS.values(), ids=list(PROOFS))
def test_reading_needs_no_proof(
    wharf: Wharf, method: str, case: tuple[dict[str, str], bool]
) -> None:
    assert Gate(wharf).identify(head(method, case[0])) == (SIGNED_IN, False)


def test_a_token_of_ours_needs_no_proof_and_wins_over_a_cookie(wharf: Wharf) -> None:
    secret = token(wharf, "write")
    fields = {**COOKIE, "Sec-Fetch-Site": "cross-site", "Authorization": f"Bearer {secret}"}
    principal, invalid = Gate(wharf).identify(head("POST", fields))
    assert principal is not None
    assert principal.id != "user:7"
    assert (principal.scopes, invalid) == (frozenset({"write"}), False)


def test_an_invalid_token_of_ours_never_falls_back_to_the_cookie(wharf: Wharf) -> None:
    fields = {**COOKIE, "Sec-Fetch-Site": "same-origin", "Authorization": "Bearer whf_" + "A" * 43}
    assert Gate(wharf).identify(head("POST", fields)) == (None, True)
    with pytest.raises(Unauthenticated) as refused:
        Gate(wharf).admit(head("GET", fields), "read")
    assert refused.value.invalid


def test_a_bearer_token_that_the_application_has_judged_needs_the_proof_as_well(
    wharf: Wharf,
) -> None:
    fields = {"Authorization": "Bearer a.jwt.token"}
    assert Gate(wharf).identify(head("POST", fields)) == (SIGNED_IN, False)
    with pytest.raises(Forbidden):
        Gate(wharf).identify(head("POST", {**fields, **COOKIE, "Sec-Fetch-Site": "cross-site"}))


def test_nobody_is_nobody_with_whatever_proof(wharf: Wharf) -> None:
    fields = {**COOKIE, "Sec-Fetch-Site": "same-origin"}
    assert Gate(wharf).identify(head("POST", fields, principal=None)) == (None, False)


def test_two_authorization_lines_are_malformed(wharf: Wharf) -> None:
    two = RequestHead(
        method="GET",
        path="/files",
        headers=Headers((("Authorization", "Bearer a"), ("authorization", "Bearer b"))),
    )
    with pytest.raises(RequestError, match="came 2 times"):
        Gate(wharf).identify(two)


def test_a_proof_by_origin_needs_a_sound_host(wharf: Wharf) -> None:
    with pytest.raises(RequestError, match="Host"):
        Gate(wharf).identify(head("POST", {"Origin": "https://a b", "Host": "a b"}))
