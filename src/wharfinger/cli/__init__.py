"""The commands `wharfinger` and `wharf`: one file per command, imported when it is called."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Final

import click

from wharfinger._version import __version__
from wharfinger.cli import output

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["cli", "main"]

# Name to the module below this package that has it as `command`, and its line in the help.
_COMMANDS: Final[dict[str, tuple[str, str]]] = {
    "get": ("get", "Download a file, judged and verified."),
    "put": ("put", "Upload files."),
    "inspect": ("inspect", "Judge local files."),
    "serve": ("serve", "Run the service."),
    "ls": ("ls", "List files of a service."),
    "info": ("info", "Show the record of a file."),
    "share": ("share", "Make a link to a file."),
    "request": ("request", "Make a link by which others may send files in."),
    "rm": ("rm", "Remove files of a service."),
    "token": ("token", "Create, list and revoke tokens."),
    "worker": ("worker", "Check files in a process of its own."),
    "release": ("release", "Hand a held file out after all."),
    "rescan": ("rescan", "Have files scanned again after new signatures."),
    "sweep": ("sweep", "Remove what has expired and what nobody owns."),
    "events": ("events", "List events that the webhook did not take, and try them anew."),
    "policy": ("policy", "Show what a policy accepts."),
    "doctor": ("doctor", "Find out what is wrong with an installation."),
    "config": ("config", "Show the configuration."),
    "completion": ("completion", "Print the completion script of a shell."),
}


class _Lazy(click.Group):
    """A group whose commands are imported one at a time: `wharf --version` imports none."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"wharfinger.cli.{_COMMANDS[cmd_name][0]}")
        command = module.command
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.command is not a command")
        output.prepare(command)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in _COMMANDS and not args[0].startswith("-"):
            output.unknown_command(ctx, args[0], list(_COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(
    cls=_Lazy,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`wharf COMMAND --help` explains a command. Exit codes: docs/reference/command-line.md.",
)
@click.version_option(__version__, prog_name="wharfinger", message="%(prog)s %(version)s")
def cli() -> None:
    """Move files safely: judged before a byte is kept, streamed, resumed, verified."""


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line and end the process with its exit code."""
    raise SystemExit(output.run(cli, args))
