"""The token of the command line: from the environment or a file, for one origin only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from wharfinger import names
from wharfinger.cli import output
from wharfinger.errors import LocalFileError, SourceMissing, UsageError
from wharfinger.net import urls

_F = TypeVar("_F", bound=Callable[..., Any])
_MAX_TOKEN: Final = 4096


def server_options(function: _F) -> _F:
    """Give a command `--server` and `--token-file`."""
    function = click.option(
        "--token-file",
        metavar="FILE",
        envvar="WHARFINGER_TOKEN_FILE",
        help="Where the token is; else it comes from WHARFINGER_TOKEN.",
    )(function)
    return click.option(
        "--server",
        metavar="URL",
        envvar="WHARFINGER_SERVER",
        help="The service; the token is sent to its origin and to no other.",
    )(function)


def token(token_file: str | None) -> str | None:
    """Return the token that was given, or None.

    Raises:
        SourceMissing, LocalFileError: the file cannot be read.
        UsageError: what was given is no token.
    """
    ctx = click.get_current_context(silent=True)
    if ctx is not None and os.environ.get("WHARFINGER_TOKEN"):
        from click.core import ParameterSource

        if token_file and ctx.get_parameter_source("token_file") is ParameterSource.ENVIRONMENT:
            raise UsageError(
                "Both WHARFINGER_TOKEN and WHARFINGER_TOKEN_FILE are set.",
                hint="Unset one of them, or name the file with --token-file.",
            )
    if token_file is None:
        text = os.environ.get("WHARFINGER_TOKEN", "")
    else:
        shown = names.show(token_file)
        try:
            with Path(token_file).open(encoding="ascii") as file:
                text = file.read(_MAX_TOKEN + 1)
        except FileNotFoundError as error:
            raise SourceMissing(f"The token file {shown} does not exist.") from error
        except (OSError, UnicodeDecodeError) as error:
            raise LocalFileError(f"The token file {shown} cannot be read.") from error
    text = text.strip()
    if not text:
        return None
    if len(text) > _MAX_TOKEN or not text.isascii() or not text.isprintable() or " " in text:
        raise UsageError(
            "What was given as a token is none.",
            hint="A token is one word on one line; `wharf token create` prints one.",
        )
    return text


def token_for(url: str, server: str | None, token_file: str | None) -> str | None:
    """Return the token to send with a request to `url`: None unless it is the server's origin.

    A download link is its own permission; a token beside it would take the place of the link's
    password.
    """
    if server is not None and urls.parse(url).origin == urls.parse(server).origin:
        links = f"{urls.parse(server).path.rstrip('/')}/d/"
        return None if urls.parse(url).path.startswith(links) else token(token_file)
    if token(token_file) is not None:
        whose = (
            "no --server was named" if server is None else f"it is for {urls.parse(server).shown}"
        )
        output.explain(
            401,
            f"A token is set, but it was not sent: {whose}. It goes to the service of --server "
            "(or WHARFINGER_SERVER) only.",
        )
    return None
