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
        waiting, parked = wharf.checking.counts()
    text = f"Files to be scanned again: {enqueued}."
    if here:  # what is done and waits again found its scanner away
        text += f" Scans done: {done}; waiting: {waiting}."
    record = {"enqueued": enqueued, "done": done, "waiting": waiting, "parked": parked}
    output.emit(record, text)
