"""One running server for every test file that does not end it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from support.served import Served, serve


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(tmp_path_factory.mktemp("served") / "data") as served:
        yield served
