"""The password of a link: from the terminal, a file or the environment.

It is never the value of an option: there it would be in the list of processes and in the
shell's history.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from wharfinger import names
from wharfinger.errors import LocalFileError, SourceMissing, UsageError

VARIABLE: Final = "WHARFINGER_LINK_PASSWORD"
# More than any password has; the service says how many characters one may have.
_MAX_PASSWORD: Final = 4096


def password_of(path: str | None, *, asked: bool, new: bool = False) -> str | None:
    """Return the password that `--password-file` and `--password` mean, or None.

    Args:
        path: of the file whose first line has it; "-" is stdin.
        asked: whether to take it from the environment, or else to ask for it.
        new: whether it is being chosen: it is then asked for twice.

    Raises:
        UsageError: both were given, or there is none.
        SourceMissing, LocalFileError: the file cannot be read.
    """
    if path is not None:
        if asked:
            raise UsageError("--password and --password-file exclude each other.")
        return _first_line(path)
    if not asked:
        return None
    given = os.environ.get(VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to ask for the password.",
            hint=f"Set {VARIABLE}, or give --password-file FILE.",
        )
    typed: str = click.prompt(
        "Password of the link",
        hide_input=True,
        confirmation_prompt="Once more" if new else False,
        err=True,
    )
    return typed


def _first_line(path: str) -> str:
    shown = names.show(path)
    try:
        if path == "-":
            data = sys.stdin.buffer.readline(_MAX_PASSWORD)
        else:
            with Path(path).open("rb") as file:
                data = file.readline(_MAX_PASSWORD)
        text = data.decode("utf-8").rstrip("\r\n")
    except FileNotFoundError as error:
        raise SourceMissing(f"The password file {shown} does not exist.") from error
    except (OSError, UnicodeDecodeError) as error:
        raise LocalFileError(f"The password file {shown} cannot be read.") from error
    if not text:
        raise UsageError(f"There is no password in the first line of {shown}.")
    return text
