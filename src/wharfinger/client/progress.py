"""`Progress`: one small event for both directions, for callbacks, terminal and async twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from wharfinger.net.patience import Clock

Stage = Literal["checking", "connecting", "receiving", "sending", "waiting", "done"]
_EVERY: Final = 0.1  # seconds between two events of one stage


@dataclass(frozen=True, kw_only=True, slots=True)
class Progress:
    """Where a transfer stands.

    `done` and `total` are bytes (`total` is None when nobody knows), `rate` is bytes per
    second over this stage, `eta` the seconds that are left at this rate (None when nobody
    knows).
    """

    stage: Stage
    done: int
    total: int | None
    rate: float

    @property
    def eta(self) -> float | None:
        """The seconds that are left at this rate."""
        if self.total is None or self.rate <= 0:
            return None
        return max(self.total - self.done, 0) / self.rate


Callback = Callable[[Progress], None]


class Meter:
    """Tells a callback about a transfer: at each new stage, at its end, and ten times a second."""

    def __init__(self, callback: Callback | None, clock: Clock) -> None:
        self._callback = callback
        self._clock = clock
        self._stage: Stage = "connecting"
        self._base = 0
        self._total: int | None = None
        self._done = 0
        self._since = clock()
        self._told = float("-inf")

    def enter(self, stage: Stage, *, done: int = 0, total: int | None = None) -> None:
        """Begin a stage in which `done` of `total` bytes are there already."""
        self._stage, self._base, self._done, self._total = stage, done, done, total
        self._since = self._clock()
        self._tell(self._since)

    @property
    def done(self) -> int:
        """Bytes that moved in this stage."""
        return self._done

    def add(self, count: int) -> None:
        """Count bytes that moved."""
        self.reach(self._done + count)

    def reach(self, done: int) -> None:
        """Note how many bytes are there now."""
        self._done = done
        if self._callback is not None:
            now = self._clock()
            if now - self._told >= _EVERY:
                self._tell(now)

    def finish(self) -> None:
        """Tell that the transfer is over and all of it is there."""
        self._stage, self._total = "done", self._done
        self._tell(self._clock())

    def _tell(self, now: float) -> None:
        if self._callback is None:
            return
        self._told = now
        elapsed = now - self._since
        rate = (self._done - self._base) / elapsed if elapsed > 0 else 0.0
        self._callback(Progress(stage=self._stage, done=self._done, total=self._total, rate=rate))
