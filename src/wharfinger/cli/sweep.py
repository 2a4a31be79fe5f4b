"""`wharf sweep`: end what has expired, remove what nobody owns, and say what was done."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

import click

from wharfinger.cli import output, service

_LINES: Final = {
    "expired": "files expired",
    "uploads": "uploads ended that nobody went on with",
    "orphans": "files without a record removed",
    "parts": "parts without an upload removed",
    "leftovers": "leftovers in staging removed",
    "links": "old links forgotten",
    "replies": "stored answers forgotten",
}


@click.command(
    "sweep",
    help="""Remove what has expired and what nobody owns from the service in --data.

    For cron, where no `wharf serve` runs, which sweeps by itself. Harmless beside one, and
    while files are being received.
    """,
)
@service.data_options
def command(*, data: str | None, config: str | None) -> None:
    """Sweep once."""
    settings = service.existing(service.load(data=data, config=config))
    with service.installed():
        from wharfinger.service import Wharf

    with Wharf(settings.wharf) as wharf:
        report = asdict(wharf.sweep())
    if output.is_json():
        output.emit(report)
        return
    for key, line in _LINES.items():
        output.emit({}, f"{report[key]:>6}  {line}")
