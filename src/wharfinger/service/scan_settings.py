"""`ScanSettings`: who is asked about every file, from the `[scan]` table of a configuration file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from wharfinger.errors import ConfigError, UsageError
from wharfinger.keys import refuse_unknown
from wharfinger.scanners.clamd import DEFAULT_MAX_SIZE, Clamd
from wharfinger.service.judging import OnDoubt
from wharfinger.units import parse_duration, parse_size

if TYPE_CHECKING:
    from wharfinger.scanners import Scanner

_KEYS: Final = ("clamd", "timeout", "max_size", "yara", "when_down", "when_unscannable")


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanSettings:
    """Who is asked about every file.

    Args:
        clamd: the address of a ClamAV daemon, "unix:///run/clamav/clamd.ctl" or
            "tcp://127.0.0.1:3310"; None for none.
        timeout: seconds that one scan may take.
        max_size: bytes of the largest file that is sent to clamd, at most its
            StreamMaxLength; a larger one cannot be scanned.
        yara: files with YARA rules, which find what you describe yourself.
        when_down: "hold" keeps what comes while a scanner is away, and asks later; "refuse"
            refuses it.
        when_unscannable: "refuse" refuses what no scanner can read, such as encrypted archives;
            "hold" keeps it for a person to decide (`wharf release`).

    Raises:
        ConfigError: a value is wrong.
    """

    clamd: str | None = None
    timeout: int = 120
    max_size: int = DEFAULT_MAX_SIZE
    yara: tuple[Path, ...] = ()
    when_down: OnDoubt = "hold"
    when_unscannable: OnDoubt = "refuse"

    def __post_init__(self) -> None:
        for key in ("when_down", "when_unscannable"):
            if getattr(self, key) not in ("hold", "refuse"):
                raise ConfigError(
                    f'[scan] {key} is "hold" or "refuse", not {getattr(self, key)!r}.'
                )
        if self.timeout < 1:
            raise ConfigError("[scan] timeout is at least a second.")
        if self.max_size < 1:
            raise ConfigError("[scan] max_size is at least a byte; without it nothing is scanned.")
        self.of_clamd()

    @classmethod
    def from_mapping(cls, table: Mapping[str, object]) -> ScanSettings:
        """Return what a `[scan]` table describes. Raises ConfigError."""
        refuse_unknown(table, _KEYS, "[scan]")
        try:
            return cls(
                clamd=_text(table.get("clamd")),
                timeout=parse_duration(table.get("timeout", 120)),  # type: ignore[arg-type]
                max_size=parse_size(table.get("max_size", DEFAULT_MAX_SIZE)),  # type: ignore[arg-type]
                yara=_paths(table.get("yara", ())),
                when_down=table.get("when_down", "hold"),  # type: ignore[arg-type]  # checked there
                when_unscannable=table.get("when_unscannable", "refuse"),  # type: ignore[arg-type]
            )
        except ConfigError:
            raise
        except UsageError as error:
            raise ConfigError(f"[scan]: {error.detail}", hint=error.hint) from error

    @property
    def most_scanned(self) -> int | None:
        """The size of the largest file that is not refused as too large to be scanned; None: any."""
        return self.max_size if self.clamd and self.when_unscannable == "refuse" else None

    def of_clamd(self) -> Clamd | None:
        """Return the daemon that is named, if one is."""
        if self.clamd is None:
            return None
        return Clamd(address=self.clamd, timeout=self.timeout, max_size=self.max_size)

    def scanner(self) -> Scanner | None:
        """Return whoever is asked; None when nobody is.

        Raises:
            ConfigError: the rules cannot be used, or the package that reads them is missing.
        """
        found: list[Scanner] = []
        if (daemon := self.of_clamd()) is not None:
            found.append(daemon)
        if self.yara:
            from wharfinger.scanners.yara import Yara

            found.append(Yara(self.yara, timeout=self.timeout))
        if len(found) > 1:
            from wharfinger.scanners.several import Several

            return Several(found)
        return found[0] if found else None

    def describe(self) -> dict[str, object]:
        """Return it as plain values."""
        return {
            "clamd": self.clamd,
            "timeout": self.timeout,
            "max_size": self.max_size,
            "yara": [str(path) for path in self.yara],
            "when_down": self.when_down,
            "when_unscannable": self.when_unscannable,
        }


def _text(value: object) -> str | None:
    if value is not None and not isinstance(value, str):
        raise UsageError("clamd must be text.")
    return value


def _paths(value: object) -> tuple[Path, ...]:
    wanted = [value] if isinstance(value, str) else value
    if not isinstance(wanted, (list, tuple)) or not all(isinstance(one, str) for one in wanted):
        raise UsageError("yara must be the path of a file with rules, or a list of these.")
    return tuple(Path(one) for one in wanted)
