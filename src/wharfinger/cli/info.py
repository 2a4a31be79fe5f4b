"""`wharf info`: the record of a file."""

from __future__ import annotations

import click

from wharfinger.cli import output
from wharfinger.cli.remote import Service, service_options


@click.command("info", help="Show the record of the file ID (or the address of a file).")
@click.argument("identity", metavar="ID")
@service_options
def command(
    *,
    identity: str,
    service: Service,
) -> None:
    """Show a record."""
    with service.connect() as wharf:
        output.emit(wharf.info(identity))
