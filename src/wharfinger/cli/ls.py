"""`wharf ls`: the files of a service."""

from __future__ import annotations

import click

from wharfinger import names
from wharfinger.cli import output, remote
from wharfinger.cli.credentials import server_options
from wharfinger.cli.options import timeout_option
from wharfinger.units import show_size


@click.command(
    "ls",
    help="""List the files that you may see, newest first: id, size, type, time, collection, name.""",
)
@click.option("--collection", metavar="NAME", help="Only files of this collection.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most this many.")
@timeout_option
@server_options
def command(
    *,
    collection: str | None,
    limit: int | None,
    timeout: float,
    server: str | None,
    token_file: str | None,
) -> None:
    """List files."""
    with remote.connect(server, token_file, timeout) as wharf:
        for record in wharf.files(collection=collection, limit=limit):
            output.emit(record, _line(record))


def _line(record: dict[str, object]) -> str:
    size = record.get("size")
    columns = (
        str(record.get("id")),
        f"{show_size(size) if isinstance(size, int) else '?':>12}",
        f"{record.get('type')!s:<24}",
        str(record.get("created_at"))[:16],
        f"{record.get('collection')!s:<8}",
        str(record.get("name")),
    )
    return "  ".join(names.show(column, limit=300) for column in columns)
