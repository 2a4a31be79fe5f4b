from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Clock, make_wharf
from wharfinger import Principal, Wharf
from wharfinger.errors import NotFound, UsageError


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    with make_wharf(tmp_path, clock=clock) as wharf:
        yield wharf


def test_a_secret_is_recognised_and_kept_nowhere(wharf: Wharf, tmp_path: Path) -> None:
    token, secret = wharf.tokens.create("job", {"read", "write"}, collections={"files"})
    assert wharf.tokens.authenticate(secret) == Principal(
        id=f"token:{token.id}",
        scopes=frozenset({"read", "write"}),
        collections=frozenset({"files"}),
    )
    assert secret.startswith("whf_")
    wharf.close()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes()


def test_a_revoked_or_expired_token_is_nobody(wharf: Wharf, clock: Clock) -> None:
    token, secret = wharf.tokens.create("job", {"read"})
    _, brief = wharf.tokens.create("brief", {"read"}, expires_in=60)
    wharf.tokens.revoke(token.id)
    assert wharf.tokens.authenticate(secret) is None
    assert wharf.tokens.authenticate(brief) is not None
    clock.forward(60)
    assert wharf.tokens.authenticate(brief) is None
    with pytest.raises(NotFound):
        wharf.tokens.revoke(token.id)


def test_two_tokens_can_stand_for_one_principal(wharf: Wharf, clock: Clock) -> None:
    _, first = wharf.tokens.create("old", {"read"}, principal="backup")
    clock.forward(1)
    _, second = wharf.tokens.create("new", {"read"}, principal="backup")
    assert wharf.tokens.authenticate(first) == wharf.tokens.authenticate(second)
    assert [token.name for token in wharf.tokens.list()] == ["old", "new"]


@pytest.mark.parametrize("secret", ["", "whf_", "whf_" + "A" * 43, "\ud800", "x" * 10_000])
def test_a_guess_is_nobody(wharf: Wharf, secret: str) -> None:
    wharf.tokens.create("job", {"read"})
    assert wharf.tokens.authenticate(secret) is None


@pytest.mark.parametrize(
    ("name", "scopes"),
    [("x", set()), ("x", {"reed"}), ("", {"read"}), ("a\nb", {"read"}), ("x" * 256, {"read"})],
    ids=["no scope", "unknown scope", "no name", "a line break", "a long name"],
)
def test_a_wrong_token_is_refused(wharf: Wharf, name: str, scopes: set[str]) -> None:
    with pytest.raises(UsageError):
        wharf.tokens.create(name, scopes)


def test_a_principal_is_checked_when_made() -> None:
    with pytest.raises(UsageError):
        Principal(id="", scopes=frozenset({"read"}))
    with pytest.raises(UsageError):
        Principal(id="x", scopes=frozenset({"root"}))
    admin = Principal(id="x", scopes=frozenset({"admin"}))
    assert admin.may("read")
    assert admin.owns("anybody")
    assert not Principal(id="x", scopes=frozenset({"read"})).owns(None)
