"""Unknown configuration keys are errors with a suggestion, everywhere in the same words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

from wharfinger.errors import ConfigError


def refuse_unknown(keys: Iterable[str], known: Iterable[str], where: str) -> None:
    """Raise ConfigError for the first key that is not among the known ones."""
    known = list(known)
    for key in keys:
        if key not in known:
            near = difflib.get_close_matches(key, known, n=1)
            raise ConfigError(
                f"Unknown key {key!r} in {where}.",
                hint=f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(known)}.",
            )
