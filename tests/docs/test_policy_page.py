"""The page about policies has the presets, findings and limits that policies go by."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wharfinger import Policy
from wharfinger.policy import FINDINGS, POLICY_KEYS, PRESETS
from wharfinger.units import parse_size

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "choose-a-policy.md").read_text("utf-8")


def rows(heading: str) -> list[tuple[str, ...]]:
    """Return the cells of the table whose first column has this heading."""
    _, _, table = PAGE.partition(f"\n| {heading} |")
    body = table.partition("\n|---")[2].partition("\n")[2].split("\n\n")[0]
    return [tuple(cell.strip(" `") for cell in line.split("|")[1:-1]) for line in body.splitlines()]


def test_every_preset_is_on_the_page_with_its_size() -> None:
    assert {preset: parse_size(size) for preset, _, size in rows("preset")} == {
        preset: getattr(Policy, preset)().max_size for preset in PRESETS
    }


def test_the_findings_are_those_that_policies_know_with_the_same_words() -> None:
    assert {word: what for word, what, _, _ in rows("word")} == FINDINGS


@pytest.mark.parametrize(
    ("column", "policy"), [(2, Policy.images()), (3, Policy.anything())], ids=["presets", "any"]
)
def test_the_page_says_which_findings_refuse_a_file(column: int, policy: Policy) -> None:
    assert {row[0] for row in rows("word") if row[column] == "yes"} == policy.refuse


def test_every_limit_is_on_the_page_with_its_default() -> None:
    found: dict[str, int] = {}
    for keys, _, defaults in rows("key"):
        values = defaults.replace(",", "").replace(" million", "000000").split("; ")
        names = re.findall(r"m[a-z]+_[a-z_]+", keys)
        found |= {name: parse_size(value) for name, value in zip(names, values, strict=True)}
    standard = Policy()
    assert found == {
        key: getattr(standard, key) for key in POLICY_KEYS if key.startswith(("max_", "min_"))
    }
