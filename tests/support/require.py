"""What a test needs from the machine: on a laptop a missing part skips, in CI it fails."""

from __future__ import annotations

import importlib.util
import os
import shutil

import pytest


def require(condition: object, reason: str) -> None:
    """Skip the test when the condition does not hold; with CI set, fail it."""
    if condition:
        return
    if os.environ.get("CI"):
        pytest.fail(f"missing in CI: {reason}", pytrace=False)
    pytest.skip(reason)


def program(name: str) -> str:
    """Return the path of a program that the test needs."""
    path = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    require(path, f"{name} is not installed")
    assert path is not None
    return path


def module(name: str) -> None:
    """Need a Python package."""
    require(importlib.util.find_spec(name), f"the package {name} is not installed")
