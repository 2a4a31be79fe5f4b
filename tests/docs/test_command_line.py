"""The command-line reference names every command and option there is, and none that is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from wharfinger import errors
from wharfinger.cli import cli

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "command-line.md"


def commands(group: click.Group = cli, prefix: str = "") -> Iterator[tuple[str, click.Command]]:
    """Yield each command under the name that a person types."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


COMMANDS = dict(commands())


def sections() -> dict[str, str]:
    """Return the text below each `### command` heading."""
    parts = re.split(r"(?m)^### (.+)$", PAGE.read_text(encoding="utf-8"))
    texts = (part.split("\n## ")[0] for part in parts[2::2])
    return dict(zip(parts[1::2], texts, strict=True))


def long_options(command: click.Command) -> set[str]:
    """Return the options of a command that are its own, not those that every command has."""
    return {
        option
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
        if option.startswith("--")
    } - {"--help", "--json"}


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert set(sections()) == set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_names_exactly_the_options_that_the_command_has(name: str) -> None:
    rows = re.findall(r"(?m)^\| (`-.+?) \|", sections()[name])
    documented = set(re.findall(r"`(--[a-z0-9-]+)", " ".join(rows)))
    assert documented == long_options(COMMANDS[name])


def test_the_exit_codes_are_those_of_the_errors() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \| ", PAGE.read_text(encoding="utf-8"))
    constants = {value for name, value in vars(errors).items() if name.startswith("EXIT_")}
    assert {int(code) for code in rows} == {0, *constants}
