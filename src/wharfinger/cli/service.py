"""Options of the commands that work on a service's own folder."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wharfinger.errors import ConfigError

if TYPE_CHECKING:
    from wharfinger.server.settings import ServerSettings

_F = TypeVar("_F", bound=Callable[..., Any])


def data_options(function: _F) -> _F:
    """Give a command `--data` and `--config`."""
    function = click.option(
        "--config", metavar="FILE", help="A wharfinger.toml; by default the one in this folder."
    )(function)
    return click.option("--data", metavar="DIR", help="The service's data folder.")(function)


def load(**flags: object) -> ServerSettings:
    """Return the settings that these flags, the environment and the file make together.

    Raises:
        ConfigError: something is wrong, or the packages of the service are not installed.
    """
    try:
        from wharfinger.server.settings import load_settings
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.startswith("wharfinger"):
            raise
        raise ConfigError(
            f"The service needs the package {error.name!r}.",
            hint="Install them all: pip install 'wharfinger[server]'",
        ) from error
    return load_settings(flags, os.environ)
