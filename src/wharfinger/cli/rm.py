"""`wharf rm`: remove files."""

from __future__ import annotations

import click

from wharfinger.cli import output
from wharfinger.cli.remote import Service, service_options
from wharfinger.client.remote import file_id
from wharfinger.errors import EXIT_SOME_FAILED, WharfingerError


@click.command("rm", help="Remove the files ID..., and their links, at once and for good.")
@click.argument("identities", nargs=-1, required=True, metavar="ID...")
@service_options
def command(
    *,
    identities: tuple[str, ...],
    service: Service,
) -> int:
    """Remove files."""
    failures: list[WharfingerError] = []
    with service.connect() as wharf:
        for identity in identities:
            try:
                wharf.remove(identity)
            except WharfingerError as error:
                if len(identities) == 1:
                    raise
                output.fail(error, subject=identity)
                failures.append(error)
            else:
                removed = file_id(identity)
                output.emit({"id": removed, "removed": True}, f"removed {removed}")
    if not failures:
        return 0
    return failures[0].exit_code if len(failures) == len(identities) else EXIT_SOME_FAILED
