"""`wharf rescan`: have files scanned again after the scanner has new signatures."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from wharfinger.cli import output, service


@click.command(
    "rescan",
    help="""Have ready files scanned again, and held ones checked again.

    For after new signatures. A ready file that is found infected is withdrawn at once, its
    links with it. A running `wharf serve` or `wharf worker` does the scans; --now does them here.
    """,
)
@click.option("--collection", metavar="NAME", help="Only files of this collection.")
@click.option(
    "--since",
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"]),
    metavar="DATE",
    help="Only files that came on or after this day (UTC).",
)
@click.option("--now", "here", is_flag=True, help="Scan here and now, and wait for it.")
@service.data_options
def command(
    *,
    collection: str | None,
    since: datetime | None,
    here: bool,
    data: str | None,
    config: str | None,
) -> None:
    """Enqueue scans."""
    settings = service.existing(service.load(data=data, config=config))
    with service.installed():
        from wharfinger.service import Wharf

    with Wharf(settings.wharf) as wharf:
        if collection is not None:
            wharf.collection(collection)
        enqueued = wharf.checking.rescan(
            collection=collection, since=None if since is None else since.replace(tzinfo=UTC)
        )
        done = wharf.checking.run() if here else 0
    text = f"{enqueued} files are to be scanned again."
    if here:
        text += f" {done} scans done."
    output.emit({"enqueued": enqueued, "done": done}, text)
