"""The page about events names every type there is, and none that is not."""

from __future__ import annotations

import re
from pathlib import Path

from wharfinger.service.events import EVENT_TYPES

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "events.md"


def test_every_type_of_event_is_on_the_page_and_no_other() -> None:
    rows = re.findall(r"(?m)^\| `([a-z.]+)` \|", PAGE.read_text("utf-8"))
    assert sorted(rows) == sorted(EVENT_TYPES)
