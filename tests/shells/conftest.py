from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.services import make_wharf, token
from support.shells import SHELLS, Browser, running
from wharfinger import Wharf


@pytest.fixture
def wharf(tmp_path: Path) -> Iterator[Wharf]:
    with make_wharf(tmp_path / "data") as wharf:
        yield wharf


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def browser(shell: str, wharf: Wharf) -> Iterator[Browser]:
    """A client with a token for everything but `admin`, at each shell in turn."""
    with running(shell, wharf) as url:
        yield Browser(url, token(wharf))
