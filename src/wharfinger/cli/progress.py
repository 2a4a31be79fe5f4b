"""Progress on stderr: a bar on a terminal, else a line every 30 seconds; none with `--json`."""

from __future__ import annotations

import contextlib
import functools
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from wharfinger import names
from wharfinger.cli import output
from wharfinger.units import show_size

if TYPE_CHECKING:
    from wharfinger.client.progress import Callback, Progress

_LINE_EVERY: Final = 30.0  # seconds between two lines where there is no terminal
_MOVING: Final = frozenset({"receiving", "sending"})


@contextlib.contextmanager
def shown(title: str) -> Iterator[Callback | None]:
    """Yield a callback that draws a transfer."""
    if output.is_json():
        yield None
    elif sys.stderr.isatty():
        with _bar(names.show(title, limit=40)) as bar:
            yield bar.draw
    else:
        yield _lines(names.show(title, limit=80))


@contextlib.contextmanager
def several(title: str, total: int | None) -> Iterator[Several]:
    """Yield what draws transfers at the same time as one.

    Args:
        title: what all of them are called.
        total: their bytes, None when nobody knows.
    """
    if output.is_json():
        yield Several(None, total)
    elif sys.stderr.isatty():
        with _bar(names.show(title, limit=40)) as bar:
            yield Several(bar.draw, total, bar.aside)
    else:
        yield Several(_lines(names.show(title, limit=80)), total)


class Several:
    """Transfers at the same time, drawn as one: `draw` is told of their sum, from any thread."""

    def __init__(
        self,
        draw: Callback | None,
        total: int | None,
        aside: Callable[[], AbstractContextManager[None]] = contextlib.nullcontext,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.aside = aside
        """Returns a context in which something can be printed beside the bar."""
        self._draw = draw
        self._total = total
        self._clock = clock
        self._since = clock()
        self._lock = threading.Lock()
        self._done: list[int] = []

    def one(self) -> Callback | None:
        """Return the callback of one more transfer."""
        if self._draw is None:
            return None
        with self._lock:
            number = len(self._done)
            self._done.append(0)
        return functools.partial(self._tell, self._draw, number)

    def _tell(self, draw: Callback, number: int, now: Progress) -> None:
        if now.stage not in _MOVING:
            return
        with self._lock:
            self._done[number] = now.done
            done, elapsed = sum(self._done), self._clock() - self._since
            rate = done / elapsed if elapsed > 0 else 0.0
            total = None if self._total is None else max(self._total, done)
            draw(replace(now, done=done, total=total, rate=rate))


def _lines(title: str) -> Callback:
    told = time.monotonic()

    def tell(now: Progress) -> None:
        nonlocal told
        if now.stage not in _MOVING or time.monotonic() - told < _LINE_EVERY:
            return
        told = time.monotonic()
        of = "" if now.total is None else f" of {show_size(now.total)}"
        left = "" if now.eta is None else f", {_clock(now.eta)} left"
        output.note(f"{title}: {show_size(now.done)}{of}, {show_size(int(now.rate))}/s{left}")

    return tell


def _clock(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


@dataclass(frozen=True)
class _Bar:
    """A bar on the terminal."""

    draw: Callback
    aside: Callable[[], AbstractContextManager[None]]


@contextlib.contextmanager
def _bar(title: str) -> Iterator[_Bar]:
    from rich import progress as bars
    from rich.console import Console

    columns = (
        bars.TextColumn("{task.description}", markup=False),
        bars.BarColumn(),
        bars.DownloadColumn(binary_units=True),
        bars.TransferSpeedColumn(),
        bars.TimeRemainingColumn(),
    )
    # What is printed on stdout stays there: rich would lead it to the bar's console.
    display = bars.Progress(
        *columns,
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    task = display.add_task(title, total=None)

    def draw(now: Progress) -> None:
        known = now.stage in _MOVING or now.stage == "done"
        described = title if known else f"{title} ({now.stage})"
        display.update(task, description=described, completed=now.done, total=now.total)

    @contextlib.contextmanager
    def aside() -> Iterator[None]:
        display.stop()
        try:
            yield
        finally:
            display.start()

    with display:
        yield _Bar(draw, aside)
