"""SIGTERM and SIGHUP to a transfer: what Ctrl-C does, and the exit code that shells know.

A service manager, `timeout`, a closed terminal: whoever ends the command finds the partial
file as it is after Ctrl-C, and is told how to go on. The exit code is 128 and the number of
the signal (143, 129), as the shell has it for a program that does not catch it.
"""

from __future__ import annotations

import functools
import signal
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from types import FrameType

_F = TypeVar("_F", bound=Callable[..., Any])
_SIGNALS: Final = (signal.SIGTERM, signal.SIGHUP)


class Stopped(KeyboardInterrupt):
    """A signal asked the command to end. `number` says which."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number

    @property
    def exit_code(self) -> int:
        """What the command ends with."""
        return 128 + self.number


def stops_cleanly(function: _F) -> _F:
    """Have a command end by these signals as it does by Ctrl-C.

    One that is ignored (as nohup does) stays so.
    """

    @functools.wraps(function)
    def command(*arguments: Any, **options: Any) -> Any:
        if threading.current_thread() is not threading.main_thread():
            return function(*arguments, **options)
        caught = [each for each in _SIGNALS if signal.getsignal(each) is signal.SIG_DFL]
        for each in caught:
            signal.signal(each, _stop)
        try:
            return function(*arguments, **options)
        finally:
            for each in caught:
                if signal.getsignal(each) is _stop:
                    signal.signal(each, signal.SIG_DFL)

    return command  # type: ignore[return-value]


def _stop(number: int, _frame: FrameType | None) -> None:
    # `timeout` sends its signal twice: to the command and to its group. The second one must
    # not end what the first one has begun.
    for each in _SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
