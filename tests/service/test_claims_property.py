"""Whatever askers do with a limited link, no more whole downloads come out than it permits."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.services import Clock, make_wharf
from wharfinger import Wharf
from wharfinger.errors import NotFound
from wharfinger.service.claims import Claim

SIZE = 10
HOUR = 3600

# (begin anew or go on with which claim, first byte, how many bytes, how many of them arrive)
REQUESTS = st.tuples(
    st.one_of(st.none(), st.integers(0, 5)),
    st.integers(0, SIZE - 1),
    st.integers(1, SIZE),
    st.integers(0, SIZE),
)
# Either a request that runs at once to its end, one that hangs, or time that passes.
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("ask"), REQUESTS),
        st.tuples(st.just("hang"), REQUESTS),
        st.tuples(st.just("end"), st.integers(0, 5)),
        st.tuples(st.just("wait"), st.integers(1, 30)),
    ),
    min_size=1,
    max_size=25,
)


class Asker:
    """Somebody who notes every byte that arrives, under the claim it came by."""

    def __init__(self, wharf: Wharf, most: int) -> None:
        self.claims = wharf.links.claims
        stored = wharf.receive([b"0123456789"], collection="files", name="a.txt")
        self.link = wharf.share(stored.id, max_downloads=most, expires_in=100 * HOUR)
        self.known: list[str] = []
        self.got: dict[str, set[int]] = {}
        self.bytes = 0
        self.hanging: list[tuple[Claim, int, int, int]] = []

    def begin(self, request: tuple[int | None, int, int, int]) -> None:
        which, first, length, arrive = request
        length = min(length, SIZE - first)
        try:
            if which is None or not self.known:
                claim = self.claims.take(self.link, size=SIZE, allotted=length)
                self.known.append(claim.id)
            else:
                wanted = self.known[which % len(self.known)]
                claim = self.claims.go_on(self.link, wanted, size=SIZE, allotted=length)
        except NotFound:
            return
        self.hanging.append((claim, first, length, min(arrive, length)))

    def end(self, index: int) -> None:
        if not self.hanging:
            return
        claim, first, length, arrive = self.hanging.pop(index % len(self.hanging))
        self.got.setdefault(claim.id, set()).update(range(first, first + arrive))
        self.bytes += arrive
        complete = arrive == length
        self.claims.over(
            claim, sent=arrive, complete=complete, ended=complete and first + length == SIZE
        )

    @property
    def whole(self) -> int:
        return sum(len(positions) == SIZE for positions in self.got.values())


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def wharf(clock: Clock) -> Iterator[Wharf]:
    with (
        tempfile.TemporaryDirectory() as folder,
        make_wharf(Path(folder) / "data", clock=clock) as wharf,
    ):
        yield wharf


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(most=st.integers(1, 3), steps=STEPS)
def test_no_more_whole_downloads_than_permitted(
    wharf: Wharf, clock: Clock, most: int, steps: list[tuple[str, Any]]
) -> None:
    asker = Asker(wharf, most)
    for kind, value in steps:
        match kind, value:
            case "ask", (which, first, length, arrive):
                asker.begin((which, first, length, arrive))
                asker.end(-1)
            case "hang", (which, first, length, arrive):
                asker.begin((which, first, length, arrive))
            case "end", int(index):
                asker.end(index)
            case "wait", int(hours):
                clock.forward(hours * HOUR)
        found = wharf.links.find(asker.link.id)
        assert 0 <= found.downloads <= most
    while asker.hanging:
        asker.end(0)
    # Writes are done in order, so this one sees the others.
    wharf.sweep()
    # What was given back may have gone out nearly whole, three times at most.
    assert asker.whole <= most
    assert asker.bytes <= most * 3 * SIZE + 3 * SIZE
