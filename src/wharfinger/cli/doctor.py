"""`wharf doctor`: what is wrong with an installation, and what to do about it."""

from __future__ import annotations

import sys
from typing import Final

import click

from wharfinger.cli import output, service
from wharfinger.errors import EXIT_OTHER

_MARKS: Final = {"ok": "ok  ", "warning": "warn", "failure": "FAIL"}


@click.command(
    "doctor",
    help="""Check the data folder, catalog, key, clock and optional parts; say what to do.

    Nothing is made or changed. The exit code is 1 when something is broken.
    """,
)
@service.data_options
def command(*, data: str | None, config: str | None) -> int:
    """Examine an installation."""
    settings = service.load(data=data, config=config)
    from wharfinger.service.doctor import examine

    broken = False
    for finding in examine(settings.wharf, workers=settings.workers):
        broken = broken or finding.grade == "failure"
        record = {
            "check": finding.check,
            "grade": finding.grade,
            "detail": finding.detail,
            "advice": finding.advice,
        }
        text = f"{_MARKS[finding.grade]}  {finding.check}: {finding.detail}"
        if finding.advice:
            text += f"\n      {finding.advice}"
        output.emit(record, text)
    sys.stdout.flush()
    return EXIT_OTHER if broken else 0
