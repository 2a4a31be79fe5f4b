"""Every test that SECURITY.md names is there, and every requirement names one."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "SECURITY.md").read_text("utf-8")
ROWS = re.findall(r"(?m)^\| (5\.\d\.\d) .+ \| (.+) \|$", PAGE)


def test_the_thirteen_requirements_are_there() -> None:
    assert [number for number, _ in ROWS] == [
        "5.1.1", "5.2.1", "5.2.2", "5.2.3", "5.2.4", "5.2.5", "5.2.6",
        "5.3.1", "5.3.2", "5.3.3", "5.4.1", "5.4.2", "5.4.3",
    ]  # fmt: skip


@pytest.mark.parametrize(("number", "shown"), ROWS, ids=[number for number, _ in ROWS])
def test_each_is_shown_by_tests_that_are_there(number: str, shown: str) -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(test_\w+)`", shown)
    assert named, number
    for path, name in named:
        functions = ast.parse((ROOT / path).read_text("utf-8")).body
        assert name in {node.name for node in functions if isinstance(node, ast.FunctionDef)}, path
