"""`CheckingSettings`: how files are checked, from the `[checking]` table of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from wharfinger.errors import ConfigError, UsageError
from wharfinger.keys import refuse_unknown
from wharfinger.units import parse_duration

_KEYS: Final = ("workers", "wait", "deadline")
_MOST_WORKERS: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckingSettings:
    """How files are checked.

    Args:
        workers: files that one process checks at the same time; 0 leaves it to `wharf worker`.
        wait: seconds that the request which completes an upload waits for the verdict; 0
            answers at once that the file is being checked.
        deadline: seconds after which a check that is still running counts as lost.

    Raises:
        ConfigError: a value is wrong.
    """

    workers: int = 4
    wait: int = 10
    deadline: int = 600

    def __post_init__(self) -> None:
        if isinstance(self.workers, bool) or not isinstance(self.workers, int):
            raise ConfigError("[checking] workers must be a whole number.")
        if not 0 <= self.workers <= _MOST_WORKERS:
            raise ConfigError(f"[checking] workers is 0 to {_MOST_WORKERS}, not {self.workers}.")
        if self.deadline < 1:
            raise ConfigError("[checking] deadline is at least a second.")

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> CheckingSettings:
        """Return what a `[checking]` table describes. Raises ConfigError."""
        refuse_unknown(table, _KEYS, "[checking]")
        try:
            return cls(
                workers=table.get("workers", 4),  # type: ignore[arg-type]  # checked above
                wait=_seconds(table.get("wait", 10)),
                deadline=_seconds(table.get("deadline", 600)),
            )
        except ConfigError:
            raise
        except UsageError as error:
            raise ConfigError(f"[checking]: {error.detail}", hint=error.hint) from error

    def describe(self) -> dict[str, object]:
        """Return it as plain values."""
        return {"workers": self.workers, "wait": self.wait, "deadline": self.deadline}


def _seconds(value: object) -> int:
    return 0 if value == 0 else parse_duration(value)  # type: ignore[arg-type]  # checked there
