"""`wharf ls`: the files of a service."""

from __future__ import annotations

import click

from wharfinger import names
from wharfinger.cli import output
from wharfinger.cli.remote import Service, service_options
from wharfinger.units import show_size


@click.command(
    "ls",
    help="""List the files that you may see, newest first: id, size, type, time (in UTC), collection, name, and the state of those that are not ready.""",
)
@click.option("--collection", metavar="NAME", help="Only files of this collection.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="At most this many.")
@service_options
def command(
    *,
    collection: str | None,
    limit: int | None,
    service: Service,
) -> None:
    """List files."""
    with service.connect() as wharf:
        for record in wharf.files(collection=collection, limit=limit):
            output.emit(record, _line(record))


def _minute(time: str) -> str:
    """Return a time of the service, which is in UTC and says so, to the minute."""
    return f"{time[:16]}Z" if time.endswith("Z") else time


def _state(record: dict[str, object]) -> str:
    """Return in brackets the state of a file that cannot be read."""
    state = record.get("state", "ready")
    return "" if state == "ready" else f" ({state})"


def _line(record: dict[str, object]) -> str:
    size = record.get("size")
    columns = (
        str(record.get("id")),
        f"{show_size(size) if isinstance(size, int) else '?':>12}",
        f"{record.get('type')!s:<24}",
        _minute(str(record.get("created_at"))),
        f"{record.get('collection')!s:<8}",
        f"{record.get('name')}{_state(record)}",
    )
    return "  ".join(names.show(column, limit=300) for column in columns)
