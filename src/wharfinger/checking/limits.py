"""What a process that decodes may use: memory, time, files. Set by itself, before it reads.

The limits are the kernel's (setrlimit): the decoder is C, and nothing in Python can stop it.
"""

from __future__ import annotations

import os
import resource
import signal
from typing import Final

from wharfinger.units import MIB

__all__ = ["MEMORY", "allow_memory", "allow_output", "allow_time", "confine"]

# Python and all decoders map some 300 MiB of address space, most of it never touched.
MEMORY: Final = 640 * MIB
# Beside the decoded picture: a copy turned upright, one in other colours, the encoder's own.
_BYTES_PER_PIXEL: Final = 24
_FILES: Final = 32


def confine() -> None:
    """Give up what no decoder needs."""
    os.nice(5)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, _FILES)
    _limit(resource.RLIMIT_FSIZE, 0)
    allow_memory()
    # A signal of the terminal is meant for the program that asks; its end is the end here.
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def allow_memory(pixels: int = 0, *, extra: int = 0) -> None:
    """Allow the address space that one picture of so many pixels needs, and no more."""
    _limit(resource.RLIMIT_AS, MEMORY + pixels * _BYTES_PER_PIXEL + extra)


def allow_output(length: int) -> None:
    """Allow files of this length to be written."""
    _limit(resource.RLIMIT_FSIZE, length)


def allow_time(seconds: int) -> None:
    """Allow so many more seconds, of the processor and by the clock. Beyond, the process ends.

    Who asked ends it earlier; this is for the case that nobody is there any more.
    """
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + seconds + 1)
    signal.alarm(seconds + 1)


def _limit(which: int, value: int) -> None:
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    resource.setrlimit(which, (value, most))
