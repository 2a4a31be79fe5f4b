"""`wharf info`: the record of a file."""

from __future__ import annotations

import click

from wharfinger.cli import output, remote
from wharfinger.cli.credentials import server_options
from wharfinger.cli.options import timeout_option


@click.command("info", help="Show the record of the file ID (or the address of a file).")
@click.argument("identity", metavar="ID")
@timeout_option
@server_options
def command(*, identity: str, timeout: float, server: str | None, token_file: str | None) -> None:
    """Show a record."""
    with remote.connect(server, token_file, timeout) as wharf:
        output.emit(wharf.info(identity))
