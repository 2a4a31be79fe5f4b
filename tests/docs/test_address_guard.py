"""The page about the address guard has the tables that the guard goes by."""

from __future__ import annotations

import re
from pathlib import Path

from wharfinger.net import addresses

PAGE = Path(__file__).parents[2] / "docs" / "explanation" / "address-guard.md"


def test_every_closed_block_is_on_the_page_and_no_other() -> None:
    rows = re.findall(
        r"(?m)^\| `(.+?/\d+)` \| (.+?) \| (.+?) \|(?: (yes)? ?\|)?$", PAGE.read_text("utf-8")
    )
    blocks = (*addresses.BLOCKED_V4, *addresses.BLOCKED_V6, *addresses.METADATA)
    known = {(str(b.network), b.why, b.source, "yes" if b.private else "") for b in blocks}
    assert set(rows) == known


def test_every_closed_name_is_on_the_page() -> None:
    page = PAGE.read_text("utf-8")
    assert [name for name in addresses.METADATA_NAMES if f"`{name}`" not in page] == []
