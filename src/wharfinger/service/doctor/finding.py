"""`Finding`: what one check of an installation found."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

Grade: TypeAlias = Literal["ok", "warning", "failure"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found, and what to do about it ("" when nothing)."""

    check: str
    grade: Grade
    detail: str
    advice: str = ""


def read_only(path: Path) -> sqlite3.Connection:
    """Open a catalog so that nothing of it is made or changed."""
    # Without a log nobody has the catalog open. Then "immutable" keeps SQLite from making
    # one, which would stay behind and, made by root, lock the service's user out.
    stopped = not path.with_name(f"{path.name}-wal").exists()
    mode = "mode=ro&immutable=1" if stopped else "mode=ro"
    return sqlite3.connect(f"{path.absolute().as_uri()}?{mode}", uri=True)
