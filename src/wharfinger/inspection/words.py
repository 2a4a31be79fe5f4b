"""Words for people: the article before the label of a media type."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["with_article"]

# Labels of what is not counted: "is HTML", not "is a HTML".
_UNCOUNTED: Final = frozenset(
    {"HTML", "XHTML", "XML", "JSON", "GeoJSON", "JSON lines", "JavaScript", "TypeScript"}
    | {"reStructuredText", "unknown data", "MIDI music"}
)
_UNCOUNTED_ENDINGS: Final = (" text", " source", " audio", " media", " subtitles")
# A vowel, or an abbreviation that is spelled out and whose first letter sounds like one.
_AN: Final = re.compile(r"[AEIOaeio]|MP\d|MPEG|SVG|RTF|RSS|RPM|HTML")


def with_article(label: str) -> str:
    """Return a label with "a" or "an" if it is counted: "a PNG image", "an SVG image", "HTML"."""
    if label in _UNCOUNTED or label.endswith(_UNCOUNTED_ENDINGS):
        return label
    return f"{'an' if _AN.match(label) else 'a'} {label}"
