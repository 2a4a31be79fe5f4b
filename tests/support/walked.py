"""What a walk through an archive tells, for the tables of tests."""

from __future__ import annotations

import io

from wharfinger.inspection.archives import Walk
from wharfinger.policy import Policy

ARCHIVE = "application/octet-stream"
NOTHING_REFUSED = Policy(refuse=[])


def walked(data: bytes, limits: Policy = NOTHING_REFUSED) -> tuple[dict[str, bytes], Walk]:
    """Return the members by path, as they came out, and the walk."""
    walk = Walk(len(data), ARCHIVE, limits, lambda _word, _sentence: None)
    found = {path: b"".join(pieces) for path, pieces in walk.members(io.BytesIO(data))}
    return found, walk


def told(data: bytes, limits: Policy = NOTHING_REFUSED) -> list[tuple[str, str]]:
    """Return the words and sentences that a walk reports."""
    heard: list[tuple[str, str]] = []
    walk = Walk(len(data), ARCHIVE, limits, lambda word, sentence: heard.append((word, sentence)))
    for _, pieces in walk.members(io.BytesIO(data)):
        for _ in pieces:
            pass
    return heard


def words(data: bytes) -> set[str]:
    """Return the words that a walk reports."""
    return {word for word, _ in told(data)}
