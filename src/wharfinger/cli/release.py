"""`wharf release`: hand a held file out after all."""

from __future__ import annotations

import getpass
import os

import click

from wharfinger import names
from wharfinger.cli import output, service


@click.command(
    "release",
    help="""Hand out the held file ID after all, because you looked at it.

    A file is held when no scanner can say whether it is clean, and has failed when its check
    went wrong again and again. The reason is kept in the log and in the event. To delete the
    file instead: wharf rm.
    """,
)
@click.argument("identity", metavar="ID")
@click.option("--reason", metavar="TEXT", required=True, help="Why it may be handed out.")
@service.data_options
def command(*, identity: str, reason: str, data: str | None, config: str | None) -> None:
    """Release a file."""
    settings = service.existing(service.load(data=data, config=config))
    with service.installed():
        from wharfinger.service import Wharf

    with Wharf(settings.wharf) as wharf:
        before = wharf.info(identity)
        released = wharf.release(identity, reason=reason, by=_who())
    why = "" if before.problem is None else str(before.problem["detail"])
    output.emit(
        {"id": released.id, "name": released.name, "state": released.state.value, "was": why},
        f"{names.show(released.name)} is handed out from now on. It was "
        f"{before.state.value}: {names.show(why)}",
    )


def _who() -> str:
    """Return who runs this: the name of the account, or its number where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
