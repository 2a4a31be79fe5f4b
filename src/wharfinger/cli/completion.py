"""`wharf completion`: completion for a shell."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from wharfinger.cli import output
from wharfinger.errors import UsageError

# Both programs answer to the one variable, because both call themselves "wharf".
_VARIABLE = "_WHARF_COMPLETE"


@click.command(
    "completion",
    help="""Print the completion script of SHELL.

    For example, in ~/.bashrc: eval "$(wharf completion bash)"
    """,
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(*, shell: str) -> None:
    """Print a completion script."""
    from wharfinger.cli import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise UsageError(f"There is no completion for {shell}.")
    scripts = [kind(cli, {}, program, _VARIABLE).source() for program in ("wharf", "wharfinger")]
    output.emit({"shell": shell, "script": "\n".join(scripts)}, "\n".join(scripts))
