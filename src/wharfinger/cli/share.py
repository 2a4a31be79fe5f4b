"""`wharf share`: a link to a file.

A password is never the value of an option: there it would be in the list of processes and
in the shell's history. It comes from the terminal, a file or the environment.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from wharfinger import names
from wharfinger.cli import output
from wharfinger.cli.remote import Service, service_options
from wharfinger.errors import LocalFileError, SourceMissing, UsageError
from wharfinger.units import parse_duration

_VARIABLE: Final = "WHARFINGER_LINK_PASSWORD"
# More than any password has; the service says how many characters one may have.
_MAX_PASSWORD: Final = 4096


@click.command(
    "share",
    help="""Make a link by which whoever has it may download the file ID; print its address.

    The link works for a week unless --expires-in says otherwise. Chats and other programs
    that preview a link do not use it up.
    """,
)
@click.argument("identity", metavar="ID")
@click.option("--expires-in", metavar="TIME", help="Such as '1 h' or '30 d'.")
@click.option(
    "--max-downloads", type=click.IntRange(min=1), metavar="N", help="How often it may be used."
)
@click.option("--download-name", metavar="NAME", help="The name to save it under.")
@click.option("--inline", is_flag=True, help="Show harmless types in the browser.")
@click.option(
    "--password",
    is_flag=True,
    help=f"Let the link ask for a password: that in {_VARIABLE}, else you are asked for it.",
)
@click.option(
    "--password-file",
    metavar="FILE",
    help="Let the link ask for the password in the first line of this file; - is stdin.",
)
@service_options
def command(
    *,
    identity: str,
    expires_in: str | None,
    max_downloads: int | None,
    download_name: str | None,
    inline: bool,
    password: bool,
    password_file: str | None,
    service: Service,
) -> None:
    """Make a link."""
    wishes: dict[str, object] = {
        "expires_in": None if expires_in is None else parse_duration(expires_in),
        "max_downloads": max_downloads,
        "download_name": download_name,
        "disposition": "inline" if inline else None,
        "password": _password(password_file, asked=password),
    }
    with service.connect() as wharf:
        link = wharf.share(
            identity, {key: value for key, value in wishes.items() if value is not None}
        )
    output.emit(link, str(link["url"]))


def _password(path: str | None, *, asked: bool) -> str | None:
    if path is not None:
        if asked:
            raise UsageError("--password and --password-file exclude each other.")
        return _first_line(path)
    if not asked:
        return None
    given = os.environ.get(_VARIABLE)
    if given:
        return given
    if not sys.stdin.isatty():
        raise UsageError(
            "There is no terminal to ask for the password.",
            hint=f"Set {_VARIABLE}, or give --password-file FILE.",
        )
    typed: str = click.prompt(
        "Password of the link", hide_input=True, confirmation_prompt="Once more", err=True
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
