"""`wharf events`: what the webhook did not take, and another try for what was given up."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import click

from wharfinger import names
from wharfinger.cli import output, service
from wharfinger.errors import EXIT_OTHER, UsageError

if TYPE_CHECKING:
    from wharfinger.service import Event

_PAGE = 1000


@click.group("events", help="List events that the webhook did not take, and try them anew.")
def command() -> None:
    """Events."""


@command.command(
    "ls",
    help="""List events that the webhook did not take yet, oldest first: id, time, type, file,
    tries, and when the next one is.

    One that was given up is tried no more; it is kept for 30 days.
    """,
)
@click.option("--parked", is_flag=True, help="Only those that were given up.")
@service.data_options
def list_events(*, parked: bool, data: str | None, config: str | None) -> None:
    """List events."""
    settings = service.existing(service.load(data=data, config=config))
    from wharfinger.service import Wharf

    with Wharf(settings.wharf) as wharf:
        after = 0
        while page := wharf.events.undelivered(parked=parked, after=after, limit=_PAGE):
            for event, next_at in page:
                output.emit(_record(event, next_at), _line(event, next_at))
                after = event.seq


@command.command(
    "retry",
    help="""Try the events ID... anew that were given up, all of them by default.

    They are posted now, unless a `wharf serve` is there, which does so within a second. The exit
    code is 1 when the webhook did not take one: it is tried again later, as any event.
    """,
)
@click.argument("ids", nargs=-1, metavar="[ID...]")
@service.data_options
def retry(*, ids: tuple[str, ...], data: str | None, config: str | None) -> int:
    """Try events anew."""
    settings = service.existing(service.load(data=data, config=config))
    from wharfinger.service import Wharf

    with Wharf(settings.wharf) as wharf:
        if wharf.events.webhook is None:
            raise UsageError("No webhook is set.", hint="Set webhook in [events].")
        count = wharf.events.retry(ids or None)
        came = wharf.events.deliver()
    record = {"tried_anew": count, "delivered": came.delivered, "failed": came.failed}
    text = f"{count} to be tried anew; {came.delivered} delivered now, {came.failed} tries failed"
    output.emit(record, text)
    return EXIT_OTHER if came.failed else 0


def _record(event: Event, next_at: datetime | None) -> dict[str, object]:
    return {
        "id": event.id,
        "seq": event.seq,
        "type": event.type,
        "at": _time(event.at),
        "file": event.file,
        "tries": event.tries,
        "next_try_at": None if next_at is None else _time(next_at),
    }


def _line(event: Event, next_at: datetime | None) -> str:
    planned = "given up" if next_at is None else f"next {_time(next_at)[:19]}Z"
    columns = (
        event.id,
        f"{_time(event.at)[:19]}Z",
        f"{event.type:<14}",
        str(event.file.get("id")),
        f"{event.tries:>2} tries",
        planned,
        str(event.file.get("name")),
    )
    return "  ".join(names.show(column, limit=300) for column in columns)


def _time(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
