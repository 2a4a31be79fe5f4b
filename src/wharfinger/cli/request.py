"""`wharf request`: a link by which others may send files in."""

from __future__ import annotations

import click

from wharfinger.cli import output
from wharfinger.cli.remote import Service, service_options
from wharfinger.units import parse_duration, parse_size


@click.command(
    "request",
    help="""Make a link by which whoever has it may send files into COLLECTION; print its address.

    At the address there is a form for browsers; programs post files to it, too. The link works
    for a week unless --expires-in says otherwise, and what comes by it is yours. The rules of
    the collection hold; the options can only narrow them.
    """,
)
@click.argument("collection", metavar="COLLECTION")
@click.option("--expires-in", metavar="TIME", help="Such as '1 h' or '30 d'.")
@click.option(
    "--max-files", type=click.IntRange(min=1), metavar="N", help="How many files may come in all."
)
@click.option("--max-bytes", metavar="SIZE", help="How much may come in all, such as '100 MiB'.")
@click.option(
    "--types",
    metavar="TYPES",
    help="What may come: 'images', 'image/png' or the like; several with commas between them.",
)
@service_options
def command(
    *,
    collection: str,
    expires_in: str | None,
    max_files: int | None,
    max_bytes: str | None,
    types: str | None,
    service: Service,
) -> None:
    """Make an upload link."""
    wishes: dict[str, object] = {
        "expires_in": None if expires_in is None else parse_duration(expires_in),
        "max_files": max_files,
        "max_bytes": None if max_bytes is None else parse_size(max_bytes),
        "types": None if types is None else [one.strip() for one in types.split(",")],
    }
    with service.connect() as wharf:
        link = wharf.request(
            collection, {key: value for key, value in wishes.items() if value is not None}
        )
    output.emit(link, str(link["url"]))
