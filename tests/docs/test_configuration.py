"""The configuration reference names every table and key that a configuration file may hold."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wharfinger.errors import ConfigError
from wharfinger.policy import POLICY_KEYS
from wharfinger.service.settings import SECTIONS, WharfSettings

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "configuration.md"


def documented() -> dict[str, set[str]]:
    """Return the keys of each table on the page."""
    found: dict[str, set[str]] = {}
    table = ""
    for cells in re.findall(r"(?m)^\| (`\[[^|]+)?\| (`[^|]+) \|", PAGE.read_text("utf-8")):
        heading, keys = cells
        table = heading.strip(" `[]") or table
        found.setdefault(table, set()).update(re.findall(r"`([a-z_]+)`", keys))
    return found


def test_every_table_is_on_the_page() -> None:
    names = {name.partition(".")[0] for name in documented() if name}
    assert names == set(SECTIONS)


def known_keys(table: str) -> set[str]:
    """Return the keys that a table takes, as the message about a wrong one lists them."""
    with pytest.raises(ConfigError) as caught:
        WharfSettings.from_tables(
            {"collections": {"files": {"zzzz": 1}}}
            if table == "collections.NAME"
            else {table: {"zzzz": 1}}
        )
    return set(re.findall(r"[a-z_]+", caught.value.hint.partition(":")[2]))


@pytest.mark.parametrize(
    "table", sorted(set(SECTIONS) - {"server", "collections"} | {"collections.NAME"})
)
def test_a_table_on_the_page_has_exactly_the_keys_that_it_takes(table: str) -> None:
    assert documented()[table] == known_keys(table)


def test_a_collection_takes_every_key_of_a_policy() -> None:
    assert set(POLICY_KEYS) <= documented()["collections.NAME"]
