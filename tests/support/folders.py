"""What lies in a folder."""

from __future__ import annotations

from pathlib import Path


def listing(folder: Path) -> list[str]:
    """Return the names in a folder, in order."""
    return sorted(path.name for path in folder.iterdir())
