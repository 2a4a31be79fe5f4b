"""The command line as a process: what people and scripts see of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode("utf-8")

    @property
    def records(self) -> list[Any]:
        """The JSON objects of stdout, one a line."""
        return [json.loads(line) for line in self.text.splitlines()]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return an environment without settings of the machine that runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WHARFINGER_")}
    return {**kept, "COLUMNS": "100", **(extra or {})}


def command(*arguments: str) -> list[str]:
    """Return the words that run `wharf` in this interpreter."""
    return [
        sys.executable,
        "-W",
        "error",
        "-c",
        "from wharfinger.cli import main; main()",
        *arguments,
    ]


def wharf(*arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> Ran:
    """Run `wharf` to its end."""
    done = subprocess.run(
        command(*arguments),
        input=stdin,
        capture_output=True,
        check=False,
        timeout=60,
        env=environment(env),
    )
    return Ran(done.returncode, done.stdout, done.stderr.decode("utf-8", "replace"))
