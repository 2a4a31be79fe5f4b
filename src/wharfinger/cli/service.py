"""Options of the commands that work on a service's own folder."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wharfinger.errors import ConfigError, DataFolderError

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
    with installed():
        from wharfinger.server.settings import load_settings

    return load_settings(flags, os.environ)


@contextlib.contextmanager
def installed() -> Iterator[None]:
    """Turn a missing optional package into a message. Raises ConfigError."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("wharfinger"):
            raise
        raise ConfigError(
            f"This command needs the package {error.name!r}, which is not installed.",
            hint="pip install 'wharfinger[server]' brings everything that it needs.",
        ) from error


def existing(settings: ServerSettings) -> ServerSettings:
    """Return the settings if there is a service in their folder; a mistyped --data makes none.

    Raises:
        DataFolderError: there is none.
    """
    if not settings.wharf.catalog_file.exists():
        raise DataFolderError(
            f"There is no service in {str(settings.wharf.data)!r}.",
            hint="Name its data folder with --data; `wharf serve` makes a new one.",
        )
    return settings
