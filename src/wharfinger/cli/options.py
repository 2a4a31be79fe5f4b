"""Options that several commands have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from wharfinger.errors import ConfigError, LocalFileError, SourceMissing

if TYPE_CHECKING:
    from wharfinger.policy import Policy

_F = TypeVar("_F", bound=Callable[..., Any])


def policy_option(function: _F) -> _F:
    """Give a command `--policy`: a preset's name, or a TOML file with the keys of a policy."""
    return click.option(
        "--policy",
        metavar="PRESET|FILE",
        callback=_policy,
        help="images, documents, media, archives, anything, or a TOML file.",
    )(function)


def header_option(function: _F) -> _F:
    """Give a command `--header`."""
    return click.option(
        "--header",
        "-H",
        multiple=True,
        metavar="'NAME: VALUE'",
        help="A header field; dropped when a redirect leaves the origin.",
    )(function)


def timeout_option(function: _F) -> _F:
    """Give a command `--timeout`."""
    return click.option(
        "--timeout",
        type=click.FloatRange(0, 86400, min_open=True),
        default=30.0,
        show_default=True,
        metavar="SECONDS",
        help="For connecting, for the head of the answer, and for silence.",
    )(function)


def retries_option(function: _F) -> _F:
    """Give a command `--retries`."""
    return click.option(
        "--retries",
        type=click.IntRange(0, 100),
        metavar="N",
        help="Further attempts after a failure on the way. [default: 6, over 15 to 32 s; 2 within "
        "1.5 s as long as the server has not answered at all]",
    )(function)


def headers_of(header: tuple[str, ...]) -> dict[str, str]:
    """Return the header fields that were given."""
    fields: dict[str, str] = {}
    for text in header:
        name, colon, value = text.partition(":")
        if not colon or not name.strip():
            raise click.UsageError("A header is written like 'Name: value'.")
        fields[name.strip()] = value.strip()
    return fields


def _policy(
    _context: click.Context, _parameter: click.Parameter, value: str | None
) -> Policy | None:
    return None if value is None else policy_of(value)


def policy_of(value: str) -> Policy:
    """Return the preset of that name, or the policy that a TOML file describes.

    Raises:
        SourceMissing, LocalFileError: it is neither.
        ConfigError: the file is wrong.
    """
    from wharfinger.policy import PRESETS, Policy

    if value in PRESETS:
        made: Policy = getattr(Policy, value)()
        return made
    return _policy_file(value)


def _policy_file(path: str) -> Policy:
    import tomllib

    from wharfinger.policy import PRESETS, Policy

    try:
        table = tomllib.loads(Path(path).read_text("utf-8"))
    except FileNotFoundError as error:
        raise SourceMissing(
            f"{path!r} is neither a preset nor a file.",
            hint=f"The presets are {', '.join(PRESETS)}.",
        ) from error
    except OSError as error:
        raise LocalFileError(f"{path!r} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise ConfigError(f"{path!r} is not TOML: {error}.") from error
    inner = table.get("policy")
    return Policy.from_mapping(inner if isinstance(inner, dict) else table, where=path)
