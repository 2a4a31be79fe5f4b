"""The boundary of a multipart body: one rule for the side that writes and the side that reads."""

from __future__ import annotations

import re
from typing import Final

__all__ = ["is_boundary"]

# RFC 2046 section 5.1.1: 1 to 70 bchars, not ending in a space.
_BOUNDARY: Final = re.compile(r"[0-9A-Za-z'()+_,./:=? -]{0,69}[0-9A-Za-z'()+_,./:=?-]")


def is_boundary(text: str) -> bool:
    """Return whether a text may be a boundary (RFC 2046 section 5.1.1)."""
    return _BOUNDARY.fullmatch(text) is not None
