"""`wharf worker`: check files for a service, in a process of its own."""

from __future__ import annotations

import signal
import threading
from concurrent.futures import FIRST_EXCEPTION, wait
from functools import partial
from typing import Final

import click

from wharfinger.cli import output, service

# A check that takes longer than this when the worker is told to end is left for another one.
_STOP_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 0.2


@click.command(
    "worker",
    help="""Check files for the service in --data, until it is stopped.

    `wharf serve` checks by itself; this is for more of it, on its own processor time. With
    `workers = 0` under [checking] the server leaves all checks to such workers.
    """,
)
@service.data_options
@click.option("--once", is_flag=True, help="Do what waits now, then end.")
@click.option(
    "--threads",
    type=click.IntRange(1, 64),
    default=2,
    show_default=True,
    metavar="N",
    help="Files that are checked at the same time.",
)
def command(*, data: str | None, config: str | None, once: bool, threads: int) -> None:
    """Do jobs."""
    settings = service.existing(service.load(data=data, config=config))
    with service.installed():
        from wharfinger.service import Wharf
        from wharfinger.service.threads import Threads

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    with Wharf(settings.wharf) as wharf:
        if not once:
            output.note("Checking files; Ctrl-C ends it.")
        pool = Threads(threads, "wharfinger-worker")
        run = partial(wharf.checking.run, until_idle=once, stop=stop)
        running = [pool.submit(run) for _ in range(threads)]
        while not stop.is_set():
            ended, others = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_EXCEPTION)
            if not others or any(future.exception() for future in ended):
                stop.set()
        if not pool.close(_STOP_SECONDS):
            output.note(
                "A check that takes long was left; it is done again by whoever checks next."
            )
        done = sum(future.result() for future in running if future.done())
        waiting, parked = wharf.checking.counts()
        without = waiting and not wharf.checking.scans
    record = {"done": done, "waiting": waiting, "parked": parked}
    text = f"Checks done: {done}; waiting: {waiting}."
    if parked:
        text += f" Given up: {parked}; the log says why, and `wharf rescan` tries them again."
    output.emit(record, text)
    if without:
        output.note(
            "No scanner is named here: files that are to be scanned wait for a worker that has one "
            "([scan] of the configuration file, --config)."
        )
