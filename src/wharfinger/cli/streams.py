"""The three standard streams: there from the start, and honest about what they cannot do."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Iterator
from typing import Final, NoReturn

from wharfinger.errors import LocalFileError

# What a stream is opened for when it was closed: reading nothing from it and writing nothing
# to it are errors, and not an empty file and a lost answer.
_INSTEAD: Final = (
    ("stdin", os.O_WRONLY),
    ("stdout", os.O_RDONLY),
    ("stderr", os.O_WRONLY),
)


class _Closed(io.TextIOWrapper):
    """Stands for a stdin that was closed: whoever reads it is told."""

    @property
    def buffer(self) -> NoReturn:
        raise LocalFileError("Standard input is closed.")


def repair() -> None:
    """Put something in the place of streams that were closed, so that no file gets their numbers."""
    global _silenced  # noqa: PLW0603 - a process has one stdout
    _silenced = False
    for number, (name, flags) in enumerate(_INSTEAD):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, flags)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            if number == 0:
                sys.stdin = _Closed(io.BytesIO())
            else:
                setattr(sys, name, os.fdopen(number, "w", closefd=False))


_silenced = False


def silenced() -> bool:
    """Return whether stdout leads nowhere."""
    return _silenced


@contextlib.contextmanager
def writing() -> Iterator[None]:
    """Write to stdout; a reader that has enough is left to the caller (BrokenPipeError).

    Raises:
        LocalFileError: it cannot be written (a full disk, a closed stream).
    """
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        silence()
        raise LocalFileError(
            f"Standard output cannot be written: {error.strerror or error}."
        ) from error


def silence() -> None:
    """Lead stdout nowhere: what is still in its buffer would fail once more at the end."""
    global _silenced  # noqa: PLW0603 - a process has one stdout
    _silenced = True
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
