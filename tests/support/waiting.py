"""Waiting for what another thread is about to do."""

from __future__ import annotations

import time
from collections.abc import Callable


def soon(holds: Callable[[], bool], *, within: float = 10.0) -> bool:
    """Return whether something comes true in time; what a test asserts."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
