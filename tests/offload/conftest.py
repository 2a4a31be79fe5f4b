from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import Clock, make_wharf
from wharfinger import Wharf


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def wharf(tmp_path: Path, clock: Clock) -> Iterator[Wharf]:
    """A service that hands files over by X-Accel-Redirect."""
    with make_wharf(tmp_path / "data", clock=clock, offload="nginx") as wharf:
        yield wharf


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Where the published files are."""
    return tmp_path / "data" / "files"
